package fuzz

import (
	"bytes"
	"testing"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// FuzzSafetensors: any bytes are an error, or a file that is written and read again as the same
// tensors.
func FuzzSafetensors(f *testing.F) {
	var b bytes.Buffer
	err := safetensors.Write(&b, []safetensors.Tensor{
		{Name: "a", DType: "F32", Shape: []int64{2, 1}, Data: make([]byte, 8)},
		{Name: "b", DType: "BF16", Shape: []int64{0, 3}},
		{Name: "c", DType: "I64", Data: make([]byte, 8)},
	}, map[string]string{"format": "pt"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := safetensors.Parse(b)
		if err != nil {
			return
		}
		for _, x := range file.Tensors() {
			safetensors.Float32s(x)
			safetensors.Int64s(x)
		}
		var first, second bytes.Buffer
		if err := safetensors.Write(&first, file.Tensors(), file.Metadata()); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := safetensors.Parse(first.Bytes())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if err := safetensors.Write(&second, again.Tensors(), again.Metadata()); err != nil ||
			!bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("got other bytes the second time, %v, want the same", err)
		}
	})
}
