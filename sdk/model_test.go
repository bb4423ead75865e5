package sdk

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func openModelOf(t *testing.T, dir string, o *ModelOptions) *Model {
	t.Helper()
	m, err := OpenModel(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// on is a configuration over an open model.
func on(t *testing.T, m *Model, masks bool) Config {
	c := small(t)
	c.Model, c.Masks, c.Options = "", masks, &Options{Encoder: m, Threads: 1}
	return c
}

// TestModelIsShared: folders on one model answer as folders with one of their own, at once.
func TestModelIsShared(t *testing.T) {
	ctx := context.Background()
	m := openModelOf(t, tinyModel(t), &ModelOptions{Device: device()})
	var all sync.WaitGroup
	for _, masks := range []bool{true, false, false} {
		c := small(t)
		c.Masks = masks
		own, p := create(t, c), create(t, on(t, m, masks))
		mustLearn(t, own, "ann", examples(12, 0), forced())
		mustLearn(t, p, "ann", examples(12, 0), forced())
		want := mustPredict(t, own, "ann", "server down")
		if p.encoder != m.opened.encoder || p.tokenizer != m.opened.tokenizer {
			t.Error("the folder has an encoder or a tokenizer of its own")
		}
		for range 4 {
			all.Add(1)
			go func() {
				defer all.Done()
				for range 20 {
					got, err := p.Predict(ctx, "ann", "server down", nil)
					if err != nil {
						t.Error(err)
						return
					}
					near(t, fmt.Sprint("masks: ", masks), got, want)
				}
			}()
		}
	}
	all.Wait()
	if len(m.axes) != 1 {
		t.Errorf("got %d axes of two folders, want one", len(m.axes))
	}
}

// TestModelLastsLongerThanItsFolders: it is not closed under them, and a folder on it opens without
// it too.
func TestModelLastsLongerThanItsFolders(t *testing.T) {
	ctx := context.Background()
	m := openModelOf(t, tinyModel(t), nil)
	p := create(t, on(t, m, true))
	mustLearn(t, p, "ann", examples(12, 0), forced())
	want := mustPredict(t, p, "ann", "server down")
	err := m.Close()
	wantError(t, "with an open folder", err, ErrModelInUse)
	near(t, "after a Close in vain", mustPredict(t, p, "ann", "server down"), want)
	for range 2 { // idempotent
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, p.dir, &Options{Encoder: m})
	near(t, "opened again", mustPredict(t, again, "ann", "server down"), want)
	again.Close()
	_, err = Open(ctx, filepath.Join(t.TempDir(), "none"), &Options{Encoder: m})
	if err == nil {
		t.Error("opened a folder that does not exist")
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatalf("after its folders: %v", err)
		}
	}
	_, err = Open(ctx, p.dir, &Options{Encoder: m})
	wantError(t, "on a closed model", err, ErrClosed)
	alone := open(t, p.dir, nil) // Create has written down where the model is
	near(t, "alone", mustPredict(t, alone, "ann", "server down"), want)
}

// TestModelIsTheFolders: a folder that another model made is refused, and does not hold the model.
func TestModelIsTheFolders(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	p.Close()
	other := t.TempDir()
	if err := writeTiny(other, 2); err != nil {
		t.Fatal(err)
	}
	m, err := OpenModel(ctx, other, nil)
	if err != nil {
		t.Fatal(err)
	}
	var mismatch *MismatchError
	if _, err = Open(ctx, p.dir, &Options{Encoder: m}); !errors.As(err, &mismatch) || !errors.Is(err, ErrMismatch) ||
		mismatch.What != "encoder" {
		t.Errorf("got %v, want ErrMismatch of the encoder", err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("after a refused folder: %v", err)
	}
}

func TestModelOptionsBesideFolders(t *testing.T) {
	ctx := context.Background()
	m := openModelOf(t, tinyModel(t), nil)
	for _, o := range []Options{{Device: "cpu"}, {Kernel: "portable"}, {Precision: "int8"}, {Model: "x"},
		{ModelFS: inMemory(t)}} {
		o.Encoder = m
		_, err := Open(ctx, t.TempDir(), &o)
		wantError(t, fmt.Sprintf("%+v", o), err, ErrConfig)
	}
	c := on(t, m, true)
	c.Model = tinyModel(t)
	_, err := Create(ctx, t.TempDir(), c)
	wantError(t, "Config.Model", err, ErrConfig)
	_, err = OpenModel(ctx, tinyModel(t), &ModelOptions{Kernel: "fast", Workers: -1})
	wantError(t, "options of the model", err, ErrConfig)
	if !strings.Contains(err.Error(), "fast") || !strings.Contains(err.Error(), "Workers") {
		t.Errorf("got %v, want both faults", err)
	}
}

// TestModelBoundsPasses: passes of all folders count against one bound.
func TestModelBoundsPasses(t *testing.T) {
	m := openModelOf(t, tinyModel(t), &ModelOptions{Workers: 1})
	p, q := create(t, on(t, m, true)), create(t, on(t, m, true))
	m.passes <- struct{}{} // as a pass of some folder
	for _, f := range []*Folder{p, q} {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		_, err := f.Predict(ctx, "", "server down", &PredictOptions{Base: true})
		wantError(t, "beside another pass", err, context.DeadlineExceeded)
	}
	<-m.passes
	for _, f := range []*Folder{p, q} {
		if _, err := f.Predict(context.Background(), "", "server down", &PredictOptions{Base: true}); err != nil {
			t.Error(err)
		}
	}
}
