package store

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/internal/durable"
	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// A sideFile holds the profiles of a bundle between their verification and
// their merge, so that nothing of the bundle is in the store before all of it is
// verified, and a merge that a crash interrupts can be finished. docs/format.md
// describes the file. It has a bundle's frames in blocks, each block with a
// checksum, or encrypted under a key of the file's own if the store is.
type sideFile struct {
	f      *os.File
	path   string
	noSync bool
	id     importID
	aead   cipher.AEAD // nil: blocks have a checksum
	at     uint64      // number of the next block
	buf    []byte      // written: the frames of the next block; read: those left of the last one
}

// importID is random; it says which side file belongs to the store's entry.
type importID [16]byte

const (
	sideSuffix  = ".import"
	sideMagic   = "XPEFTI"
	sideVersion = 1
	sideHeader  = len(sideMagic) + 2 + len(importID{})
	sideBlock   = 1 << 18        // bytes of frames that are written at once
	maxFrame    = MaxRecord + 64 // of a bundle too
	maxBlock    = sideBlock + maxFrame + 64
)

// sidePath is where a store's side file is.
func (s *Store) sidePath() (string, error) {
	path, err := filepath.EvalSymlinks(s.path)
	return path + sideSuffix, err
}

// createSide makes a new side file. The caller is the only import of the process
// that has locked the store.
func (s *Store) createSide() (*sideFile, error) {
	path, err := s.sidePath()
	if err != nil {
		return nil, err
	}
	f, err := createAnew(path)
	if err != nil {
		return nil, err
	}
	sf := &sideFile{f: f, path: path, noSync: s.opts.NoSync}
	rand.Read(sf.id[:])
	if was, err := os.Stat(s.path); err == nil {
		_ = keepOwner(f, was) // root may import into the store of a service, which may have to finish it
	}
	header := sf.header()
	if s.keys != nil {
		var wrapped []byte
		wrapped, sf.aead, err = s.keys.NewKey(header)
		header = append(header, wrapped...)
	}
	if err == nil {
		_, err = f.Write(header)
	}
	if err != nil {
		return nil, errors.Join(err, sf.remove())
	}
	return sf, nil
}

// header is what the file begins with.
func (sf *sideFile) header() []byte {
	return append(binary.LittleEndian.AppendUint16([]byte(sideMagic), sideVersion), sf.id[:]...)
}

// openSide opens the side file that belongs to an id. It is fs.ErrNotExist or
// ErrCorrupt if there is none.
func (s *Store) openSide(id importID) (*sideFile, error) {
	path, err := s.sidePath()
	if err != nil {
		return nil, err
	}
	named, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !named.Mode().IsRegular() {
		return nil, corrupt("%s is not a regular file", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	sf := &sideFile{f: f, path: path, noSync: s.opts.NoSync, id: id}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(named, opened) {
		err = corrupt("%s was replaced while it was opened", path)
	}
	if err == nil {
		err = s.readSideHeader(sf)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return sf, nil
}

func (s *Store) readSideHeader(sf *sideFile) error {
	header := make([]byte, sideHeader)
	if err := sf.full(header); err != nil {
		return err
	}
	if string(header) != string(sf.header()) {
		return corrupt("%s is not the side file of this import", sf.path)
	}
	if s.keys == nil {
		return nil
	}
	wrapped := make([]byte, keyring.WrappedSize)
	if err := sf.full(wrapped); err != nil {
		return err
	}
	var err error
	if sf.aead, err = s.keys.OpenKey(header, wrapped); err != nil {
		return corrupt("the key in %s does not decrypt", sf.path)
	}
	return nil
}

// frame adds a frame; a block is written once it is full.
func (sf *sideFile) frame(kind byte, payload []byte) error {
	sf.buf = format.AppendBytes(append(sf.buf, kind), payload)
	if len(sf.buf) < sideBlock {
		return nil
	}
	return sf.flush()
}

// flush writes the frames so far as a block.
func (sf *sideFile) flush() error {
	if len(sf.buf) == 0 {
		return nil
	}
	block, name := sf.buf, sf.blockName()
	if sf.aead != nil {
		block = sf.aead.Seal(nil, nil, block, name)
	} else {
		block = binary.LittleEndian.AppendUint32(block, blockSum(name, block))
	}
	if _, err := sf.f.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(block)))); err != nil {
		return err
	}
	if _, err := sf.f.Write(block); err != nil {
		return err
	}
	sf.at++
	sf.buf = sf.buf[:0]
	return nil
}

