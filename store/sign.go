package store

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
)

// A signed bundle has the signer's public key after its version, so that a
// reader refuses a stranger before it reads on, and at its end a signature of
// its SHA-256, which is of all bytes before, the key too.

// signDomain goes before what is signed: no signature that the key makes
// elsewhere is one of a bundle.
const signDomain = "xpeft bundle v2\x00"

func signedMessage(sum Digest) []byte { return append([]byte(signDomain), sum[:]...) }

// bundleSigner signs with a key that was checked.
type bundleSigner struct {
	signer crypto.Signer
	public ed25519.PublicKey
}

// newBundleSigner returns nil for no signer. A key that cannot sign is an
// error: never an unsigned bundle.
func newBundleSigner(s crypto.Signer) (*bundleSigner, error) {
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
	return &bundleSigner{s, public}, nil
}

// sign returns the signature, which it has verified: a signer may be a device.
func (s *bundleSigner) sign(sum Digest) ([]byte, error) {
	message := signedMessage(sum)
	signature, err := s.signer.Sign(rand.Reader, message, crypto.Hash(0))
	if err == nil && !ed25519.Verify(s.public, message, signature) {
		err = errors.New("the signer's signature is wrong")
	}
	return signature, err
}

// checkTrust checks the keys themselves: Verify would panic.
func (o *ImportOptions) checkTrust() error {
	for _, key := range o.Trust {
		if len(key) != ed25519.PublicKeySize {
			return fmt.Errorf("trusted key of %d bytes, want %d", len(key), ed25519.PublicKeySize)
		}
	}
	return nil
}

// accepts says whether a bundle that names this signer may be read; nil is
// none. That the signature is the signer's is only known at its end.
func (o *ImportOptions) accepts(signer ed25519.PublicKey) error {
	switch {
	case signer == nil && (o.RequireSigned || o.Trust != nil):
		return fmt.Errorf("%w: bundle is not signed", ErrSignature)
	case signer == nil || o.Trust == nil:
		return nil
	case !slices.ContainsFunc(o.Trust, func(key ed25519.PublicKey) bool { return key.Equal(signer) }):
		return fmt.Errorf("%w: %x, which is not trusted, signed the bundle", ErrSignature, []byte(signer))
	}
	return nil
}
