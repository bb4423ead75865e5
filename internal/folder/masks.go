package folder

import (
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store"
)

// Masks gives a profile's rows to add, with the adapters that each selects, or the directions:
// those of its masks, then those of its digits, whose labels are its head's. Along joint axes there
// is one for all labels. sdk.PersonMask documents the fields.
func Masks(st *store.Store, rec *store.Profile, labels []string,
	add func(side string, block int, label string, adapters []int32)) error {
	if m := rec.Mask; m != nil {
		for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
			for block := range m.Blocks {
				add(side.String(), block, "", m.Indices(side, block, nil))
			}
		}
	}
	for _, c := range rec.Codes {
		joint, err := isJoint(st, c.Bank)
		if err != nil {
			return err
		}
		size := len(c.Rows) / max(1, len(c.Labels))
		for i, label := range c.Labels {
			row, err := bitmask.PairRow(c.Rows[i*size:(i+1)*size], c.K)
			if label == RankLabel && err == nil {
				add("order", 0, "", row.AppendIndices(nil))
				continue
			}
			if err == nil && int(label) >= len(labels) {
				err = fmt.Errorf("a row of label %d, the head has %d labels", label, len(labels))
			}
			if err != nil {
				return fmt.Errorf("profile %q: %w: %w", rec.ID, store.ErrCorrupt, err)
			}
			of := labels[label]
			if joint {
				of = ""
			}
			add("head", 0, of, row.AppendIndices(nil))
		}
	}
	return nil
}

// isJoint says whether a bank is joint axes.
func isJoint(st *store.Store, ref uint32) (bool, error) {
	info, err := st.Bank(ref)
	if err != nil {
		return false, fmt.Errorf("bank %d: %w", ref, err)
	}
	p, err := Properties(info)
	return err == nil && p.Origin == bank.JointAxes, nil // what is wrong with a bank is for Check to say
}
