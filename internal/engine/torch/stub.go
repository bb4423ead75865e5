//go:build !torch || !cgo

package torch

import (
	"fmt"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

// Built says whether libtorch is in this program.
const Built = false

// Open returns [engine.ErrNoCUDA] for cuda and [ErrNotBuilt] for other devices.
func Open(_ *model.Encoder, c Config) (engine.Engine, error) {
	if c.Device == "cuda" {
		return nil, fmt.Errorf("%w: this program has no libtorch: build with -tags torch", engine.ErrNoCUDA)
	}
	return nil, ErrNotBuilt
}
