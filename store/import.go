package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/sidefile"
)

// Import takes in a bundle that Export wrote. It must be bound to the same
// encoder and tokenizer, and to banks that the store knows or is allowed to
// take; else it is a MismatchError. A bundle that Trust or RequireSigned refuse,
// or whose signature is wrong, is ErrSignature.
//
// The whole bundle is verified first, in a side file beside the store: with an
// error until then nothing has happened, and the report is zero. Then its
// profiles become visible in batches, each profile whole, whatever ctx says. If
// that ends early (ErrFull, ErrClosed, a crash) the report says how far it came, and the
// next Open or Import merges the rest. Other readers and writers go on
// meanwhile: the policy is applied once more to what they have put. Under Fail their
// profile stays, the others are merged, and the error is ErrExists. A second
// Import waits.
func (s *Store) Import(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	s.imports.Add(1)
	defer s.imports.Add(-1)
	report, err := s.importBundle(ctx, r, o)
	if err != nil {
		return report, fmt.Errorf("store: import: %w", boltError(err))
	}
	return report, nil
}

func (s *Store) importBundle(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	if err := o.normalize(); err != nil {
		return ImportReport{}, err
	}
	if err := s.importing.lockFor(ctx); err != nil {
		return ImportReport{}, err
	}
	defer s.importing.Unlock()
	if s.opts.ReadOnly {
		return ImportReport{}, ErrReadOnly
	}
	if err := s.finishImport(); err != nil {
		return ImportReport{}, fmt.Errorf("an earlier import is not finished: %w", err)
	}
	b, err := newBundleReader(r, o.MaxBytes)
	if err != nil {
		return ImportReport{}, err
	}
	defer b.Close()
	if err := o.accepts(b.Signer); err != nil {
		return ImportReport{}, err
	}
	v := &verifier{s: s, o: o, b: b}
	v.report.SignedBy = b.Signer
	side, err := v.verify(ctx)
	if err != nil {
		return ImportReport{}, err
	}
	m := newMerger(s, side, pendingImport{id: side.ID, policy: o.Policy, total: uint64(v.kept)})
	m.report = v.report
	return m.finish()
}

// finishImport merges what is left of an earlier import. The caller is the only
// one that imports.
func (s *Store) finishImport() error {
	left, err := s.unfinished()
	if errors.Is(err, ErrCorrupt) {
		return s.dropPending(err)
	}
	if err != nil {
		return err
	}
	if left == nil {
		s.removeLeft(sidefile.Suffix, "an import")
		return nil
	}
	path, err := s.sidePath()
	var side *sidefile.File
	if err == nil {
		side, err = sidefile.Open(path, left.id, s.keys, s.opts.NoSync)
	}
	if isLost(err) {
		return s.dropPending(err)
	}
	if err != nil {
		return err
	}
	s.opts.Logger.Info("finishing an import that was cut short", "merged", left.merged, "of", left.total)
	m := newMerger(s, side, *left)
	m.begun = true
	report, err := m.finish()
	if err == nil || err == m.left || m.lost { // what is lost is in the log
		s.opts.Logger.Info("finished an import", "profiles", report.Profiles, "skipped", report.Skipped, "first",
			m.left)
		return nil
	}
	return err
}

// pendingImport is the store's entry of an import that is being merged.
type pendingImport struct {
	id            sidefile.ID
	policy        Policy
	total, merged uint64 // profiles in the side file
}

// readPending returns the store's entry, nil if there is none.
func readPending(tx *bolt.Tx) (*pendingImport, error) {
	v := tx.Bucket(format.Meta).Get(format.KeyImport)
	if v == nil {
		return nil, nil
	}
	payload, err := format.Unseal(format.TagMeta, format.KeyImport, v)
	if err != nil {
		return nil, corrupt("import: %w", err)
	}
	d, p := format.Decoder{B: payload}, &pendingImport{}
	copy(p.id[:], d.Take(uint64(len(p.id)), "import's id"))
	p.policy = Policy(d.Uint(uint64(Rename), "policy"))
	p.total = d.Uvarint("profiles")
	p.merged = d.Uint(p.total, "merged profiles")
	return p, d.End()
}

// unfinished returns the entry as it is now.
func (s *Store) unfinished() (*pendingImport, error) {
	return viewed(s, func(t *txn) (*pendingImport, error) { return readPending(t.Tx) })
}

func (p *pendingImport) write(tx *bolt.Tx) error {
	b := format.AppendUvarints(bytes.Clone(p.id[:]), uint64(p.policy), p.total, p.merged)
	return tx.Bucket(format.Meta).Put(format.KeyImport, format.Seal(format.TagMeta, format.KeyImport, b))
}

// isLost says whether an error means that an import cannot be finished.
func isLost(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, fs.ErrNotExist) }

// dropPending gives up an import whose side file is lost: that of a store that was
// restored from a backup, for one.
func (s *Store) dropPending(why error) error {
	s.opts.Logger.Error("an import cannot be finished; import the bundle again", "error", why)
	err := s.writeAlone(context.Background(), (*writeTx).endImport)
	if err == nil {
		s.removeLeft(sidefile.Suffix, "an import")
	}
	return err
}

