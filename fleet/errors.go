package fleet

import (
	"errors"
	"fmt"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

var (
	// ErrStale says that the node has not heard from the fleet for Config.MaxStale, and does not
	// answer for profiles: somebody may have been forgotten meanwhile. The base still answers.
	ErrStale = errors.New("fleet: this node is cut off from the fleet")
	// ErrQueueFull says that Config.MaxQueue observations wait for the fleet already.
	ErrQueueFull = errors.New("fleet: too many observations wait for the fleet")
	// ErrNoFleet says that there is no fleet of the name, or that it was made with another secret.
	ErrNoFleet = errors.New("fleet: not found, or made with another secret")
	// ErrConfig says that a Config or Layout is invalid; the message lists every fault.
	ErrConfig = errors.New("fleet: bad configuration")
	// ErrCorrupt says that a value or operation is damaged, or sealed by another secret.
	ErrCorrupt = errors.New("fleet: corrupt data")
	// ErrSchema says that a newer version of this package wrote a value or operation.
	ErrSchema = errors.New("fleet: written by a newer version")
	// ErrReportLost says that a Learn took place, and that the learner ended before it reported.
	ErrReportLost = errors.New("fleet: learned, but the report was lost")
	// ErrRefused says that a learner refused an operation for a reason that is no error of sdk.
	ErrRefused = errors.New("fleet: operation refused")
)

// LaterError is Forget's where some node has not confirmed yet: the person is erased in the fleet,
// and no node answers for them after By.
type LaterError struct {
	By    time.Time
	Nodes []string // that have not confirmed
}

func (e *LaterError) Error() string {
	return fmt.Sprintf("fleet: forgotten, but %q may answer until %s", e.Nodes, e.By.Format(time.RFC3339))
}

// reasons are the errors that a learner can give back to the node that asked.
var reasons = map[string]error{
	"profile": sdk.ErrProfileNotFound, "label": sdk.ErrUnknownLabel, "example": sdk.ErrExample,
	"no-example": sdk.ErrExampleNotFound, "limit": sdk.ErrLimit, "config": sdk.ErrConfig, "id": sdk.ErrID,
	"mismatch": sdk.ErrMismatch, "exists": sdk.ErrExists, "full": sdk.ErrFull, "corrupt": sdk.ErrCorrupt,
}

// reasonOf names the kind of an error, "" if it is none of reasons.
func reasonOf(err error) string {
	for name, kind := range reasons {
		if errors.Is(err, kind) {
			return name
		}
	}
	return ""
}
