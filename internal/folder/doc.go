// Package folder knows what lies in the folder that a program opens: the profiles and the files of
// banks, and how a bundle carries both, signed and encrypted if asked.
//
//	xpeft.db         the profiles: package store
//	xpeft.db.import  a bundle, while it is verified and merged: package store
//	xpeft.keys       the keys of an encrypted one: package store
//	banks/<digest>   a warm bank's file: package bank; or axes: internal/axes
//	banks/axes.checkpoint  where a TrainBank of axes has come to
//
// It is what the offline commands and package sdk share, so it needs neither a model nor libtorch,
// and builds without cgo.
//
//	st, err := folder.Open(dir, nil)
//	n, err := folder.Export(ctx, st, dir, w, folder.ExportOptions{Prefix: "team-a/"})
//	rep, err := folder.Import(ctx, st, dir, r, folder.ImportOptions{Policy: store.Skip})
//
// A bank is registered in the store by its digest, its shape and its properties ([Info],
// [Properties]). A random bank is no more than that: whoever knows its properties can make it. A
// warm bank's file, and that of axes, is registered after it was received whole and its SHA-256
// compared.
//
// # Concurrency
//
// The functions keep nothing. They may run side by side on one store.
package folder
