package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
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
	Pages    int64  `json:"pages"`    // that were written, of the store's
	Of       int64  `json:"of"`
	Files    int    `json:"files"` // beside the store's: of keys, of banks
	Profiles int64  `json:"profiles"`
	Bytes    int64  `json:"bytes"` // of the backup
	// Base says that a later backup can name this one as Since.
	Base bool `json:"base"`
}

// Backup writes the store, as it is at one moment, for Restore, while the store
// is in use: what is free or deleted is not in it. Writers wait for the first
// milliseconds of it. Until it returns the file cannot use again the pages that
// are freed meanwhile; if it grows by half for that it is copied, for which
// writers wait, and the backup goes on with the old one.
//
// With Since it writes the pages that are not as they were in the backup of that
// revision; if the store does not remember that one it is ErrNoBase. It
// remembers the last 8, by 16 bytes a page, in the folder backups beside it.
// After a Compact nearly all pages are others.
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
	if s.opts.ReadOnly {
		return b.report, nil
	}
	if err := s.keepBase(&b.now); err != nil {
		s.opts.Logger.Error("no later backup can build on this one", "error", err)
	} else {
		b.report.Base = true
	}
	return b.report, nil
}

// backingUp is a backup that is being written.
type backingUp struct {
	s      *Store
	o      BackupOptions
	since  *base // nil: full
	report BackupReport

	image *snapshotImage
	keys  []byte // the file of keys
	files []bankFile
	now   base
	out   *bundleWriter
}

type bankFile struct {
	BackupFile
	bank Digest
}

func (b *backingUp) run(ctx context.Context, w io.Writer) (err error) {
	if b.o.Since != 0 {
		if b.since, err = b.s.readBase(b.o.Since); err != nil {
			return err
		}
	}
	// Held until the transaction has begun and what is not in it was read.
	if err := b.s.writer.lockFor(ctx); err != nil {
		return err
	}
	unlock := sync.OnceFunc(b.s.writer.Unlock)
	defer unlock()
	defer b.s.readLong()()
	return b.s.view(func(t *txn) error {
		err := b.begin(t)
		unlock()
		if err != nil {
			return err
		}
		return b.write(w)
	})
}

// begin reads what must be of the same moment as the transaction.
func (b *backingUp) begin(t *txn) (err error) {
	if b.image, err = newImage(b.s.db.Load().file); err != nil {
		return err
	}
	if uint64(t.ID()) != b.image.txid {
		return corrupt("the file is at transaction %d, want %d", b.image.txid, t.ID())
	}
	tally, err := readTally(t.Tx)
	if err != nil {
		return err
	}
	if b.keys, err = b.s.keys.bytes(); err != nil {
		return err
	}
	b.report = BackupReport{Revision: revision(t.Tx), Since: b.o.Since, Of: int64(b.image.pages), Profiles: int64(tally.profiles)}
	b.now = base{revision: b.report.Revision, pageSize: b.image.pageSize}
	if b.since != nil && b.since.pageSize != b.image.pageSize {
		return fmt.Errorf("%w: its pages have %d bytes, now %d", ErrNoBase, b.since.pageSize, b.image.pageSize)
	}
	return b.bankFiles(t)
}

// bankFiles asks for the files of the banks.
func (b *backingUp) bankFiles(t *txn) error {
	if b.o.BankFiles == nil {
		return nil
	}
	return t.Bucket(bktBanks).ForEach(func(k, _ []byte) error {
		ref, err := number(k)
		if err != nil {
			return err
		}
		info, err := t.bank(ref)
		if err != nil {
			return err
		}
		var files []BackupFile
		callersCode(func() { files, err = b.o.BankFiles(info) })
		if err != nil || len(files) == 0 {
			return err
		}
		b.now.banks = append(b.now.banks, info.Digest)
		if b.since != nil && slices.Contains(b.since.banks, info.Digest) {
			return nil
		}
		for _, f := range files {
			b.files = append(b.files, bankFile{f, info.Digest})
		}
		return nil
	})
}

