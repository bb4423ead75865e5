package bank

import (
	"bytes"
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
	jointVersion    = 1
	jointHeaderSize = 100

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
)

// IsJoint says whether a file that begins so holds joint axes.
func IsJoint(head []byte) bool { return bytes.HasPrefix(head, []byte(jointMagic)) }

// MarshalBinary returns the file of the axes (docs/format.md, "Joint axes"): equal axes are equal bytes.
func (a *Joint) MarshalBinary() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	b := make([]byte, jointHeaderSize)
	copy(b, jointMagic)
	le.PutUint32(b[atJointVersion:], jointVersion)
	le.PutUint32(b[atJointDim:], uint32(a.Dim()))
	le.PutUint32(b[atJointLabels:], uint32(len(a.Labels)))
	le.PutUint32(b[atJointCount:], uint32(a.Count()))
	le.PutUint32(b[atJointPeople:], uint32(a.People))
	copy(b[atJointAxes:], a.Axes[:])
	copy(b[atJointHead:], a.Head[:])
	for _, label := range a.Labels {
		b = le.AppendUint16(b, uint16(len(label)))
		b = append(b, label...)
	}
	le.PutUint32(b[atJointBytes:], uint32(len(b)-jointHeaderSize))
	b = appendEntries(b, a.Range, F32)
	for _, m := range a.Digits {
		b = append(b, byte(m))
	}
	b = appendEntries(b, a.V, F16)
	b = appendEntries(b, a.B, F16)
	le.PutUint32(b[atJointCRC:], jointCRC(b))
	return b, nil
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
type jointShape struct{ dim, labels, count, bytes int }

// size is the length of the file.
func (s jointShape) size() int64 {
	entries := int64(s.count) * int64(s.labels) * (int64(s.dim) + 1)
	return jointHeaderSize + int64(s.bytes) + 5*int64(s.count) + 2*entries
}

func jointShapeOf(b []byte) (s jointShape, err error) {
	if len(b) < jointHeaderSize || !IsJoint(b) {
		return s, corruptf("joint axes: not a file of them")
	}
	le := binary.LittleEndian
	if v := le.Uint32(b[atJointVersion:]); v != jointVersion {
		return s, &UnsupportedError{Field: "version", Value: fmt.Sprint(v), Want: fmt.Sprint(jointVersion)}
	}
	field := func(at int, most uint32) int {
		v := le.Uint32(b[at:])
		if v > most && err == nil {
			err = corruptf("joint axes: %d at byte %d, want at most %d", v, at, most)
		}
		return int(v)
	}
	s.dim, s.labels, s.count = field(atJointDim, MaxHidden), field(atJointLabels, MaxJointLabels), field(atJointCount, MaxJointAxes)
	s.bytes = field(atJointBytes, MaxJointLabels*(2+maxLabelBytes))
	field(atJointPeople, math.MaxInt32)
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
	a := &Joint{People: int(le.Uint32(b[atJointPeople:])), Axes: Digest(b[atJointAxes:atJointHead]), Head: Digest(b[atJointHead:atJointBytes])}
	rest, left := b[jointHeaderSize:jointHeaderSize+s.bytes], b[jointHeaderSize+s.bytes:]
	for range s.labels {
		if len(rest) < 2 || len(rest) < 2+int(le.Uint16(rest)) {
			return nil, corruptf("joint axes: the labels end early")
		}
		n := 2 + int(le.Uint16(rest))
		a.Labels, rest = append(a.Labels, string(rest[2:n])), rest[n:]
	}
	if len(rest) > 0 {
		return nil, corruptf("joint axes: %d bytes behind the labels", len(rest))
	}
	a.Range, a.V, a.B = make([]float32, s.count), make([]float32, s.count*s.labels*s.dim), make([]float32, s.count*s.labels)
	decodeEntries(a.Range, left, F32)
	for _, m := range left[4*s.count : 5*s.count] {
		a.Digits = append(a.Digits, int(m))
	}
	left = left[5*s.count:]
	decodeEntries(a.V, left, F16)
	decodeEntries(a.B, left[2*len(a.V):], F16)
	if err := a.check(); err != nil {
		return nil, corruptf("%v", err)
	}
	return a, nil
}

// SaveJoint writes joint axes into the folder dir, which must exist, as a file named by their digest, atomically as Save does.
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

func receiveJoint(ctx context.Context, t *os.File, r io.Reader, head []byte) (Digest, error) {
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

// JointFile is a file of joint axes that was read whole. It has a File's methods, and nothing to close.
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
