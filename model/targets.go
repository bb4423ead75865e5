package model

import (
	"math/bits"
	"strings"
)

// Targets are the projections of a block's attention that an adapter adds to, as bits. One that has
// them is a LoRA; none makes it a bottleneck adapter, after the block.
type Targets uint8

const (
	Query Targets = 1 << iota
	Key
	Value
)

var targetNames = [...]string{"query", "key", "value"}

// Count is how many there are.
func (t Targets) Count() int { return bits.OnesCount8(uint8(t)) }

// Valid says whether there are no others than the three.
func (t Targets) Valid() bool { return t <= Query|Key|Value }

// Names are those of the projections, in the order of the bits.
func (t Targets) Names() []string {
	names := []string{}
	for i, name := range targetNames {
		if t>>i&1 != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String is the names, joined by commas.
func (t Targets) String() string { return strings.Join(t.Names(), ",") }
