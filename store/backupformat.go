package store

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/xpeft/xpeft/store/internal/boltpages"
	"github.com/xpeft/xpeft/store/internal/bundle"
	"github.com/xpeft/xpeft/store/internal/format"
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

	meta      []byte // sealed, as in format.Meta
	keys      []byte // header of the file of keys; empty: nothing is encrypted
	commits   uint64 // of the tally
	maskBytes uint64
}

func (h *backupHeader) encode() []byte {
	b := format.AppendUvarints(nil, h.revision, h.since)
	if h.since != 0 {
		b = append(b, h.base[:]...)
	}
	b = format.AppendBytes(format.AppendBytes(b, h.meta), h.keys)
	return appendDigests(format.AppendUvarints(b, h.commits, h.maskBytes), h.banks)
}

func decodeBackupHeader(version uint16, payload []byte) (h backupHeader, err error) {
	d := &format.Decoder{B: payload}
	h.revision, h.since = d.Uvarint("revision"), d.Uvarint("since")
	if h.revision == 0 || h.since > h.revision {
		d.Fail("revision %d since %d", h.revision, h.since)
	}
	if version == backupOfPages {
		h.pageSize = int(d.Uint(boltpages.MaxPage, "page size"))
		h.pages = d.Uint(math.MaxInt64/boltpages.MaxPage, "pages")
		if h.pageSize < boltpages.MinPage || h.pageSize&(h.pageSize-1) != 0 || h.pages < 4 {
			d.Fail("%d pages of %d bytes", h.pages, h.pageSize)
		}
	}
	if h.since != 0 {
		h.base = d.Digest("base")
	}
	if version > backupOfPages {
		h.meta, h.keys = slices.Clone(d.Bytes(1<<20, "meta")), slices.Clone(d.Bytes(keyring.HeaderSize, "keys"))
		h.commits, h.maskBytes = d.Uvarint("commits"), d.Uvarint("bytes of masks")
	}
	h.banks = readDigests(d, "banks")
	return h, d.End()
}

func appendDigests(b []byte, digests []Digest) []byte {
	b = binary.AppendUvarint(b, uint64(len(digests)))
	for _, d := range digests {
		b = append(b, d[:]...)
	}
	return b
}

func readDigests(d *format.Decoder, what string) (all []Digest) {
	for range d.Uint(maxBackupBanks, what) {
		if d.Err != nil {
			break
		}
		all = append(all, d.Digest(what))
	}
	return all
}

// backupEnd is the last frame: how much there was.
type backupEnd struct {
	image                  Digest // of version 1, which counts pages; the other counts pairs
	pairs, files, profiles uint64
}

func (e backupEnd) encode() []byte { return format.AppendUvarints(nil, e.pairs, e.files, e.profiles) }

func decodeBackupEnd(version uint16, payload []byte) (e backupEnd, err error) {
	d := &format.Decoder{B: payload}
	if version == backupOfPages {
		e.image = d.Digest("image")
	}
	e.pairs, e.files, e.profiles = d.Uvarint("pairs"), d.Uvarint("files"), d.Uvarint("profiles")
	return e, d.End()
}
