package sdk

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"

	"github.com/xpeft/xpeft/store"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// visible reports whether a text shows anything: a character that is neither a space, a control or
// format character, a mark without a letter under it, nor one that is drawn as nothing. Of a text
// without any the tokenizer keeps nothing, and an answer to it would be one to no text at all.
func visible(text string) bool { return strings.IndexFunc(text, isVisible) >= 0 }

// isVisible takes what Unicode has not assigned for visible: next year's emoji.
func isVisible(r rune) bool {
	switch {
	case r > ' ' && r < unicode.MaxASCII:
		return true
	case unicode.IsSpace(r) || unicode.In(r, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.M):
		return false
	}
	return !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point, drawnAsNothing)
}

// drawnAsNothing are symbols without ink, and those that stand for what is not there.
var drawnAsNothing = &unicode.RangeTable{
	// Braille's blank; object replacement, not a character
	R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}, {Lo: 0xfffc, Hi: 0xfffd, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x1d159, Hi: 0x1d159, Stride: 1}}, // null notehead
}

// textFault says why a text, or a pair, can be neither learned nor answered; "" if it can.
func textFault(text, pair string) string {
	switch {
	case text == "":
		return "no text"
	case !visible(text):
		return "a text of nothing visible"
	case pair != "" && !visible(pair):
		return "a pair of nothing visible"
	}
	return ""
}

// checkExamples finds the first that no profile could learn or store.
func (p *Folder) checkExamples(id string, examples []Example) error {
	if len(examples) == 0 {
		return ofProfile(id, fmt.Errorf("%w: none given", ErrExample))
	}
	err := over("examples in one call", len(examples), "LearnExamples", p.options.Limits.LearnExamples)
	if err != nil {
		return ofProfile(id, err)
	}
	for i, e := range examples {
		if err := p.checkExample(e); err != nil {
			return ofExample(id, i, e.Label, err)
		}
	}
	return nil
}

func (p *Folder) checkExample(e Example) error {
	if fault := e.fault(); fault != "" {
		return fmt.Errorf("%w: %s", ErrExample, fault)
	}
	if err := p.checkKind(e); err != nil {
		return err
	}
	size := len(e.Text) + len(e.Pair) + len(e.Label)
	if e.Labels != nil {
		size += len(folder.LabelSet(e.Labels))
	}
	if err := over("bytes of an example", size, "Example", p.options.Limits.Example); err != nil {
		return err
	}
	return p.checkPair(e.Pair)
}

// checkPair refuses a pair where the model has no token type for its second text.
func (p *Folder) checkPair(pair string) error {
	if pair != "" && !p.encoder.Config().Pairs() {
		return fmt.Errorf("%w: a pair of texts, for a model whose type_vocab_size is 1", ErrUnsupported)
	}
	return nil
}

// truncated counts the examples of which MaxTokens cut something off.
func truncated(examples []learner.Example) (n int) {
	for _, e := range examples {
		if e.Text.Truncated {
			n++
		}
	}
	return n
}

// appendTokens is what a model reads of a text.
func appendTokens(b []byte, text *model.Encoding) []byte {
	for i, id := range text.IDs {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(id)), byte(text.TypeIDs[i]))
	}
	return b
}

// unknown is the share of texts' tokens that the tokenizer does not know.
func (p *Folder) unknown(texts []model.Encoding) float64 {
	unknown, of := 0, 0
	for i := range texts {
		u, n := p.tokenizer.Unknown(&texts[i])
		unknown, of = unknown+u, of+n
	}
	return float64(unknown) / float64(max(of, 1))
}

// MaxWindows bounds Config.Windows: all windows of a text are in memory at once, in one pass.
const MaxWindows = 32

// read is what the model reads of a text or pair: MaxTokens of it, in each of the folder's windows.
func (p *Folder) read(dst *model.Encoding, text, pair string) {
	p.tokenizer.EncodeWindows(dst, text, pair, p.maxTokens, p.options.windows)
}

// readerDigest is of all that decides what read returns; of one window it is the tokenizer's. That
// labels are not exclusive is in it as well, so that earlier versions, which would answer by a
// softmax, refuse the folder and its bundles.
func (m opened) readerDigest(maxTokens, windows int, multi bool) store.Digest {
	d := m.tokenizer.Digest(maxTokens)
	if windows > 1 {
		d = sha256.Sum256(fmt.Appendf(d[:], "windows=%d\n", windows))
	}
	if multi {
		d = sha256.Sum256(append(d[:], "multi\n"...))
	}
	return d
}

// checkWindows refuses what is not trained on several windows: masks over a pooled embedding that
// is no mean, of which a gradient would reach the first window only.
func (c Config) checkWindows(pooling model.Pooling) error {
	_, warm := c.Bank.(WarmBank)
	if c.Windows > 1 && (c.Masks || warm) && pooling != model.PoolMean {
		return fmt.Errorf("%w: masks over texts of several windows, for a model that pools by %v", ErrUnsupported,
			pooling)
	}
	return nil
}
