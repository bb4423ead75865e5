// Package npz reads and writes NumPy's .npz files of numbers and strings: zip archives of .npy
// arrays. It runs nothing: an array of Python objects, which is a pickle, is refused.
//
//   - [Array] is one array, of numbers or of strings.
//   - [Read] and [Write] are a file's arrays by their names.
//
// # Format
//
// An array is "\x93NUMPY", a version of two bytes, the length of the header (two bytes of version
// 1, else four), a Python dictionary of descr, fortran_order and shape, and the entries. What is
// read is little-endian: float16, float32, float64, integers of all sizes, U and S.
//
// # Concurrency
//
// Nothing is shared: all functions may be called concurrently.
package npz
