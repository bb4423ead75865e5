package model

// Bounds of what DefaultMaxTokens gives.
const (
	fallbackTokens = 128 // where the folder says nothing
	mostTokens     = 256 // a text's time grows faster than its length
)

// DefaultMaxTokens is the limit on tokens that the model's own folder sets: max_seq_length of
// sentence_bert_config.json, else model_max_length of tokenizer_config.json, else 128. It is at
// most 256, and at most the model's positions.
func (t *Tokenizer) DefaultMaxTokens(c Config) int {
	n := t.length
	if n == 0 {
		n = fallbackTokens
	}
	return min(n, mostTokens, c.MaxPositionEmbeddings)
}
