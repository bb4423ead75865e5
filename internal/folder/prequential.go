package folder

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"

	"github.com/xpeft/xpeft/store"
)

// ValuePrequential is the key of the folder's prequential sums, among the store's values. A
// profile's are in store.Person.Notes.
const ValuePrequential = "prequential"

// Prequential is how often answers were right about examples before anything had learned from them:
// package sdk measures it, and documents it.
type Prequential struct {
	N       float64 `json:"n"`
	Profile float64 `json:"profile"`
	Prior   float64 `json:"prior"`
	Base    float64 `json:"base"`
}

// PrequentialSums reads what is stored: the number of examples, then how many the profile, its
// prior and the base answered rightly. Bytes that are none of that are nothing measured.
func PrequentialSums(b []byte) (sums [4]float64) {
	if len(b) != 4*len(sums) {
		return sums
	}
	for i := range sums {
		if x := float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))); x >= 0 && x < 1e9 {
			sums[i] = x
		}
	}
	return sums
}

// PrequentialOf reads the shares.
func PrequentialOf(b []byte) (q Prequential) {
	sums := PrequentialSums(b)
	if sums[0] == 0 {
		return q
	}
	return Prequential{sums[0], min(1, sums[1]/sums[0]), min(1, sums[2]/sums[0]), min(1, sums[3]/sums[0])}
}

// FolderPrequential is that of all profiles of a folder.
func FolderPrequential(st *store.Store) (Prequential, error) {
	v, err := st.GetMeta(ValuePrequential)
	if errors.Is(err, store.ErrNotFound) {
		return Prequential{}, nil
	}
	return PrequentialOf(v), err
}

// ValueAdvice is the key, among the store's values, of what was found last of the axes on which a
// folder's people differ, and of its head, as JSON: sdk.LastAdvice.
const ValueAdvice = "advice"

// KeepAdvice writes it in the place of the last.
func KeepAdvice(ctx context.Context, st *store.Store, a any) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return st.PutMeta(ctx, ValueAdvice, data)
}

// LastAdvice reads it; nil: there is none yet, or it is of a version that is not known here.
func LastAdvice[T any](st *store.Store) (*T, error) {
	v, err := st.GetMeta(ValueAdvice)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	a := new(T)
	if err != nil || json.Unmarshal(v, a) != nil {
		return nil, err
	}
	return a, nil
}
