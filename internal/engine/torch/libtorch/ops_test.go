//go:build torch && cgo

package libtorch

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"unsafe"
)

// TestOperators compares each operator with what its definition gives on a few numbers.
func TestOperators(t *testing.T) {
	e := open(t, Config{})
	do(t, e, func(s *Scope) {
		a := s.Float32s([]float32{1, -2, 3, 4}, 2, 2)
		b := s.Float32s([]float32{2, 1, 0.5, -1}, 2, 2)
		v := s.Float32s([]float32{10, 20}, 2)
		none := Tensor{}
		cube := s.Float32s([]float32{0, 1, 2, 3, 4, 5}, 1, 2, 3)
		one := s.Float32s([]float32{1}, 1)
		tanh := func(x float64) float32 { return float32(math.Tanh(x)) }
		for name, c := range map[string]struct {
			got  Tensor
			want []float32
		}{
			"Add":         {s.Add(a, v), []float32{11, 18, 13, 24}},
			"Mul":         {s.Mul(a, b), []float32{2, -2, 1.5, -4}},
			"ReLU":        {s.ReLU(a), []float32{1, 0, 3, 4}},
			"Tanh":        {s.Tanh(b), []float32{tanh(2), tanh(1), tanh(0.5), tanh(-1)}},
			"GELU":        {s.GELU(one, false), []float32{0.8413447}}, // Φ(1)
			"GELU tanh":   {s.GELU(one, true), []float32{0.841192}},
			"Softmax":     {s.Softmax(s.Float32s([]float32{0, float32(math.Log(3))}, 1, 2)), []float32{0.25, 0.75}},
			"ToFloat32":   {s.ToFloat32(s.Int64s([]int64{7, -7}, 2)), []float32{7, -7}},
			"CopyFloat32": {s.CopyFloat32(v), []float32{10, 20}},
			"MatMul":      {s.MatMul(a, b), []float32{1, 3, 8, -1}},
			"BMM":         {s.BMM(s.View(a, 2, 1, 2), s.View(b, 2, 2, 1)), []float32{0, -2.5}},
			"AddBMM": {s.AddBMM(s.Float32s([]float32{1}, 1, 1, 1), s.View(a, 2, 1, 2), s.View(b, 2, 2, 1), 2),
				[]float32{1, -4}},
			"Linear":        {s.Linear(a, b, v), []float32{10, 22.5, 20, 17.5}},
			"Linear, none":  {s.Linear(a, b, none), []float32{0, 2.5, 10, -2.5}},
			"LayerNorm":     {s.LayerNorm(a, v, v, 2, 0), []float32{20, 0, 0, 40}},
			"LayerNorm, no": {s.LayerNorm(a, none, none, 2, 0), []float32{1, -1, -1, 1}},
			"Embedding":     {s.Embedding(a, s.Int64s([]int64{1, 0, 1}, 3)), []float32{3, 4, 1, -2, 3, 4}},
			"IndexSelect":   {s.IndexSelect(a, 1, s.Int64s([]int64{1}, 1)), []float32{-2, 4}},
			"SumRows": {s.SumRows(a, s.Int64s([]int64{1, 0, 1}, 3), s.Int64s([]int64{0, 2}, 2)),
				[]float32{4, 2, 3, 4}},
			"SumDim":       {s.SumDim(a, 1), []float32{-1, 7}},
			"SumDim, all":  {s.SumDim(a, 0, 1), []float32{6}},
			"Transpose":    {s.Transpose(a, 0, 1), []float32{1, 3, -2, 4}},
			"Contiguous":   {s.Contiguous(s.Transpose(a, 0, 1)), []float32{1, 3, -2, 4}},
			"Reshape":      {s.Reshape(s.Transpose(a, 0, 1), 4), []float32{1, 3, -2, 4}},
			"Narrow":       {s.Narrow(cube, 2, 1, 2), []float32{1, 2, 4, 5}},
			"Select":       {s.Select(cube, 1, 1), []float32{3, 4, 5}},
			"Expand":       {s.Expand(v, 2, 2), []float32{10, 20, 10, 20}},
			"Cat":          {s.Cat([]Tensor{a, b}, 1), []float32{1, -2, 2, 1, 3, 4, 0.5, -1}},
			"Zeros":        {s.Zeros(Float32, 3), []float32{0, 0, 0}},
			"FillFloat32s": {s.FillFloat32s(func(x []float32) { x[0], x[1] = 1, 2 }, 2), []float32{1, 2}},
			"no elements":  {s.Float32s(nil, 0, 3), nil},
			"a scalar":     {s.Float32s([]float32{5}), []float32{5}},
		} {
			t.Run(name, func(t *testing.T) { wantValues(t, s, c.got, c.want...) })
		}
	})
}

