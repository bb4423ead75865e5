package fleet

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/sdk"
)

// TestQueue: what waits is there after the state is opened again, in its order, one of a profile at
// a time, and takes no more room than it may.
func TestQueue(t *testing.T) {
	path, key := filepath.Join(t.TempDir(), "fleet.db"), newKey()
	open := func() *state {
		s, err := openState(path, key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	var numbers []uint64
	for i, name := range []string{"A", "B", "A"} {
		n, err := s.enqueue(name, op{ID: newID(), Kind: opObserve, Profile: name, Epoch: uint64(i),
			Examples: []sdk.Example{{Text: "t", Label: "l"}}}, 3)
		if err != nil {
			t.Fatal(err)
		}
		s.release(n)
		numbers = append(numbers, n)
	}
	if _, err := s.enqueue("C", op{}, 3); !errors.Is(err, ErrQueueFull) {
		t.Errorf("a fourth: got %v, want ErrQueueFull", err)
	}
	if err := s.set("A", entry{Seq: 5, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	s.move(0, func(at *place) { at.Seq = 9 })
	if err := s.close(); err != nil {
		t.Fatal(err)
	}

	s = open()
	defer func() { s.close() }()
	if e, err := s.entry("A"); err != nil || e.Seq != 5 || s.place(0).Seq != 9 {
		t.Errorf("after opening again: got %+v, %v at %d, want sequence 5 at 9", e, err, s.place(0).Seq)
	}
	all, err := s.next(10)
	if err != nil || len(all) != 2 || all[0].Name != "A" || all[0].Epoch != 0 || all[1].Name != "B" {
		t.Fatalf("got %+v, %v, want the first of A and of B", all, err)
	}
	if err := s.sent(map[uint64]uint64{numbers[0]: 100}); err != nil {
		t.Fatal(err)
	}
	if all, err = s.next(10); err != nil || len(all) != 2 || all[0].Name != "B" || all[1].Epoch != 2 {
		t.Errorf("after A's first was sent: got %+v, %v, want B's and A's second", all, err)
	}
	if err := s.drop("A", func(p pending) bool { return p.Sent == 100 }); err != nil {
		t.Fatal(err)
	}
	if all, unsent := s.counts(); all != 2 || unsent != 2 {
		t.Errorf("got %d operations, %d unsent, want 2 and 2", all, unsent)
	}
	if waits, err := s.waiting("A"); err != nil || len(waits) != 1 || waits[0].n != numbers[2] {
		t.Errorf("got %+v, %v, want A's second", waits, err)
	}
	if err := s.bind("base"); err != nil {
		t.Fatal(err)
	}
	if err := s.bind("another"); !errors.Is(err, ErrNoFleet) {
		t.Errorf("the directory in another fleet: got %v, want ErrNoFleet", err)
	}
}

// TestConfig lists every fault.
func TestConfig(t *testing.T) {
	_, err := Config{Node: "a b", Secret: []byte("short")}.withDefaults()
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("got %v, want ErrConfig", err)
	}
	for _, want := range []string{"Node", "Servers", "Secret"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a word on %s", err, want)
		}
	}
	if _, err := (Layout{Replicas: 7}).withDefaults(); !errors.Is(err, ErrConfig) {
		t.Errorf("seven replicas: got %v, want ErrConfig", err)
	}
}
