// Package rank learns which of several candidates a person chooses, from the choices that they made
// before: no encoder, milliseconds.
//
//   - [Choice]: the candidates of one choice as the axes see them, what is known of them without
//     the person, and which one was chosen.
//   - [Fit]: the numbers z on the axes of least loss; [Learn] finds a person's [Result], one row
//     of digits.
//
// A candidate x scores base(x) + z·p(x), where p(x) are its projections on the axes. The
// probability that it is the one chosen is the softmax over the candidates of its choice
// (Plackett and Luce, first choice only), so that nothing needs to be said of how often a
// candidate is offered. The loss −log p is convex in z.
//
// # How
//
// As in package digits: fits at six strengths, weighted by how probable each is by five folds, the
// base alone (z = 0) among them; their mean is rounded to digits. There is a row only if the base
// alone has less than half of the weight, and if what is rounded has less loss than the base on
// choices that it was not learned from. Where [Directions] were found along which people differ,
// fits are of a number for each of these, and the mean is put back onto the axes before it is
// rounded.
//
// # Concurrency
//
// Nothing is kept outside of the arguments, which are only read. The same arguments give the same
// bits on one type of machine.
package rank
