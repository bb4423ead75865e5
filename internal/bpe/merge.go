package bpe

// workspace is a word's memory: its tokens in a linked list, and the pairs that may be merged.
type workspace struct {
	ids        []int32
	next, back []int32 // -1: none
	merges     []merge // of the pair at each place; rank -1: none
	queue      []candidate
}

// candidate is a pair that may be merged, by the place of its left token.
type candidate struct{ rank, at int32 }

// before says which of two is merged first: the earlier merge, or the left one.
func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.at < d.at
}

// word appends the ids of one word.
func (m *Model) word(dst []int32, text []byte, w *workspace) []int32 {
	w.ids, w.next, w.back = w.ids[:0], w.next[:0], w.back[:0]
	w.merges, w.queue = w.merges[:0], w.queue[:0]
	for i, b := range text {
		w.ids, w.next, w.back = append(w.ids, m.bytes[b]), append(w.next, int32(i+1)), append(w.back, int32(i-1))
		w.merges = append(w.merges, merge{rank: -1})
	}
	w.next[len(text)-1] = -1
	for i := range int32(len(text) - 1) {
		m.offer(w, i)
	}
	for len(w.queue) > 0 {
		m.merge(w, w.pop())
	}
	for at := int32(0); at >= 0; at = w.next[at] {
		dst = append(dst, w.ids[at])
	}
	return dst
}

// offer puts the pair at a place into the queue, if it is ever merged.
func (m *Model) offer(w *workspace, at int32) {
	if at < 0 {
		return
	}
	w.merges[at].rank = -1
	if right := w.next[at]; right >= 0 {
		if to, ok := m.merges[pair{w.ids[at], w.ids[right]}]; ok {
			w.merges[at] = to
			w.push(candidate{to.rank, at})
		}
	}
}

// merge merges a pair, unless one of its tokens has changed since it was offered.
func (m *Model) merge(w *workspace, c candidate) {
	to, right := w.merges[c.at], w.next[c.at]
	if to.rank != c.rank {
		return
	}
	w.ids[c.at], w.merges[right].rank = to.id, -1
	w.next[c.at] = w.next[right]
	if w.next[c.at] >= 0 {
		w.back[w.next[c.at]] = c.at
	}
	m.offer(w, w.back[c.at])
	m.offer(w, c.at)
}

// push and pop keep the queue a heap, without the interface of container/heap, which would
// allocate.
func (w *workspace) push(c candidate) {
	w.queue = append(w.queue, c)
	q, i := w.queue, len(w.queue)-1
	for i > 0 && q[i].before(q[(i-1)/2]) {
		q[i], q[(i-1)/2] = q[(i-1)/2], q[i]
		i = (i - 1) / 2
	}
}

func (w *workspace) pop() candidate {
	q, last := w.queue, len(w.queue)-1
	top := q[0]
	q[0], q = q[last], q[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q); child++ {
			if q[child].before(q[least]) {
				least = child
			}
		}
		if least == i {
			break
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
	w.queue = q
	return top
}
