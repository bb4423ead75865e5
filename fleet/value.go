package fleet

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/xpeft/xpeft/sdk"
)

// What is sent begins with a version. A later version is ErrSchema, and left for a newer node.
const formatVersion = 1

// value is what the fleet knows of one profile. Its header is in the clear, and bound to the sealed
// person.
type value struct {
	gone    bool   // forgotten: there is no person
	epoch   uint64 // rises with each Forget
	through uint64 // the last operation that is in it: a sequence of the stream of operations
	sealed  []byte // the person, under the profile's key
}

// nobody is what takes a value's place when the key is gone that opens it.
func nobody(v value) value { return value{gone: true, epoch: v.epoch + 1, through: v.through} }

const headerSize = 2 + 8 + 8

func (v value) header() []byte {
	b := []byte{formatVersion, 0}
	if v.gone {
		b[1] = 1
	}
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, v.epoch), v.through)
}

func (v value) encode() []byte { return append(v.header(), v.sealed...) }

func decodeValue(b []byte) (v value, err error) {
	if len(b) > 0 && b[0] > formatVersion {
		return v, fmt.Errorf("%w: value of version %d", ErrSchema, b[0])
	}
	if len(b) < headerSize || b[0] != formatVersion || b[1] > 1 {
		return v, fmt.Errorf("%w: value of %d bytes", ErrCorrupt, len(b))
	}
	v = value{gone: b[1] == 1, epoch: binary.LittleEndian.Uint64(b[2:]),
		through: binary.LittleEndian.Uint64(b[10:]), sealed: b[headerSize:]}
	return v, nil
}

// person is what a value seals: an id, which operations are in it, and a bundle with the profile,
// its examples and its state.
type person struct {
	id     string
	recent []opID // the newest operations: one that was published twice is done once
	bundle []byte
}

// opID is the beginning of the hash of an operation's id.
type opID [8]byte

// mostRecentOps is how many operations a person remembers.
const mostRecentOps = 32

func hashOf(id string) opID {
	sum := sha256.Sum256([]byte(id))
	return opID(sum[:8])
}

func (p person) seal(v value, key []byte, place string) []byte {
	plain := append(binary.AppendUvarint(nil, uint64(len(p.id))), p.id...)
	plain = binary.AppendUvarint(plain, uint64(len(p.recent)))
	for _, id := range p.recent {
		plain = append(plain, id[:]...)
	}
	return seal(key, append(plain, p.bundle...), place+string(v.header()))
}

func (v value) open(key []byte, place string) (p person, err error) {
	plain, err := unseal(key, v.sealed, place+string(v.header()))
	if err != nil {
		return p, err
	}
	n, size := binary.Uvarint(plain)
	if size <= 0 || n > uint64(len(plain)-size) {
		return p, fmt.Errorf("%w: id of a person", ErrCorrupt)
	}
	p.id, plain = string(plain[size:size+int(n)]), plain[size+int(n):]
	n, size = binary.Uvarint(plain)
	if size <= 0 || n > mostRecentOps || n*uint64(len(opID{})) > uint64(len(plain)-size) {
		return p, fmt.Errorf("%w: operations of a person", ErrCorrupt)
	}
	for plain = plain[size:]; n > 0; n-- {
		p.recent, plain = append(p.recent, opID(plain)), plain[len(opID{}):]
	}
	p.bundle = plain
	return p, nil
}

// The kinds of operations.
const (
	opObserve = "observe"
	opLearn   = "learn"
	opForget  = "forget"
	opErase   = "erase" // one example
	opPrivate = "private"
	opImport  = "import"
	opRead    = "read"
)

// op is an operation: what a node asks the fleet to do to a profile.
type op struct {
	ID       string            `json:"id"` // random, made before the first attempt to publish
	Kind     string            `json:"kind"`
	Profile  string            `json:"profile"`
	Epoch    uint64            `json:"-"` // of the profile, as far as the node knew
	Examples []sdk.Example     `json:"examples,omitempty"`
	Learn    *sdk.LearnOptions `json:"learn,omitempty"`
	Text     string            `json:"text,omitempty"`
	Pair     string            `json:"pair,omitempty"`
	Private  bool              `json:"private,omitempty"`
	Bundle   []byte            `json:"bundle,omitempty"`
	Reply    string            `json:"reply,omitempty"` // subject that the result goes to
}

// Who sealed an operation.
const (
	byFleet   = 0 // the fleet's key: the person had none
	byProfile = 1 // the profile's
)

const opHeader = 2 + 8

// encode seals an operation, under the profile's key if there is one.
func (o op) encode(s secrets, key []byte, place string) ([]byte, error) {
	plain, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	header := binary.LittleEndian.AppendUint64([]byte{formatVersion, byProfile}, o.Epoch)
	if key == nil {
		header[1], key = byFleet, s.op
	}
	return append(header, seal(key, plain, place+string(header))...), nil
}

// opEpoch reads an operation's epoch, and who sealed it.
func opEpoch(b []byte) (epoch uint64, by byte, err error) {
	if len(b) > 0 && b[0] > formatVersion {
		return 0, 0, fmt.Errorf("%w: operation of version %d", ErrSchema, b[0])
	}
	if len(b) < opHeader || b[0] != formatVersion || b[1] > byProfile {
		return 0, 0, fmt.Errorf("%w: operation of %d bytes", ErrCorrupt, len(b))
	}
	return binary.LittleEndian.Uint64(b[2:]), b[1], nil
}

// decodeOp opens an operation with the key that opEpoch named.
func decodeOp(b, key []byte, place string) (o op, err error) {
	plain, err := unseal(key, b[opHeader:], place+string(b[:opHeader]))
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(plain, &o); err != nil {
		return o, fmt.Errorf("%w: operation: %v", ErrCorrupt, err)
	}
	o.Epoch = binary.LittleEndian.Uint64(b[2:])
	return o, nil
}
