// Package golden reads the vectors in testdata/golden for tests. They come from an independent
// PyTorch reference; a test that needs them never skips.
package golden

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// Dir is testdata/golden of this module, or where XPEFT_GOLDEN says that it is: a test binary may
// run where its sources are not.
func Dir() string {
	if dir := os.Getenv("XPEFT_GOLDEN"); dir != "" {
		return dir
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "testdata", "golden")
}

// Model is the folder of the real weights.
func Model(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("XPEFT_MODEL")
	if dir == "" {
		t.Fatal(`XPEFT_MODEL is not set: run "make test", or eval "$(scripts/env.sh)" first`)
	}
	return dir
}

// File is one file of vectors.
type File struct {
	t    testing.TB
	file *safetensors.File
}

// Open opens testdata/golden/name until the test ends.
func Open(t testing.TB, name string) File {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(Dir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return File{t, f}
}

func (f File) tensor(name string) safetensors.Tensor {
	f.t.Helper()
	x, ok := f.file.Lookup(name)
	if !ok {
		f.t.Fatalf("no tensor %s", name)
	}
	return x
}

// Has says whether the file has a tensor.
func (f File) Has(name string) bool { _, ok := f.file.Lookup(name); return ok }

// Shape of a tensor.
func (f File) Shape(name string) []int64 { f.t.Helper(); return f.tensor(name).Shape }

// Floats of a tensor.
func (f File) Floats(name string) []float32 {
	f.t.Helper()
	v, err := safetensors.Float32s(f.tensor(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return v
}

// Ints of a tensor.
func (f File) Ints(name string) []int64 {
	f.t.Helper()
	v, err := safetensors.Int64s(f.tensor(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return v
}

// Near fails unless |got − want| ≤ abs + rel·|want| everywhere, and logs the largest difference.
func Near[F float32 | float64](t testing.TB, name string, got, want []F, abs, rel float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d values, want %d", name, len(got), len(want))
	}
	worst, at := 0.0, -1
	for i := range got {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if !(d <= abs+rel*math.Abs(float64(want[i]))) {
			t.Errorf("%s[%d]: got %g, want %g (off by %g)", name, i, got[i], want[i], d)
			return
		}
		if d > worst {
			worst, at = d, i
		}
	}
	t.Logf("%s: largest difference %.3g at %d of %d", name, worst, at, len(got))
}

// Same fails unless bytes are the same.
func Same(t testing.TB, name string, got []byte, want []int) {
	t.Helper()
	b := make([]byte, len(want))
	for i, v := range want {
		b[i] = byte(v)
	}
	if !bytes.Equal(got, b) {
		t.Errorf("%s: got %v, want %v", name, got, b)
	}
}
