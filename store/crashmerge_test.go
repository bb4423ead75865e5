package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/store/internal/sidefile"
)

const childMerge = "XPEFT_STORE_TEST_MERGE"

func init() { children[childMerge] = mergeForever }

// mergeProfiles is how many are in each bundle; so many batches has a merge.
const (
	mergeProfiles = 60
	mergeAtOnce   = 3
)

// mergeForever imports two bundles of the same ids in turn, and a third one that
// is damaged at its end.
func mergeForever(path string) error {
	var bundles [3][]byte
	for i := range bundles {
		var err error
		if bundles[i], err = os.ReadFile(fmt.Sprint(path, ".bundle", i)); err != nil {
			return err
		}
	}
	s, err := Open(path, childOptions())
	if err != nil {
		return err
	}
	s.batch = mergeAtOnce
	fmt.Println("begun")
	for i := rand.IntN(2); ; i++ {
		if _, err := s.Import(ctx, bytes.NewReader(bundles[2]), ImportOptions{Policy: Overwrite}); !errors.Is(err,
			ErrCorrupt) {
			return fmt.Errorf("damaged: %w", err)
		}
		if _, err := s.Import(ctx, bytes.NewReader(bundles[i%2]), ImportOptions{Policy: Overwrite}); err != nil {
			return err
		}
		fmt.Println("done", i%2)
	}
}

// TestCrashMerge kills a process that imports, mostly in the middle of a merge. A
// reader then finds each profile whole as one of the bundles has it, none of a
// bundle that failed verification, and none missing; a writer all of one bundle. XPEFT_KILLS
// is the number of kills.
func TestCrashMerge(t *testing.T) {
	r := newRand(t)
	s, err := Create(t.TempDir()+"/xpeft.db", testMeta, crashOptions(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutBank(ctx, testBank); err != nil {
		t.Fatal(err)
	}
	var marks [3]map[string]content
	for i := range marks {
		var b []byte
		b, marks[i] = bundled(t, r, mergeProfiles)
		if i == 0 {
			if _, err := s.Import(ctx, bytes.NewReader(b), ImportOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if i == 2 {
			b[len(b)-1] ^= 1 // of the SHA-256
		}
		if err := os.WriteFile(fmt.Sprint(s.Path(), ".bundle", i), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	pending, spooling, kills := 0, 0, killsOf(t, 40)
	i := 0
	for ; i < kills || pending < kills/10 && i < 10*kills; i++ { // a kill is where the clock has it
		cmd := child(t, childMerge, s.Path())
		if i%2 == 1 {
			cmd.Env = append(cmd.Env, childSync+"=1")
		}
		wait := time.Duration(1+r.IntN(40_000)) * time.Microsecond
		if r.IntN(4) == 0 {
			wait = -wait / 2 // while it opens, and finishes what the one before has left
		}
		killChild(t, cmd, wait, func(line string) {
			if line != "done 0\n" && line != "done 1\n" {
				t.Errorf("child says %q", line)
			}
		})
		switch mixed, left := mixedMarks(t, s.Path(), true, marks), sideLeft(s.Path()); {
		case mixed:
			pending++
		case left:
			spooling++
		}
		if mixed := mixedMarks(t, s.Path(), false, marks); mixed {
			t.Errorf("kill %d: once opened, not all profiles are of one bundle", i+1)
		}
		if t.Failed() {
			t.Fatalf("at kill %d", i+1)
		}
	}
	t.Logf("%d kills, %d in the middle of a merge, %d with a side file besides", i, pending, spooling)
	if pending < kills/10 {
		t.Errorf("got %d of %d kills in the middle of a merge, want more", pending, i)
	}
}

func sideLeft(path string) bool {
	_, err := os.Lstat(path + sidefile.Suffix)
	return err == nil
}

// mixedMarks opens the store and checks that each profile is whole as one of the
// first two bundles has it. It returns whether they are of both.
func mixedMarks(t *testing.T, path string, readOnly bool, marks [3]map[string]content) bool {
	t.Helper()
	s, err := Open(path, with(Options{NoSync: true, ReadOnly: readOnly, History: 2, MaxExamples: 4}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := contents(t, s)
	var of [2]int
	for id, c := range got {
		c.Profile.Revision = marks[0][id].Profile.Revision // counts the imports
		switch {
		case cmp.Equal(c, marks[0][id], byValue):
			of[0]++
		case cmp.Equal(c, marks[1][id], byValue):
			of[1]++
		default:
			t.Errorf("%s is of neither bundle; of the damaged one: %t", id, cmp.Equal(c, marks[2][id], byValue))
		}
	}
	if len(got) != mergeProfiles {
		t.Errorf("got %d profiles, want %d", len(got), mergeProfiles)
	}
	if report, err := s.Check(ctx, true); err != nil {
		t.Errorf("read-only %t: %v %v", readOnly, err, report.Problems)
	}
	if err := s.nothingPending(); !readOnly && err != nil {
		t.Error(err)
	}
	return of[0] > 0 && of[1] > 0
}
