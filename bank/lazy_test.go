package bank

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/xpeft/xpeft/bitmask"
)

// TestLazyRows: a fold of a random bank generates the rows that its mask selects and no others;
// Rows generates all of one side of a block, to the bits of Generate.
func TestLazyRows(t *testing.T) {
	p := smallBank()
	b, err := NewRandom(p)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	m, err := bitmask.New(p.N, 2, p.Blocks)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []Side{Down, Up} {
		for l := range p.Blocks {
			m.Row(side, l).Set(l)
			m.Row(side, l).Set(p.N - 1 - int(side))
		}
	}
	for i := range b.lazy.parts {
		if b.lazy.parts[i].data != nil {
			t.Errorf("part %d: got memory before its first use", i)
		}
	}
	fold(t, b, m, nil)
	for i := range b.lazy.parts {
		side, l := Side(i/p.Blocks), i%p.Blocks
		if got, want := b.lazy.parts[i].made, m.Row(side, l); !slices.Equal(got, want) {
			t.Errorf("%v %d: rows %v are made, want %v", side, l, got, want)
		}
	}
	got, _, err := b.Rows(Up, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []float32
	for adapter := range p.N {
		want = append(want, generated(t, p, Up, 0, adapter)...)
	}
	if !slices.Equal(got, want) {
		t.Error("Rows differ from what Generate makes")
	}
	for i := range b.lazy.parts {
		part, all := &b.lazy.parts[i], 0
		if i != int(Up)*p.Blocks {
			all = p.N - 2
		}
		if part.left != all {
			t.Errorf("part %d: %d rows are left, want %d", i, part.left, all)
		}
	}
}

// TestLazyRowsAtOnce: many callers need overlapping rows of a fresh bank at once, and each finds
// all of its own complete.
func TestLazyRowsAtOnce(t *testing.T) {
	p := smallBank()
	z := newLazyRows(p)
	want := make([]float32, p.Elems())
	var mu sync.Mutex // guards want
	var all sync.WaitGroup
	for caller := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 2 * p.Blocks {
				side, l := Side(i/p.Blocks), i%p.Blocks
				ids := []int32{int32(caller % p.N), int32((caller + 1) % p.N), int32((caller + 2) % p.N)}
				rows := z.need(side, l, ids)
				for _, id := range ids {
					at := int(id) * p.Elems()
					mu.Lock()
					if err := p.Generate(side, l, int(id), want); err != nil ||
						!slices.Equal(rows[at:at+p.Elems()], want) {
						t.Errorf("%v %d: row %d is not what Generate makes (%v)", side, l, id, err)
					}
					mu.Unlock()
				}
			}
		}()
	}
	all.Wait()
}

// BenchmarkFirstFold is what the first answer over a random bank waits for.
func BenchmarkFirstFold(b *testing.B) {
	for _, n := range []int{150, 400} {
		b.Run(fmt.Sprint("N=", n), func(b *testing.B) {
			p := Properties{Origin: Random, N: n, Blocks: 6, Hidden: 384, Bottleneck: 24, NormB: true, Seed: 1,
				SigmaA: 0.03, SigmaB: 0.05}
			m := randomMask(b, p, 50, 1)
			for b.Loop() {
				bank := openBank(b, p)
				fold(b, bank, m, nil)
				bank.Close()
			}
		})
	}
}
