package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
	"unicode/utf8"
)

// The store has these under the same names, and says what they mean.
var (
	ErrCorrupt = errors.New("store: corrupt")
	ErrLimit   = errors.New("store: over a limit")
	ErrSchema  = errors.New("store: written by a newer version")
	ErrID      = errors.New("store: bad profile id")
)

// Corrupt returns an error that wraps ErrCorrupt and says what was wrong.
func Corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
}

// MaxID is the size limit of an id, which no option can raise.
const MaxID = 4096

// CheckID says whether an id is UTF-8 of 1 to limit bytes.
func CheckID(id string, limit int) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: empty", ErrID)
	case len(id) > limit:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrID, len(id), limit)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w: %q is not UTF-8", ErrID, id)
	}
	return nil
}

// Seal appends to payload a CRC-32C over the bucket's tag, the key and the payload, so that a value
// found under another key is as wrong as a flipped bit.
func Seal(tag byte, key, payload []byte) []byte {
	return binary.LittleEndian.AppendUint32(payload, sealCRC(tag, key, payload))
}

// Unseal returns a view of the payload of a value that Seal made.
func Unseal(tag byte, key, value []byte) ([]byte, error) {
	at := len(value) - SumSize
	if at < 0 {
		return nil, Corrupt("value of %d bytes, want %d or more", len(value), SumSize)
	}
	if got, want := binary.LittleEndian.Uint32(value[at:]), sealCRC(tag, key, value[:at]); got != want {
		return nil, Corrupt("checksum is %08x, want %08x", got, want)
	}
	return value[:at:at], nil
}

func sealCRC(tag byte, key, payload []byte) uint32 {
	crc := crc32.Update(0, Castagnoli, []byte{tag})
	crc = crc32.Update(crc, Castagnoli, key)
	return crc32.Update(crc, Castagnoli, payload)
}

// AppendBytes appends b after its length.
func AppendBytes[T []byte | string](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// AppendUvarints appends numbers, each as a uvarint.
func AppendUvarints[T int | uint32 | uint64](dst []byte, numbers ...T) []byte {
	for _, n := range numbers {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return dst
}

// Micros is a time as written: microseconds since 1970, 0 for no time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// zeroMicros is what the zero time would be if it were not written as 0.
var zeroMicros = time.Time{}.UnixMicro()

// A Decoder takes fields off the front of B. After the first fault it returns zeros, and Err says
// what it was: callers look at Err before they use a value.
type Decoder struct {
	B   []byte
	Err error
}

// Fail sets Err, if it is the first fault.
func (d *Decoder) Fail(text string, args ...any) {
	if d.Err == nil {
		d.Err = Corrupt(text, args...)
		d.B = nil
	}
}

// Take returns a view of the next n bytes.
func (d *Decoder) Take(n uint64, what string) []byte {
	if d.Err != nil || n > uint64(len(d.B)) {
		d.Fail("%s: %d bytes wanted, %d left", what, n, len(d.B))
		return nil
	}
	b := d.B[:n:n]
	d.B = d.B[n:]
	return b
}

// Uvarint accepts only the shortest form: a value has one encoding.
func (d *Decoder) Uvarint(what string) uint64 {
	v, n := binary.Uvarint(d.B)
	if n <= 0 || n > 1 && d.B[n-1] == 0 {
		d.Fail("%s: bad varint", what)
		return 0
	}
	d.B = d.B[n:]
	return v
}

// Uint is a uvarint of at most limit.
func (d *Decoder) Uint(limit uint64, what string) uint64 {
	v := d.Uvarint(what)
	if v > limit {
		d.Fail("%s is %d, want at most %d", what, v, limit)
		return 0
	}
	return v
}

// Varint is a signed number.
func (d *Decoder) Varint(what string) int64 {
	u := d.Uvarint(what)
	return int64(u>>1) ^ -int64(u&1)
}

// Bytes returns a view of bytes that come after their length.
func (d *Decoder) Bytes(limit uint64, what string) []byte {
	return d.Take(d.Uint(limit, what), what)
}

// Time checks and makes a time of microseconds as written.
func (d *Decoder) Time(us int64, what string) time.Time {
	if us == 0 {
		return time.Time{}
	}
	if us == zeroMicros {
		d.Fail("%s: no time, written as a time", what)
	}
	return time.UnixMicro(us).UTC()
}

// Digest is a SHA-256.
func (d *Decoder) Digest(what string) (digest [32]byte) {
	copy(digest[:], d.Take(uint64(len(digest)), what))
	return digest
}

// End is the error of the whole: also one if bytes are left over.
func (d *Decoder) End() error {
	if d.Err == nil && len(d.B) > 0 {
		d.Fail("%d bytes too many", len(d.B))
	}
	return d.Err
}

// Castagnoli is the polynomial of every checksum in the store's files.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SumSize is the length of a checksum.
const SumSize = 4

// AppendSum appends a CRC-32C of b.
func AppendSum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, Castagnoli))
}

// CutSum returns a view of what is before the checksum at the end of b, if that is right.
func CutSum(b []byte) (payload []byte, ok bool) {
	at := len(b) - SumSize
	if at < 0 || binary.LittleEndian.Uint32(b[at:]) != crc32.Checksum(b[:at], Castagnoli) {
		return nil, false
	}
	return b[:at:at], true
}
