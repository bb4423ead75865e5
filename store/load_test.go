package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestLoad puts, lists, finds, counts, exports and imports many profiles of
// N=150, k=50, L=6, and says how long each took.
func TestLoad(t *testing.T) {
	n := 100_000
	if testing.Short() || raceEnabled {
		n = 5_000
	}
	s := newStore(t, fast)
	bank, err := s.PutBank(ctx, BankInfo{Digest: Digest{9}, N: 150, Blocks: 6})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]string, n)
	var batch []*Profile
	timed := func(what string, fn func()) {
		start := time.Now()
		fn()
		d := time.Since(start)
		t.Logf("%-6s %d: %v, %v each", what, n, d.Round(time.Millisecond), d/time.Duration(n))
	}
	var putting time.Duration
	for i := range n {
		ids[i] = fmt.Sprintf("user-%07d", r.IntN(1e7))
		batch = append(batch, &Profile{ID: ids[i], Bank: bank, Mask: randomMask(r, 150, 50, 6), Examples: 40})
		if len(batch) == 5000 || i == n-1 {
			start := time.Now()
			if err := s.PutBatch(ctx, batch); err != nil {
				t.Fatal(err)
			}
			putting += time.Since(start)
			batch = nil
		}
	}
	t.Logf("put    %d: %v, %v each", n, putting.Round(time.Millisecond), putting/time.Duration(n))
	distinct, err := s.Count()
	if err != nil {
		t.Fatal(err)
	}
	timed("list", func() {
		listed := 0
		for _, err := range s.Profiles("") {
			if err != nil {
				t.Fatal(err)
			}
			listed++
		}
		if listed != distinct {
			t.Errorf("got %d profiles, want %d", listed, distinct)
		}
	})
	r.Shuffle(n, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	timed("get", func() {
		for _, id := range ids {
			if _, err := s.Get(id); err != nil {
				t.Fatal(err)
			}
		}
	})
	var bundle bytes.Buffer
	timed("export", func() {
		if exported, err := s.Export(ctx, &bundle, ExportOptions{}); err != nil || exported != distinct {
			t.Errorf("got %d exported, %v, want %d", exported, err, distinct)
		}
	})
	t.Logf("bundle %.1f B a profile", float64(bundle.Len())/float64(distinct))
	timed("import", func() {
		to := newStore(t, fast)
		report, err := to.Import(ctx, &bundle, ImportOptions{AllowBank: func(BankInfo) error { return nil }})
		if err != nil || report.Profiles != distinct {
			t.Errorf("got %d imported, %v, want %d", report.Profiles, err, distinct)
		}
	})
	stats, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("record %.1f B (mask %.1f B) a profile; file %d, free %d", float64(stats.RecordBytes)/float64(distinct),
		float64(stats.MaskBytes)/float64(distinct), stats.FileBytes, stats.FreeBytes)
}
