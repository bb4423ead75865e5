package web

import (
	"errors"
	"net/http"
	"sync"

	"github.com/xpeft/xpeft/sdk"
)

const (
	mostCurves = 10_000 // people
	mostPoints = 200    // of one
)

// point of a curve: what was known after one learning.
type point struct {
	Revision uint64 `json:"revision"`
	sdk.Prequential
}

// Curves are how Report.Prequential went, by profile, since the process began; the folder itself
// keeps the last number alone. The zero value is ready to use.
type Curves struct {
	mu sync.Mutex
	of map[string][]point
}

// Learned adds what a report says; its arguments are those of sdk.Options.OnLearned.
func (c *Curves) Learned(id string, rep *sdk.Report) {
	if rep != nil {
		c.add(id, point{rep.Revision, rep.Prequential})
	}
}

// add returns the curve with a point, unless that says what the last one says.
func (c *Curves) add(id string, p point) []point {
	c.mu.Lock()
	defer c.mu.Unlock()
	points := c.of[id]
	if p.N > 0 && (len(points) == 0 || points[len(points)-1].Prequential != p.Prequential) {
		if c.of == nil {
			c.of = map[string][]point{}
		}
		if len(points) == mostPoints {
			points = points[1:]
		}
		points = append(points[:len(points):len(points)], p) // a reader may have those before
		for other := range c.of {
			if len(c.of) < mostCurves {
				break
			}
			delete(c.of, other)
		}
		c.of[id] = points
	}
	return points
}

func (c *Curves) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, id)
}

// curve is a person's, up to now.
func (p *Page) curve(r *http.Request) (any, error) {
	id := r.PathValue("id")
	info, err := p.folder.Profile(r.Context(), id)
	if err != nil {
		if errors.Is(err, sdk.ErrProfileNotFound) {
			p.curves.forget(id)
		}
		return nil, err
	}
	points := p.curves.add(id, point{info.Revision, info.Prequential})
	if points == nil {
		points = []point{}
	}
	return struct {
		Points []point `json:"points"`
	}{points}, nil
}
