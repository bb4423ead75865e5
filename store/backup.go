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
	err = s.view(func(t *txn) error {
		n, err = t.WriteTo(ctxWriter{ctx, w})
		return err
	})
	if err != nil {
		return n, fmt.Errorf("store: backup: %w", err)
	}
	return n, nil
}

// ctxWriter fails once the context is done.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c ctxWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
