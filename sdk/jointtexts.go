package sdk

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/model"
)

// textKey is what joint axes know a text by: the first eight bytes of the SHA-256 of its tokens,
// little-endian. It is the same wherever the model is.
func textKey(text *model.Encoding) uint64 {
	var memory [5 * 512]byte
	sum := sha256.Sum256(appendTokens(memory[:0], text))
	return binary.LittleEndian.Uint64(sum[:8])
}

// textsBeside are the joint axes that a shared head was trained with, if they know single texts.
// What a text has of its own beside φ was fitted together with the head: it belongs to the head's
// answers, whoever asks. nil: there are none.
func (p *Folder) textsBeside(head uint32) (*jointBank, error) {
	if p.axes == nil { // joint axes may lie in the folder all the same
		return nil, nil
	}
	return p.texts.get(head, p.findTexts)
}

func (p *Folder) findTexts(head uint32) (*jointBank, error) {
	banks, err := p.store.Banks()
	if err != nil {
		return nil, corrupt("banks", err)
	}
	for _, info := range banks {
		if props, err := folder.Properties(info); err != nil || props.Origin != bank.JointAxes || props.Texts == 0 {
			continue
		}
		j, err := p.joint(info.Ref)
		if err != nil { // the head answers without them
			p.options.Logger.Warn("joint axes that know texts cannot be read", "bank", info.Digest.Short(), "error",
				err)
			continue
		}
		if j.head == head {
			return j, nil
		}
	}
	return nil, nil
}

// text is the number of a text that the axes know.
func (j *jointBank) text(text *model.Encoding) (int, bool) {
	if j == nil || len(j.Keys) == 0 {
		return 0, false
	}
	return j.Text(textKey(text))
}

// addText adds to logits what the axes know of a text itself; levels are those of who has a place
// on them.
func (j *jointBank) addText(logits []float32, text *model.Encoding, levels []float32) {
	if i, ok := j.text(text); ok {
		j.AddText(logits, i, levels)
	}
}

// offset is one of a head's logits, with what is known of a text itself.
func (j *jointBank) offset(offset []float32, text *model.Encoding) []float32 {
	i, ok := j.text(text)
	if !ok {
		return offset
	}
	out := make([]float32, max(len(offset), len(j.Labels)))
	copy(out, offset)
	j.AddText(out, i, nil)
	return out
}

// rows appends what internal/population works on: what head and axes give texts, by their φ, and
// what is known of the texts themselves.
func (j *jointBank) rows(dst []float64, texts []model.Encoding, phi []float32) []float64 {
	at := len(dst)
	dst = j.model.Project(dst, phi)
	for i := range texts {
		if k, ok := j.text(&texts[i]); ok {
			j.model.Know(dst[at+i*j.model.Width():at+(i+1)*j.model.Width()], k)
		}
	}
	return dst
}

// learnedAxes are what a population was found to differ on.
type learnedAxes struct {
	*population.Model
	people *population.Population // who taught them
	keys   []uint64               // of the population's texts; nil: none may be kept
}

// texts are the keys of those that have parts of their own, ascending, and these parts.
func (a *learnedAxes) texts() (keys []uint64, own []float32) {
	if a.keys == nil || len(a.Known) == 0 {
		return nil, nil
	}
	order, width := numbered(0, len(a.Known)), a.Width()
	key := func(k int) uint64 { return a.keys[a.Known[k]] }
	slices.SortFunc(order, func(k, l int) int { return cmp.Compare(key(k), key(l)) })
	for _, k := range order {
		keys, own = append(keys, key(k)), append(own, a.Own[k*width:(k+1)*width]...)
	}
	return keys, own
}
