package folder

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// testAxes are three axes of one digit over two taps: N is 6, as of the other banks here.
func testAxes(hidden int) *axes.Axes {
	a := &axes.Axes{Features: model.Features{Taps: []int{0, 1}, Hidden: hidden, Mean: make([]float32, 2*hidden),
		Scale: []float32{1, 2}}, Digits: 1, V: make([]float32, 3*2*hidden)}
	for j := range 3 {
		a.V[j*2*hidden+j] = 1
	}
	return a
}

func addAxes(t *testing.T, dir string, st *store.Store, hidden int) store.BankInfo {
	t.Helper()
	info, err := AddAxes(t.Context(), st, dir, testAxes(hidden))
	must(t, err)
	return info
}

func TestAddAxes(t *testing.T) {
	dir, st := newFolder(t, 8)
	info := addAxes(t, dir, st, 8)
	if again := addAxes(t, dir, st, 8); again.Ref != info.Ref || info.N != 6 || info.Blocks != 1 {
		t.Errorf("got %+v, then ref %d, want N=6 in one block, once", info, again.Ref)
	}
	stored, err := st.Bank(info.Ref)
	must(t, err)
	if p, err := Properties(stored); err != nil || p != testAxes(8).Properties() {
		t.Errorf("properties: got %+v, %v", p, err)
	}
	if got, err := OpenAxes(dir, stored); err != nil || !cmp.Equal(got, testAxes(8)) {
		t.Errorf("opened: got %+v, %v, want what went in", got, err)
	}
	if _, err := OpenBank(dir, stored); !errors.Is(err, bank.ErrCorrupt) {
		t.Errorf("opened as adapters: got %v, want ErrCorrupt", err)
	}
	warm, err := AddBank(t.Context(), st, dir, bytes.NewReader(warmFile(t, 8, 0.5)))
	must(t, err)
	if _, err := OpenAxes(dir, warm); !errors.Is(err, store.ErrMismatch) {
		t.Errorf("a warm bank opened as axes: got %v, want ErrMismatch", err)
	}
	if _, err := AddAxes(t.Context(), st, dir, testAxes(16)); !errors.Is(err, store.ErrMismatch) {
		t.Errorf("axes for another encoder: got %v, want ErrMismatch", err)
	}
	if _, err := AddAxes(t.Context(), st, dir, &axes.Axes{}); !errors.Is(err, bank.ErrInvalid) {
		t.Errorf("no axes: got %v, want ErrInvalid", err)
	}
	if got := bankFiles(t, dir); len(got) != 2 {
		t.Errorf("bank files: got %v, want the two that were added", got)
	}
}

// TestDamagedAxes: a file of axes that is missing, cut, changed or another's is found, deep or not,
// and nothing of it is opened.
func TestDamagedAxes(t *testing.T) {
	dir, st := newFolder(t, 8)
	info := addAxes(t, dir, st, 8)
	path := BankPath(dir, info.Digest)
	good, err := os.ReadFile(path)
	must(t, err)
	flipped := bytes.Clone(good)
	flipped[len(flipped)-3] ^= 1
	changed := testAxes(8)
	changed.Mean[0] = 1
	other, err := changed.MarshalBinary()
	must(t, err)
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"missing": {nil, fs.ErrNotExist},
		"empty":   {[]byte{}, bank.ErrCorrupt},
		"cut":     {good[:len(good)-1], bank.ErrCorrupt},
		"flipped": {flipped, bank.ErrCorrupt},
		"another": {other, bank.ErrCorrupt},
		"a warm":  {warmFile(t, 8, 0.5), bank.ErrCorrupt},
	} {
		must(t, os.Remove(path))
		if c.data != nil {
			must(t, os.WriteFile(path, c.data, 0o600))
		}
		if a, err := OpenAxes(dir, info); !errors.Is(err, c.want) || a != nil {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		for _, deep := range []bool{false, true} {
			problems, err := CheckBanks(t.Context(), st, dir, deep)
			if err != nil || len(problems) != 1 || !strings.Contains(problems[0], info.Digest.Short()) {
				t.Errorf("%s, deep %v: got %q, %v, want the bank's digest in one problem", name, deep, problems, err)
			}
		}
		if _, err := Backup(t.Context(), st, dir, new(bytes.Buffer), 0); !errors.Is(err, c.want) {
			t.Errorf("%s: backup: got %v, want %v", name, err, c.want)
		}
		must(t, os.WriteFile(path, good, 0o600))
	}
	if problems, err := CheckBanks(t.Context(), st, dir, true); err != nil || len(problems) != 0 {
		t.Errorf("whole again: got %q, %v, want no problems", problems, err)
	}
}

