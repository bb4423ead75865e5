package sdk

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/store"
)

// jointBank is axes on which a population's people differ, with the shared head that they were
// trained with.
type jointBank struct {
	*axes.Joint
	ref    uint32
	digest store.Digest
	head   uint32 // ref
	model  *population.Model
}

// A code along joint axes has one row for all labels. In a record it is the row of label 0, at a
// scale of 1.
const (
	jointLabel = 0
	jointScale = 160
)

func (j *jointBank) code(row []byte) []store.Code {
	return []store.Code{{Bank: j.ref, K: j.K(), Labels: []uint32{jointLabel}, Rows: row, Scales: []byte{jointScale}}}
}

// fold is the uniform average of the directions that a row selects.
func (j *jointBank) fold(row []byte) codeRows {
	C, D := len(j.Labels), j.Dim()
	w, f := make([]float32, C*D), codeRows{rows: make([][]float32, C), offset: make([]float32, C),
		levels: j.Levels(nil, row)}
	j.AddRow(w, f.offset, row)
	for c := range f.rows {
		f.rows[c] = w[c*D : (c+1)*D]
	}
	return f
}

// jointOf opens the joint axes that a record's code is along.
func (p *Folder) jointOf(s *snapshot, c store.Code) (*jointBank, error) {
	rec := s.record
	j, err := p.joint(c.Bank)
	switch {
	case err != nil:
		return nil, err
	case rec.Head != j.head || rec.OwnHead != nil:
		return nil, fmt.Errorf("%w: digits along joint axes beside another head than theirs", ErrMismatch)
	case len(s.codes) != 1 || c.K != j.K() || !slices.Equal(c.Labels, []uint32{jointLabel}) ||
		c.Scales[0] != jointScale || digits.Scale(jointScale) != 1:
		return nil, fmt.Errorf("%w: %d codes, and %d digits for the labels %v along joint axes of %d", ErrCorrupt,
			len(s.codes), c.K, c.Labels, j.K())
	}
	return j, nil
}

// joint opens joint axes by their ref, once.
func (p *Folder) joint(ref uint32) (*jointBank, error) { return p.joints.get(ref, p.loadJoint) }

func (p *Folder) loadJoint(ref uint32) (*jointBank, error) {
	info, err := p.store.Bank(ref)
	if err != nil {
		return nil, corrupt("joint axes", err)
	}
	if props, err := folder.Properties(info); err != nil || props.Origin != bank.JointAxes {
		return nil, errors.Join(errOtherAxes, err)
	}
	a, err := folder.OpenJoint(p.dir, info)
	if err != nil {
		return nil, corrupt("joint axes", err)
	}
	if store.Digest(a.Axes) != p.axes.digest || a.Dim() != p.axes.Dim() {
		return nil, fmt.Errorf("%w: joint axes over axes that are not the folder's", ErrMismatch)
	}
	heads, err := p.store.Heads()
	if err != nil {
		return nil, corrupt("heads", err)
	}
	at := slices.IndexFunc(heads, func(h store.HeadInfo) bool { return h.Digest == store.Digest(a.Head) })
	if at < 0 {
		return nil, fmt.Errorf("%w: the head of joint axes is not in the folder", ErrMismatch)
	}
	j := &jointBank{Joint: a, ref: ref, digest: info.Digest, head: heads[at].Ref}
	j.model, err = p.populationModel(j)
	return j, err
}

// populationModel is the joint axes and their head as internal/population has them.
func (p *Folder) populationModel(j *jointBank) (*population.Model, error) {
	h, err := p.head(j.head)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(h.Labels, j.Labels) || !p.seesFeatures(h) {
		return nil, fmt.Errorf("%w: joint axes for other labels than their head's", ErrCorrupt)
	}
	return &population.Model{C: len(h.Labels), D: h.Hidden, J: j.Count(), W: h.W, A: h.B, V: j.V, B: j.B,
		Range: j.Range, Digits: j.Digits, Counts: h.Counts,
		Beta: float64(j.Beta), Own: j.Own}, nil
}

// newcomersJoint are the joint axes of new profiles: those that TrainBank made last, as long as
// nobody has changed the shared head since. nil: there are none.
func (p *Folder) newcomersJoint() (*jointBank, error) {
	if p.axes == nil {
		return nil, nil
	}
	ref, err := p.metaNumber(metaJoint, "joint axes", "the ref of the joint axes")
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	j, err := p.joint(ref)
	if err != nil {
		return nil, err
	}
	_, head, err := p.shared()
	if err != nil || head != j.head {
		return nil, err
	}
	return j, nil
}
