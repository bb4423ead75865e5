package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// What a backup leaves beside the store, in the folder backups: the sums of its
// pages, by which a later one finds what has changed since. docs/format.md
// draws it.

// keptBases is how many backups a later one can build on.
const keptBases = 8

const (
	baseMagic = "XPEFTPG1"
	baseEnd   = ".pages"
)

// base is a backup that another may build on.
type base struct {
	revision uint64
	pageSize int
	banks    []Digest // whose files it has, or those that it builds on
	sums     []pageSum
}

func (s *Store) basesDir() string { return filepath.Join(filepath.Dir(s.path), "backups") }

func (s *Store) basePath(revision uint64) string {
	return filepath.Join(s.basesDir(), strconv.FormatUint(revision, 10)+baseEnd)
}

func (b *base) encode() []byte {
	out := binary.LittleEndian.AppendUint64([]byte(baseMagic), b.revision)
	out = binary.LittleEndian.AppendUint32(out, uint32(b.pageSize))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(b.banks)))
	for _, d := range b.banks {
		out = append(out, d[:]...)
	}
	for i := range b.sums {
		out = append(out, b.sums[i][:]...)
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

// readBase reads what a backup has left. Whatever is wrong with it, it is
// ErrNoBase: a full backup does without.
func (s *Store) readBase(revision uint64) (*base, error) {
	data, err := os.ReadFile(s.basePath(revision))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: revision %d", ErrNoBase, revision)
	}
	if err != nil {
		return nil, err
	}
	b, err := decodeBase(data)
	if err == nil && b.revision != revision {
		err = corrupt("is of revision %d", b.revision)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: revision %d: %s: %v", ErrNoBase, revision, s.basePath(revision), err)
	}
	return b, nil
}

func decodeBase(data []byte) (*base, error) {
	const fixed = len(baseMagic) + 16
	at := len(data) - sha256.Size
	if at < fixed || string(data[:len(baseMagic)]) != baseMagic {
		return nil, corrupt("not the sums of a backup's pages")
	}
	if sha256.Sum256(data[:at]) != [32]byte(data[at:]) {
		return nil, corrupt("damaged")
	}
	b := &base{revision: binary.LittleEndian.Uint64(data[8:]), pageSize: int(binary.LittleEndian.Uint32(data[16:]))}
	banks, rest := int64(binary.LittleEndian.Uint32(data[20:])), data[fixed:at]
	if banks*32 > int64(len(rest)) || (int64(len(rest))-banks*32)%16 != 0 {
		return nil, corrupt("%d bytes after %d banks", len(rest), banks)
	}
	for range banks {
		b.banks = append(b.banks, Digest(rest[:32]))
		rest = rest[32:]
	}
	for ; len(rest) > 0; rest = rest[16:] {
		b.sums = append(b.sums, pageSum(rest[:16]))
	}
	return b, nil
}

// keepBase makes a backup one to build on, and forgets the oldest.
func (s *Store) keepBase(b *base) error {
	dir := s.basesDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".pages-*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(b.encode())
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.basePath(b.revision))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return s.dropBases()
}

// dropBases removes all but the newest.
func (s *Store) dropBases() error {
	entries, err := os.ReadDir(s.basesDir())
	if err != nil {
		return err
	}
	var kept []uint64
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), baseEnd)
		if revision, err := strconv.ParseUint(digits, 10, 64); ok && err == nil {
			kept = append(kept, revision)
		}
	}
	slices.Sort(kept)
	for _, revision := range kept[:max(0, len(kept)-keptBases)] {
		err = errors.Join(err, os.Remove(s.basePath(revision)))
	}
	return err
}