// TestBackupAxes: axes are in a full backup, and in one since another if they came later; they are
// restored and repaired.
func TestBackupAxes(t *testing.T) {
	dir, st := newFolder(t, 8)
	info := addAxes(t, dir, st, 8)
	put(t, st, "ann", info.Ref)
	var full, since bytes.Buffer
	rep, err := Backup(t.Context(), st, dir, &full, 0)
	must(t, err)
	changed := testAxes(8)
	changed.Scale[0] = 3
	second, err := AddAxes(t.Context(), st, dir, changed)
	must(t, err)
	put(t, st, "bob", second.Ref)
	later, err := Backup(t.Context(), st, dir, &since, rep.Revision)
	must(t, err)
	if rep.Files != 1 || later.Files != 1 {
		t.Errorf("got %d files, then %d, want the axes, then the others", rep.Files, later.Files)
	}
	to := filepath.Join(t.TempDir(), "new")
	_, err = Restore(t.Context(), to, 0, bytes.NewReader(full.Bytes()), bytes.NewReader(since.Bytes()))
	must(t, err)
	must(t, st.Close())
	repaired := filepath.Join(t.TempDir(), "repaired")
	_, err = Repair(t.Context(), dir, repaired, nil)
	must(t, err)
	for _, to := range []string{to, repaired} {
		if got, want := withBytes(t, to), withBytes(t, dir); !slices.Equal(got, want) {
			t.Errorf("%s: got files %q, want %q", to, got, want)
		}
		st, err := Open(to, nil)
		must(t, err)
		if problems, err := CheckBanks(t.Context(), st, to, true); err != nil || len(problems) != 0 {
			t.Errorf("%s: got problems %q, %v, want none", to, problems, err)
		}
		must(t, st.Close())
	}
}

// putCoded puts a profile of two labels' digits along the axes.
func putCoded(t *testing.T, st *store.Store, id string, ref uint32) {
	t.Helper()
	codes := []store.Code{{Bank: ref, K: 3, Labels: []uint32{0, 2}, Rows: []byte{5, 2}, Scales: []byte{160, 161}}}
	_, err := st.Put(t.Context(), &store.Profile{ID: id, Codes: codes}, store.Write{})
	must(t, err)
}

// TestBundleWithAxes: profiles over axes, of masks or of digits, come in where the folder has these
// axes, whether the bundle has them too or not, and nowhere else.
func TestBundleWithAxes(t *testing.T) {
	for name, put := range map[string]func(*testing.T, *store.Store, string, uint32){"masks": put, "digits": putCoded} {
		t.Run(name, func(t *testing.T) {
			dir, st := newFolder(t, 8)
			info := addAxes(t, dir, st, 8)
			put(t, st, "ann", info.Ref)
			var with, without bytes.Buffer
			for w, include := range map[*bytes.Buffer]bool{&with: true, &without: false} {
				_, err := Export(t.Context(), st, dir, w, ExportOptions{IncludeBank: include})
				must(t, err)
			}
			testBundleWithAxes(t, info, with.Bytes(), without.Bytes())
		})
	}
}

// testBundleWithAxes takes in two bundles of ann, whose axes are info.
func testBundleWithAxes(t *testing.T, info store.BankInfo, with, without []byte) {
	t.Helper()
	to, into := newFolder(t, 8)
	for _, b := range [][]byte{without, with} {
		if _, err := Import(t.Context(), into, to, bytes.NewReader(b), ImportOptions{}); !errors.Is(err,
			store.ErrMismatch) {
			t.Errorf("where the axes are not: got %v, want ErrMismatch", err)
		}
	}
	if got := bankFiles(t, to); len(got) != 0 {
		t.Errorf("after failed imports: got bank files %v, want none", got)
	}
	other, st16 := newFolder(t, 16)
	if _, err := Import(t.Context(), st16, other, bytes.NewReader(with), ImportOptions{}); !errors.Is(err,
		store.ErrMismatch) {
		t.Errorf("for another encoder: got %v, want ErrMismatch", err)
	}
	same, has := newFolder(t, 8)
	// so that the axes have another ref here
	_, err := AddBank(t.Context(), has, same, bytes.NewReader(warmFile(t, 8, 0.5)))
	must(t, err)
	theirs := addAxes(t, same, has, 8)
	for at := 0; at < len(with); at += 7 {
		flipped := bytes.Clone(with)
		flipped[at] ^= 1
		if _, err := Import(t.Context(), has, same, bytes.NewReader(flipped), ImportOptions{}); err == nil {
			t.Fatalf("flipped at %d: got no error", at)
		}
	}
	for _, b := range [][]byte{without, with} {
		rep, err := Import(t.Context(), has, same, bytes.NewReader(b), ImportOptions{Policy: store.Overwrite})
		if err != nil || rep.Banks != 0 || rep.Profiles != 1 {
			t.Fatalf("where the axes are: got %+v, %v, want the profile alone", rep, err)
		}
	}
	ann, err := has.Get("ann")
	must(t, err)
	ref := ann.Bank
	for _, c := range ann.Codes {
		ref = c.Bank
	}
	if ref != theirs.Ref || theirs.Ref == info.Ref {
		t.Errorf("got bank %d, want %d, which is not %d", ref, theirs.Ref, info.Ref)
	}
}
