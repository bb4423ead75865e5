package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/xpeft/xpeft/internal/durable"
	"github.com/xpeft/xpeft/store"
)

// Names in the folder.
const (
	DBName   = "xpeft.db"
	BanksDir = "banks"
)

// DB is the path of the profiles' file.
func DB(dir string) string { return filepath.Join(dir, DBName) }

// Banks is the path of the folder of banks' files.
func Banks(dir string) string { return filepath.Join(dir, BanksDir) }

// BankPath is the path of a bank's file, if it is not a random one.
func BankPath(dir string, d store.Digest) string { return filepath.Join(dir, BanksDir, d.String()) }

// MakeBanks makes the folder of banks' files, if it is not there. A symbolic link in its place is
// no folder: whoever planted it would choose where files are made.
func MakeBanks(dir string) error {
	path := Banks(dir)
	if err := os.Mkdir(path, 0o777); !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "write to", Path: path, Err: syscall.ENOTDIR}
	}
	return err
}

// WriteReport lays a report beside a bank's file. It takes the place of what has its name; a
// symbolic link is not followed.
func WriteReport(dir, bank string, data []byte) error {
	if err := MakeBanks(dir); err != nil {
		return err
	}
	return durable.Create(Banks(dir), ".report-*.tmp", func(f *os.File) (string, error) {
		_, err := f.Write(data)
		return bank + ".json", err
	})
}

// Open opens the folder's store, with its rules of texts; the error wraps fs.ErrNotExist if there
// is none.
func Open(dir string, o *store.Options) (*store.Store, error) {
	var opts store.Options
	if o != nil {
		opts = *o
	}
	var texts Texts
	texts.Into(&opts)
	st, err := store.Open(DB(dir), &opts)
	if err != nil {
		return nil, err
	}
	if err := texts.Read(st); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

// ExtraK is the key of store.Meta.Extra under which a folder has K: the adapters that its new
// profiles average in each row, as a decimal.
const ExtraK = "k"

// K reads it.
func K(m store.Meta) (int, error) {
	k, err := strconv.Atoi(m.Extra[ExtraK])
	if err != nil || k < 1 {
		return 0, fmt.Errorf("%w: K in the folder's meta is %q", store.ErrCorrupt, m.Extra[ExtraK])
	}
	return k, nil
}

// ExtraWindows is the key under which a folder has how many windows of a text are read, as a
// decimal; none: one.
const ExtraWindows = "windows"

// Windows reads it, 1 if there is none.
func Windows(m store.Meta) (int, error) {
	said, ok := m.Extra[ExtraWindows]
	if !ok {
		return 1, nil
	}
	n, err := strconv.Atoi(said)
	if err != nil || n < 2 {
		return 0, fmt.Errorf("%w: the windows in the folder's meta are %q", store.ErrCorrupt, said)
	}
	return n, nil
}

// ExtraMulti is the key under which a folder says that its labels are not exclusive, by "1"; none:
// they are.
const ExtraMulti = "multi"

// Multi reads it.
func Multi(m store.Meta) (bool, error) {
	said, ok := m.Extra[ExtraMulti]
	if ok && said != "1" {
		return false, fmt.Errorf("%w: multi in the folder's meta is %q", store.ErrCorrupt, said)
	}
	return ok, nil
}

// ExtraThresholds is the key under which a folder of ExtraMulti says from which probability on a
// label is given, where that is not 0.5: a JSON object of numbers by label.
const ExtraThresholds = "thresholds"

// Thresholds reads them, nil if there are none.
func Thresholds(m store.Meta) (by map[string]float64, err error) {
	said, ok := m.Extra[ExtraThresholds]
	if ok && json.Unmarshal([]byte(said), &by) != nil {
		return nil, fmt.Errorf("%w: the thresholds in the folder's meta are %q", store.ErrCorrupt, said)
	}
	return by, nil
}

// Exists says whether dir holds a store.
func Exists(dir string) (bool, error) {
	_, err := os.Stat(DB(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
