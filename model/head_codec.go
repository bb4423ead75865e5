package model

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The bytes of a head, little-endian: "XPH", version 1, flags (bit 0: two layers), C-or-0 and d as
// varints, the labels (varint length, bytes), the counts as varints, then float32s: W, B and, with
// two layers, W1, B1. Nothing follows.

const (
	headMagic    = "XPH\x01"
	headTwoLayer = 1
)

// MarshalBinary encodes a valid head.
func (h *Head) MarshalBinary() ([]byte, error) {
	if err := h.Validate(); err != nil {
		return nil, err
	}
	out := []byte(headMagic)
	flags := byte(0)
	if h.W1 != nil {
		flags |= headTwoLayer
	}
	out = append(out, flags)
	out = binary.AppendUvarint(out, uint64(len(h.Labels)))
	out = binary.AppendUvarint(out, uint64(h.Hidden))
	for _, l := range h.Labels {
		out = binary.AppendUvarint(out, uint64(len(l)))
		out = append(out, l...)
	}
	for _, n := range h.Counts {
		out = binary.AppendUvarint(out, uint64(n))
	}
	for _, ws := range [][]float32{h.W, h.B, h.W1, h.B1} {
		for _, w := range ws {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(w))
		}
	}
	return out, nil
}

// UnmarshalBinary decodes what MarshalBinary wrote; anything else is an error that wraps ErrHead,
// and h is left as it was. It never allocates more than a few times the data's length.
func (h *Head) UnmarshalBinary(data []byte) error {
	r := headReader{data: data}
	if string(r.bytes(len(headMagic))) != headMagic {
		return fmt.Errorf("%w: not a head, or of a newer version", ErrHead)
	}
	flags := r.bytes(1)
	labels, d := r.uvarint(MaxLabels), r.uvarint(maxHidden)
	if r.bad || flags[0]&^headTwoLayer != 0 || d == 0 || labels > len(r.data) {
		return fmt.Errorf("%w: bad header", ErrHead)
	}
	var got Head
	got.Hidden = d
	for range labels {
		got.Labels = append(got.Labels, string(r.bytes(r.uvarint(MaxLabelBytes))))
	}
	C := got.Outputs()
	for range C {
		got.Counts = append(got.Counts, uint32(r.uvarint(math.MaxUint32)))
	}
	got.W, got.B = r.floats(C*d), r.floats(C)
	if flags[0]&headTwoLayer != 0 {
		got.W1, got.B1 = r.floats(d*d), r.floats(d)
	}
	if r.bad || len(r.data) != 0 {
		return fmt.Errorf("%w: cut short, or with a tail", ErrHead)
	}
	if err := got.Validate(); err != nil {
		return err
	}
	*h = got
	return nil
}

// headReader remembers that something was missing, so that the decoder reads like the format.
type headReader struct {
	data []byte
	bad  bool
}

func (r *headReader) bytes(n int) []byte {
	if r.bad || n > len(r.data) {
		r.bad = true
		return make([]byte, min(n, MaxLabelBytes))
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// uvarint accepts the shortest form only: a value has one encoding.
func (r *headReader) uvarint(limit uint64) int {
	v, n := binary.Uvarint(r.data)
	if r.bad || n <= 0 || v > limit || n > 1 && r.data[n-1] == 0 {
		r.bad = true
		return 0
	}
	r.data = r.data[n:]
	return int(v)
}

func (r *headReader) floats(n int) []float32 {
	if r.bad || n > len(r.data)/4 {
		r.bad = true
		return nil
	}
	raw, out := r.bytes(4*n), make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}
