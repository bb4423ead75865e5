package folder

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/store"
)

// testJoint is one joint axis of three digits over the φ of testAxes(8): N is 6.
func testJoint(over store.BankInfo) *axes.Joint {
	a := &axes.Joint{Axes: bank.Digest(over.Digest), Labels: []string{"yes", "no"}, People: 40,
		V: make([]float32, 2*16), B: []float32{1, -1}, Range: []float32{2}, Digits: []int{3}}
	a.V[3] = 0.5
	return a
}

func TestAddJoint(t *testing.T) {
	dir, st := newFolder(t, 8)
	axes := addAxes(t, dir, st, 8)
	info, err := AddAxes(t.Context(), st, dir, testJoint(axes))
	must(t, err)
	stored, err := st.Bank(info.Ref)
	must(t, err)
	if got, err := OpenJoint(dir, stored); err != nil || !cmp.Equal(got, testJoint(axes)) {
		t.Errorf("opened: got %+v, %v, want what went in", got, err)
	}
	if _, err := OpenAxes(dir, stored); !errors.Is(err, store.ErrMismatch) {
		t.Errorf("opened as axes: got %v, want ErrMismatch", err)
	}
	if _, err := OpenJoint(dir, axes); !errors.Is(err, store.ErrMismatch) {
		t.Errorf("axes opened as joint ones: got %v, want ErrMismatch", err)
	}
	if problems, err := CheckBanks(t.Context(), st, dir, true); err != nil || len(problems) != 0 {
		t.Errorf("got %q, %v, want no problems", problems, err)
	}
	unknown := testJoint(store.BankInfo{Digest: store.Digest{9}})
	if _, err := AddAxes(t.Context(), st, dir, unknown); !errors.Is(err, store.ErrMismatch) {
		t.Errorf("over axes that nobody has: got %v, want ErrMismatch", err)
	}
	odd := testJoint(axes)
	odd.V = odd.V[:2*15]
	if _, err := AddAxes(t.Context(), st, dir, odd); !errors.Is(err, store.ErrMismatch) {
		t.Errorf("of another size: got %v, want ErrMismatch", err)
	}
	if got := bankFiles(t, dir); len(got) != 2 {
		t.Errorf("bank files: got %v, want axes and joint axes", got)
	}
}

// TestJointTravels: joint axes are in backups, and in bundles for folders that have the axes that
// they are over.
func TestJointTravels(t *testing.T) {
	dir, st := newFolder(t, 8)
	axes := addAxes(t, dir, st, 8)
	info, err := AddAxes(t.Context(), st, dir, testJoint(axes))
	must(t, err)
	put(t, st, "ann", info.Ref)
	var backup, bundle bytes.Buffer
	_, err = Backup(t.Context(), st, dir, &backup, 0)
	must(t, err)
	_, err = Export(t.Context(), st, dir, &bundle, ExportOptions{IncludeBank: true})
	must(t, err)
	restored := t.TempDir()
	_, err = Restore(t.Context(), restored, 0, &backup)
	must(t, err)
	if got, err := OpenJoint(restored, info); err != nil || !cmp.Equal(got, testJoint(axes)) {
		t.Errorf("restored: got %+v, %v", got, err)
	}
	bare, bareStore := newFolder(t, 8)
	if _, err := Import(t.Context(), bareStore, bare, bytes.NewReader(bundle.Bytes()),
		ImportOptions{}); !errors.Is(err, store.ErrMismatch) {
		t.Errorf("into a folder without the axes: got %v, want ErrMismatch", err)
	}
	if got := bankFiles(t, bare); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
	addAxes(t, bare, bareStore, 8)
	rep, err := Import(t.Context(), bareStore, bare, bytes.NewReader(bundle.Bytes()), ImportOptions{})
	must(t, err)
	got, err := bareStore.BankByDigest(info.Digest)
	must(t, err)
	if a, err := OpenJoint(bare, got); err != nil || !cmp.Equal(a, testJoint(axes)) || rep.Profiles != 1 ||
		rep.Banks != 1 {
		t.Errorf("imported: got %+v, %v, %+v", a, err, rep)
	}
}
