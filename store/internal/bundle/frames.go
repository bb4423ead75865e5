package bundle

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/xpeft/xpeft/store/internal/format"
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

// A Reader reads frames. All that it has returned is sound once it is at io.EOF.
type Reader struct {
	*bufio.Reader // of the source
	Version       uint16
	Signer        ed25519.PublicKey // whose signature is checked before io.EOF; nil: it is unsigned
	source        *source
	large         bytes.Buffer // a payload that the reader's buffer cannot hold
}

// NewReader reads what comes before the first frame. It reads up to limit bytes, decompressed.
func NewReader(r io.Reader, f Format, limit int64) (*Reader, error) {
	chunks, version, err := newChunkReader(r, f)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(chunks, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(window), zstd.WithDecoderMaxMemory(window))
	if err != nil {
		return nil, err
	}
	s := &source{chunks, z, limit, limit}
	return &Reader{Reader: bufio.NewReaderSize(s, chunkSize), Version: version, Signer: chunks.signer, source: s}, nil
}

// Close frees the memory.
func (r *Reader) Close() { r.source.z.Close() }

// Sum is the SHA-256 of all bytes before it, once it is at io.EOF.
func (r *Reader) Sum() [32]byte { return r.source.chunks.sum }

// Bytes is how many bytes were read, decompressed: limit+1 if there are more than that.
func (r *Reader) Bytes() int64 { return r.source.limit - r.source.left }

// source reads decompressed bytes, up to a limit.
type source struct {
	chunks *chunkReader
	z      *zstd.Decoder
	limit  int64
	left   int64
}

func (s *source) Read(p []byte) (int, error) {
	if s.left == 0 { // the end is not over the limit
		p = p[:1]
	} else {
		p = p[:min(int64(len(p)), s.left)]
	}
	n, err := s.z.Read(p)
	if s.left -= int64(n); s.left < 0 {
		return 0, fmt.Errorf("%w: a bundle of more than %d bytes, decompressed", format.ErrLimit, s.limit)
	}
	return n, s.fault(err)
}

// fault tells the errors of the source from those of its bytes.
func (s *source) fault(err error) error {
	switch {
	case err == nil, err == io.EOF, errors.Is(err, format.ErrCorrupt), errors.Is(err, format.ErrLimit):
		return err
	case s.chunks.err != nil && s.chunks.err != io.EOF:
		return s.chunks.err
	}
	return format.Corrupt("bundle: %w", err)
}

// Frame reads the next frame's kind and payload, which is good until the next read.
func (r *Reader) Frame(limit uint64) (kind byte, payload []byte, err error) {
	if kind, err = r.ReadByte(); err != nil {
		return 0, nil, cutOff(err)
	}
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, nil, cutOff(r.source.fault(err))
	}
	if size > limit {
		return 0, nil, format.Corrupt("frame of %d bytes", size)
	}
	if payload, err = r.payload(int(size)); err != nil {
		return 0, nil, cutOff(err)
	}
	return kind, payload, nil
}

// payload returns the next bytes, good until the next read.
func (r *Reader) payload(size int) ([]byte, error) {
	if size <= r.Size() {
		p, err := r.Peek(size)
		if err == nil {
			_, err = r.Discard(size) // which leaves them where they are
		}
		return p, err
	}
	r.large.Reset() // grows as bytes come, not as the frame says
	_, err := io.CopyN(&r.large, r, int64(size))
	return r.large.Bytes(), err
}

func cutOff(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return format.Corrupt("bundle ends too early")
	}
	return err
}

// End checks that nothing follows the last frame.
func (r *Reader) End() error {
	switch _, err := r.ReadByte(); {
	case err == nil:
		return format.Corrupt("bytes after the bundle's last frame")
	case err != io.EOF:
		return err
	case r.source.chunks.err != io.EOF:
		return format.Corrupt("bundle ends too early")
	}
	return io.EOF
}

// File gives a file of so many bytes, which come next, to take, and reads to its end.
func (r *Reader) File(size int64, take func(io.Reader) error) error {
	file := &io.LimitedReader{R: r.Reader, N: size}
	err := take(file)
	if bad := r.source.chunks.err; err != nil && bad != nil && bad != io.EOF {
		return bad // rather than what was made of it
	}
	if err == nil {
		_, err = io.Copy(io.Discard, file)
	}
	if err == nil && file.N > 0 {
		err = format.Corrupt("a file ends %d bytes too early", file.N)
	}
	return err
}
