package model

import (
	"fmt"

	"github.com/xpeft/xpeft/internal/bert"
)

// auto is the fastest precision whose answers are as good as those in float32. docs/decisions.md
// says by what rule, and how that was measured.
const auto = "auto"

// precisions are those that serve, the first that the kernel has.
var precisions = map[string][]bert.Precision{"": nil, "float32": nil, "bfloat16": {bert.BFloat16},
	"int16": {bert.Int16}, "int8": {bert.Int8}, auto: {bert.BFloat16, bert.Int16}}

// CheckPrecision says what is wrong with the name of a precision; "" stands for float32.
func CheckPrecision(name string) error {
	if _, ok := precisions[name]; !ok {
		return fmt.Errorf("%q is none of float32, bfloat16, int16, int8, auto", name)
	}
	return nil
}

// served is what a kernel answers in where that precision is asked for.
func served(kernel, name string) bert.Precision {
	for _, p := range precisions[name] {
		if bert.Served(kernel, p) == p {
			return p
		}
	}
	return bert.Float32
}

// UsePrecision chooses what [Encoder.Answer] computes in. It is for before the first pass and after
// [Encoder.UseKernel]. Where the kernel lacks that precision, float32 serves.
func (e *Encoder) UsePrecision(name string) error {
	err := CheckPrecision(name)
	if err == nil {
		e.precision = served(e.kernel, name)
	}
	return err
}

// Precision says what answers are computed in: "float32", "bfloat16", "int16" or "int8".
func (e *Encoder) Precision() string { return e.precision.String() }

// AutoPrecision is what "auto" means on this machine, unless a kernel is forced.
func AutoPrecision() string { return served("", auto).String() }
