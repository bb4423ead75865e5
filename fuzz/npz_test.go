package fuzz

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xpeft/xpeft/internal/npz"
)

// FuzzNPZ: any bytes are an error or arrays within the limit, which are read again as written.
func FuzzNPZ(f *testing.F) {
	for _, name := range []string{"head.npz", "packed.npz", "object.npz"} {
		data, err := os.ReadFile("../internal/npz/testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 1 << 16
		got, err := npz.Read(data, most)
		if err != nil {
			return
		}
		entries := 0
		for _, a := range got {
			entries += len(a.Numbers) + len(a.Strings)
			for i, v := range a.Numbers { // it writes float32
				a.Numbers[i] = float64(float32(v))
			}
		}
		if entries > most {
			t.Fatalf("got %d entries of %d bytes", entries, most)
		}
		var file bytes.Buffer
		if err := npz.Write(&file, got); err != nil {
			t.Fatal(err)
		}
		again, err := npz.Read(file.Bytes(), 16*most)
		if diff := cmp.Diff(got, again, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v (-first +again):\n%s", err, diff)
		}
	})
}
