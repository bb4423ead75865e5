package eval

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// features are φ of all texts, by the axes of a folder, and its shared head over φ.
type features struct {
	axes  *axes.Axes
	head  *model.Head
	texts []*texts  // of each person
	phi   []float32 // [texts that differ, D]
	at    [][]int   // of each person's texts, the row of phi
}

// featuresHead names the shared head over φ.
const featuresHead = "features"

// readFeatures embeds each text once.
func (w *aloneWorld) readFeatures(ctx context.Context, d *Data) (*features, error) {
	f := &features{}
	if err := w.home.read(func(st *store.Store) error { return f.read(w.home.dir, st) }); err != nil {
		return nil, err
	}
	class, rows := map[string]int{}, map[[2]string]int{}
	for i, l := range d.Labels {
		class[l] = i
	}
	var distinct []model.Encoding
	for i, p := range d.People {
		t := w.person(d, i, class)
		at := make([]int, len(p.Examples))
		for j, e := range p.Examples {
			key := [2]string{e.Text, e.Pair}
			row, ok := rows[key]
			if !ok {
				row, rows[key] = len(distinct), len(distinct)
				distinct = append(distinct, t.examples[j].Text)
			}
			at[j] = row
		}
		f.texts, f.at = append(f.texts, t), append(f.at, at)
	}
	states, err := w.states(ctx, distinct, f.axes.Taps)
	f.phi = f.axes.Phi(nil, states)
	return f, err
}

// read finds the folder's axes and its head over them.
func (f *features) read(dir string, st *store.Store) error {
	banks, err := st.Banks()
	if err != nil {
		return err
	}
	for _, info := range banks {
		p, err := folder.Properties(info)
		if err != nil {
			return err
		}
		if p.Origin == bank.HeadAxes {
			if f.axes, err = folder.OpenAxes(dir, info); err != nil {
				return err
			}
		}
	}
	if f.axes == nil {
		return fmt.Errorf("%w: the folder has no axes", ErrData)
	}
	ref, err := st.HeadByName(featuresHead)
	if err != nil {
		return err
	}
	data, err := st.Head(ref)
	if err != nil {
		return err
	}
	f.head = new(model.Head)
	return f.head.UnmarshalBinary(data)
}

// states are the mean states of texts after some blocks, [n,T·d].
func (m *Machine) states(ctx context.Context, texts []model.Encoding, taps []int) ([]float32, error) {
	d := m.Encoder.Hidden()
	out := make([]float32, len(texts)*len(taps)*d)
	return out, m.Engine.Embed(ctx, engine.Rows{Texts: texts}, nil, make([]float32, len(texts)*d), taps, out)
}

// rows are φ of some of a person's texts, [n,D]; last: of the last block alone.
func (f *features) rows(person int, which []int, last bool) (x []float32) {
	dim, from := f.axes.Dim(), 0
	if last {
		from = dim - f.axes.Hidden
	}
	for _, i := range which {
		row := f.at[person][i] * dim
		x = append(x, f.phi[row+from:row+dim]...)
	}
	return x
}
