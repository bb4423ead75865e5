package sdk

import (
	"context"
	"fmt"
	"testing"
)

// only are n examples of one label.
func only(label string, n int) (out []Example) {
	for i := range n {
		out = append(out, Example{Text: fmt.Sprintf("%s %d", texts[label][i%4], i), Label: label})
	}
	return out
}

// TestFallbacks: who answers, for every fallback, beside profiles that have learned.
func TestFallbacks(t *testing.T) {
	p := create(t, small(t))
	mustLearn(t, p, "urgent", only("urgent", 10), forced())
	mustObserve(t, p, "seen", only("later", 1)...)
	for _, c := range []struct {
		id       string
		fallback Fallback
		source   Source
		err      error
	}{
		{"urgent", FallbackError, SourceProfile, nil},
		{"urgent", FallbackBase, SourceProfile, nil},
		{"seen", FallbackError, SourceProfile, nil},
		{"seen", FallbackBase, SourceProfile, nil},
		{"nobody", FallbackError, "", ErrProfileNotFound},
		{"nobody", FallbackBase, SourceBase, nil},
		{"", FallbackBase, "", ErrID},
		{"urgent", "population", "", ErrConfig}, // there was one once
		{"nobody", "nearest", "", ErrConfig},
	} {
		out, err := p.PredictBatch(context.Background(),
			[]Request{{Profile: c.id, Text: "server down", Fallback: c.fallback}})
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("%q, fallback %q", c.id, c.fallback)
		wantError(t, what, out[0].Err, c.err)
		if out[0].Source != c.source || (out[0].Revision == 1) != (c.source == SourceProfile) {
			t.Errorf("%s: got %q, revision %d, want %q", what, out[0].Source, out[0].Revision, c.source)
		}
	}
}

// TestStart: where training begins is said, and it begins from nobody else: what others have
// learned changes no bit of a new profile.
func TestStart(t *testing.T) {
	full, empty := create(t, small(t)), create(t, small(t))
	mustLearn(t, full, "urgent", only("urgent", 10), forced())
	mustLearn(t, full, "dropped", only("urgent", 10), dropping())
	mustObserve(t, full, "seen", only("later", 1)...)
	for _, c := range []struct {
		id   string
		want Start
	}{{"new", StartFresh}, {"seen", StartFresh}, {"urgent", StartFresh}, {"dropped", StartProfile}} {
		if rep := mustLearn(t, full, c.id, only("later", 6), forced()); rep.Start != c.want {
			t.Errorf("%s: got %q, want %q", c.id, rep.Start, c.want)
		}
	}
	mustLearn(t, empty, "new", only("later", 6), forced())
	got, err := full.store.Get("new")
	want, err2 := empty.store.Get("new")
	if err != nil || err2 != nil || !got.Mask.Equal(want.Mask) || string(got.Affine) != string(want.Affine) {
		t.Errorf("got another profile beside others than alone (%v, %v)", err, err2)
	}
}
