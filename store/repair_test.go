package store

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

func repairOptions() *RepairOptions {
	return &RepairOptions{MasterKey: testKey, HeadLabels: testLabels}
}

// repaired repairs a file and opens what came of it, which Repair has checked.
func repaired(t *testing.T, from string) (*Store, RepairReport) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "repaired.db")
	report, err := Repair(ctx, from, to, repairOptions())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(to, fast)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checkAndClose(t, s) })
	return s, report
}

// TestRepairSound repairs what is not damaged: nothing is lost, numbers and
// refs are kept, and what was free can be used.
func TestRepairSound(t *testing.T) {
	r := newRand(t)
	s := filled(t, r, 200)
	head, _, err := s.PutHead(ctx, []byte("head"))
	if err := errors.Join(err, s.SetHeadName(ctx, "main", head), s.PutMeta(ctx, "v", []byte("value")),
		s.Delete(ctx, "user003"), s.Delete(ctx, "user150")); err != nil {
		t.Fatal(err)
	}
	want := contents(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	got, report := repaired(t, s.Path())
	if diff := cmp.Diff(want, contents(t, got), byValue); diff != "" || len(report.Lost) > 0 || report.Profiles != 198 {
		t.Errorf("got %+v %s, want nothing lost", report, diff)
	}
	if ref, err := got.HeadByName("main"); ref != head || err != nil {
		t.Errorf("got head %d, %v, want %d", ref, err, head)
	}
	if _, err := got.Get("user003"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v of a deleted profile, want ErrNotFound", err)
	}
	if _, err := got.Put(ctx, randomProfile(r, "new"), Write{}); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(s.Path()); err != nil || !slices.Equal(before, after) {
		t.Errorf("the damaged file was written to, %v", err)
	}
	if _, err := Repair(ctx, s.Path(), got.Path(), repairOptions()); !errors.Is(err, ErrExists) {
		t.Errorf("got %v, want ErrExists", err)
	}
}

// TestRepairEntries takes single entries out of a store, with the pages whole.
func TestRepairEntries(t *testing.T) {
	del := func(bucket, key []byte) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error { return tx.Bucket(bucket).Delete(key) }
	}
	put := func(bucket, key, value []byte) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put(key, value) }
	}
	ids := func(s *Store, id string) []byte {
		x := txn{keys: s.keys}
		return x.idKey([]byte(id))
	}
	all := []string{"user000", "user001", "user002"}
	s := filled(t, newRand(t), 3)
	for _, id := range all {
		if err := s.AppendExamples(ctx, id, []Example{{Text: "a"}, {Text: "b"}, {Text: "c"}}); err != nil {
			t.Fatal(err)
		}
	}
	first := ids(s, "user000")
	for name, c := range map[string]struct {
		damage func(tx *bolt.Tx) error
		want   []string
		lost   string
	}{
		"id lost":                           {del(format.IDs, first), all, ""},
		"id to no number":                   {put(format.IDs, first, format.Key(77)), all, ""},
		"id to another":                     {put(format.IDs, first, format.Key(2)), all[1:], "record of number 1"},
		"record lost":                       {del(format.Profiles, format.Key(1)), all[1:], "profile "},
		"record damaged":                    {put(format.Profiles, format.Key(1), []byte("?")), all[1:], "record of number 1"},
		"record of a number that cannot be": {put(format.Profiles, format.Key(1<<31), []byte("?")), all, "there cannot be so many"},
		"tally lost":                        {del(format.Meta, format.KeyTally), all, ""},
		"sums lost":                         {del(format.Meta, format.KeySums), all, ""},
		"bank lost":                         {del(format.Banks, format.Key(1)), nil, `record of number 1: profile "user000": store: not found: bank 1`},
		"person lost":                       {del(format.People, format.Key(1)), all, "person of profile 1"},
		"person damaged":                    {put(format.People, format.Key(1), []byte("?????")), all, "person of profile 1"},
		"waiting lost":                      {del(format.Waiting, format.Key(1)), all, ""},
		"waiting damaged":                   {put(format.Waiting, format.Key(1), []byte("?????")), all, ""},
		"value damaged":                     {put(format.Values, []byte("x"), []byte("?????")), all, `value "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "damaged.db")
			backup(t, s, path)
			db, err := bolt.Open(path, 0o600, nil)
			if err := errors.Join(err, db.Update(c.damage), db.Close()); err != nil {
				t.Fatal(err)
			}
			got, report := repaired(t, path)
			var have []string
			for p, err := range got.Profiles("") {
				if err != nil {
					t.Fatal(err)
				}
				have = append(have, p.ID)
			}
			if !slices.Equal(have, c.want) || !strings.Contains(strings.Join(report.Lost, "\n"), c.lost) {
				t.Errorf("got %q, %q, want %q and %q", have, report.Lost, c.want, c.lost)
			}
		})
	}
}

// TestRepairExample loses an example in the middle: the others stay.
func TestRepairExample(t *testing.T) {
	s := filled(t, newRand(t), 1)
	w := Write{DropExamples: true, Append: []Example{{Text: "a"}, {Text: "b"}, {Text: "c"}}}
	if _, err := s.Put(ctx, randomProfile(newRand(t), "user000"), w); err != nil {
		t.Fatal(err)
	}
	stored, err := s.Examples("user000")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "damaged.db")
	backup(t, s, path)
	db, err := bolt.Open(path, 0o600, nil)
	lose := func(tx *bolt.Tx) error {
		return tx.Bucket(format.Examples).Put(format.KeyAt(1, stored[1].Sequence), []byte("?????"))
	}
	if err := errors.Join(err, db.Update(lose), db.Close()); err != nil {
		t.Fatal(err)
	}
	got, report := repaired(t, path)
	examples, err := got.Examples("user000")
	if want := []Example{{Text: "a"}, {Text: "c"}}; !slices.Equal(said(examples), want) || err != nil || len(report.Lost) == 0 {
		t.Errorf("got %v, %v, %q, want %v", examples, err, report.Lost, want)
	}
}

// TestRepairOld repairs files of older versions, one of them killed in an
// import, of which nothing is taken over.
func TestRepairOld(t *testing.T) {
	if testKey != nil {
		t.Skip("they are not encrypted")
	}
	s, report := repaired(t, goldenFile(t, "store-v1.db.zst"))
	checkGoldenStore(t, s)
	s, imported := repaired(t, goldenFile(t, "store-v2.db.zst"))
	if n, err := s.Count(); n != 0 || err != nil {
		t.Errorf("got %d profiles of an import cut short, %v, want none", n, err)
	}
	if lost := append(report.Lost, imported.Lost...); len(lost) > 0 {
		t.Errorf("got lost %q, want nothing", lost)
	}
}

// TestRepairFlips repairs a store with one bit flipped, at many places, and one
// that is cut off. What comes of it is sound, has all that the damaged one
// could still answer, and nothing that was never so.
func TestRepairFlips(t *testing.T) {
	dir := t.TempDir()
	size := damageTarget(t, dir)
	step := 97
	switch {
	case os.Getenv("XPEFT_LONG") != "":
		step = 7
	case testing.Short() || raceEnabled:
		step = 401
	}
	sound, want := soundFile(t, dir)
	counts := map[string]int{}
	for i := 0; i < damageCases(size); i++ {
		if i < size && i%step != 0 {
			continue
		}
		path := filepath.Join(dir, "damaged.db")
		copyKeys(t, filepath.Join(dir, "sound.db"), path)
		if err := os.WriteFile(path, damagedCopy(sound, i), 0o600); err != nil {
			t.Fatal(err)
		}
		kind, bad := repairDamaged(path, want)
		if bad != "" {
			t.Errorf("case %d (page %d, byte %d): %s", i, i/os.Getpagesize(), i%os.Getpagesize(), bad)
		}
		if i >= size {
			kind = "cut: " + kind
		}
		counts[kind]++
	}
	t.Log(outcomes(counts))
	if counts["whole"] == 0 || counts["some lost"] == 0 || counts["cut: corrupt"] == 0 {
		t.Errorf("got %v, want each kind", counts)
	}
}

// repairDamaged says what became of a damaged file, and what is wrong with
// that.
func repairDamaged(path string, want truth) (kind, bad string) {
	to := path + ".repaired.db"
	defer os.Remove(to)
	defer os.Remove(KeysPath(to))
	report, err := Repair(ctx, path, to, repairOptions())
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrSchema) {
		if _, serr := os.Stat(to); serr == nil {
			return "corrupt", "there is a file"
		}
		if strings.Contains(err.Error(), "check:") {
			return "corrupt", "what was made is damaged: " + err.Error()
		}
		return "corrupt", ""
	}
	if err != nil {
		return "", err.Error()
	}
	s, err := Open(to, with(Options{ReadOnly: true}))
	if err != nil {
		return "", err.Error()
	}
	defer s.Close()
	got, _ := answers(s)
	for _, items := range got {
		for _, item := range items {
			if !want.Ever[item] && !strings.HasSuffix(item, "is called []") { // the name is lost
				return "", "false: " + item
			}
		}
	}
	if bad := lessThan(got, path, want); bad != "" {
		return "", bad
	}
	if kind, detail := judge(s, want); kind != "right" {
		if len(report.Lost) == 0 && !report.TornMeta {
			return "", "not in the report: " + kind + " " + detail
		}
		return "some lost", ""
	}
	return "whole", ""
}

// lessThan names what the damaged file itself answers rightly, and the
// repaired one does not. A history without its record, and a record without its
// bank or head, are of no use.
func lessThan(got map[string][]string, path string, want truth) string {
	damaged, err := Open(path, with(Options{ReadOnly: true}))
	if err != nil {
		return ""
	}
	defer damaged.Close()
	have, errs := answers(damaged)
	if errs["head"] != nil || errs["bank"] != nil {
		return ""
	}
	for question, items := range have {
		if id, ok := strings.CutPrefix(question, "history "); ok && errs["get "+id] != nil {
			continue
		}
		if errs[question] == nil && slices.Equal(items, want.Answers[question]) && !slices.Equal(got[question], items) {
			return "the damaged store has more: " + question
		}
	}
	return ""
}

// TestRepairRandom repairs what is no store, or hardly: it is an error, in time
// and without a panic.
func TestRepairRandom(t *testing.T) {
	dir := t.TempDir()
	damageTarget(t, dir)
	sound, want := soundFile(t, dir)
	r := rand.New(rand.NewPCG(8, 9))
	path := filepath.Join(dir, "damaged.db")
	copyKeys(t, filepath.Join(dir, "sound.db"), path)
	for range 150 {
		b := slices.Clone(sound)
		for range 1 + r.IntN(200) {
			b[2*os.Getpagesize()+r.IntN(len(b)-2*os.Getpagesize())] = byte(r.Uint32())
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, bad := repairDamaged(path, want); bad != "" && !strings.HasPrefix(bad, "the damaged") {
			t.Error(bad)
		}
	}
}

// soundFile is what damageTarget made.
func soundFile(t *testing.T, dir string) (sound []byte, want truth) {
	t.Helper()
	sound, want, err := readTarget(dir)
	if err != nil {
		t.Fatal(err)
	}
	return sound, want
}
