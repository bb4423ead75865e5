//go:build torch && cgo

package torch

import (
	"fmt"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
	"github.com/xpeft/xpeft/model"
)

// group is rows whose adapters have one layout and can share a batch. Rows without an adapter are a
// group of their own.
type group struct {
	layout
	bare     bool
	rows     []int
	owner    []int // of every row of the call
	adapters []*model.Adapter
}

// groups checks a call and deals its rows, in the order in which layouts appear.
func (t *torch) groups(r engine.Rows, adapters []*model.Adapter) ([]*group, error) {
	if err := t.enc.Check(r.Texts); err != nil {
		return nil, err
	}
	if r.From < -1 || r.From >= t.enc.Blocks() {
		return nil, fmt.Errorf("torch: adapters from block %d of %d", r.From, t.enc.Blocks())
	}
	owner, err := r.Check(t.Name(), len(adapters), t.enc.Hidden())
	if err != nil {
		return nil, err
	}
	if owner == nil {
		owner = make([]int, len(r.Texts))
	}
	layouts := make([]layout, len(adapters))
	for i, a := range adapters {
		if a == nil {
			continue
		}
		var err error
		if layouts[i], err = layoutOf(a, t.enc.Blocks(), r.From, t.enc.Hidden()); err != nil {
			return nil, err
		}
	}
	var groups []*group
	at := map[layout]*group{}
	for row, o := range owner {
		var l layout // of bare rows
		if len(adapters) > 0 {
			l = layouts[o]
		}
		g := at[l]
		if g == nil {
			g = &group{layout: l, bare: l.blocks == 0, owner: owner, adapters: adapters}
			at[l], groups = g, append(groups, g)
		}
		g.rows = append(g.rows, row)
	}
	return groups, nil
}

// own are the adapters of some of the group's rows, each once, in the order of the rows, and which
// of them each row has.
func (g *group) own(rows []int) (ids, owner []int) {
	at := map[int]int{}
	for _, row := range rows {
		o := g.owner[row]
		if _, ok := at[o]; !ok {
			at[o], ids = len(ids), append(ids, o)
		}
		owner = append(owner, at[o])
	}
	return ids, owner
}

// adapter is that of some of the group's rows, on the device; nil for bare ones.
func (g *group) adapter(s *libtorch.Scope, rows []int) *adapter {
	if g.bare {
		return nil
	}
	ids, owner := g.own(rows)
	return newAdapter(s, g.layout, pick(g.adapters, ids), owner)
}
