package web

import (
	"net/http"
	"sync"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

const mostPeople = 200 // whose codes the page shows

// code is what a profile is made of.
type code struct {
	Profile string `json:"profile"`
	Rows    []row  `json:"rows"`
}

// row is one row of bits: of masks, which adapters it takes; of a head, which of each pair of
// directions.
type row struct {
	Side  string `json:"side"` // down, up or head
	Block int    `json:"block"`
	Label string `json:"label"`
	N     int    `json:"n"`
	// Digits says that bits are two an axis, the greater first: a level of ±½ ±¼ on each.
	Digits bool   `json:"digits"`
	Bits   []byte `json:"bits"` // the first is the least significant of its byte
}

// codes remembers rows: to read them costs a reading of all that is stored of a person.
type codes struct {
	mu   sync.Mutex
	last map[string]cached
}

type cached struct {
	revision uint64
	created  time.Time
	rows     []row
}

// allCodes are those of the first people by their ids.
func (p *Page) allCodes(r *http.Request) (any, error) {
	p.codes.mu.Lock()
	defer p.codes.mu.Unlock()
	all, fresh := []code{}, map[string]cached{}
	for info, err := range p.folder.Profiles(r.Context(), nil) {
		if err != nil {
			if info.ID == "" {
				return nil, err
			}
			continue // a profile that cannot be read
		}
		if len(all) == mostPeople {
			break
		}
		c, ok := p.codes.last[info.ID]
		if !ok || c.revision != info.Revision || !c.created.Equal(info.Created) {
			data, err := p.folder.PersonData(r.Context(), info.ID)
			if err != nil {
				continue // forgotten meanwhile
			}
			c = cached{info.Revision, info.Created, rowsOf(data.Revisions[0].Masks, info.N)}
		}
		fresh[info.ID] = c
		all = append(all, code{info.ID, c.rows})
	}
	p.codes.last = fresh
	return struct {
		People []code `json:"people"`
	}{all}, nil
}

func rowsOf(masks []sdk.PersonMask, n int) []row {
	rows := []row{}
	for _, m := range masks {
		r := row{Side: m.Side, Block: m.Block, Label: m.Label, N: n}
		ones := m.Adapters
		if m.Side == "head" {
			r.N, r.Digits, ones = len(m.Adapters), m.Label != "", nil
			for _, direction := range m.Adapters { // 2i or 2i+1
				if direction%2 == 1 {
					ones = append(ones, direction/2)
				}
			}
		}
		r.Bits = make([]byte, (r.N+7)/8)
		for _, i := range ones {
			r.Bits[i/8] |= 1 << (i % 8)
		}
		rows = append(rows, r)
	}
	return rows
}