func (b *backingUp) write(w io.Writer) (err error) {
	if b.out, err = newBackupWriter(w); err != nil {
		return err
	}
	if err := b.writeAll(); err != nil {
		b.out.z.Close() // frees its memory; the chunks stay without an end
		return err
	}
	return b.out.Close()
}

func (b *backingUp) writeAll() error {
	h := backupHeader{revision: b.report.Revision, since: b.report.Since, pageSize: b.image.pageSize, pages: b.image.pages, banks: b.now.banks}
	if b.since != nil {
		h.base = imageDigest(b.since.pageSize, b.since.sums)
	}
	if err := b.out.frame(backupFrameHeader, h.encode()); err != nil {
		return err
	}
	if b.keys != nil {
		if err := b.writeFile(backupFrameKeys, Digest{}, int64(len(b.keys)), bytes.NewReader(b.keys)); err != nil {
			return err
		}
		clear(b.keys)
	}
	if err := b.writePages(); err != nil {
		return err
	}
	for _, f := range b.files {
		if err := b.writeBankFile(f); err != nil {
			return fmt.Errorf("file of bank %s: %w", f.bank.Short(), err)
		}
	}
	end := backupEnd{
		image: imageDigest(b.image.pageSize, b.now.sums), pages: uint64(b.report.Pages),
		files: uint64(b.report.Files), profiles: uint64(b.report.Profiles),
	}
	return b.out.frame(backupFrameEnd, end.encode())
}

// writePages writes the pages that the base does not have, and sums up all.
func (b *backingUp) writePages() error {
	size := b.image.pageSize
	buf := make([]byte, max(backupPages/size, 1)*size)
	var run []byte // pages to write, up to here
	var first uint64
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		b.report.Pages += int64(len(run) / size)
		err := b.out.pages(first, run)
		run = nil
		return err
	}
	for at := uint64(0); at < b.image.pages; at += uint64(len(buf) / size) {
		buf = buf[:min(uint64(len(buf)), (b.image.pages-at)*uint64(size))]
		if err := b.image.read(at, buf); err != nil {
			return err
		}
		for i := range len(buf) / size {
			id, page := at+uint64(i), buf[i*size:][:size]
			sum := sumOf(page)
			b.now.sums = append(b.now.sums, sum)
			if b.since != nil && id < uint64(len(b.since.sums)) && b.since.sums[id] == sum {
				if err := flush(); err != nil {
					return err
				}
				continue
			}
			if len(run) == 0 {
				first, run = id, page[:0:len(buf)-i*size]
			}
			run = run[:len(run)+size]
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

func (b *backingUp) writeBankFile(f bankFile) (err error) {
	var r io.ReadCloser
	callersCode(func() { r, err = f.Open() })
	if err != nil {
		return err
	}
	defer r.Close()
	kind := byte(backupFrameBank)
	if f.Report {
		kind = backupFrameReport
	}
	return b.writeFile(kind, f.bank, f.Size, r)
}

func (b *backingUp) writeFile(kind byte, bank Digest, size int64, r io.Reader) error {
	b.report.Files++
	if err := b.out.frame(kind, backupFile{bank, size}.encode()); err != nil {
		return err
	}
	_, err := io.CopyN(b.out.z, callersReader{r}, size)
	if errors.Is(err, io.EOF) {
		err = corrupt("the file is shorter than %d bytes", size)
	}
	return err
}

// callersWriter and callersReader are a caller's within a transaction.
type callersWriter struct{ w io.Writer }

func (c callersWriter) Write(p []byte) (n int, err error) {
	callersCode(func() { n, err = c.w.Write(p) })
	return n, err
}

type callersReader struct{ r io.Reader }

func (c callersReader) Read(p []byte) (n int, err error) {
	callersCode(func() { n, err = c.r.Read(p) })
	return n, err
}

// ctxWriter fails once the context is done, and keeps its first error.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
	n   int64
	err error
}

func (c *ctxWriter) Write(p []byte) (n int, err error) {
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, c.err = c.w.Write(p)
	c.n += int64(n)
	return n, c.err
}
