package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"io"
	"math"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store/internal/bundle"
	"github.com/xpeft/xpeft/store/internal/format"
)

// bundleFormat is that of bundles. Two versions less are those without records of version 3, four
// less those without persons, and with examples that have neither key nor flags.
var bundleFormat = bundle.Format{Magic: "XPEFTB", Name: "bundle", Newest: 6, Signed: true}

// The frames of a bundle.
const (
	frameHeader   = 1 + iota // digests of encoder and tokenizer
	frameBank                // a bank, before the first profile over it
	frameBankFile            // that bank's file: its size; then its bytes
	frameHead                // a shared head, before the first profile with it
	frameProfile             // a record, whose refs are the bundle's own
	frameState               // of the profile before
	frameExample             // of the profile before
	frameEnd                 // counts
	framePerson              // of the profile before: flags and notes
)

// maxBundleRefs is the largest number of banks, and of heads, in a bundle.
const maxBundleRefs = 1 << 16

// bundleHeader is what a whole bundle is bound to.
func bundleHeader(m Meta) []byte {
	b := append(m.Encoder[:len(m.Encoder):len(m.Encoder)], m.Tokenizer[:]...)
	return format.AppendBytes(format.AppendUvarints(b, m.MaxTokens), m.Model)
}

type bundleCounts struct{ profiles, states, examples uint64 }

func (c bundleCounts) encode() []byte {
	return format.AppendUvarints(nil, c.profiles, c.states, c.examples)
}

// frame is a decoded frame: its kind says which field.
type frame struct {
	kind     byte
	payload  []byte // without the ref of a bank or head: a view, good until the next frame
	header   Meta
	bank     BankInfo
	fileSize int64
	profile  *Profile // its refs are the bundle's own; good until the next frame, too
	example  kept
}

// bundleReader reads frames, and checks each of them and their order: what it
// returns is a whole, consistent bundle once it has returned io.EOF.
type bundleReader struct {
	*bundle.Reader

	last   byte // kind of the frame before
	lastID string
	banks  map[uint32]BankInfo
	heads  int
	counts bundleCounts

	profile Profile // the last one, whose memory is used again
}

func newBundleReader(r io.Reader, limit int64) (*bundleReader, error) {
	b, err := bundle.NewReader(r, bundleFormat, limit)
	return &bundleReader{Reader: b, banks: map[uint32]BankInfo{}}, err
}

// next returns the next frame, and io.EOF after the last.
func (b *bundleReader) next() (f frame, err error) {
	if b.last == frameEnd {
		return f, b.End()
	}
	if f.kind, f.payload, err = b.Frame(format.MaxFrame); err != nil {
		return f, err
	}
	if err := b.decode(&f); err != nil {
		return frame{}, err
	}
	b.last = f.kind
	return f, nil
}

func (b *bundleReader) decode(f *frame) (err error) {
	if (b.last == 0) != (f.kind == frameHeader) {
		return corrupt("frame %d after frame %d", f.kind, b.last)
	}
	d := &format.Decoder{B: f.payload}
	after := func(what string, kinds ...byte) {
		if !bytes.Contains(kinds, []byte{b.last}) {
			d.Fail("%s after frame %d", what, b.last)
		}
	}
	switch f.kind {
	case frameHeader:
		f.header.Encoder, f.header.Tokenizer = d.Digest("encoder"), d.Digest("tokenizer")
		f.header.MaxTokens, f.header.Model = int(d.Uint(math.MaxInt32, "max tokens")), string(d.Bytes(maxText, "model"))
	case frameBank:
		if err := b.decodeBank(f, d); err != nil {
			return err
		}
	case frameBankFile:
		after("bank file", frameBank)
		f.fileSize = int64(d.Uint(math.MaxInt64, "size"))
	case frameHead:
		b.decodeHead(f, d)
	case frameProfile:
		return b.decodeProfile(f)
	case frameState:
		after("state", frameProfile, framePerson)
		d.B = nil
		b.counts.states++
	case framePerson:
		after("person", frameProfile)
		readPerson(d)
		d.B = nil
	case frameExample:
		after("example", frameProfile, framePerson, frameState, frameExample)
		b.counts.examples++
		f.example, err = decodeExample(f.payload)
		return cmp.Or(d.Err, err)
	case frameEnd:
		if got := (bundleCounts{d.Uvarint("profiles"), d.Uvarint("states"), d.Uvarint("examples")}); got != b.counts {
			d.Fail("bundle has %v, but says %v", b.counts, got)
		}
	default:
		d.Fail("unknown frame %d", f.kind)
	}
	return d.End()
}

// readRef reads that of a bank or head: they are counted.
func readRef(d *format.Decoder, what string, before int) {
	if ref := d.Uvarint(what + " ref"); ref != uint64(before+1) || ref > maxBundleRefs {
		d.Fail("%s ref %d, want %d, at most %d", what, ref, before+1, maxBundleRefs)
	}
}

func (b *bundleReader) decodeBank(f *frame, d *format.Decoder) (err error) {
	if readRef(d, "bank", len(b.banks)); d.Err != nil {
		return d.Err
	}
	f.payload, d.B = d.B, nil
	if f.bank, err = decodeBank(f.payload); err != nil {
		return corrupt("bank: %w", err)
	}
	b.banks[uint32(len(b.banks)+1)] = BankInfo{Digest: f.bank.Digest, N: f.bank.N, Blocks: f.bank.Blocks}
	return nil
}

func (b *bundleReader) decodeHead(f *frame, d *format.Decoder) {
	readRef(d, "head", b.heads)
	f.payload = d.B
	var digest Digest = d.Digest("head digest")
	if got := Digest(sha256.Sum256(d.B)); d.Err == nil && got != digest {
		d.Fail("head's digest is %s, want %s", got.Short(), digest.Short())
	}
	d.B = nil
	b.heads++
}

func (b *bundleReader) decodeProfile(f *frame) (err error) {
	p := &b.profile
	if _, err = format.DecodeRecord(p.record(), f.payload, bitmask.View); err != nil {
		return err
	}
	f.profile = p
	switch err := p.overBanks(bankOf(b.banks)); {
	case p.ID <= b.lastID:
		return corrupt("profile %q after %q", p.ID, b.lastID)
	case err != nil:
		return corrupt("profile %q: %v", p.ID, err)
	case len(p.Codes) == 2 && b.banks[p.Codes[0].Bank].Digest == b.banks[p.Codes[1].Bank].Digest:
		return corrupt("profile %q has two codes over one bank", p.ID) // which its refs do not tell
	case int64(p.Head) > int64(b.heads):
		return corrupt("profile %q has head %d of %d", p.ID, p.Head, b.heads)
	}
	b.lastID = p.ID
	b.counts.profiles++
	return nil
}
