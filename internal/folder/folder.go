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

// DB is the path of the profiles' file.
func DB(dir string) string { return filepath.Join(dir, "xpeft.db") }

// Banks is the path of the folder of banks' files.
func Banks(dir string) string { return filepath.Join(dir, "banks") }

// BankPath is the path of a bank's file, if it is not a random one.
func BankPath(dir string, d store.Digest) string { return filepath.Join(Banks(dir), d.String()) }

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

// WriteReport lays a report beside a bank's file, as JSON. It takes the place of what has its name;
// a symbolic link is not followed.
func WriteReport(dir, bank string, report any) error {
	if err := MakeBanks(dir); err != nil {
		return err
	}
	return durable.Create(Banks(dir), ".report-*.tmp", func(f *os.File) (string, error) {
		enc := json.NewEncoder(f)
		enc.SetIndent("", " ")
		return bank + ".json", enc.Encode(report)
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

// Keys of store.Meta.Extra, which ReadExtra reads.
const (
	ExtraK          = "k"          // a decimal
	ExtraWindows    = "windows"    // a decimal; none: one
	ExtraMulti      = "multi"      // "1"; none: labels are exclusive
	ExtraThresholds = "thresholds" // a JSON object of numbers by label
)

// Extra is what a folder is bound to beside its model.
type Extra struct {
	K       int  // adapters that its new profiles average in each row
	Windows int  // of a text that are read
	Multi   bool // labels are not exclusive
	// from which probability on a label is given, where labels are not exclusive and it is not 0.5
	Thresholds map[string]float64
}

// ReadExtra reads what a store's meta has of it.
func ReadExtra(m store.Meta) (e Extra, err error) {
	if e.K, err = strconv.Atoi(m.Extra[ExtraK]); err != nil || e.K < 1 {
		return Extra{}, fmt.Errorf("%w: K in the folder's meta is %q", store.ErrCorrupt, m.Extra[ExtraK])
	}
	said, ok := m.Extra[ExtraWindows]
	if e.Windows = 1; ok {
		if e.Windows, err = strconv.Atoi(said); err != nil || e.Windows < 2 {
			return Extra{}, fmt.Errorf("%w: the windows in the folder's meta are %q", store.ErrCorrupt, said)
		}
	}
	if said, e.Multi = m.Extra[ExtraMulti]; e.Multi && said != "1" {
		return Extra{}, fmt.Errorf("%w: multi in the folder's meta is %q", store.ErrCorrupt, said)
	}
	if said, ok = m.Extra[ExtraThresholds]; ok && json.Unmarshal([]byte(said), &e.Thresholds) != nil {
		return Extra{}, fmt.Errorf("%w: the thresholds in the folder's meta are %q", store.ErrCorrupt, said)
	}
	return e, nil
}

// Exists says whether dir holds a store.
func Exists(dir string) (bool, error) {
	_, err := os.Stat(DB(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// AxesCheckpoint is the path of what a TrainBank that was cut off while it sought axes goes on
// from.
func AxesCheckpoint(dir string) string { return filepath.Join(Banks(dir), "axes.checkpoint") }

// AdapterCheckpoint is the same of a TrainBank that makes adapters.
func AdapterCheckpoint(dir string) string { return filepath.Join(Banks(dir), "training.checkpoint") }

// SetAside is where a checkpoint goes that cannot be continued.
func SetAside(checkpoint string) string { return checkpoint + ".old" }

// DropAxesCheckpoint removes that of axes.
func DropAxesCheckpoint(dir string) error { return drop(AxesCheckpoint(dir)) }

// DropCheckpoints removes all, as everybody does who erases examples: they went into them.
func DropCheckpoints(dir string) error {
	adapters := AdapterCheckpoint(dir)
	return errors.Join(DropAxesCheckpoint(dir), drop(adapters), drop(SetAside(adapters)))
}

func drop(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
