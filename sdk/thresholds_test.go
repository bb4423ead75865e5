package sdk

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/folder"
)

// TestThresholds: a label is given from the threshold on that the caller says of it, else of all,
// else the folder's, else from 0.5; the folder keeps its own over Close and Move.
func TestThresholds(t *testing.T) {
	ctx := context.Background()
	c := withAxes(t)
	c.Multi, c.Thresholds = true, map[string]float64{" urgent ": 1e-50, "ignore": 1 - 1e-7}
	p := create(t, c)
	mustLearn(t, p, "ann", sets("ann", 0, 36), nil)
	const text = "the server is down 99"
	usual := mustPredict(t, p, "ann", text, PredictOptions{})
	at := map[string]float64{} // the probabilities, which are thresholds that are just reached
	for _, q := range usual.Probabilities {
		at[q.Label] = float64(q.P)
	}
	later := at["later"] >= 0.5
	check := func(p *Folder) {
		t.Helper()
		for _, test := range []struct {
			o    PredictOptions
			want map[string]bool
		}{
			{PredictOptions{}, map[string]bool{"urgent": true, "later": later, "ignore": false}},
			{PredictOptions{Thresholds: map[string]float64{"later": at["later"]}},
				map[string]bool{"urgent": true, "later": true, "ignore": false}},
			{PredictOptions{Thresholds: map[string]float64{"later": at["later"] + 1e-6, "ignore": at["ignore"]}},
				map[string]bool{"urgent": true, "later": false, "ignore": true}},
			{PredictOptions{MinProbability: 1e-9}, map[string]bool{"urgent": true, "later": true, "ignore": true}},
			{PredictOptions{MinProbability: 1}, map[string]bool{}},
			{PredictOptions{MinProbability: 1, Thresholds: map[string]float64{"ignore": 1e-9}},
				map[string]bool{"ignore": true}},
		} {
			got := mustPredict(t, p, "ann", text, test.o)
			for _, label := range labels {
				if slices.Contains(got.Labels, label) != test.want[label] {
					t.Errorf("%+v: got %v of %v, want %v", test.o, got.Labels, got.Probabilities, test.want)
				}
			}
		}
	}
	check(p)
	all := map[string]float64{"urgent": 1e-9, "later": 1e-9, "ignore": 1e-9}
	if got := mustPredict(t, p, "", text, PredictOptions{Base: true, Thresholds: all}); len(got.Labels) != 3 {
		t.Errorf("the base: got %+v", got)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open(t, p.dir, nil)
	check(p)
	moved := t.TempDir() + "/moved"
	for _, err := range p.Move(ctx, moved, &MoveOptions{Model: tinyModel(t)}) {
		if err != nil {
			t.Error(err)
		}
	}
	if got := open(t, moved, nil).options.thresholds; !maps.Equal(got, p.options.thresholds) || len(got) != 2 {
		t.Errorf("moved: got %v, want %v", got, p.options.thresholds)
	}
}

// TestBadThresholds: what is no threshold, or of no label, is refused, when a folder is made and in
// each row of a batch; and so is what a folder says that is none.
func TestBadThresholds(t *testing.T) {
	ctx := context.Background()
	p, q := multi(t), create(t, withAxes(t))
	for name, test := range map[string]struct {
		given map[string]float64
		want  error
	}{
		"0":             {map[string]float64{"urgent": 0}, ErrConfig},
		"1":             {map[string]float64{"urgent": 1}, ErrConfig},
		"less":          {map[string]float64{"urgent": -0.1}, ErrConfig},
		"more":          {map[string]float64{"urgent": math.Inf(1)}, ErrConfig},
		"no number":     {map[string]float64{"urgent": math.NaN()}, ErrConfig},
		"a label twice": {map[string]float64{"urgent": 0.5, "urgent ": 0.5}, ErrConfig},
		"no label":      {map[string]float64{"urgent": 0.5, "nonsense": 0.5}, ErrUnknownLabel},
	} {
		c := withAxes(t)
		c.Multi, c.Thresholds = true, test.given
		_, err := Create(ctx, t.TempDir(), c)
		wantError(t, name, err, test.want)
		out, err := p.PredictBatch(ctx, []Request{{Base: true, Text: "a", Thresholds: test.given}, {Base: true, Text: "a"}})
		if err != nil || out[1].Err != nil {
			t.Errorf("%s: got %v, and for the other row %v", name, err, out)
			continue
		}
		wantError(t, name, out[0].Err, test.want)
	}
	given := map[string]float64{"urgent": 0.5}
	_, err := q.Predict(ctx, "", "a", &PredictOptions{Base: true, Thresholds: given})
	wantError(t, "exclusive labels", err, ErrConfig)
	c := withAxes(t)
	c.Thresholds = given
	_, err = Create(ctx, t.TempDir(), c)
	wantError(t, "a folder of exclusive labels", err, ErrConfig)

	m := p.store.Meta()
	for _, said := range []string{"", "[]", `{"urgent": "0.5"}`} {
		m.Extra[folder.ExtraThresholds] = said
		if _, err := folder.ReadExtra(m); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a folder that says %q: got %v", said, err)
		}
	}
}
