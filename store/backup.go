package store

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/xpeft/xpeft/store/internal/bundle"
	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// BackupOptions say what a backup holds. Nil is a full one.
type BackupOptions struct {
	// Since is the revision of an earlier backup: the new one has what changed
	// since. 0: everything.
	Since uint64
	// BankFiles gives the files of a bank that go into the backup: none for a
	// bank that has no file. Nil: no bank files.
	BankFiles func(BankInfo) ([]BackupFile, error)
}

// BackupFile is a file that goes into a backup with the store.
type BackupFile struct {
	Report bool // of how the bank was made; else the bank itself
	Size   int64
	Open   func() (io.ReadCloser, error)
}

// BackupReport says what a backup holds.
type BackupReport struct {
	Revision uint64 `json:"revision"` // of the store, to be named as Since by a later backup
	Since    uint64 `json:"since"`    // 0: full
	Written  int64  `json:"written"`  // profiles that are in it: all, or those that changed
	Profiles int64  `json:"profiles"` // that there are
	Files    int    `json:"files"`    // beside the store's: of keys, of banks
	Bytes    int64  `json:"bytes"`    // of the backup
	// Base says that a later backup can name this one as Since.
	Base bool `json:"base"`
}

// Backup writes the store, as it is at one moment, for Restore, while the store
// is in use: nothing that is deleted is in it. Writers wait for the first
// milliseconds of it. Until it returns the file cannot use again the pages that
// are freed meanwhile; if it grows by half for that it is copied, for which
// writers wait, and the backup goes on with the old one. Profiles that cannot be
// read make it ErrCorrupt.
//
// With Since it writes the profiles that were written since the backup of that
// revision, and which there are; if the store does not remember that one it is
// ErrNoBase. It remembers the last 8, unless it is read-only. For that, from the
// first backup on, what changes a profile also notes its number.
//
// With an error, what was written is no backup, and no Restore takes it.
func (s *Store) Backup(ctx context.Context, w io.Writer, o *BackupOptions) (BackupReport, error) {
	if o == nil {
		o = &BackupOptions{}
	}
	out := &ctxWriter{ctx: ctx, w: callersWriter{w}}
	b := &backingUp{s: s, o: *o}
	err := b.run(ctx, out)
	if out.err != nil {
		err = out.err
	}
	if err != nil {
		return BackupReport{}, fmt.Errorf("store: backup: %w", err)
	}
	b.report.Bytes = out.n
	if b.now.epoch != 0 {
		err := s.enqueue(&writeOp{ctx: ctx, internal: true, fn: func(w *writeTx) error { return w.keepBase(&b.now) }})
		if b.report.Base = err == nil; err != nil {
			b.baseless(err)
		}
	}
	return b.report, nil
}

func (b *backingUp) baseless(err error) {
	b.s.opts.Logger.Error("no later backup can build on this one", "error", err)
}

type backingUp struct {
	s      *Store
	o      BackupOptions
	since  *base // nil: full
	report BackupReport
	header backupHeader

	keys  []byte // the file of keys
	files []bankFile
	now   base
	out   *bundle.Writer

	pairs     []byte // of the frame to come: of one bucket
	pairCount uint64
}

type bankFile struct {
	BackupFile
	bank Digest
}

func (b *backingUp) run(ctx context.Context, w io.Writer) (err error) {
	if err := b.s.view(b.findBase); err != nil { // before an epoch begins for nothing
		return err
	}
	// Held until the transaction has begun and what is not in it was read: no
	// change is between the epoch and the transaction.
	if err := b.s.writer.lockFor(ctx); err != nil {
		return err
	}
	unlock := sync.OnceFunc(b.s.writer.Unlock)
	defer unlock()
	if !b.s.opts.ReadOnly {
		b.beginEpoch(ctx)
	}
	defer b.s.readLong()()
	return b.s.view(func(t *txn) error {
		err := b.begin(t)
		unlock()
		if err != nil {
			return err
		}
		return b.write(t, w)
	})
}

func (b *backingUp) findBase(t *txn) (err error) {
	if b.o.Since != 0 {
		b.since, err = t.base(b.o.Since)
	}
	return err
}

// beginEpoch sees to it that what is changed from now on is noted. A disk that
// is full keeps no backup from being made.
func (b *backingUp) beginEpoch(ctx context.Context) {
	op := &writeOp{ctx: ctx, alone: true, internal: true, fn: func(w *writeTx) (err error) {
		b.now.epoch, err = w.beginEpoch()
		return err
	}}
	if b.s.commit([]*writeOp{op}); op.err != nil {
		b.now.epoch = 0
		b.baseless(op.err)
	}
}

// begin reads what must be of the same moment as the transaction.
func (b *backingUp) begin(t *txn) (err error) {
	if err := b.findBase(t); err != nil {
		return err
	}
	if b.keys, err = b.s.keys.Bytes(); err != nil {
		return err
	}
	tally, err := readTally(t.Tx)
	if err != nil {
		return err
	}
	b.now.revision = revision(t.Tx)
	b.header = backupHeader{
		revision: b.now.revision, since: b.o.Since, meta: t.Bucket(format.Meta).Get(format.KeyStore),
		commits: tally.Commits, maskBytes: tally.MaskBytes,
	}
	if b.keys != nil {
		b.header.keys = b.keys[:keyring.HeaderSize]
		b.report.Files++
	}
	if b.since != nil {
		b.header.base = b.since.digest
	}
	b.report.Revision, b.report.Since = b.now.revision, b.o.Since
	return b.bankFiles(t)
}

func (b *backingUp) bankFiles(t *txn) error {
	if b.o.BankFiles == nil {
		return nil
	}
	banks, err := t.readable(format.TagBank)
	if err != nil {
		return err
	}
	for _, p := range banks {
		var files []BackupFile
		callersCode(func() { files, err = b.o.BankFiles(p.bank) })
		if err != nil {
			return err
		}
		if len(files) == 0 {
			continue
		}
		b.now.files = append(b.now.files, p.digest)
		if b.since != nil && slices.Contains(b.since.files, p.digest) {
			continue
		}
		for _, f := range files {
			b.files = append(b.files, bankFile{f, p.digest})
		}
	}
	return nil
}
