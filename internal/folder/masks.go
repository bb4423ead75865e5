package folder

import (
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store"
)

// Mask is one row: the adapters that it selects, or the directions. Package sdk documents it.
type Mask struct {
	Side     string  `json:"side"`
	Block    int     `json:"block"`
	Label    string  `json:"label,omitempty"`
	Adapters []int32 `json:"adapters"`
}

// Masks are a profile's rows: those of its masks, then those of its digits, whose labels are its
// head's. Along joint axes there is one for all labels.
func Masks(st *store.Store, rec *store.Profile, labels []string) ([]Mask, error) {
	rows := []Mask{}
	if m := rec.Mask; m != nil {
		for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
			for block := range m.Blocks {
				rows = append(rows, Mask{Side: side.String(), Block: block,
					Adapters: m.Indices(side, block, nil)})
			}
		}
	}
	for _, c := range rec.Codes {
		joint, err := isJoint(st, c.Bank)
		if err != nil {
			return nil, err
		}
		size := len(c.Rows) / max(1, len(c.Labels))
		for i, label := range c.Labels {
			row, err := bitmask.PairRow(c.Rows[i*size:(i+1)*size], c.K)
			if label == RankLabel && err == nil {
				rows = append(rows, Mask{Side: "order", Adapters: row.AppendIndices(nil)})
				continue
			}
			if err == nil && int(label) >= len(labels) {
				err = fmt.Errorf("a row of label %d, the head has %d labels", label, len(labels))
			}
			if err != nil {
				return nil, fmt.Errorf("profile %q: %w: %w", rec.ID, store.ErrCorrupt, err)
			}
			mask := Mask{Side: "head", Label: labels[label], Adapters: row.AppendIndices(nil)}
			if joint {
				mask.Label = ""
			}
			rows = append(rows, mask)
		}
	}
	return rows, nil
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
