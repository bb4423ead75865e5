package safetensors

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestForeign: what lies in a weights file's place by mistake is named, with what to do.
func TestForeign(t *testing.T) {
	_, _, whole := sample(t)
	cases := []struct{ name, content, want string }{
		{"Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer"},
		{"HTML", "<!DOCTYPE html><html></html>", "HTML page"},
		{"HTML, capitals behind blank lines", "\r\n\r\n  <HTML>", "HTML page"},
		{"HTML behind a byte order mark", "\ufeff<!doctype HTML>", "HTML page"},
		{"a bucket's error", "<?xml version=\"1.0\"?><Error/>", "XML page"},
		{"an interface's error", `{"error":"Repository not found"}`, "text, not weights"},
		{"words", "Entry not found", "text, not weights"},
		{"few words", "no", "text, not weights"},
		{"zip", "PK\x03\x04\x00\x00\x08\x08\x00\x00", "PyTorch"},
		{"pickle", "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j", "PyTorch"},
		{"HDF5", "\x89HDF\r\n\x1a\n", "TensorFlow"},
		{"GGUF", "GGUF\x03\x00\x00\x00\xff", "GGUF"},
		{"gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "gzip"},
		{"empty", "", "empty"},
		{"zeros", strings.Repeat("\x00", 100), "zeros"},
		{"cut in the length", string(whole[:5]), "cut off"},
		{"cut in the header", string(whole[:20]), "cut off"},
		{"cut in the data", string(whole[:len(whole)-1]), "cut off"},
		{"noise", "\xfe\xfe\xfe\xfe\xfe\xfe\xfe\xfe\xfe", "not a safetensors file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.safetensors")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want ErrCorrupt with %q and the path", err, c.want)
			}
		})
	}
}

// TestNotForeign: a whole file may begin with another format's signature, by the length of its
// header.
func TestNotForeign(t *testing.T) {
	for _, n := range []int{0x0280, 0x088b1f} {
		header := "{}" + strings.Repeat(" ", n-2)
		b := withHeader(header, 0)
		if _, err := Parse(b); err != nil {
			t.Errorf("a header of %d bytes, % x: got %v, want nil", n, b[:3], err)
		}
	}
}
