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
	// ErrSchema says that a newer version of this package or of sdk wrote a value or operation.
	ErrSchema = sdk.ErrSchema
	// ErrReportLost says that a Learn took place, and that the learner ended before it reported.
	ErrReportLost = errors.New("fleet: learned, but the report was lost")
	// ErrRefused says that a learner refused an operation for a reason that is no error of sdk.
	ErrRefused = errors.New("fleet: operation refused")
)

// errNoKey is of a value of somebody whose key was destroyed.
var errNoKey = fmt.Errorf("%w: value without a key", ErrCorrupt)

// LaterError is Forget's where some node has not confirmed yet: the person is erased in the fleet,
// and no node answers for them after By.
type LaterError struct {
	By    time.Time
	Nodes []string // that have not confirmed
}

func (e *LaterError) Error() string {
	return fmt.Sprintf("fleet: forgotten, but %q may answer until %s", e.Nodes, e.By.Format(time.RFC3339))
}

// reasons are the errors that a learner can give back to the node that asked. Of an error that is
// several of them the first here is named: what is wrong with this machine goes before what is
// wrong with the operation, which would then not be tried again.
var reasons = []struct {
	name string
	kind error
}{
	{"full", sdk.ErrFull}, {"corrupt", sdk.ErrCorrupt}, {"mismatch", sdk.ErrMismatch},
	{"profile", sdk.ErrProfileNotFound}, {"id", sdk.ErrID}, {"config", sdk.ErrConfig}, {"limit", sdk.ErrLimit},
	{"label", sdk.ErrUnknownLabel},
	{"no-example", sdk.ErrExampleNotFound}, {"example", sdk.ErrExample}, {"exists", sdk.ErrExists},
	{"schema", ErrSchema},
}

// reasonOf names the kind of an error, "" if it is none of reasons.
func reasonOf(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.kind) {
			return r.name
		}
	}
	return ""
}

// reasonErr is the error of a name, ErrRefused if it is none of reasons.
func reasonErr(name string) error {
	for _, r := range reasons {
		if r.name == name {
			return r.kind
		}
	}
	return ErrRefused
}
