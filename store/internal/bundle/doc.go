// Package bundle reads and writes the frames of a bundle or a backup, as one stream of bytes.
//
// A frame is a kind and a payload, whose meaning is the caller's. Frames are compressed, and lie
// in chunks under a checksum, and a signature if there is a signer: each flipped bit and each cut
// is an error. docs/format.md draws it.
//
//	f := bundle.Format{Magic: "XPEFTB", Name: "bundle", Newest: 6, Signed: true}
//	w, err := bundle.NewWriter(dst, f, nil)
//	err = w.Frame(1, payload)
//	err = w.Close()
//	r, err := bundle.NewReader(src, f, 1<<30)
//	kind, payload, err := r.Frame(1 << 20)
//	err = r.End() // io.EOF: that was the last frame, and all of it is sound
//
// # Concurrency
//
// A Reader or Writer is for one goroutine, and works in it.
package bundle
