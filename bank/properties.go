package bank

import (
	"fmt"
	"math"
	"strings"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/model"
)

// Side says which half of an adapter is meant.
type Side = bitmask.Side

// Down is A, which maps d to b; Up is B, which maps b back to d.
const (
	Down = bitmask.Down
	Up   = bitmask.Up
)

// Limits of a bank. They keep every size computed from properties within int64,
// so that properties from outside can be checked before anything is allocated.
const (
	MaxAdapters   = bitmask.MaxAdapters
	MaxBlocks     = bitmask.MaxBlocks
	MaxHidden     = 65_536
	MaxBottleneck = 65_536
	MaxBytes      = 1 << 40 // of all weights and biases together
)

// Default standard deviations of a random bank's entries. LN_b takes Down's scale out; Up's decides
// how far a profile can move the encoder's states: docs/decisions.md has what was measured.
const (
	DefaultSigmaA = 0.03
	DefaultSigmaB = 0.2
)

// Bounds of a random bank's standard deviations: within them no entry
// overflows, and scaling by a power of two is exact.
const (
	minSigma = 1e-6
	maxSigma = 1e3
)

// Origin says where a bank came from.
type Origin uint8

const (
	Random    Origin = iota // a seed
	Warm                    // adapters trained on earlier profiles, or imported
	HeadAxes                // no adapters: directions of a head, type Axes
	JointAxes               // the same, learned from people: type Joint
)

// Activation is the function between the two halves of an adapter.
type Activation uint8

const (
	Identity Activation = iota
	ReLU
)

// DType is the type in which a bank stores its entries.
type DType uint8

const (
	F32 DType = iota
	F16
)

// size returns the bytes of one entry.
func (t DType) size() int {
	if t == F16 {
		return 2
	}
	return 4
}

// Properties are all that a bank is, but for a warm bank's weights. They never
// change after a bank was made. Two equal values encode to the same bytes. Of axes, a
// direction has Hidden × Bottleneck entries: Bottleneck is the number of Taps, and of
// joint axes, which are over all of φ, that of labels.
type Properties struct {
	Origin     Origin
	N          int // adapters
	Blocks     int // L
	Hidden     int // d
	Bottleneck int // b
	Activation Activation
	NormB      bool // LN_b, between Down and the activation
	Bias       bool // each Down has b biases, each Up d
	DType      DType
	Targets    model.Targets // of LoRAs, whose rank is Bottleneck by their number; 0 in other banks

	// Of a random bank; zero in a warm one.
	Seed   uint64
	SigmaA float32 // of Down's entries
	SigmaB float32 // of Up's entries

	// Of axes; zero in other banks.
	Digits int    // of an axis: N is twice the axes times the digits
	Taps   uint64 // bit t: the states after block t are read; 0: the embeddings

	// Of joint axes, whose digits differ; zero in other banks.
	Axes  int
	Texts int // that have parts of their own
}

// Elems returns the number of weights of one adapter's half in one block,
// which is the same for both.
func (p Properties) Elems() int { return p.Hidden * p.Bottleneck }

// BiasElems returns the number of biases of one adapter's half in one block:
// b for Down, d for Up, 0 where the bank has no biases.
func (p Properties) BiasElems(side Side) int {
	switch {
	case !p.Bias:
		return 0
	case side == Down:
		return p.Bottleneck
	default:
		return p.Hidden
	}
}

// AffineElems returns the number of LN_b's affine parameters, [L][2][b].
func (p Properties) AffineElems() int { return p.Blocks * 2 * p.Bottleneck }

// Bytes returns the size of all weights and biases. It is exact for properties
// that pass Validate.
func (p Properties) Bytes() int64 {
	switch p.Origin {
	case HeadAxes:
		return p.axesBytes()
	case JointAxes:
		return p.jointBytes()
	}
	row := 2 * int64(p.Hidden) * int64(p.Bottleneck)
	if p.Bias {
		row += int64(p.Hidden) + int64(p.Bottleneck)
	}
	return int64(p.Blocks) * int64(p.N) * row * int64(p.DType.size())
}

// FoldedBytes returns the memory that one folded adapter takes, in float32.
func (p Properties) FoldedBytes() int64 {
	n := 2*p.Elems() + p.BiasElems(Down) + p.BiasElems(Up)
	if p.NormB {
		n += 2 * p.Bottleneck
	}
	return 4 * int64(n) * int64(p.Blocks)
}

