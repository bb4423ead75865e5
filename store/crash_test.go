package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// asStored ignores what no model knows beforehand.
var asStored = cmp.Options{cmpopts.IgnoreFields(Profile{}, "Number", "Created", "Updated"), byValue}

// killsOf is XPEFT_KILLS, or else n, and fewer if short.
func killsOf(t testing.TB, n int) int {
	if text := os.Getenv("XPEFT_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() || raceEnabled {
		return n / 4
	}
	return n
}

// killsOfStore is how many a store lives through before the next one begins.
const killsOfStore = 20

// crash is a store whose process is killed again and again.
type crash struct {
	path   string
	bundle map[string]content
	model  crashModel
	flying map[int]crashOp // by worker: started, not said to be done

	backups [][]byte // a full one and those since; the store may remember the last
	since   uint64

	waited             int // imports that no room cut short
	done, landed, lost int // operations: said to be done; in flight at a kill, and there or not
	seen               map[string]int
	full, built        int // backups: full ones, and those that build on one before a kill
}

// TestCrash kills a process that puts, observes, forgets, rolls back and
// imports, at random moments. What it had said was done is there, whole; what
// it had begun is there whole or not at all; and there is nothing else.
// XPEFT_KILLS is the number of kills.
func TestCrash(t *testing.T) {
	r := newRand(t)
	c := &crash{seen: map[string]int{}}
	kills, least := 0, killsOf(t, 20)
	for ; kills < least || c.done < least && kills < 20*least; kills++ { // on a slow machine lives are short
		if kills%killsOfStore == 0 {
			c.begin(t, r)
		}
		c.kill(t, r, kills%2 == 0)
		if t.Failed() {
			t.Fatalf("at kill %d", kills+1)
		}
	}
	t.Logf("%d kills, %d operations acknowledged %v, %d in flight were stored and %d were not, %d stores checked, %d backups full and %d not",
		kills, c.done, c.seen, c.landed, c.lost, kills, c.full, c.built)
	if c.done < least {
		t.Errorf("got %d operations in %d lives, want more", c.done, kills)
	}
}

// begin makes an empty store, and a bundle.
func (c *crash) begin(t *testing.T, r *rand.Rand) {
	from, to := newStore(t, fast), newStore(t, fast)
	for i := range crashProfiles - 2 {
		p, w := marked(r, crashID(i))
		w.Append = append(w.Append, Example{Text: "of the bundle"})
		for range 1 + r.IntN(3) { // so that revisions differ
			if _, err := from.Put(ctx, p, w); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.path, c.bundle, c.model, c.backups = to.Path(), contents(t, from), crashModel{}, nil
	if err := os.WriteFile(c.path+".bundle", export(t, from, everything), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
}

// kill lets a process live for a while, and checks what it leaves.
func (c *crash) kill(t *testing.T, r *rand.Rand, noSync bool) {
	t.Helper()
	cmd := child(t, childCrash, c.path)
	if !noSync {
		cmd.Env = append(cmd.Env, childSync+"=1")
	}
	wait := time.Duration(1+r.IntN(80_000)) * time.Microsecond
	if r.IntN(4) == 0 {
		wait = -wait / 4 // while it opens
	}
	c.flying = map[int]crashOp{}
	killChild(t, cmd, wait, func(line string) {
		if err := c.hear(strings.TrimSpace(line)); err != nil {
			t.Errorf("after %q: %v", line, err)
		}
	})
	c.checkFile(t)
}

// checkFile opens the store, and checks it in every way.
func (c *crash) checkFile(t *testing.T) {
	t.Helper()
	s, err := Open(c.path, crashOptions(true))
	if err != nil {
		t.Fatal(err)
	}
	c.check(t, s)
	if report, err := s.Check(ctx, true); err != nil {
		t.Errorf("%v %v", err, report.Problems)
	}
	checkCohorts(t, s)
	c.backUp(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// backUp makes a backup since the one before the kill, and restores all. What
// was written between is in it, whatever was killed; the process may have made
// so many that the store remembers that one no more.
func (c *crash) backUp(t *testing.T, s *Store) {
	t.Helper()
	var b bytes.Buffer
	report, err := s.Backup(ctx, &b, &BackupOptions{Since: c.since})
	if c.backups == nil || errors.Is(err, ErrNoBase) {
		b.Reset()
		c.backups = nil
		report, err = s.Backup(ctx, &b, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if c.backups == nil {
		c.full++
	} else {
		c.built++
	}
	c.backups, c.since = append(c.backups, b.Bytes()), report.Revision
	want := snapshot(t, s)
	got, err := restored(t, c.backups...)
	if err != nil {
		t.Fatal(err)
	}
	delete(want, "revision")
	delete(got, "revision")
	if diff := cmp.Diff(want, got, asPut); diff != "" {
		t.Errorf("restored of %d backups (-want +got):\n%s", len(c.backups), diff)
	}
}

// hear takes in a line of the child's.
func (c *crash) hear(line string) error {
	var o crashOp
	if n, _ := fmt.Sscanf(line, "start %s %d %d %d", &o.kind, &o.worker, &o.id, &o.mark); n == 4 {
		c.flying[o.worker] = o
		return nil
	}
	var result int
	if _, err := fmt.Sscanf(line, "done %d %d", &o.worker, &result); err != nil {
		return err
	}
	o, begun := c.flying[o.worker]
	if !begun {
		return fmt.Errorf("worker %d has begun nothing", o.worker)
	}
	delete(c.flying, o.worker)
	c.done++
	c.seen[o.kind]++
	if want := c.model.apply(o, c.bundle); result != want {
		return fmt.Errorf("%v: got %d, want %d", o, result, want)
	}
	return nil
}

// check compares the store with the model, after it has found out which of the
// operations that were in flight are in the store.
func (c *crash) check(t *testing.T, s *Store) {
	t.Helper()
	for _, o := range c.flying {
		after := maps.Clone(c.model)
		after.apply(o, c.bundle)
		same := func(id string, _ *modelled) bool { return c.model[id] == after[id] }
		touched := maps.Clone(after)
		maps.DeleteFunc(touched, same)
		for id, m := range c.model {
			if after[id] == nil && m != nil {
				touched[id] = nil
			}
		}
		if len(touched) == 0 {
			continue
		}
		if c.model.differs(s, touched) == "" {
			c.lost++
		} else if diff := after.differs(s, touched); diff == "" {
			c.landed++
			c.model = after
		} else {
			t.Errorf("%v is neither done nor not: %s", o, diff)
		}
	}
	if diff := c.model.differs(s, c.model); diff != "" {
		t.Errorf("got %s", diff)
	}
	var got []string
	for p, err := range s.Profiles("") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p.ID)
	}
	if want := slices.Sorted(maps.Keys(c.model)); !slices.Equal(got, want) {
		t.Errorf("got profiles %v, want %v", got, want)
	}
}

// differs says how the store is not m, in some of the ids.
func (m crashModel) differs(s *Store, ids crashModel) string {
	for id := range ids {
		if diff := difference(s, id, m[id], asStored); diff != "" {
			return id + ": " + diff
		}
	}
	return ""
}
