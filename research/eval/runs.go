package eval

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxRunFile bounds a run file.
const maxRunFile = 256 << 20

// tunePrefix begins the names of files that keep a mode's chosen setting.
const tunePrefix = "tune-"

// ReadRuns reads run files, and all of them in folders, sorted by task, mode, split, seed and
// shots.
func ReadRuns(paths ...string) ([]Run, error) {
	var runs []Run
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		files := []string{path}
		if info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil {
				return nil, err
			}
		}
		for _, f := range files {
			if info.IsDir() && strings.HasPrefix(filepath.Base(f), tunePrefix) {
				continue
			}
			r, err := readRun(f)
			if err != nil {
				return nil, err
			}
			runs = append(runs, r)
		}
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("%w: no runs in %s", ErrData, strings.Join(paths, ", "))
	}
	slices.SortStableFunc(runs, func(a, b Run) int {
		return cmp.Or(cmp.Compare(a.Task, b.Task), cmp.Compare(a.Mode, b.Mode), a.Split-b.Split, a.Seed-b.Seed,
			a.Shots-b.Shots)
	})
	return runs, nil
}

func readRun(path string) (r Run, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return r, err
	}
	if info.Size() > maxRunFile {
		return r, fmt.Errorf("%w: %s has %d bytes", ErrData, path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%w: %s: %w", ErrData, path, err)
	}
	if r.Format != runFormat || r.Mode == "" || len(r.Profiles) == 0 {
		return r, fmt.Errorf("%w: %s is no run of format %d", ErrData, path, runFormat)
	}
	return r, nil
}

// writeJSON writes a file whole or not at all.
func writeJSON(path string, v any) (err error) {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".eval-*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
