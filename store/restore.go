package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/xpeft/xpeft/store/internal/bundle"
	"github.com/xpeft/xpeft/store/internal/format"
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
	Bytes    int64  `json:"bytes"` // of all backups, decompressed
	Files    int    `json:"files"` // that came with it, of all backups
}

// Restore makes a store at path of a full backup and any number of those that
// were made since, in their order. If there is a file already it is ErrExists;
// on any error, and after a crash, there is none: a damaged or incomplete
// backup is ErrCorrupt, one that does not build on the one before ErrMismatch.
// The store is what the last backup says: who was deleted between two of them is
// not in it, nor in its free pages. It needs no master key. Of version 1 the
// file is, byte for byte, what the last backup says.
func Restore(ctx context.Context, path string, o *RestoreOptions, backups ...io.Reader) (RestoreReport, error) {
	r := newRestorer(ctx, o)
	err := makeAt(path, "restore", func(temp string) error {
		r.path = temp
		return r.applyAll(backups)
	})
	if err != nil {
		return RestoreReport{}, err
	}
	return r.report, nil
}

// Verify reads backups as Restore does, and writes nothing: checksums, that each
// builds on the one before, that each value is one, as far as can be told
// without a master key, and that there is one of every profile. What it does not
// look at is what pages hold, those of version 1, and whether a bank's file has
// its digest.
func Verify(ctx context.Context, o *RestoreOptions, backups ...io.Reader) (RestoreReport, error) {
	r := newRestorer(ctx, o)
	if err := r.applyAll(backups); err != nil {
		return RestoreReport{}, fmt.Errorf("store: verify: %w", err)
	}
	return r.report, nil
}

type restorer struct {
	ctx    context.Context
	o      RestoreOptions
	path   string // of what is made; empty: nothing is
	report RestoreReport

	// Of the backup before; nothing at first.
	content restoring
	version uint16
	digest  Digest
	banks   map[Digest]bool // whose files have come

	// Of the one that is being read.
	*bundle.Reader
	header backupHeader
	files  uint64
}

// restoring is what is made of the frames of backups of one version.
type restoring interface {
	// begin goes on with a backup that builds on the one before.
	begin(h *backupHeader) error
	take(kind byte, payload []byte) error
	takeKeys(r io.Reader) error
	// end says what has come.
	end() (backupEnd, error)
	// finish makes what was written durable, after the last one.
	finish() error
	close() error
}

func newRestorer(ctx context.Context, o *RestoreOptions) *restorer {
	r := &restorer{ctx: ctx, banks: map[Digest]bool{}}
	if o != nil {
		r.o = *o
	}
	r.o.MaxBytes = cmp.Or(r.o.MaxBytes, 64<<30)
	return r
}

func (r *restorer) applyAll(backups []io.Reader) (err error) {
	if len(backups) == 0 {
		return fmt.Errorf("%w: no backup", ErrMismatch)
	}
	defer func() {
		if r.content != nil {
			err = errors.Join(err, r.content.close())
		}
	}()
	for i, b := range backups {
		if err := r.apply(b); err != nil {
			return fmt.Errorf("backup %d of %d: %w", i+1, len(backups), err)
		}
	}
	return r.content.finish()
}

func (r *restorer) apply(src io.Reader) error {
	b, err := bundle.NewReader(src, backupFormat, r.o.MaxBytes)
	if err != nil {
		return err
	}
	r.Reader = b
	defer b.Close()
	err = r.readAll()
	refused := errors.Is(err, ErrMismatch) || errors.Is(err, ErrLimit) || errors.Is(err, ErrKey)
	if refused && b.Bytes() <= r.o.MaxBytes { // unless it is damaged
		_, bad := io.Copy(io.Discard, b)
		return errors.Join(bad, err)
	}
	return err
}

func (r *restorer) readAll() error {
	if err := r.begin(); err != nil {
		return err
	}
	for {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		kind, payload, err := r.Frame(maxBackupFrame)
		if err != nil {
			return err
		}
		switch kind {
		case backupFrameBank, backupFrameReport, backupFrameKeys:
			err = r.takeFile(kind, payload)
		case backupFrameEnd:
			return r.end(payload)
		default:
			err = r.content.take(kind, payload)
		}
		if err != nil {
			return err
		}
	}
}

// begin reads the header, and goes on from what was there.
func (r *restorer) begin() error {
	kind, payload, err := r.Frame(maxBackupFrame)
	if err != nil {
		return err
	}
	if kind != backupFrameHeader {
		return corrupt("frame %d first", kind)
	}
	h, err := decodeBackupHeader(r.Version, payload)
	if err != nil {
		return err
	}
	switch {
	case h.since == 0 && r.content != nil:
		return fmt.Errorf("%w: a full backup after another", ErrMismatch)
	case h.since != 0 && (h.base != r.digest || h.since != r.report.Revision):
		return fmt.Errorf("it builds on that of revision %d, not on %d: %w", h.since, r.report.Revision,
			&MismatchError{What: "backup", Have: r.digest, Want: h.base})
	case h.since != 0 && r.Version != r.version:
		return corrupt("version %d after %d", r.Version, r.version)
	}
	r.header, r.version, r.files, r.report.Revision = h, r.Version, 0, h.revision
	if r.content == nil {
		if r.Version != backupOfPages {
			r.content = newRebuilder(r.path, r.o.MaxBytes)
		} else if r.content, err = newImageRestorer(r.path, r.o.MaxBytes); err != nil {
			return err
		}
	}
	if len(h.keys) > 0 {
		r.files++
	}
	return r.content.begin(&r.header)
}

// takeFile reads a file that comes with the store, to its end.
func (r *restorer) takeFile(kind byte, payload []byte) error {
	d := &format.Decoder{B: payload}
	bank, size := Digest(d.Digest("bank")), int64(d.Uint(math.MaxInt64, "size"))
	if (kind == backupFrameKeys) != (bank == Digest{}) { // the keys have no bank
		d.Fail("file of bank %s", bank.Short())
	}
	if err := d.End(); err != nil {
		return err
	}
	r.files++
	if kind != backupFrameKeys {
		if !slices.Contains(r.header.banks, bank) {
			return corrupt("file of bank %s, which the header does not name", bank.Short())
		}
		r.banks[bank] = r.banks[bank] || kind == backupFrameBank
	}
	return r.File(size, func(bytes io.Reader) error {
		switch {
		case kind == backupFrameKeys:
			return r.content.takeKeys(bytes)
		case r.o.OnFile != nil:
			return r.o.OnFile(bank, kind == backupFrameReport, bytes)
		}
		return nil
	})
}

// end compares what has come with what the last frame says.
func (r *restorer) end(payload []byte) error {
	e, err := decodeBackupEnd(r.version, payload)
	if err != nil {
		return err
	}
	if err := r.Reader.End(); err != io.EOF {
		return err
	}
	got, err := r.content.end()
	if err != nil {
		return err
	}
	got.files = r.files
	r.digest = r.Sum()
	if r.version == backupOfPages {
		got.profiles, got.image = e.profiles, e.image // which the pages do not say
		r.digest = e.image
	}
	if got != e {
		return corrupt("got %+v, want %+v", got, e)
	}
	for _, d := range r.header.banks {
		if !r.banks[d] {
			return corrupt("the file of bank %s is missing", d.Short())
		}
	}
	r.report.Profiles = int64(e.profiles)
	r.report.Bytes += r.Bytes()
	r.report.Files += int(r.files)
	return nil
}

// Backups of version 1 are images of the file's pages, or the pages whose sums
// differ from an earlier one's. They are read, and written no more.
