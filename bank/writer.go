package bank

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/xpeft/xpeft/internal/half"
)

// A RowFunc returns one adapter's half in one block: Elems() weights, row-major as
// they are applied (Down is d×b, Up is b×d), and BiasElems(side) biases. It may
// reuse the slices in its next call.
type RowFunc func(side Side, block, adapter int) (weights, bias []float32, err error)

// Write writes the bank file of a warm bank to w, from its beginning, and returns
// its digest. Bytes of w that are not written to must be zero. A nil affine means
// ones and zeros. Entries are rounded to the bank's DType, to nearest, ties to even;
// what is then not finite is refused.
func Write(ctx context.Context, w io.WriterAt, p Properties, affine []float32, row RowFunc) (Digest, error) {
	enc, err := newEncoder(p, affine)
	if err != nil {
		return Digest{}, err
	}
	for block := range p.Blocks {
		for _, side := range []Side{Down, Up} {
			if err := enc.region(ctx, w, side, block, row); err != nil {
				return Digest{}, err
			}
		}
	}
	return enc.finish(w)
}

// encoder carries what the header needs: the rows' CRCs and the digest so far.
type encoder struct {
	layout
	affineBytes []byte
	checkBytes  []byte
	sum         hash.Hash
	buf         []byte
}

func newEncoder(p Properties, affine []float32) (*encoder, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if p.Origin != Warm {
		return nil, invalidf("a %v bank has no file", p.Origin)
	}
	if affine == nil {
		affine = DefaultAffine(p)
	}
	if len(affine) != p.AffineElems() {
		return nil, invalidf("affine of %d entries, want %d", len(affine), p.AffineElems())
	}
	e := &encoder{layout: newLayout(p)}
	e.affineBytes = appendEntries(nil, affine, F32)
	if i := notFinite(e.affineBytes, F32); i >= 0 {
		return nil, invalidf("affine: entry %d is %v", i, affine[i])
	}
	e.checkBytes = make([]byte, 0, e.checks.len)
	e.sum = newDigester(p, e.affineBytes)
	return e, nil
}

// DefaultAffine returns LN_b's affine of a bank that has none of its own: ones, and
// zeros.
func DefaultAffine(p Properties) []float32 {
	affine := make([]float32, p.AffineElems())
	for block := range p.Blocks {
		scales := affine[block*2*p.Bottleneck:][:p.Bottleneck]
		for i := range scales {
			scales[i] = 1
		}
	}
	return affine
}

// region writes all adapters' rows of one side in one block.
func (e *encoder) region(ctx context.Context, w io.WriterAt, side Side, block int, row RowFunc) error {
	const buffer = 1 << 18
	weights := bufio.NewWriterSize(io.NewOffsetWriter(w, e.weights(side, block).off), buffer)
	biases := bufio.NewWriterSize(io.NewOffsetWriter(w, e.biases(side, block).off), buffer)
	for adapter := range e.p.N {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("bank: write: %w", err)
		}
		v, b, err := row(side, block, adapter)
		if err != nil {
			return fmt.Errorf("bank: write block %d %v adapter %d: %w", block, side, adapter, err)
		}
		if err := e.encode(side, v, b); err != nil {
			return fmt.Errorf("block %d %v adapter %d: %w", block, side, adapter, err)
		}
		split := e.weightBytes()
		weights.Write(e.buf[:split]) // errors stay until Flush
		biases.Write(e.buf[split:])
	}
	if err := weights.Flush(); err != nil {
		return fmt.Errorf("bank: write: %w", err)
	}
	if err := biases.Flush(); err != nil {
		return fmt.Errorf("bank: write: %w", err)
	}
	return nil
}

// encode puts a row's bytes into buf and counts them in.
func (e *encoder) encode(side Side, weights, bias []float32) error {
	if len(weights) != e.p.Elems() || len(bias) != e.p.BiasElems(side) {
		return invalidf("%d weights and %d biases, want %d and %d",
			len(weights), len(bias), e.p.Elems(), e.p.BiasElems(side))
	}
	e.buf = appendEntries(e.buf[:0], weights, e.p.DType)
	e.buf = appendEntries(e.buf, bias, e.p.DType)
	if i := notFinite(e.buf, e.p.DType); i >= 0 {
		v := append(append([]float32(nil), weights...), bias...)[i]
		return invalidf("entry %d, %v, is not finite as %v", i, v, e.p.DType)
	}
	e.checkBytes = binary.LittleEndian.AppendUint32(e.checkBytes, crc32.Checksum(e.buf, castagnoli))
	e.sum.Write(e.buf)
	return nil
}

func appendEntries(dst []byte, src []float32, t DType) []byte {
	if t == F32 {
		dst, _ = binary.Append(dst, binary.LittleEndian, src) // float32s always encode
		return dst
	}
	for _, v := range src {
		dst = binary.LittleEndian.AppendUint16(dst, half.From(v))
	}
	return dst
}

// finish writes what precedes the rows. The header comes last: a file that was cut
// off while it was written has none.
func (e *encoder) finish(w io.WriterAt) (Digest, error) {
	crc := crc32.Checksum(e.affineBytes, castagnoli)
	crc = crc32.Update(crc, castagnoli, e.checkBytes)
	h := header{layout: e.layout, digest: Digest(e.sum.Sum(nil)), checksCRC: crc}
	writes := []struct {
		b   []byte
		off int64
	}{{e.affineBytes, e.affine.off}, {e.checkBytes, e.checks.off}, {h.encode(), 0}}
	for _, it := range writes {
		if _, err := w.WriteAt(it.b, it.off); err != nil {
			return Digest{}, fmt.Errorf("bank: write: %w", err)
		}
	}
	return h.digest, nil
}
