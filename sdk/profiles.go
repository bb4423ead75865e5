//go:build cgo

package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

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

// CheckReport is what Check found.
type CheckReport = store.CheckReport

// Export writes a bundle of the named profiles, or of all: masks, affine, prior, bias and heads, compressed, checksummed, and bound to the model, the
// tokenizer, the bank and the heads. Examples and logits stay; see ExportWith.
func (p *SDK) Export(ctx context.Context, w io.Writer, ids ...string) (int, error) {
	return p.ExportWith(ctx, w, ExportOptions{IDs: ids})
}

// ExportWith is Export with options.
func (p *SDK) ExportWith(ctx context.Context, w io.Writer, o ExportOptions) (int, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	return folder.Export(ctx, p.store, p.dir, w, o)
}

// Import takes in a bundle: all of it, or, with an error, nothing. A bundle of another model, tokenizer, bank or head is a *MismatchError.
func (p *SDK) Import(ctx context.Context, r io.Reader, policy ImportPolicy) (ImportReport, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return ImportReport{}, err
	}
	defer leave()
	return folder.Import(ctx, p.store, p.dir, r, folder.ImportOptions{Policy: policy})
}

// Forget erases a profile: masks, head, prior, logits, examples, history and cached adapter. A warm bank keeps what it was trained on. Pages that the file
// has freed may hold old bytes until they are written again.
func (p *SDK) Forget(ctx context.Context, id string) error {
	leave, err := p.lifetime.enter()
	if err != nil {
		return err
	}
	defer leave()
	unlock, ok := p.ids.lock(id, ctx.Done())
	if !ok {
		return ctx.Err()
	}
	defer unlock()
	snap, openErr := p.snapshot(id)
	if err := p.store.Delete(ctx, id); err != nil {
		return err
	}
	if openErr == nil {
		p.cache.drop(snap.key)
	}
	return nil
}

// Profiles lists the profiles whose id begins with prefix, in the order of their ids.
func (p *SDK) Profiles(prefix string) iter.Seq2[ProfileInfo, error] {
	return func(yield func(ProfileInfo, error) bool) {
		leave, err := p.lifetime.enter()
		if err != nil {
			yield(ProfileInfo{}, err)
			return
		}
		defer leave()
		for rec, err := range p.store.Profiles(prefix) {
			var info ProfileInfo
			if err == nil {
				info, err = p.info(rec)
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
	snap, err := p.open(rec)
	if err != nil {
		return ProfileInfo{}, err
	}
	size, err := p.recordBytes(rec)
	return ProfileInfo{ID: rec.ID, Revision: rec.Revision, Bank: snap.bank.Digest().String(), Head: snap.kind(), Labels: snap.head.Labels,
		N: rec.Mask.N, K: rec.Mask.K, Blocks: rec.Mask.Blocks, Created: rec.Created, Updated: rec.Updated, Examples: int(rec.Examples),
		Before: rec.Before, After: rec.After, Bytes: size, MaskBytes: len(rec.Mask.Bytes())}, err
}

// Check reads the folder's file whole, and with deep the bank files and the index too. What is wrong is in the report, and the error is ErrCorrupt.
func (p *SDK) Check(ctx context.Context, deep bool) (CheckReport, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return CheckReport{}, err
	}
	defer leave()
	rep, err := p.store.Check(ctx, deep)
	problems, bankErr := folder.CheckBanks(ctx, p.store, p.dir, deep)
	rep.Problems = append(rep.Problems, problems...)
	if bankErr == nil && err == nil && len(problems) > 0 {
		err = fmt.Errorf("%w: %d problems with banks", ErrCorrupt, len(problems))
	}
	return rep, errors.Join(err, bankErr)
}

// Backup writes a consistent copy of xpeft.db while the SDK is in use. Warm banks are files beside it, which never change.
func (p *SDK) Backup(ctx context.Context, w io.Writer) (int64, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	return p.store.Backup(ctx, w)
}
