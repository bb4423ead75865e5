package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/sidefile"
)

// verifier reads a bundle to its end, checks all that can be known before the
// merge, and writes what is to be merged into the side file: banks and heads with
// the bundle's refs, profiles under their final ids, complete examples.
type verifier struct {
	s      *Store
	o      ImportOptions
	b      *bundleReader
	side   *sidefile.File
	report ImportReport
	kept   int // profiles in the side file

	unknown *BankInfo          // its file may be the next frame
	was     Profile            // the last profile, as it was in the bundle
	past    func(Example) bool // hindsight of it
	skip    bool               // and what belongs to it
	free    gap                // of the store's ids
	renamed map[string]bool    // names that Rename gave
}

// verify returns the side file, ready to be read. With an error, or a panic of a
// callback or the bundle's reader, it leaves none.
func (v *verifier) verify(ctx context.Context) (side *sidefile.File, err error) {
	before, err := v.s.Revision()
	if err != nil {
		return nil, err
	}
	if v.side, err = v.s.createSide(); err != nil {
		return nil, err
	}
	defer func() {
		if side == nil {
			err = errors.Join(err, v.side.Remove())
		}
	}()
	if err := v.readAll(ctx); err != nil {
		return nil, err
	}
	if err := errors.Join(v.side.Frame(frameEnd, nil), v.side.Flush()); err != nil {
		return nil, err
	}
	if err := v.lookAgain(ctx, before); err != nil {
		return nil, err
	}
	v.report.Total = v.report.Skipped + v.kept
	v.report.Merged = v.report.Skipped
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
	switch h, m := f.header, v.s.meta; f.kind {
	case frameHeader:
		if h.Encoder != m.Encoder {
			return &MismatchError{What: "encoder", Have: m.Encoder, Want: h.Encoder}
		}
		if h.Tokenizer != m.Tokenizer {
			return &MismatchError{What: "tokenizer", Have: m.Tokenizer, Want: h.Tokenizer}
		}
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
		return v.side.Frame(f.kind, f.payload)
	case frameProfile:
		return v.takeProfile(ctx, f)
	case frameExample:
		return v.takeExample(f.example)
	case frameState, framePerson:
		if !v.skip {
			return v.side.Frame(f.kind, f.payload)
		}
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
	return v.side.Frame(f.kind, f.payload)
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
	return v.side.Frame(frameProfile, record)
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
			v.past = hindsight(&v.was)
		}
		e.Known = v.past(e)
	}
	e.Key = v.s.opts.TextKey(e.Text, e.Pair)
	return v.side.Frame(frameExample, appendExample(nil, e))
}
