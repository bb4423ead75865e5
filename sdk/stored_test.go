package sdk

import (
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// given is what a record was made of.
func given(r store.Example) Example {
	e := stored(r).Example
	if r.Weight == 0 {
		e.Weight = 0
	}
	return e
}

// stored is what a profile was told, oldest first.
func (p *Folder) stored(id string) (out []Example, err error) {
	all, err := p.store.Examples(id)
	for _, e := range all {
		out = append(out, given(e))
	}
	return out, err
}

// heldOut says whether an example is kept back, in whatever profile.
func heldOut(e Example) bool {
	var texts folder.Texts
	var o store.Options
	texts.Into(&o)
	r := records([]Example{e})[0]
	r.Key = texts.Key(e.Text, e.Pair)
	return o.Held("", r, false)
}

// part are the examples of one side.
func part(es []Example, held bool) (out []Example) {
	for _, e := range es {
		if heldOut(e) == held {
			out = append(out, e)
		}
	}
	return out
}
