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
	{tagValue, bktValues, "value"}, {tagBank, bktBanks, "bank"}, {tagHead, bktHeads, "head"},
	{tagName, bktNames, "head name"}, {tagID, bktIDs, "profile"}, {tagRecord, bktProfiles, "record"},
	{tagHistory, bktHistory, "history"}, {tagState, bktState, "state"}, {tagExample, bktExamples, "example"},
	{tagPerson, bktPeople, "person"}, {tagWaiting, bktWaiting, "waiting of profile"}, {tagKey, nil, "key of profile"},
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
	bank    BankInfo
	digest  Digest // of a bank or head
	profile *Profile
	example kept
	person  Person
	waiting int
	anew    bool // the person is to be learned anew
}

// validPair reads a pair; the error names it. Of what is encrypted only sizes are
// seen if it is sealed: without the keys.
func (t *txn) validPair(tag byte, sealed bool, k, v []byte) (p pair, err error) {
	if err = p.readKey(tag, sealed || t.keys != nil, k, v); err == nil {
		err = p.readValue(t, tag, sealed, k, v)
	}
	return p, about(err, tag, k)
}

// about names the pair that an error is of.
func about(err error, tag byte, k []byte) error {
	if err == nil {
		return nil
	}
	what := backedUp[slices.IndexFunc(backedUp, func(b backedUpBucket) bool { return b.tag == tag })].what
	switch ref, bad := number(k); {
	case tag == tagValue || tag == tagName || tag == tagID:
		return fmt.Errorf("%s %q: %w", what, k, err)
	case bad == nil && (tag == tagBank || tag == tagHead):
		return fmt.Errorf("%s %d: %w", what, ref, err)
	}
	return fmt.Errorf("%s %x: %w", what, k, err)
}

func (p *pair) readKey(tag byte, encrypted bool, k, v []byte) (err error) {
	switch {
	case tag == tagValue, tag == tagName:
		err = validText(k)
	case tag == tagID && !encrypted:
		if p.n, err = validNumber(v); err == nil {
			err = validText(k)
		}
	case tag == tagID: // an HMAC
		if p.n, err = validNumber(v); err == nil && len(k) != keyring.IDKeySize {
			err = corrupt("%d bytes, want %d", len(k), keyring.IDKeySize)
		}
	case tag != tagHistory && tag != tagExample:
		p.n, err = validNumber(k)
	case len(k) != 12:
		err = corrupt("key of %d bytes, want 12", len(k))
	default:
		p.after = binary.BigEndian.Uint64(k[4:])
		if p.n, err = validNumber(k[:4]); err == nil && tag == tagExample && p.after+1 == 0 {
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
	case tagValue, tagBank, tagHead, tagName, tagWaiting:
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
	case tagBank:
		p.bank, err = decodeBank(v)
		p.bank.Ref, p.digest = p.n, p.bank.Digest
	case tagHead:
		if len(v) < len(p.digest) {
			return corrupt("%d bytes", len(v))
		}
		if p.digest = Digest(v[:len(p.digest)]); p.digest != sha256.Sum256(v[len(p.digest):]) {
			err = corrupt("its data do not have the digest %s", p.digest.Short())
		}
	case tagName:
		p.n, err = number(v)
	case tagRecord, tagHistory:
		if p.profile, err = DecodeProfile(v); err != nil {
			return err
		}
		if p.profile.Number = p.n; tag == tagHistory && p.profile.Revision != p.after {
			err = corrupt("has revision %d", p.profile.Revision)
		}
	case tagExample:
		p.example, err = decodeExample(v)
		p.example.Sequence = p.after
	case tagPerson:
		p.person, err = decodePerson(v)
	case tagWaiting:
		d := format.Decoder{B: v}
		count := d.Uint(2*maxExamples+1, "waiting")
		p.waiting, p.anew, err = int(count>>1), count&1 != 0, d.End()
	}
	return err
}

func validNumber(b []byte) (uint32, error) {
	n, err := number(b)
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
