package sdk

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// ImportReport says what Import did.
type ImportReport struct {
	Total int `json:"total"` // profiles of the bundle
	// Merged are those of them that are done with; the rest waits for the next Import or Open.
	Merged      int `json:"merged"`
	Profiles    int `json:"profiles"`    // now in the folder, with those below but Skipped
	Skipped     int `json:"skipped"`     // under the policy Skip, or another writer's were kept
	Overwritten int `json:"overwritten"` // under the policy Overwrite
	Examples    int `json:"examples"`    // stored with them
	Banks       int `json:"banks"`       // new in the folder
	Heads       int `json:"heads"`       // new in the folder
	// Renamed is the folder's id of each of the bundle's, prefix included, that was taken.
	Renamed  map[string]string `json:"renamed"`
	SignedBy ed25519.PublicKey `json:"signed_by"` // whose signature the bundle has; nil: none
}

// ProfilesOptions say which profiles are listed: those of which all that is set is true. Nil, and
// every zero field, means the default.
type ProfilesOptions struct {
	Prefix string // their ids begin with it
	After  string // their ids are behind it: the last one of the page before
	Bank   string // they are over this bank: its digest, or the beginning of it
	Head   string // they share this head: its name, its digest, or the beginning of it
	Label  string // they were given an example of it: the prior counts one, or the own head does

	Learned  bool // they have learned from examples
	Observed bool // they were observed, and have not learned yet
}

// CheckOptions say how much Check reads. Nil, and every zero field, means the default.
type CheckOptions struct {
	Deep bool // the bank files whole, the cohorts, and what every profile is made of
}

// CheckReport is what Check found.
type CheckReport struct {
	Profiles  int `json:"profiles"`  // that ids lead to
	Revisions int `json:"revisions"` // earlier ones
	States    int `json:"states"`
	Examples  int `json:"examples"`
	Banks     int `json:"banks"`
	Heads     int `json:"heads"`
	// Cohorts are the sets of profiles that were compared with the records, if CheckOptions.Deep;
	// an encrypted folder has none.
	Cohorts int `json:"cohorts"`
	// Summed says that the keys were compared with the file's sums of them. False is a file of an
	// older version, opened read-only, that has none.
	Summed bool `json:"summed"`
	// TornMeta says that one of the two meta pages is not whole. A crash in the middle of a commit
	// leaves that, and nothing that was acknowledged is lost; a flipped bit leaves it too, and then
	// the last transaction may be.
	TornMeta bool `json:"torn_meta"`
	// Problems say what is wrong and where; none: the file is sound. They are the first 1,000, and
	// More is how many there are beside them.
	Problems []string `json:"problems"`
	More     int      `json:"more"`
}

