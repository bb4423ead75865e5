package store

import (
	"context"
	"crypto"
	"encoding/binary"
	"fmt"
	"io"
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
	out := &panicKeeper{w: w}
	defer func() {
		if out.panicked != nil {
			panic(out.panicked)
		}
	}()
	b, err := newBundleWriter(&ctxWriter{ctx: ctx, w: out}, o.Sign)
	if err != nil {
		return 0, fmt.Errorf("store: export: %w", err)
	}
	e := &exporter{s: s, o: o, b: b}
	if err := e.run(ctx); err != nil {
		b.z.Close() // frees its memory; the chunks stay without an end
		return 0, fmt.Errorf("store: export: %w", err)
	}
	if err := b.Close(); err != nil {
		return 0, fmt.Errorf("store: export: %w", err)
	}
	return int(e.profiles), nil
}

// exporter compresses and writes what a pageReader reads meanwhile.
type exporter struct {
	s        *Store
	o        ExportOptions
	b        *bundleWriter
	profiles uint64
}

func (e *exporter) run(ctx context.Context) error {
	m := e.s.meta
	header := bundleHeader{m.Encoder, m.Tokenizer, m.MaxTokens, m.Model}
	if err := e.b.frame(frameHeader, header.encode()); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	r, err := newPageReader(e.s, e.o)
	if err != nil {
		stop()
		return err
	}
	go r.run(reading)
	defer func() {
		stop()
		for range r.pages { // until it has ended, and reads the file no more
		}
	}()
	for page := range r.pages {
		if page.err != nil {
			return page.err
		}
		for _, part := range page.parts {
			if err := e.write(part); err != nil {
				return err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	e.profiles = r.counts.profiles
	return e.b.frame(frameEnd, r.counts.encode())
}

func (e *exporter) write(part exportPart) error {
	if _, err := e.b.z.Write(part.frames); err != nil {
		return err
	}
	if part.bank == nil || e.o.BankFile == nil {
		return nil
	}
	file, size, err := e.o.BankFile(*part.bank)
	if err != nil || file == nil {
		return err
	}
	defer file.Close()
	if err := e.b.frame(frameBankFile, binary.AppendUvarint(nil, uint64(size))); err != nil {
		return err
	}
	if _, err := io.CopyN(e.b.z, file, size); err != nil {
		return fmt.Errorf("file of bank %s: %w", part.bank.Digest.Short(), err)
	}
	return nil
}

// panicKeeper keeps a panic of a caller's writer, which the compressor calls in
// a goroutine of its own, for the caller's.
type panicKeeper struct {
	w        io.Writer
	panicked any // to be read once nothing is written any more
}

func (k *panicKeeper) Write(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			k.panicked = v
			n, err = 0, errPanicked
		}
	}()
	return k.w.Write(p)
}
