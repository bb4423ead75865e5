//go:build torch && cgo

package torch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/model"
)

// open opens an engine on the device that XPEFT_TEST_DEVICE names (default cpu; a test is skipped
// where cuda is asked for and there is none). card makes libtorch compute everything, as it does on
// a GPU. When the test ends it closes the engine and fails if a handle is left.
func open(t testing.TB, enc *model.Encoder, card bool) *torch {
	t.Helper()
	device := os.Getenv("XPEFT_TEST_DEVICE")
	if device == "" {
		device = "cpu"
	}
	e, err := Open(enc, Config{Device: device})
	if errors.Is(err, engine.ErrNoCUDA) {
		t.Skip("no CUDA device here: skipping a GPU test")
	}
	if err != nil {
		t.Fatal(err)
	}
	x := e.(*torch)
	x.card, x.few = x.card || card, 0
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if n := x.libtorch.Live(); n != 0 {
			t.Errorf("got %d live handles of libtorch, want 0", n)
		}
	})
	return x
}

// minilm is the encoder of the real weights.
func minilm(t testing.TB) *model.Encoder {
	t.Helper()
	c, err := model.OpenCheckpoint(golden.Model(t))
	if err != nil {
		t.Fatal(err)
	}
	enc, err := model.NewEncoder(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close() })
	return enc
}

// goldenTexts undoes the padding of golden ids.
func goldenTexts(f golden.File) []model.Encoding {
	shape, ids, mask := f.Shape("ids"), f.Ints("ids"), f.Ints("mask")
	out := make([]model.Encoding, shape[0])
	for i := range out {
		for j := range int(shape[1]) {
			if at := i*int(shape[1]) + j; mask[at] != 0 {
				out[i].IDs = append(out[i].IDs, int32(ids[at]))
				out[i].TypeIDs = append(out[i].TypeIDs, 0)
			}
		}
	}
	return out
}

