package store

import "slices"

// shelf is a profile's examples as a writing transaction changes them. Here
// are the rules of what one text is, what a full buffer drops, and what waits
// for a training.
type shelf struct {
	opts     *Options
	id       string
	person   Person
	examples []Example  // oldest first
	stored   []uint64   // sequences in the file, ascending
	past     *hindsight // of an old bundle's profile
}

// shelf reads that of a number.
func (w *writeTx) shelf(n uint32) (*shelf, error) {
	refs, err := w.refs(n)
	if err != nil {
		return nil, err
	}
	sh := &shelf{opts: &w.s.opts, id: string(refs.id)}
	if sh.person, err = w.person(n); err != nil {
		return nil, err
	}
	var all []Example
	for k, err := range w.eachExample(n) {
		if err != nil {
			return nil, err
		}
		sh.stored = append(sh.stored, k.Sequence)
		all = append(all, sh.opts.completed(sh.id, k))
	}
	if len(all) > maxExamples {
		return nil, corrupt("profile %q has %d examples", sh.id, len(all))
	}
	if n := len(all); n > 0 && all[n-1].Sequence >= sh.person.next {
		return nil, corrupt("profile %q has example %d, but the next one is %d", sh.id, all[n-1].Sequence, sh.person.next)
	}
	keys := make(map[uint64]bool, len(all))
	for _, e := range all {
		switch {
		case sh.opts.expired(e):
		case keys[e.Key]: // rejections; an older file may have one text twice
			sh.place(e)
		default:
			sh.examples = append(sh.examples, e)
		}
		keys[e.Key] = true
	}
	return sh, nil
}

// putShelf writes what has changed.
func (w *writeTx) putShelf(n uint32, sh *shelf) error {
	sh.trim(w.s.opts.MaxExamples)
	bucket, stored := w.Bucket(bktExamples), sh.stored
	for _, e := range sh.examples { // in the order of their sequences, as stored is
		for ; len(stored) > 0 && stored[0] < e.Sequence; stored = stored[1:] {
			if err := w.removeExample(bucket, n, stored[0]); err != nil {
				return err
			}
		}
		if len(stored) > 0 && stored[0] == e.Sequence {
			stored = stored[1:]
			continue
		}
		if err := w.putExample(n, e); err != nil {
			return err
		}
		w.tally.examples++
	}
	for _, sequence := range stored {
		if err := w.removeExample(bucket, n, sequence); err != nil {
			return err
		}
	}
	if err := w.setPerson(n, sh.person); err != nil {
		return err
	}
	return w.setWaiting(n, sh.waiting(), sh.person.Anew)
}

// Merged is what a profile's examples would be with fresh ones added, whatever
// their number. It reads nothing and writes nothing.
func (s *Store) Merged(id string, stored, fresh []Example) []Example {
	sh := &shelf{opts: &s.opts, id: id}
	for _, e := range stored {
		sh.place(e)
		sh.person.next = max(sh.person.next, e.Sequence+1)
	}
	for _, e := range fresh {
		sh.add(e)
	}
	return sh.examples
}

func (w *writeTx) removeExample(bucket bucket, n uint32, sequence uint64) error {
	w.tally.examples--
	return bucket.remove(key32x64(n, sequence))
}

// awaits says whether no training has seen an example.
func (p *Person) awaits(e Example) bool { return !e.Known && e.Sequence >= p.learned }

func (sh *shelf) waiting() (n int) {
	for _, e := range sh.examples {
		if sh.person.awaits(e) {
			n++
		}
	}
	return n
}

// add takes in a new example.
func (sh *shelf) add(e Example) {
	e.Key = sh.opts.TextKey(e.Text, e.Pair)
	e.Held = sh.opts.Held(sh.id, e, false)
	for _, old := range sh.examples {
		if old.Key != e.Key {
			continue
		}
		e.Held = old.Held // for the text's life
		if e.repeats(old) && !sh.person.awaits(old) {
			e.Known = true
		}
	}
	e.Sequence = sh.person.next
	sh.person.next++
	sh.place(e)
}

// take takes in an example of a bundle, where the profile was as was.
func (sh *shelf) take(was *Profile, k kept) {
	e := sh.opts.completed(was.ID, k)
	if k.bare {
		if sh.past == nil {
			sh.past = newHindsight(was)
		}
		e.Known = sh.past.seen(e)
	}
	e.Key = sh.opts.TextKey(e.Text, e.Pair)
	e.Sequence = sh.person.next
	sh.person.next++
	if !sh.opts.expired(e) {
		sh.place(e)
	}
}

// place puts an example behind those that it does not replace.
func (sh *shelf) place(e Example) {
	sh.examples = slices.DeleteFunc(sh.examples, e.replaces)
	sh.examples = append(sh.examples, e)
}

// repeats says whether an example says nothing that old does not.
func (e Example) repeats(old Example) bool {
	return old.Key == e.Key && old.Label == e.Label && old.Rejected == e.Rejected && old.weighted() == e.weighted() &&
		(!e.weighted() || old.Weight == e.Weight)
}

// replaces says whether old gives way: to any label of its text; to the
// rejection of a label, if it says something of that label.
func (e Example) replaces(old Example) bool {
	return old.Key == e.Key && (!e.Rejected || old.Label == e.Label)
}

// class is what a full buffer counts by: the label, all numbers being one.
func (e Example) class() string {
	label := e.Label
	if label != "" && label[0] < ' ' {
		label = label[:1]
	}
	if e.Rejected {
		return label + "\x00"
	}
	return label
}

// trim drops what is over a limit: each time the oldest example of the label
// that has the most, of several such labels the one that is older.
func (sh *shelf) trim(limit int) {
	over := len(sh.examples) - limit
	if over <= 0 {
		return
	}
	classes := map[string][]int{}
	for i, e := range sh.examples {
		classes[e.class()] = append(classes[e.class()], i)
	}
	drop := make([]bool, len(sh.examples))
	for range over {
		most := ""
		for c, left := range classes {
			best := classes[most]
			if len(left) > len(best) || len(left) == len(best) && len(left) > 0 && left[0] < best[0] {
				most = c
			}
		}
		drop[classes[most][0]] = true
		classes[most] = classes[most][1:]
	}
	kept := sh.examples[:0]
	for i, e := range sh.examples {
		if !drop[i] {
			kept = append(kept, e)
		}
	}
	sh.examples = kept
}
