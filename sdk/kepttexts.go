package sdk

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// mostKept bounds the bytes of the texts that a bank keeps, as JSON: the store takes 1 MiB of a
// value.
const mostKept = 512 << 10

// keptTexts are what is stored under metaTexts: texts that several of a bank's people labelled,
// those that most did first.
type keptTexts struct {
	Bank  string   `json:"bank"` // digest of the axes that they belong to
	Texts []string `json:"texts"`
}

// loadedTexts are those in memory, with the rows of the first of them, or of all.
type loadedTexts struct {
	stored []byte       // what they were made of
	bank   store.Digest // of the axes that the rows are along
	width  int          // of a row
	askable
}

// keepTexts keeps the people's texts with the axes that were just installed, if that is asked
// for. Without that it removes those that an earlier bank kept, whatever was installed.
func (p *Folder) keepTexts(ctx context.Context, keep bool, from teachers, rep *BankReport) error {
	if !keep {
		p.questions.Store(nil)
		return p.store.PutMeta(ctx, metaTexts, nil)
	}
	if !rep.Installed || rep.Population == nil {
		return nil
	}
	h, _, err := p.shared()
	if err != nil {
		return err
	}
	texts, err := p.gatherTexts(ctx, h, from)
	if err != nil {
		return err
	}
	rep.KeptTexts = len(texts)
	data, err := json.Marshal(keptTexts{rep.Bank, texts})
	seal, sealErr := p.textsCipher()
	if err = cmp.Or(err, sealErr); err != nil {
		return err
	}
	if seal != nil {
		data = seal.Seal(nil, nil, data, []byte(metaTexts))
	}
	return p.store.PutMeta(ctx, metaTexts, data)
}

// gatherTexts reads the texts of the people whose examples teach: single ones, as Ask asks about no
// pairs, that several labelled.
func (p *Folder) gatherTexts(ctx context.Context, h *model.Head, from teachers) (texts []string, err error) {
	text, answers := map[uint64]string{}, map[uint64]int{}
	err = p.sample(ctx, h, from, func(_ string, part split2) (used int) {
		own := map[uint64]bool{}
		for _, e := range part.stored {
			if e.Rejected {
				continue
			}
			used++ // as population counts them: the same people are asked about
			if e.Pair == "" && !own[e.Key] {
				own[e.Key], text[e.Key] = true, e.Text
				answers[e.Key]++
			}
		}
		return used
	})
	if err != nil {
		return nil, err
	}
	keys, size := slices.SortedFunc(maps.Keys(text), func(a, b uint64) int {
		return cmp.Or(cmp.Compare(answers[b], answers[a]), cmp.Compare(text[a], text[b]))
	}), 0
	for _, key := range keys {
		quoted, err := json.Marshal(text[key])
		if err != nil {
			return nil, err
		}
		size += len(quoted) + 1
		if answers[key] < population.FewestAnswers || size > mostKept || len(texts) == mostCandidates {
			break
		}
		texts = append(texts, text[key])
	}
	return texts, nil
}

// keptTexts are those of some axes. Their rows are computed once, and stay in memory; where ctx
// ends that, the next call goes on.
func (p *Folder) keptTexts(ctx context.Context, j *jointBank) (*loadedTexts, error) {
	l, err := p.loadTexts(j)
	if err != nil || l.ready() {
		return l, err
	}
	unlock, ok := p.loads.lock("", ctx.Done())
	if !ok {
		return nil, ctx.Err()
	}
	defer unlock()
	if l, err = p.loadTexts(j); err != nil { // with the rows of who was before
		return nil, err
	}
	for !l.ready() {
		done := len(l.rows) / l.width
		rows, err := p.rowsOf(ctx, j, l.texts[done:min(done+askedAtOnce, len(l.texts))])
		if err != nil {
			return nil, err
		}
		more := *l
		more.rows = append(l.rows, rows...)
		l = &more
		p.questions.Store(l)
	}
	return l, nil
}

func (l *loadedTexts) ready() bool { return len(l.rows) == l.width*len(l.texts) }

// loadTexts reads them, or takes those that are in memory.
func (p *Folder) loadTexts(j *jointBank) (*loadedTexts, error) {
	stored, err := p.store.GetMeta(metaTexts)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoTexts
	}
	if err != nil {
		return nil, corrupt("kept texts", err)
	}
	if l := p.questions.Load(); l != nil && l.bank == j.digest && bytes.Equal(l.stored, stored) {
		return l, nil
	}
	kept, err := p.decodeTexts(stored)
	if err != nil {
		return nil, err
	}
	if kept.Bank != j.digest.String() {
		return nil, errNoTexts
	}
	l := &loadedTexts{stored: stored, bank: j.digest, width: j.model.Width()}
	l.texts = kept.Texts[:min(len(kept.Texts), j.mostTexts())]
	return l, nil
}

func (p *Folder) decodeTexts(stored []byte) (kept keptTexts, err error) {
	data, seal := stored, cipher.AEAD(nil)
	if seal, err = p.textsCipher(); err == nil && seal != nil {
		data, err = seal.Open(nil, nil, stored, []byte(metaTexts))
	}
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		err = fmt.Errorf("%w: kept texts: %w", ErrCorrupt, err)
	}
	return kept, err
}

// removeLeftTexts removes texts of other axes than the last that were installed: a TrainBank ended
// between that and keepTexts. What cannot be read is said by who needs it.
func (p *Folder) removeLeftTexts(ctx context.Context) error {
	stored, err := p.store.GetMeta(metaTexts)
	if err != nil {
		return nil
	}
	kept, err := p.decodeTexts(stored)
	ref, none := p.store.GetMeta(metaJoint)
	if err != nil || none != nil || len(ref) != 4 {
		return nil
	}
	if info, err := p.store.Bank(binary.LittleEndian.Uint32(ref)); err != nil || info.Digest.String() == kept.Bank {
		return nil
	}
	return p.store.PutMeta(ctx, metaTexts, nil)
}

// textsCipher encrypts kept texts, in a folder whose profiles are encrypted.
func (p *Folder) textsCipher() (cipher.AEAD, error) { return p.options.cipherOf("xpeft kept texts 1") }

// cipherOf is one for what is nobody's alone, with a key for each purpose; nil in a folder in the
// clear.
func (o Options) cipherOf(purpose string) (cipher.AEAD, error) {
	if o.MasterKey == nil {
		return nil, nil
	}
	key, err := hkdf.Key(sha256.New, o.MasterKey, nil, purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
