package bank

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
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

// Receive copies a bank file, of adapters or of axes of either kind, out of a stream into the
// folder dir, as Save does, once all of it was verified. It reads exactly the file's length: the
// stream may go on.
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
	if _, err := io.ReadFull(r, head[:axesHeaderSize]); err != nil {
		return Digest{}, receiveError(err)
	}
	if IsAxes(head) {
		return receiveAxes(ctx, t, r, head[:axesHeaderSize])
	}
	if IsJoint(head) {
		if _, err := io.ReadFull(r, head[axesHeaderSize:jointHeaderSize]); err != nil {
			return Digest{}, receiveError(err)
		}
		return receiveJoint(ctx, t, r, head[:jointHeaderSize])
	}
	if _, err := io.ReadFull(r, head[axesHeaderSize:]); err != nil {
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

// create fills a temporary file in dir and gives it the name that fill returns.
func create(dir string, fill func(*os.File) (Digest, string, error)) (Digest, error) {
	t, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return Digest{}, fmt.Errorf("bank: %w", err)
	}
	d, name, err := fill(t)
	if err == nil {
		err = commit(t, filepath.Join(dir, name))
	}
	if err != nil {
		t.Close() // harmless if it is closed already
		os.Remove(t.Name())
		return Digest{}, err
	}
	return d, nil
}

// commit makes the file's bytes durable, then its name.
func commit(t *os.File, path string) error {
	if err := t.Sync(); err != nil {
		return fmt.Errorf("bank: %w", err)
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("bank: %w", err)
	}
	if err := os.Rename(t.Name(), path); err != nil {
		return fmt.Errorf("bank: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename durable. Where folders cannot be synced, there is nothing to do.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // which syncs no folder
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("bank: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("bank: %w", err)
	}
	return nil
}
