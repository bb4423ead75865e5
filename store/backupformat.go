package store

import (
	"encoding/binary"
	"io"
	"math"
	"slices"
)

// A backup is chunks of a zstd stream of frames, as a bundle is, under another
// magic. docs/format.md draws it.

var backupMagic = []byte("XPEFTA")

const backupVersion = 1

const (
	backupFrameHeader = 1 + iota
	backupFrameKeys   // the file of keys: its size; then its bytes
	backupFramePages  // the number of the first; pages
	backupFrameBank   // a bank's file: digest and size; then its bytes
	backupFrameReport // of that bank, likewise
	backupFrameEnd
)

// backupPages is how many bytes of pages a frame has at most, unless one page
// has more.
const backupPages = 1 << 20

// maxBackupBanks is the largest number of bank files that a backup refers to.
const maxBackupBanks = maxBundleRefs

type backupHeader struct {
	revision, since uint64
	pageSize        int
	pages           uint64
	base            Digest // of the image that it builds on, if since is not 0
	banks           []Digest
}

func (h backupHeader) encode() []byte {
	var b []byte
	for _, n := range []uint64{h.revision, h.since, uint64(h.pageSize), h.pages} {
		b = binary.AppendUvarint(b, n)
	}
	if h.since != 0 {
		b = append(b, h.base[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(h.banks)))
	for _, d := range h.banks {
		b = append(b, d[:]...)
	}
	return b
}

func decodeBackupHeader(payload []byte) (h backupHeader, err error) {
	d := &decoder{b: payload}
	h.revision, h.since = d.uvarint("revision"), d.uvarint("since")
	h.pageSize = int(d.uint(maxPage, "page size"))
	h.pages = d.uint(math.MaxInt64/maxPage, "pages")
	if h.revision == 0 || h.since > h.revision {
		d.fail("revision %d since %d", h.revision, h.since)
	}
	if h.pageSize < minPage || h.pageSize&(h.pageSize-1) != 0 || h.pages < 4 {
		d.fail("%d pages of %d bytes", h.pages, h.pageSize)
	}
	if h.since != 0 {
		h.base = d.digest("base")
	}
	for range d.uint(maxBackupBanks, "banks") {
		if d.err != nil {
			break
		}
		h.banks = append(h.banks, d.digest("bank"))
	}
	return h, d.end()
}

// needs says whether the header names a bank.
func (h *backupHeader) needs(d Digest) bool { return slices.Contains(h.banks, d) }

// backupFile is what comes before a file's bytes. The keys have no bank.
type backupFile struct {
	bank Digest
	size int64
}

func (f backupFile) encode() []byte {
	b := f.bank[:]
	return binary.AppendUvarint(b[:len(b):len(b)], uint64(f.size))
}

func decodeBackupFile(kind byte, payload []byte) (f backupFile, err error) {
	d := &decoder{b: payload}
	f.bank = d.digest("bank")
	f.size = int64(d.uint(math.MaxInt64, "size"))
	if (kind == backupFrameKeys) != (f.bank == Digest{}) {
		d.fail("file of bank %s", f.bank.Short())
	}
	return f, d.end()
}

type backupEnd struct {
	image                  Digest
	pages, files, profiles uint64
}

func (e backupEnd) encode() []byte {
	b := append([]byte(nil), e.image[:]...)
	for _, n := range []uint64{e.pages, e.files, e.profiles} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func decodeBackupEnd(payload []byte) (e backupEnd, err error) {
	d := &decoder{b: payload}
	e.image = d.digest("image")
	e.pages, e.files, e.profiles = d.uvarint("pages"), d.uvarint("files"), d.uvarint("profiles")
	return e, d.end()
}

func newBackupWriter(w io.Writer) (*bundleWriter, error) {
	c, err := startChunks(w, backupMagic, backupVersion, nil)
	if err != nil {
		return nil, err
	}
	return newFrameWriter(c, 1) // the caller's writer may panic, which is the caller's
}

// pages writes a frame of pages, without a copy of them.
func (b *bundleWriter) pages(first uint64, pages []byte) error {
	head := binary.AppendUvarint(nil, first)
	b.buf = binary.AppendUvarint(append(b.buf[:0], backupFramePages), uint64(len(head)+len(pages)))
	if _, err := b.z.Write(append(b.buf, head...)); err != nil {
		return err
	}
	_, err := b.z.Write(pages)
	return err
}

// backupReader reads frames of a backup.
type backupReader struct{ *bundleReader }

func newBackupReader(r io.Reader, limit int64) (backupReader, error) {
	c, _, err := openChunks(r, backupMagic, "backup", backupVersion)
	if err != nil {
		return backupReader{}, err
	}
	b, err := newFrameReader(c, limit)
	return backupReader{b}, err
}

// next returns the next frame; its payload is good until the next read.
func (b backupReader) next() (kind byte, payload []byte, err error) { return b.frame(MaxRecord) }
