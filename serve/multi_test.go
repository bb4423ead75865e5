package serve

import (
	"os"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/sdk"
)

// TestMulti: a folder whose labels are not exclusive takes sets and answers with them, no label of
// which is an empty list and not a missing one.
func TestMulti(t *testing.T) {
	p, err := sdk.Create(t.Context(), t.TempDir(), sdk.Config{Model: os.Getenv("XPEFT_MODEL"), Labels: labelNames,
		Multi: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	b := start(t, []Tenant{{Name: "one", Folder: p}}, silent())
	const alice = "/v1/profiles/alice"
	var told struct {
		Waiting int `json:"waiting"`
	}
	if status, code := b.call("POST", alice+"/observe", `{"examples": [{"text": "the server is down",
		"labels": ["urgent", "later"]}, {"text": "a voucher only for you", "labels": []}]}`, &told); status != 202 ||
		told.Waiting != 2 {
		t.Errorf("observe: got %d %s, %+v", status, code, told)
	}
	for text, want := range map[string][]any{"the server is down": {"later", "urgent"}, "a voucher only for you": {}} {
		var got map[string]any
		b.call("POST", alice+"/predict", map[string]any{"text": text}, &got)
		labels, ok := got["labels"].([]any)
		if !ok || !slices.Equal(labels, want) || got["source"] != "taught" || got["label"] != nil {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	for _, path := range []string{"/v1/predict", alice + "/predict"} {
		body := `"text": "hi", "thresholds": {"urgent": 1e-9, "later": 0.999999}}`
		if path == "/v1/predict" {
			body = `"requests": [{"profile": "alice", "text": "hi"}], "thresholds": {"urgent": 1e-9, "later": 0.999999}}`
		}
		var got struct {
			Labels      []string
			Predictions []struct{ Labels []string }
		}
		b.call("POST", path, "{"+body, &got)
		if len(got.Predictions) == 1 {
			got.Labels = got.Predictions[0].Labels
		}
		if !slices.Contains(got.Labels, "urgent") || slices.Contains(got.Labels, "later") {
			t.Errorf("%s with thresholds: got %+v", path, got)
		}
	}
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"/observe", `{"examples": [{"text": "hi", "labels": ["urgent", "urgent"]}]}`, 400, "bad_example"},
		{"/observe", `{"examples": [{"text": "hi", "labels": ["nonsense"]}]}`, 400, "unknown_label"},
		{"/observe", `{"examples": [{"text": "hi", "label": "urgent"}]}`, 400, "bad_example"},
		{"/observe", `{"examples": [{"text": "hi", "labels": null}]}`, 400, "bad_example"},
		{"/reject", `{"text": "hi", "label": "urgent"}`, 400, "unsupported"},
		{"/predict", `{"text": "hi", "thresholds": {"urgent": 1}}`, 400, "bad_options"},
		{"/predict", `{"text": "hi", "thresholds": {"nonsense": 0.5}}`, 400, "unknown_label"},
		{"/predict", `{"text": "hi", "thresholds": {"urgent": "0.5"}}`, 400, "bad_body"},
		{"/rank", `{"text": "hi", "candidates": ["a", "b"]}`, 400, "unsupported"},
		{"/learn", `{"examples": [{"text": "hi", "labels": []}], "add_labels": true}`, 400, "unsupported"},
		{"/learn", `{"examples": [{"text": "hi", "labels": []}]}`, 200, ""},
	} {
		if status, code := b.call("POST", alice+c.path, c.body, nil); status != c.status || code != c.code {
			t.Errorf("%s %s: got %d %s, want %d %s", c.path, c.body, status, code, c.status, c.code)
		}
	}
}
