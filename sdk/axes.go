package sdk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// axesBank is the head side of the folder's bank: what φ is made of, and the axes that the digits
// of its profiles count along.
type axesBank struct {
	*axes.Axes
	ref    uint32
	digest store.Digest
}

// addAxes gives a folder those that were made for its model, or makes them; putFirstHead comes
// next.
func (p *Folder) addAxes(ctx context.Context, encoder [32]byte) (took time.Duration, err error) {
	began := time.Now()
	a := axes.Shipped(encoder)
	if a == nil {
		c := axes.Default(p.encoder.Blocks(), p.encoder.Hidden())
		if a, err = axes.Compute(ctx, p.encoder, p.tokenizer, c); err != nil {
			return 0, err
		}
	}
	info, err := folder.AddAxes(ctx, p.store, p.dir, a)
	if err != nil {
		return 0, err
	}
	p.axes = &axesBank{p.model.shared.keepAxes(info.Digest, a), info.Ref, info.Digest}
	return time.Since(began), nil
}

// upgrade gives a folder of an older version the axes that are shipped for its model, so that its
// profiles become codes of digits at their next Learn: until then they are served as they were. The
// shared head over φ is the old one, in other coordinates.
func (p *Folder) upgrade(ctx context.Context) error {
	if masks, err := p.store.GetMeta(metaMasks); err == nil && bytes.Equal(masks, []byte{1}) {
		return nil
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return corrupt("kind of profiles", err)
	}
	encoder := p.store.Meta().Encoder
	old, _, err := p.shared()
	if err != nil || axes.Shipped(encoder) == nil {
		return nil // what is damaged is said by who needs it
	}
	if _, b, err := p.openDefaultBank(); err != nil || b.Properties().Origin != bank.Random {
		return nil
	}
	if _, err := p.addAxes(ctx, encoder); err != nil {
		return err
	}
	head, ok := p.overFeatures(old)
	if !ok {
		p.axes = nil
		return nil
	}
	return p.putFirstHead(ctx, head)
}

// putFirstHead stores the first shared head, and only then that the folder has axes, if it has.
func (p *Folder) putFirstHead(ctx context.Context, h *model.Head) error {
	if _, err := p.putSharedHead(ctx, h); err != nil || p.axes == nil {
		return err
	}
	return p.store.PutMeta(ctx, metaAxes, binary.LittleEndian.AppendUint32(nil, p.axes.ref))
}

// overFeatures is a head over the pooled embedding as one over φ: the last block's part of φ is
// that embedding, centred and scaled. false if it is not.
func (p *Folder) overFeatures(h *model.Head) (*model.Head, bool) {
	a, d := p.axes, p.encoder.Hidden()
	last := len(a.Taps) - 1
	if h.Hidden != d || h.W1 != nil || h.Regression() || p.encoder.Pooling() != model.PoolMean ||
		a.Taps[last] != p.encoder.Blocks() {
		return nil, false
	}
	w := widened(h, a.Dim(), math.Sqrt(float64(len(a.Taps)))/float64(a.Scale[last]))
	w.B = slices.Clone(h.B)
	for c := range w.B {
		w.B[c] += model.Dot(h.W[c*d:(c+1)*d], a.Mean[last*d:])
	}
	return w, true
}

// loadAxes opens the folder's axes, if it has any.
func (p *Folder) loadAxes() error {
	ref, err := p.metaNumber(metaAxes, "axes", "the ref of the axes")
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := p.store.Bank(ref)
	if err != nil {
		return corrupt("axes", err)
	}
	a, err := p.model.shared.axesOf(p.dir, info)
	if err != nil {
		return corrupt("axes", err)
	}
	if a.Hidden != p.encoder.Hidden() || a.Taps[len(a.Taps)-1] > p.encoder.Blocks() {
		return fmt.Errorf("%w: axes over the blocks %v of %d values; the model has L=%d, d=%d", ErrMismatch,
			a.Taps, a.Hidden, p.encoder.Blocks(), p.encoder.Hidden())
	}
	p.axes = &axesBank{a, info.Ref, info.Digest}
	return nil
}

// checkCodes says whether a profile's digits are along the folder's axes and for labels that its
// head has, or along joint axes beside its head, which it opens.
func (p *Folder) checkCodes(s *snapshot) (err error) {
	h := s.head
	if o := s.order; o != nil && (p.axes == nil || o.Bank != p.axes.ref || o.K != p.axes.K()) {
		return errOtherAxes
	}
	for _, c := range s.codes {
		if p.axes == nil || !p.seesFeatures(h) {
			return errOtherAxes
		}
		if c.Bank != p.axes.ref {
			if s.joint, err = p.jointOf(s, c); err != nil {
				return err
			}
			continue
		}
		if c.K != p.axes.K() {
			return fmt.Errorf("%w: rows of %d digits, the axes have %d", ErrCorrupt, c.K, p.axes.K())
		}
		if last := slices.Max(c.Labels); int(last) >= len(h.Labels) {
			return fmt.Errorf("%w: digits for label %d of %d", ErrCorrupt, last, len(h.Labels))
		}
	}
	return nil
}

// errOtherAxes is what a profile of another folder's digits gives.
var errOtherAxes = fmt.Errorf("%w: digits along axes that are not the folder's", ErrMismatch)

// codeRows is what a profile's digits add to the shared head: to each label's row and, along joint
// axes, to the logits, of texts that these know once more.
type codeRows struct {
	rows   [][]float32 // nil for a label without one; nil without digits
	offset []float32   // nil: nothing
	levels []float32   // on each of joint axes
}

// foldRows makes them: for each label the uniform average of the directions that its row selects,
// times its scale; of joint axes those that the one row selects.
func (p *Folder) foldRows(s *snapshot) codeRows {
	if s.joint != nil {
		return s.joint.fold(s.codes[0].Rows)
	}
	var rows [][]float32
	for _, c := range s.codes {
		rows = make([][]float32, len(s.head.Labels))
		size := len(c.Rows) / max(1, len(c.Labels))
		for i, label := range c.Labels {
			rows[label] = make([]float32, p.axes.Dim())
			p.axes.AddRow(rows[label], c.Rows[i*size:(i+1)*size], float32(digits.Scale(c.Scales[i])))
		}
	}
	return codeRows{rows: rows}
}

// foldedBytes is how much of the cache a profile takes.
func (p *Folder) foldedBytes(s *snapshot) (n int64) {
	if s.bank != nil {
		n = s.bank.Properties().FoldedBytes()
	}
	if s.joint != nil {
		return n + int64(len(s.head.Labels)*(24+4*(p.axes.Dim()+1)))
	}
	for _, c := range s.codes {
		n += int64(24*len(s.head.Labels) + 4*p.axes.Dim()*len(c.Labels))
	}
	return n
}

// seesFeatures says whether a head is over φ.
func (p *Folder) seesFeatures(h *model.Head) bool { return p.axes != nil && h.Hidden == p.axes.Dim() }

// temperature is what a byte of a record stands for; 0: none.
func temperature(b byte) float32 {
	if b == 0 {
		return 1
	}
	return float32(digits.Temperature(b))
}
