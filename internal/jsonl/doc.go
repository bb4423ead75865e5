// Package jsonl decodes the lines of JSON that people hand in: examples to learn, texts to ask,
// data to evaluate on.
//
//	l, err := jsonl.Decode([]byte(`{"profile": "ann", "text": "server down", "label": "urgent"}`))
//
// # Format
//
// A line is one flat JSON object in UTF-8 of up to [MaxLine] bytes. It is read strictly, as what is
// lost without a word is missed only in the answers: no field twice, no bytes behind the object,
// names spelt as they are written here.
//
// # Concurrency
//
// The functions keep nothing.
package jsonl
