package sdk

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/xpeft/xpeft/store"
)

// Rebase moves a profile to what new profiles get, digits along the folder's axes or masks over the
// default bank, and, if it shares a head, to the newest shared head: it is learned anew from its
// stored examples and measured beside what serves it now. It is decided as for Learn; a profile
// that stays is served from its old bank and head, which are kept. A profile that is there already
// is left alone, with a Report that says so. ErrExample if none of its examples are stored.
func (p *Folder) Rebase(ctx context.Context, id string) (*Report, error) {
	leave, err := p.enterToWrite(p.options.Limits.checkID(id))
	if err != nil {
		return nil, err
	}
	defer leave()
	moved, err := p.moved(id)
	if err != nil {
		return nil, err
	}
	if moved {
		return &Report{Profile: id, Reason: "is on the default bank and head"}, nil
	}
	opts, err := (*LearnOptions)(nil).withDefaults()
	if err != nil {
		return nil, err
	}
	opts.move = true
	return p.teachOne(ctx, id, opts)
}

// RebaseAll is Rebase of every profile that is not there yet, one after another in the order of a
// hash of their ids. A profile that cannot move yields its error, and the next one has its turn; so
// may the loop be ended at any time and begun again: those that had their turn are an even part of
// all, and not the first tenant's.
func (p *Folder) RebaseAll(ctx context.Context) iter.Seq2[*Report, error] {
	return func(yield func(*Report, error) bool) {
		leave, err := p.enterToWrite()
		if err != nil {
			yield(nil, err)
			return
		}
		defer leave()
		elsewhere, err := p.elsewhere()
		if err != nil {
			yield(nil, err)
			return
		}
		if len(elsewhere) == 0 {
			return
		}
		for rec, err := range p.store.Shuffled(elsewhere...) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				if !yield(nil, err) || ctx.Err() != nil {
					return
				}
				continue
			}
			if moved, err := p.moved(rec.ID); err == nil && moved {
				continue
			}
			rep, err := p.Rebase(ctx, rec.ID)
			if err != nil {
				err = fmt.Errorf("profile %q: %w", rec.ID, err)
			}
			if !yield(rep, err) {
				return
			}
		}
	}
}

// elsewhere are the profiles over another bank than the default one, and those that share another
// head. Where damage hides a bank or head, it is all profiles.
func (p *Folder) elsewhere() (of []store.Filter, err error) {
	_, bank, head, err := p.newcomers()
	if err != nil {
		return nil, err
	}
	banks, err := p.store.Banks()
	heads, headsErr := p.store.Heads()
	switch err = errors.Join(err, headsErr); {
	case errors.Is(err, ErrCorrupt):
		return []store.Filter{{}}, nil
	case err != nil:
		return nil, err
	}
	for _, info := range banks {
		if info.Ref != bank {
			of = append(of, store.Filter{Bank: info.Ref})
		}
	}
	for _, info := range heads {
		if info.Ref != head {
			of = append(of, store.Filter{Head: info.Ref})
		}
	}
	return of, nil
}

// moved says whether a profile is on the default bank and, if it shares one, on the default head.
func (p *Folder) moved(id string) (bool, error) {
	rec, err := p.store.Get(id)
	if err != nil {
		return false, err
	}
	digits, bank, head, err := p.newcomers()
	if err != nil {
		return false, err
	}
	if rec.Head == 0 {
		h, err := p.decodeHead(rec.OwnHead)
		if err != nil {
			return false, err
		}
		bank, _, err = p.newcomersBank()
		return rec.Bank == bank && h.Hidden == p.width(), err
	}
	if digits {
		return rec.Mask == nil && rec.Head == head, nil
	}
	return (rec.Mask == nil || rec.Bank == bank) && rec.Head == head, nil
}

// newcomers is what new profiles get: digits or masks, the bank of either, and the head that they
// share.
func (p *Folder) newcomers() (digits bool, bank, head uint32, err error) {
	if digits, err = p.newcomersDigits(); err != nil {
		return digits, 0, 0, err
	}
	if bank, _, err = p.newcomersBank(); digits {
		bank = p.axes.ref
	}
	if err == nil {
		_, head, err = p.shared()
	}
	return digits, bank, head, err
}
