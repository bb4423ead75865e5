package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xpeft/xpeft/store/internal/boltpages"
)

// damageTarget makes the store that is damaged: a few profiles, and in the
// buckets of records and examples more than one page, so that there are branch
// pages to damage.
func damageTarget(t *testing.T, dir string) (size int) {
	t.Helper()
	path := filepath.Join(dir, "sound.db")
	s, err := Create(path, testMeta, with(Options{NoSync: true, History: 1}))
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.PutBank(ctx, testBank)
	must(err)
	head, _, err := s.PutHead(ctx, []byte("shared head"))
	must(err)
	must(s.SetHeadName(ctx, "main", head))
	must(s.PutMeta(ctx, "v", []byte("value")))
	want := truth{Ever: map[string]bool{}}
	remember := func() {
		items, errs := answers(s)
		want.Answers = items
		for _, list := range items {
			for _, item := range list {
				want.Ever[item] = true
			}
		}
		if len(errs) > 0 && want.Ever["sound"] {
			t.Fatal(errs)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 2 {
		for i, id := range damageIDs {
			p := randomProfile(r, id)
			p.OwnHead = bytes.Repeat([]byte{byte(i), byte(round)}, 400)
			if i == 0 {
				p.Head, p.OwnHead = head, nil
			}
			_, err := s.Put(ctx, p, Write{State: []byte("state of " + id),
				Append: []Example{{Text: fmt.Sprint(strings.Repeat(id, 200), round), Label: "yes"}, {Text: fmt.Sprint(id, round), Label: "no"}},
				Person: func(p *Person) { p.Notes = []byte("notes of " + id) }})
			must(err)
			remember()
		}
	}
	want.Ever["sound"] = true
	remember()
	must(s.Close())
	f, err := os.Open(path)
	must(err)
	defer f.Close()
	m, err := boltpages.ReadMeta(f)
	must(err)
	size = int(m.High) * m.PageSize // what is behind that nobody reads
	must(os.Truncate(path, int64(size)))
	text, err := json.Marshal(want)
	must(err)
	must(os.WriteFile(filepath.Join(dir, "truth.json"), text, 0o600))
	return size
}

// damageStall is how long a case of less than 10 ms may take before it counts
// as hung.
const damageStall = time.Minute

// TestDamage flips a bit of every byte of a store, and cuts it off at every
// page. Each time the answers must be right or a typed error; "not found" and
// older answers only where Check reports the damage. It takes a sample of
// the flips, with -short a smaller one; all of them with XPEFT_LONG=1.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	size := damageTarget(t, dir)
	step := 13
	switch {
	case os.Getenv("XPEFT_LONG") != "":
		step = 1
	case testing.Short() || raceEnabled:
		step = 61
	}
	flips, truncations := map[string]int{}, map[string]int{}
	count := func(at int, outcome string) {
		outcome, _, _ = strings.Cut(outcome, "\n")
		kind, _, bad := strings.Cut(outcome, ":")
		if bad {
			t.Errorf("case %d (page %d, byte %d): %s", at, at/os.Getpagesize(), at%os.Getpagesize(), outcome)
		}
		if at < size {
			flips[kind]++
		} else {
			truncations[kind]++
		}
	}
	for from := 0; from < size; from += step {
		last, outcome := damageRun(t, dir, from, step, count)
		if outcome == "" {
			break
		}
		count(last, outcome)
		from = last
	}
	// The cuts are few: all of them.
	for from := size; from < damageCases(size); from++ {
		last, outcome := damageRun(t, dir, from, 1, count)
		if outcome == "" {
			break
		}
		count(last, outcome)
		from = last
	}
	t.Logf("a file of %d bytes", size)
	t.Logf("flips: %s", outcomes(flips))
	t.Logf("cuts: %s", outcomes(truncations))
	if flips["refused"] == 0 || flips["typed"] == 0 || flips["missing"] == 0 && step == 1 {
		t.Errorf("got %v, want each of refused, typed and missing: the test damages nothing", flips)
	}
}

func outcomes(counts map[string]int) string {
	total := 0
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		total += counts[kind]
		parts = append(parts, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	return fmt.Sprintf("%d: %s", total, strings.Join(parts, ", "))
}

// damageRun runs a child until it ends; if it did not come to the end of its
// cases, it returns the case that ended it and how.
func damageRun(t *testing.T, dir string, from, step int, count func(int, string)) (last int, outcome string) {
	t.Helper()
	c := child(t, childDamage, fmt.Sprintf("%d %d %s", from, step, dir))
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stalled := false
	watchdog := time.AfterFunc(damageStall, func() {
		stalled = true
		c.Process.Signal(syscall.SIGQUIT) // it then says where it is
	})
	defer watchdog.Stop()
	last, ended, open := from, false, false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		watchdog.Reset(damageStall)
		what, rest, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "case":
			fmt.Sscan(rest, &last)
			open = true
		case "outcome":
			count(last, rest)
			open = false
		case "end":
			ended = true
		}
	}
	err = c.Wait()
	switch {
	case ended:
		return last, ""
	case stalled:
		return last, "hung: " + strings.ReplaceAll(stderr.String(), "\n", " | ")
	case !open:
		t.Fatalf("the child ended between cases: %v, %s", err, stderr.String())
	}
	text := stderr.String()
	return last, "died: " + strings.ReplaceAll(text[:min(len(text), 1500)], "\n", " | ")
}
