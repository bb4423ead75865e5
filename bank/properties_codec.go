package bank

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// propertiesSize is the length of encoded Properties.
const propertiesSize = 64

// generatorVersion is the version of the generator that Generate implements. It
// is part of a random bank's digest: another generator is another bank.
const generatorVersion = 1

const randomDomain = "xpeft random bank\x00"

const (
	flagNormB = 1 << iota
	flagBias
	flagsKnown = flagNormB | flagBias
)

// MarshalBinary returns the canonical encoding (docs/format.md, "Bank file").
// It fails if the properties are not valid.
func (p Properties) MarshalBinary() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	b := make([]byte, propertiesSize)
	b[0], b[1], b[3] = byte(p.Origin), byte(p.Activation), byte(p.DType)
	if p.NormB {
		b[2] |= flagNormB
	}
	if p.Bias {
		b[2] |= flagBias
	}
	le := binary.LittleEndian
	le.PutUint32(b[4:], uint32(p.N))
	le.PutUint32(b[8:], uint32(p.Blocks))
	le.PutUint32(b[12:], uint32(p.Hidden))
	le.PutUint32(b[16:], uint32(p.Bottleneck))
	if p.Origin == Random {
		le.PutUint32(b[20:], generatorVersion)
	}
	le.PutUint64(b[24:], p.Seed)
	le.PutUint32(b[32:], math.Float32bits(p.SigmaA))
	le.PutUint32(b[36:], math.Float32bits(p.SigmaB))
	le.PutUint64(b[40:], p.Taps)
	b[48], b[49] = byte(p.Digits), byte(p.Axes)
	le.PutUint32(b[52:], uint32(p.Texts))
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote and nothing else: what it
// accepts is valid and encodes to the same bytes.
func (p *Properties) UnmarshalBinary(b []byte) error {
	if len(b) != propertiesSize {
		return corruptf("properties: %d bytes, want %d", len(b), propertiesSize)
	}
	le := binary.LittleEndian
	dims := [4]int{}
	for i := range dims {
		v := le.Uint32(b[4+4*i:])
		if v > math.MaxInt32 { // an int may have 32 bits
			return corruptf("properties: a dimension is %d", v)
		}
		dims[i] = int(v)
	}
	q := Properties{
		Origin: Origin(b[0]), Activation: Activation(b[1]), DType: DType(b[3]),
		NormB: b[2]&flagNormB != 0, Bias: b[2]&flagBias != 0,
		N: dims[0], Blocks: dims[1], Hidden: dims[2], Bottleneck: dims[3],
		Seed:   le.Uint64(b[24:]),
		SigmaA: math.Float32frombits(le.Uint32(b[32:])),
		SigmaB: math.Float32frombits(le.Uint32(b[36:])),
		Taps:   le.Uint64(b[40:]), Digits: int(b[48]), Axes: int(b[49]),
		Texts: int(min(le.Uint32(b[52:]), math.MaxInt32)),
	}
	if b[2]&^flagsKnown != 0 {
		return corruptf("properties: unknown flags %#x", b[2])
	}
	for i, v := range b[50:] {
		if at := 50 + i; v != 0 && (at < 52 || at >= 56) {
			return corruptf("properties: a reserved byte is not zero")
		}
	}
	if err := q.Validate(); err != nil {
		return corruptf("properties: %v", err)
	}
	if err := checkGenerator(q.Origin, le.Uint32(b[20:])); err != nil {
		return err
	}
	*p = q
	return nil
}

func checkGenerator(o Origin, version uint32) error {
	switch {
	case o != Random && version != 0:
		return corruptf("properties: a %v bank has generator %d", o, version)
	case o == Random && version != generatorVersion:
		return &UnsupportedError{Field: "generator", Value: fmt.Sprint(version), Want: fmt.Sprint(generatorVersion)}
	}
	return nil
}

// Digest returns the digest of a random bank, which its properties determine.
// A warm bank's is in its file; that of axes of either kind is their file's.
func (p Properties) Digest() (Digest, error) {
	if p.Origin != Random {
		return Digest{}, invalidf("the digest of a %v bank is in its file", p.Origin)
	}
	b, err := p.MarshalBinary()
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(append([]byte(randomDomain), b...)), nil
}
