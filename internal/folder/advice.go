package folder

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/xpeft/xpeft/store"
)

// ValueAdvice is the key of the folder's Advice, among the store's values.
const ValueAdvice = "advice"

// Advice is what was found last of the axes on which a folder's people differ, and of its head:
// package sdk measures it, and documents it.
type Advice struct {
	Time       time.Time `json:"time"`
	Trained    bool      `json:"trained"`
	Worth      bool      `json:"worth"`
	Reason     string    `json:"reason"`
	People     int       `json:"people"`
	Rank       int       `json:"rank"`
	Gain       float64   `json:"gain"`
	Low        float64   `json:"low"`
	High       float64   `json:"high"`
	MorePeople int       `json:"more_people"`
	HeadReason string    `json:"head_reason"`
	HeadGain   float64   `json:"head_gain"`
	HeadLow    float64   `json:"head_low"`
	HeadHigh   float64   `json:"head_high"`
}

// KeepAdvice writes it in the place of the last.
func KeepAdvice(ctx context.Context, st *store.Store, a Advice) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return st.PutMeta(ctx, ValueAdvice, data)
}

// LastAdvice reads it; nil: there is none yet, or it is of a version that is not known here.
func LastAdvice(st *store.Store) (*Advice, error) {
	v, err := st.GetMeta(ValueAdvice)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	a := new(Advice)
	if err != nil || json.Unmarshal(v, a) != nil {
		return nil, err
	}
	return a, nil
}
