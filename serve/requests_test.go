package serve

import (
	"maps"
	"net/http"
	"testing"
)

// TestRequestsAreCounted: each request of a tenant is counted once, by its route and the class of
// its status, without ids, and none of who has no token.
func TestRequestsAreCounted(t *testing.T) {
	counts := &Requests{}
	b := start(t, []Tenant{{Name: "one", Folder: open(t, t.TempDir(), nil), Requests: counts,
		Tokens: []TokenHash{HashToken("secret")}}}, silent())
	b.call("GET", "/v1/labels", nil, nil)
	b.token = "secret"
	for range 2 {
		b.call("GET", "/v1/labels", nil, nil)
		b.call("POST", "/v1/profiles/alice%40home/predict", text("hi"), nil)
	}
	b.call("POST", "/v1/profiles/bob/predict", `{"text": "hi", "fallback": "base"}`, nil)
	b.call("GET", "/v1/nothing", nil, nil)
	want := map[answeredAs]int64{{"GET /v1/labels", "2xx"}: 2, {"POST /v1/profiles/{id}/predict", "4xx"}: 2,
		{"POST /v1/profiles/{id}/predict", "2xx"}: 1}
	got := map[answeredAs]int64{}
	for deadline := 50; deadline > 0 && len(got) < len(want); deadline-- { // an answer comes before its count
		got = map[answeredAs]int64{}
		counts.All(func(route, status string, n int64) bool { got[answeredAs{route, status}] = n; return true })
		http.Get(b.url + "/healthz")
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
