package axes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/durable"
	"github.com/xpeft/xpeft/internal/half"
)

// Both kinds of files begin with eight bytes that name the kind, the version, and the CRC-32C of
// all but its own four bytes.
const (
	axesMagic  = "XPFTAXES"
	jointMagic = "XPFTJOIN"
	atVersion  = 8
	atCRC      = 12
	afterCRC   = 16

	maxFile = jointHeaderSize + bank.MaxJointLabels*(2+maxLabelBytes) + 2*bank.MaxAxesBytes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:atCRC], castagnoli), castagnoli, b[afterCRC:])
}

// checkCRC compares it with the file's own.
func checkCRC(b []byte) error {
	if got, want := binary.LittleEndian.Uint32(b[atCRC:]), checksum(b); got != want {
		return corruptf("CRC %08x, want %08x", got, want)
	}
	return nil
}

// Is says whether a file that begins so holds axes of either kind.
func Is(head []byte) bool { return isAxes(head) || isJoint(head) }

func isAxes(head []byte) bool { return bytes.HasPrefix(head, []byte(axesMagic)) }

func isJoint(head []byte) bool { return bytes.HasPrefix(head, []byte(jointMagic)) }

// File is a file of axes of one of the kinds, which was read whole and checked. It has the methods
// of a [bank.File], and nothing to close.
type File struct {
	Axes  *Axes  // nil in a file of joint axes
	Joint *Joint // nil in the other

	data   []byte
	digest bank.Digest
}

// Open reads the file at path and checks all of it.
func Open(path string) (*File, error) {
	h, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s: %w", path, corruptf("not a file of at most %d bytes", int64(maxFile)))
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(h, data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func parse(data []byte) (f *File, err error) {
	f = &File{data: data, digest: sha256.Sum256(data)}
	if isJoint(data) {
		f.Joint, err = UnmarshalJoint(data)
	} else {
		f.Axes, err = Unmarshal(data)
	}
	return f, err
}

// Properties returns the bank's properties.
func (f *File) Properties() bank.Properties {
	if f.Joint != nil {
		return f.Joint.Properties()
	}
	return f.Axes.Properties()
}

// Digest returns the SHA-256 of the file, as it was read.
func (f *File) Digest() bank.Digest { return f.digest }

// Size returns the length of the file.
func (f *File) Size() int64 { return int64(len(f.data)) }

// Verify has nothing left to do: all was checked when the file was read.
func (f *File) Verify(context.Context) error { return nil }

// WriteTo writes the file as it is.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(f.data)
	return int64(n), err
}

// Close does nothing.
func (f *File) Close() error { return nil }

// Save writes axes of either kind into the folder dir, which must exist, as a file named by their
// digest: a crash leaves the whole file or none.
func Save(dir string, a encoding.BinaryMarshaler) (bank.Digest, error) {
	b, err := a.MarshalBinary()
	if err != nil {
		return bank.Digest{}, err
	}
	return save(dir, b)
}

func save(dir string, b []byte) (bank.Digest, error) {
	d := bank.Digest(sha256.Sum256(b))
	err := durable.Create(dir, ".bank-*.tmp", func(t *os.File) (string, error) {
		_, err := t.Write(b)
		return d.String(), err
	})
	if err != nil {
		return bank.Digest{}, fmt.Errorf("bank: write: %w", err)
	}
	return d, nil
}

// Receive copies a bank's file of any kind out of a stream into the folder dir, once all of it was
// verified. It reads exactly the file's length: the stream may go on.
func Receive(ctx context.Context, dir string, r io.Reader) (bank.Digest, error) {
	head := make([]byte, axesHeaderSize)
	n, err := io.ReadFull(r, head)
	if !Is(head[:n]) {
		return bank.Receive(ctx, dir, io.MultiReader(bytes.NewReader(head[:n]), r))
	}
	var size int64
	switch {
	case err != nil:
		return bank.Digest{}, readError(err)
	case isAxes(head):
		var p bank.Properties
		p, err = axesProperties(head)
		size = axesHeaderSize + p.Bytes()
	default:
		head, size, err = jointSize(head, r)
	}
	if err != nil {
		return bank.Digest{}, err
	}
	b := bytes.NewBuffer(head) // it grows by what arrives, whatever the header says
	for left := size - int64(len(head)); left > 0; {
		if err := ctx.Err(); err != nil {
			return bank.Digest{}, fmt.Errorf("bank: receive: %w", err)
		}
		n, err := io.CopyN(b, r, min(left, 1<<20))
		if err != nil {
			return bank.Digest{}, readError(err)
		}
		left -= n
	}
	if _, err := parse(b.Bytes()); err != nil {
		return bank.Digest{}, err
	}
	return save(dir, b.Bytes())
}

func readError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return corruptf("the stream ends within the file")
	}
	return fmt.Errorf("bank: receive: %w", err)
}

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: axes: %s", bank.ErrCorrupt, fmt.Sprintf(format, args...))
}

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: axes: %s", bank.ErrInvalid, fmt.Sprintf(format, args...))
}

func appendFloats(b []byte, x []float32) []byte {
	b, _ = binary.Append(b, binary.LittleEndian, x) // float32s always encode
	return b
}

func appendHalves(b []byte, x []float32) []byte {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint16(b, half.From(v))
	}
	return b
}

// floats are the next n values of b, and what follows them.
func floats(b []byte, n int) (x []float32, rest []byte) {
	x = make([]float32, n)
	binary.Decode(b, binary.LittleEndian, x) // whose length was checked
	return x, b[4*n:]
}

func halves(b []byte, n int) (x []float32, rest []byte) {
	x = make([]float32, n)
	for i := range x {
		x[i] = half.To(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return x, b[2*n:]
}

// isHalf says whether float16 holds a number, and it is one.
func isHalf(v float32) bool {
	return v-v == 0 && math.Float32bits(half.To(half.From(v))) == math.Float32bits(v)
}
