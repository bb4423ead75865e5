//go:build !(torch && cgo)

package torch

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

// Built says whether the program was built with libtorch.
const Built = false

// ErrNotBuilt: the program was built without -tags torch.
var ErrNotBuilt = errors.New("torch: built without -tags torch")

// Config of Open.
type Config struct {
	Device           string
	Workers, Threads int
	Logger           *slog.Logger
}

// Open has no libtorch here.
func Open(_ *model.Encoder, c Config) (engine.Engine, error) {
	if c.Device == "cuda" {
		return nil, fmt.Errorf("%w: build with -tags torch", engine.ErrNoCUDA)
	}
	return nil, ErrNotBuilt
}
