// Package population learns what a population's people differ in, and a new person's place in it,
// from cached features: no encoder, no libtorch.
//
//   - [Population]: the texts' φ and who gave which label to which text; [Train] finds its [Model].
//   - [Model]: a head for everybody, and J axes; [Model.Fit] finds a new person's [Code] of at most
//     8 bytes and a byte a label.
//   - [Model.Ask] chooses the texts whose answers tell most about a person.
//
// A text with features φ has for the person u the logits
//
//	Wφ + a + b_u + Σ_j z_uj (V_j φ + v_j),  z ~ N(0, 1), b ~ N(0, 1/β)
//
// W, a, V and v are the bank's, z and b the person's. A text that several people labelled may add a
// part of its own to Wφ + a and to each V_j φ + v_j. z_j is rounded to Σ_m ±2^-m of a range, so
// that with the 2K directions ±K·2^-m·range_j·V_j, of which a person takes one of each pair, Σ_j
// z_j V_j is the plain average of the K that they take.
//
// # How
//
// Train minimizes the posterior's negative logarithm, with β = 1, over W, a, V and v by L-BFGS; at
// each step every person's z and b are solved for exactly, by Newton's method, and the people are
// independent of each other. V starts at the first singular vectors of the people's summed residual
// gradients. Then z is turned to its principal axes, and V scaled so that z has a standard
// deviation of 1, as a new person's prior says. J, β, the strengths and whether texts have parts of
// their own are chosen by cross-validation over people, who are fitted to one, three, ten and all
// of their answers: more axes must be better by more than chance, and where none are, J is 0. Each
// axis gets digits by how much it moves the logits.
//
// # Cost
//
// One evaluation takes 4·T·min(T,D)·(1+J)·C multiplications for T texts and some n·(J²C + C²) for n
// answers. Memory: T·min(T,D) numbers of 8 bytes or, where those are many, of 4; T·(1+J)·C numbers
// of 8 and n·C of them, a few times. Where T > D/2 and D > 640, a choice is made in the 320
// directions in which texts vary most.
//
// # Concurrency
//
// A Model is not changed after Train, and all its methods may be called concurrently. The same
// arguments give the same bits on one type of machine, whatever the number of threads.
package population
