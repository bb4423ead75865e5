package sdk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

// TestRequested is what the project was asked for, in one place: a bank that no Learn changes,
// masks that are k-hot rows in bbolt, adapters that are folded once and cached, profiles that
// answer alike wherever they go, and the libraries that really do the work.
func TestRequested(t *testing.T) {
	ctx := context.Background()
	p := create(t, strong(t))
	ref, b, err := p.newcomersBank()
	if err != nil {
		t.Fatal(err)
	}
	before := bankSum(t, p, b)
	quickest := learner.Default()
	quickest.K, quickest.Epochs = 0, 1
	const learns, people = 1000, 50
	for from := 0; from < learns; from += people {
		var requests []LearnRequest
		for i := range people {
			requests = append(requests, LearnRequest{fmt.Sprint("user ", i), examples(3, i+from/people)})
		}
		results, err := p.LearnMany(ctx, requests, &LearnOptions{Config: &quickest, Force: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
	if st, err := p.Stats(ctx); err != nil || st.Learns != learns {
		t.Errorf("got %d learns, %v, want %d", st.Learns, err, learns)
	}
	if now := bankSum(t, p, b); now != before || b.Verify(ctx) != nil {
		t.Error("the bank has changed")
	}
	for rec, err := range p.store.Profiles("") { // read out of bbolt
		if err != nil {
			t.Fatal(err)
		}
		for row := range 2 * rec.Mask.Blocks {
			if ones := rec.Mask.Indices(bank.Side(row/rec.Mask.Blocks), row%rec.Mask.Blocks, nil); rec.Bank != ref ||
				len(ones) != p.k {
				t.Errorf("%s: row %d selects %d of bank %d, want %d of %d", rec.ID, row, len(ones), rec.Bank, p.k, ref)
			}
		}
	}
	start, err := p.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mustPredict(t, p, "user 7", "server down")
	}
	now, err := p.Stats(ctx)
	if d := now.Sub(start); err != nil || d.Folds != 1 || d.Cache.Hits != 2 || d.Cache.Misses != 1 {
		t.Errorf("three answers folded %d times with %d hits (%v), want 1 and 2", d.Folds, d.Cache.Hits, err)
	}
	var bundle bytes.Buffer
	if _, err := p.Export(ctx, &bundle, &ExportOptions{IncludeBank: true}); err != nil {
		t.Fatal(err)
	}
	q := create(t, small(t)) // over another bank
	if _, err := q.Import(ctx, &bundle, nil); err != nil {
		t.Fatal(err)
	}
	for i := range people {
		id := fmt.Sprint("user ", i)
		near(t, id, mustPredict(t, q, id, "server down"), mustPredict(t, p, id, "server down"))
	}
	reached(t)
}

// bankSum is the SHA-256 of the bank's file.
func bankSum(t *testing.T, p *Folder, b *bank.Bank) string {
	t.Helper()
	data, err := os.ReadFile(folder.BankPath(p.dir, store.Digest(b.Digest())))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// reached: package sdk is built on each of them, on gotch with -tags torch alone.
func reached(t *testing.T) {
	t.Helper()
	const gotch = "github.com/sugarme/gotch/libtch"
	plain, torch := dependencies(t, "-tags="), dependencies(t, "-tags=torch")
	for _, want := range []string{"go.etcd.io/bbolt", "github.com/RoaringBitmap/roaring/v2",
		"github.com/klauspost/compress/zstd", gotch} {
		if !slices.Contains(torch, want) {
			t.Errorf("sdk does not reach %s with -tags torch", want)
		}
		if slices.Contains(plain, want) != (want != gotch) {
			t.Errorf("sdk reaches %s without a tag: %t", want, want == gotch)
		}
	}
}

// dependencies are the packages that sdk is built of.
func dependencies(t *testing.T, tags string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", tags, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}
