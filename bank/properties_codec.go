package bank

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/xpeft/xpeft/model"
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
)

// record is how properties are encoded, little-endian (docs/format.md, "Bank file").
type record struct {
	Origin                        Origin
	Activation                    Activation
	Flags                         uint8
	DType                         DType
	N, Blocks, Hidden, Bottleneck uint32
	Generator                     uint32 // of a random bank
	Seed                          uint64
	SigmaA, SigmaB                float32
	Taps                          uint64
	Digits, Axes                  uint8
	Targets                       model.Targets // of LoRAs
	_                             [1]byte
	Texts                         uint32
	_                             [8]byte
}

// MarshalBinary returns the canonical encoding. It fails if the properties are not valid.
func (p Properties) MarshalBinary() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	r := record{Origin: p.Origin, Activation: p.Activation, DType: p.DType,
		N: uint32(p.N), Blocks: uint32(p.Blocks), Hidden: uint32(p.Hidden), Bottleneck: uint32(p.Bottleneck),
		Seed: p.Seed, SigmaA: p.SigmaA, SigmaB: p.SigmaB,
		Taps: p.Taps, Digits: uint8(p.Digits), Axes: uint8(p.Axes), Texts: uint32(p.Texts), Targets: p.Targets}
	if p.NormB {
		r.Flags |= flagNormB
	}
	if p.Bias {
		r.Flags |= flagBias
	}
	if p.Origin == Random {
		r.Generator = generatorVersion
	}
	return binary.Append(nil, binary.LittleEndian, r)
}

// UnmarshalBinary reads what MarshalBinary wrote and nothing else: what it
// accepts is valid and encodes to the same bytes.
func (p *Properties) UnmarshalBinary(b []byte) error {
	if len(b) != propertiesSize {
		return corruptf("properties: %d bytes, want %d", len(b), propertiesSize)
	}
	var r record
	binary.Decode(b, binary.LittleEndian, &r) // whose length was checked
	q := Properties{Origin: r.Origin, Activation: r.Activation, DType: r.DType,
		NormB: r.Flags&flagNormB != 0, Bias: r.Flags&flagBias != 0,
		N: int(r.N), Blocks: int(r.Blocks), Hidden: int(r.Hidden), Bottleneck: int(r.Bottleneck),
		Seed: r.Seed, SigmaA: r.SigmaA, SigmaB: r.SigmaB,
		Taps: r.Taps, Digits: int(r.Digits), Axes: int(r.Axes), Texts: int(r.Texts), Targets: r.Targets}
	again, err := q.MarshalBinary()
	switch {
	case err != nil:
		return corruptf("properties: %v", err)
	case q.Origin == Random && r.Generator != generatorVersion:
		return &UnsupportedError{Field: "generator", Value: fmt.Sprint(r.Generator), Want: fmt.Sprint(generatorVersion)}
	case !bytes.Equal(again, b):
		return corruptf("properties: a generator, a flag or a byte that such a bank does not have")
	}
	*p = q
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

// A Digest is the SHA-256 that names a bank: of a random bank's properties, of a
// warm bank's properties, affine and weights, or of the whole file of axes. As text
// it is 64 lower-case hexadecimal digits, which is also the name of a bank's file.
type Digest [sha256.Size]byte

// String returns the text form.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }
