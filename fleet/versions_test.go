package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/xpeft/xpeft/sdk"
)

// bundleOf is a bundle as if it had another version, with its sum made right.
func bundleOf(bundle []byte, version uint16) []byte {
	b := bytes.Clone(bundle)
	binary.LittleEndian.PutUint16(b[len("XPEFTB"):], version)
	sum := sha256.Sum256(b[:len(b)-sha256.Size])
	return append(b[:len(b)-sha256.Size], sum[:]...)
}

// rewrite puts a person's value into the fleet anew, with a bundle of another version.
func rewrite(t *testing.T, n *Node, id string, version uint16) (seq uint64) {
	t.Helper()
	name := n.secrets.nameOf(id)
	p := partitionOf(name, n.plan.Partitions)
	subject := n.valueSubject(p, personKey+name)
	msg, err := n.last(t.Context(), n.valuesStream(p), subject)
	if err != nil || msg == nil {
		t.Fatal(msg, err)
	}
	key, keyErr := n.readKey(t.Context(), p, name)
	v, err := decodeValue(msg.Data)
	if err = errors.Join(err, keyErr); err != nil {
		t.Fatal(err)
	}
	who, err := v.open(key, subject)
	if err != nil {
		t.Fatal(err)
	}
	who.bundle = bundleOf(who.bundle, version)
	v.sealed = who.seal(v, key, subject)
	if seq, err = n.write(t.Context(), subject, v.encode(), msg.Sequence, newID()); err != nil {
		t.Fatal(err)
	}
	return seq
}

// TestVersions: a value whose records an older version wrote is taken as any other. One that a
// newer version wrote is refused, and counted: the node serves what it had, and everybody else.
// What the person is told meanwhile waits for a learner that can read the value, over a restart.
func TestVersions(t *testing.T) {
	t.Parallel()
	c := newFleet(t)
	learner, config := c.learner("learner"), c.config("a")
	a, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { a.Close() }()
	if err := a.Observe(t.Context(), "alice", messages[0]); err != nil {
		t.Fatal(err)
	}
	if err := a.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	taken := func(n *Node, id string, seq uint64) func() bool {
		name := n.secrets.nameOf(id)
		return func() bool {
			e, err := n.state.entry(name)
			return err == nil && e.Seq >= seq && n.state.place(partitionOf(name, 2)).Seq >= seq
		}
	}
	within(t, patience, "value of version 3", taken(a, "alice", rewrite(t, learner, "alice", 3)))
	if s := a.Stats(); s.Refused != 0 {
		t.Errorf("an older version: got %d refused, want none", s.Refused)
	}

	rewrite(t, learner, "alice", 99)
	within(t, patience, "refusal", func() bool { return a.Stats().Refused == 1 })
	if again, err := a.state.folding(); err != nil || len(again) != 1 {
		t.Errorf("to be tried when the node is opened: got %v, %v, want one person", again, err)
	}
	served := func(when string) {
		t.Helper()
		if l, s := answers(t, a, "alice", messages[0].Text); l != "urgent" || s != sdk.SourceTaught {
			t.Errorf("%s: got %q by %q, want what the node had: urgent, taught", when, l, s)
		}
	}
	served("a newer version")
	if err := a.Observe(t.Context(), "alice", messages[8]); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Learn(t.Context(), "bob", messages, nil); err != nil {
		t.Errorf("another person, beside a value of a newer version: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = Open(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	served("after a restart")
	if l, _ := answers(t, a, "alice", messages[8].Text); l != "ignore" || a.Stats().Waiting != 1 {
		t.Errorf("told meanwhile: got %q and %d that wait, want ignore and 1", l, a.Stats().Waiting)
	}
	rewrite(t, learner, "alice", 5)
	within(t, patience, "answer elsewhere", func() bool {
		l, _ := answers(t, learner, "alice", messages[8].Text)
		return l == "ignore" && a.Stats().Waiting == 0
	})

	refuses := func(what string, bundle []byte, want error) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), patience)
		defer stop()
		if err := a.Import(ctx, "carol", bundle); !errors.Is(err, want) {
			t.Errorf("importing %s: got %v, want %v", what, err, want)
		}
	}
	var bundle bytes.Buffer
	_, err = a.folder.Export(t.Context(), &bundle, &sdk.ExportOptions{IDs: []string{"bob"}, Examples: true, State: true})
	if err != nil {
		t.Fatal(err)
	}
	refuses("a bundle of a newer version", bundleOf(bundle.Bytes(), 99), ErrSchema)
	refuses("half a bundle", bundle.Bytes()[:bundle.Len()/2], sdk.ErrCorrupt)
	if err := a.Observe(t.Context(), "carol", messages[0]); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "answer elsewhere", func() bool {
		l, _ := answers(t, learner, "carol", messages[0].Text)
		return l == "urgent"
	})
}
