package eval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// home is a folder of the SDK in which the bank's people live, as in a service that has run for a
// while. It is made once; each run of a mode works on a copy.
type home struct{ dir string }

// sdkBank is the one that a default folder has once TrainHead has run.
var sdkBank = sdk.RandomBank{N: 150, Seed: 42, Blocks: 1}

// makeHome teaches the SDK all texts of the bank's people and trains the head that all share.
func (w *World) makeHome(ctx context.Context) (err error) {
	if w.root, err = os.MkdirTemp("", "xpeft-eval-"); err != nil {
		return err
	}
	w.home.dir = filepath.Join(w.root, "home")
	p, err := sdk.Create(ctx, w.home.dir,
		sdk.Config{Model: w.Dir, Labels: w.Labels, MaxTokens: w.MaxTokens, Masks: true, Bank: sdkBank})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var requests []sdk.LearnRequest
	for _, part := range w.Bank {
		requests = append(requests, sdk.LearnRequest{Profile: part.ID,
			Examples: append(part.told(part.train), part.told(part.test)...)})
	}
	brief := learner.Default() // under a head that is about to be replaced
	brief.Epochs = 1
	if _, err := learnAll(ctx, p, requests, &sdk.LearnOptions{Config: &brief}); err != nil {
		return err
	}
	_, err = p.TrainHead(ctx, nil)
	return err
}

// readHead reads the head that TrainHead made: the modes that the SDK does not have use it too.
func (h home) readHead() (*model.Head, error) {
	head := new(model.Head)
	return head, h.read(func(st *store.Store) error {
		ref, err := st.HeadByName("default")
		if err != nil {
			return err
		}
		data, err := st.Head(ref)
		if err != nil {
			return err
		}
		return head.UnmarshalBinary(data)
	})
}

// read opens the folder's store, which no SDK may have open.
func (h home) read(f func(*store.Store) error) (err error) {
	st, err := folder.Open(h.dir, &store.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return f(st)
}

// use opens the folder for f.
func (h home) use(f func(*sdk.Folder) error) (err error) {
	p, err := sdk.Open(context.Background(), h.dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return f(p)
}

// settled is a copy of the world's home in which the bank's people have learned under the trained
// head, and over a warm bank of theirs if that is asked for.
func (w *World) settled(ctx context.Context, warm *sdk.TrainBankOptions) (home, error) {
	name := "settled"
	if warm != nil {
		name = "warm"
	}
	s, err := w.share(name, func(s *shared) (err error) {
		if s.home, err = w.copyHome(w.home, name); err != nil {
			return err
		}
		return s.home.use(func(p *sdk.Folder) error {
			if warm != nil {
				if _, err := p.TrainBank(ctx, warm); err != nil {
					return err
				}
			}
			for _, err := range p.RebaseAll(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return home{}, err
	}
	return s.home, nil
}

// copyHome makes a copy whose changes nobody else sees.
func (w *World) copyHome(h home, name string) (home, error) {
	dir, err := os.MkdirTemp(w.root, name+"-")
	if err != nil {
		return home{}, err
	}
	return home{dir}, os.CopyFS(dir, os.DirFS(h.dir))
}

// learnAll is LearnMany, with the first person's error as its own.
func learnAll(ctx context.Context, p *sdk.Folder, requests []sdk.LearnRequest, o *sdk.LearnOptions) ([]sdk.LearnResult,
	error) {
	results, err := p.LearnMany(ctx, requests, o)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		if r.Err != nil {
			return nil, fmt.Errorf("person %s: %w", requests[i].Profile, r.Err)
		}
	}
	return results, nil
}

// told are some of a person's texts as the SDK takes them.
func (p *Part) told(which []int) (out []sdk.Example) {
	for _, i := range which {
		e := p.texts.person.Examples[i]
		out = append(out, sdk.Example{Text: e.Text, Pair: e.Pair, Label: e.Label})
	}
	return out
}
