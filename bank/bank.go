//go:build cgo

package bank

import (
	"context"
	"fmt"
	"sync"

	"github.com/xpeft/xpeft/internal/torch"
)

// Bank is N frozen adapters on an engine's device. It is safe for concurrent use. A random bank has one contiguous block, [2,L,N,d·b], and on a CPU
// generates each adapter at its first use; a warm bank's weights are views of its file, which nothing copies on a CPU.
type Bank struct {
	props  Properties
	digest Digest
	file   *File // nil for a random bank
	affine []float32

	mu     sync.Mutex
	ready  bool
	closed bool
	rows   [2][]torch.Tensor // [side][block]: [N,d·b], float32 or float16
	bias   [2][]torch.Tensor // [side][block]: [N,b] or [N,d]; none without biases
	held   []*torch.Held
	lazy   *lazyRows // of a random bank on a CPU
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
	return &Bank{props: p, digest: digest, affine: DefaultAffine(p)}, nil
}

// FromFile makes a bank of a bank file and takes it over: Close closes it.
func FromFile(f *File) *Bank {
	return &Bank{props: f.Properties(), digest: f.Digest(), file: f, affine: f.Affine()}
}

// Properties never change. Digest names the bank. Affine is LN_b's default, [L][2][b], from which a profile starts; do not write it.
func (b *Bank) Properties() Properties { return b.props }
func (b *Bank) Digest() Digest         { return b.digest }
func (b *Bank) Affine() []float32      { return b.affine }

// Materialise makes the weights ready on the engine of s, which all later calls must share; the first fold does it by itself. On a CPU it costs next to nothing:
// what a random bank has to generate is left to whoever first uses a row. On a GPU all is generated: N=150, L=6, d=384, b=24 is 16.6 M entries, tens of milliseconds.
func (b *Bank) Materialise(s *torch.Scope) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if b.ready {
		return nil
	}
	defer func() {
		if !b.ready { // an operator may have failed halfway
			b.release()
		}
	}()
	if b.file != nil {
		b.mapRegions(s)
	} else if err := b.generate(s); err != nil {
		return err
	}
	b.ready = true
	return nil
}

func (b *Bank) generate(s *torch.Scope) (err error) {
	p, size := b.props, b.props.N*b.props.Elems()
	lazy := s.Engine().Device() == torch.CPU
	all := s.FillFloat32s(func(dst []float32) {
		if lazy {
			b.lazy = newLazyRows(p, dst)
			return
		}
		for i := 0; i < 2*p.Blocks && err == nil; i++ {
			err = p.GenerateBlock(Side(i/p.Blocks), i%p.Blocks, dst[i*size:(i+1)*size])
		}
	}, int64(2*p.Blocks), int64(p.N), int64(p.Elems()))
	if err != nil {
		return err
	}
	b.keep(s, all)
	for i := range 2 * p.Blocks {
		side := Side(i / p.Blocks)
		b.rows[side] = append(b.rows[side], b.keep(s, s.Select(all, 0, int64(i))))
	}
	return nil
}

func (b *Bank) mapRegions(s *torch.Scope) {
	p, kind := b.props, torch.Float32
	if p.DType == F16 {
		kind = torch.Float16
	}
	for _, side := range []Side{Down, Up} {
		for l := range p.Blocks {
			b.rows[side] = append(b.rows[side], b.keep(s, s.Map(b.file.Region(side, l), kind, int64(p.N), int64(p.Elems()))))
			if p.Bias {
				b.bias[side] = append(b.bias[side], b.keep(s, s.Map(b.file.BiasRegion(side, l), kind, int64(p.N), int64(p.BiasElems(side)))))
			}
		}
	}
}

func (b *Bank) keep(s *torch.Scope, t torch.Tensor) torch.Tensor {
	h := s.Keep(t)
	b.held = append(b.held, h)
	return h.Tensor
}

// Bytes is what the materialised bank takes: memory for a random one, as far as it was used, mapped file for a warm one.
func (b *Bank) Bytes() int64 { return b.props.Bytes() }

// Verify reads a warm bank's file whole and compares its SHA-256; a random bank has nothing to verify.
func (b *Bank) Verify(ctx context.Context) error {
	if b.file == nil {
		return nil
	}
	return b.file.Verify(ctx)
}

func (b *Bank) release() {
	for _, h := range b.held {
		h.Free()
	}
	b.lazy, b.held, b.rows, b.bias, b.ready = nil, nil, [2][]torch.Tensor{}, [2][]torch.Tensor{}, false
}

// Close frees the weights and closes the file. Nothing may use the bank while it closes; what does later gets [ErrClosed].
func (b *Bank) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.release()
	b.closed = true
	if b.file != nil {
		return b.file.Close()
	}
	return nil
}
