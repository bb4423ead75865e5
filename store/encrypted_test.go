package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// idKey is what an id has for a key.
func (s *Store) idKey(id string) []byte { return (&txn{keys: s.keys}).idKey([]byte(id)) }

// plainOnly are the tests whose point is a key, a value, a cohort or a length that
// an encrypted file does not have as they know it.
const plainOnly = "^(TestEncrypted|TestStats|TestCohortSets.*|TestGolden.*|TestExampleFarOff|TestCheckFinds|TestEveryByteOfMetaCounts|TestSampleDamagedNumber|TestCreateInNoRoom|TestCheckPages|TestFileCutWhileOpen|TestDamagedLead|TestNothingInTheClear)$"

// TestEncrypted runs all other tests with a master key.
func TestEncrypted(t *testing.T) {
	if testKey != nil {
		t.Skip("this is it")
	}
	args := []string{"-test.skip=" + plainOnly, "-test.count=1"}
	if testing.Short() || os.Getenv("XPEFT_LONG") == "" {
		args = append(args, "-test.short")
	}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "XPEFT_TEST_ENCRYPTED=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// master is the key of the tests that are about it.
var master = bytes.Repeat([]byte{3}, MasterKeySize)

func encrypted(o Options) *Options {
	o.NoSync, o.MasterKey = true, master
	return &o
}

// newEncrypted has ann and bob, each with all that a profile can have.
func newEncrypted(t *testing.T) *Store {
	t.Helper()
	s, err := Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, encrypted(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := s.PutBank(ctx, testBank); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, id := range []string{"ann of the tests", "bob of the tests"} {
			p := maskedProfile(newRand(t), id)
			p.OwnHead, p.Affine, p.Codes = []byte("head of "+id), []byte("affine of "+id),
				[]Code{testCode(1, 10, 3, 7, 70)}
			w := Write{State: []byte("state of " + id),
				Append: []Example{{Text: "text of " + id, Label: "label of " + id}}}
			if _, err := s.Put(ctx, p, w); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// files are the bytes of both.
func files(t *testing.T, s *Store) (db, keys []byte) {
	t.Helper()
	db, err := os.ReadFile(s.Path())
	keys, kerr := os.ReadFile(KeysPath(s.Path()))
	if err := errors.Join(err, kerr); err != nil {
		t.Fatal(err)
	}
	return db, keys
}

// TestNothingInTheClear looks for all that a profile has in both files, and
// finds it in the files of a store without a master key.
func TestNothingInTheClear(t *testing.T) {
	s := newEncrypted(t)
	if err := s.view(func(x *txn) error { return wantNoCohorts(x.Tx) }); err != nil {
		t.Error(err)
	}
	ann, err := s.Get("ann of the tests")
	if err != nil {
		t.Fatal(err)
	}
	db, keys := files(t, s)
	plain := newStore(t, &Options{NoSync: true})
	if _, err := plain.Put(ctx, ann,
		Write{State: []byte("state of ann"), Append: []Example{{Text: "text of ann"}}}); err != nil {
		t.Fatal(err)
	}
	clear, err := os.ReadFile(plain.Path())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{[]byte("ann of the tests"), []byte("head of "), []byte("affine of "),
		[]byte("state of "), []byte("text of "), ann.Mask.Bytes(),
		slices.Concat(ann.Codes[0].Scales, ann.Codes[0].Rows)} {
		if !bytes.Contains(clear, secret) {
			t.Errorf("%q is not in the file of a store in the clear either", secret)
		}
		if bytes.Contains(db, secret) || bytes.Contains(keys, secret) {
			t.Errorf("%q is in the files", secret)
		}
	}
}

// TestDeleteDestroysKey looks for a wrapped key in both files, before and after.
func TestDeleteDestroysKey(t *testing.T) {
	s := newEncrypted(t)
	ann, err := s.Get("ann of the tests")
	if err != nil {
		t.Fatal(err)
	}
	_, keys := files(t, s)
	at := keyring.SlotAt(ann.Number)
	slot := bytes.Clone(keys[at : at+keyring.SlotSize])
	if isZero(slot) {
		t.Fatal("there is no key")
	}
	if err := s.Delete(ctx, "ann of the tests"); err != nil {
		t.Fatal(err)
	}
	db, keys := files(t, s)
	for name, file := range map[string][]byte{"xpeft.db": db, "xpeft.keys": keys} {
		for n := 0; n+16 <= len(slot); n++ { // no part of it either
			if bytes.Contains(file, slot[n:n+16]) {
				t.Fatalf("bytes %d to %d of the key are still in %s", n, n+16, name)
			}
		}
	}
	if _, err := s.Get("bob of the tests"); err != nil {
		t.Error(err)
	}
}

// TestOrphanKeys leaves keys as a crash does: of a profile that was deleted,
// and of one that never came to be. Open erases them, and no other.
func TestOrphanKeys(t *testing.T) {
	s := newEncrypted(t)
	_, before := files(t, s)
	if err := errors.Join(s.Delete(ctx, "ann of the tests"), s.Close()); err != nil {
		t.Fatal(err)
	}
	crashed := append(bytes.Clone(before), before[keyring.SlotAt(1):keyring.SlotAt(3)]...) // and half a slot
	if err := os.WriteFile(KeysPath(s.Path()), append(crashed, 1, 2, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s, encrypted(Options{}))
	_, keys := files(t, s)
	for n := uint32(0); keyring.SlotAt(n)+keyring.SlotSize <= int64(len(keys)); n++ {
		if there, want := !isZero(keys[keyring.SlotAt(n):keyring.SlotAt(n)+keyring.SlotSize]), n == 2; there != want {
			t.Errorf("key of %d: got %t, want %t", n, there, want)
		}
	}
	if _, err := s.Get("bob of the tests"); err != nil {
		t.Error(err)
	}
}

func TestWrongKey(t *testing.T) {
	s := newEncrypted(t)
	other := newEncrypted(t)
	plain, err := Create(filepath.Join(t.TempDir(), "plain.db"), testMeta, &Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), other.Close(), plain.Close()); err != nil {
		t.Fatal(err)
	}
	_, keys := files(t, s)
	_, others := files(t, other)
	newer := bytes.Clone(keys)
	newer[8]++
	copy(newer, format.AppendSum(bytes.Clone(newer[:keyring.HeaderSize-format.SumSize])))
	for name, c := range map[string]struct {
		path string
		key  []byte
		keys []byte
		want error
	}{
		"none":          {s.Path(), nil, keys, ErrKey},
		"wrong":         {s.Path(), bytes.Repeat([]byte{4}, MasterKeySize), keys, ErrKey},
		"short":         {s.Path(), []byte("short"), keys, ErrLimit},
		"plain":         {plain.Path(), master, nil, ErrKey},
		"no file":       {s.Path(), master, nil, ErrKey},
		"another's":     {s.Path(), master, others, ErrKey},
		"cut":           {s.Path(), master, keys[:keyring.HeaderSize-1], ErrCorrupt},
		"empty":         {s.Path(), master, []byte{}, ErrCorrupt},
		"newer version": {s.Path(), master, newer, ErrSchema},
	} {
		os.Remove(KeysPath(c.path))
		if c.keys != nil {
			if err := os.WriteFile(KeysPath(c.path), c.keys, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(c.path, &Options{MasterKey: c.key}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if err := os.WriteFile(KeysPath(s.Path()), keys, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := reopen(t, s, encrypted(Options{})).Get("ann of the tests"); err != nil {
		t.Error(err)
	}
}

// TestDamagedKeys flips a bit of every byte of the file of keys, and cuts it at
// every length. Open refuses, or whose key it is cannot be read and Check says
// so; the other profile can.
func TestDamagedKeys(t *testing.T) {
	s := newEncrypted(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, sound := files(t, s)
	try := func(damaged []byte, what string, args ...any) {
		t.Helper()
		if err := os.WriteFile(KeysPath(s.Path()), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(s.Path(), encrypted(Options{ReadOnly: true}))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrKey) && !errors.Is(err, ErrSchema) {
				t.Errorf("%s: got %v", fmt.Sprintf(what, args...), err)
			}
			return
		}
		defer d.Close()
		read := 0
		for _, id := range []string{"ann of the tests", "bob of the tests"} {
			_, err := d.Get(id)
			if err == nil {
				read++
			} else if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: got %v, want ErrCorrupt", fmt.Sprintf(what, args...), err)
			}
		}
		_, err = d.Check(ctx, true)
		untouched := keyring.SlotAt(1) // number 0 is nobody's
		want := bytes.Equal(damaged[keyring.HeaderSize:untouched], sound[keyring.HeaderSize:untouched])
		if errors.Is(err, ErrCorrupt) != want || (read == 2) == want {
			t.Errorf("%s: %d of 2 profiles read, Check says %v", fmt.Sprintf(what, args...), read, err)
		}
	}
	for i := range sound {
		b := bytes.Clone(sound)
		b[i] ^= 1 << (i % 8)
		try(b, "byte %d", i)
	}
	for n := range sound {
		try(sound[:n], "cut at %d", n)
	}
	t.Logf("%d flips, %d cuts", len(sound), len(sound))
}

// TestDeletedWhileRead deletes a profile under a reader that has seen it. The
// reader begins anew, and does not take the missing key for damage.
func TestDeletedWhileRead(t *testing.T) {
	s := newEncrypted(t)
	runs := 0
	err := s.view(func(x *txn) error {
		runs++
		n, err := x.number([]byte("ann of the tests"))
		if err != nil {
			return err
		}
		if runs == 1 {
			if err := s.Delete(ctx, "ann of the tests"); err != nil {
				return err
			}
		}
		_, err = x.decode(n)
		return err
	})
	if !errors.Is(err, ErrNotFound) || runs != 2 {
		t.Errorf("got %v in %d runs, want ErrNotFound in 2", err, runs)
	}
}

// TestNumberNotReused puts a profile in the transaction that deletes another.
// If that is not committed, the deleted one's key must still be there; if it
// is, the new one's.
func TestNumberNotReused(t *testing.T) {
	s := newEncrypted(t)
	failed := errors.New("not committed")
	replace := func(end error) error {
		return s.write(ctx, func(w *writeTx) error {
			key := w.idKey([]byte("ann of the tests"))
			n, err := format.Number(w.ids.Get(key))
			if err == nil {
				err = errors.Join(w.Bucket(format.IDs).remove(key), w.erase(key, n))
			}
			w.tally.Profiles--
			if err == nil {
				_, err = w.put(randomProfile(newRand(t), "carl"), Write{})
			}
			if end != nil && err == nil {
				err = w.writeKeys() // as before a commit
			}
			return errors.Join(err, end)
		})
	}
	there := func(ids ...string) {
		t.Helper()
		for _, id := range ids {
			if _, err := s.Get(id); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	if err := replace(failed); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	there("ann of the tests", "bob of the tests")
	if err := replace(nil); err != nil {
		t.Fatal(err)
	}
	there("carl", "bob of the tests")
	if _, err := s.Check(ctx, true); err != nil {
		t.Error(err)
	}
}

// TestEncryptedListing lists by prefix, in the order of ids, what is stored by
// HMACs, and goes on behind a record that cannot be read.
func TestEncryptedListing(t *testing.T) {
	s := newEncrypted(t)
	for i := range 600 {
		if _, err := s.Put(ctx, randomProfile(newRand(t), fmt.Sprintf("team/%03d", i)), Write{}); err != nil {
			t.Fatal(err)
		}
	}
	list := func() (ids []string, faults int) {
		for p, err := range s.Profiles("team/") {
			if err != nil {
				faults++
			} else {
				ids = append(ids, p.ID)
			}
		}
		return ids, faults
	}
	ids, faults := list()
	if len(ids) != 600 || faults != 0 || ids[0] != "team/000" || ids[599] != "team/599" || !slices.IsSorted(ids) {
		t.Errorf("got %d ids from %q, %d faults, want 600 in order", len(ids), ids[0], faults)
	}
	p, err := s.Get("team/100")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.keys.Write(map[uint32][]byte{p.Number: make([]byte, keyring.SlotSize)}); err != nil {
		t.Fatal(err)
	}
	if ids, faults = list(); len(ids) != 599 || faults != 1 {
		t.Errorf("got %d ids, %d faults, want 599 and 1", len(ids), faults)
	}
	var b bytes.Buffer
	if _, err := s.Export(ctx, &b, ExportOptions{Prefix: "team/"}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("export: got %v, want ErrCorrupt", err)
	}
}

// TestValueElsewhere puts what is sealed in one place of a profile into
// another: an earlier revision in the place of the current one, for one.
func TestValueElsewhere(t *testing.T) {
	s := newEncrypted(t)
	bob, err := s.Get("bob of the tests")
	if err != nil {
		t.Fatal(err)
	}
	err = s.write(ctx, func(w *writeTx) error {
		earlier := w.Bucket(format.History).Get(format.KeyAt(bob.Number, 1))
		return errors.Join(
			w.Bucket(format.Profiles).put(format.Key(bob.Number), bytes.Clone(earlier)),
			w.Bucket(format.State).put(format.Key(bob.Number),
				bytes.Clone(w.Bucket(format.Examples).Get(format.KeyAt(bob.Number, 1)))))
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := s.Get("bob of the tests"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an earlier revision as the current one: got revision %v, %v, want ErrCorrupt", p, err)
	}
	if err := s.view(func(x *txn) error { _, err := x.state(bob.Number); return err }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an example as the state: got %v, want ErrCorrupt", err)
	}
}
