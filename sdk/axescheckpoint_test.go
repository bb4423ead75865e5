package sdk

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// differingFew is a folder of people who differ, in which a TrainBank takes little time.
func differingFew(t *testing.T, key []byte) (*Folder, *Options) {
	t.Helper()
	c := small(t)
	c.Masks, c.Labels, c.Options.ObserveEvery, c.Options.MasterKey = false, sides, 1<<20, key
	p := create(t, c)
	plantedIn(t, p, 40, 1, 1).observed(t, p, 30, 25)
	return p, c.Options
}

// cutAfter ends a TrainBank after so many fits, and says how many there were.
func cutAfter(t *testing.T, p *Folder, fits int) (found int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	_, err := p.TrainBank(ctx, &TrainBankOptions{Progress: func(int, int, float32) {
		if n++; n == fits {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want it cut off after %d fits", err, fits)
	}
	return p.fits.found
}

// fitsOf is a TrainBank to its end, and how many fits it had, those that were found included.
func fitsOf(t *testing.T, p *Folder) (rep *BankReport, fits int) {
	t.Helper()
	rep, err := p.TrainBank(context.Background(), &TrainBankOptions{Progress: func(int, int, float32) { fits++ }})
	if err != nil || !rep.Installed {
		t.Fatalf("got %+v, %v, want axes", rep, err)
	}
	return rep, fits
}

func hasCheckpoint(t *testing.T, dir string) bool {
	t.Helper()
	_, err := os.Lstat(folder.AxesCheckpoint(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// TestAxesResume: a TrainBank that is cut off anywhere, and whose folder is closed, goes on with
// the next fit and installs the bank that it would have without the cut, to the bit.
func TestAxesResume(t *testing.T) {
	t.Parallel()
	for name, key := range map[string][]byte{"clear": nil, "encrypted": bytes.Repeat([]byte{7}, store.MasterKeySize)} {
		t.Run(name, func(t *testing.T) {
			p, o := differingFew(t, key)
			for i, at := range []int{1, 30, 60} {
				want := []int{0, 1, 30}[i]
				if found := cutAfter(t, p, at); found != want || !hasCheckpoint(t, p.dir) {
					t.Errorf("cut off after %d fits: %d were found, want %d", at, found, want)
				}
				testNotKept(t, p, o)
				closeClean(t, p)
				p = open(t, p.dir, o)
			}
			got, fits := fitsOf(t, p)
			if got.Resumed != 60 || fits < 80 || hasCheckpoint(t, p.dir) {
				t.Errorf("got %d fits of %d found, want 60, and no checkpoint", got.Resumed, fits)
			}
			want, all := fitsOf(t, p)
			if got.Bank != want.Bank || want.Resumed != 0 || all != fits {
				t.Errorf("got bank %s after %d fits, without a cut %s after %d, of which %d were found", got.Bank,
					fits, want.Bank, all, want.Resumed)
			}
		})
	}
}

// testNotKept looks at the bytes of a checkpoint, and for it in a backup.
func testNotKept(t *testing.T, p *Folder, o *Options) {
	t.Helper()
	ctx := context.Background()
	h, _, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	people, _, err := p.population(ctx, h, teachers{most: mostTaught})
	if err != nil {
		t.Fatal(err)
	}
	digest := people.Digest()
	if names := holds(t, p.dir, digest[:]); (names == nil) != (o.MasterKey != nil) {
		t.Errorf("the population's digest is in %v", names)
	}
	var b bytes.Buffer
	if _, err := p.Backup(ctx, &b, nil); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "restored")
	if _, err := Restore(ctx, to, nil, &b); err != nil || hasCheckpoint(t, to) {
		t.Errorf("got %v, a checkpoint restored: %v", err, hasCheckpoint(t, to))
	}
}

// TestForgetDropsCheckpoint: who is forgotten is in no checkpoint any more, nor in that of a
// training under way, which ends all the same.
func TestForgetDropsCheckpoint(t *testing.T) {
	ctx := context.Background()
	p, _ := differingFew(t, nil)
	for what, forget := range map[string]func() error{
		"Forget":        func() error { return p.Forget(ctx, "old 1") },
		"ForgetExample": func() error { return p.ForgetExample(ctx, "old 2", firstText(t, p, "old 2"), nil) },
	} {
		cutAfter(t, p, 2)
		if !hasCheckpoint(t, p.dir) {
			t.Fatalf("%s: no checkpoint", what)
		}
		if err := forget(); err != nil || hasCheckpoint(t, p.dir) {
			t.Errorf("%s: got %v, a checkpoint: %v", what, err, hasCheckpoint(t, p.dir))
		}
	}
	n := 0
	rep, err := p.TrainBank(ctx, &TrainBankOptions{Progress: func(int, int, float32) {
		if n++; n == 3 {
			if err := p.Forget(ctx, "old 3"); err != nil {
				t.Error(err)
			}
		}
		if n >= 3 && hasCheckpoint(t, p.dir) {
			t.Errorf("a checkpoint after %d fits", n)
		}
	}})
	if err != nil || !rep.Installed {
		t.Errorf("got %+v, %v, want a bank", rep, err)
	}
}

// TestDamagedCheckpoint: of a checkpoint that is damaged or cut the records before that serve, of
// another population none, and what a link names stays as it is; the bank is the same.
func TestDamagedCheckpoint(t *testing.T) {
	t.Parallel()
	p, _ := differingFew(t, nil)
	want, _ := fitsOf(t, p)
	cutAfter(t, p, 2)
	p.fits.begin()
	if r := p.fits.open([32]byte{1}); r == nil || len(p.fits.at) != 0 {
		t.Errorf("of another population: %d fits are there", len(p.fits.at))
	}
	if p.fits.close(true); p.fits.drop() != nil || p.fits.open([32]byte{1}) != nil || hasCheckpoint(t, p.dir) {
		t.Error("somebody was forgotten since the people were gathered, and there is a checkpoint of them")
	}
	path, outside := folder.AxesCheckpoint(p.dir), filepath.Join(t.TempDir(), "outside")
	cutAfter(t, p, 10)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte {
		b := bytes.Clone(whole)
		b[at] ^= 0x40
		return b
	}
	for name, c := range map[string]struct {
		data  []byte
		least int // fits that serve
		most  int
	}{
		"whole": {whole, 10, 10}, "cut": {whole[:len(whole)-1], 9, 9},
		"longer": {append(bytes.Clone(whole), 9, 0, 0), 10, 10}, "value": {flipped(len(whole) - 1), 9, 9},
		"length": {flipped(checkpointHead + 32 + 3), 0, 0}, "digest": {flipped(checkpointHead), 0, 0},
		"empty": {nil, 0, 0}, "link": {nil, 0, 0},
	} {
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "link" {
			if err := errors.Join(os.Remove(path), os.WriteFile(outside, whole, 0o600),
				os.Symlink(outside, path)); err != nil {
				t.Skip(err)
			}
		}
		if got, _ := fitsOf(t, p); got.Bank != want.Bank || got.Resumed < c.least || got.Resumed > c.most ||
			hasCheckpoint(t, p.dir) {
			t.Errorf("%s: got bank %s and %d fits found, want %s and %d to %d", name, got.Bank, got.Resumed,
				want.Bank, c.least, c.most)
		}
	}
	if b, err := os.ReadFile(outside); err != nil || !bytes.Equal(b, whole) {
		t.Errorf("got %v, want the file of the link as it was", err)
	}
}
