package enginetest

import (
	"math"
	"testing"
)

// TestTape compares every operation's gradient with differences.
func TestTape(t *testing.T) {
	loss := func(tape *Tape, xs []float64) (*Num, []*Num) {
		n := tape.News(xs)
		a, b, c := n[0], n[1], n[2]
		y := tape.Add(tape.Mul(a, b), tape.Tanh(tape.Sub(c, a)))
		y = tape.Add(y, tape.Log(tape.Add(tape.Exp(b), tape.Mul(c, c))))
		y = tape.Mul(y, tape.BySqrt(tape.Dot(n, n), 0.1))
		return tape.Sum(0.7, y, a, y), n
	}
	xs := []float64{0.3, -0.8, 1.1}
	tape := new(Tape)
	l, nums := loss(tape, xs)
	tape.Back(l)
	for i, got := range Grads(nums) {
		const h = 1e-5
		x := xs[i]
		xs[i] = x + h
		up, _ := loss(new(Tape), xs)
		xs[i] = x - h
		down, _ := loss(new(Tape), xs)
		xs[i] = x
		if want := (up.X - down.X) / (2 * h); math.Abs(got-want) > 1e-8 {
			t.Errorf("number %d: got a gradient of %g, differences say %g", i, got, want)
		}
	}
}
