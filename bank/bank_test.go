//go:build cgo

package bank

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/internal/torchtest"
)

// smallRandom and smallWarm fit the encoder in testdata: L=2, d=32.
func smallRandom() Properties {
	return Properties{Origin: Random, N: 20, Blocks: 2, Hidden: 32, Bottleneck: 4, NormB: true, Seed: 7, SigmaA: 0.3, SigmaB: 0.5}
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

func doFold(b *Bank, e *torch.Engine, m *bitmask.Mask, affine []float32) (f *Folded, err error) {
	err = e.Do(context.Background(), func(s *torch.Scope) (err error) {
		f, err = b.Fold(s, m, affine)
		return err
	})
	return f, err
}

// fold folds until the test ends.
func fold(t testing.TB, b *Bank, e *torch.Engine, m *bitmask.Mask, affine []float32) *Folded {
	t.Helper()
	f, err := doFold(b, e, m, affine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Free)
	return f
}

// values reads tensors that outlive their scope.
func values(t testing.TB, e *torch.Engine, h *torch.Held) []float32 {
	t.Helper()
	if h == nil {
		return nil
	}
	var v []float32
	if err := e.Do(context.Background(), func(s *torch.Scope) error { v = s.Values(h.Tensor); return nil }); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMaterialiseOnce(t *testing.T) {
	e := torchtest.Open(t)
	for _, p := range []Properties{smallRandom(), smallWarm(F32, false), smallWarm(F16, true)} {
		before := e.Live()
		b := openBank(t, p)
		if e.Live() != before {
			t.Errorf("%v: got %d handles before the first use, want 0", p.Origin, e.Live()-before)
		}
		held := int64(0)
		for range 2 {
			if err := e.Do(context.Background(), b.Materialise); err != nil {
				t.Fatal(err)
			}
			if held == 0 {
				held = e.Live() - before
			}
			if got := e.Live() - before; got != held || got == 0 {
				t.Errorf("%v: got %d handles, then %d, want the same", p.Origin, held, got)
			}
		}
		for range 2 {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
		if e.Live() != before {
			t.Errorf("%v: got %d handles after Close, want 0", p.Origin, e.Live()-before)
		}
		if _, err := doFold(b, e, randomMask(t, p, 2, 1), nil); !errors.Is(err, ErrClosed) {
			t.Errorf("%v: fold after Close: got %v, want ErrClosed", p.Origin, err)
		}
	}
}

// TestMaterialiseConcurrently: the first folds of many goroutines find one bank.
func TestMaterialiseConcurrently(t *testing.T) {
	e := torchtest.Open(t)
	for _, p := range []Properties{smallRandom(), smallWarm(F32, true)} {
		b, m := openBank(t, p), randomMask(t, p, 5, 2)
		var wg sync.WaitGroup
		folds := make([]*Folded, 8)
		start := make(chan struct{})
		for i := range folds {
			wg.Add(1)
			go func() {
				defer wg.Done()
				<-start
				var err error
				if folds[i], err = doFold(b, e, m, nil); err != nil {
					t.Error(err)
				}
			}()
		}
		close(start)
		wg.Wait()
		if len(b.rows[Down]) != p.Blocks || len(b.rows[Up]) != p.Blocks {
			t.Errorf("got %d and %d blocks, want %d", len(b.rows[Down]), len(b.rows[Up]), p.Blocks)
		}
		for _, f := range folds {
			wantFold(t, e, b, m, f)
			f.Free()
		}
	}
}

// TestMaterialiseFails halfway: nothing stays, and the next try starts afresh.
func TestMaterialiseFails(t *testing.T) {
	e := torchtest.Open(t)
	p := smallWarm(F32, false)
	b := openBank(t, p)
	b.props.Bias = true // a region that the file does not have
	before := e.Live()
	var te *torch.Error
	if err := e.Do(context.Background(), b.Materialise); !errors.As(err, &te) {
		t.Errorf("got %v, want an operator's error", err)
	}
	if e.Live() != before || b.rows[Down] != nil {
		t.Errorf("got %d handles and %d blocks, want none", e.Live()-before, len(b.rows[Down]))
	}
	b.props.Bias = false
	m := randomMask(t, p, 3, 1)
	wantFold(t, e, b, m, fold(t, b, e, m, nil))
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
	if b.Digest() != b.file.Digest() || b.Properties() != p || b.Bytes() != p.Bytes() {
		t.Errorf("got %v, %+v, %d bytes, want the file's", b.Digest(), b.Properties(), b.Bytes())
	}
	if err := b.Verify(context.Background()); err != nil {
		t.Errorf("verify: got %v, want nil", err)
	}
	if err := openBank(t, smallRandom()).Verify(context.Background()); err != nil {
		t.Errorf("verify of a random bank: got %v, want nil", err)
	}
}
