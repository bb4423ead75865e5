package folder

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/xpeft/xpeft/store"
)

const secret = "not to be written"

// outside is a folder with a file, to which links are planted.
func outside(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte(secret), 0o600))
	return dir, file
}

func plant(t *testing.T, target, link string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(link), 0o700))
	if err := os.Symlink(target, link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
}

// untouched fails if the outside has another file than before, or other bytes.
func untouched(t *testing.T, dir, file string) {
	t.Helper()
	got, err := os.ReadFile(file)
	must(t, err)
	entries, err := os.ReadDir(dir)
	must(t, err)
	if string(got) != secret || len(entries) != 1 {
		t.Errorf("outside of the folder: got %q and %d files, want %q alone", got, len(entries), secret)
	}
}

// TestPlantedLinks puts symbolic links to a file outside where the folder's files are made. Each is
// replaced or refused; none is written through.
func TestPlantedLinks(t *testing.T) {
	_, source := newFolder(t, 8)
	file := warmFile(t, 8, 0.5)
	srcDir := filepath.Dir(source.Path())
	info, err := AddBank(t.Context(), source, srcDir, bytes.NewReader(file))
	must(t, err)
	put(t, source, "anna", info.Ref)
	var b bytes.Buffer
	_, err = Export(t.Context(), source, srcDir, &b, ExportOptions{IncludeBank: true})
	must(t, err)
	take := func(dir string, st *store.Store) error {
		_, err := Import(t.Context(), st, dir, bytes.NewReader(b.Bytes()), ImportOptions{})
		return err
	}
	tests := []struct {
		name string
		link func(dir string) string
		dir  bool // the link leads to a folder
		act  func(dir string, st *store.Store) error
		want error
	}{
		{"a bank's file, Import", func(dir string) string { return BankPath(dir, info.Digest) }, false, take, nil},
		{"banks, Import", Banks, true, take, syscall.ENOTDIR},
		{"banks to a file, Import", Banks, false, take, syscall.ENOTDIR},
		{"banks, AddBank", Banks, true, func(dir string, st *store.Store) error {
			_, err := AddBank(t.Context(), st, dir, bytes.NewReader(file))
			return err
		}, syscall.ENOTDIR},
		{"a report", func(dir string) string { return BankPath(dir, info.Digest) + ".json" }, false,
			func(dir string, _ *store.Store) error {
				return WriteReport(dir, info.Digest.String(), struct{}{})
			}, nil},
		{"banks, a report", Banks, true, func(dir string, _ *store.Store) error {
			return WriteReport(dir, info.Digest.String(), struct{}{})
		}, syscall.ENOTDIR},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, st := newFolder(t, 8)
			outDir, outFile := outside(t)
			target := outFile
			if tt.dir {
				target = outDir
			}
			link := tt.link(dir)
			plant(t, target, link)
			if err := tt.act(dir, st); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			untouched(t, outDir, outFile)
			if at, err := os.Lstat(link); tt.want == nil && (err != nil || !at.Mode().IsRegular()) {
				t.Errorf("the link's place: got %v, %v, want a file", at.Mode(), err)
			}
		})
	}
}

// TestLinkedStore: xpeft.db may be a link to a store, and the folder one to a folder. A link to
// anything else is refused and left alone, and Create never writes through one.
func TestLinkedStore(t *testing.T) {
	dir, st := newFolder(t, 8)
	path := st.Path()
	must(t, st.Close())
	linked := t.TempDir()
	plant(t, path, DB(linked))
	byFolder := filepath.Join(t.TempDir(), "link")
	plant(t, dir, byFolder)
	for _, dir := range []string{linked, byFolder} {
		st, err := Open(dir, nil)
		must(t, err)
		must(t, st.Close())
	}
	meta := store.Meta{Encoder: store.Digest{1}, Tokenizer: store.Digest{2}, MaxTokens: 64}
	for _, content := range []string{secret, "", string(make([]byte, 1<<16))} {
		dir, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(file, []byte(content), 0o600))
		plant(t, file, DB(dir))
		if _, err := Open(dir, nil); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("Open: got %v, want ErrCorrupt", err)
		}
		if _, err := store.Create(DB(dir), meta, nil); !errors.Is(err, store.ErrExists) {
			t.Errorf("Create: got %v, want ErrExists", err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != content {
			t.Errorf("got %d bytes, %v, want the %d of before", len(got), err, len(content))
		}
	}
	dangling := t.TempDir()
	target := filepath.Join(t.TempDir(), "new")
	plant(t, target, DB(dangling))
	if _, err := store.Create(DB(dangling), meta, nil); !errors.Is(err, store.ErrExists) {
		t.Errorf("Create over a link to nothing: got %v, want ErrExists", err)
	}
	if _, err := os.Lstat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link's target: got %v, want none", err)
	}
}
