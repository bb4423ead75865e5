package store

import (
	"cmp"
	"slices"
	"sort"

	"github.com/xpeft/xpeft/store/internal/format"
)

// shelf is a profile's examples as a writing transaction changes them. Here
// are the rules of what one text is, what a full buffer drops, and what waits
// for a training.
type shelf struct {
	opts     *Options
	id       string
	person   Person
	examples []Example        // oldest first; those in replaced are no more
	replaced map[int]bool     // places in examples
	places   map[uint64][]int // by key, those that are not replaced; nil: not made yet
	stored   []uint64         // sequences in the file, ascending
}

func (w *writeTx) shelf(n uint32) (*shelf, error) {
	refs, err := w.refs(n)
	if err != nil {
		return nil, err
	}
	sh := &shelf{opts: &w.s.opts, id: string(refs.ID)}
	if sh.person, err = w.person(n); err != nil {
		return nil, err
	}
	count, last := 0, uint64(0)
	for k, err := range w.eachExample(n) {
		if err != nil {
			return nil, err
		}
		count, last = count+1, k.Sequence
		sh.stored = append(sh.stored, k.Sequence)
		if e := sh.opts.completed(sh.id, k); !sh.opts.expired(e) {
			sh.place(e) // an older file may have one text twice
		}
	}
	if count > maxExamples {
		return nil, corrupt("profile %q has %d examples", sh.id, count)
	}
	if count > 0 && last >= sh.person.next {
		return nil, corrupt("profile %q has example %d, but the next one is %d", sh.id, last, sh.person.next)
	}
	return sh, nil
}

// putShelf writes what has changed.
func (w *writeTx) putShelf(n uint32, sh *shelf) error {
	sh.trim(w.s.opts.MaxExamples)
	all := sh.all() // in the order of their sequences, as stored is
	bySequence := func(e Example, sequence uint64) int { return cmp.Compare(e.Sequence, sequence) }
	for _, sequence := range sh.stored {
		if _, stays := slices.BinarySearchFunc(all, sequence, bySequence); !stays {
			w.tally.Examples--
			if err := w.Bucket(format.Examples).remove(format.KeyAt(n, sequence)); err != nil {
				return err
			}
		}
	}
	for _, e := range all {
		if _, is := slices.BinarySearch(sh.stored, e.Sequence); !is {
			w.tally.Examples++
			if err := w.putExample(n, e); err != nil {
				return err
			}
		}
	}
	if err := w.setPerson(n, sh.person); err != nil {
		return err
	}
	count := sh.waiting()
	if count == 0 && !sh.person.Anew {
		return w.Bucket(format.Waiting).discard(format.Key(n))
	}
	return w.Bucket(format.Waiting).put(format.Key(n), waitingValue(n, count, sh.person.Anew))
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
	return sh.all()
}

// awaits says whether no training has seen an example.
func (p *Person) awaits(e Example) bool { return !e.Known && e.Sequence >= p.learned }

func (sh *shelf) waiting() (n int) {
	for _, e := range sh.all() {
		if sh.person.awaits(e) {
			n++
		}
	}
	return n
}

func (sh *shelf) add(e Example) {
	e.Key = sh.opts.TextKey(e.Text, e.Pair)
	e.Held = sh.opts.Held(sh.id, e, false)
	for _, i := range slices.Backward(sh.of(e.Key)) {
		old := sh.examples[i]
		e.Held = old.Held // for the text's life
		if e.repeats(old) && !sh.person.awaits(old) {
			e.Known = true
		}
	}
	e.Sequence = sh.person.next
	sh.person.next++
	sh.place(e)
}

// take takes in an example of a bundle.
func (sh *shelf) take(e Example) {
	e.Sequence = sh.person.next
	sh.person.next++
	if !sh.opts.expired(e) {
		sh.place(e)
	}
}

// place puts an example behind those that it does not replace. A call may bring
// very many: it looks at those of its text alone.
func (sh *shelf) place(e Example) {
	stay := slices.DeleteFunc(sh.of(e.Key), func(i int) bool {
		if e.replaces(sh.examples[i]) {
			sh.replaced[i] = true
		}
		return sh.replaced[i]
	})
	sh.places[e.Key] = append(stay, len(sh.examples))
	sh.examples = append(sh.examples, e)
}

func (sh *shelf) of(key uint64) []int {
	if sh.places == nil {
		sh.places, sh.replaced = make(map[uint64][]int, len(sh.examples)), map[int]bool{}
		for i, e := range sh.examples {
			sh.places[e.Key] = append(sh.places[e.Key], i)
		}
	}
	return sh.places[key]
}

func (sh *shelf) all() []Example {
	if len(sh.replaced) > 0 {
		left := sh.examples[:0]
		for i, e := range sh.examples {
			if !sh.replaced[i] {
				left = append(left, e)
			}
		}
		sh.keep(left)
	}
	return sh.examples
}

// keep makes some of all the examples the only ones.
func (sh *shelf) keep(examples []Example) {
	sh.examples, sh.replaced, sh.places = examples, nil, nil
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
// that has the most, of several such labels the one whose oldest is older.
func (sh *shelf) trim(limit int) {
	all := sh.all()
	if len(all) <= limit {
		return
	}
	classes := map[string][]int{}
	for i, e := range all {
		classes[e.class()] = append(classes[e.class()], i)
	}
	most := levelled(classes, limit)
	drop := make([]bool, len(all))
	over := len(all) - limit
	var oldest []int // of the labels that still have one more than most
	for _, places := range classes {
		for ; len(places) > most+1; places = places[1:] {
			drop[places[0]] = true
			over--
		}
		if len(places) == most+1 {
			oldest = append(oldest, places[0])
		}
	}
	slices.Sort(oldest)
	for _, i := range oldest[:over] {
		drop[i] = true
	}
	kept := all[:0]
	for i, e := range all {
		if !drop[i] {
			kept = append(kept, e)
		}
	}
	sh.keep(kept)
}

// levelled is the largest number that each label may keep within a limit.
func levelled(classes map[string][]int, limit int) int {
	return sort.Search(limit+1, func(n int) bool { // the first that is too large
		sum := 0
		for _, places := range classes {
			sum += min(len(places), n)
		}
		return sum > limit
	}) - 1
}
