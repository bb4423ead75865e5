package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/store/internal/bundle"
)

// imageBackup writes a backup of version 1 of a file: all its pages, or those that differ from
// an earlier image. Each image is named by its revision.
func imageBackup(t *testing.T, image, earlier []byte, revision, since byte) []byte {
	t.Helper()
	const pageSize = 4096
	pages := len(image) / pageSize
	header := binary.AppendUvarint([]byte{revision, since}, pageSize)
	header = binary.AppendUvarint(header, uint64(pages))
	if since != 0 {
		base := Digest{since}
		header = append(header, base[:]...)
	}
	var out bytes.Buffer
	format := backupFormat
	format.Newest = backupOfPages
	w, err := bundle.NewWriter(&out, format, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = w.Frame(backupFrameHeader, append(header, 0))
	count := 0
	for n := range pages {
		page := image[n*pageSize:][:pageSize]
		if at := n * pageSize; at < len(earlier) && bytes.Equal(page, earlier[at:][:pageSize]) {
			continue
		}
		count++
		err = errors.Join(err, w.Frame(backupFramePages, append(binary.AppendUvarint(nil, uint64(n)), page...)))
	}
	name := Digest{revision}
	end := append(name[:], backupEnd{pairs: uint64(count), profiles: 7}.encode()...)
	if err := errors.Join(err, w.Frame(backupFrameEnd, end), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestImageChain restores a backup of version 1 and one since it, byte for byte.
func TestImageChain(t *testing.T) {
	if testKey != nil {
		t.Skip("the images have no file of keys")
	}
	s := newStore(t, fast)
	image := func() []byte { return must(os.ReadFile(s.Path())) }
	secrets(t, s, 20)
	before := image()
	secrets(t, s, 30)
	after := image()
	full, since := imageBackup(t, before, nil, 1, 0), imageBackup(t, after, before, 2, 1)
	path := filepath.Join(t.TempDir(), "xpeft.db")
	report, err := Restore(ctx, path, nil, bytes.NewReader(full), bytes.NewReader(since))
	if err != nil || report.Profiles != 7 || report.Revision != 2 {
		t.Fatalf("got %+v, %v, want revision 2", report, err)
	}
	if !bytes.Equal(must(os.ReadFile(path)), after) {
		t.Error("the restored file is not the image")
	}
	touched := bytes.Clone(before)
	touched[2*4096+100]++
	shrunk := imageBackup(t, before, after, 3, 2)
	for name, c := range map[string]struct {
		chain [][]byte
		want  error
	}{
		"back again":           {[][]byte{full, since, shrunk}, nil},
		"one page":             {[][]byte{full, imageBackup(t, touched, before, 2, 1)}, nil},
		"without a full one":   {[][]byte{since}, ErrMismatch},
		"a missing link":       {[][]byte{full, shrunk}, ErrMismatch},
		"pages that are not":   {[][]byte{imageBackup(t, after, after, 1, 0)}, ErrCorrupt},
		"a newer one after it": {[][]byte{full, must(os.ReadFile("testdata/backup-v2-since.bin"))}, ErrMismatch},
	} {
		if _, err := Verify(ctx, nil, readers(c.chain)...); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}
