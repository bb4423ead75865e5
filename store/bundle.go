package store

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"

	"github.com/xpeft/xpeft/bitmask"
)

// The frames of a bundle, in the zstd stream within its chunks. A frame is
// its kind, the length of its payload, and the payload.
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

// bundleWindow is zstd's window, what a reader has to hold in memory.
const bundleWindow = 4 << 20

// maxBundleRefs is the largest number of banks, and of heads, in a bundle.
const maxBundleRefs = 1 << 16

// bundleHeader is what a whole bundle is bound to.
type bundleHeader struct {
	encoder, tokenizer Digest
	maxTokens          int
	model              string
}

func (h bundleHeader) encode() []byte {
	b := append(h.encoder[:len(h.encoder):len(h.encoder)], h.tokenizer[:]...)
	b = binary.AppendUvarint(b, uint64(h.maxTokens))
	return appendBytes(b, h.model)
}

func (d *decoder) header() (h bundleHeader) {
	h.encoder, h.tokenizer = d.digest("encoder"), d.digest("tokenizer")
	h.maxTokens = int(d.uint(math.MaxInt32, "max tokens"))
	h.model = string(d.bytes(maxText, "model"))
	return h
}

// bundleCounts are those of the last frame.
type bundleCounts struct{ profiles, states, examples uint64 }

func (c bundleCounts) encode() []byte { return appendUvarints(nil, c.profiles, c.states, c.examples) }

// frame is a decoded frame: its kind says which field.
type frame struct {
	kind     byte
	payload  []byte // without the ref of a bank or head: a view, good until the next frame
	header   bundleHeader
	bank     BankInfo
	fileSize int64
	profile  *Profile // its refs are the bundle's own; good until the next frame, too
	example  kept
}

// bundleReader reads frames, and checks each of them and their order: what it
// returns is a whole, consistent bundle once it has returned io.EOF.
type bundleReader struct {
	*bufio.Reader // of the source
	source        *bundleSource
	large         bytes.Buffer // a payload that the reader's buffer cannot hold

	last   byte // kind of the frame before
	lastID string
	banks  map[uint32]BankInfo
	heads  int
	counts bundleCounts

	profile Profile // the last one, whose memory is used again
}

func newBundleReader(r io.Reader, limit int64) (*bundleReader, error) {
	chunks, err := newChunkReader(r)
	if err != nil {
		return nil, err
	}
	return newFrameReader(chunks, limit)
}

// newFrameReader reads frames out of the zstd stream in chunks.
func newFrameReader(chunks *chunkReader, limit int64) (*bundleReader, error) {
	z, err := zstd.NewReader(chunks, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(bundleWindow), zstd.WithDecoderMaxMemory(bundleWindow))
	if err != nil {
		return nil, err
	}
	source := &bundleSource{chunks, z, limit, limit}
	return &bundleReader{Reader: bufio.NewReaderSize(source, chunkSize), source: source,
		banks: map[uint32]BankInfo{}}, nil
}

func (b *bundleReader) Close() { b.source.z.Close() }

// bundleSource reads decompressed bytes, up to a limit.
type bundleSource struct {
	chunks *chunkReader
	z      *zstd.Decoder
	limit  int64
	left   int64
}

func (s *bundleSource) Read(p []byte) (int, error) {
	if s.left == 0 { // the end is not over the limit
		p = p[:1]
	} else {
		p = p[:min(int64(len(p)), s.left)]
	}
	n, err := s.z.Read(p)
	if s.left -= int64(n); s.left < 0 {
		return 0, fmt.Errorf("%w: a bundle of more than %d bytes, decompressed", ErrLimit, s.limit)
	}
	return n, s.fault(err)
}

// fault tells the errors of the source from those of its bytes.
func (s *bundleSource) fault(err error) error {
	switch {
	case err == nil, err == io.EOF, errors.Is(err, ErrCorrupt), errors.Is(err, ErrLimit), errors.Is(err, ErrSchema):
		return err
	case s.chunks.err != nil && s.chunks.err != io.EOF:
		return s.chunks.err
	}
	return corrupt("bundle: %w", err)
}

// next returns the next frame, and io.EOF after the last.
func (b *bundleReader) next() (f frame, err error) {
	if b.last == frameEnd {
		return f, b.end()
	}
	if f.kind, f.payload, err = b.frame(maxFrame); err != nil {
		return f, err
	}
	if err := b.decode(&f); err != nil {
		return frame{}, err
	}
	b.last = f.kind
	return f, nil
}

