package learner

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/internal/durable"
)

// ErrCheckpoint is a checkpoint of another job or configuration, or one that is damaged.
var ErrCheckpoint = errors.New("learner: bad checkpoint")

// checkpoint is all that a step depends on beside the job and the configuration: which profiles,
// texts and noise a step takes follows from its number. On disk it is the SHA-256 of what follows,
// then gob.
type checkpoint struct {
	Job     [sha256.Size]byte
	Losses  []float32
	Watched []float64
	Best    int
	Kept    kept
	Shared  moments
	Each    []moments
}

// moments are an optimiser's.
type moments struct {
	Step        int
	Value, M, V [][]float32
}

func (o *adamW) moments() (m moments) {
	m.Step = o.step
	for _, p := range o.params {
		m.Value, m.M, m.V = append(m.Value, p.value), append(m.M, p.m), append(m.V, p.v)
	}
	return m
}

// restore copies m into the optimiser's own slices; false if it has another shape.
func (o *adamW) restore(m moments) bool {
	o.step = m.Step
	for k, saved := range [][][]float32{m.Value, m.M, m.V} {
		if len(saved) != len(o.params) {
			return false
		}
		for i, p := range o.params {
			to := [][]float32{p.value, p.m, p.v}[k]
			if len(saved[i]) != len(to) {
				return false
			}
			copy(to, saved[i])
		}
	}
	return true
}

// identity is the digest of all that decides a run, so that a checkpoint is never continued with
// other data.
func (t *bankRun) identity() (sum [sha256.Size]byte) {
	h := sha256.New()
	c := t.config
	c.Progress, c.Checkpoint, c.CheckpointEvery, c.StemBudget = nil, "", 0, 0
	head, _ := t.job.Head.Digest() // the job was validated
	fmt.Fprintf(h, "%+v %x %d %d\n", c, head, len(t.job.Profiles), len(t.job.Watch))
	for _, set := range [][]BankProfile{t.job.Profiles, t.job.Watch} {
		for _, p := range set {
			fmt.Fprintln(h, len(p.Train), len(p.Held), p.Prior)
			for _, e := range append(p.Train[:len(p.Train):len(p.Train)], p.Held...) {
				fmt.Fprintln(h, e.Text.IDs, e.Text.TypeIDs, e.Class, e.Weight, e.Rejected)
			}
		}
	}
	h.Sum(sum[:0])
	return sum
}

// save writes the checkpoint: a crash leaves the last one or this one.
func (t *bankRun) save() error {
	ck := checkpoint{Job: t.identity(), Losses: t.result.Losses, Watched: t.result.Watched, Best: t.result.Best,
		Kept: t.best, Shared: t.shared.moments()}
	for _, o := range t.each {
		ck.Each = append(ck.Each, o.moments())
	}
	var b bytes.Buffer
	b.Write(make([]byte, sha256.Size))
	if err := gob.NewEncoder(&b).Encode(ck); err != nil {
		return fmt.Errorf("learner: checkpoint: %w", err)
	}
	sum := sha256.Sum256(b.Bytes()[sha256.Size:])
	copy(b.Bytes(), sum[:])
	path := t.config.Checkpoint
	err := durable.Create(filepath.Dir(path), ".checkpoint-*.tmp", func(f *os.File) (string, error) {
		_, err := f.Write(b.Bytes())
		return filepath.Base(path), err
	})
	if err != nil {
		return fmt.Errorf("learner: checkpoint: %w", err)
	}
	return nil
}

// resume continues from the checkpoint, if there is one.
func (t *bankRun) resume() error {
	if t.config.Checkpoint == "" {
		return nil
	}
	data, err := os.ReadFile(t.config.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("learner: checkpoint: %w", err)
	}
	if len(data) < sha256.Size || sha256.Sum256(data[sha256.Size:]) != [sha256.Size]byte(data) {
		return fmt.Errorf("%w: %s is damaged; delete it to start anew", ErrCheckpoint, t.config.Checkpoint)
	}
	var ck checkpoint
	if err := gob.NewDecoder(bytes.NewReader(data[sha256.Size:])).Decode(&ck); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCheckpoint, t.config.Checkpoint, err)
	}
	if ck.Job != t.identity() || len(ck.Each) != len(t.each) || !t.shared.restore(ck.Shared) {
		return fmt.Errorf("%w: %s is of another job or configuration (%x); delete it to start anew", ErrCheckpoint,
			t.config.Checkpoint, binary.BigEndian.Uint32(ck.Job[:]))
	}
	for i, o := range t.each {
		if !o.restore(ck.Each[i]) {
			return fmt.Errorf("%w: %s: profile %d", ErrCheckpoint, t.config.Checkpoint, i)
		}
	}
	r := &t.result
	r.Losses, r.Watched, r.Best, r.Resumed = ck.Losses, ck.Watched, ck.Best, len(ck.Losses)
	t.best = ck.Kept
	return nil
}

func (t *bankRun) removeCheckpoint() error {
	if t.config.Checkpoint == "" {
		return nil
	}
	if err := os.Remove(t.config.Checkpoint); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("learner: checkpoint: %w", err)
	}
	return nil
}
