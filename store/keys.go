package store

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// MasterKeySize is the length of Options.MasterKey.
const MasterKeySize = 32

// The file of keys: a header of two slots' length, then slots. Slot n is at
// keyHeader + n·slotSize and holds the key of the profile with the number n,
// wrapped by the master key; zeros are no key. docs/format.md draws it.
const (
	keyMagic   = "XPEFTKEY"
	keyVersion = 1
	keyHeader  = 128
	slotSize   = 64
	keySize    = 32 // AES-256
	wrapped    = 12 + keySize + 16
)

// KeysPath is where the keys of an encrypted store at path are.
func KeysPath(path string) string { return strings.TrimSuffix(path, ".db") + ".keys" }

// keyring is the open file of keys. Values are encrypted under a key of their
// profile's own, so that overwriting 64 bytes erases all that there is of it,
// wherever bbolt left copies.
type keyring struct {
	file   *os.File
	noSync bool
	id     string      // that the store's meta names
	wrap   cipher.AEAD // of the master key
	ids    []byte      // key of the HMAC that bktIDs has instead of ids
	macs   sync.Pool   // of that

	// epoch is counted up whenever keys are erased; erased says when each
	// was. A reader that began before has a record whose key is gone: what it
	// asks for was deleted since.
	epoch  atomic.Uint64
	lock   sync.Mutex
	erased map[uint32]uint64
}

// wrapping derives the key that wraps, from the caller's and the file's id.
func wrapping(master []byte, id string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, master, []byte(id), "xpeft keys 1", keySize)
	if err != nil {
		return nil, err
	}
	return newAEAD(key)
}

// newAEAD is AES-256-GCM; what it seals begins with its nonce.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// keyID reads the 16 bytes that a file of keys is known by.
func keyID(header []byte) string { return hex.EncodeToString(header[16:32]) }

// createKeys makes a file without slots, and returns its id.
func createKeys(path string, master []byte) (id string, err error) {
	header := make([]byte, keyHeader)
	copy(header, keyMagic)
	binary.LittleEndian.PutUint32(header[8:], keyVersion)
	binary.LittleEndian.PutUint32(header[12:], slotSize)
	rand.Read(header[16:32])
	id = keyID(header)
	wrap, err := wrapping(master, id)
	if err != nil {
		return "", err
	}
	ids := make([]byte, keySize)
	rand.Read(ids)
	copy(header[32:], wrap.Seal(nil, nil, ids, header[:32]))
	sumHeader(header)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(header)
	return id, errors.Join(err, f.Sync(), f.Close())
}

func sumHeader(header []byte) {
	at := keyHeader - crcSize
	binary.LittleEndian.PutUint32(header[at:], crc32.Checksum(header[:at], castagnoli))
}

