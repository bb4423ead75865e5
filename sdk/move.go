package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// MoveOptions of a Move. Nil, and every zero field, means the default, but for a model.
type MoveOptions struct {
	Model     string   // folder of the new model; may be empty with Options.ModelFS
	MaxTokens int      // as Config.MaxTokens
	Windows   int      // as Config.Windows
	Options   *Options // of the new folder while people move
}

// MovedProfile says what became of one profile in the new folder.
type MovedProfile struct {
	Profile  string   `json:"profile"`
	Moved    bool     `json:"moved"`    // it is there, with all that is stored of it here
	Reason   string   `json:"reason"`   // in words
	Examples int      `json:"examples"` // that are stored of it here
	Before   *float32 `json:"before"`   // accuracy of its last Learn here; nil: not measured
	After    *float32 `json:"after"`    // of its Learn there
	Bytes    int      `json:"bytes"`    // of its record there
}

// Move makes a folder for another model at dir, beside this one, which goes on serving and
// learning: a folder is bound to its model for life. Everybody is learned anew there from the
// examples that are stored here, with their times, weights and rejections, and is judged as by
// Learn; who has none stored is listed, and stays behind. Labels are those of the shared head here,
// whose place one made from their names takes, and those of a profile's own, beside the shared head
// too; banks and heads that were trained stay behind too: TrainHead and TrainBank make new ones.
//
// It may end anywhere, by ctx, an error or a crash. Called again with the same dir it goes on: who
// was taught something since then is learned again, who was forgotten here is forgotten there. Open
// of dir, unless it is read-only, ends the move: from then on Move with this dir is ErrExists.
// Cost: a Learn a profile. A profile that cannot move yields its error, and the next one has its
// turn.
func (p *Folder) Move(ctx context.Context, dir string, o *MoveOptions) iter.Seq2[*MovedProfile, error] {
	return func(yield func(*MovedProfile, error) bool) {
		leave, err := p.enter(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer leave()
		to, err := p.moveTarget(ctx, dir, o)
		if err != nil {
			yield(nil, err)
			return
		}
		going := p.moveAll(ctx, to, yield)
		if err := to.Close(); err != nil && going {
			yield(nil, err)
		}
	}
}

// moveTarget opens the folder of a move that has begun, or makes it.
func (p *Folder) moveTarget(ctx context.Context, dir string, given *MoveOptions) (*Folder, error) {
	o := *cmp.Or(given, &MoveOptions{})
	opts := Options{}
	if o.Options != nil {
		opts = *o.Options
	}
	opts.moving = true
	switch exists, err := folder.Exists(dir); {
	case err != nil:
		return nil, err
	case exists:
		if o.Model != "" {
			if opts.Model, err = filepath.Abs(o.Model); err != nil {
				return nil, err
			}
		}
		return Open(ctx, dir, &opts)
	}
	h, _, err := p.shared()
	if err != nil {
		return nil, err
	}
	digits, err := p.newcomersDigits()
	if err != nil {
		return nil, err
	}
	return Create(ctx, dir, Config{Model: o.Model, Labels: h.Labels, Masks: !digits, MaxTokens: o.MaxTokens,
		Windows: o.Windows, Multi: p.options.multi, Thresholds: p.options.thresholds, Options: &opts})
}

// checkMoving refuses a Move to a folder that was not made for one, and ends the move where another
// opens it to write.
func (p *Folder) checkMoving(ctx context.Context) error {
	_, err := p.store.GetMeta(metaMoving)
	none := errors.Is(err, store.ErrNotFound)
	switch {
	case err != nil && !none:
		return err
	case p.options.moving && none:
		return fmt.Errorf("%s is no folder that people are moving to: %w", p.dir, ErrExists)
	case p.options.moving || p.options.ReadOnly || none:
		return nil
	}
	return p.store.PutMeta(ctx, metaMoving, nil)
}

// moveAll moves everybody, then forgets who is no longer here. False: the loop has ended.
func (p *Folder) moveAll(ctx context.Context, to *Folder, yield func(*MovedProfile, error) bool) bool {
	for info, err := range p.Profiles(ctx, nil) {
		var m *MovedProfile
		if err == nil {
			m, err = p.moveOne(ctx, to, info)
		}
		if err != nil && info.ID != "" {
			err = ofProfile(info.ID, err)
		}
		if !yield(m, err) || ctx.Err() != nil {
			return false
		}
	}
	for info, err := range to.Profiles(ctx, nil) {
		if err == nil {
			_, err = p.store.Get(info.ID)
			if !errors.Is(err, ErrProfileNotFound) {
				continue // what cannot be read here was said above
			}
			err = to.Forget(ctx, info.ID)
		}
		if !yield(&MovedProfile{Profile: info.ID, Reason: "was forgotten"}, err) || ctx.Err() != nil {
			return false
		}
	}
	return true
}

func (p *Folder) moveOne(ctx context.Context, to *Folder, info ProfileInfo) (*MovedProfile, error) {
	examples, err := p.store.Examples(info.ID)
	if err != nil {
		return nil, err
	}
	m := &MovedProfile{Profile: info.ID, Examples: len(examples), Before: info.After}
	there, err := to.Profile(ctx, info.ID)
	switch {
	case err == nil:
		same, err := to.sameProfile(there, info, examples)
		if err != nil {
			return nil, err
		}
		if same {
			m.Moved, m.Reason, m.After, m.Bytes = true, "is there already", there.After, there.Bytes
			return m, nil
		}
		if err := to.Forget(ctx, info.ID); err != nil {
			return nil, err
		}
	case !errors.Is(err, ErrProfileNotFound):
		return nil, err
	}
	if len(examples) == 0 {
		m.Reason = "no example of it is stored"
		return m, nil
	}
	if m.Reason, err = to.learnMoved(ctx, info, examples); err != nil {
		return m, err
	}
	there, err = to.Profile(ctx, info.ID)
	m.Moved, m.After, m.Bytes = err == nil, there.After, there.Bytes
	return m, err
}

// learnMoved learns a profile of another folder and returns what was decided, in words.
func (p *Folder) learnMoved(ctx context.Context, from ProfileInfo, examples []store.Example) (string, error) {
	o := LearnOptions{Head: from.Head}
	if from.Head == OwnHead {
		o.Labels = from.Labels
	}
	opts, err := o.withDefaults()
	if err != nil {
		return "", err
	}
	if from.Head == SharedHead {
		opts.labels = from.Labels
	}
	for _, e := range examples {
		e.Sequence, e.Key, e.Held, e.Known = 0, 0, false, false
		opts.fresh = append(opts.fresh, e)
	}
	rep, err := p.teachOne(ctx, from.ID, opts)
	if err == nil && from.Private {
		err = p.SetPrivate(ctx, from.ID, true)
	}
	if err != nil {
		return "", err
	}
	return rep.Reason, nil
}

// sameProfile says whether a profile that moved here still has all that there is of it, and nothing
// else. One that is full here has no room for the older ones.
func (p *Folder) sameProfile(here, from ProfileInfo, examples []store.Example) (bool, error) {
	stored, err := p.store.Examples(here.ID)
	if err != nil || here.Private != from.Private {
		return false, err
	}
	type said struct {
		text, pair, label string
		at                int64
	}
	of := func(e store.Example) said { return said{e.Text, e.Pair, e.Label, e.Time.UnixNano()} }
	moved, newest := map[said]bool{}, time.Time{}
	for _, e := range stored {
		moved[of(e)] = true
		if e.Time.After(newest) {
			newest = e.Time
		}
	}
	full := len(stored) >= p.options.Limits.Examples
	for _, e := range examples {
		if !moved[of(e)] && (!full || e.Time.After(newest)) {
			return false, nil // said since it was read for the move
		}
		delete(moved, of(e))
	}
	return len(moved) == 0, nil
}
