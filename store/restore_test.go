package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
)

// TestBackupDamaged cuts a backup at every byte and flips one in each.
func TestBackupDamaged(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 2)
	full, report := backUp(t, s, 0)
	secrets(t, s, 3)
	since, _ := backUp(t, s, report.Revision)
	refused := func(what string, at int, backups ...[]byte) {
		t.Helper()
		_, err := Verify(ctx, nil, readers(backups)...)
		if at%97 == 0 {
			_, err = restored(t, backups...)
		}
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrSchema) {
			t.Fatalf("%s at %d: got %v, want ErrCorrupt", what, at, err)
		}
	}
	for i, b := range [][]byte{full, since} {
		chain := [][]byte{full, since}[:i]
		for at := range b {
			flipped := bytes.Clone(b)
			flipped[at] ^= 1 << (at % 8)
			refused("cut", at, append(slices.Clip(chain), b[:at])...)
			refused("flip", at, append(slices.Clip(chain), flipped)...)
		}
		refused("tail", 0, append(slices.Clip(chain), append(slices.Clip(b), 0))...)
	}
	if _, err := restored(t, full, since); err != nil {
		t.Error(err)
	}
}

// TestRestoreWrongChain gives backups that do not build on each other.
func TestRestoreWrongChain(t *testing.T) {
	s, other := newStore(t, fast), newStore(t, fast)
	secrets(t, other, 5)
	theirs, _ := backUp(t, other, 0)
	step := func(since uint64) ([]byte, uint64) {
		secrets(t, s, 5)
		b, report := backUp(t, s, since)
		return b, report.Revision
	}
	full, at := step(0)
	first, next := step(at)
	second, _ := step(next)
	for name, c := range map[string]struct {
		chain [][]byte
		want  error
	}{
		"none":             {nil, ErrMismatch},
		"without a full":   {[][]byte{first}, ErrMismatch},
		"missing link":     {[][]byte{full, second}, ErrMismatch},
		"wrong order":      {[][]byte{full, second, first}, ErrMismatch},
		"one twice":        {[][]byte{full, first, first}, ErrMismatch},
		"two full":         {[][]byte{full, theirs}, ErrMismatch},
		"another's":        {[][]byte{theirs, first}, ErrMismatch},
		"a bundle":         {[][]byte{export(t, s, everything)}, ErrCorrupt},
		"all in order":     {[][]byte{full, first, second}, nil},
		"only the first":   {[][]byte{full, first}, nil},
		"the full one":     {[][]byte{full}, nil},
		"empty":            {[][]byte{{}}, ErrCorrupt},
		"an empty link":    {[][]byte{full, {}}, ErrCorrupt},
		"a newer version":  {[][]byte{append([]byte("XPEFTA\x03\x00"), full[8:]...)}, ErrSchema},
		"version 0":        {[][]byte{append([]byte("XPEFTA\x00\x00"), full[8:]...)}, ErrCorrupt},
		"full after links": {[][]byte{full, first, full}, ErrMismatch},
	} {
		if _, err := restored(t, c.chain...); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := Restore(ctx, s.Path(), nil, bytes.NewReader(full)); !errors.Is(err, ErrExists) {
		t.Errorf("over a store: got %v, want ErrExists", err)
	}
	if _, err := Verify(ctx, &RestoreOptions{MaxBytes: 1000}, bytes.NewReader(full)); !errors.Is(err, ErrLimit) {
		t.Errorf("a limit: got %v, want ErrLimit", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Verify(gone, nil, bytes.NewReader(full)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
