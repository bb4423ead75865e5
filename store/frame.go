package store

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/xpeft/xpeft/store/internal/format"
)

// seal appends to payload a CRC-32C over the bucket's tag, the key and the
// payload, so that a value found under another key is as wrong as a flipped bit.
func seal(tag byte, key, payload []byte) []byte {
	return binary.LittleEndian.AppendUint32(payload, sealCRC(tag, key, payload))
}

// unseal returns a view of the payload of a value that seal made.
func unseal(tag byte, key, value []byte) ([]byte, error) {
	at := len(value) - format.SumSize
	if at < 0 {
		return nil, corrupt("value of %d bytes, want %d or more", len(value), format.SumSize)
	}
	if got, want := binary.LittleEndian.Uint32(value[at:]), sealCRC(tag, key, value[:at]); got != want {
		return nil, corrupt("checksum is %08x, want %08x", got, want)
	}
	return value[:at:at], nil
}

func sealCRC(tag byte, key, payload []byte) uint32 {
	crc := crc32.Update(0, format.Castagnoli, []byte{tag})
	crc = crc32.Update(crc, format.Castagnoli, key)
	return crc32.Update(crc, format.Castagnoli, payload)
}

// appendBytes appends b after its length.
func appendBytes[T []byte | string](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// appendUvarints appends numbers, each as a uvarint.
func appendUvarints[T int | uint32 | uint64](dst []byte, numbers ...T) []byte {
	for _, n := range numbers {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return dst
}

// micros is a time as written: microseconds since 1970, 0 for no time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// zeroMicros is what the zero time would be if it were not written as 0.
var zeroMicros = time.Time{}.UnixMicro()

// decoder takes fields off the front of b. After the first fault it returns
// zeros, and err says what it was: callers look at err before they use a value.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = corrupt(format, args...)
		d.b = nil
	}
}

// take returns a view of the next n bytes.
func (d *decoder) take(n uint64, what string) []byte {
	if d.err != nil || n > uint64(len(d.b)) {
		d.fail("%s: %d bytes wanted, %d left", what, n, len(d.b))
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

// uvarint accepts only the shortest form: a value has one encoding.
func (d *decoder) uvarint(what string) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.fail("%s: bad varint", what)
		return 0
	}
	d.b = d.b[n:]
	return v
}

// uint is a uvarint of at most limit.
func (d *decoder) uint(limit uint64, what string) uint64 {
	v := d.uvarint(what)
	if v > limit {
		d.fail("%s is %d, want at most %d", what, v, limit)
		return 0
	}
	return v
}

func (d *decoder) varint(what string) int64 {
	u := d.uvarint(what)
	return int64(u>>1) ^ -int64(u&1)
}

// bytes returns a view of bytes that come after their length.
func (d *decoder) bytes(limit uint64, what string) []byte {
	return d.take(d.uint(limit, what), what)
}

// time checks and makes a time of microseconds as written.
func (d *decoder) time(us int64, what string) time.Time {
	if us == 0 {
		return time.Time{}
	}
	if us == zeroMicros {
		d.fail("%s: no time, written as a time", what)
	}
	return time.UnixMicro(us).UTC()
}

func (d *decoder) digest(what string) (digest Digest) {
	copy(digest[:], d.take(uint64(len(digest)), what))
	return digest
}

// end is the error of the whole: also one if bytes are left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("%d bytes too many", len(d.b))
	}
	return d.err
}
