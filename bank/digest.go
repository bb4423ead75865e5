package bank

import (
	"crypto/sha256"
	"encoding/hex"
)

// A Digest is the SHA-256 that names a bank: of a random bank's properties, of a
// warm bank's properties, affine and weights, or of the whole file of axes. As text
// it is 64 lower-case hexadecimal digits, which is also the name of a bank's file.
type Digest [sha256.Size]byte

// ParseDigest reads the text form.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if err := d.UnmarshalText([]byte(s)); err != nil {
		return Digest{}, err
	}
	return d, nil
}

// String returns the text form.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText returns the text form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form, and no other spelling of it.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != 2*len(d) {
		return invalidf("digest of %d characters, want %d", len(text), 2*len(d))
	}
	var got Digest
	if _, err := hex.Decode(got[:], text); err != nil {
		return invalidf("digest %q is not hexadecimal", text)
	}
	if got.String() != string(text) {
		return invalidf("digest %q is not in lower case", text)
	}
	*d = got
	return nil
}
