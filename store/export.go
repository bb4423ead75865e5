package store

import (
	"context"
	"crypto"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/xpeft/xpeft/store/internal/bundle"
	"github.com/xpeft/xpeft/store/internal/format"
)

// ExportOptions say what a bundle holds.
type ExportOptions struct {
	// IDs are the profiles; nil: all whose id starts with Prefix.
	IDs    []string
	Prefix string
	// Examples and State add those, which are not exported otherwise.
	Examples bool
	State    bool
	// BankFile gives the file of a bank and its size, to go into the bundle;
	// a nil reader leaves it out. Nil: no bank files.
	BankFile func(BankInfo) (io.ReadCloser, int64, error)
	// Sign signs the bundle: an ed25519.PrivateKey, or a device that holds
	// one. Nil: the bundle is not signed.
	Sign crypto.Signer
}

// Export writes a bundle of profiles and of the shared heads that they refer
// to, and returns the number of profiles. Profiles that are written meanwhile
// are in it as they were or as they are, each whole. With an error, what was
// written is no bundle and no Import takes it.
func (s *Store) Export(ctx context.Context, w io.Writer, o ExportOptions) (n int, err error) {
	b, err := bundle.NewWriter(&ctxWriter{ctx: ctx, w: w}, bundleFormat, o.Sign)
	if err != nil {
		return 0, fmt.Errorf("store: export: %w", err)
	}
	if n, err = s.export(ctx, b, o); err != nil {
		b.Abort()
	} else {
		err = b.Close()
	}
	if err != nil {
		return 0, fmt.Errorf("store: export: %w", err)
	}
	return n, nil
}

// export compresses and writes what a pageReader reads meanwhile.
func (s *Store) export(ctx context.Context, b *bundle.Writer, o ExportOptions) (n int, err error) {
	if err := b.Frame(frameHeader, bundleHeader(s.meta)); err != nil {
		return 0, err
	}
	r, err := newPageReader(s, o)
	if err != nil {
		return 0, err
	}
	reading, stop := context.WithCancel(ctx)
	go r.run(reading)
	defer func() {
		stop()
		for range r.parts { // until it has ended, and reads the file no more
		}
	}()
	for part := range r.parts {
		if err := part.write(b, o); err != nil {
			return 0, err
		}
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return int(r.counts.profiles), b.Frame(frameEnd, r.counts.encode())
}

func (part exportPart) write(b *bundle.Writer, o ExportOptions) error {
	if part.err != nil {
		return part.err
	}
	if _, err := b.Write(part.frames); err != nil {
		return err
	}
	if part.bank == nil || o.BankFile == nil {
		return nil
	}
	file, size, err := o.BankFile(*part.bank)
	if err != nil || file == nil {
		return err
	}
	defer file.Close()
	if err := b.File(frameBankFile, binary.AppendUvarint(nil, uint64(size)), file, size); err != nil {
		return fmt.Errorf("file of bank %s: %w", part.bank.Digest.Short(), err)
	}
	return nil
}

// ref returns the bundle's ref of a bank or head, which it writes if it is the first.
func (w *pageWriter) ref(tag, kind byte, known map[uint32]uint32, ref uint32) (uint32, error) {
	if bundles := known[ref]; bundles != 0 {
		return bundles, nil
	}
	p, err := w.txn.ofRef(tag, ref)
	if err != nil {
		return 0, err
	}
	bundles := uint32(len(known) + 1)
	known[ref] = bundles
	w.frame(kind, append(binary.AppendUvarint(nil, uint64(bundles)), p.data...))
	if tag == format.TagBank { // its file may follow
		w.parts = append(w.parts, exportPart{frames: w.frames, bank: &p.bank})
		w.frames = nil
	}
	return bundles, nil
}
