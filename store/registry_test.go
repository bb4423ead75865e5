package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBanks(t *testing.T) {
	s := newStore(t, fast)
	other := BankInfo{Digest: Digest{8}, N: 400, Blocks: 12}
	if ref, err := s.PutBank(ctx, other); ref != 2 || err != nil {
		t.Fatalf("got ref %d, %v, want 2", ref, err)
	}
	if ref, err := s.PutBank(ctx, testBank); ref != 1 || err != nil {
		t.Errorf("again: got ref %d, %v, want 1", ref, err)
	}
	s = reopen(t, s, fast)
	want := []BankInfo{testBank, other}
	want[0].Ref, want[1].Ref = 1, 2
	got, err := s.Banks()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, w := range want {
		if got, err := s.BankByDigest(w.Digest); err != nil || !cmp.Equal(got, w) {
			t.Errorf("got %v, %v, want %v", got, err, w)
		}
	}
	for what, err := range map[string]error{
		"ref":    second(s.Bank(3)),
		"digest": second(s.BankByDigest(Digest{9})),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", what, err)
		}
	}
	for _, bad := range []BankInfo{{N: 0, Blocks: 1}, {N: 1 << 17, Blocks: 1}, {N: 1, Blocks: 0}} {
		if _, err := s.PutBank(ctx, bad); err == nil {
			t.Errorf("%v: got nil, want an error", bad)
		}
	}
}

func TestHeads(t *testing.T) {
	s := newStore(t, fast)
	data := []byte("a head")
	ref, digest, err := s.PutHead(ctx, data)
	if err != nil || digest != Digest(sha256.Sum256(data)) {
		t.Fatalf("got %d, %v, %v", ref, digest, err)
	}
	again, _, err := s.PutHead(ctx, data)
	if again != ref || err != nil {
		t.Errorf("again: got ref %d, %v, want %d", again, err, ref)
	}
	empty, _, err := s.PutHead(ctx, nil)
	if err != nil || empty == ref {
		t.Errorf("empty: got ref %d, %v, want a new one", empty, err)
	}
	if err := errors.Join(s.SetHeadName(ctx, "main", empty), s.SetHeadName(ctx, "main", ref), s.SetHeadName(ctx, "x", ref)); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s, fast)
	if got, err := s.HeadByName("main"); got != ref || err != nil {
		t.Errorf("got ref %d, %v, want %d", got, err, ref)
	}
	if got, err := s.Head(ref); !bytes.Equal(got, data) || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, data)
	}
	infos, err := s.Heads()
	if err != nil {
		t.Fatal(err)
	}
	want := []HeadInfo{
		{Ref: ref, Digest: digest, Size: len(data), Names: []string{"main", "x"}},
		{Ref: empty, Digest: sha256.Sum256(nil)},
	}
	if diff := cmp.Diff(want, infos); diff != "" {
		t.Error(diff)
	}
	for what, err := range map[string]error{
		"ref":     second(s.Head(9)),
		"name":    second(s.HeadByName("none")),
		"to name": s.SetHeadName(ctx, "y", 9),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", what, err)
		}
	}
	if err := s.SetHeadName(ctx, "", ref); !errors.Is(err, ErrID) {
		t.Errorf("empty name: got %v, want ErrID", err)
	}
}

func TestMetaValues(t *testing.T) {
	s := newStore(t, fast)
	if _, err := s.GetMeta("k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	for _, want := range [][]byte{[]byte("v"), {}, []byte("w")} {
		if err := s.PutMeta(ctx, "k", want); err != nil {
			t.Fatal(err)
		}
		if got, err := s.GetMeta("k"); err != nil || got == nil || !bytes.Equal(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if err := s.PutMeta(ctx, "k", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetMeta("k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: got %v, want ErrNotFound", err)
	}
	if err := s.PutMeta(ctx, "k", make([]byte, maxValue+1)); !errors.Is(err, ErrLimit) {
		t.Errorf("large: got %v, want ErrLimit", err)
	}
}
