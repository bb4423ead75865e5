package sdk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// oldFolder unpacks a folder that the version before schema 5 left: dana has learned 14 examples
// and observed 3 more, and eve is one of those whose examples that version lost: of a burst of 18
// it had learned 6.
func oldFolder(t *testing.T) (dir, model string) {
	t.Helper()
	if model = os.Getenv("XPEFT_MODEL"); model == "" {
		t.Skip("no XPEFT_MODEL")
	}
	packed, err := os.ReadFile(filepath.Join("testdata", "folder-v3.db.zst"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	db, err := z.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	writeFile(t, filepath.Join(dir, "xpeft.db"), db)
	return dir, model
}

// TestOldFolder: a folder of the version before answers as it did, keeps its sides of the gate, and
// what that version had lost is learned.
func TestOldFolder(t *testing.T) {
	t.Parallel()
	dir, model := oldFolder(t)
	answers := func(p *Folder) {
		t.Helper()
		for text, want := range map[string]Probability{"the disk is down for everyone": {"urgent", 0.9531064},
			"half price on a poster of the disk": {"ignore", 0.9764886}} {
			got := mustPredict(t, p, "dana", text)
			if i := slices.IndexFunc(got.Probabilities,
				func(q Probability) bool { return q.Label == want.Label }); math.Abs(
				float64(got.Probabilities[i].P-want.P)) > 1e-4 {
				t.Errorf("%q: got %+v, want %v", text, got, want)
			}
		}
	}
	p := open(t, dir, &Options{Model: model, ReadOnly: true})
	answers(p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	w := &watched{}
	p = open(t, dir, &Options{Model: model, OnLearned: w.heard})
	answers(p)
	for id, want := range map[string]int{"dana": 17, "eve": 18} {
		all, err := p.store.Examples(id)
		if err != nil || len(all) != want {
			t.Fatalf("%s: got %d examples, %v, want %d", id, len(all), err, want)
		}
		for _, e := range all {
			if old := oldHeldOut(id, e.Text); e.Held != old {
				t.Errorf("%s: %q is held out: %t, it was %t", id, e.Text, e.Held, old)
			}
		}
	}
	// The next example of each finds that more is due than that version knew of.
	mustObserve(t, p, "dana", Example{Text: "the archive is down for everyone", Label: "urgent"})
	mustObserve(t, p, "eve", Example{Text: "the archive is down for everyone", Label: "urgent"})
	drain(t, p)
	for id, want := range map[string]int{"dana": 4, "eve": 0} {
		if info, err := p.Profile(context.Background(), id); err != nil || info.Waiting != want {
			t.Errorf("%s: got %d that wait (%v), want %d", id, info.Waiting, err, want)
		}
	}
	if w.count("dana") != 0 || w.count("eve") != 1 || w.reps["eve"].Examples != 19 {
		t.Errorf("learned in the background: %v (%v)", w.ids, w.errs)
	}
}

// oldHeldOut is what that version decided by.
func oldHeldOut(id, text string) bool {
	h := sha256.New()
	for _, part := range []string{id, text, ""} {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	return binary.LittleEndian.Uint64(h.Sum(nil))%10 < 3
}

// TestOldBundle: examples of an old bundle keep the sides that they had under the name that the
// profile had, whatever it is called now.
func TestOldBundle(t *testing.T) {
	dir, model := oldFolder(t)
	p := open(t, dir, &Options{Model: model})
	bundle, err := os.ReadFile(filepath.Join("testdata", "bundle-v1.bin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []ImportOptions{{Prefix: "new/"},
		{Policy: Rename, Rename: func(string) string { return "somebody else" }}} {
		if _, err := p.Import(context.Background(), bytes.NewReader(bundle), &o); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"new/dana", "somebody else"} {
		all, err := p.store.Examples(id)
		if err != nil || len(all) != 17 {
			t.Fatalf("%s: got %d examples, %v, want 17", id, len(all), err)
		}
		waiting := 0
		for _, e := range all {
			if old := oldHeldOut("dana", e.Text); e.Held != old {
				t.Errorf("%s: %q is held out: %t, it was %t", id, e.Text, e.Held, old)
			}
			if !e.Known {
				waiting++
			}
		}
		if waiting != 3 {
			t.Errorf("%s: %d wait, want the 3 that dana had not learned", id, waiting)
		}
	}
}
