package keyring

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/xpeft/xpeft/store/internal/format"
)

// IDKeySize is the length of an IDKey.
const IDKeySize = 16

// IDKey is what the store has an id under: 16 bytes of an HMAC, which say nothing of it.
func (k *Ring) IDKey(id []byte) []byte {
	mac, _ := k.macs.Get().(hash.Hash)
	if mac == nil {
		mac = hmac.New(sha256.New, k.ids)
	}
	mac.Reset() // also keeps what it made of the key
	mac.Write(id)
	sum := mac.Sum(nil)[:IDKeySize]
	k.macs.Put(mac)
	return sum
}

// SlotAt is where the slot of a number is in the file.
func SlotAt(n uint32) int64 { return HeaderSize + int64(n)*SlotSize }

// slotName is what a wrapped key is bound to beside the master key: its place.
func slotName(n uint32) []byte { return binary.LittleEndian.AppendUint32([]byte("slot"), n) }

// NewKey makes a key, and wraps it for the place that name says.
func (k *Ring) NewKey(name []byte) (wrapped []byte, a cipher.AEAD, err error) {
	key := make([]byte, keySize)
	rand.Read(key)
	if a, err = newAEAD(key); err != nil {
		return nil, nil, err
	}
	return k.wrap.Seal(make([]byte, 0, SlotSize), nil, key, name), a, nil
}

// OpenKey reads a key that NewKey has wrapped for a place.
func (k *Ring) OpenKey(name, wrapped []byte) (cipher.AEAD, error) {
	key, err := k.wrap.Open(nil, nil, wrapped, name)
	if err != nil {
		return nil, err
	}
	return newAEAD(key)
}

// NewSlot makes a key, and the slot n that holds it.
func (k *Ring) NewSlot(n uint32) (slot []byte, a cipher.AEAD, err error) {
	wrapped, a, err := k.NewKey(slotName(n))
	return format.AppendSum(wrapped), a, err
}

// CheckSlot says whether there is a key in a slot, as far as can be told without the master key.
func CheckSlot(slot []byte) error {
	_, sound := format.CutSum(slot)
	switch {
	case len(slot) != SlotSize:
		return format.Corrupt("a key's slot of %d bytes, want %d", len(slot), SlotSize)
	case isZero(slot):
		return format.Corrupt("it has no key")
	case !sound:
		return format.Corrupt("its key is damaged")
	}
	return nil
}

// AEAD is the cipher of a profile.
func (k *Ring) AEAD(n uint32) (cipher.AEAD, error) {
	var slot [SlotSize]byte
	if _, err := k.file.ReadAt(slot[:], SlotAt(n)); err == io.EOF {
		return nil, format.Corrupt("profile %d has no key: the file of keys ends before it", n)
	} else if err != nil {
		return nil, err
	}
	if err := CheckSlot(slot[:]); err != nil {
		return nil, fmt.Errorf("profile %d: %w", n, err)
	}
	a, err := k.OpenKey(slotName(n), slot[:WrappedSize])
	if err != nil {
		return nil, format.Corrupt("the key of profile %d is not this store's", n)
	}
	return a, nil
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
