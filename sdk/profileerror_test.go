package sdk

import (
	"context"
	"errors"
	"testing"
)

// TestProfileErrors: an error of one profile says which profile, label and example it is of.
func TestProfileErrors(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "ann", examples(12, 0), forced())
	bad := func(at int, e Example) []Example {
		es := examples(4, 0)
		es[at] = e
		return es
	}
	learn := func(es []Example, o *LearnOptions) func() error {
		return func() error { _, err := p.Learn(ctx, "ann", es, o); return err }
	}
	weights := quick()
	weights.ClassWeights = map[string]float64{"spam": 2}
	for name, c := range map[string]struct {
		call func() error
		want ProfileError
	}{
		"an unknown label":    {learn(bad(2, Example{Text: "x", Label: "spam"}), quick()), ProfileError{"ann", "spam", 2, ErrUnknownLabel}},
		"no label":            {learn(bad(3, Example{Text: "x"}), quick()), ProfileError{"ann", "", 3, ErrExample}},
		"no examples":         {learn([]Example{}, quick()), ProfileError{"ann", "", -1, ErrExample}},
		"a weight of a label": {learn(examples(4, 0), weights), ProfileError{"ann", "spam", -1, ErrUnknownLabel}},
		"observed": {func() error { return p.Observe(ctx, "ann", Example{Text: "x", Label: "spam"}) },
			ProfileError{"ann", "spam", 0, ErrUnknownLabel}},
		"observed for the first time": {func() error { return p.Observe(ctx, "bob", Example{Text: "x", Label: "spam"}) },
			ProfileError{"bob", "spam", 0, ErrUnknownLabel}},
		"twice": {func() error { _, err := p.LearnMany(ctx, requestsOf("ann", "bob", "bob"), nil); return err },
			ProfileError{"bob", "", -1, ErrDuplicateProfile}},
		"nobody": {func() error { _, err := p.Predict(ctx, "nobody", "x", nil); return err },
			ProfileError{"nobody", "", -1, ErrProfileNotFound}},
		"a row of a batch": {func() error {
			out := mustRows(t, p, Request{Profile: "ann", Text: "x"}, Request{Profile: "ann"})
			return errors.Join(out[0].Err, out[1].Err)
		}, ProfileError{"ann", "", -1, ErrExample}},
	} {
		var got *ProfileError
		if err := c.call(); !errors.As(err, &got) || got.ID != c.want.ID || got.Label != c.want.Label ||
			got.Example != c.want.Example || !errors.Is(err, c.want.Err) {
			t.Errorf("%s: got %#v (%v), want %#v", name, got, err, c.want)
		}
	}
	if err, want := learn(bad(3, Example{Text: "x"}), nil)(),
		"example 3: sdk: bad example: neither a label nor a value"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// mustRows is PredictBatch whose rows may have errors.
func mustRows(t *testing.T, p *Folder, reqs ...Request) []Prediction {
	t.Helper()
	out, err := p.PredictBatch(context.Background(), reqs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
