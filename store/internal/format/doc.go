// Package format has the byte formats of a store, and nothing that reads or writes a file.
//
// A [Record] is what is stored of a profile; [Refs] are the part of it that names banks and a head,
// and can be replaced without the rest. The buckets of the file, their keys and the tags that seal
// their values are listed in layout.go; [Tally] and [Sums] are values there. All are made of fields
// that a [Decoder] takes off, and end with a checksum. docs/format.md draws them.
//
//	b, err := format.EncodeRecord(&format.Record{ID: "ann", Mask: mask})
//	var r format.Record
//	refs, err := format.DecodeRecord(&r, b, bitmask.Decode)
//	value := format.Seal(format.TagState, format.Key(7), state)
//	state, err := format.Unseal(format.TagState, format.Key(7), value)
package format
