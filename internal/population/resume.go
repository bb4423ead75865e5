package population

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
)

// Resume lets Train go on where an earlier one with the same φ was cut off: minimizations that
// ended then are not run again, and Train ends in the same bits. What each of them depends on
// besides is in its key, so that another population, another seed or other options find nothing.
// Only of a final fit that was cut off after some of its steps the rest is made anew from there,
// which ends in the same minimum, within what a fit is exact to, and not in the same bits. A Fit is
// of everybody and never of a person; with own parts of texts it has those too.
type Resume struct {
	Find func(key [32]byte) *Fit // what Keep was given last of this key; nil: nothing
	// hears of each minimization that ends, and of each step of a final one; X is its own for the
	// call alone
	Keep func(Fit)
}

// Fit is a minimization: where it ended or, with Steps, where it was after so many.
type Fit struct {
	Key   [32]byte
	X     []float64
	Steps int
}

// minimize ends early enough for a choice: what is left of the loss is far less than settings
// differ by.
func (c *chooser) minimize(ctx context.Context, j *joint, x []float64, share float64) error {
	err := c.resume(ctx, j, x, share)
	if err == nil { // what comes next begins with the codes that it would have after a resume
		clear(j.codes)
		j.fill(x)
		j.solve()
	}
	if c.fit++; c.options.Progress != nil {
		c.options.Progress(min(c.fit, c.fits), c.fits)
	}
	return err
}

// resume minimizes, unless that has been done.
func (c *chooser) resume(ctx context.Context, j *joint, x []float64, share float64) error {
	r := c.options.Resume
	if r == nil {
		return j.minimize(ctx, x, c.options.Steps, share, nil)
	}
	fit := Fit{Key: j.key(x, c.options.Steps, share), X: x}
	if before := r.Find(fit.Key); before != nil && len(before.X) == len(x) {
		copy(x, before.X)
		if fit.Steps = before.Steps; fit.Steps == 0 {
			return ctx.Err()
		}
	}
	var step func()
	if share == exactly {
		step = func() { fit.Steps++; r.Keep(fit) }
	}
	err := j.minimize(ctx, x, max(0, c.options.Steps-fit.Steps), share, step)
	if err == nil {
		fit.Steps = 0
		r.Keep(fit)
	}
	return err
}

// key is a digest of all that a minimization depends on beside φ: who is trained on, the setting,
// where it begins, and when it is enough.
func (j *joint) key(x []float64, steps int, share float64) (key [32]byte) {
	if j.taught == nil {
		h := sha256.New()
		hashPeople(h, j.people)
		j.taught = h.Sum(nil)
	}
	h := sha256.New()
	h.Write(j.taught)
	settings := []float64{float64(j.labels), float64(j.rank), j.head, j.axis, j.text, j.enough, float64(steps), share}
	binary.Write(h, binary.LittleEndian, settings)
	binary.Write(h, binary.LittleEndian, x)
	h.Sum(key[:0])
	return key
}

// Digest is of all that a population is.
func (p *Population) Digest() (d [32]byte) {
	h := sha256.New()
	add := func(x any) { binary.Write(h, binary.LittleEndian, x) } // a hash takes everything
	add([]int32{int32(p.C), int32(p.D)})
	for some := range slices.Chunk(p.Phi, 1<<14) {
		add(some)
	}
	hashPeople(h, p.People)
	h.Sum(d[:0])
	return d
}

func hashPeople(h hash.Hash, people []Answers) {
	for _, a := range people {
		for _, x := range [][]int32{{int32(len(a.Text))}, a.Text, a.Class} {
			binary.Write(h, binary.LittleEndian, x)
		}
	}
}
