package bank

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
)

const (
	jointMagic      = "XPFTJOIN"
	jointVersion    = 2   // 1 has neither a precision of biases nor texts, and is written where there is none of either
	jointHeaderSize = 100 // of version 1
	jointHeaderMore = 8   // of version 2

	// Offsets in the header.
	atJointVersion = 8
	atJointCRC     = 12
	atJointDim     = 16
	atJointLabels  = 20
	atJointCount   = 24
	atJointPeople  = 28
	atJointAxes    = 32
	atJointHead    = 64
	atJointBytes   = 96 // of the labels
	atJointTexts   = 100
	atJointBeta    = 104
)

// IsJoint says whether a file that begins so holds joint axes.
func IsJoint(head []byte) bool { return bytes.HasPrefix(head, []byte(jointMagic)) }

// MarshalBinary returns the file of the axes (docs/format.md, "Joint axes"): equal axes are equal
// bytes.
func (a *Joint) MarshalBinary() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	b := make([]byte, jointHeaderSize, jointHeaderSize+jointHeaderMore)
	version := a.version()
	copy(b, jointMagic)
	le.PutUint32(b[atJointVersion:], version)
	le.PutUint32(b[atJointDim:], uint32(a.Dim()))
	le.PutUint32(b[atJointLabels:], uint32(len(a.Labels)))
	le.PutUint32(b[atJointCount:], uint32(a.Count()))
	le.PutUint32(b[atJointPeople:], uint32(a.People))
	copy(b[atJointAxes:], a.Axes[:])
	copy(b[atJointHead:], a.Head[:])
	if version > 1 {
		b = le.AppendUint32(b, uint32(len(a.Keys)))
		b = le.AppendUint32(b, math.Float32bits(cmp.Or(a.Beta, 1)))
	}
	header := len(b)
	for _, label := range a.Labels {
		b = le.AppendUint16(b, uint16(len(label)))
		b = append(b, label...)
	}
	le.PutUint32(b[atJointBytes:], uint32(len(b)-header))
	b = appendEntries(b, a.Range, F32)
	for _, m := range a.Digits {
		b = append(b, byte(m))
	}
	b = appendEntries(b, a.V, F16)
	b = appendEntries(b, a.B, F16)
	for _, key := range a.Keys {
		b = le.AppendUint64(b, key)
	}
	b = appendEntries(b, a.Own, F16)
	le.PutUint32(b[atJointCRC:], jointCRC(b))
	return b, nil
}

// version is the oldest that holds the axes, so that equal axes stay equal bytes.
func (a *Joint) version() uint32 {
	if len(a.Keys) == 0 && (a.Beta == 0 || a.Beta == 1) {
		return 1
	}
	return jointVersion
}

// jointCRC covers all but its own four bytes.
func jointCRC(b []byte) uint32 {
	crc := crc32.Checksum(b[:atJointCRC], castagnoli)
	return crc32.Update(crc, castagnoli, b[atJointDim:])
}

// Digest is the SHA-256 of the file of the axes: their name in a folder. It is computed anew.
func (a *Joint) Digest() (Digest, error) {
	b, err := a.MarshalBinary()
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(b), nil
}

// jointShape is what the header says, within the limits.
type jointShape struct{ header, dim, labels, count, bytes, texts int }

// size is the length of the file.
func (s jointShape) size() int64 {
	entries := int64(s.count) * int64(s.labels) * (int64(s.dim) + 1)
	return int64(s.header) + int64(s.bytes) + 5*int64(s.count) + 2*entries + textsBytes(s.texts, s.count, s.labels)
}

// jointHeader is the length of the header that begins with b, which is one of version 1 at least.
func jointHeader(b []byte) (int, error) {
	if len(b) < jointHeaderSize || !IsJoint(b) {
		return 0, corruptf("joint axes: not a file of them")
	}
	switch v := binary.LittleEndian.Uint32(b[atJointVersion:]); v {
	case 1:
		return jointHeaderSize, nil
	case jointVersion:
		return jointHeaderSize + jointHeaderMore, nil
	default:
		return 0, &UnsupportedError{Field: "version", Value: fmt.Sprint(v), Want: fmt.Sprintf("1 to %d", jointVersion)}
	}
}

func jointShapeOf(b []byte) (s jointShape, err error) {
	if s.header, err = jointHeader(b); err != nil {
		return s, err
	}
	if len(b) < s.header {
		return s, corruptf("joint axes: %d bytes of a header of %d", len(b), s.header)
	}
	field := func(at int, most uint32) int {
		v := binary.LittleEndian.Uint32(b[at:])
		if v > most && err == nil {
			err = corruptf("joint axes: %d at byte %d, want at most %d", v, at, most)
		}
		return int(v)
	}
	s.dim, s.labels, s.count = field(atJointDim, MaxHidden), field(atJointLabels, MaxJointLabels),
		field(atJointCount, MaxJointAxes)
	s.bytes = field(atJointBytes, MaxJointLabels*(2+maxLabelBytes))
	field(atJointPeople, math.MaxInt32)
	if s.header > jointHeaderSize {
		s.texts = field(atJointTexts, MaxJointTexts)
	}
	if err == nil && s.size() > jointHeaderSize+2*MaxAxesBytes {
		err = corruptf("joint axes: a file of %d bytes", s.size())
	}
	return s, err
}

