// Package sidefile is the file that holds the profiles of a bundle between their verification and
// their merge: so nothing of the bundle is in the store before all of it is verified, and a merge
// that a crash interrupts can be finished.
//
// It has a bundle's frames in blocks, each block with a checksum, or encrypted under a key of the
// file's own if the store is. docs/format.md describes it.
//
//	side, err := sidefile.Create(empty, path, ring, false)
//	err = side.Frame(kind, payload)
//	err = side.Flush()
//	err = side.Rewind()
//	kind, payload, err := side.Next()
//	err = side.Remove()
//
// # Concurrency
//
// A File is for one goroutine at a time.
package sidefile