// Validate returns nil or an error that wraps ErrInvalid and lists every fault.
func (p Properties) Validate() error {
	var faults []string
	bad := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	inRange := func(name string, v, most int) {
		if v < 1 || v > most {
			bad("%s is %d, want 1 to %d", name, v, most)
		}
	}
	inRange("N", p.N, MaxAdapters)
	inRange("Blocks", p.Blocks, MaxBlocks)
	inRange("Hidden", p.Hidden, MaxHidden)
	inRange("Bottleneck", p.Bottleneck, MaxBottleneck)
	if p.Activation > ReLU {
		bad("Activation is %d, want Identity or ReLU", p.Activation)
	}
	if p.DType > F16 {
		bad("DType is %d, want F32 or F16", p.DType)
	}
	switch p.Origin {
	case Random:
		p.validateRandom(bad)
	case Warm:
		p.validateSeedless(bad)
	case HeadAxes:
		p.validateAxes(bad)
	case JointAxes:
		p.validateJoint(bad)
	default:
		bad("Origin is %d, want Random, Warm, HeadAxes or JointAxes", p.Origin)
	}
	if p.Origin != JointAxes && (p.Axes != 0 || p.Texts != 0) {
		bad("a %v bank has no Axes and no Texts", p.Origin)
	}
	p.validateTargets(bad)
	if p.Origin != HeadAxes && (p.Digits != 0 || p.Taps != 0) {
		bad("a %v bank has no Digits or Taps", p.Origin)
	}
	// Only in range is the size's product known not to overflow.
	if len(faults) == 0 && p.Bytes() > min(MaxBytes, math.MaxInt/2) {
		bad("the bank has %d bytes, want at most %d", p.Bytes(), int64(min(MaxBytes, math.MaxInt/2)))
	}
	if len(faults) > 0 {
		return invalidf("%s", strings.Join(faults, "; "))
	}
	return nil
}

func (p Properties) validateSeedless(bad func(string, ...any)) {
	if p.Seed != 0 || math.Float32bits(p.SigmaA) != 0 || math.Float32bits(p.SigmaB) != 0 {
		bad("a %v bank has no Seed, SigmaA or SigmaB", p.Origin)
	}
}

// Reach is how many of an encoder's last blocks the bank's adapters change something in the output
// of, or in the attention: [model.Adapter.Reach].
func (p Properties) Reach() int {
	return (&model.Adapter{Blocks: p.Blocks, Targets: p.Targets}).Reach()
}

func (p Properties) validateTargets(bad func(string, ...any)) {
	switch {
	case p.Targets == 0:
	case !p.Targets.Valid() || p.Bottleneck%p.Targets.Count() != 0:
		bad("Bottleneck is %d for the Targets %d: want some of query, key and value, of one rank", p.Bottleneck,
			p.Targets)
	case p.Origin != Warm || p.Activation != Identity || p.NormB || p.Bias:
		bad("LoRAs are a warm bank, without activation, LN_b and biases")
	}
}

func (p Properties) validateRandom(bad func(string, ...any)) {
	sigma := func(name string, v float32) {
		// Written so that a NaN is out of range.
		if !(v >= minSigma && v <= maxSigma) {
			bad("%s is %g, want %g to %g", name, v, minSigma, maxSigma)
		}
	}
	sigma("SigmaA", p.SigmaA)
	sigma("SigmaB", p.SigmaB)
	if p.Bias {
		bad("a random bank has no biases")
	}
	if p.DType != F32 {
		bad("a random bank is F32")
	}
}

// checkRow says whether (side, block, adapter) is in the bank.
func (p *Properties) checkRow(side Side, block, adapter int) error {
	if p.hasRow(side, block, adapter) {
		return nil
	}
	if side != Down && side != Up {
		return invalidf("side %d", side)
	}
	if block < 0 || block >= p.Blocks {
		return invalidf("block %d of %d", block, p.Blocks)
	}
	return invalidf("adapter %d of %d", adapter, p.N)
}

// hasRow is checkRow without the reasons, short enough to be inlined.
func (p *Properties) hasRow(side Side, block, adapter int) bool {
	return uint(side) <= 1 && uint(block) < uint(p.Blocks) && uint(adapter) < uint(p.N)
}

func (o Origin) String() string     { return nameOf([]string{"random", "warm", "axes", "joint"}, o) }
func (a Activation) String() string { return nameOf([]string{"identity", "relu"}, a) }
func (t DType) String() string      { return nameOf([]string{"F32", "F16"}, t) }

func nameOf[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%d", uint8(v))
}
