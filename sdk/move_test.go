package sdk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// otherModel is the tiny model with another pooling, which is another encoder.
func otherModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(tinyModel(t))); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"modules.json": `[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},` +
			`{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]`,
		"1_Pooling/config.json": `{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// everyKind is a folder of digits in which people of every kind have learned.
func everyKind(t *testing.T) *Folder {
	t.Helper()
	c := small(t)
	c.Masks, c.Bank, c.K = false, nil, 0
	p := create(t, c)
	for i := range 6 {
		mustLearn(t, p, fmt.Sprint("shared ", i), examples(12+i, i), nil)
	}
	mustLearn(t, p, "own", examples(15, 1), &LearnOptions{Head: OwnHead, Labels: []string{"later", "urgent", "ignore"}})
	mustLearn(t, p, "number", hours(12), &LearnOptions{Head: NumberHead})
	mustLearn(t, p, "forgetful", examples(12, 0), &LearnOptions{DropExamples: true})
	mustLearn(t, p, "private", examples(12, 2), nil)
	if err := p.SetPrivate(context.Background(), "private", true); err != nil {
		t.Fatal(err)
	}
	if err := p.Observe(context.Background(), "seen", examples(1, 0)[0]); err != nil {
		t.Fatal(err)
	}
	return p
}

// moved moves everybody and returns the reports by profile, in words.
func moved(t *testing.T, p *Folder, dir string, o *MoveOptions) map[string]string {
	t.Helper()
	said := map[string]string{}
	for m, err := range p.Move(t.Context(), dir, o) {
		if err != nil {
			t.Fatal(err)
		}
		said[m.Profile] = m.Reason
		if m.Moved && strings.HasPrefix(m.Reason, "installed") {
			said[m.Profile] = "moved"
		}
	}
	return said
}

// checkMoved compares a folder with the one whose people moved there: their examples, and answers
// as of somebody who was taught these alone.
func checkMoved(t *testing.T, p, to *Folder, ids ...string) {
	t.Helper()
	fresh := create(t, Config{Model: otherModel(t), Labels: labels, MaxTokens: 24,
		Options: &Options{Device: device(), Threads: 1}})
	for _, id := range ids {
		want, got := slices.Collect(firsts(p.Examples(t.Context(), id))),
			slices.Collect(firsts(to.Examples(t.Context(), id)))
		for i := range want {
			want[i].Learned, want[i].HeldOut = true, got[i].HeldOut
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
		info, err := p.Profile(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		o := &LearnOptions{Head: info.Head}
		if info.Head == OwnHead {
			o.Labels = info.Labels
		}
		taught := make([]Example, len(want))
		for i, e := range want {
			taught[i] = e.Example
		}
		mustLearn(t, fresh, id, taught, o)
		there, err := to.Profile(t.Context(), id)
		if err != nil || there.Private != info.Private || there.Head != info.Head {
			t.Errorf("%s: got %+v, %v, want private %t and head %s", id, there, err, info.Private, info.Head)
		}
		near(t, id, mustPredict(t, to, id, "the pager went off"), mustPredict(t, fresh, id, "the pager went off"))
	}
}

// firsts are the values of a loop without errors.
func firsts[T any](all func(func(T, error) bool)) func(func(T) bool) {
	return func(yield func(T) bool) {
		all(func(v T, err error) bool {
			if err != nil {
				panic(err)
			}
			return yield(v)
		})
	}
}

// TestMove: people of every kind move; what changes meanwhile follows; Open ends the move.
func TestMove(t *testing.T) {
	t.Parallel()
	p, ctx := everyKind(t), t.Context()
	dir, o := filepath.Join(t.TempDir(), "out"), &MoveOptions{Model: otherModel(t), MaxTokens: 24,
		Options: &Options{Device: device(), Threads: 1}}
	said := moved(t, p, dir, o)
	ids := []string{"number", "own", "private", "seen", "shared 0", "shared 1", "shared 2", "shared 3", "shared 4",
		"shared 5"}
	if len(said) != len(ids)+1 || said["forgetful"] != "no example of it is stored" || said["own"] != "moved" {
		t.Errorf("got %q", said)
	}

	mustLearn(t, p, "shared 0", []Example{{Text: "the pager is quiet", Label: "later"}}, nil)
	if err := errors.Join(p.Forget(ctx, "shared 1"), p.ForgetExample(ctx, "shared 2", examples(14, 2)[3].Text, nil),
		p.SetPrivate(ctx, "private", false), p.Drain(ctx)); err != nil {
		t.Fatal(err)
	}
	for id, reason := range moved(t, p, dir, o) {
		here := slices.Contains([]string{"shared 0", "shared 2", "private"}, id)
		if (reason == "is there already") == here && id != "forgetful" && id != "shared 1" || id == "shared 1" &&
			reason != "was forgotten" {
			t.Errorf("%s, moved again: got %q", id, reason)
		}
	}
	to := open(t, dir, o.Options)
	defer closeClean(t, to)
	checkMoved(t, p, to, slices.DeleteFunc(ids, func(id string) bool { return id == "shared 1" })...)
	if _, err := to.Profile(ctx, "shared 1"); !errors.Is(err, ErrProfileNotFound) {
		t.Errorf("forgotten meanwhile: got %v", err)
	}
	closeClean(t, to)
	for _, err := range p.Move(ctx, dir, o) {
		if !errors.Is(err, ErrExists) {
			t.Errorf("after Open: got %v, want ErrExists", err)
		}
	}
}

// TestMoveGoesOn: a move that a caller leaves, or whose ctx ends, goes on where it was.
func TestMoveGoesOn(t *testing.T) {
	t.Parallel()
	p := everyKind(t)
	dir, o := filepath.Join(t.TempDir(), "out"), &MoveOptions{Model: otherModel(t), MaxTokens: 24,
		Options: &Options{Device: device(), Threads: 1}}
	for most := range 4 {
		ctx, stop := context.WithCancel(t.Context())
		n := 0
		for _, err := range p.Move(ctx, dir, o) {
			if n++; err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if n == 2*most && most%2 == 1 {
				stop()
			} else if n == 2*most {
				break
			}
		}
		stop()
	}
	again := 0
	for _, reason := range moved(t, p, dir, o) {
		if reason == "is there already" {
			again++
		}
	}
	if again < 4 {
		t.Errorf("%d were there already, want those of the moves before", again)
	}
	to := open(t, dir, o.Options)
	defer closeClean(t, to)
	checkMoved(t, p, to, "own", "private", "shared 0", "shared 5")
}

// TestMoveLabels: labels that a profile has beside the shared head move with it, and so do examples
// of labels that it had before.
func TestMoveLabels(t *testing.T) {
	t.Parallel()
	c := small(t)
	c.Masks, c.Bank, c.K = false, nil, 0
	p := create(t, c)
	mustLearn(t, p, "rows", append(examples(12, 0), bills(6)...), &LearnOptions{AddLabels: true})
	mustLearn(t, p, "was own", append(examples(12, 0), bills(6)...),
		&LearnOptions{Labels: append([]string{"billing"}, labels...)})
	mustLearn(t, p, "was own", examples(3, 1), &LearnOptions{Head: SharedHead, Force: true})
	dir, o := filepath.Join(t.TempDir(), "out"), &MoveOptions{Model: otherModel(t), MaxTokens: 24,
		Options: &Options{Device: device(), Threads: 1}}
	for _, want := range []string{"moved", "is there already"} {
		if said := moved(t, p, dir, o); said["rows"] != want || said["was own"] != want {
			t.Errorf("got %q, want %q of each", said, want)
		}
	}
	to := open(t, dir, o.Options)
	defer closeClean(t, to)
	for _, id := range []string{"rows", "was own"} {
		was, err := p.Profile(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		is, err := to.Profile(t.Context(), id)
		if err != nil || !slices.Equal(was.Labels, is.Labels) {
			t.Errorf("%s: got the labels %q, %v, want %q", id, is.Labels, err, was.Labels)
		}
		want, got := slices.Collect(firsts(p.Examples(t.Context(), id))),
			slices.Collect(firsts(to.Examples(t.Context(), id)))
		if len(got) != len(want) {
			t.Errorf("%s: got %d examples, want %d", id, len(got), len(want))
		}
	}
}

// meanwhileCtx calls f once, from within the learning of a profile that moves.
type meanwhileCtx struct {
	context.Context
	once *sync.Once
	f    func()
}

func (c meanwhileCtx) Value(key any) any {
	if strings.Contains(string(debug.Stack()), ").learnMoved(") {
		c.once.Do(c.f)
	}
	return c.Context.Value(key)
}

// TestMoveMeanwhile: what a person teaches while the profile is learned in the new folder, from
// what was read before, moves with the next call.
func TestMoveMeanwhile(t *testing.T) {
	t.Parallel()
	c := small(t)
	c.Masks, c.Bank, c.K = false, nil, 0
	p := create(t, c)
	mustLearn(t, p, "ann", examples(12, 0), nil)
	dir, o := filepath.Join(t.TempDir(), "out"), &MoveOptions{Model: otherModel(t), MaxTokens: 24,
		Options: &Options{Device: device(), Threads: 1}}
	taught := false
	ctx := meanwhileCtx{t.Context(), new(sync.Once), func() {
		e := Example{Text: "the pager is quiet", Label: "later"}
		taught = p.Observe(t.Context(), "ann", e) == nil
	}}
	for m, err := range p.Move(ctx, dir, o) {
		if err != nil || !m.Moved || m.Examples != 12 || !taught {
			t.Fatalf("got %+v, %v, taught meanwhile: %t", m, err, taught)
		}
	}
	for _, want := range []string{"moved", "is there already"} {
		if said := moved(t, p, dir, o); said["ann"] != want {
			t.Errorf("moved again: got %q, want %q", said["ann"], want)
		}
	}
	to := open(t, dir, o.Options)
	defer closeClean(t, to)
	checkMoved(t, p, to, "ann")
}

// TestMoveRefuses: a folder that is no move's, another model than the move began with, and none.
func TestMoveRefuses(t *testing.T) {
	t.Parallel()
	p := everyKind(t)
	dir := filepath.Join(t.TempDir(), "out")
	moved(t, p, dir, &MoveOptions{Model: otherModel(t)})
	for name, c := range map[string]struct {
		dir, model string
		want       error
	}{
		"its own folder": {p.dir, otherModel(t), ErrLocked},
		"another model":  {dir, tinyModel(t), ErrMismatch},
		"no model":       {filepath.Join(t.TempDir(), "new"), "", ErrConfig},
	} {
		o := &MoveOptions{Model: c.model, Options: &Options{Timeout: 1}}
		for _, err := range p.Move(t.Context(), c.dir, o) {
			if !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", name, err, c.want)
			}
		}
	}
}
