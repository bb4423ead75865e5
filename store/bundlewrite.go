package store

import (
	"crypto"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// bundleWriter writes frames.
type bundleWriter struct {
	chunks *chunkWriter
	z      *zstd.Encoder
	buf    []byte
}

func newBundleWriter(w io.Writer, signer crypto.Signer) (*bundleWriter, error) {
	sign, err := newBundleSigner(signer)
	if err != nil {
		return nil, err
	}
	version := uint16(bundleUnsigned)
	if sign != nil {
		version = bundleSigned
	}
	return newFrameWriter(w, bundleMagic, version, sign)
}

// newFrameWriter writes frames into a zstd stream in chunks, all in the caller's
// goroutine: that w panics is the caller's.
func newFrameWriter(w io.Writer, magic []byte, version uint16, sign *bundleSigner) (*bundleWriter, error) {
	chunks, err := newChunkWriter(w, magic, version, sign)
	if err != nil {
		return nil, err
	}
	// Masks hardly compress: the other levels search longer for nothing.
	z, err := zstd.NewWriter(chunks, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(bundleWindow))
	if err != nil {
		return nil, err
	}
	return &bundleWriter{chunks: chunks, z: z}, nil
}

// file writes a frame, and after it the bytes of a file that r begins with.
func (b *bundleWriter) file(kind byte, payload []byte, r io.Reader, size int64) error {
	if err := b.frame(kind, payload); err != nil {
		return err
	}
	_, err := io.CopyN(b.z, r, size)
	return err
}

func (b *bundleWriter) frame(kind byte, payload []byte) error {
	b.buf = binary.AppendUvarint(append(b.buf[:0], kind), uint64(len(payload)))
	if _, err := b.z.Write(b.buf); err != nil {
		return err
	}
	_, err := b.z.Write(payload)
	return err
}

func (b *bundleWriter) Close() error {
	return errors.Join(b.z.Close(), b.chunks.Close())
}
