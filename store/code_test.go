package store

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/store/internal/bundle"

	"github.com/xpeft/xpeft/store/internal/format"
)

// coded has profiles of all kinds, with states and earlier revisions.
func coded(t testing.TB, s *Store) *Store {
	t.Helper()
	mixed(t, s, 16)
	for p, err := range s.Profiles("") {
		if err != nil {
			t.Fatal(err)
		}
		p.Bias = []byte("a bias")
		must(s.Put(ctx, p, Write{State: []byte(p.ID), Append: []Example{{Text: "text", Label: "label"}}}))
	}
	return s
}

func TestPutCode(t *testing.T) {
	s := mixed(t, newStore(t, fast), 0)
	for name, c := range map[string]struct {
		p    *Profile
		want error
	}{
		"one":             {&Profile{Codes: []Code{testCode(3, 19, 0, 1)}}, nil},
		"two":             {&Profile{Codes: []Code{testCode(4, 8, 1), testCode(3, 19, 0, 1)}, Temperature: 9}, nil},
		"beside a mask":   {&Profile{Bank: 1, Mask: fullProfile().Mask, Codes: []Code{testCode(4, 8, 1)}}, nil},
		"neither":         {&Profile{}, nil},
		"an unknown bank": {&Profile{Codes: []Code{testCode(9, 8, 1)}}, ErrNotFound},
		"bank 0":          {&Profile{Codes: []Code{testCode(0, 8, 1)}}, ErrNotFound},
		"second unknown":  {&Profile{Codes: []Code{testCode(4, 8, 1), testCode(5, 8, 1)}}, ErrNotFound},
		"another K":       {&Profile{Codes: []Code{testCode(3, 8, 1)}}, ErrMismatch},
		"N instead of K":  {&Profile{Codes: []Code{testCode(4, 16, 1)}}, ErrMismatch},
		"mask, another K": {&Profile{Bank: 1, Mask: fullProfile().Mask, Codes: []Code{testCode(3, 8, 1)}},
			ErrMismatch},
		"code, other mask": {&Profile{Bank: 3, Mask: fullProfile().Mask, Codes: []Code{testCode(4, 8, 1)}},
			ErrMismatch},
	} {
		c.p.ID = name
		_, err := s.Put(ctx, c.p, Write{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if err != nil {
			continue
		}
		if got := must(s.Get(name)); diffProfile(got, c.p) != "" {
			t.Errorf("%s: %s", name, diffProfile(got, c.p))
		}
	}
	if st, want := must(s.Stats()), int64(2*3+(1+2*3)+(1+12)); st.MaskBytes != want {
		t.Errorf("got %d bytes of rows, want %d", st.MaskBytes, want)
	}
}

// TestCodedBundle imports codes into a store whose refs are others: what it
// exports then is the same bundle.
func TestCodedBundle(t *testing.T) {
	from := coded(t, newStore(t, fast))
	want, bundle := contents(t, from), export(t, from, everything)
	to := must(Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, fast))
	t.Cleanup(func() { checkAndClose(t, to) })
	for i, n := range []int{5, 6, 16, 7} {
		info := BankInfo{Digest: Digest{byte(100 + i)}, N: n, Blocks: 1}
		if n == 16 {
			info = codeBanks[1]
		}
		must(to.PutBank(ctx, info))
	}
	report, err := to.Import(ctx, bytes.NewReader(bundle), allBanks)
	if err != nil || report.Profiles != 16 || report.Banks != 3 {
		t.Fatalf("got %+v, %v, want 16 profiles and 3 banks", report, err)
	}
	got := contents(t, to)
	for id, c := range got {
		for i := range c.Profile.Codes {
			code := &c.Profile.Codes[i]
			was := want[id].Profile.Codes[i].Bank
			if a, b := must(to.Bank(code.Bank)), must(from.Bank(was)); a.Digest != b.Digest || code.Bank == was {
				t.Errorf("%s: got bank %d, want that of %d", id, code.Bank, was)
			}
			code.Bank = was
		}
		if c.Profile.Mask != nil {
			c.Profile.Bank = want[id].Profile.Bank
		}
	}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Error(diff)
	}
	if again := export(t, to, everything); !bytes.Equal(framesOf(t, again), framesOf(t, bundle)) {
		t.Error("the store that took the bundle in exports another")
	}
	checkCohorts(t, to)
	if a, b := must(from.Stats()).MaskBytes, must(to.Stats()).MaskBytes; a != b || a == 0 {
		t.Errorf("got %d bytes of rows, want %d", b, a)
	}
}

