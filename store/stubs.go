package store

import (
	"context"
	"errors"
	"io"
)

var errTODO = errors.New("store: not written yet")

func (s *Store) recoverImport() error     { return nil }
func (w *writeTx) settle(id []byte) error { return nil }

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
	return CheckReport{}, nil
}
