package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample returns a file of every interesting kind of tensor.
func sample(t *testing.T) (tensors []Tensor, metadata map[string]string, file []byte) {
	t.Helper()
	tensors = []Tensor{
		{"a.bytes", "U8", []int64{3}, []byte{1, 2, 3}},
		{"b \"quoted\" <é>", "F32", []int64{2, 1}, []byte{0, 0, 128, 63, 0, 0, 0, 192}},
		{"c.empty", "F16", []int64{0, 7}, []byte{}},
		{"d.scalar", "I64", []int64{}, []byte{255, 255, 255, 255, 255, 255, 255, 255}},
		{"e.half", "BF16", []int64{1}, []byte{128, 63}},
	}
	metadata = map[string]string{"format": "pt", "x": "y"}
	var b bytes.Buffer
	if err := Write(&b, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return tensors, metadata, b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	tensors, metadata, b := sample(t)
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tensors, f.Tensors()); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(metadata, f.Metadata()); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if !bytes.Equal(f.Bytes(), b) {
		t.Error("Bytes: got other bytes than the file's")
	}
	if got, ok := f.Lookup("d.scalar"); !ok || got.Len() != 1 {
		t.Errorf("Lookup: got %v, %v, want one element", got, ok)
	}
	if _, ok := f.Lookup("absent"); ok {
		t.Error("Lookup: got a tensor, want none")
	}
	var again bytes.Buffer
	if err := Write(&again, f.Tensors(), f.Metadata()); err != nil || !bytes.Equal(again.Bytes(), b) {
		t.Errorf("Write of what was read: got %d bytes, %v, want the same %d", again.Len(), err, len(b))
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// TestAligned holds the reason for Write's order: every tensor begins at a multiple of its element
// size.
func TestAligned(t *testing.T) {
	_, _, b := sample(t)
	f, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range f.Tensors() {
		if len(tensor.Data) == 0 {
			continue
		}
		if at := bytes.Index(b, tensor.Data); int64(at)%elemSize(tensor.DType) != 0 {
			t.Errorf("%s: begins at %d, want a multiple of %d", tensor.Name, at, elemSize(tensor.DType))
		}
	}
}

func TestCut(t *testing.T) {
	_, _, b := sample(t)
	for n := range b {
		if _, err := Parse(b[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d bytes: got %v, want ErrCorrupt", n, err)
		}
	}
	if _, err := Parse(append(bytes.Clone(b), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one byte more: got %v, want ErrCorrupt", err)
	}
}

// TestFlip flips every bit: the result is ErrCorrupt or a file that can be written and read again.
// The format has no checksum.
func TestFlip(t *testing.T) {
	_, _, b := sample(t)
	for i := range 8 * len(b) {
		c := bytes.Clone(b)
		c[i/8] ^= 1 << (i % 8)
		f, err := Parse(c)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("bit %d: got %v, want ErrCorrupt", i, err)
			}
			continue
		}
		var w bytes.Buffer
		if err := Write(&w, f.Tensors(), f.Metadata()); err != nil {
			t.Fatalf("bit %d: what was read cannot be written: %v", i, err)
		}
	}
}

// withHeader builds a file from a header's text and a number of data bytes.
func withHeader(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestCorrupt(t *testing.T) {
	cases := []struct {
		name, header string
		data         int
		want         string // in the error's text
	}{
		{"empty header", ``, 0, "begin"},
		{"array", `[]`, 0, "begin"},
		{"leading space", ` {}`, 0, "begin"},
		{"not JSON", `{"a"`, 0, "header"},
		{"second value", `{} {}`, 0, "behind"},
		{"not UTF-8", "{\"\xff\":1}", 0, "UTF-8"},
		{"deep", `{"a":{"dtype":` + strings.Repeat("[", 10000), 0, "string"},
		{"number for a tensor", `{"a":1}`, 0, `"a"`},
		{"no shape", `{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1, `"a"`},
		{"unknown field", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}`, 1, `unknown field "x"`},
		{"field twice", `{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, "twice"},
		{"name twice", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, `"a" occurs twice`},
		{"metadata twice", `{"__metadata__":{},"__metadata__":{}}`, 0, "twice"},
		{"metadata key twice", `{"__metadata__":{"a":"","a":""}}`, 0, "twice"},
		{"metadata number", `{"__metadata__":{"a":1}}`, 0, "string"},
		{"unknown dtype", `{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}}`, 1, `unknown dtype "Q4"`},
		{"negative", `{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1, "-1"},
		{"fraction", `{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1, "1.0"},
		{"overflow", `{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,1]}}`, 1, "overflow"},
		{"beyond int64", `{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}}`, 1,
			"9223372036854775808"},
		{"size", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4, "do not fit"},
		{"backwards", `{"a":{"dtype":"U8","shape":[0],"data_offsets":[1,0]}}`, 1, "do not fit"},
		{"beyond the file", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 1, "ends at 2 of 1"},
		{"hole", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, "begins at 1"},
		{"tail", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2, "behind the last"},
		{"overlap", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3, `"b"`},
		{"three offsets", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}`, 1, "at most 2"},
		{"rank", `{"a":{"dtype":"U8","shape":[1` + strings.Repeat(",1", 32) + `],"data_offsets":[0,1]}}`, 1,
			"at most 32"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(withHeader(c.header, c.data))
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrCorrupt with %q", err, c.want)
			}
		})
	}
	long := withHeader("{}", 0)
	binary.LittleEndian.PutUint64(long, math.MaxUint64)
	if _, err := Parse(long); !errors.Is(err, ErrCorrupt) {
		t.Errorf("header length 2^64-1: got %v, want ErrCorrupt", err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	short, bad := filepath.Join(dir, "short"), filepath.Join(dir, "bad")
	for path, b := range map[string][]byte{short: nil, bad: withHeader("[]", 0)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]error{short: ErrCorrupt, bad: ErrCorrupt, dir: ErrCorrupt,
		filepath.Join(dir, "absent"): os.ErrNotExist} {
		if _, err := Open(path); !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("Open: got %v, want %v naming %s", err, want, path)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	cases := map[string][]Tensor{
		"reserved":  {{"__metadata__", "U8", []int64{0}, nil}},
		"twice":     {{"a", "U8", []int64{0}, nil}, {"a", "U8", []int64{0}, nil}},
		"not UTF-8": {{"\xff", "U8", []int64{0}, nil}},
		"dtype":     {{"a", "Q4", []int64{0}, nil}},
		"size":      {{"a", "F32", []int64{1}, make([]byte, 3)}},
		"rank":      {{"a", "U8", make([]int64, 33), nil}},
	}
	for name, tensors := range cases {
		var b bytes.Buffer
		if err := Write(&b, tensors, nil); err == nil || b.Len() != 0 {
			t.Errorf("%s: got %v and %d bytes, want an error and none", name, err, b.Len())
		}
	}
}
