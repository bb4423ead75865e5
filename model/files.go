package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/xpeft/xpeft/internal/safetensors"
)

const (
	maxConfigFile    = 1 << 20
	maxTokenizerFile = 64 << 20 // the largest vocabularies in use take 20 MB
)

// folder is a folder of the disk. Unlike os.DirFS's, its errors have the whole path.
type folder string

func (f folder) Open(name string) (fs.File, error) {
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil, err // not a nil file that is no nil interface
	}
	return file, nil
}

func (f folder) path(name string) string { return filepath.Join(string(f), filepath.FromSlash(name)) }

// shown is a file's name in messages.
func shown(dir fs.FS, name string) string {
	if f, ok := dir.(folder); ok {
		return f.path(name)
	}
	return name
}

// readFile reads a small text file whole, up to a limit, so that no file decides how much is
// allocated.
func readFile(dir fs.FS, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", shown(dir, name), limit)
	}
	what := ""
	if len(b) > 0 { // an empty file is its reader's concern
		what = safetensors.Foreign(b)
	}
	switch {
	case what != "":
		return nil, fmt.Errorf("%s: %s", shown(dir, name), what)
	case !utf8.Valid(b):
		return nil, fmt.Errorf("%s: not UTF-8", shown(dir, name))
	case bytes.HasPrefix(b, []byte("\ufeff")):
		return nil, fmt.Errorf("%s: begins with a byte order mark: save it as UTF-8 without one", shown(dir, name))
	}
	return b, nil
}

// readOptional is readFile with nil for a file that does not exist.
func readOptional(dir fs.FS, name string, limit int64) ([]byte, error) {
	b, err := readFile(dir, name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// readObject reads a JSON object that may be absent, which is a nil map. The fields wait for their
// readers.
func readObject(dir fs.FS, name string, limit int64, kind error) (map[string]json.RawMessage, error) {
	b, err := readOptional(dir, name, limit)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kind, err)
	}
	if b == nil {
		return nil, nil
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", kind, name, err)
	}
	return fields, nil
}

// decode reads a field into dst. One that is absent or null leaves dst as it is.
func decode(fields map[string]json.RawMessage, file, name string, dst any, kind error) error {
	raw, ok := fields[name]
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		return fmt.Errorf("%w: %s: %s: %v", kind, file, name, err)
	}
	return nil
}

// neutral says which values of a field change nothing; it may also be absent or null.
type neutral struct {
	field  string
	values []string // as JSON without spaces
}

// wantNeutral returns ErrUnsupported for the first field that has another value.
func wantNeutral(fields map[string]json.RawMessage, file string, rules []neutral) error {
	for _, r := range rules {
		raw, ok := fields[r.field]
		var compact bytes.Buffer
		if !ok || json.Compact(&compact, raw) != nil || compact.String() == "null" {
			continue // what is no JSON did not get here
		}
		known := false
		for _, v := range r.values {
			known = known || compact.String() == v
		}
		if known {
			continue
		}
		want := "no such field"
		if len(r.values) > 0 {
			want = r.values[0]
		}
		return unsupportedf("%s: %s %.80s, want %s", file, r.field, compact.String(), want)
	}
	return nil
}
