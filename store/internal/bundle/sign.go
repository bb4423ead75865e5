package bundle

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// A signed bundle has the signer's public key after its version, so that a
// reader refuses a stranger before it reads on, and at its end a signature of
// its SHA-256, which is of all bytes before, the key too.

// ErrSignature is store.ErrSignature.
var ErrSignature = errors.New("store: signature refused")

// signDomain goes before what is signed: no signature that the key makes
// elsewhere is one of a bundle.
const signDomain = "xpeft bundle v2\x00"

func signedMessage(sum [sha256.Size]byte) []byte { return append([]byte(signDomain), sum[:]...) }

// publicKey is nil for no signer. A key that cannot sign is an error: never an
// unsigned bundle.
func publicKey(s crypto.Signer) (ed25519.PublicKey, error) {
	if s == nil {
		return nil, nil
	}
	if key, ok := s.(ed25519.PrivateKey); ok && len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("signing key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	public, ok := s.Public().(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("signing key is a %T, want an Ed25519 one", s.Public())
	}
	return public, nil
}

// sign returns the signature, which it has verified: a signer may be a device.
func sign(s crypto.Signer, public ed25519.PublicKey, sum [sha256.Size]byte) ([]byte, error) {
	message := signedMessage(sum)
	signature, err := s.Sign(rand.Reader, message, crypto.Hash(0))
	if err == nil && !ed25519.Verify(public, message, signature) {
		err = errors.New("the signer's signature is wrong")
	}
	return signature, err
}
