package bundle

import (
	"bufio"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/xpeft/xpeft/store/internal/format"
)

// The outer frame of a bundle: a magic and version, the signer's key if it is
// signed, chunks of at most chunkSize bytes after their lengths, an empty
// chunk, the SHA-256 of all of that, and the signature of the SHA-256. It makes
// every flipped bit and every cut an error, also where zstd would not care.
const chunkSize = 1 << 16

// chunkWriter writes the outer frame.
type chunkWriter struct {
	w      io.Writer // to the destination, and the hash
	dst    io.Writer
	hash   hash.Hash
	key    crypto.Signer
	public ed25519.PublicKey // key's; nil: unsigned
	buf    []byte
	sum    [sha256.Size]byte // of all bytes before it, once closed
}

// newChunkWriter writes what comes before the first chunk.
func newChunkWriter(dst io.Writer, f Format, key crypto.Signer) (*chunkWriter, error) {
	public, err := publicKey(key)
	if err != nil {
		return nil, err
	}
	version := f.Newest
	if f.Signed && public == nil {
		version--
	}
	c := &chunkWriter{dst: dst, hash: sha256.New(), key: key, public: public, buf: make([]byte, 4, 4+chunkSize)}
	c.w = io.MultiWriter(dst, c.hash)
	_, err = c.w.Write(append(binary.LittleEndian.AppendUint16([]byte(f.Magic), version), public...))
	return c, err
}

func (c *chunkWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(cap(c.buf)-len(c.buf), len(rest))
		c.buf = append(c.buf, rest[:n]...)
		rest = rest[n:]
		if len(c.buf) == cap(c.buf) {
			if err := c.flush(); err != nil {
				return len(p) - len(rest), err
			}
		}
	}
	return len(p), nil
}

// flush writes what is buffered as a chunk; nothing makes the empty chunk.
func (c *chunkWriter) flush() error {
	binary.LittleEndian.PutUint32(c.buf, uint32(len(c.buf)-4))
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:4]
	return err
}

// Close writes the end. It does not close the destination.
func (c *chunkWriter) Close() error {
	if len(c.buf) > 4 {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	end := c.hash.Sum(nil)
	c.sum = [sha256.Size]byte(end)
	if c.public != nil {
		signature, err := sign(c.key, c.public, c.sum)
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		end = append(end, signature...)
	}
	_, err := c.dst.Write(end)
	return err
}

// chunkReader reads the outer frame. It is at io.EOF only once the checksum
// and the signature were right and nothing came after them.
type chunkReader struct {
	r      *bufio.Reader
	hash   hash.Hash
	signer ed25519.PublicKey // that the bundle names; nil: it is unsigned
	left   int               // of the current chunk
	sum    [sha256.Size]byte // of all bytes before it, once at io.EOF
	err    error             // the first one
}

// newChunkReader reads what comes before the first chunk.
func newChunkReader(r io.Reader, f Format) (c *chunkReader, version uint16, err error) {
	c = &chunkReader{r: bufio.NewReaderSize(r, chunkSize), hash: sha256.New()}
	var head [8]byte
	if err := c.full(head[:]); err != nil {
		return nil, 0, err
	}
	if string(head[:6]) != f.Magic {
		return nil, 0, format.Corrupt("not a %s", f.Name)
	}
	switch version = binary.LittleEndian.Uint16(head[6:]); {
	case version == 0:
		return nil, 0, format.Corrupt("%s version 0", f.Name)
	case version > f.Newest:
		return nil, 0, fmt.Errorf("%w: %s version %d, this one reads up to %d", format.ErrSchema, f.Name, version,
			f.Newest)
	case f.Signed && version%2 == 0:
		c.signer = make(ed25519.PublicKey, ed25519.PublicKeySize)
		err = c.full(c.signer)
	}
	return c, version, err
}

func (c *chunkReader) full(b []byte) error {
	if _, err := io.ReadFull(c.r, b); err != nil {
		return c.fault(err)
	}
	c.hash.Write(b)
	return nil
}

// fault turns an early end into ErrCorrupt; other errors are the source's own.
func (c *chunkReader) fault(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = format.Corrupt("bundle is cut off")
	}
	c.err = err
	return err
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.left == 0 {
		if c.err = c.nextChunk(); c.err != nil {
			return 0, c.err
		}
	}
	n, err := c.r.Read(p[:min(len(p), c.left)])
	c.hash.Write(p[:n])
	c.left -= n
	if err != nil {
		return n, c.fault(err)
	}
	return n, nil
}

// nextChunk reads a chunk's length; at the last one, the checksum and the
// signature.
func (c *chunkReader) nextChunk() error {
	var size [4]byte
	if err := c.full(size[:]); err != nil {
		return err
	}
	c.left = int(binary.LittleEndian.Uint32(size[:]))
	switch {
	case c.left > chunkSize:
		return format.Corrupt("chunk of %d bytes, at most %d", c.left, chunkSize)
	case c.left > 0:
		return nil
	}
	c.sum = [sha256.Size]byte(c.hash.Sum(nil))
	var got [sha256.Size]byte
	if err := c.full(got[:]); err != nil {
		return err
	}
	if got != c.sum {
		return format.Corrupt("bundle's checksum is %x, want %x", got[:6], c.sum[:6])
	}
	if c.signer != nil {
		var signature [ed25519.SignatureSize]byte
		if err := c.full(signature[:]); err != nil {
			return err
		}
		if !ed25519.Verify(c.signer, signedMessage(c.sum), signature[:]) {
			return fmt.Errorf("%w: it is not that of %x", ErrSignature, []byte(c.signer))
		}
	}
	switch _, err := c.r.ReadByte(); {
	case err == nil:
		return format.Corrupt("bytes after the bundle's end")
	case err != io.EOF:
		return err
	}
	return io.EOF
}

// A signed bundle has the signer's public key after its version, so that a
// reader refuses a stranger before it reads on, and at its end a signature of
// its SHA-256, which is of all bytes before, the key too.

// ErrSignature is store.ErrSignature.
var ErrSignature = errors.New("store: signature refused")

// signDomain goes before what is signed: no signature that the key makes
// elsewhere is one of a bundle.
const signDomain = "xpeft bundle v2\x00"

func signedMessage(sum [sha256.Size]byte) []byte { return append([]byte(signDomain), sum[:]...) }

// publicKey is nil for no signer. A key that cannot sign is an error: never an
// unsigned bundle.
func publicKey(s crypto.Signer) (ed25519.PublicKey, error) {
	if s == nil {
		return nil, nil
	}
	if key, ok := s.(ed25519.PrivateKey); ok && len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("signing key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	public, ok := s.Public().(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("signing key is a %T, want an Ed25519 one", s.Public())
	}
	return public, nil
}

// sign returns the signature, which it has verified: a signer may be a device.
func sign(s crypto.Signer, public ed25519.PublicKey, sum [sha256.Size]byte) ([]byte, error) {
	message := signedMessage(sum)
	signature, err := s.Sign(rand.Reader, message, crypto.Hash(0))
	if err == nil && !ed25519.Verify(public, message, signature) {
		err = errors.New("the signer's signature is wrong")
	}
	return signature, err
}
