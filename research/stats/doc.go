// Package stats scores predictions and compares scores: the metrics of classification and
// regression, bootstrap intervals, a paired permutation test and Holm's correction. Everything that
// draws takes a seed and gives the same numbers for it. No result is NaN: what is not defined is 0,
// as each function says.
package stats
