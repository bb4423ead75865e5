package npz

import (
	"archive/zip"
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// read reads a file that NumPy wrote: testdata/make.py.
func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadNumPys(t *testing.T) {
	want := map[string]Array{
		"coef":      {Shape: []int{3, 2}, Numbers: []float64{0, 0.25, 0.5, 0.75, 1, 1.25}},
		"intercept": {Shape: []int{3}, Numbers: []float64{0.5, -1, 2}},
		"counts":    {Shape: []int{3}, Numbers: []float64{3, 0, 70000}},
		"classes":   {Shape: []int{3}, Strings: []string{"é", "später", "c"}},
	}
	got, err := Read(read(t, "head.npz"), 1<<20)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("head.npz: %v (-want +got):\n%s", err, diff)
	}
	var file bytes.Buffer
	if err := Write(&file, want); err != nil {
		t.Fatal(err)
	}
	if got, err = Read(file.Bytes(), 1<<20); err != nil || !cmp.Equal(want, got) {
		t.Errorf("written: got %v, %v", got, err)
	}
	want["classes"] = Array{Shape: []int{3}, Strings: []string{"a", "later", "c"}}
	want["half"] = Array{Shape: []int{2}, Numbers: []float64{0.5, 65504}}
	if got, err = Read(read(t, "packed.npz"), 1<<20); err != nil || !cmp.Equal(want, got) {
		t.Errorf("packed.npz: got %v, %v", got, err)
	}
}

// npy is an array's file with another header.
func npy(text string, data ...byte) []byte {
	return append([]byte(magic+"\x01\x00"+string(rune(len(text)))+"\x00"+text), data...)
}

func TestReadRefuses(t *testing.T) {
	of := func(name string, npy []byte) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(npy)
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	array := func(npy []byte) []byte { return of("a.npy", npy) }
	const records = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }"
	const large = "{'descr': '<f4', 'fortran_order': False, 'shape': (65536, 65536), }"
	const floats = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
	for what, c := range map[string]struct {
		file []byte
		want string
	}{
		"a pickle in it":     {read(t, "object.npz"), "which is a pickle"},
		"no archive":         {[]byte("PK\x03\x04"), "zip"},
		"no array":           {of("a.txt", nil), "no array"},
		"another file":       {array([]byte("hello, world")), "version 1 to 3"},
		"a cut header":       {array([]byte(magic + "\x01\x00\xff\x00{'descr")), "header of 255"},
		"code in the header": {array(npy("{'descr': f(), 'fortran_order': False, 'shape': (1,), }")), "the header is"},
		"records":            {array(npy(records)), "records"},
		"too few bytes":      {array(npy(floats, 0, 0, 0)), "want 1 entries"},
		"too many bytes":     {array(npy(floats, 0, 0, 0, 0, 0)), "want 1 entries"},
		"big-endian":         {array(npy(strings.Replace(floats, "<f4", ">f4", 1), 0, 0, 0, 0)), "little-endian"},
		"a large shape":      {array(npy(large)), "overflows"},
		"empty strings": {array(npy("{'descr': '<U0', 'fortran_order': False, 'shape': (2000000000,), }")),
			"strings"},
		"no character": {array(npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", 255, 255, 255, 255)),
			"character"},
		"no UTF-8": {array(npy("{'descr': '|S1', 'fortran_order': False, 'shape': (1,), }", 255)), "UTF-8"},
		"a bomb":   {array(bytes.Repeat([]byte{0}, 5000)), "unpacks to more"},
	} {
		if _, err := Read(c.file, 1000); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", what, err, c.want)
		}
	}
	if got, err := Read(array(npy(floats, 0, 0, 192, 127)), 1000); err != nil || !math.IsNaN(got["a"].Numbers[0]) {
		t.Errorf("got %v, %v, want NaN, which is a float", got, err)
	}
}
