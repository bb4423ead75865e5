package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/xpeft/xpeft/store"
)

// Names in the folder.
const (
	DBName   = "xpeft.db"
	BanksDir = "banks"
)

// DB is the path of the profiles' file.
func DB(dir string) string { return filepath.Join(dir, DBName) }

// Banks is the path of the folder of warm banks.
func Banks(dir string) string { return filepath.Join(dir, BanksDir) }

// BankPath is the path of a warm bank's file.
func BankPath(dir string, d store.Digest) string { return filepath.Join(dir, BanksDir, d.String()) }

// Open opens the folder's store; the error wraps fs.ErrNotExist if there is none.
func Open(dir string, o *store.Options) (*store.Store, error) { return store.Open(DB(dir), o) }

// ExtraK is the key of store.Meta.Extra under which a folder has K: the adapters that its new profiles average in each row, as a decimal.
const ExtraK = "k"

// K reads it.
func K(m store.Meta) (int, error) {
	k, err := strconv.Atoi(m.Extra[ExtraK])
	if err != nil || k < 1 {
		return 0, fmt.Errorf("%w: K in the folder's meta is %q", store.ErrCorrupt, m.Extra[ExtraK])
	}
	return k, nil
}

// Exists says whether dir holds a store.
func Exists(dir string) (bool, error) {
	_, err := os.Stat(DB(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
