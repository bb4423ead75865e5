package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What the child of TestDamage does: it damages one copy of a store after
// another and says what became of each. If it faults or hangs, the parent knows
// by what.

// truth is what a sound store answers, and ever all that it has answered since
// it was made.
type truth struct {
	Answers map[string][]string
	Ever    map[string]bool
}

var damageIDs = []string{"ann", "bob", "cleo", "dan", "eve"}

// damageNew is put into a damaged store.
const damageNew = "new"

// answers asks a store for all that it holds; of each question the items of
// the answer, and the error.
func answers(s *Store) (items map[string][]string, errs map[string]error) {
	items, errs = map[string][]string{}, map[string]error{}
	say := func(question string, err error, format string, args ...any) {
		if err != nil {
			errs[question] = errors.Join(errs[question], err)
			return
		}
		items[question] = append(items[question], question+": "+fmt.Sprintf(format, args...))
	}
	profile := func(question string, p *Profile, err error) {
		if err != nil {
			say(question, err, "")
			return
		}
		if p.ID != damageNew {
			b, err := EncodeProfile(p)
			say(question, err, "%x", b)
		}
	}
	for _, id := range damageIDs {
		p, err := s.Get(id)
		profile("get "+id, p, err)
		state, err := s.State(id)
		if state != nil || err != nil { // nil: it has none
			say("state "+id, err, "%x", state)
		}
		ps, err := s.History(id)
		say("history "+id, err, "")
		for _, p := range ps {
			profile("history "+id, p, nil)
		}
		examples, err := s.Examples(id)
		say("examples "+id, err, "")
		for _, e := range said(examples) {
			say("examples "+id, nil, "%+v", e)
		}
		person, err := s.Person(id)
		if person.Notes != nil || err != nil {
			say("person "+id, err, "%s", person.Notes)
		}
	}
	for p, err := range s.Profiles("") {
		profile("list", p, err)
	}
	for p, err := range s.Shuffled() {
		profile("shuffled", p, err)
	}
	heads, err := s.Heads()
	say("heads", err, "")
	for _, h := range heads {
		say("heads", nil, "%d %s %d", h.Ref, h.Digest, h.Size)
		say("heads", nil, "%d is called %q", h.Ref, h.Names)
	}
	ref, err := s.HeadByName("main")
	say("head by name", err, "%d", ref)
	head, err := s.Head(1)
	say("head", err, "%x", head)
	bank, err := s.BankByDigest(testBank.Digest)
	say("bank", err, "%+v", bank)
	value, err := s.GetMeta("v")
	say("value", err, "%x", value)
	return items, errs
}

// damageForever is the child: its argument is a folder with sound.db and
// truth.json, and the first case and the step to the next.
func damageForever(arg string) error {
	var dir string
	var from, step int
	if _, err := fmt.Sscanf(arg, "%d %d %s", &from, &step, &dir); err != nil {
		return err
	}
	sound, want, err := readTarget(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "damaged.db")
	keys, _ := os.ReadFile(KeysPath(filepath.Join(dir, "sound.db"))) // if there are any
	for i := from; i < damageCases(len(sound)); i += step {
		damaged := damagedCopy(sound, i)
		if err := errors.Join(os.WriteFile(path, damaged, 0o600),
			os.WriteFile(KeysPath(path), keys, 0o600)); err != nil {
			return err
		}
		fmt.Println("case", i)
		outcome := readDamaged(path, want)
		// Where nothing that is read was damaged a write can hardly matter.
		if outcome != "harmless" || i%16 == 0 {
			if bad := writeDamaged(path, want); bad != "" && !strings.HasPrefix(outcome, "FAIL") {
				outcome = bad
			}
		}
		fmt.Println("outcome", outcome)
	}
	fmt.Println("end")
	return nil
}

// readTarget reads what damageTarget made.
func readTarget(dir string) (sound []byte, want truth, err error) {
	sound, err = os.ReadFile(filepath.Join(dir, "sound.db"))
	if err != nil {
		return nil, want, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		return nil, want, err
	}
	return sound, want, json.Unmarshal(text, &want)
}

// The cases are a flip of each byte, then cuts: at each page, beside it, and
// at odd lengths.
func damageCases(size int) int { return size + len(cuts(size)) }

func cuts(size int) (at []int) {
	for page := 0; page < size; page += os.Getpagesize() {
		at = append(at, page, page+1, page+57, page+2049, page+os.Getpagesize()-1)
	}
	return at
}

func damagedCopy(sound []byte, i int) []byte {
	if i < len(sound) {
		b := slices.Clone(sound)
		b[i] ^= 1 << ((i*5 + i/8) % 8)
		return b
	}
	return sound[:cuts(len(sound))[i-len(sound)]]
}

// readDamaged asks a damaged store everything. What it says begins with FAIL
// if an answer was wrong, or something was lost that Check does not report.
func readDamaged(path string, want truth) string {
	s, err := Open(path, with(Options{ReadOnly: true}))
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrSchema) {
		return "refused"
	}
	if err != nil {
		return fmt.Sprintf("FAIL: Open: %v", err)
	}
	defer s.Close()
	kind, detail := judge(s, want)
	report, checkErr := s.Check(ctx, true)
	switch {
	case kind == "FAIL":
		return "FAIL: " + detail
	case checkErr != nil && !errors.Is(checkErr, ErrCorrupt):
		return fmt.Sprintf("FAIL: Check: %v", checkErr)
	case checkErr == nil && report.TornMeta && (kind == "right" || kind == "older"):
		return "torn meta"
	case checkErr == nil && kind != "right":
		return "FAIL: Check does not report it: " + kind + ": " + detail
	case checkErr == nil:
		return "harmless"
	}
	return kind
}

// judge compares the answers of a damaged store with the truth.
func judge(s *Store, want truth) (kind, detail string) {
	items, errs := answers(s)
	kind = "right"
	for question, wanted := range want.Answers {
		err := errs[question]
		for _, item := range items[question] {
			if slices.Contains(wanted, item) {
				continue
			}
			if !want.Ever[item] {
				return "FAIL", fmt.Sprintf("wrong answer: %s (want %q)", item, wanted)
			}
			kind, detail = "older", item
		}
		switch {
		case err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound):
			return "FAIL", fmt.Sprintf("%s: error of no type: %v", question, err)
		case errors.Is(err, ErrCorrupt):
			if kind == "right" {
				kind, detail = "typed", err.Error()
			}
		case len(items[question]) < len(wanted) && kind != "older":
			kind, detail = "missing", question
		}
	}
	return kind, detail
}

// writeDamaged writes to a damaged store. Whatever becomes of that, no answer
// may be wrong afterwards.
func writeDamaged(path string, want truth) string {
	s, err := Open(path, fast)
	if err != nil {
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrSchema) {
			return ""
		}
		return fmt.Sprintf("FAIL: Open to write: %v", err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	_, putErr := s.Put(ctx, randomProfile(r, damageNew), Write{Append: []Example{{Text: "new"}}})
	deleteErr := s.Delete(ctx, damageNew)
	for _, err := range []error{putErr, deleteErr} {
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound) {
			return fmt.Sprintf("FAIL: write: error of no type: %v", err)
		}
	}
	kind, detail := judge(s, want)
	err = s.Close()
	switch {
	case kind == "FAIL":
		return "FAIL: after writes: " + detail
	case err != nil && !errors.Is(err, ErrCorrupt):
		return fmt.Sprintf("FAIL: Close: %v", err)
	}
	return ""
}