// TestCodedBundleRefused: a bundle's codes must be over its own banks, and fit them.
func TestCodedBundleRefused(t *testing.T) {
	header := bundleHeader(Meta{Encoder: testMeta.Encoder, Tokenizer: testMeta.Tokenizer, MaxTokens: 128})
	for name, c := range map[string]struct {
		p  *Profile
		ok bool
	}{
		"sound":   {&Profile{ID: "a", Codes: []Code{testCode(2, 19, 1)}, Revision: 1}, true},
		"no bank": {&Profile{ID: "a", Codes: []Code{testCode(5, 19, 1)}, Revision: 1}, false},
		"bank 0":  {&Profile{ID: "a", Codes: []Code{testCode(0, 19, 1)}, Revision: 1}, false},
		"size":    {&Profile{ID: "a", Codes: []Code{testCode(1, 19, 1)}, Revision: 1}, false},
		"neither": {&Profile{ID: "a", Revision: 1}, true},
		"two": {&Profile{ID: "a", Codes: []Code{testCode(2, 19, 1), testCode(3, 8, 1)}, Revision: 1},
			true},
		"one bank by two refs": {&Profile{ID: "a", Codes: []Code{testCode(4, 19, 1), testCode(2, 19, 1)},
			Revision: 1}, false},
	} {
		var buf bytes.Buffer
		b := must(bundle.NewWriter(&buf, bundleFormat, nil))
		err := b.Frame(frameHeader, header)
		for i, info := range []BankInfo{testBank, codeBanks[0], codeBanks[1], codeBanks[0]} {
			err = errors.Join(err, b.Frame(frameBank, append([]byte{byte(i + 1)}, encodeBank(info)...)))
		}
		err = errors.Join(err, b.Frame(frameProfile, mustEncode(t, c.p)), b.Frame(frameEnd, []byte{1, 0, 0}), b.Close())
		if err != nil {
			t.Fatal(err)
		}
		to := newStore(t, fast)
		if _, err := to.Import(ctx, &buf, allBanks); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v", name, err)
		} else if err != nil && !strings.Contains(err.Error(), `profile "a"`) {
			// the merge, which is too late, does not say so
			t.Errorf("%s: got %v, want it refused while it is verified", name, err)
		}
	}
}

func TestCodedBackup(t *testing.T) {
	s := coded(t, newStore(t, fast))
	var full, since bytes.Buffer
	report := must(s.Backup(ctx, &full, nil))
	must(s.PutBank(ctx, BankInfo{Digest: Digest{11}, N: 10, Blocks: 1}))
	must(s.Put(ctx, &Profile{ID: "user001", Codes: []Code{testCode(5, 5, 3)}}, Write{}))
	must(s.Backup(ctx, &since, &BackupOptions{Since: report.Revision}))
	path := filepath.Join(t.TempDir(), "restored.db")
	must(Restore(ctx, path, nil, &full, &since))
	restored := must(Open(path, fast))
	t.Cleanup(func() { checkAndClose(t, restored) })
	if diff := cmp.Diff(contents(t, s), contents(t, restored), byValue); diff != "" {
		t.Error(diff)
	}
	checkCohorts(t, restored)
}

// TestCodedDamaged takes away the bank of a code: Check, Repair and Restore name
// the profiles over it, and Repair saves the others.
func TestCodedDamaged(t *testing.T) {
	s := coded(t, unchecked(t))
	whole := contents(t, s)
	err := s.write(ctx, func(w *writeTx) error {
		return errors.Join(w.Bucket(format.Banks).remove(format.Key(4)),
			w.Bucket(format.Digests).remove(digestKey(format.TagBank, codeBanks[1].Digest)))
	})
	if err != nil {
		t.Fatal(err)
	}
	report, err := s.Check(ctx, false)
	if !errors.Is(err, ErrCorrupt) || len(report.Problems) != 4 || !strings.Contains(report.Problems[0], "bank 4") {
		t.Errorf("got %v %q, want four profiles over bank 4", err, report.Problems)
	}
	var b bytes.Buffer
	must(s.Backup(ctx, &b, nil))
	if _, err := Verify(ctx, nil, &b); testKey == nil && !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v of a backup without a bank, want ErrCorrupt", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "repaired.db")
	o := &RepairOptions{MasterKey: testKey, HeadLabels: testLabels}
	if rep, err := Repair(context.Background(), s.Path(), to, o); err != nil || rep.Profiles != 12 ||
		len(rep.Lost) < 4 {
		t.Fatalf("got %+v, %v, want 12 profiles saved and 4 lost", rep, err)
	}
	repaired := must(Open(to, fast))
	t.Cleanup(func() { checkAndClose(t, repaired) })
	saved := contents(t, repaired)
	for id, c := range whole {
		if len(c.Profile.Codes) == 2 {
			delete(whole, id)
		}
	}
	if diff := cmp.Diff(whole, saved, byValue); diff != "" {
		t.Error(diff)
	}
}
