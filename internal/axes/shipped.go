package axes

import (
	_ "embed"

	"github.com/xpeft/xpeft/bank"
)

// The files are made again, on the machine that runs it, by
//
//	XPEFT_MAKE_GOLDEN=1 XPEFT_MODEL=… go test -run TestShipped ./internal/axes
//
// Another processor may round sums otherwise, and make other bytes: so it is the files that are
// shipped, not how they were made. A folder has a copy of the axes that it was made with, and does
// not need the file here again.

//go:embed all-minilm-l6-v2.axes
var miniLM []byte

// shipped are files by the digest of the model's checkpoint.
var shipped = map[string][]byte{
	"8a7e85e8a3cc153fae213f41b530c3ec656751ccc53996ce1bcf2f4b501abdd0": miniLM,
}

// Shipped are the axes of the encoder with this digest (model.Checkpoint.Digest), nil if none are
// shipped.
func Shipped(encoder [32]byte) *Axes {
	data, ok := shipped[bank.Digest(encoder).String()]
	if !ok {
		return nil
	}
	a, err := Unmarshal(data)
	if err != nil {
		return nil // TestShipped says that it is sound
	}
	return a
}
