package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/xpeft/xpeft/store/internal/format"
)

// verifier reads a bundle to its end, checks all that can be known before the
// merge, and writes what is to be merged into the side file: banks and heads with
// the bundle's refs, profiles under their final ids, complete examples.
type verifier struct {
	s      *Store
	o      ImportOptions
	b      *bundleReader
	side   *sideFile
	report ImportReport
	kept   int // profiles in the side file

	unknown *BankInfo // its file may be the next frame
	was     Profile   // the last profile, as it was in the bundle
	past    *hindsight
	skip    bool            // and what belongs to it
	free    gap             // of the store's ids
	renamed map[string]bool // names that Rename gave
}

// verify returns the side file, ready to be read. With an error, or a panic of a
// callback or the bundle's reader, it leaves none.
func (v *verifier) verify(ctx context.Context) (side *sideFile, err error) {
	if err := v.readHeader(); err != nil {
		return nil, err
	}
	before, err := v.s.Revision()
	if err != nil {
		return nil, err
	}
	if v.side, err = v.s.createSide(); err != nil {
		return nil, err
	}
	verified := false
	defer func() {
		if !verified {
			err = errors.Join(err, v.side.remove())
		}
	}()
	if err := v.readAll(ctx); err != nil {
		return nil, err
	}
	if err := errors.Join(v.side.frame(frameEnd, nil), v.side.flush()); err != nil {
		return nil, err
	}
	if err := v.lookAgain(ctx, before); err != nil {
		return nil, err
	}
	v.report.Total = v.report.Skipped + v.kept
	v.report.Merged = v.report.Skipped
	verified = true
	return v.side, nil
}

func (v *verifier) readAll(ctx context.Context) error {
	for {
		f, err := v.b.next()
		if v.unknown != nil && (err != nil || f.kind != frameBankFile) {
			if err := v.allowBank(nil); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return ctx.Err()
		}
		if err == nil {
			err = v.take(ctx, f)
		}
		if err != nil {
			return err
		}
	}
}

func (v *verifier) take(ctx context.Context, f frame) error {
	switch f.kind {
	case frameBank:
		return v.takeBank(f)
	case frameBankFile:
		return v.b.File(f.fileSize, func(file io.Reader) error {
			if v.unknown == nil {
				return nil
			}
			return v.allowBank(file)
		})
	case frameHead:
		if err := v.checkHead(f.payload[len(Digest{}):]); err != nil {
			return err
		}
		return v.side.frame(f.kind, f.payload)
	case frameProfile:
		return v.takeProfile(ctx, f)
	case frameExample:
		return v.takeExample(f.example)
	case frameState, framePerson:
		if !v.skip {
			return v.side.frame(f.kind, f.payload)
		}
	}
	return nil
}

func (v *verifier) readHeader() error {
	f, err := v.b.next()
	if err != nil {
		return err
	}
	h, m := f.header, v.s.meta
	if h.encoder != m.Encoder {
		return &MismatchError{What: "encoder", Have: m.Encoder, Want: h.encoder}
	}
	if h.tokenizer != m.Tokenizer {
		return &MismatchError{What: "tokenizer", Have: m.Tokenizer, Want: h.tokenizer}
	}
	return nil
}

// takeBank compares a bank with the store's, or leaves it as unknown.
func (v *verifier) takeBank(f frame) error {
	info := f.bank
	have, err := v.s.BankByDigest(info.Digest)
	switch {
	case errors.Is(err, ErrNotFound):
		v.unknown = &info
	case err != nil:
		return err
	case have.N != info.N || have.Blocks != info.Blocks:
		return corrupt("bank %s has N=%d L=%d, the store's has N=%d L=%d",
			info.Digest.Short(), info.N, info.Blocks, have.N, have.Blocks)
	}
	return v.side.frame(f.kind, f.payload)
}

// allowBank asks the caller whether the unknown bank may be taken in.
func (v *verifier) allowBank(file io.Reader) error {
	info := *v.unknown
	v.unknown = nil
	var err error
	switch {
	case file != nil && v.o.OnBank != nil:
		err = v.o.OnBank(info, file)
	case v.o.AllowBank != nil:
		err = v.o.AllowBank(info)
	default:
		return &MismatchError{What: "bank", Want: info.Digest}
	}
	if err != nil {
		return fmt.Errorf("bank %s: %w", info.Digest.Short(), err)
	}
	return nil
}

func (v *verifier) checkHead(data []byte) error {
	if len(data) > v.o.MaxHead {
		return fmt.Errorf("%w: a head of %d bytes, at most %d", ErrLimit, len(data), v.o.MaxHead)
	}
	return nil
}

func (v *verifier) takeProfile(ctx context.Context, f frame) error {
	p, record := f.profile, f.payload
	if err := ctx.Err(); err != nil {
		return err
	}
	if v.report.Skipped+v.kept == v.o.MaxProfiles {
		return fmt.Errorf("%w: a bundle of more than %d profiles", ErrLimit, v.o.MaxProfiles)
	}
	if err := v.checkHead(p.OwnHead); err != nil {
		return fmt.Errorf("profile %q: %w", p.ID, err)
	}
	v.was, v.past = *p, nil
	p.ID = v.o.Prefix + p.ID
	if err := format.CheckID(p.ID, v.s.opts.MaxID); err != nil {
		return err
	}
	keep, err := v.admit(p)
	if err != nil {
		return fmt.Errorf("profile %q: %w", p.ID, err)
	}
	if v.skip = !keep; v.skip {
		v.report.Skipped++
		return nil
	}
	v.kept++
	if p.Revision = max(p.Revision, 1); p.Revision != v.was.Revision || p.ID != v.was.ID {
		if record, err = EncodeProfile(p); err != nil {
			return err
		}
	}
	return v.side.frame(frameProfile, record)
}

