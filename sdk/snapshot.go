package sdk

import (
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/quant"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// priorStrength is α of a profile's label prior: with few examples 1 trusts them too much
// (docs/accuracy.md).
const priorStrength = 3

// snapshot is one whole revision of a profile, ready to answer. It never changes.
type snapshot struct {
	revision uint64
	bank     *bank.Bank    // of masks; nil: the profile has none
	mask     *bitmask.Mask // nil without a bank
	head     *model.Head
	own      bool         // the head is the profile's own
	multi    bool         // labels are not exclusive
	phi      bool         // the head is over φ
	rows     int          // of a shared head, the last ones: the profile's own
	codes    []store.Code // of labels: the record's without the row that orders candidates
	order    *store.Code  // that row, in a code of its own; nil: none
	joint    *jointBank   // that the profile's digits are along; nil: along the folder's axes, or none
	texts    *jointBank   // that know what the head says of single texts; nil: none do
	bias     []float32    // nil: none
	offset   []float32    // prior and bias, added to the head's logits; nil: none
	heat     float32      // the temperature that logits are divided by
	key      contentKey
	record   *store.Profile
}

// snapshot reads a profile's current revision.
func (p *Folder) snapshot(id string) (*snapshot, error) {
	rec, err := p.store.Get(id)
	if err != nil {
		return nil, err
	}
	return p.open(rec)
}

// open turns a stored record into what serves it.
func (p *Folder) open(rec *store.Profile) (*snapshot, error) {
	s := &snapshot{revision: rec.Revision, mask: rec.Mask, record: rec, own: rec.Head == 0,
		heat: temperature(rec.Temperature), multi: p.options.multi}
	if rec.Mask != nil {
		var err error
		if s.bank, err = p.bank(rec.Bank); err != nil {
			return nil, err
		}
	}
	s.codes, s.order = splitCodes(rec.Codes)
	err := p.openHead(s)
	if err == nil {
		err = p.checkCodes(s)
	}
	if err != nil {
		return nil, err
	}
	if s.texts = s.joint; s.joint == nil && !s.own {
		if s.texts, err = p.textsBeside(rec.Head); err != nil {
			return nil, err
		}
	}
	s.key, s.phi = p.keyOf(s), p.seesFeatures(s.head)
	if s.bias, err = decodeBias(rec.Bias, s.head); err != nil {
		return nil, err
	}
	s.offset = s.offsetWith(rec.Prior)
	return s, nil
}

// keyOf names what a profile folds to.
func (p *Folder) keyOf(s *snapshot) contentKey {
	var masks, axes bank.Digest
	if s.bank != nil {
		masks = s.bank.Digest()
	}
	switch {
	case s.joint != nil:
		axes = bank.Digest(s.joint.digest)
	case p.axes != nil:
		axes = bank.Digest(p.axes.digest)
	}
	return keyOf(masks, axes, s.record)
}

// openHead is the shared head, the profile's own, or the shared one with rows of the profile's own.
func (p *Folder) openHead(s *snapshot) (err error) {
	if !s.own {
		if s.head, err = p.head(s.record.Head); err != nil || s.record.OwnHead == nil {
			return err
		}
	}
	own, err := p.decodeHead(s.record.OwnHead)
	if err != nil || s.own {
		s.head = own
		return err
	}
	s.rows = len(own.Labels)
	s.head, err = s.head.With(own)
	return corrupt("head", err)
}

// digits says whether the profile is a code of digits, or waits to be one.
func (s *snapshot) digits() bool { return s.mask == nil && s.phi }

// folds says whether there is anything to fold: not of a profile that was only observed, or that
// the prior serves.
func (s *snapshot) folds() bool { return s.mask != nil || len(s.codes) > 0 }

// shared are the labels of the shared head, without the profile's own.
func (s *snapshot) shared() int { return len(s.head.Labels) - s.rows }

// affine is LN_b's; nil means the bank's default. Only a fold needs it, and most answers come from
// adapters that are folded.
func (s *snapshot) affine() ([]float32, error) {
	if s.record.Affine == nil || s.bank == nil {
		return nil, nil
	}
	a, err := s.bank.Properties().DecodeAffine(s.record.Affine, s.bank.Affine())
	return a, corrupt("affine", err)
}

// fold makes the profile's adapter; nil if it has no masks.
func (s *snapshot) fold() (*model.Adapter, error) {
	adapters, errs := foldAll(s.bank, []*snapshot{s})
	return adapters[0], errs[0]
}

// foldAll makes the adapters of profiles over one bank in one pass, nil ones where that is nil.
// Each has a result or an error of its own.
func foldAll(b *bank.Bank, snaps []*snapshot) ([]*model.Adapter, []error) {
	adapters, errs := make([]*model.Adapter, len(snaps)), make([]error, len(snaps))
	if b == nil {
		return adapters, errs
	}
	var masks []*bitmask.Mask
	var affines [][]float32
	var of []int
	for i, s := range snaps {
		affine, err := s.affine()
		if err != nil {
			errs[i] = err
			continue
		}
		masks, affines, of = append(masks, s.mask), append(affines, affine), append(of, i)
	}
	folded, failed := b.FoldMany(masks, affines)
	for n, i := range of {
		adapters[i], errs[i] = folded[n], corrupt("bank", failed[n])
	}
	return adapters, errs
}

// offsetWith is bias plus the prior of given counts, for a shared head; an own head has no prior,
// and beside joint axes the bias says what counts would.
func (s *snapshot) offsetWith(counts []uint32) []float32 {
	if s.joint != nil {
		return s.bias
	}
	return sum(s.priorWith(counts), s.bias)
}

// priorWith is what counts alone add to a shared head's logits.
func (s *snapshot) priorWith(counts []uint32) (prior []float32) {
	if s.multi {
		return oddsOf(counts, len(s.head.Labels))
	}
	if !s.own {
		prior = s.head.Prior(counts, priorStrength)
	}
	return prior
}

// uncoded is what would be added to the logits without digits along joint axes.
func (s *snapshot) uncoded(counts []uint32) []float32 {
	if s.joint != nil {
		return s.priorWith(counts)
	}
	return s.offsetWith(counts)
}

// sum adds two offsets, either of which may be nil.
func sum(a, b []float32) []float32 {
	if a == nil {
		return b
	}
	out := append([]float32(nil), a...)
	for i := range b {
		out[i] += b[i]
	}
	return out
}

// A learned label bias is stored in 8 bits a value.

func encodeBias(bias []float32) ([]byte, error) {
	if bias == nil {
		return nil, nil
	}
	data, err := quant.Append(nil, bias)
	if err != nil {
		return nil, fmt.Errorf("%w: bias: %w", errDiverged, err)
	}
	return data, nil
}

func decodeBias(data []byte, h *model.Head) ([]float32, error) {
	if data == nil {
		return nil, nil
	}
	out := make([]float32, len(h.Labels))
	if err := quant.Decode(out, data); err != nil {
		return nil, fmt.Errorf("%w: bias: %w", ErrCorrupt, err)
	}
	return out, nil
}
