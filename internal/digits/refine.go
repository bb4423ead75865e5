package digits

import "github.com/xpeft/xpeft/internal/numeric"

const (
	// sweeps is how often refine goes over all axes at most; ten gained no more than three.
	sweeps = 3
	// beyond is how much an error on any axis counts beside those on the person's own texts, for
	// the texts that are to come: those of 40 texts say some of what others will be like, but not
	// all. From 0.03 to 0.1 makes no difference.
	beyond = 0.05
)

// refine moves single levels, each to where the quadratic model of how far the code's answers are
// from the solution's is least:
//
//	½ Σ_i w_i Σ_cd (p_ic·[c = d] − p_ic·p_id)(e_c·p_i)(e_d·p_i) + ½·beyond·‖e‖²,
//	e_c = s_c·ℓ_c − z_c
//
// so what rounding one axis loses on the texts is made up for on others. p_ic are the solution's
// probabilities, and a rejection counts as an answer does. A sweep costs 2·n·A·R multiplications.
func (f *fit) refine(c *code, z, probs []float64) {
	R, n := len(f.rows), len(f.train)
	column := make([]float64, f.axes*n) // p, by axis
	for k, i := range f.train {
		for j, v := range f.row(i) {
			column[j*n+k] = v
		}
	}
	lost := make([]float64, R*n) // e_c·p_i
	for r := range R {
		for j := range f.axes {
			numeric.Add(lost[r*n:(r+1)*n], Scale(c.scale[r])*c.level[r*f.axes+j]-z[r*f.axes+j], column[j*n:(j+1)*n])
		}
	}
	slope, bend := make([]float64, n), make([]float64, n)
	for range sweeps {
		moved := false
		for r := range R {
			if c.scale[r] != 0 {
				f.curvature(r, lost, probs, slope, bend)
				moved = f.refineRow(r, c, z, column, slope, bend, lost[r*n:(r+1)*n]) || moved
			}
		}
		if !moved {
			return
		}
	}
}

// curvature is each example's first and second derivative of the model by its logit of row r.
func (f *fit) curvature(r int, lost, probs, slope, bend []float64) {
	n := len(f.train)
	for k, i := range f.train {
		p := probs[k*f.classes : (k+1)*f.classes]
		own, mean := p[f.rows[r]], 0.0
		for q, label := range f.rows {
			mean += p[label] * lost[q*n+k]
		}
		slope[k] = f.weight[i] * own * (lost[r*n+k] - mean)
		bend[k] = f.weight[i] * own * (1 - own)
	}
}

// refineRow is one sweep over the axes of row r; it says whether any level moved.
func (f *fit) refineRow(r int, c *code, z, column, slope, bend, lost []float64) (moved bool) {
	n, s, levels := len(f.train), Scale(c.scale[r]), newLevels(f.digits)
	for j := range f.axes {
		at, p := r*f.axes+j, column[j*n:(j+1)*n]
		old := c.level[at]
		first, second := f.beyond*(s*old-z[at]), f.beyond
		for k, v := range p {
			first += slope[k] * v
			second += bend[k] * v * v
		}
		next := levels.nearest(old - first/second/s)
		if next == old {
			continue
		}
		moved, c.level[at] = true, next
		for k, v := range p {
			lost[k] += s * (next - old) * v
			slope[k] += bend[k] * s * (next - old) * v
		}
	}
	return moved
}
