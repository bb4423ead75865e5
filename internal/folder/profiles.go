package folder

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// ProfilesOptions say which profiles are listed: those of which all that is set is true.
type ProfilesOptions struct {
	Prefix string // their ids begin with it
	After  string // their ids are behind it: the last one of the page before
	Bank   string // they are over this bank: its digest, or the beginning of it
	Head   string // they share this head: its name, its digest, or the beginning of it
	Label  string // they were given an example of it: the prior counts one, or the own head does

	Learned  bool // they have learned from examples
	Observed bool // they were observed, and have not learned yet
}

// Filters are the store's; none if nothing is set but the prefix. A bank or head that the folder
// does not have is store.ErrNotFound.
func (o ProfilesOptions) Filters(st *store.Store) ([]store.Filter, error) {
	f := store.Filter{Label: model.CleanLabel(o.Label), Learned: o.Learned, Observed: o.Observed}
	var err error
	if o.Bank != "" {
		if f.Bank, err = bankRef(st, o.Bank); err != nil {
			return nil, err
		}
	}
	if o.Head != "" {
		if f.Head, err = headRef(st, o.Head); err != nil {
			return nil, err
		}
	}
	if f == (store.Filter{}) {
		return nil, nil
	}
	return []store.Filter{f}, nil
}

func bankRef(st *store.Store, digest string) (uint32, error) {
	banks, err := st.Banks()
	if err != nil {
		return 0, err
	}
	var refs []uint32
	for _, info := range banks {
		if strings.HasPrefix(info.Digest.String(), digest) {
			refs = append(refs, info.Ref)
		}
	}
	return onlyRef(refs, "bank", digest)
}

func headRef(st *store.Store, name string) (uint32, error) {
	heads, err := st.Heads()
	if err != nil {
		return 0, err
	}
	var refs []uint32
	for _, info := range heads {
		if slices.Contains(info.Names, name) {
			return info.Ref, nil
		}
		if strings.HasPrefix(info.Digest.String(), name) {
			refs = append(refs, info.Ref)
		}
	}
	return onlyRef(refs, "shared head", name)
}

func onlyRef(refs []uint32, what, digest string) (uint32, error) {
	switch len(refs) {
	case 1:
		return refs[0], nil
	case 0:
		return 0, fmt.Errorf("%w: a %s %q", store.ErrNotFound, what, digest)
	}
	return 0, fmt.Errorf("%d %ss have digests that begin with %q: name more of it", len(refs), what, digest)
}
