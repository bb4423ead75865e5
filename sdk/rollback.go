package sdk

import (
	"cmp"
	"context"
	"fmt"

	"github.com/xpeft/xpeft/store"
)

// History lists the earlier revisions of a profile that are kept, newest first; the store keeps the
// last few.
func (p *Folder) History(ctx context.Context, id string) ([]ProfileInfo, error) {
	leave, err := p.enterToRead(ctx, id)
	if err != nil {
		return nil, err
	}
	defer leave()
	recs, err := p.store.History(id)
	if err != nil {
		return nil, err
	}
	out := make([]ProfileInfo, len(recs))
	for i, rec := range recs {
		if out[i], err = p.info(rec); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// RollbackOptions say which revision to go back to. Nil, and every zero field, means the default.
type RollbackOptions struct {
	Revision uint64 // one of History; default: the one before the current
}

// Rollback serves an earlier revision of a profile again, under a new number, which it returns.
// Examples stay, and the next Learn learns from them again. ErrRevisionNotFound if the revision is
// not kept. It waits for a Learn of the same profile.
func (p *Folder) Rollback(ctx context.Context, id string, o *RollbackOptions) (now uint64, err error) {
	leave, err := p.enterToWrite(p.options.Limits.checkID(id))
	if err != nil {
		return 0, err
	}
	defer leave()
	unlock, ok := p.ids.lock(id, ctx.Done())
	if !ok {
		return 0, ctx.Err()
	}
	defer unlock()
	old, err := p.snapshot(id)
	if err != nil {
		return 0, err
	}
	o = cmp.Or(o, &RollbackOptions{})
	rec, err := p.earlier(id, o.Revision)
	if err != nil {
		return 0, err
	}
	if _, err := p.open(rec); err != nil { // what cannot be served is not gone back to
		return 0, err
	}
	rec.Created = old.record.Created
	now, err = p.store.Put(ctx, rec, store.Write{IfRevision: &old.revision, DropState: true})
	if err != nil {
		return 0, err
	}
	p.cache.drop(old.key)
	p.options.Logger.Info("rolled back", "from", old.revision, "to", rec.Revision, "revision", now)
	return now, nil
}

// earlier finds a kept revision; 0 means the newest of them.
func (p *Folder) earlier(id string, revision uint64) (*store.Profile, error) {
	recs, err := p.store.History(id)
	if err != nil {
		return nil, err
	}
	for _, rec := range recs {
		if revision == 0 || rec.Revision == revision {
			return rec, nil
		}
	}
	return nil, fmt.Errorf("%w: %d of the %d that are kept", ErrRevisionNotFound, revision, len(recs))
}
