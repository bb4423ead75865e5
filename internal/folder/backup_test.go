package folder

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/store"
)

// TestBackup restores a folder with a warm bank, its report, and another bank that came later.
func TestBackup(t *testing.T) {
	dir, st := newFolder(t, 4)
	add := func(fill float32) store.BankInfo {
		info, err := AddBank(t.Context(), st, dir, bytes.NewReader(warmFile(t, 4, fill)))
		must(t, err)
		return info
	}
	first := add(0.5)
	must(t, os.WriteFile(ReportPath(dir, first.Digest), []byte("{}"), 0o600))
	put(t, st, "ann", first.Ref)
	var full, since bytes.Buffer
	rep, err := Backup(t.Context(), st, dir, &full, 0)
	must(t, err)
	second := add(0.25)
	put(t, st, "bob", second.Ref)
	later, err := Backup(t.Context(), st, dir, &since, rep.Revision)
	must(t, err)
	if rep.Files != 2 || later.Files != 1 {
		t.Errorf("got %d files, then %d, want 2, then the new one", rep.Files, later.Files)
	}

	to := filepath.Join(t.TempDir(), "new")
	_, err = Restore(t.Context(), to, 0, bytes.NewReader(full.Bytes()), bytes.NewReader(since.Bytes()))
	must(t, err)
	if got, want := withBytes(t, to), withBytes(t, dir); !slices.Equal(got, want) {
		t.Errorf("got files %v, want %v", got, want)
	}
	restored, err := Open(to, nil)
	must(t, err)
	defer restored.Close()
	problems, err := CheckBanks(t.Context(), restored, to, true)
	if n, _ := restored.Count(); err != nil || len(problems) != 0 || n != 2 {
		t.Errorf("got %d profiles, problems %v, %v, want 2 and none", n, problems, err)
	}
	if _, err := Restore(t.Context(), to, 0, &full); !errors.Is(err, store.ErrExists) {
		t.Errorf("over a store: got %v, want ErrExists", err)
	}
}

// withBytes are the names and bytes.
func withBytes(t *testing.T, dir string) (files []string) {
	for _, name := range bankFiles(t, dir) {
		b, err := os.ReadFile(filepath.Join(Banks(dir), name))
		must(t, err)
		files = append(files, name+string(b))
	}
	return files
}

// TestRestoreNothing: what cannot be restored leaves the folder as it was.
func TestRestoreNothing(t *testing.T) {
	dir, st := newFolder(t, 4)
	info, err := AddBank(t.Context(), st, dir, bytes.NewReader(warmFile(t, 4, 0.5)))
	must(t, err)
	put(t, st, "ann", info.Ref)
	var good, wrong bytes.Buffer
	_, err = Backup(t.Context(), st, dir, &good, 0)
	must(t, err)
	// A sound stream whose bank is not the one that it says.
	other := warmFile(t, 4, 0.75)
	_, err = st.Backup(t.Context(), &wrong,
		&store.BackupOptions{BankFiles: func(b store.BankInfo) ([]store.BackupFile, error) {
			if b.Digest != info.Digest {
				return nil, nil
			}
			return []store.BackupFile{{Size: int64(len(other)),
				Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(other)), nil }}}, nil
		}})
	must(t, err)
	for name, b := range map[string][]byte{"cut": good.Bytes()[:good.Len()-3], "wrong bank": wrong.Bytes(),
		"nothing": nil} {
		for _, there := range []bool{false, true} {
			to := filepath.Join(t.TempDir(), "new")
			if there {
				must(t, os.Mkdir(to, 0o700))
			}
			if _, err := Restore(t.Context(), to, 0, bytes.NewReader(b)); !errors.Is(err,
				store.ErrCorrupt) {
				t.Errorf("%s: got %v, want ErrCorrupt", name, err)
			}
			left, err := os.ReadDir(to)
			if there && (err != nil || len(left) != 0) || !there && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: got %v, %v left, want nothing", name, left, err)
			}
		}
	}
}
