package eval

import "math"

// room says what texts' own parts could still gain with new people: the score test of each text's residuals on 1 and on (1, z).
func (e *People) room(b *banks, all []newcomer) error {
	type one struct{ r, v, z []float64 }
	of := map[int]*one{}
	n := 0.0
	loss := 0.0
	for _, w := range all {
		own := e.examples(b, b.Model, w, e.first(w, 0))
		z, bias, err := b.Real(own)
		if err != nil {
			return err
		}
		test := e.examples(b, b.Model, w, w.test)
		texts, class := e.Data.texts(w.who, w.test)
		for k, t := range texts {
			row := test.Rows[k*b.Width():]
			d := row[1] - row[0] + bias[1] - bias[0]
			for j, v := range z {
				d += v * (row[(1+j)*2+1] - row[(1+j)*2])
			}
			p := 1 / (1 + math.Exp(-d))
			y := float64(class[k])
			if of[t] == nil {
				of[t] = &one{}
			}
			o := of[t]
			o.r, o.v, o.z = append(o.r, y-p), append(o.v, p*(1-p)), append(append(o.z, 1), z...)
			n++
			loss -= math.Log(1 - math.Abs(y-p))
		}
	}
	for _, dof := range []int{1, 1 + b.J} {
		sum, bound, count := 0.0, 0.0, 0.0
		for _, o := range of {
			s, info := make([]float64, dof), make([]float64, dof*dof)
			for i, r := range o.r {
				x := o.z[i*(1+b.J) : (i+1)*(1+b.J)]
				for a := range dof {
					s[a] += r * x[a]
					for c := range dof {
						info[a*dof+c] += o.v[i] * x[a] * x[c]
					}
				}
			}
			if len(o.r) < 3*dof {
				continue
			}
			for a := range dof {
				info[a*dof+a] += 1e-3
			}
			sol := solveSmall(info, s, dof)
			q := 0.0
			for a := range dof {
				q += sol[a] * s[a]
			}
			sum, count = sum+q, count+1
			bound += (q - float64(dof)) / 2
		}
		e.log("  room: %g answers, loss %.4f, dof %d: mean χ² %.2f over %g texts, %.4f nats an answer", n, loss/n, dof, sum/count, count, bound/n)
	}
	return nil
}

func solveSmall(a, b []float64, n int) []float64 {
	a, x := append([]float64(nil), a...), append([]float64(nil), b...)
	for i := range n {
		for k := i + 1; k < n; k++ {
			f := a[k*n+i] / a[i*n+i]
			for c := range n {
				a[k*n+c] -= f * a[i*n+c]
			}
			x[k] -= f * x[i]
		}
	}
	for i := n - 1; i >= 0; i-- {
		for c := i + 1; c < n; c++ {
			x[i] -= a[i*n+c] * x[c]
		}
		x[i] /= a[i*n+i]
	}
	return x
}
