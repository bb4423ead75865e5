package metrics

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/xpeft/xpeft/sdk"
)

// TestEveryNumber: each number of Stats is in one metric, with its own value, and is a counter if
// Sub subtracts it.
func TestEveryNumber(t *testing.T) {
	var s sdk.Stats
	paths := map[float64]string{}
	number(reflect.ValueOf(&s).Elem(), "", paths)
	rest := s.Sub(s)
	left := map[float64]bool{}
	for i := range all {
		left[all[i].of(&rest)] = true
	}
	for _, m := range all {
		value := m.of(&s)
		path, ok := paths[value]
		if !ok {
			t.Errorf("%v: got the value %v, which no field has, or which another metric has too", m.desc, value)
		}
		delete(paths, value)
		isCounter := strings.Contains(m.desc.String(), "_total\"") && m.kind == prometheus.CounterValue
		if isCounter == left[value] {
			t.Errorf("%v of %s: got a counter: %v, want one if Sub subtracts", m.desc, path, isCounter)
		}
	}
	for _, path := range paths {
		t.Errorf("Stats%s has no metric", path)
	}
}

// number gives every number in v another value, and says where it is.
func number(v reflect.Value, path string, paths map[float64]string) {
	for i := range v.NumField() {
		f, name := v.Field(i), path+"."+v.Type().Field(i).Name
		switch f.Kind() {
		case reflect.Struct:
			number(f, name, paths)
		case reflect.Int64:
			f.SetInt(int64(len(paths) + 1))
			paths[float64(len(paths)+1)] = name
		case reflect.Float64:
			f.SetFloat(float64(len(paths)) + 1)
			paths[float64(len(paths)+1)] = name
		}
	}
}

func TestCollector(t *testing.T) {
	model := os.Getenv("XPEFT_MODEL")
	if model == "" {
		t.Fatal("XPEFT_MODEL is not set: run `eval \"$(scripts/env.sh)\"` first")
	}
	p, err := sdk.Create(context.Background(), t.TempDir(),
		sdk.Config{Model: model, Bank: sdk.RandomBank{N: 24, Seed: 1}, K: 8, Labels: []string{"yes", "no"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(New(p))
	for range 3 {
		if _, err := p.Predict(t.Context(), "secret-id", "hello", &sdk.PredictOptions{Fallback: sdk.FallbackBase}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Observe(t.Context(), "secret-id", sdk.Example{Text: "hello", Label: "yes"}); err != nil {
		t.Fatal(err)
	}
	engines := sdk.Engines()
	want := `
# HELP xpeft_examples Stored examples.
# TYPE xpeft_examples gauge
xpeft_examples 1
# HELP xpeft_info 1, with the engine and the device that compute.
# TYPE xpeft_info gauge
xpeft_info{device="cpu",engine="` + engines[len(engines)-1] + `"} 1
# HELP xpeft_predictions_total Rows answered.
# TYPE xpeft_predictions_total counter
xpeft_predictions_total 3
# HELP xpeft_prequential_profile_ratio Share of new examples that profiles, as they were served, were right about; NaN until one is measured.
# TYPE xpeft_prequential_profile_ratio gauge
xpeft_prequential_profile_ratio NaN
# HELP xpeft_profiles Profiles in the folder.
# TYPE xpeft_profiles gauge
xpeft_profiles 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "xpeft_examples", "xpeft_info",
		"xpeft_predictions_total", "xpeft_prequential_profile_ratio", "xpeft_profiles"); err != nil {
		t.Error(err)
	}
	checkFamilies(t, registry)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), sdk.ErrClosed.Error()) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
}

// checkFamilies: all metrics are gathered, keep Prometheus's rules, and say nothing of ids.
func checkFamilies(t *testing.T, registry *prometheus.Registry) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil || len(families) != len(all)+1 {
		t.Errorf("got %d metrics, %v, want %d", len(families), err, len(all)+1)
	}
	for _, f := range families {
		if strings.Contains(f.String(), "secret-id") {
			t.Errorf("%s names a profile", f.GetName())
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, errors.Join(err))
	}
}

// TestRequests: a server's requests are told beside a folder's numbers, each with its labels.
func TestRequests(t *testing.T) {
	c := Requests(func(yield func(route, status string, n int64) bool) {
		_ = yield("GET /v1/labels", "2xx", 3) && yield("POST /v1/profiles/{id}/predict", "4xx", 1)
	})
	want := `
# HELP xpeft_http_requests_total Requests with the tenant's token, by the pattern of their route and the class of their status.
# TYPE xpeft_http_requests_total counter
xpeft_http_requests_total{route="GET /v1/labels",status="2xx"} 3
xpeft_http_requests_total{route="POST /v1/profiles/{id}/predict",status="4xx"} 1
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