// TestOperatorsFail: a bad call is an *Error that names the operator, in one line, never a crash.
func TestOperatorsFail(t *testing.T) {
	e := open(t, Config{Workers: 1})
	for op, f := range map[string]func(s *Scope, a, b Tensor){
		"add":          func(s *Scope, a, b Tensor) { s.Add(a, b) },
		"bmm":          func(s *Scope, a, b Tensor) { s.BMM(a, b) },
		"addbmm":       func(s *Scope, a, b Tensor) { s.AddBMM(a, a, b, 1) },
		"linear":       func(s *Scope, a, b Tensor) { s.Linear(a, b, Tensor{}) },
		"layer norm":   func(s *Scope, a, b Tensor) { s.LayerNorm(a, b, b, 3, 0) },
		"embedding":    func(s *Scope, a, b Tensor) { s.Embedding(a, s.Int64s([]int64{2}, 1)) },
		"index select": func(s *Scope, a, b Tensor) { s.IndexSelect(a, 0, b) },
		"view":         func(s *Scope, a, b Tensor) { s.View(a, 7) },
		"embedding bag": func(s *Scope, a,
			b Tensor) {
			s.SumRows(a, s.Int64s([]int64{-1}, 1), s.Int64s([]int64{0}, 1))
		},
		"reshape":    func(s *Scope, a, b Tensor) { s.Reshape(a, 7) },
		"transpose":  func(s *Scope, a, b Tensor) { s.Transpose(a, 0, 2) },
		"narrow":     func(s *Scope, a, b Tensor) { s.Narrow(a, 0, 1, 2) },
		"select":     func(s *Scope, a, b Tensor) { s.Select(a, 0, 2) },
		"expand":     func(s *Scope, a, b Tensor) { s.Expand(a, 5, 2) },
		"cat":        func(s *Scope, a, b Tensor) { s.Cat([]Tensor{a, b}, 0) },
		"join":       func(s *Scope, a, b Tensor) { s.Cat(nil, 0) },
		"zeros":      func(s *Scope, a, b Tensor) { s.Zeros(Float32, -1) },
		"empty":      func(s *Scope, a, b Tensor) { s.FillFloat32s(func([]float32) {}, -1) },
		"new tensor": func(s *Scope, a, b Tensor) { s.Float32s([]float32{1, 2}, 3) },
		"map":        func(s *Scope, a, b Tensor) { s.Map(make([]byte, 7), Float32, 2) },
		"read":       func(s *Scope, a, b Tensor) { s.Values(s.Int64s([]int64{1}, 1)) },
		"backward":   func(s *Scope, a, b Tensor) { w := s.Param(a); s.Grad(s.Mul(w, w), w) }, // gradients are off
	} {
		t.Run(op, func(t *testing.T) {
			err := e.Do(context.Background(), func(s *Scope) error {
				f(s, s.Zeros(Float32, 2, 2), s.Zeros(Float32, 3))
				return nil
			})
			var te *Error
			if !errors.As(err, &te) || te.Op != op || te.Msg == "" || strings.Contains(te.Msg, "\n") {
				t.Errorf("got %v, want an *Error of %s in one line", err, op)
			}
			if e.Live() != 0 {
				t.Errorf("got %d live handles, want 0", e.Live())
			}
		})
	}
}

func TestReadChecksItsLength(t *testing.T) {
	e := open(t, Config{})
	do(t, e, func(s *Scope) {
		a := s.Zeros(Float32, 3)
		for _, n := range []int{0, 2, 4} {
			if err := s.ReadFloat32s(a, make([]float32, n)); err == nil {
				t.Errorf("3 values into %d: got no error", n)
			}
		}
	})
}

// TestMap: a CPU's tensor is the caller's memory itself.
func TestMap(t *testing.T) {
	e := open(t, Config{Device: CPU})
	memory := []float32{1, 2, 3, 4, 5, 6}
	data := unsafe.Slice((*byte)(unsafe.Pointer(&memory[0])), 24)
	do(t, e, func(s *Scope) {
		m := s.Map(data, Float32, 2, 3)
		wantValues(t, s, s.Transpose(m, 0, 1), 1, 4, 2, 5, 3, 6)
		memory[5] = 7
		wantValues(t, s, m, 1, 2, 3, 4, 5, 7)
		wantValues(t, s, s.Map(data[20:], Float32), 7) // a scalar
		halves := []byte{0, 0x3c, 0, 0xc0}
		wantValues(t, s, s.ToFloat32(s.Map(halves, Float16, 2)), 1, -2)
		wantValues(t, s, s.ToFloat32(s.Map([]byte{0x80, 0x3f, 0, 0xc0}, BFloat16, 2)), 1, -2)
	})
}

func TestGrad(t *testing.T) {
	e := open(t, Config{})
	err := e.Train(context.Background(), func(s *Scope) error {
		w := s.Param(s.Float32s([]float32{1, 2, 3, 4}, 2, 2))
		unused := s.Param(s.Zeros(Float32, 5))
		x := s.Float32s([]float32{1, -1}, 1, 2)
		y := s.MatMul(x, w)
		g := s.Grad(s.SumDim(s.Mul(y, y), 0, 1), unused, w)
		if len(g) != 2 || g[0].Defined() || !g[1].Defined() {
			t.Errorf("got %d gradients, the first defined: %t, want 2, an undefined and a defined one", len(g),
				g[0].Defined())
		}
		wantValues(t, s, g[1], -4, -4, 4, 4) // 2·y·x
		if err := s.ReadFloat32s(g[0], make([]float32, 5)); err == nil {
			t.Error("reading an undefined gradient: got no error")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
