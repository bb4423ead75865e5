package store

// How a verified bundle becomes visible: in batches, each in one transaction,
// with the number of profiles merged so far. That entry is the commit: a side file
// without it is removed, with it the merge goes on where it was. An import of one batch
// needs no entry.

// mergeItem is a bank, a head, the end, or a profile with what belongs to it.
type mergeItem struct {
	kind  byte
	data  []byte // a profile's record
	state []byte
	shelf *shelf // nil: nothing is known of the person
	size  int    // bytes of the frames
}

func (m *merger) readItem() (it mergeItem, err error) {
	it.kind, it.data, err = m.side.Next()
	if it.size = len(it.data); err != nil || it.kind != frameProfile {
		return it, err
	}
	for {
		switch kind, err := m.side.Peek(); {
		case err != nil:
			return it, err
		case kind != frameState && kind != framePerson && kind != frameExample:
			return it, nil
		}
		kind, payload, err := m.side.Next()
		it.size += len(payload)
		if err == nil {
			err = it.add(kind, payload, &m.s.opts)
		}
		if err != nil {
			return it, corrupt("%w", err)
		}
	}
}

func (it *mergeItem) add(kind byte, payload []byte, o *Options) (err error) {
	if kind == frameState {
		it.state = payload
		return nil
	}
	if it.shelf == nil {
		it.shelf = &shelf{opts: o}
	}
	if kind == framePerson {
		it.shelf.person, err = decodePerson(payload)
		return err
	}
	e, err := decodeExample(payload)
	if err != nil {
		return err
	}
	it.shelf.take(e.Example)
	if limit := o.MaxExamples; len(it.shelf.examples) > 2*limit {
		it.shelf.trim(limit)
	}
	return nil
}
