package fuzz

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"testing"

	"filippo.io/age"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// opener opens what seal encrypts.
var opener = func() *age.X25519Identity {
	id, err := age.ParseX25519Identity("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX")
	if err != nil {
		panic(err) // the text above is wrong
	}
	return id
}()

func seal(t testing.TB, plain []byte) []byte {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, opener.Recipient())
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzSealedBundle imports any bytes as an encrypted bundle, and what stands in
// one, where only signer is trusted, who signed none of it: a typed error, and
// nothing is taken in.
func FuzzSealedBundle(f *testing.F) {
	sealed := seal(f, sampleBundle(f))
	f.Add(sealed)
	f.Add(sealed[:len(sealed)-1])
	f.Add(sealed[:100])
	f.Add([]byte("age-encryption.org/v1\n-> X25519 \n"))
	f.Add(sign(sampleBundle(f))[:60])
	s := openStore(f)
	dir := f.TempDir()
	o := folder.ImportOptions{MaxBytes: 1 << 20, MaxProfiles: 100, Identities: []age.Identity{opener},
		Trust: []ed25519.PublicKey{signer.Public().(ed25519.PublicKey)}}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, seal(t, b)} {
			_, err := folder.Import(context.Background(), s, dir, bytes.NewReader(b), o)
			if n, countErr := s.Count(); n != 0 || countErr != nil {
				t.Fatalf("got %d profiles, %v, want none", n, countErr)
			}
			typed := false
			for _, want := range []error{store.ErrCorrupt, store.ErrSchema, store.ErrLimit, store.ErrSignature,
				folder.ErrEncrypted} {
				typed = typed || errors.Is(err, want)
			}
			if !typed {
				t.Fatalf("got %v, want a typed error", err)
			}
		}
	})
}
