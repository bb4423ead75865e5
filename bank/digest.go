package bank

import (
	"crypto/sha256"
	"encoding/hex"
)

// A Digest is the SHA-256 that names a bank: of a random bank's properties, of a
// warm bank's properties, affine and weights, or of the whole file of axes. As text
// it is 64 lower-case hexadecimal digits, which is also the name of a bank's file.
type Digest [sha256.Size]byte

// String returns the text form.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }
