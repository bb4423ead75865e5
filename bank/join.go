//go:build cgo

package bank

import (
	"fmt"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// Join makes one adapter for a batch whose rows belong to different profiles: row i takes fs[owner[i]]. A nil entry is a row without
// a profile, which comes out exactly as from the bare encoder; where all are nil, so is the adapter. All entries must come from banks of
// one shape, else it is ErrInvalid. The products are batched: no loop over profiles runs over tokens. The rows' parts are copied together one block at a
// time, when the pass is there: they are still in a cache for the product, and no batch holds a second copy of its profiles' adapters.
func Join(s *torch.Scope, fs []*Folded, owner []int) (*model.Adapter, error) {
	first, err := sameShape(fs, owner)
	if err != nil || first == nil {
		return nil, err
	}
	if len(fs) == 1 {
		return first.Adapter(s), nil
	}
	p, a := first.props, first.props.NewAdapter()
	gather := func(part func(*Folded) *torch.Held) *torch.Gather {
		ts := make([]torch.Tensor, len(fs)) // an Up of zeros adds nothing: so none is right where there is no profile
		for i, f := range fs {
			if f != nil {
				ts[i] = part(f).Tensor
			}
		}
		return s.NewGather(ts, owner)
	}
	down := gather(func(f *Folded) *torch.Held { return f.down })
	up := gather(func(f *Folded) *torch.Held { return f.up })
	var biasA, biasB, norm *torch.Gather
	if p.Bias {
		biasA = gather(func(f *Folded) *torch.Held { return f.biasA })
		biasB = gather(func(f *Folded) *torch.Held { return f.biasB })
	}
	if p.NormB {
		norm = gather(func(f *Folded) *torch.Held { return f.norm })
	}
	a.Make = func(l int) model.BlockAdapter {
		at := int64(l)
		blk := model.BlockAdapter{Down: down.Rows(at), Up: up.Rows(at)} // [B,d,b], [B,b,d]
		if p.Bias {
			blk.DownBias, blk.UpBias = s.Unsqueeze(biasA.Rows(at), 1), s.Unsqueeze(biasB.Rows(at), 1)
		}
		if p.NormB {
			n := norm.Rows(at) // [B,2,b]
			blk.NormWeight, blk.NormBias = s.Narrow(n, 1, 0, 1), s.Narrow(n, 1, 1, 1)
		}
		return blk
	}
	return a, nil
}

// sameShape returns the first entry that is not nil; nil if all are.
func sameShape(fs []*Folded, owner []int) (first *Folded, err error) {
	for _, o := range owner {
		if o < 0 || o >= len(fs) {
			return nil, fmt.Errorf("%w: owner %d of %d", ErrInvalid, o, len(fs))
		}
	}
	for _, f := range fs {
		if f == nil {
			continue
		}
		if first == nil {
			first = f
		}
		p, q := first.props, f.props
		if p.Blocks != q.Blocks || p.Hidden != q.Hidden || p.Bottleneck != q.Bottleneck || p.Bias != q.Bias || p.NormB != q.NormB || p.Activation != q.Activation {
			return nil, fmt.Errorf("%w: adapters of two shapes in one batch", ErrInvalid)
		}
	}
	return first, nil
}
