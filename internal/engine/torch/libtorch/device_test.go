//go:build torch && cgo

package libtorch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// TestEveryTensorIsMadeOnTheEnginesDevice opens an engine on a device that this build cannot use:
// whatever makes a tensor must fail. Nothing outside of this package can make one otherwise: it is
// the only importer of libtorch.
func TestEveryTensorIsMadeOnTheEnginesDevice(t *testing.T) {
	e := open(t, Config{})
	e.device = -3 // libtch's code of Vulkan, which is never usable here
	for name, f := range map[string]func(*Scope){
		"Float32s":        func(s *Scope) { s.Float32s([]float32{1}, 1) },
		"Float32s, empty": func(s *Scope) { s.Float32s(nil, 0) },
		"Int64s":          func(s *Scope) { s.Int64s([]int64{1}, 1) },
		"Zeros":           func(s *Scope) { s.Zeros(Float32, 1) },
		"FillFloat32s":    func(s *Scope) { s.FillFloat32s(func([]float32) {}, 1) },
		"Map":             func(s *Scope) { s.Map(make([]byte, 4), Float32, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			err := e.Do(context.Background(), func(s *Scope) error { f(s); return nil })
			var te *Error
			if !errors.As(err, &te) || !strings.Contains(strings.ToLower(te.Msg), "vulkan") {
				t.Errorf("got %v, want libtorch's error about Vulkan", err)
			}
			if e.Live() != 0 {
				t.Errorf("got %d live handles, want 0", e.Live())
			}
		})
	}
}

func TestDeviceWithoutGPU(t *testing.T) {
	if n := CUDACount(); n > 0 {
		t.Skipf("%d CUDA devices here: skipping what happens without one", n)
	}
	if _, err := Open(Config{Device: CUDA}); err != ErrNoCUDA {
		t.Errorf("cuda: got %v, want %v", err, ErrNoCUDA)
	}
	var log bytes.Buffer
	e := open(t, Config{Device: Auto, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if e.Device() != CPU {
		t.Errorf("auto: got %s, want %s", e.Device(), CPU)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "no CUDA device") {
		t.Errorf("auto's log: got %q, want one line about no CUDA device", got)
	}
	log.Reset()
	open(t, Config{Device: CPU, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if log.Len() != 0 {
		t.Errorf("cpu's log: got %q, want silence", log.String())
	}
}

func TestDeviceWithGPU(t *testing.T) {
	if CUDACount() == 0 {
		t.Skip("no CUDA device here: skipping a GPU test")
	}
	for _, device := range []Device{CUDA, Auto} {
		e := open(t, Config{Device: device})
		if e.Device() != CUDA {
			t.Errorf("%s: got %s, want %s", device, e.Device(), CUDA)
		}
		do(t, e, func(s *Scope) {
			a := s.Float32s([]float32{1, 2, 3, 4}, 2, 2)
			wantValues(t, s, s.MatMul(a, a), 7, 10, 15, 22)
		})
	}
}

func TestUnknownDevice(t *testing.T) {
	if _, err := Open(Config{Device: "tpu"}); err == nil || !strings.Contains(err.Error(), `"tpu"`) {
		t.Errorf("got %v, want an error that names the device", err)
	}
}
