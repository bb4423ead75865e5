// Package bpe is the byte-level BPE of GPT-2 and RoBERTa, as Hugging Face's tokenizers computes it:
// a text is cut into words by GPT-2's pattern, and in each word's bytes the pair that was merged
// first in training is merged first, until no pair is left that was.
//
//	m, err := bpe.New(vocab, merges)
//	ids := m.Append(nil, []byte("a text"), math.MaxInt)
//
// The ids are those of tokenizers 0.22.2 to the last one: letters, numbers and spaces are its own,
// not those of package unicode, which change with Go.
//
// # Concurrency
//
// A Model is safe for concurrent use.
package bpe
