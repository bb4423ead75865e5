// Package digits learns one person's code of digits from cached features: no encoder, no libtorch,
// milliseconds.
//
//   - [Person]: the examples as the frozen encoder, the shared head and the axes see them; [Learn]
//     finds its [Result].
//   - [Head]: the examples of a shared head over φ; [FitHead] fits it.
//
// A text has φ(x) of D values and projections p(x) = V φ(x) on A orthonormal axes V_j. A label c
// that the person uses has a row
//
//	W_c = W0_c + s_c Σ_j ℓ_cj V_j,  ℓ_cj = Σ_m ± 2^-m,  m = 1 … M
//
// of M digits an axis: 2^M levels in ± (1 − 2^-M), none of them zero. With K = A·M and the 2K
// directions ± K·2^-m·V_j, of which a row takes one of each pair, Σ_j ℓ_cj V_j is the plain average
// of the K that it takes: a mask of K bits, bit j·M + (m−1), least significant first in its byte, 1
// for plus.
//
// # How
//
// The row is the rounding of a mean of convex fits. With z_c on the A axes and a bias b_c for each
// label that occurs, given or rejected, L-BFGS minimizes
//
//	F(z, b) = Σ_i w_i·loss_i + ½λ‖z‖² + ½λ_b‖b‖²,  logits_ic = base_ic + prior_c + b_c + z_c·p_i
//
// where loss is −log p_c, or −log(1 − p_c) of a rejection, at several strengths λ. Their z and b
// are averaged, weighted by folds: see [Options]. Every fold's count prior is that of its own
// training. Each z_c of the mean is rounded to the nearest levels at the scale of least squares;
// single levels then move where that brings the answers to the examples nearer, by a quadratic
// model, to the mean's; then the scales and b are fitted to the mean's answers with the levels
// fixed, the scales become bytes, and b is fitted once more.
//
// # Cost
//
// One evaluation of F takes 4·n·R·min(n, A) multiplications for R labels with rows: below ¾·A
// examples the fit is solved in the examples' own span. Learn takes some 5 folds × 6 strengths × 10
// evaluations. Memory: a few times n·A numbers of 8 bytes.
//
// # Concurrency
//
// Learn and FitHead keep no state outside their arguments, which they only read, and may run at
// once. Learn uses one thread, FitHead several. The same arguments give the same bits on one type
// of machine; the order of a person's examples does not matter, unless two of them have the same
// label and projections.
package digits
