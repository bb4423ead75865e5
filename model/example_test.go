package model_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/model"
)

// A folder with a vocabulary is enough for a tokenizer.
func ExampleTokenizer_Encode() {
	dir, err := os.MkdirTemp("", "model")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	vocab := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\n##s\n!\n"
	if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(vocab), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	tok, err := model.LoadTokenizer(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	var e model.Encoding
	tok.Encode(&e, "Hello, Worlds!", "hello", 128)
	fmt.Println(e.IDs)
	fmt.Println(e.TypeIDs)
	// Output:
	// [2 5 1 6 7 8 3 5 3]
	// [0 0 0 0 0 0 0 1 1]
}