// Export writes a bundle of the profiles that the options name, or of all, and returns their
// number: digits or masks, prior, bias and heads, compressed, checksummed, and bound to the model,
// the tokenizer, the bank and the heads. Examples and state stay unless the options ask for them.
func (p *Folder) Export(ctx context.Context, w io.Writer, o *ExportOptions) (int, error) {
	o = cmp.Or(o, &ExportOptions{})
	leave, err := p.lifetime.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	began := time.Now()
	ctx, end := p.options.span(ctx, "export")
	n, err := folder.Export(ctx, p.store, p.dir, w, folder.ExportOptions(*o))
	if end(err); err == nil {
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
// on with the folder's own bank and head. ImportOptions.Trust, RequireSigned and Identities are for
// bundles that came through strangers' hands: what is refused by its signature is ErrSignature,
// what no identity opens is ErrEncrypted, and nothing of either is taken in.
func (p *Folder) Import(ctx context.Context, r io.Reader, o *ImportOptions) (ImportReport, error) {
	leave, err := p.enterToWrite()
	if err != nil {
		return ImportReport{}, err
	}
	defer leave()
	began := time.Now()
	ctx, end := p.options.span(ctx, "import")
	rep, err := folder.Import(ctx, p.store, p.dir, r, o.within(p.options.Limits))
	if errors.Is(err, ErrLimit) {
		err = fmt.Errorf("%w (Options.Limits)", err)
	}
	end(err)
	p.texts.clear()       // banks may have come
	if rep.Examples > 0 { // some may be due
		p.observer.start(p, false)
	}
	if err == nil || rep.Merged > 0 {
		p.options.Logger.Info("imported", "merged", rep.Merged, "of", rep.Total, "profiles", rep.Profiles,
			"overwritten", rep.Overwritten, "skipped", rep.Skipped, "examples", rep.Examples,
			"signed", rep.SignedBy != nil, "took", time.Since(began))
	}
	return ImportReport(rep), err
}

// Forget erases a profile: digits or masks, head, prior, state, examples, history and what is
// cached of it. A Learn of the profile that is under way or waits ends with ErrConflict, even if
// ctx is done before that, and Forget waits for its end; one that trains masks together with other
// profiles' goes on until these have learned. A warm bank and a head that were trained on its
// examples keep what they learned. With Options.MasterKey its key is overwritten before Forget
// returns, and no copy of it in the folder can be read any more. Without, pages that the file has
// freed hold old bytes until they are written again, or until Compact.
func (p *Folder) Forget(ctx context.Context, id string) error {
	leave, err := p.enterToWrite(Limits{ID: mostID}.checkID(id)) // what was stored under a higher limit can be erased
	if err != nil {
		return err
	}
	defer leave()
	p.ids.interrupt(id)
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

// Profiles lists the profiles that the options choose, or all, in the order of their ids: those
// over one bank, those that share one head, that were given an example of one label, that have
// learned or have not yet. It reads the ids and the records of these alone; in a folder with a
// master key, all records. A profile that cannot be read yields its error and as much as is known,
// and the listing goes on. A bank or head that the folder does not have is ErrProfileNotFound.
func (p *Folder) Profiles(ctx context.Context, o *ProfilesOptions) iter.Seq2[ProfileInfo, error] {
	o = cmp.Or(o, &ProfilesOptions{})
	return func(yield func(ProfileInfo, error) bool) {
		leave, err := p.enter(ctx)
		if err != nil {
			yield(ProfileInfo{}, err)
			return
		}
		defer leave()
		filters, err := folder.Filters(p.store, o.Bank, o.Head,
			store.Filter{Label: o.Label, Learned: o.Learned, Observed: o.Observed})
		if err != nil {
			yield(ProfileInfo{}, err)
			return
		}
		for rec, err := range p.store.Profiles(o.Prefix, filters...) {
			if ctx.Err() != nil {
				yield(ProfileInfo{}, ctx.Err())
				return
			}
			if rec != nil && rec.ID <= o.After {
				continue
			}
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
func (p *Folder) Profile(ctx context.Context, id string) (ProfileInfo, error) {
	leave, err := p.enterToRead(ctx, id)
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

func (p *Folder) info(rec *store.Profile) (ProfileInfo, error) {
	info := ProfileInfo{ID: rec.ID, Revision: rec.Revision, Created: rec.Created,
		Updated: rec.Updated, Examples: int(rec.Examples), Before: folder.Measured(rec.Before),
		After: folder.Measured(rec.After), MaskBytes: rec.MaskBytes()}
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
		info.Bank, info.N, info.K, info.Rows = snap.joint.digest.String(), 2*snap.codes[0].K, snap.codes[0].K, 1
	case len(snap.codes) > 0:
		info.Bank, info.N, info.K, info.Rows = p.axes.digest.String(), 2*snap.codes[0].K, snap.codes[0].K,
			len(snap.codes[0].Labels)
	}
	info.Bytes, err = recordBytes(rec)
	return info, err
}

// Check reads the folder's file whole, and what CheckOptions say. What is wrong is in the report,
// and the error is ErrCorrupt.
func (p *Folder) Check(ctx context.Context, o *CheckOptions) (CheckReport, error) {
	deep := o != nil && o.Deep
	leave, err := p.lifetime.enter()
	if err != nil {
		return CheckReport{}, err
	}
	defer leave()
	rep, err := p.store.Check(ctx, deep)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return CheckReport(rep), err
	}
	banks, bankErr := folder.CheckBanks(ctx, p.store, p.dir, deep)
	rep.Add(banks...)
	if deep && bankErr == nil {
		bankErr = p.checkProfiles(ctx, &rep)
	}
	if bankErr == nil && err == nil && rep.Found() > 0 {
		err = fmt.Errorf("%w: %d problems with banks or profiles", ErrCorrupt, rep.Found())
	}
	return CheckReport(rep), errors.Join(err, bankErr)
}

// checkProfiles opens every profile: the store knows neither heads nor affines. Those that it
// cannot read the store has named.
func (p *Folder) checkProfiles(ctx context.Context, rep *store.CheckReport) error {
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
		snap, err := p.open(rec)
		if err == nil {
			_, err = snap.affine()
		}
		if err != nil {
			rep.Add(fmt.Sprintf("profile %q: %v", rec.ID, err))
		}
	}
	return nil
}
