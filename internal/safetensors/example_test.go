package safetensors_test

import (
	"bytes"
	"fmt"

	"github.com/xpeft/xpeft/internal/safetensors"
)

func Example() {
	var file bytes.Buffer
	err := safetensors.Write(&file, []safetensors.Tensor{
		{Name: "weight", DType: "F16", Shape: []int64{2}, Data: []byte{0x00, 0x3c, 0x00, 0xc0}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := safetensors.Parse(file.Bytes())
	if err != nil {
		fmt.Println(err)
		return
	}
	t, _ := f.Lookup("weight")
	values, err := safetensors.Float32s(t)
	fmt.Println(t.Shape, values, err)
	// Output: [2] [1 -2] <nil>
}
