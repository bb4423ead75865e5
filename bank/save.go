package bank

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/internal/durable"
)

// tempPattern is how Save, WriteFile and Receive call a file that is not finished.
// After a crash one may be left; it is safe to delete.
const tempPattern = ".bank-*.tmp"

// WriteFile writes a warm bank to path: a crash leaves the old file or the whole new
// one.
func WriteFile(ctx context.Context, path string, p Properties, affine []float32, row RowFunc) (Digest, error) {
	return create(filepath.Dir(path), func(t *os.File) (Digest, string, error) {
		d, err := writeSized(ctx, t, p, affine, row)
		return d, filepath.Base(path), err
	})
}

// Save writes a warm bank into the folder dir, which must exist, as a file named by
// its digest, atomically as WriteFile does.
func Save(ctx context.Context, dir string, p Properties, affine []float32, row RowFunc) (Digest, error) {
	return create(dir, func(t *os.File) (Digest, string, error) {
		d, err := writeSized(ctx, t, p, affine, row)
		return d, d.String(), err
	})
}

// Receive copies a bank file out of a stream into the folder dir, as Save does, once all of it was
// verified. It reads exactly the file's length: the stream may go on.
func Receive(ctx context.Context, dir string, r io.Reader) (Digest, error) {
	return create(dir, func(t *os.File) (Digest, string, error) {
		d, err := receive(ctx, t, r)
		return d, d.String(), err
	})
}

// WriteTo writes the file as it is.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.data == nil {
		return 0, ErrClosed
	}
	n, err := w.Write(f.data)
	return int64(n), err
}

// writeSized sets the length first: the gaps between regions are then zero.
func writeSized(ctx context.Context, t *os.File, p Properties, affine []float32, row RowFunc) (Digest, error) {
	if err := p.Validate(); err != nil {
		return Digest{}, err
	}
	if err := t.Truncate(newLayout(p).size); err != nil {
		return Digest{}, fmt.Errorf("bank: write: %w", err)
	}
	return Write(ctx, t, p, affine, row)
}

func receive(ctx context.Context, t *os.File, r io.Reader) (Digest, error) {
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return Digest{}, receiveError(err)
	}
	h, err := decodeFixed(head)
	if err != nil {
		return Digest{}, err
	}
	if err := copyFile(ctx, t, r, head, h.size); err != nil {
		return Digest{}, err
	}
	f, err := OpenFile(t.Name())
	if err != nil {
		return Digest{}, err
	}
	defer f.Close()
	return f.Digest(), f.Verify(ctx)
}

// copyFile writes a file whose head was read. It grows by what arrives, whatever the header says.
func copyFile(ctx context.Context, t *os.File, r io.Reader, head []byte, size int64) error {
	if _, err := t.Write(head); err != nil {
		return fmt.Errorf("bank: receive: %w", err)
	}
	for left := size - int64(len(head)); left > 0; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("bank: receive: %w", err)
		}
		n, err := io.CopyN(t, r, min(left, 1<<20))
		if err != nil {
			return receiveError(err)
		}
		left -= n
	}
	return nil
}

func receiveError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corruptf("the stream ends within the file")
	}
	return fmt.Errorf("bank: receive: %w", err)
}

// create makes a file in dir of the name that fill returns.
func create(dir string, fill func(*os.File) (Digest, string, error)) (d Digest, err error) {
	err = durable.Create(dir, tempPattern, func(t *os.File) (name string, err error) {
		d, name, err = fill(t)
		return name, err
	})
	if err != nil {
		return Digest{}, fmt.Errorf("bank: %w", err)
	}
	return d, nil
}