// openKeys opens the file of keys that a store's meta names. It is ErrKey if
// that is another's, or the master key is not its own.
func openKeys(path, id string, o Options) (*keyring, error) {
	flag := os.O_RDWR
	if o.ReadOnly {
		flag = os.O_RDONLY
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	k := &keyring{file: f, noSync: o.NoSync, id: id, erased: map[uint32]uint64{}}
	if err := k.unlock(o.MasterKey); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return k, nil
}

func (k *keyring) unlock(master []byte) error {
	header := make([]byte, keyHeader)
	if _, err := k.file.ReadAt(header, 0); err != nil {
		return corrupt("file of keys is cut off: %w", err)
	}
	err := checkKeys(header, k.id)
	if err != nil {
		return err
	}
	if k.wrap, err = wrapping(master, k.id); err != nil {
		return err
	}
	if k.ids, err = k.wrap.Open(nil, nil, header[32:32+wrapped], header[:32]); err != nil {
		return fmt.Errorf("%w: the file of keys has another master key", ErrKey)
	}
	return nil
}

// checkKeys says whether a header is of the file of keys that a store names.
func checkKeys(header []byte, id string) error {
	at := keyHeader - crcSize
	switch version := binary.LittleEndian.Uint32(header[8:]); {
	case string(header[:8]) != keyMagic:
		return corrupt("not a file of keys")
	case binary.LittleEndian.Uint32(header[at:]) != crc32.Checksum(header[:at], castagnoli):
		return corrupt("the header of the file of keys is damaged")
	case version > keyVersion:
		return fmt.Errorf("%w: file of keys of version %d, this one reads up to %d", ErrSchema, version, keyVersion)
	case keyID(header) != id:
		return fmt.Errorf("%w: the file of keys is another store's", ErrKey)
	}
	return nil
}

// idKeySize is how much of an HMAC bktIDs has.
const idKeySize = 16

// idKey is what bktIDs has an id under: 16 bytes that say nothing of it.
func (k *keyring) idKey(id []byte) []byte {
	mac, _ := k.macs.Get().(hash.Hash)
	if mac == nil {
		mac = hmac.New(sha256.New, k.ids)
	}
	mac.Reset() // also keeps what it made of the key
	mac.Write(id)
	sum := mac.Sum(nil)[:idKeySize]
	k.macs.Put(mac)
	return sum
}

func slotAt(n uint32) int64 { return keyHeader + int64(n)*slotSize }

// slotName is what a wrapped key is bound to beside the master key: its place.
func slotName(n uint32) []byte { return binary.LittleEndian.AppendUint32([]byte("slot"), n) }

// newSlot makes a key, and the slot n that holds it.
func (k *keyring) newSlot(n uint32) (slot []byte, a cipher.AEAD, err error) {
	key := make([]byte, keySize)
	rand.Read(key)
	if a, err = newAEAD(key); err != nil {
		return nil, nil, err
	}
	slot = k.wrap.Seal(make([]byte, 0, slotSize), nil, key, slotName(n))
	return binary.LittleEndian.AppendUint32(slot, crc32.Checksum(slot, castagnoli)), a, nil
}

func checkSlot(slot []byte) error {
	switch {
	case len(slot) != slotSize:
		return corrupt("a key's slot of %d bytes, want %d", len(slot), slotSize)
	case isZero(slot):
		return corrupt("it has no key")
	case binary.LittleEndian.Uint32(slot[wrapped:]) != crc32.Checksum(slot[:wrapped], castagnoli):
		return corrupt("its key is damaged")
	}
	return nil
}

func (k *keyring) aead(n uint32) (cipher.AEAD, error) {
	var slot [slotSize]byte
	if _, err := k.file.ReadAt(slot[:], slotAt(n)); err == io.EOF {
		return nil, corrupt("profile %d has no key: the file of keys ends before it", n)
	} else if err != nil {
		return nil, err
	}
	if err := checkSlot(slot[:]); err != nil {
		return nil, fmt.Errorf("profile %d: %w", n, err)
	}
	key, err := k.wrap.Open(nil, nil, slot[:wrapped], slotName(n))
	if err != nil {
		return nil, corrupt("the key of profile %d is not this store's", n)
	}
	return newAEAD(key)
}

// write stores slots durably.
func (k *keyring) write(slots map[uint32][]byte) error {
	if len(slots) == 0 {
		return nil
	}
	numbers := slices.Sorted(maps.Keys(slots))
	for i := 0; i < len(numbers); {
		first, run := numbers[i], slices.Clone(slots[numbers[i]])
		for i++; i < len(numbers) && numbers[i] == numbers[i-1]+1; i++ {
			run = append(run, slots[numbers[i]]...)
		}
		if _, err := k.file.WriteAt(run, slotAt(first)); err != nil {
			return err
		}
	}
	if k.noSync {
		return nil
	}
	return k.file.Sync()
}

// erase overwrites the keys of profiles that are not there any more, durably.
func (k *keyring) erase(numbers []uint32) error {
	if len(numbers) == 0 {
		return nil
	}
	now := k.epoch.Add(1)
	zeros := make([]byte, slotSize)
	slots := make(map[uint32][]byte, len(numbers))
	k.lock.Lock()
	for _, n := range numbers {
		k.erased[n] = now
		slots[n] = zeros
	}
	k.lock.Unlock()
	if err := k.write(slots); err != nil {
		return fmt.Errorf("store: deleted, but keys are not erased before the next Open: %w", err)
	}
	return nil
}

// now is the epoch; there is none without keys.
func (k *keyring) now() uint64 {
	if k == nil {
		return 0
	}
	return k.epoch.Load()
}

// each calls fn for every number that has a key, in their order.
func (k *keyring) each(fn func(n uint32)) error {
	r := bufio.NewReaderSize(io.NewSectionReader(k.file, keyHeader, math.MaxInt64-keyHeader), 1<<20)
	slot := make([]byte, slotSize)
	for n := uint64(0); n <= math.MaxUint32; n++ {
		_, err := io.ReadFull(r, slot)
		if err == io.EOF || err == io.ErrUnexpectedEOF { // half a slot is of a write that a crash cut short
			return nil
		}
		if err != nil {
			return err
		}
		if !isZero(slot) {
			fn(uint32(n))
		}
	}
	return nil
}

func (k *keyring) erasedSince(n uint32, epoch uint64) bool {
	k.lock.Lock()
	defer k.lock.Unlock()
	return k.erased[n] > epoch
}

func (k *keyring) close() error {
	if k == nil {
		return nil
	}
	return k.file.Close()
}

// bytes reads the whole file, nil if there is none.
func (k *keyring) bytes() ([]byte, error) {
	if k == nil {
		return nil, nil
	}
	info, err := k.file.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	_, err = k.file.ReadAt(b, 0)
	return b, err
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
