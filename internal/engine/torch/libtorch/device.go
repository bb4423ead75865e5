//go:build torch && cgo

package libtorch

import (
	"fmt"
	"log/slog"
	"runtime"

	"github.com/sugarme/gotch/libtch"
)

// Device says where an engine's tensors live.
type Device string

const (
	CPU  Device = "cpu"
	CUDA Device = "cuda" // the first CUDA device; ErrNoCUDA where there is none
	Auto Device = "auto" // CUDA if there is one, else CPU
)

// libtch's device codes.
const (
	codeCPU  = -1
	codeCUDA = 0
)

// CUDACount is how many CUDA devices libtorch sees: 0 in a CPU build.
func CUDACount() int {
	runtime.LockOSThread() // an exception waits on the thread that made it
	defer runtime.UnlockOSThread()
	// AtcCudaIsAvailable answers true when it throws, so the count decides.
	n := int(libtch.AtcCudaDeviceCount())
	if lastError() != "" || n < 0 {
		return 0
	}
	return n
}

// resolve turns a device into libtch's code, and says in the log when auto falls back.
func (d Device) resolve(log *slog.Logger) (code int32, used Device, err error) {
	switch d {
	case CPU:
		return codeCPU, CPU, nil
	case CUDA, Auto:
		if CUDACount() > 0 {
			return codeCUDA, CUDA, nil
		}
		if d == CUDA {
			return 0, "", ErrNoCUDA
		}
		if d == Auto {
			log.Info("no CUDA device: using the CPU", "device", CPU)
		}
		return codeCPU, CPU, nil
	}
	return 0, "", fmt.Errorf("libtorch: device %q is none of cpu, cuda, auto", string(d))
}
