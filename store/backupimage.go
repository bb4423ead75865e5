package store

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/xpeft/xpeft/store/internal/format"
)

// maxPagesFrame is how many bytes of pages a frame has at most, unless one page
// has more.
const maxPagesFrame = 1 << 20

// imageRestorer puts pages where they were.
type imageRestorer struct {
	file     *os.File // nil: nothing is written
	limit    int64    // of the file
	pageSize int
	have     uint64 // pages

	// Of the backup that is being read.
	pages uint64
	next  uint64 // pages below this have come or are the base's
	count uint64
}

func newImageRestorer(path string, limit int64) (r *imageRestorer, err error) {
	r = &imageRestorer{limit: limit}
	if path != "" {
		r.file, err = os.OpenFile(path, os.O_RDWR, 0)
	}
	return r, err
}

func (r *imageRestorer) begin(h *backupHeader) error {
	switch {
	case h.pages > uint64(r.limit)/uint64(h.pageSize):
		return fmt.Errorf("%w: a store of %d pages of %d bytes, at most %d bytes", ErrLimit, h.pages, h.pageSize,
			r.limit)
	case h.since != 0 && h.pageSize != r.pageSize:
		return corrupt("pages of %d bytes, after %d", h.pageSize, r.pageSize)
	}
	r.pageSize, r.pages, r.next, r.count = h.pageSize, h.pages, 0, 0
	r.have = min(r.have, h.pages)
	if r.file == nil {
		return nil
	}
	if err := os.Remove(KeysPath(r.file.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return r.file.Truncate(int64(r.have) * int64(r.pageSize))
}

func (r *imageRestorer) take(kind byte, payload []byte) error {
	if kind != backupFramePages {
		return corrupt("unknown frame %d", kind)
	}
	d := &format.Decoder{B: payload}
	first := d.Uvarint("first page")
	size := r.pageSize
	n := uint64(len(d.B) / size)
	switch {
	case d.Err != nil:
		return d.Err
	case n == 0 || len(d.B)%size != 0 || len(d.B) > max(maxPagesFrame, size):
		return corrupt("%d bytes of pages", len(d.B))
	case first < r.next || first > r.have || first >= r.pages || n > r.pages-first:
		return corrupt("%d pages at %d, of %d", n, first, r.pages)
	}
	r.next = first + n
	r.count += n
	r.have = max(r.have, r.next)
	if r.file == nil {
		return nil
	}
	_, err := r.file.WriteAt(d.B, int64(first)*int64(size))
	return err
}

func (r *imageRestorer) takeKeys(keys io.Reader) error {
	if r.file == nil {
		return nil
	}
	f, err := os.OpenFile(KeysPath(r.file.Name()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, keys)
	return errors.Join(err, f.Sync(), f.Close())
}

func (r *imageRestorer) end() (got backupEnd, err error) {
	if r.have != r.pages {
		err = corrupt("%d pages, want %d", r.have, r.pages)
	}
	return backupEnd{pairs: r.count}, err
}

func (r *imageRestorer) finish() error {
	if r.file == nil {
		return nil
	}
	w := newWalk(nil)
	return errors.Join(w.All(r.file), r.file.Sync())
}

func (r *imageRestorer) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