// takeExample completes an example under rules of ours: what a bundle says of a
// text's key is not believed.
func (v *verifier) takeExample(k kept) error {
	if v.skip {
		return nil
	}
	if err := v.s.checkExamples([]Example{k.Example}); err != nil {
		return fmt.Errorf("profile %q: %w", v.was.ID, err)
	}
	e := v.s.opts.completed(v.was.ID, k)
	if k.bare {
		if v.past == nil {
			v.past = newHindsight(&v.was)
		}
		e.Known = v.past.seen(e)
	}
	e.Key = v.s.opts.TextKey(e.Text, e.Pair)
	return v.side.frame(frameExample, appendExample(nil, e))
}

// admit applies the policy to an id that the store has, as far as it can be
// known before the merge, and returns whether to keep the profile.
func (v *verifier) admit(p *Profile) (bool, error) {
	if has, err := v.has(p.ID); err != nil || !has {
		return true, err
	}
	switch v.o.Policy {
	case Skip:
		return false, nil
	case Overwrite: // the merge has to read its revision
		_, err := v.s.Get(p.ID)
		if errors.Is(err, ErrNotFound) { // deleted meanwhile
			err = nil
		}
		return true, err
	case Rename:
		return true, v.rename(p)
	}
	return false, ErrExists
}

// has says whether an id is the store's, or was given to another profile.
func (v *verifier) has(id string) (has bool, err error) {
	t := txn{keys: v.s.keys}
	key := t.idKey([]byte(id))
	if v.renamed[id] || v.free.has(key) {
		return v.renamed[id], nil
	}
	return viewed(v.s, func(t *txn) (bool, error) { return v.free.seek(t.ids, key) != nil, nil })
}

// rename asks Rename for another id. Without Rename it is found by the merge,
// and this only says whether it would be allowed.
func (v *verifier) rename(p *Profile) error {
	if v.o.Rename == nil {
		return v.s.view(func(t *txn) error {
			_, err := t.freeID(p.ID, v.s.opts.MaxID)
			return err
		})
	}
	name := v.o.Rename(p.ID)
	taken, err := viewed(v.s, func(t *txn) (bool, error) {
		return v.renamed[name] || t.ids.Get(t.idKey([]byte(name))) != nil, nil
	})
	if err == nil && taken {
		err = fmt.Errorf("%w: renamed to %q", ErrExists, name)
	}
	if err = cmp.Or(err, format.CheckID(name, v.s.opts.MaxID)); err != nil {
		return err
	}
	if v.renamed == nil {
		v.renamed, v.report.Renamed = map[string]bool{}, map[string]string{}
	}
	v.renamed[name] = true
	v.report.Renamed[p.ID] = name
	p.ID = name
	return nil
}

// lookAgain goes through the side file once more if an id may be there that was
// not when it was written: under Fail one that another writer has put since the
// revision before, and a name that Rename gave and the bundle has too. It leaves the
// file ready to be read.
func (v *verifier) lookAgain(ctx context.Context, before uint64) error {
	now, err := v.s.Revision()
	if err == nil {
		err = v.side.rewind()
	}
	if err != nil || (v.o.Policy != Fail || now == before) && len(v.renamed) == 0 {
		return err
	}
	v.free = gap{}
	seen := map[string]bool{}
	for kind := byte(0); kind != frameEnd; {
		var record []byte
		if kind, record, err = v.side.next(); err != nil {
			return err
		}
		if kind != frameProfile {
			continue
		}
		refs, err := format.ReadRefs(record)
		if err != nil {
			return err
		}
		id := string(refs.ID)
		if v.renamed[id] {
			if seen[id] {
				return fmt.Errorf("%w: renamed to %q, which the bundle has too", ErrExists, id)
			}
			seen[id] = true
		}
		if v.o.Policy == Fail {
			if _, err := v.admit(&Profile{ID: id}); err != nil {
				return errors.Join(ctx.Err(), fmt.Errorf("profile %q: %w", id, err))
			}
		}
	}
	return v.side.rewind()
}

// gap is a range of keys that a bucket of ids was seen not to have. The ids of a
// bundle ascend: most of them are asked for within one.
type gap struct {
	known    bool
	from, to []byte // excluding both; to nil: no key comes after
}

// has says whether a key is in the gap.
func (g *gap) has(key []byte) bool {
	return g.known && bytes.Compare(key, g.from) > 0 && (g.to == nil || bytes.Compare(key, g.to) < 0)
}

// seek returns the value of a key, a view, or nil and makes the gap around it.
func (g *gap) seek(ids readBucket, key []byte) []byte {
	k, v := ids.Cursor().Seek(key)
	if bytes.Equal(k, key) {
		return v
	}
	*g = gap{known: true, from: bytes.Clone(key), to: bytes.Clone(k)}
	return nil
}