func TestOpen(t *testing.T) {
	enc := tinies[0].open(t)
	if !Built {
		t.Error("got a program without libtorch")
	}
	if _, err := Open(enc, Config{Device: "tpu"}); err == nil || !strings.Contains(err.Error(), `"tpu"`) {
		t.Errorf("tpu: got %v, want an error that names it", err)
	}
	want := "cuda"
	if libtorch.CUDACount() == 0 {
		want = "cpu"
		if e, err := Open(enc, Config{Device: "cuda"}); e != nil || !errors.Is(err, engine.ErrNoCUDA) {
			t.Errorf("cuda: got %v, want %v", err, engine.ErrNoCUDA)
		}
	}
	for _, device := range []string{"", "auto", "cpu"} {
		var log bytes.Buffer
		e, err := Open(enc, Config{Device: device, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if device == "cpu" {
			want = "cpu"
		}
		if e.Name() != "torch" || e.Device() != want || e.Trains() != enc.Blocks() {
			t.Errorf("%q: got %s on %s that trains %d blocks, want torch on %s, %d", device, e.Name(), e.Device(),
				e.Trains(), want, enc.Blocks())
		}
		if said := strings.Contains(log.String(), "no CUDA device"); said != (device != "cpu" && want == "cpu") {
			t.Errorf("%q: got the log %q", device, log.String())
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOpenFails: a weight that is missing is an error, and nothing stays behind.
func TestOpenFails(t *testing.T) {
	enc := tinies[0].open(t)
	enc.Close()
	if e, err := Open(enc, Config{Device: "cpu"}); err == nil {
		e.Close()
		t.Error("a closed encoder: got no error")
	}
}

// TestClose: it is idempotent, and what comes after it is ErrClosed.
func TestClose(t *testing.T) {
	enc, ctx := tinies[0].open(t), context.Background()
	for _, card := range []bool{false, true} {
		e := open(t, enc, card)
		for range 2 {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
		r := engine.Rows{Texts: tinyTexts}
		a := []*model.Adapter{kinds[0].adapter(1, 1, enc.Hidden(), 3)}
		_, stems := e.Stems(ctx, tinyTexts, 0, nil, nil)
		_, gradient := e.Gradient(ctx, r, a, nil, toTarget)
		for name, err := range map[string]error{"Stems": stems, "Gradient": gradient,
			"Embed": e.Embed(ctx, r, nil, make([]float32, len(tinyTexts)*enc.Hidden()), nil, nil)} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s: got %v, want %v", name, err, ErrClosed)
			}
		}
	}
}

// TestContext: one that has ended stops a call before its work.
func TestContext(t *testing.T) {
	enc := tinies[0].open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e := open(t, enc, true)
	never := func(int, []float32, []float32) { t.Error("the loss was asked for") }
	if _, err := e.Stems(ctx, tinyTexts, 1, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Stems: got %v", err)
	}
	x := make([]float32, len(tinyTexts)*enc.Hidden())
	if err := e.Embed(ctx, engine.Rows{Texts: tinyTexts}, nil, x, nil, nil); !errors.Is(err, context.Canceled) ||
		slices.Max(x) != 0 {
		t.Errorf("Embed: got %v and values up to %g", err, slices.Max(x))
	}
	if _, err := e.Gradient(ctx, engine.Rows{Texts: tinyTexts},
		[]*model.Adapter{kinds[0].adapter(1, 3, enc.Hidden(), 3)}, nil, never); !errors.Is(err, context.Canceled) {
		t.Errorf("Gradient: got %v", err)
	}
}

// TestContextBetweenShards: one that ends in a step stops what has not begun.
func TestContextBetweenShards(t *testing.T) {
	enc := tinies[0].open(t)
	ctx, cancel := context.WithCancel(context.Background())
	e := open(t, enc, false)
	var texts []model.Encoding
	for range 400 {
		texts = append(texts, tinyTexts...)
	}
	var mu sync.Mutex
	asked := 0
	_, err := e.Gradient(ctx, engine.Rows{Texts: texts}, []*model.Adapter{kinds[0].adapter(1, 3, enc.Hidden(), 3)},
		nil, func(int, []float32, []float32) {
			cancel()
			mu.Lock()
			defer mu.Unlock()
			asked++
		})
	if !errors.Is(err, context.Canceled) || asked == len(texts) {
		t.Errorf("got %v after %d of %d rows, want it to stop", err, asked, len(texts))
	}
}

// TestRefused: what does not fit is an error before any work, never a crash.
func TestRefused(t *testing.T) {
	enc, ctx := tinies[0].open(t), context.Background()
	d := enc.Hidden()
	e := open(t, enc, true)
	good := func() []*model.Adapter { return []*model.Adapter{kinds[2].adapter(1, 3, d, 3)} }
	for name, c := range map[string]struct {
		rows   func(*engine.Rows)
		spoil  func(*model.Adapter)
		target error
	}{
		"id": {rows: func(r *engine.Rows) {
			r.Texts[1] = model.Encoding{IDs: []int32{40},
				TypeIDs: []int32{0}}
		}},
		"type": {rows: func(r *engine.Rows) {
			r.Texts[1] = model.Encoding{IDs: []int32{4},
				TypeIDs: []int32{2}}
		}},
		"no tokens": {rows: func(r *engine.Rows) { r.Texts[1] = model.Encoding{} }},
		"too many tokens": {rows: func(r *engine.Rows) {
			r.Texts[1] = model.Encoding{IDs: make([]int32, 17),
				TypeIDs: make([]int32, 17)}
		}},
		"owner":            {rows: func(r *engine.Rows) { r.Owner = []int{0, 0, 1, 0, 0} }},
		"owner below 0":    {rows: func(r *engine.Rows) { r.Owner = []int{0, 0, -1, 0, 0} }},
		"an owner missing": {rows: func(r *engine.Rows) { r.Owner = []int{0, 0} }},
		"block":            {rows: func(r *engine.Rows) { r.From = 3 }},
		"block below 0":    {rows: func(r *engine.Rows) { r.From = -2 }},
		"above its blocks": {rows: func(r *engine.Rows) { r.From = 1 }},
		"a stem missing":   {rows: func(r *engine.Rows) { r.Stems = make([][]float32, 3) }},
		"a short stem": {rows: func(r *engine.Rows) {
			r.Stems = make([][]float32, 5)
			r.Stems[2] = make([]float32,
				d)
		}},
		"many blocks": {spoil: func(a *model.Adapter) { *a = *kinds[2].adapter(1, 4, d, 3) },
			target: engine.ErrUntrainable},
		"no blocks":  {spoil: func(a *model.Adapter) { a.Blocks = 0 }},
		"bottleneck": {spoil: func(a *model.Adapter) { a.Bottleneck = 4 }},
		"down":       {spoil: func(a *model.Adapter) { a.Down = a.Down[1:] }},
		"no up":      {spoil: func(a *model.Adapter) { a.Up = nil }},
		"bias":       {spoil: func(a *model.Adapter) { a.DownBias = a.DownBias[1:] }},
		"norm":       {spoil: func(a *model.Adapter) { a.Norm = a.Norm[:3] }},
	} {
		t.Run(name, func(t *testing.T) {
			r, as := engine.Rows{Texts: slices.Clone(tinyTexts)}, good()
			if c.rows != nil {
				c.rows(&r)
			}
			if c.spoil != nil {
				c.spoil(as[0])
			}
			_, err := e.Gradient(ctx, r, as, nil, func(int, []float32, []float32) { t.Error("the loss was asked for") })
			if err == nil || c.target != nil && !errors.Is(err, c.target) {
				t.Errorf("Gradient: got %v, want an error %v", err, c.target)
			}
			if r.From != 0 && r.Stems == nil {
				return // Embed without stems is a whole pass, wherever adapters begin
			}
			if err := e.Embed(ctx, r, as, make([]float32, len(r.Texts)*d), nil, nil); err == nil {
				t.Error("Embed: got no error")
			}
		})
	}
	r := engine.Rows{Texts: tinyTexts}
	for name, err := range map[string]error{
		"values": e.Embed(ctx, r, nil, make([]float32, 3), nil, nil),
		"states": e.Embed(ctx, r, nil, make([]float32, len(tinyTexts)*d), []int{1}, nil),
		"a tap": e.Embed(ctx, r, nil, make([]float32, len(tinyTexts)*d), []int{4},
			make([]float32, len(tinyTexts)*d)),
		"taps' order": e.Embed(ctx, r, nil, make([]float32, len(tinyTexts)*d), []int{2, 1},
			make([]float32, 2*len(tinyTexts)*d)),
	} {
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := e.Stems(ctx, tinyTexts, 3, nil, nil); err == nil {
		t.Error("Stems of block 3: got no error")
	}
}

// TestLossPanics: a panic of the caller's own loss surfaces in the caller's goroutine, and the
// engine goes on.
func TestLossPanics(t *testing.T) {
	enc := tinies[0].open(t)
	e := open(t, enc, false)
	as, r := []*model.Adapter{kinds[0].adapter(1, 3, enc.Hidden(), 3)}, engine.Rows{Texts: tinyTexts}
	func() {
		defer func() {
			if got := recover(); got != "mine" {
				t.Errorf("got panic %v, want mine", got)
			}
		}()
		e.Gradient(context.Background(), r, as, nil, func(int, []float32, []float32) { panic("mine") })
	}()
	if _, err := e.Gradient(context.Background(), r, as, nil, toTarget); err != nil {
		t.Errorf("after a panic: got %v", err)
	}
}

// TestConcurrent: calls at once, each with texts of its own, find what they find alone, to the bit.
func TestConcurrent(t *testing.T) {
	enc, ctx := tinies[0].open(t), context.Background()
	e := open(t, enc, true)
	d := enc.Hidden()
	as := []*model.Adapter{kinds[0].adapter(1, 3, d, 3), nil, kinds[2].adapter(2, 2, d, 5)}
	call := func(i int) string {
		r := engine.Rows{Texts: append(slices.Clone(tinyTexts[i:]), tinyTexts[:i]...), Owner: []int{0, 1, 2, 0, 2}}
		x := make([]float32, len(tinyTexts)*d)
		if err := e.Embed(ctx, r, as, x, nil, nil); err != nil {
			t.Error(err)
		}
		g, err := e.Gradient(ctx, r, as, nil, func(row int, x, dx []float32) {
			toTarget(row, x, dx)
			time.Sleep(20 * time.Microsecond) // so that calls meet
		})
		if err != nil {
			t.Error(err)
			return ""
		}
		return fmt.Sprint(x, *g[0], g[1], *g[2])
	}
	var want []string
	for i := range tinyTexts {
		want = append(want, call(i))
	}
	var all sync.WaitGroup
	for i := range want {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 10 {
				if call(i) != want[i] {
					t.Error("got other numbers than alone")
				}
			}
		}()
	}
	all.Wait()
}
