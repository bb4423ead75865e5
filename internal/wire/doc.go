// Package wire reads the bodies of the HTTP API's requests. They come from outside: a body is one
// JSON object in UTF-8 with known fields and within the limits, or an error that wraps [ErrBody] or
// [sdk.ErrLimit].
//
//	l, err := wire.Decode[wire.Learn](data)
//
// What a text, a label or an id may be is package sdk's to say.
//
// # Concurrency
//
// The package has functions and plain values only.
package wire
