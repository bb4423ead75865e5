package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// What a key of the file and its value must be, each pair by itself: Check
// reports by these, Repair keeps what they pass, Backup and Restore refuse what
// they do not. Whether pairs lead to each other is for those to say. Their
// errors name the pair.

// Tags of what has no seal, in a backup alone.
const (
	tagID  = 'i'
	tagKey = 'K' // a slot of the file of keys, by its number
)

// backedUp are the buckets of a backup, in its order.
var backedUp = []struct {
	tag    byte
	bucket []byte
}{
	{tagValue, bktValues}, {tagBank, bktBanks}, {tagHead, bktHeads}, {tagName, bktNames}, {tagID, bktIDs},
	{tagRecord, bktProfiles}, {tagHistory, bktHistory}, {tagState, bktState}, {tagExample, bktExamples},
	{tagPerson, bktPeople}, {tagWaiting, bktWaiting}, {tagKey, nil},
}

// validPair is nil, or what is wrong with a pair. Without the keys of an
// encrypted store only sizes are seen of what is encrypted: it is sealed.
func validPair(tag byte, sealed bool, k, v []byte) (err error) {
	var t txn
	switch {
	case tag == tagValue:
		err = validValue(k, v)
	case tag == tagBank:
		_, err = validBank(k, v)
	case tag == tagHead:
		_, err = validHead(k, v)
	case tag == tagName:
		_, err = validHeadName(k, v)
	case tag == tagID:
		_, err = validID(sealed, k, v)
	case tag == tagKey:
		err = validSlot(k, v)
	case tag == tagWaiting:
		_, err = validWaiting(k, v)
	case sealed:
		err = validSealed(tag, k, v)
	case tag == tagRecord:
		_, err = t.validRecord(k, v)
	case tag == tagHistory:
		_, err = t.validEarlier(k, v)
	case tag == tagState:
		err = t.validState(k, v)
	case tag == tagExample:
		_, err = t.validExample(k, v)
	case tag == tagPerson:
		_, err = t.validPerson(k, v)
	default:
		err = corrupt("unknown bucket %q", tag)
	}
	return err
}

func validValue(k, v []byte) error {
	err := validText(k)
	if err == nil {
		_, err = unseal(tagValue, k, v)
	}
	return about(err, "value %q", k)
}

func validBank(k, v []byte) (info BankInfo, err error) {
	ref, err := validNumber(k)
	var payload []byte
	if err == nil {
		payload, err = unseal(tagBank, k, v)
	}
	if err == nil {
		info, err = decodeBank(payload)
		info.Ref = ref
	}
	return info, about(err, "bank %d", ref)
}

func validHead(k, v []byte) (d Digest, err error) {
	ref, err := validNumber(k)
	var payload []byte
	if err == nil {
		payload, err = unseal(tagHead, k, v)
	}
	switch {
	case err != nil:
	case len(payload) < len(d):
		err = corrupt("%d bytes", len(payload))
	default:
		if d = Digest(payload[:len(d)]); d != sha256.Sum256(payload[len(d):]) {
			err = corrupt("its data do not have the digest %s", d.Short())
		}
	}
	return d, about(err, "head %d", ref)
}

func validHeadName(k, v []byte) (ref uint32, err error) {
	if err := validText(k); err != nil {
		return 0, about(err, "head name %q", k)
	}
	return nameRef(k, v)
}

// validID is of a key of bktIDs; that of an encrypted store is an HMAC.
func validID(sealed bool, k, v []byte) (n uint32, err error) {
	if n, err = validNumber(v); err == nil && !sealed {
		err = validText(k)
	}
	if err == nil && sealed && len(k) != idKeySize {
		err = corrupt("%d bytes, want %d", len(k), idKeySize)
	}
	return n, about(err, "profile %q", k)
}

func (t *txn) validRecord(k, v []byte) (p *Profile, err error) {
	n, err := validNumber(k)
	var record []byte
	if err == nil {
		record, err = t.payload(tagRecord, n, k, v)
	}
	if err == nil {
		p, err = DecodeProfile(record)
	}
	if err != nil {
		return nil, about(err, "record %x", k)
	}
	p.Number = n
	return p, nil
}

func (t *txn) validEarlier(k, v []byte) (p *Profile, err error) {
	n, revision, err := validLongKey(k)
	if err == nil {
		p, err = t.earlier(n, k, v)
	}
	if err == nil && p.Revision != revision {
		err = corrupt("has revision %d", p.Revision)
	}
	return p, about(err, "history %x", k)
}

func (t *txn) validState(k, v []byte) error {
	n, err := validNumber(k)
	if err == nil {
		_, err = t.payload(tagState, n, k, v)
	}
	return about(err, "state %x", k)
}

func (t *txn) validExample(k, v []byte) (e kept, err error) {
	n, _, err := validLongKey(k)
	if err != nil {
		return e, about(err, "example %x", k)
	}
	return t.example(n, k, v)
}

func (t *txn) validPerson(k, v []byte) (p Person, err error) {
	n, err := validNumber(k)
	var payload []byte
	if err == nil {
		payload, err = t.payload(tagPerson, n, k, v)
	}
	if err == nil {
		p, err = decodePerson(payload)
	}
	return p, about(err, "person %x", k)
}

func validWaiting(k, v []byte) (count int, err error) {
	if _, err := validNumber(k); err != nil {
		return 0, about(err, "waiting %x", k)
	}
	count, _, err = decodeWaiting(k, v)
	return count, err
}

// validSealed is all that can be said of what is encrypted.
func validSealed(tag byte, k, v []byte) (err error) {
	switch tag {
	case tagRecord, tagState, tagPerson:
		_, err = validNumber(k)
	case tagHistory, tagExample:
		_, _, err = validLongKey(k)
	default:
		return corrupt("unknown bucket %q", tag)
	}
	const least = 12 + 16 // nonce and tag
	if err == nil && len(v) < least {
		err = corrupt("%d bytes, want %d or more", len(v), least)
	}
	return about(err, "%c %x", tag, k)
}

func validSlot(k, v []byte) error {
	_, err := validNumber(k)
	if err == nil {
		err = checkSlot(v)
	}
	return about(err, "key of profile %x", k)
}

// validNumber reads a number or a ref.
func validNumber(b []byte) (uint32, error) {
	n, err := number(b)
	if err == nil && n == 0 {
		err = corrupt("number 0")
	}
	return n, err
}

// validLongKey reads a number, and what comes after it.
func validLongKey(k []byte) (n uint32, rest uint64, err error) {
	if len(k) != 12 {
		return 0, 0, corrupt("key of %d bytes, want 12", len(k))
	}
	n, err = validNumber(k[:4])
	return n, binary.BigEndian.Uint64(k[4:]), err
}

// validText is checkID of what is in the file.
func validText(k []byte) error {
	if err := checkID(string(k), maxID); err != nil {
		return corrupt("%w", err)
	}
	return nil
}

// about says what an error is about.
func about(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}