// frame reads the next frame's kind and payload, which is good until the next
// read.
func (b *bundleReader) frame(limit uint64) (kind byte, payload []byte, err error) {
	if kind, err = b.ReadByte(); err != nil {
		return 0, nil, cutOff(err)
	}
	size, err := binary.ReadUvarint(b)
	if err != nil {
		return 0, nil, cutOff(b.source.fault(err))
	}
	if size > limit {
		return 0, nil, corrupt("frame of %d bytes", size)
	}
	if payload, err = b.payload(int(size)); err != nil {
		return 0, nil, cutOff(err)
	}
	return kind, payload, nil
}

// payload returns the next bytes, good until the next read.
func (b *bundleReader) payload(size int) ([]byte, error) {
	if size <= b.Size() {
		p, err := b.Peek(size)
		if err == nil {
			_, err = b.Discard(size) // which leaves them where they are
		}
		return p, err
	}
	b.large.Reset() // grows as bytes come, not as the frame says
	_, err := io.CopyN(&b.large, b, int64(size))
	return b.large.Bytes(), err
}

func cutOff(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt("bundle ends too early")
	}
	return err
}

// end checks that nothing follows the last frame.
func (b *bundleReader) end() error {
	switch _, err := b.ReadByte(); {
	case err == nil:
		return corrupt("bytes after the bundle's last frame")
	case err != io.EOF:
		return err
	case b.source.chunks.err != io.EOF:
		return corrupt("bundle ends too early")
	}
	return io.EOF
}

// file gives a file of so many bytes, which come next, to take, and reads to its end.
func (b *bundleReader) file(size int64, take func(io.Reader) error) error {
	file := &io.LimitedReader{R: b.Reader, N: size}
	err := take(file)
	if bad := b.source.chunks.err; err != nil && bad != nil && bad != io.EOF {
		return bad // rather than what was made of it
	}
	if err == nil {
		_, err = io.Copy(io.Discard, file)
	}
	if err == nil && file.N > 0 {
		err = corrupt("a file ends %d bytes too early", file.N)
	}
	return err
}

// decode reads a payload.
func (b *bundleReader) decode(f *frame) (err error) {
	if (b.last == 0) != (f.kind == frameHeader) {
		return corrupt("frame %d after frame %d", f.kind, b.last)
	}
	d := &decoder{b: f.payload}
	after := func(what string, kinds ...byte) {
		if !bytes.Contains(kinds, []byte{b.last}) {
			d.fail("%s after frame %d", what, b.last)
		}
	}
	switch f.kind {
	case frameHeader:
		f.header = d.header()
	case frameBank:
		if err := b.decodeBank(f, d); err != nil {
			return err
		}
	case frameBankFile:
		after("bank file", frameBank)
		f.fileSize = int64(d.uint(math.MaxInt64, "size"))
	case frameHead:
		b.decodeHead(f, d)
	case frameProfile:
		return b.decodeProfile(f)
	case frameState:
		after("state", frameProfile, framePerson)
		d.b = nil
		b.counts.states++
	case framePerson:
		after("person", frameProfile)
		d.person()
		d.b = nil
	case frameExample:
		after("example", frameProfile, framePerson, frameState, frameExample)
		b.counts.examples++
		f.example, err = decodeExample(f.payload)
		return cmp.Or(d.err, err)
	case frameEnd:
		if got := (bundleCounts{d.uvarint("profiles"), d.uvarint("states"), d.uvarint("examples")}); got != b.counts {
			d.fail("bundle has %v, but says %v", b.counts, got)
		}
	default:
		d.fail("unknown frame %d", f.kind)
	}
	return d.end()
}

// ref reads that of a bank or head: they are counted.
func (d *decoder) ref(what string, before int) {
	if ref := d.uvarint(what + " ref"); ref != uint64(before+1) || ref > maxBundleRefs {
		d.fail("%s ref %d, want %d, at most %d", what, ref, before+1, maxBundleRefs)
	}
}

func (b *bundleReader) decodeBank(f *frame, d *decoder) (err error) {
	if d.ref("bank", len(b.banks)); d.err != nil {
		return d.err
	}
	f.payload, d.b = d.b, nil
	if f.bank, err = decodeBank(f.payload); err != nil {
		return corrupt("bank: %w", err)
	}
	b.banks[uint32(len(b.banks)+1)] = BankInfo{Digest: f.bank.Digest, N: f.bank.N, Blocks: f.bank.Blocks}
	return nil
}

func (b *bundleReader) decodeHead(f *frame, d *decoder) {
	d.ref("head", b.heads)
	f.payload = d.b
	digest := d.digest("head digest")
	if got := Digest(sha256.Sum256(d.b)); d.err == nil && got != digest {
		d.fail("head's digest is %s, want %s", got.Short(), digest.Short())
	}
	d.b = nil
	b.heads++
}

func (b *bundleReader) decodeProfile(f *frame) (err error) {
	p := &b.profile
	if _, err = decodeRecord(p, f.payload, bitmask.View); err != nil {
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