// keepOut has the merge of a pending import leave out an id that is deleted: it
// may go on days later, and what was forgotten must not come back. The merge
// then keeps whatever is put under the id.
func (w *writeTx) keepOut(idKey []byte) error {
	meta := w.Tx.Bucket(format.Meta)
	if meta.Get(format.KeyImport) == nil {
		return nil
	}
	return w.putIn(meta, goneKey(idKey), []byte{})
}

func goneKey(idKey []byte) []byte { return append(bytes.Clone(format.KeyGone), idKey...) }

// endImport removes the entry of an import, and what belongs to it.
func (w *writeTx) endImport() error {
	meta := w.Tx.Bucket(format.Meta)
	c := meta.Cursor()
	for k, _ := c.Seek(format.KeyGone); bytes.HasPrefix(k, format.KeyGone); k, _ = c.Seek(format.KeyGone) {
		if err := w.deleteIn(meta, bytes.Clone(k)); err != nil {
			return err
		}
	}
	return meta.Delete(format.KeyImport)
}

// sidePath is where a store's side file is.
func (s *Store) sidePath() (string, error) {
	path, err := filepath.EvalSymlinks(s.path)
	return path + sidefile.Suffix, err
}

// createSide makes a new side file. The caller is the only import of the process
// that has locked the store.
func (s *Store) createSide() (*sidefile.File, error) {
	path, err := s.sidePath()
	if err != nil {
		return nil, err
	}
	f, err := createAnew(path)
	if err != nil {
		return nil, err
	}
	if was, err := os.Stat(s.path); err == nil {
		_ = keepOwner(f, was) // root may import into the store of a service, which may have to finish it
	}
	return sidefile.Create(f, path, s.keys, s.opts.NoSync)
}

// Policy says what Import does with a profile whose id exists.
type Policy int

const (
	// Fail makes the whole import fail with ErrExists.
	Fail Policy = iota
	// Skip leaves the store's profile as it is.
	Skip
	// Overwrite erases the store's profile, its history too, and puts the
	// bundle's in its place, with a higher revision.
	Overwrite
	// Rename gives the bundle's profile another id.
	Rename
)

// ImportOptions say how a bundle is taken in.
type ImportOptions struct {
	Policy Policy
	// Prefix is put before every id.
	Prefix string
	// Rename gives the new id under the policy Rename, while the bundle is
	// verified; if that exists too it is ErrExists. Nil, and for an id that another writer puts
	// after that: the first free one of id-2, id-3, …
	Rename func(id string) string
	// OnBank is given the file of a bank that the store does not know, if the
	// bundle has it, and must check it against the digest. Nothing is undone
	// if the import fails later, by a wrong signature too. Nil: such a bank is a MismatchError.
	OnBank func(info BankInfo, file io.Reader) error
	// AllowBank may accept such a bank without a file, because it can be made
	// from its properties. Nil, or an error: the import fails.
	AllowBank func(info BankInfo) error
	// Trust refuses every bundle that none of these keys signed. Nil: whoever
	// made it; empty: every bundle is refused.
	Trust []ed25519.PublicKey
	// RequireSigned refuses an unsigned bundle. It says nothing of the signer,
	// whom ImportReport.SignedBy names.
	RequireSigned bool
	// MaxBytes bounds the bundle once decompressed. Default 8 GiB.
	MaxBytes int64
	// MaxProfiles bounds their number. Default 10 million.
	MaxProfiles int
	// MaxHead bounds each head in bytes, shared or own. Default MaxRecord.
	MaxHead int
}

// normalize sets the defaults, or says what is wrong.
func (o *ImportOptions) normalize() error {
	o.MaxBytes = cmp.Or(o.MaxBytes, 8<<30)
	o.MaxProfiles = cmp.Or(o.MaxProfiles, 10_000_000)
	o.MaxHead = cmp.Or(o.MaxHead, MaxRecord)
	if o.Policy < Fail || o.Policy > Rename {
		return fmt.Errorf("unknown policy %d", o.Policy)
	}
	for _, key := range o.Trust { // Verify would panic
		if len(key) != ed25519.PublicKeySize {
			return fmt.Errorf("trusted key of %d bytes, want %d", len(key), ed25519.PublicKeySize)
		}
	}
	return nil
}

// accepts says whether a bundle that names this signer may be read; nil is
// none. That the signature is the signer's is only known at its end.
func (o *ImportOptions) accepts(signer ed25519.PublicKey) error {
	switch {
	case signer == nil && (o.RequireSigned || o.Trust != nil):
		return fmt.Errorf("%w: bundle is not signed", ErrSignature)
	case signer == nil || o.Trust == nil:
		return nil
	case !slices.ContainsFunc(o.Trust, func(key ed25519.PublicKey) bool { return key.Equal(signer) }):
		return fmt.Errorf("%w: %x, which is not trusted, signed the bundle", ErrSignature, []byte(signer))
	}
	return nil
}

// ImportReport says what Import did. With an error it is zero if nothing of the
// bundle is in the store.
type ImportReport struct {
	Total       int               // profiles of the bundle
	Merged      int               // of these, those that are done with; the rest waits for the next Import or Open
	Profiles    int               // now in the store, with those below but Skipped
	Skipped     int               // under the policy Skip, or another writer's were kept
	Overwritten int               // under the policy Overwrite
	Examples    int               // stored with them
	Banks       int               // new in the store
	Heads       int               // new in the store
	Renamed     map[string]string // bundle's id, with the prefix → store's
	SignedBy    ed25519.PublicKey // whose signature the bundle has; nil: none
}
