package fuzz

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/model"
)

// smallVocab serves where the real model's folder is not at hand.
const smallVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\nthe\nun\n##able\ncafe\n!\n你\nи\n"

func loadTokenizer(f *testing.F) *model.Tokenizer {
	f.Helper()
	dir := os.Getenv("XPEFT_MODEL")
	if dir == "" {
		dir = f.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(smallVocab), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	tok, err := model.LoadTokenizer(dir)
	if err != nil {
		f.Fatal(err)
	}
	return tok
}

// FuzzTokenizer: any bytes, any limit give a well-formed encoding.
func FuzzTokenizer(f *testing.F) {
	f.Add("the café, unable!", "", uint16(16))
	f.Add("[CLS] hi [SEP]", "[MASK]", uint16(6))
	f.Add("e\u0301\u302f\u302e \u200b你\x00\xff\u0130", "\u1100\u1161한", uint16(0))
	tok := loadTokenizer(f)
	var reused model.Encoding
	f.Fuzz(func(t *testing.T, text, pair string, limit uint16) {
		var whole, fresh model.Encoding
		tok.Encode(&whole, text, pair, 0)
		checkEncoding(t, tok, whole, pair, math.MaxInt)
		tok.Encode(&fresh, text, pair, int(limit))
		tok.Encode(&reused, text, pair, int(limit))
		if !slices.Equal(fresh.IDs, reused.IDs) || !slices.Equal(fresh.TypeIDs, reused.TypeIDs) {
			t.Fatalf("reused: got %v %v, want %v %v", reused.IDs, reused.TypeIDs, fresh.IDs, fresh.TypeIDs)
		}
		most := int(limit)
		if limit == 0 {
			most = math.MaxInt
		}
		checkEncoding(t, tok, fresh, pair, most)
		if n := len(fresh.IDs) - 1; pair == "" && !slices.Equal(fresh.IDs[:n], whole.IDs[:n]) {
			t.Fatalf("to %d: got %v, want the beginning of %v", limit, fresh.IDs, whole.IDs)
		}
	})
}

func checkEncoding(t *testing.T, tok *model.Tokenizer, e model.Encoding, pair string, most int) {
	t.Helper()
	specials := 2
	if pair != "" {
		specials = 3
	}
	n := len(e.IDs)
	if n != len(e.TypeIDs) || n < specials || n > max(most, specials) {
		t.Fatalf("got %d ids and %d types, want %d to %d of both", n, len(e.TypeIDs), specials, most)
	}
	for i, id := range e.IDs {
		if id < 0 || int(id) >= tok.VocabSize() {
			t.Fatalf("id %d of %d", id, tok.VocabSize())
		}
		if i > 0 && e.TypeIDs[i] < e.TypeIDs[i-1] || int(e.TypeIDs[i]) > specials-2 {
			t.Fatalf("types %v", e.TypeIDs)
		}
	}
	if want := int32(specials - 2); e.TypeIDs[0] != 0 || e.TypeIDs[n-1] != want {
		t.Fatalf("types %v, want 0 to %d", e.TypeIDs, want)
	}
}
