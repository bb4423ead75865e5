package bank

import (
	"context"
	"fmt"
	"sync"
)

// Bank is N frozen adapters. It is safe for concurrent use. A random bank generates each adapter
// into memory at its first use; a warm bank's weights are views of its file, each row checked at
// its first use.
type Bank struct {
	props  Properties
	digest Digest
	affine []float32
	file   *File     // nil for a random bank
	lazy   *lazyRows // nil for a warm one

	mu     sync.Mutex
	closed bool
	tables [2][]table // of a warm bank: views of the file
}

// NewRandom makes a random bank. It costs nothing until it is used.
func NewRandom(p Properties) (*Bank, error) {
	if p.Origin != Random {
		return nil, fmt.Errorf("%w: a warm bank is a file, not a seed", ErrInvalid)
	}
	digest, err := p.Digest()
	if err != nil {
		return nil, err
	}
	return &Bank{props: p, digest: digest, affine: DefaultAffine(p), lazy: newLazyRows(p)}, nil
}

// FromFile makes a bank of a bank file and takes it over: Close closes it.
func FromFile(f *File) *Bank {
	b := &Bank{props: f.Properties(), digest: f.Digest(), file: f, affine: f.Affine()}
	for side := range b.tables {
		for l := range b.props.Blocks {
			b.tables[side] = append(b.tables[side], table{view(f.region(Side(side), l), b.props.DType),
				view(f.biasRegion(Side(side), l), b.props.DType)})
		}
	}
	return b
}

// Properties never change. Digest names the bank. Affine is LN_b's default, [L][2][b], from which a
// profile starts; do not write it.
func (b *Bank) Properties() Properties { return b.props }
func (b *Bank) Digest() Digest         { return b.digest }
func (b *Bank) Affine() []float32      { return b.affine }

// Verify reads a warm bank's file whole and compares its SHA-256; a random bank has nothing to
// verify.
func (b *Bank) Verify(ctx context.Context) error {
	if b.file == nil {
		return nil
	}
	return b.file.Verify(ctx)
}

// Close frees the weights and closes the file. Nothing may use the bank while it closes; what does
// later gets [ErrClosed].
func (b *Bank) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.lazy, b.tables = true, nil, [2][]table{}
	if b.file != nil {
		return b.file.Close()
	}
	return nil
}
