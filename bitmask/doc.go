// Package bitmask holds the k-hot rows that say which adapters of a bank a
// profile folds.
//
// There are two types. A [Row] is a set of adapters: N bits, of which k are
// one. A [Mask] is a profile's 2·L rows: in each of L blocks one row over the
// down-projections and one over the up-projections.
//
//	m, err := bitmask.New(150, 50, 6)       // N adapters, k of them, L blocks
//	...
//	err = bitmask.TopK(logits, m.K, m.Row(bitmask.Down, 0))
//	...
//	m2, err := bitmask.Decode(m.N, m.K, m.Blocks, m.Bytes())
//
// A row over 2k adapters that takes one of each pair is stored in half: [PairRow].
//
// TopK, Set, Get, Count, Check and Equal do not allocate.
//
// # Concurrency
//
// Rows and masks are plain memory: any number of goroutines may read one that
// nobody writes.
//
// # Format
//
// A row is ⌈N/8⌉ bytes; adapter i is bit i%8, from the least significant, of
// byte i/8; bits from N on are zero. A mask is its rows one after another,
// first Down for blocks 0 to L-1, then Up for blocks 0 to L-1: 2·⌈N/8⌉·L
// bytes, with no header (N, k and L are stored by whoever stores the mask).
package bitmask
