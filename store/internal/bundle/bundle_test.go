package bundle

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"io"
	"testing"

	"github.com/xpeft/xpeft/store/internal/format"
)

var (
	testFormat = Format{Magic: "XTESTB", Name: "test", Newest: 4, Signed: true}
	testKey    = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
)

// written is a stream of two frames, the first with a file.
func written(t *testing.T, key crypto.Signer) []byte {
	var out bytes.Buffer
	w, err := NewWriter(&out, testFormat, key)
	if err != nil {
		t.Fatal(err)
	}
	err = w.File(1, []byte("payload"), bytes.NewReader([]byte("a file")), 6)
	if err := errors.Join(err, w.Frame(2, nil), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// read returns the error of reading what written wrote, io.EOF if all of it is sound.
func read(b []byte, limit int64) (*Reader, error) {
	r, err := NewReader(bytes.NewReader(b), testFormat, limit)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var file []byte
	_, payload, err := r.Frame(7)
	same := string(payload) == "payload"
	if err == nil {
		err = r.File(6, func(f io.Reader) (err error) { file, err = io.ReadAll(f); return err })
	}
	if err == nil {
		_, payload, err = r.Frame(7)
	}
	if err == nil && (!same || string(file) != "a file" || len(payload) > 0) {
		err = errors.New("not what was written")
	}
	if err == nil {
		err = r.End()
	}
	return r, err
}

// TestStream reads what was written, and an error of whatever a cut or a flipped bit makes of it.
func TestStream(t *testing.T) {
	for version, key := range map[uint16]crypto.Signer{3: nil, 4: testKey} {
		b := written(t, key)
		r, err := read(b, 17)
		if err != io.EOF || r.Version != version || r.Bytes() != 17 || (r.Signer == nil) != (key == nil) {
			t.Fatalf("version %d: got %v, %+v, want io.EOF", version, err, r)
		}
		if _, err := read(b, 16); !errors.Is(err, format.ErrLimit) {
			t.Errorf("version %d, over the limit: got %v, want ErrLimit", version, err)
		}
		for i := range b {
			flipped := bytes.Clone(b)
			flipped[i] ^= 1 << (i % 8)
			for what, bad := range map[string][]byte{"cut": b[:i], "flipped": flipped} {
				_, err := read(bad, 17)
				if !errors.Is(err, format.ErrCorrupt) && !errors.Is(err, format.ErrSchema) &&
					!errors.Is(err, format.ErrLimit) && !errors.Is(err, ErrSignature) {
					t.Errorf("version %d, %s at %d: got %v, want ErrCorrupt", version, what, i, err)
				}
			}
		}
	}
}
