package eval

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzEvalData: any file, plain or gzipped, is ErrData, or people who can be evaluated.
func FuzzEvalData(f *testing.F) {
	var good bytes.Buffer
	for i := range 36 {
		good.WriteString(`{"who": ` + string(rune('0'+i%6)) + `, "text": "t", "kind": "` + string(rune('a'+i%2)) +
			"\"}\n")
	}
	f.Add(good.Bytes())
	f.Add(good.Bytes()[:40])
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff})
	path := filepath.Join(f.TempDir(), "data")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := ReadData(path, Fields{ID: "who", Text: "text", Label: "kind"}, SplitPeople)
		if err != nil {
			if d != nil || !errors.Is(err, ErrData) {
				t.Fatalf("got %v, %v, want ErrData and nothing", d, err)
			}
			return
		}
		for _, p := range d.People {
			if p.ID == "" || len(p.Examples) < 6 {
				t.Fatalf("got %q with %d texts", p.ID, len(p.Examples))
			}
		}
	})
}
