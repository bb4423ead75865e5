package axes

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/xpeft/xpeft/bank"
)

const (
	jointVersion    = 2   // 1 has neither a precision of biases nor texts, and is written where there is none of either
	jointHeaderSize = 100 // of version 1
	jointHeaderMore = 8   // of version 2

	// Offsets in the header.
	atJointDim    = 16
	atJointLabels = 20
	atJointCount  = 24
	atJointPeople = 28
	atJointAxes   = 32
	atJointHead   = 64
	atJointBytes  = 96 // of the labels
	atJointTexts  = 100
	atJointBeta   = 104
)

// MarshalBinary returns the file of the axes (docs/format.md, "Joint axes"): equal axes are equal
// bytes.
func (a *Joint) MarshalBinary() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	le, version := binary.LittleEndian, a.version()
	b := le.AppendUint32([]byte(jointMagic), version)
	for _, v := range []int{0, a.Dim(), len(a.Labels), a.Count(), a.People} { // the first is the CRC's place
		b = le.AppendUint32(b, uint32(v))
	}
	b = append(append(append(b, a.Axes[:]...), a.Head[:]...), 0, 0, 0, 0)
	if version > 1 {
		b = le.AppendUint32(b, uint32(len(a.Keys)))
		b = le.AppendUint32(b, math.Float32bits(cmp.Or(a.Beta, 1)))
	}
	header := len(b)
	for _, label := range a.Labels {
		b = append(le.AppendUint16(b, uint16(len(label))), label...)
	}
	le.PutUint32(b[atJointBytes:], uint32(len(b)-header))
	b = appendFloats(b, a.Range)
	for _, m := range a.Digits {
		b = append(b, byte(m))
	}
	b = appendHalves(appendHalves(b, a.V), a.B)
	b, _ = binary.Append(b, le, a.Keys) // numbers always encode
	b = appendHalves(b, a.Own)
	le.PutUint32(b[atCRC:], checksum(b))
	return b, nil
}

// version is the oldest that holds the axes, so that equal axes stay equal bytes.
func (a *Joint) version() uint32 {
	if len(a.Keys) == 0 && (a.Beta == 0 || a.Beta == 1) {
		return 1
	}
	return jointVersion
}

// jointShape is what the header says, within the limits.
type jointShape struct{ header, dim, labels, count, bytes, texts int }

// size is the length of the file.
func (s jointShape) size() int64 {
	p := bank.Properties{Origin: bank.JointAxes, Axes: s.count, Bottleneck: s.labels, Hidden: s.dim, Texts: s.texts}
	return int64(s.header) + int64(s.bytes) + p.Bytes()
}

// jointHeader is the length of the header that begins with b, which is one of version 1 at least.
func jointHeader(b []byte) (int, error) {
	if len(b) < jointHeaderSize || !isJoint(b) {
		return 0, corruptf("not a file of them")
	}
	switch v := binary.LittleEndian.Uint32(b[atVersion:]); v {
	case 1:
		return jointHeaderSize, nil
	case jointVersion:
		return jointHeaderSize + jointHeaderMore, nil
	default:
		return 0, &bank.UnsupportedError{
			Field: "version",
			Value: fmt.Sprint(v),
			Want:  fmt.Sprintf("1 to %d", jointVersion),
		}
	}
}

func jointShapeOf(b []byte) (s jointShape, err error) {
	if s.header, err = jointHeader(b); err != nil {
		return s, err
	}
	if len(b) < s.header {
		return s, corruptf("%d bytes of a header of %d", len(b), s.header)
	}
	field := func(at int, most uint32) int {
		v := binary.LittleEndian.Uint32(b[at:])
		if v > most && err == nil {
			err = corruptf("%d at byte %d, want at most %d", v, at, most)
		}
		return int(v)
	}
	s.dim, s.labels, s.count = field(atJointDim, bank.MaxHidden), field(atJointLabels, bank.MaxJointLabels),
		field(atJointCount, bank.MaxJointAxes)
	s.bytes = field(atJointBytes, bank.MaxJointLabels*(2+maxLabelBytes))
	field(atJointPeople, math.MaxInt32)
	if s.header > jointHeaderSize {
		s.texts = field(atJointTexts, bank.MaxJointTexts)
	}
	if err == nil && s.size() > jointHeaderSize+2*bank.MaxAxesBytes {
		err = corruptf("a file of %d bytes", s.size())
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
		return nil, corruptf("%d bytes, want %d", len(b), s.size())
	}
	le := binary.LittleEndian
	if err := checkCRC(b); err != nil {
		return nil, err
	}
	a := &Joint{People: int(le.Uint32(b[atJointPeople:])), Axes: bank.Digest(b[atJointAxes:atJointHead]),
		Head: bank.Digest(b[atJointHead:atJointBytes])}
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
		return nil, corruptf("version %d of what version 1 holds, or biases of no precision", jointVersion)
	}
	return a, nil
}

func jointLabels(b []byte, count int) (labels []string, err error) {
	for range count {
		if len(b) < 2 || len(b) < 2+int(binary.LittleEndian.Uint16(b)) {
			return nil, corruptf("the labels end early")
		}
		n := 2 + int(binary.LittleEndian.Uint16(b))
		labels, b = append(labels, string(b[2:n])), b[n:]
	}
	if len(b) > 0 {
		return nil, corruptf("%d bytes behind the labels", len(b))
	}
	return labels, nil
}

// decode reads what is behind the labels.
func (a *Joint) decode(b []byte, s jointShape) {
	a.Range, b = floats(b, s.count)
	for _, m := range b[:s.count] {
		a.Digits = append(a.Digits, int(m))
	}
	a.V, b = halves(b[s.count:], s.count*s.labels*s.dim)
	a.B, b = halves(b, s.count*s.labels)
	if s.texts > 0 {
		a.Keys = make([]uint64, s.texts)
		binary.Decode(b, binary.LittleEndian, a.Keys) // whose length was checked
		a.Own, _ = halves(b[8*s.texts:], s.texts*(1+s.count)*s.labels)
	}
}

// jointSize reads the rest of a header out of the stream, and returns the length of the file.
func jointSize(head []byte, r io.Reader) ([]byte, int64, error) {
	more := func(size int) error {
		at := len(head)
		head = append(head, make([]byte, size-at)...)
		if _, err := io.ReadFull(r, head[at:]); err != nil {
			return readError(err)
		}
		return nil
	}
	if err := more(jointHeaderSize); err != nil {
		return nil, 0, err
	}
	n, err := jointHeader(head)
	if err != nil {
		return nil, 0, err
	}
	if err := more(n); err != nil {
		return nil, 0, err
	}
	s, err := jointShapeOf(head)
	return head, s.size(), err
}
