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
	chunks, err := newChunkWriter(w, sign)
	if err != nil {
		return nil, err
	}
	return newFrameWriter(chunks, 2)
}

// newFrameWriter writes frames into a zstd stream in chunks. With a concurrency
// of 1 that is all in the caller's goroutine.
func newFrameWriter(chunks *chunkWriter, concurrency int) (*bundleWriter, error) {
	// Masks hardly compress: the other levels search longer for nothing.
	z, err := zstd.NewWriter(chunks, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(concurrency), zstd.WithWindowSize(bundleWindow))
	if err != nil {
		return nil, err
	}
	return &bundleWriter{chunks: chunks, z: z}, nil
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
