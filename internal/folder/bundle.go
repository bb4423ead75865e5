package folder

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/store"
)

// ExportOptions say what a bundle holds.
type ExportOptions struct {
	IDs         []string // nil: all that match Prefix
	Prefix      string
	Examples    bool // the stored examples too
	State       bool // what the next Learn is judged by too
	IncludeBank bool // the files of the banks that the profiles choose from, if they have one

	Sign crypto.Signer   // signs the bundle: an ed25519.PrivateKey, or a device that holds one; nil: unsigned
	To   []age.Recipient // encrypts it, so that only their identities open it; nil: in the clear
}

// Export writes a bundle of profiles and returns their number. It signs first and then encrypts:
// who signed is for the recipients to know.
func Export(ctx context.Context, st *store.Store, dir string, w io.Writer, o ExportOptions) (int, error) {
	if o.To == nil {
		return export(ctx, st, dir, w, o)
	}
	sealed, err := age.Encrypt(w, o.To...)
	if err != nil {
		return 0, fmt.Errorf("encrypt: %w", err)
	}
	n, err := export(ctx, st, dir, sealed, o)
	if err != nil {
		return 0, err // not closed, what was written opens for nobody
	}
	return n, sealed.Close()
}

func export(ctx context.Context, st *store.Store, dir string, w io.Writer, o ExportOptions) (int, error) {
	so := store.ExportOptions{IDs: o.IDs, Prefix: o.Prefix, Examples: o.Examples, State: o.State, Sign: o.Sign}
	if o.IncludeBank {
		so.BankFile = func(info store.BankInfo) (io.ReadCloser, int64, error) { return openToSend(dir, info) }
	}
	return st.Export(ctx, w, so)
}

// openToSend returns a bank's file as it is; nil for a random bank, whose properties are in every
// bundle.
func openToSend(dir string, info store.BankInfo) (io.ReadCloser, int64, error) {
	size, err := fileSize(dir, info)
	if err != nil || size == 0 {
		return nil, 0, err
	}
	f, err := os.Open(BankPath(dir, info.Digest))
	return f, size, err
}

// ImportOptions say how a bundle is taken in.
type ImportOptions struct {
	Policy      store.Policy
	Prefix      string                 // put before every id
	Rename      func(id string) string // with policy Rename; nil: id-2, id-3, …
	MaxBytes    int64                  // of the bundle, decompressed; default 8 GiB
	MaxProfiles int                    // default 10 million
	MaxHead     int                    // of each head, in bytes; default store.MaxRecord
	// MaxRandomBank bounds the bytes in memory of each random bank that is new; default 16 GiB.
	MaxRandomBank int64
	Trust         []ed25519.PublicKey // refuses what none of them signed; nil: whoever made it; empty: everything
	RequireSigned bool                // refuses what nobody signed
	Identities    []age.Identity      // one of them opens an encrypted bundle; one in the clear is taken in as well
}

// Import takes in a bundle, and the files of banks in it that the folder lacks. With an error
// before the whole bundle is verified nothing is taken in; then the report is zero. store.Import
// says what happens after that. A bank's file is in its place before the profiles that need it are.
// An encrypted bundle that no identity opens is ErrEncrypted.
func Import(ctx context.Context, st *store.Store, dir string, r io.Reader, o ImportOptions) (store.ImportReport,
	error) {
	want, err := shapeOf(st)
	if err != nil {
		return store.ImportReport{}, err
	}
	if r, err = decrypted(r, o.Identities); err != nil {
		return store.ImportReport{}, err
	}
	in := importer{ctx: ctx, st: st, dir: dir, want: want, most: cmp.Or(o.MaxRandomBank, 16<<30)}
	rep, err := st.Import(ctx, r, store.ImportOptions{
		Policy: o.Policy, Prefix: o.Prefix, Rename: o.Rename,
		OnBank: in.receive, AllowBank: in.allow,
		MaxBytes: o.MaxBytes, MaxProfiles: o.MaxProfiles, MaxHead: o.MaxHead, Trust: o.Trust,
		RequireSigned: o.RequireSigned,
	})
	if err != nil && rep.Total == 0 { // else it goes on with these files
		for _, d := range in.received {
			err = errors.Join(err, removeUnknown(st, dir, d))
		}
	}
	return rep, err
}

// importer remembers which files are new, to delete them if the import fails.
type importer struct {
	ctx      context.Context
	st       *store.Store
	dir      string
	want     shape
	most     int64 // bytes of a random bank
	received []store.Digest
}

// check says whether a bank that the store does not know may come in. Axes may not: nobody would
// answer by digits along them. Joint axes may, if what they are over is known.
func (in *importer) check(info store.BankInfo) (bank.Properties, error) {
	p, err := in.want.check(info)
	if err == nil && p.Origin == bank.HeadAxes {
		err = &store.MismatchError{What: "axes", Want: info.Digest}
	}
	return p, err
}

// receive takes in the file of a bank that the store does not know.
func (in *importer) receive(info store.BankInfo, r io.Reader) error {
	if _, err := in.check(info); err != nil {
		return err
	}
	if err := MakeBanks(in.dir); err != nil {
		return err
	}
	d, err := axes.Receive(in.ctx, Banks(in.dir), r)
	if err != nil {
		return fmt.Errorf("bank %s: %w", info.Digest.Short(), err)
	}
	in.received = append(in.received, store.Digest(d))
	f, err := openStored(BankPath(in.dir, store.Digest(d)))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := overKnownAxes(in.st, f); err != nil {
		return err
	}
	return sameBank(f, info)
}

// allow lets a bank in whose file the bundle does not have: a random one, which its properties
// make, or one whose file lies in the folder already.
func (in *importer) allow(info store.BankInfo) error {
	p, err := in.check(info)
	if err != nil {
		return err
	}
	if p.Origin == bank.Random {
		if p.Bytes() > in.most {
			return fmt.Errorf("%w: a random bank of %d bytes in memory, at most %d", store.ErrLimit, p.Bytes(), in.most)
		}
		return nil
	}
	f, err := OpenStored(in.dir, info)
	if errors.Is(err, os.ErrNotExist) {
		return &store.MismatchError{What: "bank", Want: info.Digest}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := overKnownAxes(in.st, f); err != nil {
		return err
	}
	return f.Verify(in.ctx)
}
