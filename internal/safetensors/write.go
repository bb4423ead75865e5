package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// Write writes a file of these tensors. Their order does not matter: equal tensors and metadata
// give equal bytes.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	ordered := slices.Clone(tensors)
	slices.SortFunc(ordered, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(elemSize(b.DType), elemSize(a.DType)), cmp.Compare(a.Name, b.Name))
	})
	header, err := encodeHeader(ordered, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range ordered {
		if _, err := w.Write(t.Data); err != nil {
			return err
		}
	}
	return nil
}

// place is a tensor's entry in the header.
type place struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// encodeHeader returns the JSON, padded with spaces so that the data behind it begins at a multiple
// of 8.
func encodeHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	member := func(name string, v any) {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		key, _ := json.Marshal(name) // strings and the structs below always encode
		val, _ := json.Marshal(v)
		b.Write(key)
		b.WriteByte(':')
		b.Write(val)
	}
	for k, v := range metadata {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return nil, fmt.Errorf("safetensors: metadata %q is not UTF-8", k)
		}
	}
	if len(metadata) > 0 {
		member(metadataKey, metadata)
	}
	seen := make(map[string]bool, len(tensors))
	var at int64
	for _, t := range tensors {
		if err := checkTensor(t, seen); err != nil {
			return nil, err
		}
		shape := append([]int64{}, t.Shape...) // a scalar is [], not null
		end := at + int64(len(t.Data))
		member(t.Name, place{t.DType, shape, [2]int64{at, end}})
		at = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("safetensors: header of %d bytes, want at most %d", b.Len(), maxHeader)
	}
	return b.Bytes(), nil
}

func checkTensor(t Tensor, seen map[string]bool) error {
	if t.Name == metadataKey || seen[t.Name] || !utf8.ValidString(t.Name) {
		return fmt.Errorf("safetensors: tensor %q: name is reserved, not UTF-8, or occurs twice", t.Name)
	}
	seen[t.Name] = true
	size, err := byteSize(t.DType, t.Shape)
	if err != nil {
		return fmt.Errorf("safetensors: tensor %q: %w", t.Name, err)
	}
	if len(t.Shape) > maxRank || size != int64(len(t.Data)) {
		return fmt.Errorf("safetensors: tensor %q: got %d bytes, want %d for %s%v", t.Name, len(t.Data), size,
			t.DType, t.Shape)
	}
	return nil
}
