package store

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// loaded makes a store of 20,000 profiles of N=150, k=50, L=6.
func loaded(b *testing.B) (*Store, []string) {
	s := newStore(b, fast)
	bank, err := s.PutBank(ctx, BankInfo{Digest: Digest{9}, N: 150, Blocks: 6})
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var batch []*Profile
	var ids []string
	for i := range 20_000 {
		ids = append(ids, fmt.Sprintf("user-%07d", i))
		batch = append(batch, &Profile{ID: ids[i], Bank: bank, Mask: randomMask(r, 150, 50, 6)})
	}
	if err := s.PutBatch(ctx, batch); err != nil {
		b.Fatal(err)
	}
	r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return s, ids
}

func BenchmarkGet(b *testing.B) {
	s, ids := loaded(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := s.Get(ids[i%len(ids)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkOpen walks over the branch pages of 20,000 profiles.
func BenchmarkOpen(b *testing.B) {
	s, _ := loaded(b)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := Open(s.Path(), with(Options{ReadOnly: true}))
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPut is of one profile a transaction, with its fsync.
func BenchmarkPut(b *testing.B) {
	s := newStore(b, nil)
	r := rand.New(rand.NewPCG(1, 2))
	p := randomProfile(r, "ann")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Put(ctx, p, Write{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend adds an example to a profile whose buffer is full.
func BenchmarkAppend(b *testing.B) {
	s := newStore(b, fast)
	full := Write{}
	for i := range s.opts.MaxExamples {
		full.Append = append(full.Append,
			Example{Text: fmt.Sprint("a message of the usual length, number ", i), Label: "label"})
	}
	if _, err := s.Put(ctx, randomProfile(newRand(b), "ann"), full); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.AppendExamples(ctx, "ann",
			[]Example{{Text: fmt.Sprint("another message ", i), Label: "label"}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeProfile(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	record, err := EncodeProfile(&Profile{ID: "ann", Mask: randomMask(r, 150, 50, 6)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeProfile(record); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkExport is of 20,000 profiles.
func BenchmarkExport(b *testing.B) {
	s, _ := loaded(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Export(ctx, io.Discard, ExportOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkImport is of 20,000 profiles into an empty store.
func BenchmarkImport(b *testing.B) {
	s, _ := loaded(b)
	var bundle bytes.Buffer
	if _, err := s.Export(ctx, &bundle, ExportOptions{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		to := newStore(b, with(Options{NoSync: true}))
		b.StartTimer()
		_, err := to.Import(ctx, bytes.NewReader(bundle.Bytes()),
			ImportOptions{AllowBank: func(BankInfo) error { return nil }})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutBatch is of 5,000 new profiles.
func BenchmarkPutBatch(b *testing.B) {
	s := newStore(b, with(Options{NoSync: true}))
	r := rand.New(rand.NewPCG(1, 2))
	batch := make([]*Profile, 5000)
	for i := range batch {
		batch[i] = &Profile{Bank: 1, Mask: randomMask(r, 20, 7, 2)}
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range batch {
			p.ID = fmt.Sprintf("user-%09d", n)
			n++
		}
		if err := s.PutBatch(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRemakeCohorts is of 20,000 profiles.
func BenchmarkRemakeCohorts(b *testing.B) {
	s, _ := loaded(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.writePages(s.makeCohorts); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutRegrouped is BenchmarkPut of a profile whose labels change each
// time, among 20,000.
func BenchmarkPutRegrouped(b *testing.B) {
	s := newStore(b, with(Options{}))
	r := rand.New(rand.NewPCG(1, 2))
	var batch []*Profile
	for i := range 20_000 {
		batch = append(batch, &Profile{ID: fmt.Sprint(i), Bank: 1, Mask: randomMask(r, 20, 5, 2),
			OwnHead: testHead(byte(i), byte(i>>3))})
	}
	if err := s.PutBatch(ctx, batch); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := batch[7]
		p.OwnHead = testHead(byte(i), byte(i>>8))
		if _, err := s.Put(ctx, p, Write{}); err != nil {
			b.Fatal(err)
		}
	}
}
