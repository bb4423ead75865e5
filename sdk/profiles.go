package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// ImportPolicy says what Import does with an id that exists.
type ImportPolicy = store.Policy

const (
	Fail      = store.Fail      // the whole import fails with ErrExists
	Skip      = store.Skip      // the folder's profile stays
	Overwrite = store.Overwrite // the bundle's profile replaces it
	Rename    = store.Rename    // the bundle's profile gets another id: id-2, id-3, …
)

// ImportReport says what Import did.
type ImportReport = store.ImportReport

// ExportOptions say what a bundle holds.
type ExportOptions = folder.ExportOptions

// ImportOptions say how a bundle is taken in, and from whom.
type ImportOptions = folder.ImportOptions

// ProfilesOptions say which profiles are listed.
type ProfilesOptions = folder.ProfilesOptions

// CheckReport is what Check found.
type CheckReport = store.CheckReport

// Export writes a bundle of the named profiles, or of all: digits or masks, prior, bias and heads,
// compressed, checksummed, and bound to the model, the tokenizer, the bank and the heads. Examples
// and state stay; see ExportWith.
func (p *SDK) Export(ctx context.Context, w io.Writer, ids ...string) (int, error) {
	return p.ExportWith(ctx, w, ExportOptions{IDs: ids})
}

// ExportWith is Export with options: which profiles, what of them, signed by whom, encrypted for
// whom.
func (p *SDK) ExportWith(ctx context.Context, w io.Writer, o ExportOptions) (int, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	began := time.Now()
	n, err := folder.Export(ctx, p.store, p.dir, w, o)
	if err == nil {
		p.options.Logger.Info("exported", "profiles", n, "examples", o.Examples, "signed", o.Sign != nil, "encrypted",
			o.To != nil, "took", time.Since(began))
	}
	return n, err
}

// Import takes in a bundle. All of it is verified before anything of it is in the folder: with an
// error until then the report is zero, and nothing has happened. Then its profiles become visible
// in batches, each profile whole, whatever ctx says. If that ends early (ErrFull, ErrClosed, a
// crash) the report says how far it is, and the next Open or Import merges the rest. Under Fail a
// profile that was put meanwhile stays, and the error is ErrExists. A bundle of another model or
// tokenizer is a *MismatchError. The heads that its profiles share come with it. A random bank that
// the folder does not have is made from its properties; the file of a warm one must be in the
// bundle (ExportOptions.IncludeBank) or in the folder, else it is a *MismatchError. New profiles go
// on with the folder's own bank and head.
func (p *SDK) Import(ctx context.Context, r io.Reader, policy ImportPolicy) (ImportReport, error) {
	return p.ImportWith(ctx, r, ImportOptions{Policy: policy})
}

// ImportWith is Import with options. Trust, RequireSigned and Identities are for bundles that came
// through strangers' hands: what is refused by its signature is ErrSignature, what no identity
// opens is ErrEncrypted, and nothing of either is taken in.
func (p *SDK) ImportWith(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	leave, err := p.enterToWrite()
	if err != nil {
		return ImportReport{}, err
	}
	defer leave()
	began, l := time.Now(), p.options.Limits
	o.MaxBytes, o.MaxProfiles = orDefault(o.MaxBytes, l.BundleBytes), orDefault(o.MaxProfiles, l.BundleProfiles)
	o.MaxHead, o.MaxRandomBank = orDefault(o.MaxHead, l.HeadBytes), orDefault(o.MaxRandomBank, l.RandomBankBytes)
	o.KnownAxes = true
	rep, err := folder.Import(ctx, p.store, p.dir, r, o)
	if errors.Is(err, ErrLimit) {
		err = fmt.Errorf("%w (Options.Limits)", err)
	}
	p.texts.clear()       // banks may have come
	if rep.Examples > 0 { // some may be due
		p.observer.start(p, false)
	}
	if err == nil || rep.Merged > 0 {
		p.options.Logger.Info("imported", "merged", rep.Merged, "of", rep.Total, "profiles", rep.Profiles,
			"overwritten", rep.Overwritten, "skipped", rep.Skipped, "examples", rep.Examples,
			"signed", rep.SignedBy != nil, "took", time.Since(began))
	}
	return rep, err
}

// Forget erases a profile: digits or masks, head, prior, state, examples, history and what is
// cached of it. It waits for a Learn of the profile to end. A warm bank and a head that were
// trained on its examples keep what they learned. With Options.MasterKey its key is overwritten
// before Forget returns, and no copy of it in the folder can be read any more. Without, pages that
// the file has freed hold old bytes until they are written again, or until Compact.
func (p *SDK) Forget(ctx context.Context, id string) error {
	leave, err := p.enterToWrite()
	if err != nil {
		return err
	}
	defer leave()
	if err := (Limits{ID: mostID}).checkID(id); err != nil { // what was stored under a higher limit can be erased
		return err
	}
	unlock, ok := p.ids.lock(id, ctx.Done())
	if !ok {
		return ctx.Err()
	}
	defer unlock()
	if err := p.dropGathered(); err != nil { // and once more below, of a training that gathers until then
		return err
	}
	snap, openErr := p.snapshot(id)
	if err := p.store.Delete(ctx, id); err != nil {
		return err
	}
	p.observer.forget(id)
	p.banker.forget(id)
	p.taught.drop(id)
	if openErr == nil {
		p.cache.drop(snap.key)
	}
	p.options.Logger.Info("forgot a profile")
	return p.dropGathered()
}

