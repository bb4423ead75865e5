package model

import (
	"strings"
	"testing"
)

func TestDefaultMaxTokens(t *testing.T) {
	cases := []struct {
		name, sentence, config string
		positions, want        int
	}{
		{"nothing said", "", "", 512, 128},
		{"few positions", "", "", 64, 64},
		{"sentence", `{"max_seq_length":200}`, `{"model_max_length":512}`, 512, 200},
		{"sentence says null", `{"max_seq_length":null}`, `{"model_max_length":100}`, 512, 100},
		{"more than the most", `{"max_seq_length":384}`, "", 512, 256},
		{"more than the positions", `{"max_seq_length":256}`, "", 130, 130},
		{"tokenizer", "", `{"model_max_length":512}`, 512, 256},
		{"no limit", "", `{"model_max_length":1000000000000000019884624838656}`, 512, 128},
		{"as a fraction", "", `{"model_max_length":1e30}`, 512, 128},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, "vocab.txt", lowerVocab)
			for name, text := range map[string]string{"sentence_bert_config.json": c.sentence,
				"tokenizer_config.json": c.config} {
				if text != "" {
					writeFile(t, dir, name, text)
				}
			}
			tok, err := LoadTokenizer(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.DefaultMaxTokens(Config{MaxPositionEmbeddings: c.positions}); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
	tok := realTokenizer(t)
	if got := tok.DefaultMaxTokens(Config{MaxPositionEmbeddings: 512}); got != 256 {
		t.Errorf("the real model: got %d, want 256", got)
	}
}

// TestTruncated: an encoding says whether something was cut off, to the token.
func TestTruncated(t *testing.T) {
	tok := smallTokenizer(t, "")
	words := func(n int) string { return strings.Repeat("a ", n) }
	for _, c := range []struct {
		name, text, pair string
		limit            int
		want             bool
	}{
		{"no limit", words(1000), "", 0, false},
		{"exact", words(8), "", 10, false},
		{"spaces behind", words(8) + "  \t\u200b", "", 10, false},
		{"one more", words(9), "", 10, true},
		{"a piece more", words(7) + "unable", "", 10, true},
		{"a special token more", words(8) + "[SEP]", "", 10, true},
		{"punctuation more", words(8) + "!", "", 10, true},
		{"pair", words(3), words(4), 10, false},
		{"first of a pair", words(5), words(3), 10, true},
		{"second of a pair", words(3), words(5), 10, true},
		{"specials only", "a", "", 2, true},
		{"nothing", "", "", 2, false},
	} {
		var e Encoding
		if tok.Encode(&e, c.text, c.pair, c.limit); e.Truncated != c.want {
			t.Errorf("%s: got %t, want %t", c.name, e.Truncated, c.want)
		}
		if tok.Encode(&e, "a", "", 0); e.Truncated {
			t.Errorf("%s: the next text is said to be cut, too", c.name)
		}
	}
}
