package store

import (
	"errors"
	"fmt"
	"iter"
)

// Changes moves whenever a profile was put or deleted, examples alone left
// out. It counts from Open, reads nothing, and says when what was made of many
// profiles is old.
func (s *Store) Changes() uint64 { return s.changes.Load() }

// Sample lists at most limit profiles, all of them if there are no more,
// spread evenly over the order in which they first came: the order is cut into
// limit parts, and of each one is taken, at a place that a hash of the part
// says, so that profiles which came in turns are as even. It reads no more
// records than that however many there are; [Store.Shuffled] reads all ids and
// needs no limit. Like [Store.Profiles] it reads a few hundred at a time, and a
// record that cannot be read yields nil and its error.
//
// With filters the sample is of the profiles that one of them fits; where Profiles
// would read every record, it is of all profiles, and lists of the sample those
// that a filter fits.
func (s *Store) Sample(limit int, of ...Filter) iter.Seq2[*Profile, error] {
	return func(yield func(*Profile, error) bool) {
		limit := uint64(max(limit, 1))
		x, err := s.selected(of)
		if err != nil {
			yield(nil, err)
			return
		}
		if x.in != nil {
			order := x.sample(limit)
			eachPage(yield, func() (page []listed, more bool, err error) {
				page, order, err = s.shuffledPage(order, x)
				return page, len(order) > 0, err
			})
			return
		}
		at := sampling{limit: limit}
		eachPage(yield, func() ([]listed, bool, error) {
			page, err := s.samplePage(&at, x)
			return page, !at.over, err
		})
	}
}

// sample cuts the numbers that may be selected into limit parts, and takes one of
// each.
func (x *selection) sample(limit uint64) (order []shuffled) {
	all := x.in.GetCardinality()
	limit = min(limit, all)
	for part := range limit {
		from, to := part*all/limit, (part+1)*all/limit
		n, err := x.in.Select(uint32(from + scatter(part)%(to-from)))
		if err == nil { // there are so many
			order = append(order, shuffled{number: n})
		}
	}
	return order
}

// sampling is how far a Sample is. Numbers are dense, so that one of each of
// limit parts of them is an even sample; a hole in them is stepped over.
type sampling struct {
	limit uint64
	taken uint64 // parts of limit that are past
	last  uint64 // highest number that there may be
	over  bool
}

// next is the number that the next part gives. At even distances it would be
// the same tenant's each time, if every thirtieth profile is of that one.
func (at *sampling) next() uint64 {
	all := max(at.last, at.limit)
	from, to := at.taken*all/at.limit, (at.taken+1)*all/at.limit
	return from + 1 + scatter(at.taken)%(to-from)
}

// scatter is a hash of a number: the last step of SplitMix64.
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// past goes to the first part whose number comes after n.
func (at *sampling) past(n uint64) {
	for at.taken++; at.next() <= n; at.taken++ {
	}
}

func (s *Store) samplePage(at *sampling, x selection) (page []listed, err error) {
	began := *at
	err = s.view(func(t *txn) error {
		page, *at = nil, began
		if at.last == 0 {
			tally, err := readTally(t.Tx)
			if err != nil {
				return err
			}
			at.last = tally.nextNumber - 1
		}
		c := t.profiles.Cursor()
		for range pageProfiles {
			from := at.next()
			if at.over = from > at.last; at.over {
				return nil
			}
			k, _ := c.Seek(key32(uint32(from)))
			if at.over = k == nil; at.over {
				return nil
			}
			n, err := number(k)
			if err != nil {
				return err
			}
			// It came meanwhile, or is damaged: past would count up to it.
			if at.over = uint64(n) > at.last; at.over {
				return nil
			}
			at.past(uint64(n))
			p, err := t.sampled(n, x)
			if errors.Is(err, errVanished) {
				return err
			}
			if p != nil || err != nil {
				page = append(page, listed{p, err})
			}
		}
		return nil
	})
	return page, err
}

// sampled decodes a record; nil if it is of an import that is not committed, or
// not selected.
func (t *txn) sampled(n uint32, x selection) (*Profile, error) {
	p, err := t.decode(n)
	if err != nil {
		return nil, fmt.Errorf("profile %d: %w", n, err)
	}
	now, err := t.number([]byte(p.ID))
	if err != nil || now != n || !x.fits(t, p) {
		return nil, nil
	}
	return p, nil
}
