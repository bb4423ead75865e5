package model

import (
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/internal/bert"
)

// auto is the fastest precision whose answers are as good as those in float32. docs/decisions.md
// says by what rule, and how that was measured.
const auto = "auto"

var precisions = map[string]bert.Precision{"": bert.Float32, "float32": bert.Float32, "int16": bert.Int16,
	"int8": bert.Int8, auto: bert.Int16}

// CheckPrecision says what is wrong with the name of a precision; "" stands for float32.
func CheckPrecision(name string) error {
	if _, ok := precisions[name]; ok {
		return nil
	}
	if name == "bfloat16" {
		return errors.New("bfloat16 is not built: AVX512_BF16 has half of float32's rate on the processors at hand; " +
			"int16 is faster and more precise")
	}
	return fmt.Errorf("%q is none of float32, int16, int8, auto", name)
}

// UsePrecision chooses what [Encoder.Answer] computes in. It is for before the first pass and after
// [Encoder.UseKernel]. Where the kernel has float32 only, that is what serves.
func (e *Encoder) UsePrecision(name string) error {
	err := CheckPrecision(name)
	if err == nil {
		e.precision = bert.Served(e.kernel, precisions[name])
	}
	return err
}

// Precision says what answers are computed in: "float32", "int16" or "int8".
func (e *Encoder) Precision() string { return e.precision.String() }

// AutoPrecision is what "auto" means on this machine, unless a kernel is forced.
func AutoPrecision() string { return bert.Served("", precisions[auto]).String() }
