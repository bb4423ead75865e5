// Package axes has the directions of a head that digits choose from, in place of a bank's adapters:
// [Axes], which [Compute] makes of an encoder, and [Joint] axes, on which a population's people
// differ. [Shipped] are those of the models that we name; those of other models are computed into
// the folder, once.
//
// A [File] of either kind is a bank's, named by its digest. It is small, and read whole: a header,
// means and scales or labels, ranges and digits, the axes in float16 (docs/format.md).
//
// # Concurrency
//
// Axes are not changed after they were made; all methods may be called concurrently.
package axes
