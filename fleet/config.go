package fleet

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/xpeft/xpeft/sdk"
)

// Config is what one node knows of the fleet, and of itself. A zero field means the default.
type Config struct {
	Fleet   string        // its name, which the streams' names begin with; default "xpeft"
	Node    string        // this node's name, which no other node has; letters, digits, - and _
	Servers string        // URLs of NATS servers, with commas between
	NATS    []nats.Option // TLS and credentials, as docs/fleet.md says
	Dir     string        // the node's own directory: its folder, and what waits for the fleet
	Secret  []byte        // 32 random bytes, the same on all nodes; keep it away from the servers
	Learner bool          // this node learns for the fleet; without any, nothing is learned

	// Folder are the options of the node's folder. MasterKey is made from Secret, and NoBackground
	// is set.
	Folder *sdk.Options
	// MaxStale is how long a node answers for profiles without having heard from the fleet; default
	// 10 minutes. Use one value in the fleet: Forget relies on it.
	MaxStale time.Duration
	// PublishWait is how long Observe waits for the fleet to have the example before it returns
	// with the example in the durable queue; default 2 s.
	PublishWait time.Duration
	MaxQueue    int // observations that wait for the fleet at most; default 100,000
	// Learning is how many profiles a learner has under way; default 4.
	Learning int
	Logger   *slog.Logger // default: silence
}

// Layout is what Create decides for the fleet's life.
type Layout struct {
	Folder     sdk.Config    // model and labels of every node's folder
	Replicas   int           // of each stream; default 3
	Partitions int           // streams that profiles are spread over; default 1
	Lease      time.Duration // how long a learner that is silent keeps a profile; default 10 s
	// Duplicates is for how long a repeated attempt to publish is recognized; default 10 minutes.
	Duplicates time.Duration
}

var names = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Fleet, "xpeft")
	setDefault(&c.MaxStale, 10*time.Minute)
	setDefault(&c.PublishWait, 2*time.Second)
	setDefault(&c.MaxQueue, 100_000)
	setDefault(&c.Learning, 4)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var faults []string
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	fault(!names.MatchString(c.Fleet), "Fleet is %.70q, want letters, digits, - and _", c.Fleet)
	fault(!names.MatchString(c.Node), "Node is %.70q, want letters, digits, - and _", c.Node)
	fault(c.Servers == "", "Servers is empty")
	fault(len(c.Secret) != keySize, "Secret has %d bytes, want %d", len(c.Secret), keySize)
	fault(c.MaxStale < time.Second, "MaxStale is %v, want a second or more", c.MaxStale)
	fault(c.PublishWait < 0 || c.MaxQueue < 0 || c.Learning < 0,
		"PublishWait is %v, MaxQueue %d, Learning %d", c.PublishWait, c.MaxQueue, c.Learning)
	return c, configError(faults)
}

func (l Layout) withDefaults() (Layout, error) {
	setDefault(&l.Replicas, 3)
	setDefault(&l.Partitions, 1)
	setDefault(&l.Lease, 10*time.Second)
	setDefault(&l.Duplicates, 10*time.Minute)
	if l.Replicas < 1 || l.Replicas > 5 || l.Partitions < 1 || l.Partitions > maxPartitions || l.Lease < time.Second ||
		l.Duplicates < time.Second {
		return l, configError([]string{fmt.Sprintf("a Layout of %d replicas, %d partitions, Lease %v, Duplicates %v",
			l.Replicas, l.Partitions, l.Lease, l.Duplicates)})
	}
	return l, nil
}

// maxPartitions is how many a layout may have: each is three streams of Raft.
const maxPartitions = 1024

func configError(faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrConfig, strings.Join(faults, "; "))
}

func setDefault[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}
