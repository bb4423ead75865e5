package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/store/internal/keyring"
)

// written is what one transaction changed in the file.
type written struct {
	before, after []byte // the files
	data          []int  // numbers of the changed pages, ascending
	meta          int    // number of the changed meta page
	old, new      map[string]content
	keys          []byte // the file of keys meanwhile
}

const metaPages = 2 // bbolt's, which take turns

// TestPowerLost applies what each of some transactions wrote to the file from
// before it as a disk may do when its power fails: some of the pages, in the
// order of the file or backwards, and half of one more; the meta page last, as
// an fsync stands before it, and that also by parts. What opens is the old
// state or the new one, whole.
func TestPowerLost(t *testing.T) {
	images := 0
	for i, w := range transactions(t) {
		if (testing.Short() || raceEnabled) && i%3 != 0 {
			continue
		}
		w.eachImage(t, func(path, what string, want map[string]content) {
			images++
			if diff := stateOf(t, path, want); diff != "" {
				t.Errorf("transaction %d, %s: %s", i, what, diff)
			}
		})
	}
	t.Logf("%d files checked", images)
}

// eachImage makes the files that may be found after the power failed in the
// transaction, and says which state each should have.
func (w written) eachImage(t *testing.T, fn func(path, what string, want map[string]content)) {
	path := filepath.Join(t.TempDir(), "xpeft.db")
	try := func(file []byte, want map[string]content, what string, args ...any) {
		if err := errors.Join(os.WriteFile(path, file, 0o600),
			os.WriteFile(KeysPath(path), w.keys, 0o600)); err != nil {
			t.Fatal(err)
		}
		fn(path, fmt.Sprintf(what, args...), want)
	}
	backwards := slices.Clone(w.data)
	slices.Reverse(backwards)
	for name, order := range map[string][]int{"in order": w.data, "backwards": backwards} {
		file := w.resized()
		for n, page := range order {
			try(file, w.old, "%d pages %s", n, name)
			w.apply(file, page, pageSize/2)
			try(file, w.old, "%d pages and a half %s", n, name)
			w.apply(file, page, pageSize)
		}
		try(file, w.old, "all pages %s, no meta", name)
	}
	file := w.resized()
	for _, page := range w.data {
		w.apply(file, page, pageSize)
	}
	for n := 8; n < 128; n += 8 { // bbolt's meta is in the first 80 bytes
		w.apply(file, w.meta, n)
		want := w.old
		if bytes.Equal(file, w.after) {
			want = w.new
		}
		try(file, want, "%d bytes of meta", n)
	}
	if !bytes.Equal(file, w.after) {
		t.Fatal("that was not all")
	}
}

var pageSize = os.Getpagesize() // bbolt's

// transactions are some of every kind, one after the other on a small store.
func transactions(t *testing.T) (ws []written) {
	r := newRand(t)
	s := newStore(t, crashOptions(true))
	s.batch = 3
	o := crashOp{mark: r.Uint64()}
	for i := range 2 * crashProfiles { // twice, so that each has a revision to go back to
		p, w := o.put(i % crashProfiles)
		if _, err := s.Put(ctx, p, w); err != nil {
			t.Fatal(err)
		}
	}
	bundle := export(t, s, everything)
	first, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	seen, keys := contents(t, s), fileOfKeys(s.Path())
	images := imagesOf(t, s)
	for _, kind := range []string{"put", "observe", "batch", "forget", "put", "rollback", "import", "put", "forget",
		"put", "observe", "batch", "put"} {
		result, mark := noProfile, r.Uint64()
		// until one has what the kind needs
		for id := r.IntN(crashProfiles); result == noProfile; id = (id + 1) % crashProfiles {
			if result, err = (crashOp{kind, 0, id, mark}).run(s, bundle); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, image := range images() {
		after, err := os.ReadFile(image.path)
		if err != nil {
			t.Fatal(err)
		}
		now := fileOfKeys(image.path)
		ws = append(ws, compared(t, written{before: first, after: after, old: seen, new: image.seen,
			keys: bothKeys(keys, now)}))
		first, seen, keys = after, image.seen, now
	}
	if len(ws) < 15 {
		t.Errorf("got %d transactions, want 15 or more", len(ws))
	}
	return ws
}

// fileOfKeys is nil if nothing is encrypted.
func fileOfKeys(path string) []byte {
	b, _ := os.ReadFile(KeysPath(path))
	return b
}

// bothKeys is the file of keys while a transaction is written: the new ones are
// there already, and those that it makes useless still are.
func bothKeys(before, after []byte) []byte {
	both := slices.Clone(after)
	for at := keyring.HeaderSize; at+keyring.SlotSize <= min(len(before), len(both)); at += keyring.SlotSize {
		if slot := both[at : at+keyring.SlotSize]; isZero(slot) {
			copy(slot, before[at:])
		}
	}
	return both
}

// compared finds the pages that a transaction changed.
func compared(t *testing.T, w written) written {
	w.meta = -1
	old := w.resized()
	for page := range len(w.after) / pageSize {
		at := page * pageSize
		if bytes.Equal(old[at:at+pageSize], w.after[at:at+pageSize]) {
			continue
		}
		if page >= metaPages {
			w.data = append(w.data, page)
		} else if w.meta >= 0 {
			t.Fatal("both meta pages changed")
		} else {
			w.meta = page
		}
	}
	if w.meta < 0 || len(w.data) == 0 {
		t.Fatalf("got meta page %d and %d others changed, want one and some", w.meta, len(w.data))
	}
	return w
}

// resized is a copy of the old file with the size of the new one: bbolt makes
// it grow, and syncs that, before it writes pages.
func (w written) resized() []byte {
	return append(bytes.Clone(w.before), make([]byte, len(w.after)-len(w.before))...)
}

// apply copies the first n bytes of a page of the new file.
func (w written) apply(file []byte, page, n int) {
	at := page * pageSize
	copy(file[at:at+n], w.after[at:])
}

// stateOf opens a file, as a reader and as a writer, and says how it is not as
// wanted.
func stateOf(t *testing.T, path string, want map[string]content) string {
	t.Helper()
	diff := openedState(t, path, true, want)
	if diff == "" {
		diff = openedState(t, path, false, want)
	}
	return diff
}

func openedState(t *testing.T, path string, readOnly bool, want map[string]content) string {
	t.Helper()
	s, err := Open(path, with(Options{NoSync: true, ReadOnly: readOnly}))
	if err != nil {
		return err.Error()
	}
	diff := cmp.Diff(want, contents(t, s), byValue)
	_, err = s.Check(ctx, true)
	if err = errors.Join(err, s.Close()); err != nil || diff != "" {
		return fmt.Sprintf("read-only %t: %v %s", readOnly, err, diff)
	}
	return ""
}
