package folder

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Filters are the store's of a listing: what f says, a bank by its digest, or the beginning of it,
// and a head by its name or digest; none if nothing is said. A bank or head that the folder does
// not have is store.ErrNotFound.
func Filters(st *store.Store, bank, head string, f store.Filter) ([]store.Filter, error) {
	f.Label = model.CleanLabel(f.Label)
	var err error
	if bank != "" {
		if f.Bank, err = bankRef(st, bank); err != nil {
			return nil, err
		}
	}
	if head != "" {
		if f.Head, err = headRef(st, head); err != nil {
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