// blockName binds a block to its file and its place.
func (sf *sideFile) blockName() []byte { return binary.LittleEndian.AppendUint64(sf.id[:], sf.at) }

func blockSum(name, block []byte) uint32 {
	return crc32.Update(crc32.Checksum(name, format.Castagnoli), format.Castagnoli, block)
}

// peek returns the kind of the next frame.
func (sf *sideFile) peek() (byte, error) {
	if len(sf.buf) == 0 {
		if err := sf.nextBlock(); err != nil {
			return 0, err
		}
	}
	return sf.buf[0], nil
}

// next returns the next frame. The payload is a view that stays as it is.
func (sf *sideFile) next() (kind byte, payload []byte, err error) {
	if kind, err = sf.peek(); err != nil {
		return 0, nil, err
	}
	d := format.Decoder{B: sf.buf[1:]}
	payload = d.Bytes(maxFrame, "frame")
	sf.buf = d.B
	return kind, payload, d.Err
}

func (sf *sideFile) nextBlock() error {
	var size [4]byte
	if err := sf.full(size[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n <= format.SumSize || n > maxBlock {
		return corrupt("block of %d bytes in %s", n, sf.path)
	}
	block := make([]byte, n)
	if err := sf.full(block); err != nil {
		return err
	}
	name, at := sf.blockName(), len(block)-format.SumSize
	var err error
	switch {
	case sf.aead != nil:
		block, err = sf.aead.Open(nil, nil, block, name)
	case binary.LittleEndian.Uint32(block[at:]) != blockSum(name, block[:at]):
		err = io.ErrUnexpectedEOF
	default:
		block = block[:at:at]
	}
	if err != nil || len(block) == 0 {
		return corrupt("block %d of %s is damaged", sf.at, sf.path)
	}
	sf.at++
	sf.buf = block
	return nil
}

// full reads all of b.
func (sf *sideFile) full(b []byte) error {
	_, err := io.ReadFull(sf.f, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return corrupt("%s ends too early", sf.path)
	}
	return err
}

// rewind goes back to the first frame.
func (sf *sideFile) rewind() error {
	at := sideHeader
	if sf.aead != nil {
		at += keyring.WrappedSize
	}
	_, err := sf.f.Seek(int64(at), io.SeekStart)
	sf.at, sf.buf = 0, nil
	return err
}

// sync makes the file and its name durable.
func (sf *sideFile) sync() error {
	if sf.noSync {
		return nil
	}
	return errors.Join(sf.f.Sync(), durable.SyncDir(filepath.Dir(sf.path)))
}

// remove deletes the file, if its name is still its own. Its key is overwritten
// first: a profile that is deleted later must not be readable from the disk.
func (sf *sideFile) remove() error {
	var err error
	if sf.aead != nil {
		if _, err = sf.f.WriteAt(make([]byte, keyring.WrappedSize), int64(sideHeader)); !sf.noSync {
			err = errors.Join(err, sf.f.Sync())
		}
	}
	opened, serr := sf.f.Stat()
	named, lerr := os.Lstat(sf.path)
	err = errors.Join(err, serr, sf.f.Close())
	if serr == nil && lerr == nil && os.SameFile(opened, named) {
		err = errors.Join(err, os.Remove(sf.path))
	}
	return err
}
