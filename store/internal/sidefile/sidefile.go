package sidefile

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

// A File is a side file, open for writing or for reading.
type File struct {
	ID     ID
	f      *os.File
	path   string
	noSync bool
	aead   cipher.AEAD // nil: blocks have a checksum
	at     uint64      // number of the next block
	buf    []byte      // written: the frames of the next block; read: those left of the last one
}

// ID is random; it says which side file belongs to the store's entry.
type ID [16]byte

const (
	// Suffix ends a side file's name, after the store's.
	Suffix = ".import"
	// HeaderSize is the length of what comes before the key, if there is one, and the blocks.
	HeaderSize = len(magic) + 2 + len(ID{})

	magic     = "XPEFTI"
	version   = 1
	blockSize = 1 << 18 // bytes of frames that are written at once
	maxBlock  = blockSize + format.MaxFrame + 64
)

// Create begins a side file in an empty file at path, encrypted unless ring is nil. With an error
// it removes the file.
func Create(f *os.File, path string, ring *keyring.Ring, noSync bool) (*File, error) {
	sf := &File{f: f, path: path, noSync: noSync}
	rand.Read(sf.ID[:])
	header := sf.header()
	var err error
	if ring != nil {
		var wrapped []byte
		wrapped, sf.aead, err = ring.NewKey(header)
		header = append(header, wrapped...)
	}
	if err == nil {
		_, err = f.Write(header)
	}
	if err != nil {
		return nil, errors.Join(err, sf.Remove())
	}
	return sf, nil
}

func (sf *File) header() []byte {
	return append(binary.LittleEndian.AppendUint16([]byte(magic), version), sf.ID[:]...)
}

// Open opens the side file at path, if it has this id. It is fs.ErrNotExist or ErrCorrupt if there
// is none.
func Open(path string, id ID, ring *keyring.Ring, noSync bool) (*File, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !named.Mode().IsRegular() {
		return nil, format.Corrupt("%s is not a regular file", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	sf := &File{ID: id, f: f, path: path, noSync: noSync}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(named, opened) {
		err = format.Corrupt("%s was replaced while it was opened", path)
	}
	if err == nil {
		err = sf.readHeader(ring)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return sf, nil
}

func (sf *File) readHeader(ring *keyring.Ring) error {
	header := make([]byte, HeaderSize)
	if err := sf.full(header); err != nil {
		return err
	}
	if string(header) != string(sf.header()) {
		return format.Corrupt("%s is not the side file of this import", sf.path)
	}
	if ring == nil {
		return nil
	}
	wrapped := make([]byte, keyring.WrappedSize)
	if err := sf.full(wrapped); err != nil {
		return err
	}
	var err error
	if sf.aead, err = ring.OpenKey(header, wrapped); err != nil {
		return format.Corrupt("the key in %s does not decrypt", sf.path)
	}
	return nil
}

// Frame adds a frame; a block is written once it is full.
func (sf *File) Frame(kind byte, payload []byte) error {
	sf.buf = format.AppendBytes(append(sf.buf, kind), payload)
	if len(sf.buf) < blockSize {
		return nil
	}
	return sf.Flush()
}

// Flush writes the frames so far as a block.
func (sf *File) Flush() error {
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
func (sf *File) blockName() []byte { return binary.LittleEndian.AppendUint64(sf.ID[:], sf.at) }

func blockSum(name, block []byte) uint32 {
	return crc32.Update(crc32.Checksum(name, format.Castagnoli), format.Castagnoli, block)
}

// Peek returns the kind of the next frame.
func (sf *File) Peek() (byte, error) {
	if len(sf.buf) == 0 {
		if err := sf.nextBlock(); err != nil {
			return 0, err
		}
	}
	return sf.buf[0], nil
}

// Next returns the next frame. The payload is a view that stays as it is.
func (sf *File) Next() (kind byte, payload []byte, err error) {
	if kind, err = sf.Peek(); err != nil {
		return 0, nil, err
	}
	d := format.Decoder{B: sf.buf[1:]}
	payload = d.Bytes(format.MaxFrame, "frame")
	sf.buf = d.B
	return kind, payload, d.Err
}

func (sf *File) nextBlock() error {
	var size [4]byte
	if err := sf.full(size[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n <= format.SumSize || n > maxBlock {
		return format.Corrupt("block of %d bytes in %s", n, sf.path)
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
		return format.Corrupt("block %d of %s is damaged", sf.at, sf.path)
	}
	sf.at++
	sf.buf = block
	return nil
}

func (sf *File) full(b []byte) error {
	_, err := io.ReadFull(sf.f, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return format.Corrupt("%s ends too early", sf.path)
	}
	return err
}

// Rewind goes back to the first frame.
func (sf *File) Rewind() error {
	at := HeaderSize
	if sf.aead != nil {
		at += keyring.WrappedSize
	}
	_, err := sf.f.Seek(int64(at), io.SeekStart)
	sf.at, sf.buf = 0, nil
	return err
}

// Sync makes the file and its name durable.
func (sf *File) Sync() error {
	if sf.noSync {
		return nil
	}
	return errors.Join(sf.f.Sync(), durable.SyncDir(filepath.Dir(sf.path)))
}

// Remove deletes the file, if its name is still its own. Its key is overwritten
// first: a profile that is deleted later must not be readable from the disk.
func (sf *File) Remove() error {
	var err error
	if sf.aead != nil {
		if _, err = sf.f.WriteAt(make([]byte, keyring.WrappedSize), int64(HeaderSize)); !sf.noSync {
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

// Close leaves the file for a later Open.
func (sf *File) Close() error { return sf.f.Close() }
