package store

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/xpeft/xpeft/bitmask"
)

var errTODO = errors.New("store: not written yet")

// Store is a folder's profiles at rest.
type Store struct{}

// Create makes a new store at path; ErrExists if there is a file.
func Create(path string, meta Meta, o *Options) (*Store, error) { return nil, errTODO }

// Open opens the store at path. fs.ErrNotExist if there is none.
func Open(path string, o *Options) (*Store, error) { return nil, errTODO }

// Close writes the index, waits for transactions in progress and closes the file. Idempotent.
func (s *Store) Close() error { return errTODO }

// Meta returns what the store is bound to.
func (s *Store) Meta() Meta { return Meta{} }

// PutMeta stores a small value of the caller's under key, GetMeta returns it or ErrNotFound.
func (s *Store) PutMeta(ctx context.Context, key string, val []byte) error { return errTODO }
func (s *Store) GetMeta(key string) ([]byte, error)                        { return nil, errTODO }

// BankInfo describes a bank: its digest, its shape, and its properties, which are the caller's.
type BankInfo struct {
	Ref        uint32 // set by the store
	Digest     Digest
	N, Blocks  int
	Properties []byte
}

// PutBank registers a bank and returns its ref; the same digest gives the same ref.
func (s *Store) PutBank(ctx context.Context, info BankInfo) (ref uint32, err error) {
	return 0, errTODO
}
func (s *Store) Bank(ref uint32) (BankInfo, error)       { return BankInfo{}, errTODO }
func (s *Store) BankByDigest(d Digest) (BankInfo, error) { return BankInfo{}, errTODO }
func (s *Store) Banks() ([]BankInfo, error)              { return nil, errTODO }

// HeadInfo describes a shared head.
type HeadInfo struct {
	Ref    uint32
	Digest Digest
	Size   int
	Names  []string
}

// PutHead stores a shared head, named by the SHA-256 of its data; the same data gives the same ref.
func (s *Store) PutHead(ctx context.Context, data []byte) (ref uint32, d Digest, err error) {
	return 0, Digest{}, errTODO
}
func (s *Store) Head(ref uint32) ([]byte, error)                                { return nil, errTODO }
func (s *Store) SetHeadName(ctx context.Context, name string, ref uint32) error { return errTODO }
func (s *Store) HeadByName(name string) (uint32, error)                         { return 0, errTODO }
func (s *Store) Heads() ([]HeadInfo, error)                                     { return nil, errTODO }

// Put stores p (its Number, Revision, Updated are not read) and returns its new revision.
func (s *Store) Put(ctx context.Context, p *Profile, w Write) (revision uint64, err error) {
	return 0, errTODO
}

// PutBatch is Put of many profiles in one transaction: all or none. Keep it to some thousands.
func (s *Store) PutBatch(ctx context.Context, ps []*Profile) error { return errTODO }
func (s *Store) Get(id string) (*Profile, error)                   { return nil, errTODO }

// Delete erases a profile's record, state, examples, history and index entries.
func (s *Store) Delete(ctx context.Context, id string) error { return errTODO }

// State returns ErrNotFound if there is no profile, nil if it has no state.
func (s *Store) State(id string) ([]byte, error) { return nil, errTODO }

// Examples returns the stored examples, oldest first.
func (s *Store) Examples(id string) ([]Example, error) { return nil, errTODO }
func (s *Store) AppendExamples(ctx context.Context, id string, examples []Example) error {
	return errTODO
}

// History returns the earlier revisions kept, newest first.
func (s *Store) History(id string) ([]*Profile, error) { return nil, errTODO }

// Profiles lists the profiles whose id starts with prefix, in id order, reading a few hundred at a time.
func (s *Store) Profiles(prefix string) iter.Seq2[*Profile, error] { return nil }
func (s *Store) Count() (int, error)                               { return 0, errTODO }

// With lists the ids of the profiles that select an adapter, in the order of their numbers.
func (s *Store) With(bank uint32, side bitmask.Side, block, adapter int) iter.Seq2[string, error] {
	return nil
}

// UseCounts counts, per side, block and adapter of a bank, the profiles that select it.
func (s *Store) UseCounts(ctx context.Context, bank uint32) (counts [2][][]uint32, profiles int, err error) {
	return counts, 0, errTODO
}
func (s *Store) FlushIndex(ctx context.Context) error { return errTODO }

// Stats are counts of the store; Sub subtracts those that only grow.
type Stats struct {
	Profiles, RecordBytes, MaskBytes, Examples int64 // now
	FileBytes, FreeBytes, IndexBytes           int64 // now
	Reads, Writes, Commits                     int64 // since Open
}

func (s *Store) Stats() (Stats, error) { return Stats{}, errTODO }
func (a Stats) Sub(b Stats) Stats      { return a }
func (a Stats) MeanRecord() float64    { return 0 }

// ExportOptions say what a bundle holds.
type ExportOptions struct {
	IDs      []string // nil: all that match Prefix
	Prefix   string
	Examples bool
	State    bool
	BankFile func(BankInfo) (io.ReadCloser, int64, error) // nil: no bank files; a nil reader: not this one
}

func (s *Store) Export(ctx context.Context, w io.Writer, o ExportOptions) (n int, err error) {
	return 0, errTODO
}

// Policy says what Import does with an id that exists.
type Policy int

const (
	Fail      Policy = iota // the whole import fails with ErrExists
	Skip                    // the store's profile stays
	Overwrite               // the bundle's profile replaces it; its history goes
	Rename                  // the bundle's profile gets another id
)

// ImportOptions say how a bundle is taken in.
type ImportOptions struct {
	Policy      Policy
	Prefix      string                                 // put before every id
	Rename      func(id string) string                 // with Policy Rename; nil: id-2, id-3, …
	OnBank      func(info BankInfo, r io.Reader) error // is given the bank file of a bank that the store does not know; nil: MismatchError
	AllowBank   func(info BankInfo) error              // may register such a bank without a file; nil: MismatchError
	MaxBytes    int64                                  // of the bundle, decompressed; default 8 GiB
	MaxProfiles int                                    // default 10 million
}

// ImportReport says what Import did.
type ImportReport struct {
	Profiles, Skipped, Overwritten, Examples int
	Banks, Heads                             int               // new in the store
	Renamed                                  map[string]string // bundle's id → store's id
}

// Import takes in a bundle: all of it, or, with an error, nothing.
func (s *Store) Import(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	return ImportReport{}, errTODO
}

// CheckReport is what Check found.
type CheckReport struct {
	Profiles, Records, Examples, Banks, Heads int
	Problems                                  []string // what and where; empty: sound
}

// Check reads the whole file; err is ErrCorrupt if there are Problems. Deep also compares the index with the masks.
func (s *Store) Check(ctx context.Context, deep bool) (CheckReport, error) {
	return CheckReport{}, errTODO
}

// Backup writes a consistent copy of the file, while the store is in use.
func (s *Store) Backup(ctx context.Context, w io.Writer) (int64, error) { return 0, errTODO }

func EncodeProfile(p *Profile) ([]byte, error) { return nil, errTODO }
func DecodeProfile(b []byte) (*Profile, error) { return nil, errTODO }
