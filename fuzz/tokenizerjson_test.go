package fuzz

import (
	"testing"

	"github.com/xpeft/xpeft/model"
)

const smallTokenizerJSON = `{"added_tokens":[{"id":1,"content":"[CLS]"}],"normalizer":{"type":"BertNormalizer","lowercase":true},` +
	`"pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":{"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",1]},` +
	`"model":{"type":"WordPiece","vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"a":3,"##a":4}}}`

// FuzzTokenizerJSON: any tokenizer.json, tokenizer_config.json and vocab.txt are an error, or a
// tokenizer that encodes.
func FuzzTokenizerJSON(f *testing.F) {
	f.Add([]byte(smallTokenizerJSON), []byte(`{"do_lower_case":false}`), []byte(""))
	f.Add([]byte(`{"model":{"merges":[]}}`), []byte(`{"cls_token":{"content":"[CLS]"}}`), []byte(""))
	f.Add([]byte(nil), []byte(`{"added_tokens_decoder":{"9":{"content":"x"}},"strip_accents":null}`),
		[]byte(smallVocab))
	dir, vocabDir := f.TempDir(), f.TempDir()
	write, writeVocab := writer(f, dir), writer(f, vocabDir)
	f.Fuzz(func(t *testing.T, file, config, vocab []byte) {
		write(t, "tokenizer.json", file)
		write(t, "tokenizer_config.json", config)
		writeVocab(t, "vocab.txt", vocab)
		writeVocab(t, "tokenizer_config.json", config)
		for _, folder := range []string{dir, vocabDir} {
			tok, err := model.LoadTokenizer(folder)
			if err != nil {
				continue
			}
			var e model.Encoding
			tok.Encode(&e, "a aa [CLS]x é", "a", 8)
			checkEncoding(t, tok, e, "a", 8)
			if tok.Digest(8) == tok.Digest(9) {
				t.Fatal("got one digest for two limits")
			}
		}
	})
}
