// Package unigram is SentencePiece's Unigram tokenizer, as Hugging Face's tokenizers computes it:
// a text is normalised, its spaces become ▁, and each word, from one ▁ to the next, is cut into the
// pieces whose scores have the largest sum.
//
//	n, err := unigram.NewNormalizer(charsmap, unigram.Step{Spaces: " "})
//	m, err := unigram.New(pieces, unk, false)
//	ids := m.Append(nil, n.Append(nil, "a text"), math.MaxInt)
//
// The ids are those of tokenizers 0.22.2 to the last one, quirks included: a cluster of characters
// of less than six bytes is normalised by what its beginning is mapped to, and loses the rest.
// Hangul, flags and conjuncts of Indic scripts need no rule for that: their clusters are longer.
//
// # Concurrency
//
// A Normalizer and a Model are safe for concurrent use.
package unigram
