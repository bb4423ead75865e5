package eval

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// Alone measures a service's first day: a new folder without a population, in which each person
// learns by the SDK's own calls. Beside it are the label prior and own heads in float32 over the
// features that the folder's axes read.
type Alone struct {
	Data    *Data
	Machine *Machine
	Unseen  []Unseen // texts that nobody has filed; nil: none
	Splits  int      // divisions of each person's texts
	Shots   []int    // most training texts of a person; none: all there are
	Most    int      // texts kept of a person
	NoOwn   bool     // leave the own heads out, which take most of the time
	Learn   sdk.LearnOptions
	Log     func(string)
}

// aloneWorld is what all splits share.
type aloneWorld struct {
	*World
	features *features
	own      []int // texts of each person that are no unseen ones
}

// Run gives one row for each way of serving, number of shots and kind of text.
func (a *Alone) Run(ctx context.Context) (rows []AloneRow, err error) {
	w, err := a.world(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	shots := a.Shots
	if len(shots) == 0 {
		shots = []int{0}
	}
	for _, n := range shots {
		t := newTally(w.own)
		for split := range a.Splits {
			if err := a.split(ctx, w, t, split, n); err != nil {
				return nil, fmt.Errorf("split %d: %w", split, err)
			}
			if a.Log != nil {
				a.Log(fmt.Sprintf("split %d of %d, %d texts", split+1, a.Splits, n))
			}
		}
		rows = append(rows, t.rows(n, a.Splits)...)
	}
	return rows, nil
}

// world makes an empty folder and the features of all texts.
func (a *Alone) world(ctx context.Context) (_ *aloneWorld, err error) {
	w := &aloneWorld{World: &World{Machine: a.Machine, Labels: a.Data.Labels, banks: map[string]*shared{}}}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if w.root, err = os.MkdirTemp("", "xpeft-alone-"); err != nil {
		return nil, err
	}
	w.home.dir = filepath.Join(w.root, "home")
	p, err := sdk.Create(ctx, w.home.dir, sdk.Config{Model: w.Dir, Labels: w.Labels, MaxTokens: w.MaxTokens})
	if err == nil {
		err = p.Close()
	}
	if err != nil {
		return nil, err
	}
	d, err := a.withUnseen()
	if err != nil {
		return nil, err
	}
	for _, p := range a.Data.People {
		w.own = append(w.own, len(p.Examples))
	}
	w.features, err = w.readFeatures(ctx, d)
	return w, err
}

// withUnseen are the people with the unseen texts behind their own, with their answers.
func (a *Alone) withUnseen() (*Data, error) {
	d := &Data{Labels: a.Data.Labels, Digest: a.Data.Digest + " alone"}
	for _, p := range a.Data.People {
		p.Examples = slices.Clone(p.Examples)
		for _, u := range a.Unseen {
			label := u.Labels[p.ID]
			if !slices.Contains(d.Labels, label) {
				return nil, fmt.Errorf("%w: the unseen text %q has no label of %s that is in the data", ErrData,
					u.Text, p.ID)
			}
			p.Examples = append(p.Examples, Example{Text: u.Text, Label: label})
		}
		d.People = append(d.People, p)
	}
	return d, nil
}

// parts divides each person's texts. The unseen ones are in every test.
func (a *Alone) parts(w *aloneWorld, split, shots int) (parts []*Part) {
	for i, p := range a.Data.People {
		train, test := Cut(p, uint64(split), a.Most)
		test = slices.Clip(test) // train lies behind it in the same array
		for u := range a.Unseen {
			test = append(test, w.own[i]+u)
		}
		part := newPart(p.ID, w.features.texts[i], train, test, len(w.Labels))
		if shots > 0 {
			part = part.first(shots)
		}
		parts = append(parts, part)
	}
	return parts
}

// split serves everybody's test texts in every way, and counts what was right.
func (a *Alone) split(ctx context.Context, w *aloneWorld, t *tally, split, shots int) error {
	parts := a.parts(w, split, shots)
	h, err := w.copyHome(w.home, "split")
	if err != nil {
		return err
	}
	defer os.RemoveAll(h.dir)
	all := make([]served, len(parts))
	err = h.use(func(p *sdk.Folder) error {
		return (Service{Learn: &a.Learn}).serve(ctx, p, w.World, parts, all)
	})
	if err != nil {
		return err
	}
	for i, part := range parts {
		t.mark(servedAlone, i, part, all[i].predicted)
		t.bytes = append(t.bytes, float64(all[i].bytes))
	}
	err = h.read(func(st *store.Store) error {
		for _, part := range parts {
			rec, err := st.Get(part.ID)
			if err != nil {
				return err
			}
			t.digits = append(t.digits, float64(min(len(rec.Codes), 1)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.beside(ctx, t, parts, !a.NoOwn)
}

// mark counts a way's answers, classes, to a part's test texts.
func (t *tally) mark(way string, person int, p *Part, predicted []int) {
	t.add(way, person, p.test, func(i int) bool { return predicted[i] == p.Test[i].Class })
}
