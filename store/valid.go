package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// What a key of the file and its value must be, each pair by itself: Check
// reports by it, Repair keeps what passes, Backup and Restore refuse what does
// not. Whether pairs lead to each other is for those to say.

// Tags of what has no seal, in a backup alone.
const (
	tagID  = 'i'
	tagKey = 'K' // a slot of the file of keys, by its number
)

// backedUp are the buckets of a backup, in its order, and what messages call
// their pairs.
var backedUp = []backedUpBucket{
	{format.TagValue, format.Values, "value"},
	{format.TagBank, format.Banks, "bank"},
	{format.TagHead, format.Heads, "head"},
	{format.TagName, format.Names, "head name"},
	{tagID, format.IDs, "profile"},
	{format.TagRecord, format.Profiles, "record"},
	{format.TagHistory, format.History, "history"},
	{format.TagState, format.State, "state"},
	{format.TagExample, format.Examples, "example"},
	{format.TagPerson, format.People, "person"},
	{format.TagWaiting, format.Waiting, "waiting of profile"},
	{tagKey, nil, "key of profile"},
}

type backedUpBucket struct {
	tag    byte
	bucket []byte
	what   string
}

// pair is what a key and its value say, as far as their bucket has it.
type pair struct {
	n       uint32 // the number or ref that the key begins with; of an id or a name, what it leads to
	after   uint64 // behind the number: a revision or sequence
	data    []byte // a view: of a value, a bank, a head after its digest
	bank    BankInfo
	digest  Digest // of a bank or head
	profile *Profile
	example kept
	person  Person
	waiting int
	anew    bool // the person is to be learned anew
}

func (p *pair) headData() []byte { return p.data[len(p.digest):] }

func bucketOf(tag byte) backedUpBucket {
	return backedUp[slices.IndexFunc(backedUp, func(b backedUpBucket) bool { return b.tag == tag })]
}

// stored reads the pair under a key, unless there is none: not ok.
func (t *txn) stored(tag byte, key []byte) (p pair, ok bool, err error) {
	v := t.Bucket(bucketOf(tag).bucket).Get(key)
	if v == nil {
		return p, false, nil
	}
	p, err = t.validPair(tag, false, key, v)
	return p, true, err
}

func (t *txn) ofRef(tag byte, ref uint32) (pair, error) {
	p, ok, err := t.stored(tag, format.Key(ref))
	if !ok {
		err = fmt.Errorf("%w: %s %d", ErrNotFound, bucketOf(tag).what, ref)
	}
	return p, err
}

// validPair reads a pair; the error names it. Of what is encrypted only sizes are
// seen if it is sealed: without the keys.
func (t *txn) validPair(tag byte, sealed bool, k, v []byte) (p pair, err error) {
	if err = p.readKey(tag, sealed || t.keys != nil, k, v); err == nil {
		err = p.readValue(t, tag, sealed, k, v)
	}
	return p, about(err, tag, k)
}

func about(err error, tag byte, k []byte) error {
	if err == nil {
		return nil
	}
	what := bucketOf(tag).what
	switch ref, bad := format.Number(k); {
	case tag == format.TagValue || tag == format.TagName || tag == tagID:
		return fmt.Errorf("%s %q: %w", what, k, err)
	case bad == nil && (tag == format.TagBank || tag == format.TagHead):
		return fmt.Errorf("%s %d: %w", what, ref, err)
	}
	return fmt.Errorf("%s %x: %w", what, k, err)
}

func (p *pair) readKey(tag byte, encrypted bool, k, v []byte) (err error) {
	switch {
	case tag == format.TagValue, tag == format.TagName:
		err = validText(k)
	case tag == tagID && !encrypted:
		if p.n, err = validNumber(v); err == nil {
			err = validText(k)
		}
	case tag == tagID: // an HMAC
		if p.n, err = validNumber(v); err == nil && len(k) != keyring.IDKeySize {
			err = corrupt("%d bytes, want %d", len(k), keyring.IDKeySize)
		}
	case tag != format.TagHistory && tag != format.TagExample:
		p.n, err = validNumber(k)
	case len(k) != 12:
		err = corrupt("key of %d bytes, want 12", len(k))
	default:
		p.after = binary.BigEndian.Uint64(k[4:])
		if p.n, err = validNumber(k[:4]); err == nil && tag == format.TagExample && p.after+1 == 0 {
			err = corrupt("no number comes after it")
		}
	}
	return err
}

func (p *pair) readValue(t *txn, tag byte, sealed bool, k, v []byte) (err error) {
	switch tag {
	case tagID:
		return nil
	case tagKey:
		return keyring.CheckSlot(v)
	case format.TagValue, format.TagBank, format.TagHead, format.TagName, format.TagWaiting:
		v, err = format.Unseal(tag, k, v)
	default:
		const least = 12 + 16 // nonce and tag
		if sealed {
			if len(v) < least {
				err = corrupt("%d bytes, want %d or more", len(v), least)
			}
			return err
		}
		v, err = t.payload(tag, p.n, k, v)
	}
	if err != nil {
		return err
	}
	switch tag {
	case format.TagValue:
		p.data = v
	case format.TagBank:
		p.bank, err = decodeBank(v)
		p.bank.Ref, p.digest, p.data = p.n, p.bank.Digest, v
	case format.TagHead:
		if len(v) < len(p.digest) {
			return corrupt("%d bytes", len(v))
		}
		p.digest, p.data = Digest(v[:len(p.digest)]), v
		if p.digest != sha256.Sum256(p.headData()) {
			err = corrupt("its data do not have the digest %s", p.digest.Short())
		}
	case format.TagName:
		p.n, err = format.Number(v)
	case format.TagRecord, format.TagHistory:
		if p.profile, err = DecodeProfile(v); err != nil {
			return err
		}
		if p.profile.Number = p.n; tag == format.TagHistory && p.profile.Revision != p.after {
			err = corrupt("has revision %d", p.profile.Revision)
		}
	case format.TagExample:
		p.example, err = decodeExample(v)
		p.example.Sequence = p.after
	case format.TagPerson:
		p.person, err = decodePerson(v)
	case format.TagWaiting:
		d := format.Decoder{B: v}
		count := d.Uint(2*maxExamples+1, "waiting")
		p.waiting, p.anew, err = int(count>>1), count&1 != 0, d.End()
	}
	return err
}

func validNumber(b []byte) (uint32, error) {
	n, err := format.Number(b)
	if err == nil && n == 0 {
		err = corrupt("number 0")
	}
	return n, err
}

// validText is checkID of what is in the file.
func validText(k []byte) error {
	if err := format.CheckID(string(k), maxID); err != nil {
		return corrupt("%w", err)
	}
	return nil
}
