package sdk

import (
	"context"
	"fmt"
	"io"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// ImportHeadOptions say how a head is taken in. Nil, and every zero field, means the default.
type ImportHeadOptions struct {
	// Force installs the head in the place of one that belongs to joint axes, which it sets aside.
	Force bool
}

// ImportHead makes a linear classifier, as scikit-learn's LogisticRegression learns one, the shared
// head of new profiles and of the base, and returns its digest. It reads HeadJSON and HeadNPZ, by
// their first bytes; no pickle. The classes must be the folder's
// labels, in any order, else the error is ErrUnknownLabel or ErrHead. Its rows are over what a head
// sees, Folder.HeadWidth, or over the pooled embedding of a model that pools by the mean; other
// widths are ErrMismatch. It is installed as it is, whatever TrainHead would find. Profiles that
// exist keep their head until Rebase moves them. The head of joint axes, which TrainBank found,
// stays: ErrConflict unless Force.
func (p *Folder) ImportHead(ctx context.Context, r io.Reader, o *ImportHeadOptions) (digest string, err error) {
	leave, err := p.enterToWrite(p.exclusive("ImportHead"))
	if err != nil {
		return "", err
	}
	defer leave()
	p.installs.Lock()
	defer p.installs.Unlock()
	shared, _, err := p.shared()
	if err != nil {
		return "", err
	}
	most := p.mostOfHead(shared.Labels)
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return "", err
	}
	if int64(len(data)) > most {
		return "", fmt.Errorf("%w: more than %d bytes, which no head of %d labels over %d values takes", ErrHead, most,
			len(shared.Labels), p.width())
	}
	l, err := readLinear(data, most)
	if err != nil {
		return "", err
	}
	h, err := l.head(shared.Labels)
	if err != nil {
		return "", err
	}
	if h, err = p.overWidth(h); err != nil {
		return "", err
	}
	if err := over("bytes of a head", headBytes(h), "HeadBytes", p.options.Limits.HeadBytes); err != nil {
		return "", err
	}
	if j, err := p.newcomersJoint(); err != nil || j != nil && (o == nil || !o.Force) {
		if err == nil {
			err = fmt.Errorf("%w: the shared head belongs to axes on which people differ, which another sets aside",
				ErrConflict)
		}
		return "", err
	}
	d, err := p.putSharedHead(ctx, h)
	if err != nil {
		return "", err
	}
	p.options.Logger.Info("imported a head", "head", d.Short())
	return d.String(), nil
}

// mostOfHead is the most bytes that a file of a head of these labels has, its numbers in JSON with
// white space, or its labels in four bytes a character.
func (p *Folder) mostOfHead(labels []string) int64 {
	const around, number, label = 1 << 14, 40, 4*model.MaxLabelBytes + 8
	C := int64(len(labels))
	return around + C*(label+number*int64(p.width()+2))
}

// overWidth is a head from outside over what heads see here.
func (p *Folder) overWidth(h *model.Head) (*model.Head, error) {
	if h.Hidden == p.width() {
		return h, nil
	}
	if h.Hidden == p.encoder.Hidden() {
		if wide, ok := p.overFeatures(h); ok {
			return wide, nil
		}
	}
	return nil, fmt.Errorf("%w: a head over %d values, the folder's see %d", ErrMismatch, h.Hidden, p.width())
}

// HeadWidth is the number of values that a head of this folder sees of a text.
func (p *Folder) HeadWidth() int { return p.width() }

// ExportHead writes the shared head of new profiles, and returns its digest. ImportHead reads it
// unless the format is HeadSafetensors. A format that is none is ErrConfig.
func (p *Folder) ExportHead(ctx context.Context, w io.Writer, format HeadFormat) (digest string, err error) {
	leave, err := p.enter(ctx, p.exclusive("ExportHead"))
	if err != nil {
		return "", err
	}
	defer leave()
	e, err := p.effectiveOf("", nil)
	if err != nil {
		return "", err
	}
	d, err := e.head.Digest()
	if err != nil {
		return "", err
	}
	digest = store.Digest(d).String()
	switch format {
	case HeadJSON, HeadNPZ:
		return digest, linearOf(e.head).write(w, format)
	case HeadSafetensors:
		return digest, e.write(w)
	}
	return "", fmt.Errorf("%w: a head as %q, want json, npz or safetensors", ErrConfig, format)
}
