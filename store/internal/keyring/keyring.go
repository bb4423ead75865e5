package keyring

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/xpeft/xpeft/store/internal/format"
)

// The file of keys: a header of two slots' length, then slots. Slot n is at
// HeaderSize + n·SlotSize and holds the key of the profile with the number n,
// wrapped by the master key; zeros are no key. docs/format.md draws it.
const (
	magic      = "XPEFTKEY"
	version    = 1
	HeaderSize = 128
	SlotSize   = 64
	// MasterSize is the length of the master key.
	MasterSize = 32
	keySize    = 32 // AES-256
	// WrappedSize is the length of a key that the master key has wrapped.
	WrappedSize = 12 + keySize + 16
)

// ErrKey is store.ErrKey.
var ErrKey = errors.New("store: wrong or missing key")

// Ring is the open file of keys. Values are encrypted under a key of their
// profile's own, so that overwriting 64 bytes erases all that there is of it,
// wherever bbolt left copies. Nil is that of a store that is not encrypted.
type Ring struct {
	file   *os.File
	noSync bool
	id     string      // that the store's meta names
	wrap   cipher.AEAD // of the master key
	ids    []byte      // key of the HMAC that the store has instead of ids
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

// Create makes a file without slots, and returns its id.
func Create(path string, master []byte) (id string, err error) {
	header := make([]byte, HeaderSize)
	copy(header, magic)
	binary.LittleEndian.PutUint32(header[8:], version)
	binary.LittleEndian.PutUint32(header[12:], SlotSize)
	rand.Read(header[16:32])
	id = keyID(header)
	wrap, err := wrapping(master, id)
	if err != nil {
		return "", err
	}
	ids := make([]byte, keySize)
	rand.Read(ids)
	copy(header[32:], wrap.Seal(nil, nil, ids, header[:32]))
	header = format.AppendSum(header[:HeaderSize-format.SumSize])
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(header)
	return id, errors.Join(err, f.Sync(), f.Close())
}

// Open opens the file of keys that a store's meta names. It is ErrKey if
// that is another's, or the master key is not its own.
func Open(path, id string, master []byte, readOnly, noSync bool) (*Ring, error) {
	flag := os.O_RDWR
	if readOnly {
		flag = os.O_RDONLY
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	k := &Ring{file: f, noSync: noSync, id: id, erased: map[uint32]uint64{}}
	if err := k.unlock(master); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return k, nil
}

func (k *Ring) unlock(master []byte) error {
	header := make([]byte, HeaderSize)
	if _, err := k.file.ReadAt(header, 0); err != nil {
		return format.Corrupt("file of keys is cut off: %w", err)
	}
	err := CheckHeader(header, k.id)
	if err != nil {
		return err
	}
	if k.wrap, err = wrapping(master, k.id); err != nil {
		return err
	}
	if k.ids, err = k.wrap.Open(nil, nil, header[32:32+WrappedSize], header[:32]); err != nil {
		return fmt.Errorf("%w: the file of keys has another master key", ErrKey)
	}
	return nil
}

// CheckHeader says whether a header is of the file of keys that a store names.
func CheckHeader(header []byte, id string) error {
	_, sound := format.CutSum(header)
	switch got := binary.LittleEndian.Uint32(header[8:]); {
	case string(header[:8]) != magic:
		return format.Corrupt("not a file of keys")
	case !sound:
		return format.Corrupt("the header of the file of keys is damaged")
	case got > version:
		return fmt.Errorf("%w: file of keys of version %d, this one reads up to %d", format.ErrSchema, got, version)
	case keyID(header) != id:
		return fmt.Errorf("%w: the file of keys is another store's", ErrKey)
	}
	return nil
}

// Write stores slots durably.
func (k *Ring) Write(slots map[uint32][]byte) error {
	if len(slots) == 0 {
		return nil
	}
	numbers := slices.Sorted(maps.Keys(slots))
	for i := 0; i < len(numbers); {
		first, run := numbers[i], slices.Clone(slots[numbers[i]])
		for i++; i < len(numbers) && numbers[i] == numbers[i-1]+1; i++ {
			run = append(run, slots[numbers[i]]...)
		}
		if _, err := k.file.WriteAt(run, SlotAt(first)); err != nil {
			return err
		}
	}
	if k.noSync {
		return nil
	}
	return k.file.Sync()
}

// Erase overwrites the keys of profiles that are not there any more, durably.
func (k *Ring) Erase(numbers []uint32) error {
	if len(numbers) == 0 {
		return nil
	}
	now := k.epoch.Add(1)
	zeros := make([]byte, SlotSize)
	slots := make(map[uint32][]byte, len(numbers))
	k.lock.Lock()
	for _, n := range numbers {
		k.erased[n] = now
		slots[n] = zeros
	}
	k.lock.Unlock()
	if err := k.Write(slots); err != nil {
		return fmt.Errorf("store: deleted, but keys are not erased before the next Open: %w", err)
	}
	return nil
}

// Epoch is a number that each Erase counts up; 0 without keys.
func (k *Ring) Epoch() uint64 {
	if k == nil {
		return 0
	}
	return k.epoch.Load()
}

// Each calls fn for every number that has a key, in their order.
func (k *Ring) Each(fn func(n uint32)) error {
	r := bufio.NewReaderSize(io.NewSectionReader(k.file, HeaderSize, math.MaxInt64-HeaderSize), 1<<20)
	slot := make([]byte, SlotSize)
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

// ErasedSince says whether the key of a number was erased after an epoch.
func (k *Ring) ErasedSince(n uint32, epoch uint64) bool {
	k.lock.Lock()
	defer k.lock.Unlock()
	return k.erased[n] > epoch
}

// Close closes the file.
func (k *Ring) Close() error {
	if k == nil {
		return nil
	}
	return k.file.Close()
}

// Bytes reads the whole file, nil if there is none.
func (k *Ring) Bytes() ([]byte, error) {
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
