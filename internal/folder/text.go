package folder

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/text/unicode/norm"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// valueFold is the key of the store's value that says whether the model's tokenizer folds case: one
// byte, 0 or 1.
const valueFold = "fold_case"

// Texts says which texts of a folder are one: those that differ in nothing but Unicode's forms, in
// white space and, if the model's tokenizer folds case, in case. It is the full text that counts,
// before any cut, and never its tokens: all emoji are one token.
type Texts struct{ exact atomic.Bool }

// Key of a text or pair.
func (t *Texts) Key(text, pair string) uint64 {
	return store.TextHash(t.plain(text), t.plain(pair))
}

func (t *Texts) plain(text string) string {
	if !t.exact.Load() {
		text = strings.ToLower(text)
	}
	return strings.Join(strings.Fields(norm.NFC.String(text)), " ")
}

// Into puts the rules into the options of a store.
func (t *Texts) Into(o *store.Options) { o.TextKey, o.Held, o.HeadLabels = t.Key, held, headLabels }

// headLabels are the labels of a head as filters name them, and their counts.
func headLabels(data []byte) (labels []string, counts []uint32) {
	var h model.Head
	if h.UnmarshalBinary(data) != nil {
		return nil, nil
	}
	for _, l := range h.Labels {
		labels = append(labels, model.CleanLabel(l))
	}
	return labels, h.Counts
}

// Read takes from an open store whether case is folded. A folder that no version has opened which
// writes it down folds case.
func (t *Texts) Read(st *store.Store) error {
	v, err := st.GetMeta(valueFold)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil && (len(v) != 1 || v[0] > 1) {
		err = fmt.Errorf("%w: value %q is %x", store.ErrCorrupt, valueFold, v)
	}
	if err == nil {
		t.exact.Store(v[0] == 0)
	}
	return err
}

// Fold says whether case is folded, and returns the value that keeps it, and its key in the store.
func (t *Texts) Fold(fold bool) (key string, value []byte) {
	t.exact.Store(!fold)
	if fold {
		return valueFold, []byte{1}
	}
	return valueFold, []byte{0}
}

// held decides for a text's life whether it is kept back from training, three in ten: by its key
// alone, so that no label, name or import changes it. Older versions decided by the profile's id
// too.
func held(id string, e store.Example, old bool) bool {
	if e.Rejected {
		return false // there is no right answer to compare with
	}
	if !old {
		return e.Key%10 < 3
	}
	return store.TextHash(id, e.Text, e.Pair)%10 < 3
}
