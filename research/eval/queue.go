package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// claim marks an item as being worked on, by a file with the process's number in it. ok is false
// where a living process has it; the claim of a dead one is taken over.
func claim(path string) (release func(), ok bool, err error) {
	for range 2 {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err == nil {
			_, err = f.WriteString(strconv.Itoa(os.Getpid()))
			return func() { os.Remove(path) }, true, errors.Join(err, f.Close())
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, false, err
		}
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, err
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err == nil && pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return nil, false, nil
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, err
		}
	}
	return nil, false, nil
}

// claimRun claims the run that a file is to hold; ok is false where there is nothing to do: it is
// there, or another process has it. One of other data is ErrData.
func claimRun(path, data string) (release func(), ok bool, err error) {
	r, err := readRun(path)
	switch {
	case err == nil && r.Data != data:
		return nil, false, fmt.Errorf("%w: %s is of other data", ErrData, path)
	case err == nil:
		return nil, false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, false, err
	}
	return claim(path + ".lock")
}

// choice is a mode's setting, chosen on the development people, as it is kept in the output folder.
type choice struct {
	Data   string  `json:"data"`
	Mode   string  `json:"mode"`
	Chosen int     `json:"chosen"`
	Tried  []Trial `json:"tried"`
}

// choose tries all settings of a mode on the development people, each third of them new once,
// unless the folder has the choice.
func (e *Evaluation) choose(ctx context.Context, m Mode) (choice, error) {
	path := filepath.Join(e.Out, tunePrefix+m.Name+".json")
	var c choice
	if data, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(data, &c); err != nil || c.Data != e.Data.Digest ||
			len(c.Tried) != len(m.Settings) || c.Chosen >= len(c.Tried) {
			return c, fmt.Errorf("%w: %s is of other data or settings; delete it to choose again", ErrData, path)
		}
		return c, nil
	}
	c = choice{Data: e.Data.Digest, Mode: m.Name}
	best, bestF1 := -1.0, -1.0
	for i, s := range m.Settings {
		t := Trial{Setting: s.Name}
		if len(m.Settings) > 1 {
			acc, f1, err := e.try(ctx, m, s)
			if err != nil {
				return c, err
			}
			if t.Score = acc; acc > best || acc == best && f1 > bestF1 {
				best, bestF1, c.Chosen = acc, f1, i
			}
			e.say("%s, %s: %.4f on the development people", m.Name, s.Name, acc)
		}
		c.Tried = append(c.Tried, t)
	}
	return c, writeJSON(path, c)
}

// try is the mean accuracy and F1 of a setting over the development people.
func (e *Evaluation) try(ctx context.Context, m Mode, s Setting) (acc, f1 float64, err error) {
	n := 0.0
	for i := range folds * choosingSeeds {
		w, err := e.fold(ctx, i)
		if err != nil {
			return 0, 0, err
		}
		ps, err := e.serve(ctx, w, m, s, 0)
		if err != nil {
			return 0, 0, err
		}
		for _, p := range ps {
			acc, f1, n = acc+p.Metrics["accuracy"], f1+p.Metrics["macro_f1"], n+1
		}
	}
	return acc / n, f1 / n, nil
}

// choosingSeeds divide the development people's texts as often, to choose settings.
const choosingSeeds = 3