// Profiles lists the profiles whose id begins with prefix, in the order of their ids. A profile
// that cannot be read yields its error and as much as is known, and the listing goes on.
func (p *SDK) Profiles(prefix string) iter.Seq2[ProfileInfo, error] {
	return p.ProfilesWith(ProfilesOptions{Prefix: prefix})
}

// ProfilesWith is Profiles with options: those over one bank, those that share one head, that were
// given an example of one label, that have learned or have not yet. It reads the ids and the
// records of these alone; in a folder with a master key, all records. A bank or head that the
// folder does not have is ErrProfileNotFound.
func (p *SDK) ProfilesWith(o ProfilesOptions) iter.Seq2[ProfileInfo, error] {
	return func(yield func(ProfileInfo, error) bool) {
		leave, err := p.lifetime.enter()
		if err != nil {
			yield(ProfileInfo{}, err)
			return
		}
		defer leave()
		filters, err := o.Filters(p.store)
		if err != nil {
			yield(ProfileInfo{}, err)
			return
		}
		for rec, err := range p.store.Profiles(o.Prefix, filters...) {
			var info ProfileInfo
			if err == nil {
				info, err = p.info(rec)
			}
			if err != nil && rec != nil {
				err = fmt.Errorf("profile %q: %w", rec.ID, err)
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// Profile describes one profile.
func (p *SDK) Profile(id string) (ProfileInfo, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return ProfileInfo{}, err
	}
	defer leave()
	rec, err := p.store.Get(id)
	if err != nil {
		return ProfileInfo{}, err
	}
	return p.info(rec)
}

func (p *SDK) info(rec *store.Profile) (ProfileInfo, error) {
	info := ProfileInfo{ID: rec.ID, Revision: rec.Revision, Created: rec.Created,
		Updated: rec.Updated, Examples: int(rec.Examples), Before: rec.Before, After: rec.After,
		MaskBytes: rec.MaskBytes()}
	snap, err := p.open(rec)
	if err != nil {
		return info, err
	}
	person, err := p.store.Person(rec.ID)
	if err != nil {
		return info, err
	}
	info.Waiting, info.Private, info.Prequential = person.Waiting, person.Private, prequentialOf(person.Notes)
	info.Head, info.Labels = snap.kind(), slices.Clone(snap.head.Labels)
	switch {
	case rec.Mask != nil:
		info.Bank, info.N, info.K, info.Blocks = snap.bank.Digest().String(), rec.Mask.N, rec.Mask.K, rec.Mask.Blocks
	case snap.joint != nil:
		info.Bank, info.N, info.K, info.Rows = snap.joint.digest.String(), 2*rec.Codes[0].K, rec.Codes[0].K, 1
	case len(rec.Codes) > 0:
		info.Bank, info.N, info.K, info.Rows = p.axes.digest.String(), 2*rec.Codes[0].K, rec.Codes[0].K,
			len(rec.Codes[0].Labels)
	}
	info.Bytes, err = recordBytes(rec)
	return info, err
}

// Check reads the folder's file whole, and with deep the bank files, the cohorts, and what every
// profile is made of too. What is wrong is in the report, and the error is ErrCorrupt.
func (p *SDK) Check(ctx context.Context, deep bool) (CheckReport, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return CheckReport{}, err
	}
	defer leave()
	rep, err := p.store.Check(ctx, deep)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return rep, err
	}
	banks, bankErr := folder.CheckBanks(ctx, p.store, p.dir, deep)
	rep.Add(banks...)
	if deep && bankErr == nil {
		bankErr = p.checkProfiles(ctx, &rep)
	}
	if bankErr == nil && err == nil && rep.Found() > 0 {
		err = fmt.Errorf("%w: %d problems with banks or profiles", ErrCorrupt, rep.Found())
	}
	return rep, errors.Join(err, bankErr)
}

// checkProfiles opens every profile: the store knows neither heads nor affines. Those that it
// cannot read the store has named.
func (p *SDK) checkProfiles(ctx context.Context, rep *CheckReport) error {
	for rec, err := range p.store.Profiles("") {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if errors.Is(err, ErrCorrupt) {
				continue
			}
			return err
		}
		if err := p.checkProfile(rec); err != nil {
			rep.Add(fmt.Sprintf("profile %q: %v", rec.ID, err))
		}
	}
	return nil
}

func (p *SDK) checkProfile(rec *store.Profile) error {
	snap, err := p.open(rec)
	if err == nil {
		_, err = snap.affine()
	}
	return err
}
