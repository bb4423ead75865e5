package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bitmask"
)

// filled has n profiles with states, examples, and some with a shared head.
func filled(t testing.TB, r *rand.Rand, n int) *Store {
	t.Helper()
	s := newStore(t, fast)
	head, _, err := s.PutHead(ctx, []byte("shared"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		p := randomProfile(r, fmt.Sprintf("user%03d", i))
		if p.OwnHead == nil {
			p.Head = head
		}
		w := Write{State: []byte("state of " + p.ID)}
		for j := range r.IntN(3) {
			w.Append = append(w.Append, Example{Text: fmt.Sprint("text ", j), Label: "l",
				Time: time.UnixMicro(5).UTC()})
		}
		if _, err := s.Put(ctx, p, w); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

var everything = ExportOptions{Examples: true, State: true}

// allBanks takes in whatever bank a bundle has.
var allBanks = ImportOptions{AllowBank: func(BankInfo) error { return nil }}

func export(t testing.TB, s *Store, o ExportOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Export(ctx, &b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// contents is all that a user can see of profiles, by id.
func contents(t testing.TB, s *Store) map[string]content {
	t.Helper()
	all := map[string]content{}
	for p, err := range s.Profiles("") {
		if err != nil {
			t.Fatal(err)
		}
		c := content{Profile: p}
		var errs [3]error
		c.State, errs[0] = s.State(p.ID)
		c.Examples, errs[1] = s.Examples(p.ID)
		for i := range c.Examples {
			c.Examples[i].Sequence = 0 // each file's own
		}
		c.Profile.Number = 0
		if p.Head != 0 {
			c.Head, errs[2] = s.Head(p.Head)
			p.Head = 0
		}
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		all[p.ID] = c
	}
	return all
}

type content struct {
	Profile  *Profile
	State    []byte
	Examples []Example
	Head     []byte
}

var byValue = cmp.Comparer((*bitmask.Mask).Equal)

func TestBundleRoundTrip(t *testing.T) {
	r := newRand(t)
	from := filled(t, r, 40)
	want := contents(t, from)
	bundle := export(t, from, everything)
	if again := export(t, from, everything); !bytes.Equal(bundle, again) {
		t.Error("two exports of the same profiles differ")
	}
	to := newStore(t, fast)
	if _, _, err := to.PutHead(ctx, []byte("another head")); err != nil { // the refs differ
		t.Fatal(err)
	}
	report, err := to.Import(ctx, bytes.NewReader(bundle), ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Profiles != 40 || report.Heads != 1 || report.Banks != 0 {
		t.Errorf("got %+v, want 40 profiles, 1 head, no bank", report)
	}
	if diff := cmp.Diff(want, contents(t, to), byValue); diff != "" {
		t.Error(diff)
	}
	to = reopen(t, to, fast)
	if diff := cmp.Diff(want, contents(t, to), byValue); diff != "" {
		t.Error(diff)
	}
	// Without the options neither state nor examples leave the store.
	if bare := export(t, from, ExportOptions{}); len(bare) >= len(bundle) {
		t.Errorf("got %d bytes, want less than %d", len(bare), len(bundle))
	}
}

func TestExportSelection(t *testing.T) {
	r := newRand(t)
	from := filled(t, r, 12)
	for name, c := range map[string]struct {
		o    ExportOptions
		want int
		err  error
	}{
		"prefix":     {ExportOptions{Prefix: "user00"}, 10, nil},
		"ids":        {ExportOptions{IDs: []string{"user011", "user002", "user011"}}, 2, nil},
		"none":       {ExportOptions{IDs: []string{}}, 0, nil},
		"unknown id": {ExportOptions{IDs: []string{"nobody"}}, 0, ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			n, err := from.Export(ctx, &b, c.o)
			if n != c.want || !errors.Is(err, c.err) {
				t.Fatalf("got %d, %v, want %d, %v", n, err, c.want, c.err)
			}
			to := newStore(t, fast)
			report, err := to.Import(ctx, &b, ImportOptions{})
			if (err == nil) != (c.err == nil) || report.Profiles != c.want {
				t.Errorf("import: got %d, %v, want %d", report.Profiles, err, c.want)
			}
		})
	}
}

func TestImportPolicies(t *testing.T) {
	r := newRand(t)
	from := filled(t, r, 10)
	bundle := export(t, from, everything)
	theirs := contents(t, from)
	for name, c := range map[string]struct {
		o     ImportOptions
		check func(t *testing.T, report ImportReport, mine, got map[string]content)
		err   error
	}{
		"fail": {ImportOptions{}, nil, ErrExists},
		"skip": {ImportOptions{Policy: Skip}, func(t *testing.T, rep ImportReport, mine, got map[string]content) {
			if rep.Profiles != 8 || rep.Skipped != 2 || len(got) != 10 {
				t.Errorf("got %+v and %d profiles", rep, len(got))
			}
			if diff := cmp.Diff(mine["user003"], got["user003"], byValue); diff != "" {
				t.Error(diff)
			}
		}, nil},
		"overwrite": {ImportOptions{Policy: Overwrite},
			func(t *testing.T, rep ImportReport, mine, got map[string]content) {
				if rep.Profiles != 10 || rep.Overwritten != 2 || len(got) != 10 {
					t.Errorf("got %+v and %d profiles", rep, len(got))
				}
				if rev, old := got["user003"].Profile.Revision, mine["user003"].Profile.Revision; rev <= old {
					t.Errorf("got revision %d after %d, want a higher one", rev, old)
				}
				if diff := cmp.Diff(theirs["user003"].State, got["user003"].State); diff != "" {
					t.Error(diff)
				}
			}, nil},
		"rename": {ImportOptions{Policy: Rename}, func(t *testing.T, rep ImportReport, mine, got map[string]content) {
			if rep.Profiles != 10 || rep.Renamed["user003"] != "user003-2" || len(rep.Renamed) != 2 || len(got) != 12 {
				t.Errorf("got %+v and %d profiles", rep, len(got))
			}
		}, nil},
		"rename by function": {ImportOptions{Policy: Rename, Rename: strings.ToUpper},
			func(t *testing.T, rep ImportReport, mine, got map[string]content) {
				if rep.Renamed["user003"] != "USER003" || len(got) != 12 {
					t.Errorf("got %+v and %d profiles", rep, len(got))
				}
			}, nil},
		"rename to one that exists": {ImportOptions{Policy: Rename, Rename: func(string) string { return "user009" }},
			nil, ErrExists},
		"rename to a bad id": {ImportOptions{Policy: Rename, Rename: func(string) string { return "" }}, nil,
			ErrID},
		"prefix": {ImportOptions{Prefix: "x/"}, func(t *testing.T, rep ImportReport, mine, got map[string]content) {
			if _, ok := got["x/user003"]; !ok || len(got) != 12 {
				t.Errorf("got %+v and %d profiles", rep, len(got))
			}
		}, nil},
		"long prefix": {ImportOptions{Prefix: strings.Repeat("x", 256)}, nil, ErrID},
		"profiles":    {ImportOptions{Prefix: "x/", MaxProfiles: 9}, nil, ErrLimit},
		"bytes":       {ImportOptions{Prefix: "x/", MaxBytes: 500}, nil, ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			to := newStore(t, fast)
			for _, id := range []string{"user003", "user009"} {
				for range 3 {
					if _, err := to.Put(ctx, randomProfile(r, id),
						Write{State: []byte("mine"), Append: []Example{{Text: "mine"}}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			mine := contents(t, to)
			report, err := to.Import(ctx, bytes.NewReader(bundle), c.o)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			got := contents(t, to)
			if err != nil {
				if diff := cmp.Diff(mine, got, byValue); diff != "" {
					t.Errorf("failed import left traces: %s", diff)
				}
				if heads, _ := to.Heads(); len(heads) != 0 {
					t.Errorf("got %d heads, want none", len(heads))
				}
				return
			}
			c.check(t, report, mine, got)
		})
	}
}

// TestBundleDamage cuts a bundle at every byte and flips every bit of it. The
// store's file stays as it was, byte for byte.
func TestBundleDamage(t *testing.T) {
	r := newRand(t)
	bundle := export(t, filled(t, r, 3), everything)
	to := newStore(t, fast)
	if _, err := to.Put(ctx, randomProfile(r, "mine"), Write{}); err != nil {
		t.Fatal(err)
	}
	want := contents(t, to)
	file, err := os.ReadFile(to.Path())
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, b []byte) {
		_, err := to.Import(ctx, bytes.NewReader(b), ImportOptions{Policy: Overwrite})
		if err == nil {
			t.Fatalf("%s: got nil, want an error", what)
		}
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrSchema) && !errors.Is(err, ErrMismatch) &&
			!errors.Is(err, ErrLimit) {
			t.Errorf("%s: got %v, want ErrCorrupt", what, err)
		}
		if err := to.nothingPending(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	t.Logf("bundle of %d bytes", len(bundle))
	step := 1
	if testing.Short() || raceEnabled {
		step = 7
	}
	for i := 0; i < len(bundle); i += step {
		refused(fmt.Sprint("cut at ", i), bundle[:i])
		flipped := bytes.Clone(bundle)
		flipped[i] ^= 1 << (i % 8)
		refused(fmt.Sprint("flipped at ", i), flipped)
	}
	refused("tail", append(bytes.Clone(bundle), 0))
	refused("twice", append(bytes.Clone(bundle), bundle...))
	if now, err := os.ReadFile(to.Path()); err != nil || !bytes.Equal(now, file) {
		t.Errorf("the store's file has changed, %v", err)
	}
	if diff := cmp.Diff(want, contents(t, to), byValue); diff != "" {
		t.Error(diff)
	}
}
