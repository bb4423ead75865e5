package store

import (
	"context"
	"fmt"
	"io"
)

// Backup writes a consistent copy of the file, which Open reads, while the
// store is in use. Until it returns the file cannot use again the pages that
// are freed meanwhile. It does not copy banks.
func (s *Store) Backup(ctx context.Context, w io.Writer) (n int64, err error) {
	out := &ctxWriter{ctx: ctx, w: w}
	err = s.view(func(t *txn) error {
		n, err = t.WriteTo(callersWriter{out})
		return err
	})
	if out.err != nil {
		err = out.err // bbolt makes a text of it
	}
	if err != nil {
		return n, fmt.Errorf("store: backup: %w", err)
	}
	return n, nil
}

// callersWriter is a caller's writer within a transaction.
type callersWriter struct{ w io.Writer }

func (c callersWriter) Write(p []byte) (n int, err error) {
	callersCode(func() { n, err = c.w.Write(p) })
	return n, err
}

// ctxWriter fails once the context is done, and keeps its first error.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
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
	return n, c.err
}