// UnmarshalJoint reads what MarshalBinary wrote and nothing else.
func UnmarshalJoint(b []byte) (*Joint, error) {
	s, err := jointShapeOf(b)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != s.size() {
		return nil, corruptf("joint axes: %d bytes, want %d", len(b), s.size())
	}
	le := binary.LittleEndian
	if got, want := le.Uint32(b[atJointCRC:]), jointCRC(b); got != want {
		return nil, corruptf("joint axes: CRC %08x, want %08x", got, want)
	}
	a := &Joint{People: int(le.Uint32(b[atJointPeople:])), Axes: Digest(b[atJointAxes:atJointHead]),
		Head: Digest(b[atJointHead:atJointBytes])}
	if s.header > jointHeaderSize {
		a.Beta = math.Float32frombits(le.Uint32(b[atJointBeta:]))
	}
	if a.Labels, err = jointLabels(b[s.header:s.header+s.bytes], s.labels); err != nil {
		return nil, err
	}
	a.decode(b[s.header+s.bytes:], s)
	if err := a.check(); err != nil {
		return nil, corruptf("%v", err)
	}
	if s.header > jointHeaderSize && (a.version() == 1 || a.Beta == 0) {
		return nil, corruptf("joint axes: version %d of what version 1 holds, or biases of no precision", jointVersion)
	}
	return a, nil
}

func jointLabels(b []byte, count int) (labels []string, err error) {
	for range count {
		if len(b) < 2 || len(b) < 2+int(binary.LittleEndian.Uint16(b)) {
			return nil, corruptf("joint axes: the labels end early")
		}
		n := 2 + int(binary.LittleEndian.Uint16(b))
		labels, b = append(labels, string(b[2:n])), b[n:]
	}
	if len(b) > 0 {
		return nil, corruptf("joint axes: %d bytes behind the labels", len(b))
	}
	return labels, nil
}

// decode reads what is behind the labels.
func (a *Joint) decode(b []byte, s jointShape) {
	floats := func(n int, t DType) []float32 {
		out := make([]float32, n)
		decodeEntries(out, b, t)
		b = b[n*t.Size():]
		return out
	}
	a.Range = floats(s.count, F32)
	for _, m := range b[:s.count] {
		a.Digits = append(a.Digits, int(m))
	}
	b = b[s.count:]
	a.V, a.B = floats(s.count*s.labels*s.dim, F16), floats(s.count*s.labels, F16)
	if s.texts == 0 {
		return
	}
	a.Keys = make([]uint64, s.texts)
	for i := range a.Keys {
		a.Keys[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	b = b[8*s.texts:]
	a.Own = floats(s.texts*(1+s.count)*s.labels, F16)
}

// SaveJoint writes joint axes into the folder dir, which must exist, as a file named by their
// digest, atomically as Save does.
func SaveJoint(dir string, a *Joint) (Digest, error) {
	b, err := a.MarshalBinary()
	if err != nil {
		return Digest{}, err
	}
	return create(dir, func(t *os.File) (Digest, string, error) {
		if _, err := t.Write(b); err != nil {
			return Digest{}, "", fmt.Errorf("bank: write: %w", err)
		}
		d := Digest(sha256.Sum256(b))
		return d, d.String(), nil
	})
}

// receiveJoint takes in a file whose first jointHeaderSize bytes were read.
func receiveJoint(ctx context.Context, t *os.File, r io.Reader, head []byte) (Digest, error) {
	n, err := jointHeader(head)
	if err != nil {
		return Digest{}, err
	}
	head = append(head, make([]byte, n-len(head))...)
	if _, err := io.ReadFull(r, head[jointHeaderSize:]); err != nil {
		return Digest{}, receiveError(err)
	}
	s, err := jointShapeOf(head)
	if err != nil {
		return Digest{}, err
	}
	if err := copyFile(ctx, t, r, head, s.size()); err != nil {
		return Digest{}, err
	}
	f, err := OpenJoint(t.Name())
	if err != nil {
		return Digest{}, err
	}
	return f.Digest(), nil
}

// JointFile is a file of joint axes that was read whole. It has a File's methods, and nothing to
// close.
type JointFile struct {
	*wholeFile
	Joint *Joint
}

// OpenJoint reads the file of joint axes at path and checks all of it.
func OpenJoint(path string) (*JointFile, error) {
	f, err := readWhole(path, jointHeaderSize, jointHeaderSize+MaxJointLabels*(2+maxLabelBytes)+2*MaxAxesBytes)
	if err != nil {
		return nil, err
	}
	a, err := UnmarshalJoint(f.data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &JointFile{f, a}, nil
}

// Properties returns the bank's properties.
func (f *JointFile) Properties() Properties { return f.Joint.Properties() }
