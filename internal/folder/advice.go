package folder

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/xpeft/xpeft/store"
)

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
