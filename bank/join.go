//go:build cgo

package bank

import (
	"fmt"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// Join makes one adapter for a batch whose rows belong to different profiles: row i takes fs[owner[i]]. A nil entry is a row without
// a profile, which comes out exactly as from the bare encoder; where all are nil, so is the adapter. All entries must come from banks of
// one shape, else it is ErrInvalid. The products are batched: no loop over profiles runs over tokens.
func Join(s *torch.Scope, fs []*Folded, owner []int) (*model.Adapter, error) {
	first, err := sameShape(fs, owner)
	if err != nil || first == nil {
		return nil, err
	}
	if len(fs) == 1 {
		return first.Adapter(s), nil
	}
	j := joiner{scope: s, fs: fs, first: first}
	for i, o := range owner {
		j.owner = append(j.owner, int64(o))
		j.identity = len(fs) == len(owner) && (i == 0 || j.identity) && o == i
	}
	p := first.props
	down := j.stack(func(f *Folded) *torch.Held { return f.down }) // [P,L,d,b]
	up := j.stack(func(f *Folded) *torch.Held { return f.up })     // [P,L,b,d]
	var biasA, biasB, normB torch.Tensor
	if p.Bias {
		biasA = j.stack(func(f *Folded) *torch.Held { return f.biasA })
		biasB = j.stack(func(f *Folded) *torch.Held { return f.biasB })
	}
	if p.NormB {
		normB = j.stack(func(f *Folded) *torch.Held { return f.norm }) // [P,L,2,b]
	}
	a := p.NewAdapter()
	for l := range int64(p.Blocks) {
		blk := model.BlockAdapter{Down: j.rows(down, l), Up: j.rows(up, l)}
		if p.Bias {
			blk.DownBias, blk.UpBias = s.Unsqueeze(j.rows(biasA, l), 1), s.Unsqueeze(j.rows(biasB, l), 1)
		}
		if p.NormB {
			n := j.rows(normB, l) // [B,2,b]
			blk.NormWeight, blk.NormBias = s.Narrow(n, 1, 0, 1), s.Narrow(n, 1, 1, 1)
		}
		a.Blocks[l] = blk
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

type joiner struct {
	scope    *torch.Scope
	fs       []*Folded
	first    *Folded
	owner    []int64
	identity bool // row i is profile i: nothing to gather
	index    torch.Tensor
}

// stack is one part of every profile's adapter, [P,…]; zeros where there is no profile, and an Up of zeros adds nothing.
func (j *joiner) stack(part func(*Folded) *torch.Held) torch.Tensor {
	s := j.scope
	var zeros torch.Tensor
	ts := make([]torch.Tensor, len(j.fs))
	for i, f := range j.fs {
		switch {
		case f != nil:
			ts[i] = part(f).Tensor
		default:
			if zeros == (torch.Tensor{}) {
				zeros = s.Zeros(torch.Float32, s.Shape(part(j.first).Tensor)...)
			}
			ts[i] = zeros
		}
	}
	return s.Stack(ts)
}

// rows is block l of a stack, one entry a row of the batch.
func (j *joiner) rows(stack torch.Tensor, l int64) torch.Tensor {
	s := j.scope
	x := s.Select(stack, 1, l)
	if j.identity {
		return x
	}
	if j.index == (torch.Tensor{}) {
		j.index = s.Int64s(j.owner, int64(len(j.owner)))
	}
	return s.IndexSelect(x, 0, j.index)
}
