package sdk

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"
)

// TestLastAdvice: Stats has what was found last, by Advise and by TrainBank, after the folder was
// opened again and after a restore; nobody's id or text is in it.
func TestLastAdvice(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p, o := differingFew(t, nil)
	last := func(p *Folder) *LastAdvice {
		t.Helper()
		st, err := p.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return st.Advice
	}
	if a := last(p); a != nil {
		t.Errorf("before any: got %+v", a)
	}
	found, err := p.Advise(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	advised := last(p)
	if a, r := advised, found.Population; a == nil || a.Trained || !a.Worth || a.Rank != r.Rank || a.Gain != r.Gain ||
		a.Low != r.Low || a.High != r.High || a.People != 30 || a.Reason != found.Reason ||
		a.HeadReason != found.Head.Reason || a.HeadGain != found.Head.Gain || time.Since(a.Time) > time.Hour {
		t.Errorf("got %+v, want what Advise found: %+v, %+v", a, r, found.Head)
	}
	var b bytes.Buffer
	if _, err := p.Backup(ctx, &b, nil); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "restored")
	if _, err := Restore(ctx, to, nil, &b); err != nil {
		t.Fatal(err)
	}
	back := open(t, to, o)
	if a := last(back); a == nil || a.Gain != advised.Gain || !a.Time.Equal(advised.Time) {
		t.Errorf("restored: got %+v, want %+v", a, advised)
	}
	closeClean(t, p)
	p = open(t, p.dir, o)
	if a := last(p); a == nil || a.Gain != advised.Gain {
		t.Errorf("opened again: got %+v, want %+v", a, advised)
	}
	mustTrainBank(t, p)
	if a := last(p); a == nil || !a.Trained || a.Gain != advised.Gain || a.HeadReason != "" ||
		!a.Time.After(advised.Time) {
		t.Errorf("after TrainBank: got %+v", a)
	}
}
