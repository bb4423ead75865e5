// Package store keeps profiles at rest: one bbolt file, and bundles to carry
// profiles from one file to another.
//
// A [Store] is an open file, bound for life to an encoder and a tokenizer by
// their digests ([Meta]). It holds [Profile]s by id, and for each of them a
// state, a bounded number of [Example]s and some earlier revisions. A profile
// refers to banks and a shared head by small numbers, which PutBank and
// PutHead give out. What a mask or a code selects, a state says or a head
// computes is not known here: those are bytes.
//
//	s, err := store.Create("xpeft.db", meta, nil)
//	bank, err := s.PutBank(ctx, store.BankInfo{Digest: d, N: 150, Blocks: 6})
//	rev, err := s.Put(ctx, &store.Profile{ID: "ann", Bank: bank, Mask: m}, store.Write{})
//	p, err := s.Get("ann")
//	n, err := s.Export(ctx, w, store.ExportOptions{IDs: []string{"ann"}})
//	err = s.Close()
//
// What was put is durable when Put returns. One process has the file open at
// a time, or several have it read-only; others get ErrLocked. A deleted
// profile's bytes stay in freed pages of the file until Compact, or, with
// Options.MasterKey, cannot be read any more when Delete returns.
//
// # Concurrency
//
// A Store is safe for concurrent use. A reader sees one state of the file,
// whatever is written beside it; what it returns is a copy. Writes are made
// one transaction at a time, and calls that come together share one.
//
// # Format
//
// docs/format.md describes the record of a profile, the file and the bundle,
// byte for byte. Every value carries a CRC-32C or is sealed by its key, and a
// bundle carries a SHA-256.
//
// # Damage
//
// A damaged page is ErrCorrupt, never a fault. Open walks over the pages that
// lead to others; a damaged leaf can still make a profile ErrNotFound, and
// Check, which reads all, says so.
package store
