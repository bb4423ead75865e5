package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xpeft/xpeft/bitmask"

	"github.com/xpeft/xpeft/store/internal/format"
)

// fast are the options of most tests: a crash of the machine is not theirs.
var fast = with(Options{NoSync: true})

// testKey is nil, or what TestEncrypted runs the other tests with.
var testKey []byte

func init() {
	if os.Getenv("XPEFT_TEST_ENCRYPTED") != "" {
		testKey = bytes.Repeat([]byte{7}, MasterKeySize)
		fast.MasterKey = testKey
	}
}

// with is options with testKey and testLabels.
func with(o Options) *Options {
	o.MasterKey, o.HeadLabels = testKey, testLabels
	return &o
}

// testLabels reads a head of tests: the labels are a, b and so on, and each byte
// is the count of one. What randomProfile has for heads is that too.
func testLabels(head []byte) (labels []string, counts []uint32) {
	for i, n := range head[:min(len(head), 12)] {
		labels, counts = append(labels, string(rune('a'+i))), append(counts, uint32(n&1))
	}
	return labels, counts
}

// testHead is a head whose labels are counted as the bits say.
func testHead(bits ...byte) (head []byte) {
	for _, b := range bits {
		for i := range 6 {
			head = append(head, b>>i&1)
		}
	}
	return head
}

// copyKeys copies a store's keys, if it has any.
func copyKeys(t testing.TB, from, to string) {
	t.Helper()
	if testKey == nil {
		return
	}
	b, err := os.ReadFile(KeysPath(from))
	if err == nil {
		err = os.WriteFile(KeysPath(to), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var testMeta = Meta{
	Model: "model", Encoder: Digest{1}, Tokenizer: Digest{2}, MaxTokens: 128,
	Extra: map[string]string{"k": "v"},
}

// newStore makes a store with a bank, ref 1, of N=20 L=2, and checks it at
// the end of the test.
func newStore(t testing.TB, o *Options) *Store {
	t.Helper()
	s, err := Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checkAndClose(t, s) })
	if _, err := s.PutBank(context.Background(), testBank); err != nil {
		t.Fatal(err)
	}
	return s
}

var testBank = BankInfo{Digest: Digest{7}, N: 20, Blocks: 2, Properties: []byte("properties")}

func checkAndClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	s, err := Open(s.Path(), with(Options{ReadOnly: true}))
	if err != nil {
		t.Errorf("open to check: %v", err)
		return
	}
	defer s.Close()
	if report, err := s.Check(context.Background(), true); err != nil {
		t.Errorf("check: %v\n%v", err, report.Problems[:min(5, len(report.Problems))])
	}
}

// reopen closes a store and opens it again.
func reopen(t testing.TB, s *Store, o *Options) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(s.Path(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func randomMask(r *rand.Rand, n, k, blocks int) *bitmask.Mask {
	m, err := bitmask.New(n, k, blocks)
	if err != nil {
		panic(err)
	}
	deck := r.Perm(n)
	for row := range 2 * blocks {
		for i := range k { // deal k of n
			j := i + r.IntN(n-i)
			deck[i], deck[j] = deck[j], deck[i]
			m.Row(bitmask.Side(row/blocks), row%blocks).Set(deck[i])
		}
	}
	return m
}

// randomProfile is over testBank, with some of the optional fields; some have a
// code, and of these some no mask.
func randomProfile(r *rand.Rand, id string) *Profile {
	p := &Profile{ID: id, Bank: 1, Mask: randomMask(r, 20, 5, 2), Examples: r.Uint32N(100)}
	if r.IntN(2) == 0 {
		p.OwnHead, p.Affine = []byte("head of "+id), []byte{1, 2, 3}
	}
	if r.IntN(2) == 0 {
		p.Prior, p.Bias = []uint32{r.Uint32N(9), 300}, []byte{9}
		p.Before, p.After = r.Float32(), r.Float32()
	}
	if r.IntN(4) == 0 {
		p.Codes, p.Temperature = []Code{testCode(1, 10, r.Uint32N(3), 3+r.Uint32N(300))}, byte(r.Uint32N(256))
		if r.IntN(2) == 0 {
			p.Mask, p.Bank = nil, 0
		}
	}
	return p
}

func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

var ctx = context.Background()

// asPut ignores what the store sets.
var asPut = cmp.Options{
	cmpopts.IgnoreFields(Profile{}, "Number", "Revision", "Created", "Updated"),
	cmp.Comparer((*bitmask.Mask).Equal),
}

func diffProfile(got, want *Profile) string { return cmp.Diff(want, got, asPut) }

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "xpeft.db")
	if _, err := Open(path, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v, want fs.ErrNotExist", err)
	}
	for name, content := range map[string][]byte{"empty": {}, "text": []byte("hello"), "zeros": make([]byte, 1<<16)} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(file, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
	}
	s, err := Create(path, testMeta, fast)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, testMeta, fast); !errors.Is(err, ErrExists) {
		t.Errorf("create again: got %v, want ErrExists", err)
	}
	if _, err := Open(path, with(Options{Timeout: 20 * time.Millisecond})); !errors.Is(err, ErrLocked) {
		t.Errorf("open twice: got %v, want ErrLocked", err)
	}
	want := testMeta
	want.Schema, want.Created, want.Keys = format.Schema, s.Meta().Created, s.Meta().Keys
	if diff := cmp.Diff(want, s.Meta()); diff != "" {
		t.Error(diff)
	}
	s = reopen(t, s, fast)
	if diff := cmp.Diff(want, s.Meta()); diff != "" {
		t.Error(diff)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 4 && testKey == nil {
		t.Errorf("got files %v, %v, want no temporary one", entries, err)
	}
}

func TestClosed(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"get":    second(s.Get("ann")),
		"put":    second(s.Put(ctx, randomProfile(r, "ann"), Write{})),
		"delete": s.Delete(ctx, "ann"),
		"count":  second(s.Count()),
		"banks":  second(s.Banks()),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", what, err)
		}
	}
	for _, err := range s.Profiles("") {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("profiles: got %v, want ErrClosed", err)
		}
	}
}
