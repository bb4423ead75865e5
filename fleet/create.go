package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/sdk"
)

// plan is what Create leaves for Open.
type plan struct {
	Version    int           `json:"version"`
	Partitions int           `json:"partitions"`
	Lease      time.Duration `json:"lease"`
	Base       string        `json:"base"` // SHA-256 of the folder that every node begins with
}

// Create makes a fleet: its streams, and the folder without people that every node begins with. It
// needs the rights of an operator (docs/fleet.md); nodes need fewer. Of c it takes Fleet, Node,
// Servers, NATS and Secret. A fleet that exists is sdk.ErrExists.
func Create(ctx context.Context, c Config, l Layout) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	if l, err = l.withDefaults(); err != nil {
		return err
	}
	keys, err := newSecrets(c.Secret)
	if err != nil {
		return err
	}
	base, err := makeBase(ctx, l.Folder, keys)
	if err != nil {
		return err
	}
	s, err := connect(c)
	if err != nil {
		return err
	}
	defer s.nc.Close()
	for until := time.Now().Add(forming); ; time.Sleep(100 * time.Millisecond) {
		err := s.found(ctx, c.Fleet, l, keys, base)
		if !unformed(err) || time.Now().After(until) || ctx.Err() != nil {
			return err
		}
	}
}

// forming is how long Create bears with servers that have just started: until all of them are there
// and have a leader, they refuse or do not answer. So do streams that have just been made.
const forming = time.Minute

// unformed says whether an error may be of servers that have just started.
func unformed(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return passes(api)
	}
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, context.DeadlineExceeded)
}

// found makes what a fleet is. What is there of an attempt before is kept.
func (s streams) found(ctx context.Context, fleet string, l Layout, keys secrets, base []byte) error {
	if err := s.make(ctx, l); err != nil {
		return err
	}
	digest := sha256.Sum256(base)
	p := plan{Version: formatVersion, Partitions: l.Partitions, Lease: l.Lease, Base: hex.EncodeToString(digest[:])}
	store, err := s.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: s.baseBucket(), Replicas: l.Replicas})
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	if _, err := store.PutBytes(ctx, p.Base, seal(keys.op, base, p.Base)); err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = s.write(ctx, s.metaSubject(), seal(keys.op, data, "plan"), 0, p.Base)
	if errors.Is(err, errConflict) {
		return fmt.Errorf("fleet: %q: %w", fleet, sdk.ErrExists)
	}
	return err
}

// makeBase is a backup of a new folder.
func makeBase(ctx context.Context, c sdk.Config, keys secrets) (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "xpeft-fleet-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c.Options = folderOptions(c.Options, keys)
	f, err := sdk.Create(ctx, filepath.Join(dir, "base"), c)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = f.Backup(ctx, &out, nil)
	return out.Bytes(), errors.Join(err, f.Close())
}

func folderOptions(given *sdk.Options, keys secrets) *sdk.Options {
	var o sdk.Options
	if given != nil {
		o = *given
	}
	o.MasterKey, o.NoBackground = keys.folder, true
	return &o
}

// readPlan reads what Create left.
func (s streams) readPlan(ctx context.Context, keys secrets) (p plan, err error) {
	msg, err := s.last(ctx, s.metaStream(), s.metaSubject())
	if errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && msg == nil {
		return p, fmt.Errorf("%w: %q", ErrNoFleet, s.fleet)
	}
	if err != nil {
		return p, fmt.Errorf("fleet: %w", err)
	}
	data, err := unseal(keys.op, msg.Data, "plan")
	if err != nil {
		return p, fmt.Errorf("%w: %q", ErrNoFleet, s.fleet)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("%w: the fleet's plan: %v", ErrCorrupt, err)
	}
	if p.Version > formatVersion {
		return p, fmt.Errorf("%w: the fleet's plan", ErrSchema)
	}
	return p, nil
}

// openFolder opens the node's folder, or makes it of the fleet's base.
func (n *Node) openFolder(ctx context.Context) error {
	dir := filepath.Join(n.config.Dir, "folder")
	if err := n.state.bind(n.plan.Base); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "xpeft.db")); errors.Is(err, os.ErrNotExist) {
		if err := n.restoreBase(ctx, dir); err != nil {
			return err
		}
	}
	var err error
	n.folder, err = sdk.Open(ctx, dir, folderOptions(n.config.Folder, n.secrets))
	return err
}

func (n *Node) restoreBase(ctx context.Context, dir string) error {
	store, err := n.js.ObjectStore(ctx, n.baseBucket())
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	sealed, err := store.GetBytes(ctx, n.plan.Base)
	if err != nil {
		return fmt.Errorf("fleet: base %s: %w", n.plan.Base, err)
	}
	base, err := unseal(n.secrets.op, sealed, n.plan.Base)
	if err != nil {
		return err
	}
	if got := sha256.Sum256(base); hex.EncodeToString(got[:]) != n.plan.Base {
		return fmt.Errorf("%w: base has digest %x, want %s", ErrCorrupt, got, n.plan.Base)
	}
	_, err = sdk.Restore(ctx, dir, nil, bytes.NewReader(base))
	return err
}

// bind makes the directory one of the fleet with this base, and of no other.
func (s *state) bind(base string) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("fleet"))
		if err != nil {
			return err
		}
		if had := b.Get([]byte("base")); had != nil && string(had) != base {
			return fmt.Errorf("%w: the directory belongs to another fleet", ErrNoFleet)
		}
		return b.Put([]byte("base"), []byte(base))
	})
}
