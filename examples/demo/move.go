package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/xpeft/xpeft/sdk"
)

// errDiffers ends the demo with a failure.
var errDiffers = errors.New("the answers after the import are not those before")

// move exports all profiles, forgets them, imports them, and asks again.
func (s *show) move(ctx context.Context) error {
	before, err := s.predict(ctx, s.questions())
	if err != nil {
		return err
	}
	s.printf("\n4. Move: all profiles out of the store and back.\n\n")
	var bundle bytes.Buffer
	n, err := s.profiles.Export(ctx, &bundle, nil)
	if err != nil {
		return err
	}
	s.printf("  export    %d profiles in a bundle of %s bytes\n", n, thousands(bundle.Len()))
	if err := s.forget(ctx); err != nil {
		return err
	}
	if _, err := s.profiles.Import(ctx, &bundle, nil); err != nil {
		return err
	}
	s.printf("  import    %d profiles\n", n)
	after, err := s.predict(ctx, s.questions())
	if err != nil {
		return err
	}
	for i := range before {
		if !identical(before[i], after[i]) {
			return fmt.Errorf("%w: %s, %q: %v, then %v", errDiffers, before[i].Profile, s.questions()[i].Text,
				before[i], after[i])
		}
	}
	s.printf("  ask       %d answers, compared bit by bit with those before the export: identical\n", len(after))
	return nil
}

// forget erases everybody, and shows that the store then says so instead of answering for somebody
// else.
func (s *show) forget(ctx context.Context) error {
	var ids []string
	for _, p := range s.people {
		if ids = append(ids, p.name); s.trainsAll {
			ids = append(ids, byPaper(p.name))
		}
	}
	for _, id := range ids {
		if err := s.profiles.Forget(ctx, id); err != nil {
			return err
		}
	}
	name := s.people[0].name
	_, err := s.profiles.Predict(ctx, name, s.unseen[0].Text, nil)
	if !errors.Is(err, sdk.ErrProfileNotFound) {
		return fmt.Errorf("predict for %s, who is forgotten: got %v, want %v", name, err, sdk.ErrProfileNotFound)
	}
	s.printf("  forget    %d profiles; asked for %s now: %q\n", len(ids), name, err)
	return nil
}

// identical is whether two answers are the same to the last bit.
func identical(a, b sdk.Prediction) bool {
	if a.Profile != b.Profile || a.Label != b.Label || a.Source != b.Source ||
		len(a.Probabilities) != len(b.Probabilities) {
		return false
	}
	for i, p := range a.Probabilities {
		q := b.Probabilities[i]
		if p.Label != q.Label || math.Float32bits(p.P) != math.Float32bits(q.P) {
			return false
		}
	}
	return true
}
