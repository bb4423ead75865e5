package bundle

import (
	"crypto"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Format is a kind of stream: of bundles, or of backups.
type Format struct {
	Magic  string // six bytes
	Name   string // for messages
	Newest uint16 // version, which is also the one that is written
	Signed bool   // its even versions have a signature; without a signer Newest-1 is written
}

// window is zstd's window, what a reader has to hold in memory.
const window = 4 << 20

// A Writer writes frames.
type Writer struct {
	chunks *chunkWriter
	z      *zstd.Encoder
	buf    []byte
}

// NewWriter writes frames in a format, all in the caller's goroutine: that w panics is the
// caller's. A nil key signs nothing.
func NewWriter(w io.Writer, f Format, key crypto.Signer) (*Writer, error) {
	chunks, err := newChunkWriter(w, f, key)
	if err != nil {
		return nil, err
	}
	// Masks hardly compress: the other levels search longer for nothing.
	z, err := zstd.NewWriter(chunks, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		return nil, err
	}
	return &Writer{chunks: chunks, z: z}, nil
}

// Write writes bytes that are frames already.
func (w *Writer) Write(frames []byte) (int, error) { return w.z.Write(frames) }

// Frame writes a frame.
func (w *Writer) Frame(kind byte, payload []byte) error {
	w.buf = binary.AppendUvarint(append(w.buf[:0], kind), uint64(len(payload)))
	if _, err := w.z.Write(w.buf); err != nil {
		return err
	}
	_, err := w.z.Write(payload)
	return err
}

// File writes a frame, and after it the bytes of a file that r begins with.
func (w *Writer) File(kind byte, payload []byte, r io.Reader, size int64) error {
	if err := w.Frame(kind, payload); err != nil {
		return err
	}
	_, err := io.CopyN(w.z, r, size)
	return err
}

// Close writes the end.
func (w *Writer) Close() error { return errors.Join(w.z.Close(), w.chunks.Close()) }

// Abort frees the memory. What was written stays without an end.
func (w *Writer) Abort() { w.z.Close() }

// Sum is the SHA-256 of what was written before it, once it is closed.
func (w *Writer) Sum() [32]byte { return w.chunks.sum }
