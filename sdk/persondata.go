package sdk

import (
	"context"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// PersonData is all that is stored of one person, to be handed out as JSON: what was told, what was
// learned from it, and what is said of both. Bytes are base64, as encoding/json writes them.
type PersonData = folder.PersonData

// PersonExample is one text that the profile was told of.
type PersonExample = folder.PersonExample

// PersonRevision is one revision, the one that is served first.
type PersonRevision = folder.PersonRevision

// PersonMask is one row: the adapters that it selects.
type PersonMask = folder.PersonMask

// PersonData collects it. What a warm bank or a head has learned of the person is not in it:
// nothing says whose it is.
func (p *SDK) PersonData(ctx context.Context, id string) (*PersonData, error) {
	leave, err := p.enterToRead(ctx, id)
	if err != nil {
		return nil, err
	}
	defer leave()
	d, err := folder.Person(p.store, id, p.headOf)
	if err != nil {
		return nil, err
	}
	d.Private, err = p.private(id) // by its prefix too
	return d, err
}

// headOf says which head a revision has.
func (p *SDK) headOf(rec *store.Profile) (kind string, labels []string, err error) {
	snap, err := p.open(rec)
	if err != nil {
		return "", nil, err
	}
	return string(snap.kind()), snap.head.Labels, nil
}
