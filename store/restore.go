package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// RestoreOptions say how backups are read. Nil, and every zero field, means the
// default.
type RestoreOptions struct {
	// MaxBytes is the size limit of each backup, decompressed. Default 64 GiB.
	MaxBytes int64
	// OnFile takes the file of a bank, or its report, and reads all of it. Nil:
	// they are passed over.
	OnFile func(bank Digest, report bool, r io.Reader) error
}

// RestoreReport says what backups hold, taken together.
type RestoreReport struct {
	Revision uint64 `json:"revision"` // of the store, when the last one was made
	Profiles int64  `json:"profiles"`
	Bytes    int64  `json:"bytes"` // of the store's file
	Files    int    `json:"files"` // that came with it, of all backups
}

// Restore makes a store at path of a full backup and any number of those that
// were made since, in their order. If there is a file already it is ErrExists;
// on any error, and after a crash, there is none: a damaged or incomplete
// backup is ErrCorrupt, one that does not build on the one before ErrMismatch.
// The file is, byte for byte, what the last backup says. Its memory is 16 bytes
// a page.
func Restore(ctx context.Context, path string, o *RestoreOptions, backups ...io.Reader) (RestoreReport, error) {
	if _, err := os.Lstat(path); err == nil {
		return RestoreReport{}, fmt.Errorf("%w: %s", ErrExists, path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return RestoreReport{}, fmt.Errorf("store: restore: %w", err)
	}
	defer os.Remove(f.Name())
	defer os.Remove(KeysPath(f.Name()))
	r := newRestorer(ctx, o)
	r.file, r.keys = f, KeysPath(f.Name())
	err = r.applyAll(backups)
	if err == nil {
		w := pageWalk{problem: func(string, ...any) {}}
		err = errors.Join(w.all(f), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return RestoreReport{}, fmt.Errorf("store: restore: %w", boltError(err))
	}
	if err := Move(f.Name(), path); err != nil {
		return RestoreReport{}, err
	}
	return r.report, nil
}

// Verify reads backups as Restore does, and writes nothing. What it does not
// look at is what the pages hold, and whether a bank's file has its digest.
func Verify(ctx context.Context, o *RestoreOptions, backups ...io.Reader) (RestoreReport, error) {
	r := newRestorer(ctx, o)
	if err := r.applyAll(backups); err != nil {
		return RestoreReport{}, fmt.Errorf("store: verify: %w", err)
	}
	return r.report, nil
}

// restorer applies backups to a file, one after the other.
type restorer struct {
	ctx    context.Context
	o      RestoreOptions
	file   *os.File // nil: nothing is written
	keys   string   // path of the file of keys
	report RestoreReport

	// Of the backup before; nothing at first.
	image    Digest
	pageSize int
	sums     []pageSum
	banks    map[Digest]bool // whose files have come

	// Of the one that is being read.
	backupReader
	header backupHeader
	next   uint64 // pages below this have come or are the base's
	counts backupEnd
}

func newRestorer(ctx context.Context, o *RestoreOptions) *restorer {
	r := &restorer{ctx: ctx, banks: map[Digest]bool{}}
	if o != nil {
		r.o = *o
	}
	setDefault(&r.o.MaxBytes, 64<<30)
	return r
}

func (r *restorer) applyAll(backups []io.Reader) error {
	if len(backups) == 0 {
		return fmt.Errorf("%w: no backup", ErrMismatch)
	}
	for i, b := range backups {
		if err := r.apply(b); err != nil {
			return fmt.Errorf("backup %d of %d: %w", i+1, len(backups), err)
		}
	}
	return nil
}

func (r *restorer) apply(src io.Reader) (err error) {
	if r.backupReader, err = newBackupReader(src, r.o.MaxBytes); err != nil {
		return err
	}
	defer r.Close()
	if err := r.begin(); err != nil {
		if errors.Is(err, ErrMismatch) || errors.Is(err, ErrLimit) { // unless it is damaged
			_, bad := io.Copy(io.Discard, r.Reader)
			return errors.Join(bad, err)
		}
		return err
	}
	for {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		kind, payload, err := r.backupReader.next()
		if err != nil {
			return err
		}
		switch kind {
		case backupFramePages:
			err = r.takePages(payload)
		case backupFrameKeys, backupFrameBank, backupFrameReport:
			err = r.takeFile(kind, payload)
		case backupFrameEnd:
			return r.end(payload)
		default:
			err = corrupt("unknown frame %d", kind)
		}
		if err != nil {
			return err
		}
	}
}

// begin reads the header, and makes of what was there what it builds on.
func (r *restorer) begin() error {
	kind, payload, err := r.backupReader.next()
	if err != nil {
		return err
	}
	if kind != backupFrameHeader {
		return corrupt("frame %d first", kind)
	}
	h, err := decodeBackupHeader(payload)
	if err != nil {
		return err
	}
	switch {
	case h.pages > uint64(r.o.MaxBytes)/uint64(h.pageSize):
		return fmt.Errorf("%w: a store of %d pages of %d bytes, at most %d bytes", ErrLimit, h.pages, h.pageSize, r.o.MaxBytes)
	case h.since == 0 && r.sums != nil:
		return fmt.Errorf("%w: a full backup after another", ErrMismatch)
	case h.since != 0 && (h.base != r.image || h.since != r.report.Revision):
		return fmt.Errorf("it builds on that of revision %d, not on %d: %w", h.since, r.report.Revision,
			&MismatchError{What: "backup", Have: r.image, Want: h.base})
	case h.since != 0 && h.pageSize != r.pageSize:
		return corrupt("pages of %d bytes, after %d", h.pageSize, r.pageSize)
	}
	r.header, r.next, r.counts = h, 0, backupEnd{}
	r.report.Revision, r.pageSize = h.revision, h.pageSize
	r.sums = r.sums[:min(uint64(len(r.sums)), h.pages)]
	if r.file == nil {
		return nil
	}
	if err := os.Remove(r.keys); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return r.file.Truncate(int64(len(r.sums)) * int64(r.pageSize))
}

func (r *restorer) takePages(payload []byte) error {
	d := &decoder{b: payload}
	first := d.uvarint("first page")
	size := r.pageSize
	n := uint64(len(d.b) / size)
	switch {
	case d.err != nil:
		return d.err
	case n == 0 || len(d.b)%size != 0 || len(d.b) > max(backupPages, size):
		return corrupt("%d bytes of pages", len(d.b))
	case first < r.next || first > uint64(len(r.sums)) || first >= r.header.pages || n > r.header.pages-first:
		return corrupt("%d pages at %d, of %d", n, first, r.header.pages)
	}
	r.next = first + n
	r.counts.pages += n
	for i := range n {
		sum := sumOf(d.b[i*uint64(size):][:size])
		if id := first + i; id < uint64(len(r.sums)) {
			r.sums[id] = sum
		} else {
			r.sums = append(r.sums, sum)
		}
	}
	if r.file == nil {
		return nil
	}
	_, err := r.file.WriteAt(d.b, int64(first)*int64(size))
	return err
}

// takeFile reads a file that comes with the store, to its end.
func (r *restorer) takeFile(kind byte, payload []byte) error {
	f, err := decodeBackupFile(kind, payload)
	if err != nil {
		return err
	}
	r.counts.files++
	r.report.Files++
	bytes := &io.LimitedReader{R: r.Reader, N: f.size}
	switch {
	case kind == backupFrameKeys:
		err = r.takeKeys(bytes)
	case !r.header.needs(f.bank):
		return corrupt("file of bank %s, which the header does not name", f.bank.Short())
	default:
		r.banks[f.bank] = r.banks[f.bank] || kind == backupFrameBank
		if r.o.OnFile != nil {
			err = r.o.OnFile(f.bank, kind == backupFrameReport, bytes)
		}
	}
	if bad := r.source.chunks.err; err != nil && bad != nil && bad != io.EOF {
		return bad // rather than what was made of it
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, bytes); err != nil {
		return err
	}
	if bytes.N > 0 {
		return corrupt("a file ends %d bytes too early", bytes.N)
	}
	return nil
}

func (r *restorer) takeKeys(keys io.Reader) error {
	if r.file == nil {
		return nil
	}
	f, err := os.OpenFile(r.keys, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, keys)
	return errors.Join(err, f.Sync(), f.Close())
}

// end compares what has come with what the last frame says.
func (r *restorer) end(payload []byte) error {
	e, err := decodeBackupEnd(payload)
	if err != nil {
		return err
	}
	if err := r.backupReader.end(); err != io.EOF {
		return err
	}
	r.counts.image, r.counts.profiles = imageDigest(r.pageSize, r.sums), e.profiles
	switch {
	case uint64(len(r.sums)) != r.header.pages:
		return corrupt("%d pages, want %d", len(r.sums), r.header.pages)
	case r.counts != e:
		return corrupt("got %d pages, %d files and image %s, want %d, %d and %s",
			r.counts.pages, r.counts.files, r.counts.image.Short(), e.pages, e.files, e.image.Short())
	}
	for _, d := range r.header.banks {
		if !r.banks[d] {
			return corrupt("the file of bank %s is missing", d.Short())
		}
	}
	r.image = e.image
	r.report.Profiles, r.report.Bytes = int64(e.profiles), int64(len(r.sums))*int64(r.pageSize)
	return nil
}
