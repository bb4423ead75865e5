package bank

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/model"
)

// smallRandom and smallWarm fit the encoder in testdata: L=2, d=32.
func smallRandom() Properties {
	return Properties{Origin: Random, N: 20, Blocks: 2, Hidden: 32, Bottleneck: 4, NormB: true, Seed: 7, SigmaA: 0.3,
		SigmaB: 0.5}
}

func smallWarm(dtype DType, bias bool) Properties {
	p := Properties{Origin: Warm, N: 20, Blocks: 2, Hidden: 32, Bottleneck: 4, DType: dtype, NormB: true}
	if bias {
		p.Bias, p.NormB, p.Activation = true, false, ReLU
	}
	return p
}

// openBank makes a random bank, or a warm one of testRows in a file, until the test ends.
func openBank(t testing.TB, p Properties) *Bank {
	t.Helper()
	var b *Bank
	if p.Origin == Random {
		var err error
		if b, err = NewRandom(p); err != nil {
			t.Fatal(err)
		}
	} else {
		path := filepath.Join(t.TempDir(), "bank")
		affine := DefaultAffine(p)
		for i := range affine {
			affine[i] += float32(i) / 64
		}
		if _, err := WriteFile(context.Background(), path, p, affine, testRows(p)); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b = FromFile(f)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// randomMask has k ones in each row.
func randomMask(t testing.TB, p Properties, k int, seed uint64) *bitmask.Mask {
	t.Helper()
	m, err := bitmask.New(p.N, k, p.Blocks)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, side := range []Side{Down, Up} {
		for l := range p.Blocks {
			for _, i := range rng.Perm(p.N)[:k] {
				m.Row(side, l).Set(i)
			}
		}
	}
	return m
}

// fold is Fold without an error.
func fold(t testing.TB, b *Bank, m *bitmask.Mask, affine []float32) *model.Adapter {
	t.Helper()
	a, err := b.Fold(m, affine)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestBankClose(t *testing.T) {
	for _, p := range []Properties{smallRandom(), smallWarm(F32, false), smallWarm(F16, true)} {
		for _, used := range []bool{false, true} {
			b, m := openBank(t, p), randomMask(t, p, 2, 1)
			if used {
				fold(t, b, m, nil)
			}
			for range 2 {
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			}
			_, fold := b.Fold(m, nil)
			_, _, foldRows := b.FoldRows(Down, 0, []int32{1}, 1)
			_, _, rows := b.Rows(Up, 1)
			for _, err := range []error{fold, foldRows, rows} {
				if !errors.Is(err, ErrClosed) {
					t.Errorf("%v, used %t: after Close got %v, want ErrClosed", p.Origin, used, err)
				}
			}
		}
	}
}

// TestFoldConcurrently: the first folds of many goroutines find one bank.
func TestFoldConcurrently(t *testing.T) {
	for _, p := range []Properties{smallRandom(), smallWarm(F32, true)} {
		b, m := openBank(t, p), randomMask(t, p, 5, 2)
		var wg sync.WaitGroup
		folds := make([]*model.Adapter, 8)
		start := make(chan struct{})
		for i := range folds {
			wg.Add(1)
			go func() {
				defer wg.Done()
				<-start
				var err error
				if folds[i], err = b.Fold(m, nil); err != nil {
					t.Error(err)
				}
			}()
		}
		close(start)
		wg.Wait()
		for _, a := range folds {
			wantFold(t, b, m, a)
		}
	}
}

func TestNewRandomRefuses(t *testing.T) {
	p := smallRandom()
	p.N = 0
	for _, p := range []Properties{p, smallWarm(F32, false)} {
		if b, err := NewRandom(p); !errors.Is(err, ErrInvalid) || b != nil {
			t.Errorf("%+v: got %v, want ErrInvalid", p, err)
		}
	}
}

func TestBankIsItsFile(t *testing.T) {
	p := smallWarm(F16, true)
	b := openBank(t, p)
	if b.Digest() != b.file.Digest() || b.Properties() != p {
		t.Errorf("got %v, %+v, want the file's", b.Digest(), b.Properties())
	}
	if err := b.Verify(context.Background()); err != nil {
		t.Errorf("verify: got %v, want nil", err)
	}
	if err := openBank(t, smallRandom()).Verify(context.Background()); err != nil {
		t.Errorf("verify of a random bank: got %v, want nil", err)
	}
}
