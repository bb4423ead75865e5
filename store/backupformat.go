package store

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/xpeft/xpeft/store/internal/boltpages"
	"github.com/xpeft/xpeft/store/internal/bundle"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// backupFormat is that of backups; docs/format.md draws it.
var backupFormat = bundle.Format{Magic: "XPEFTA", Name: "backup", Newest: backupVersion}

const (
	backupOfPages = 1 // version: read, and written no more
	backupVersion = 2
)

const (
	backupFrameHeader = 1 + iota
	backupFrameKeys   // version 1: the file of keys: its size; then its bytes
	backupFramePages  // version 1: the number of the first; pages
	backupFrameBank   // a bank's file: digest and size; then its bytes
	backupFrameReport // of that bank, likewise
	backupFrameEnd
	backupFrameSets  // the numbers that there are, and those that are in it
	backupFramePairs // tag of a bucket; keys and values
)

// pairsSize is what a frame of pairs has before another begins.
const pairsSize = 1 << 16

// maxBackupFrame is the longest: of one long value after many short ones.
const maxBackupFrame = MaxRecord + 2*pairsSize

// maxBackupBanks is the largest number of bank files that a backup refers to.
const maxBackupBanks = maxBundleRefs

// backupHeader is that of both versions.
type backupHeader struct {
	revision, since uint64
	base            Digest // of the backup that it builds on, if since is not 0; in version 1 of its image
	banks           []Digest

	pageSize int // of version 1
	pages    uint64

	meta      []byte // sealed, as in bktMeta
	keys      []byte // header of the file of keys; empty: nothing is encrypted
	commits   uint64 // of the tally
	maskBytes uint64
}

func (h *backupHeader) encode() []byte {
	b := appendUvarints(nil, h.revision, h.since)
	if h.since != 0 {
		b = append(b, h.base[:]...)
	}
	b = appendBytes(appendBytes(b, h.meta), h.keys)
	return appendDigests(appendUvarints(b, h.commits, h.maskBytes), h.banks)
}

func decodeBackupHeader(version uint16, payload []byte) (h backupHeader, err error) {
	d := &decoder{b: payload}
	h.revision, h.since = d.uvarint("revision"), d.uvarint("since")
	if h.revision == 0 || h.since > h.revision {
		d.fail("revision %d since %d", h.revision, h.since)
	}
	if version == backupOfPages {
		h.pageSize = int(d.uint(boltpages.MaxPage, "page size"))
		h.pages = d.uint(math.MaxInt64/boltpages.MaxPage, "pages")
		if h.pageSize < boltpages.MinPage || h.pageSize&(h.pageSize-1) != 0 || h.pages < 4 {
			d.fail("%d pages of %d bytes", h.pages, h.pageSize)
		}
	}
	if h.since != 0 {
		h.base = d.digest("base")
	}
	if version > backupOfPages {
		h.meta, h.keys = slices.Clone(d.bytes(1<<20, "meta")), slices.Clone(d.bytes(keyring.HeaderSize, "keys"))
		h.commits, h.maskBytes = d.uvarint("commits"), d.uvarint("bytes of masks")
	}
	h.banks = d.digests("banks")
	return h, d.end()
}

// needs says whether the header names a bank.
func (h *backupHeader) needs(d Digest) bool { return slices.Contains(h.banks, d) }

func appendDigests(b []byte, digests []Digest) []byte {
	b = binary.AppendUvarint(b, uint64(len(digests)))
	for _, d := range digests {
		b = append(b, d[:]...)
	}
	return b
}

func (d *decoder) digests(what string) (all []Digest) {
	for range d.uint(maxBackupBanks, what) {
		if d.err != nil {
			break
		}
		all = append(all, d.digest(what))
	}
	return all
}

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

// backupEnd is the last frame: how much there was.
type backupEnd struct {
	image                  Digest // of version 1, which counts pages; the other counts pairs
	pairs, files, profiles uint64
}

func (e backupEnd) encode() []byte { return appendUvarints(nil, e.pairs, e.files, e.profiles) }

func decodeBackupEnd(version uint16, payload []byte) (e backupEnd, err error) {
	d := &decoder{b: payload}
	if version == backupOfPages {
		e.image = d.digest("image")
	}
	e.pairs, e.files, e.profiles = d.uvarint("pairs"), d.uvarint("files"), d.uvarint("profiles")
	return e, d.end()
}
