package fleet

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

const keySize = chacha20poly1305.KeySize

// secrets are the keys that the fleet's secret makes.
type secrets struct {
	name   []byte // of the HMAC of ids
	op     []byte // seals operations of people who have no key yet, and reports
	wrap   []byte // seals profile keys
	local  []byte // seals what a node keeps beside its folder
	folder []byte // the master key of the nodes' folders
}

func newSecrets(secret []byte) (s secrets, err error) {
	for label, key := range map[string]*[]byte{"name": &s.name, "operations": &s.op, "wrap": &s.wrap,
		"local": &s.local, "folder": &s.folder} {
		if *key, err = hkdf.Key(sha256.New, secret, nil, "xpeft fleet 1 "+label, keySize); err != nil {
			return s, err
		}
	}
	return s, nil
}

var spelling = base32.HexEncoding.WithPadding(base32.NoPadding)

// nameOf is what servers know a profile by: half of an HMAC of its id.
func (s secrets) nameOf(id string) string {
	h := hmac.New(sha256.New, s.name)
	h.Write([]byte(id))
	return spelling.EncodeToString(h.Sum(nil)[:16])
}

// partitionOf spreads names evenly.
func partitionOf(name string, partitions int) int {
	sum := sha256.Sum256([]byte(name))
	return int(binary.LittleEndian.Uint64(sum[:]) % uint64(partitions))
}

// seal encrypts, and binds the result to a place: nobody can put it elsewhere.
func seal(key, plain []byte, place string) []byte {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic(err) // of a key of another size alone
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, []byte(place))
}

func unseal(key, sealed []byte, place string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, fmt.Errorf("%w: %d sealed bytes", ErrCorrupt, len(sealed))
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(place))
	if err != nil {
		return nil, fmt.Errorf("%w: does not open", ErrCorrupt)
	}
	return plain, nil
}

func newKey() []byte {
	key := make([]byte, keySize)
	rand.Read(key)
	return key
}
