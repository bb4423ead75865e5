package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

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

// Exists says whether dir holds a store.
func Exists(dir string) (bool, error) {
	_, err := os.Stat(DB(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
