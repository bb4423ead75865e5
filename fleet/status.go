package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Status is what the servers say of a fleet.
type Status struct {
	Fleet   string         `json:"fleet"`
	Base    string         `json:"base"` // digest of the folder that every node begins with
	Streams []StreamStatus `json:"streams"`
	Waiting uint64         `json:"waiting"` // operations that no learner has taken
	Learns  int            `json:"learns"`  // operations that learners have under way
	Nodes   []NodeStatus   `json:"nodes"`   // that have not left
}

// StreamStatus is one stream.
type StreamStatus struct {
	Name     string `json:"name"`
	Leader   string `json:"leader"`
	Replicas int    `json:"replicas"` // that follow the leader closely, the leader included
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
}

// NodeStatus is what a node said last, in one partition.
type NodeStatus struct {
	Name      string        `json:"name"`
	Partition int           `json:"partition"`
	Age       time.Duration `json:"age"`    // since then
	Behind    uint64        `json:"behind"` // sequences that it had not taken in then
}

// ReadStatus asks the servers. It needs the rights of a node.
func ReadStatus(ctx context.Context, c Config) (*Status, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	keys, err := newSecrets(c.Secret)
	if err != nil {
		return nil, err
	}
	s, err := connect(c)
	if err != nil {
		return nil, err
	}
	defer s.nc.Close()
	p, err := s.readPlan(ctx, keys)
	if err != nil {
		return nil, err
	}
	status := &Status{Fleet: c.Fleet, Base: p.Base}
	for n := range p.Partitions {
		if err := s.partitionStatus(ctx, n, status); err != nil {
			return nil, fmt.Errorf("fleet: partition %d: %w", n, err)
		}
	}
	return status, nil
}

func (s streams) partitionStatus(ctx context.Context, n int, status *Status) error {
	for _, name := range []string{s.valuesStream(n), s.keysStream(n), s.opsStream(n)} {
		st, err := s.js.Stream(ctx, name)
		if err != nil {
			return err
		}
		info := st.CachedInfo()
		one := StreamStatus{Name: name, Replicas: 1, Messages: info.State.Msgs, Bytes: info.State.Bytes}
		if c := info.Cluster; c != nil {
			one.Leader = c.Leader
			for _, r := range c.Replicas {
				if r.Current && !r.Offline {
					one.Replicas++
				}
			}
		}
		status.Streams = append(status.Streams, one)
	}
	consumer, err := s.js.Consumer(ctx, s.opsStream(n), learnConsumer)
	if err != nil {
		return err
	}
	status.Waiting += consumer.CachedInfo().NumPending
	status.Learns += consumer.CachedInfo().NumAckPending
	return s.nodeStatus(ctx, n, status)
}

// nodeStatus reads the nodes' beats.
func (s streams) nodeStatus(ctx context.Context, n int, status *Status) error {
	beats, place := s.valueSubject(n, nodeKey), map[string]int{}
	for from := uint64(1); ; {
		msg, err := s.get(ctx, s.valuesStream(n), beats+"*", from)
		if err != nil || msg == nil {
			return err
		}
		from = msg.Sequence + 1
		var b beatMessage
		if msg.Header.Get("KV-Operation") != "" || json.Unmarshal(msg.Data, &b) != nil {
			continue
		}
		node := NodeStatus{Name: strings.TrimPrefix(msg.Subject, beats), Partition: n,
			Age: time.Since(msg.Time).Round(time.Millisecond), Behind: msg.Sequence - 1 - b.Applied}
		i, again := place[node.Name] // which spoke again meanwhile
		if again {
			status.Nodes[i] = node
			continue
		}
		place[node.Name] = len(status.Nodes)
		status.Nodes = append(status.Nodes, node)
	}
}
