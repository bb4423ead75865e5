// Package boltpages reads the pages of a bbolt file without bbolt, which trusts them.
//
// A [Walk] says whether the pages are sound: bbolt would follow a loop among them for ever,
// and faults on what is out of bounds. A [Salvage] reads what can still be read in a file whose
// pages are not. Neither writes, and what the values mean is not known here.
//
//	w := boltpages.Walk{}
//	err := w.All(f)
package boltpages
