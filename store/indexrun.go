package store

import (
	"context"
	"errors"

	bolt "go.etcd.io/bbolt"
)

// startIndex loads the index if it is up to date. If not, it is rebuilt in
// the background; a read-only store does without.
func (s *Store) startIndex() error {
	ix := &index{
		off:     s.opts.NoIndex,
		ready:   make(chan struct{}),
		pending: map[uint32]pendingMask{},
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	s.index = ix
	if s.keys != nil {
		ix.sets = map[uint32]*bankSets{}
	}
	err := s.readPages(func(tx *bolt.Tx) error {
		tally, err := readTally(tx)
		if err != nil {
			return err
		}
		if ix.sets != nil {
			return nil
		}
		m, err := readMark(tx)
		ix.bytes = int64(m.bytes)
		if err == nil && m.commits == tally.commits {
			ix.use, err = readUse(tx)
			ix.built = err == nil
		}
		if err != nil {
			s.opts.Logger.Warn("index cannot be read", "error", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if ix.built {
		close(ix.ready)
	}
	if s.opts.ReadOnly && !ix.built {
		ix.off = true
	}
	s.keepIndex()
	return nil
}

// keepIndex starts the background writer, if there is anything for it to do.
func (s *Store) keepIndex() {
	ix := s.index
	if ix.off || s.opts.ReadOnly {
		close(ix.done)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ix.stop = stop
	if !ix.built {
		ix.signal()
	}
	go s.runIndex(ctx)
}

// stopIndex ends the background writer and writes what is pending.
func (s *Store) stopIndex() error {
	ix := s.index
	if ix.stop == nil {
		return nil
	}
	ix.stop()
	<-ix.done
	ix.lock.Lock()
	built := ix.built && ix.failed == nil
	ix.lock.Unlock()
	if !built {
		return nil // it will be rebuilt by the next Open
	}
	for { // no change comes any more, but one may have come while it ran
		if err := s.flush(context.Background()); err != nil {
			return err
		}
		ix.lock.Lock()
		left := len(ix.pending)
		ix.lock.Unlock()
		if left == 0 {
			return nil
		}
	}
}

// runIndex is the background writer.
func (s *Store) runIndex(ctx context.Context) {
	ix := s.index
	defer close(ix.done)
	for {
		select {
		case <-ix.wake:
		case <-ctx.Done():
			return
		}
		ix.lock.Lock()
		built := ix.built
		ix.lock.Unlock()
		err := error(nil)
		if !built {
			err = s.rebuild(ctx)
		} else {
			err = s.flush(ctx)
		}
		if built && errors.Is(err, ErrCorrupt) {
			s.opts.Logger.Warn("index is damaged", "error", err)
			ix.distrust() // which wakes this
			continue
		}
		if built && errors.Is(err, ErrFull) { // what is pending is kept for the next time
			s.opts.Logger.Warn("index waits for room", "error", err)
		} else if err != nil && ctx.Err() == nil {
			s.opts.Logger.Error("index is not kept any more", "error", err)
			ix.fail(err)
			return
		}
	}
}

// fail makes queries read every profile, until the next Open.
func (ix *index) fail(err error) {
	ix.lock.Lock()
	defer ix.lock.Unlock()
	ix.failed = err
	ix.pending = nil
	if !ix.built {
		ix.built = true
		close(ix.ready)
	}
}

// distrustIndex is distrust, also before there is an index: what Open merges
// puts it behind anyway.
func (s *Store) distrustIndex() {
	if s.index != nil {
		s.index.distrust()
	}
}

// indexOff says that nobody asks for the masks that changed.
func (s *Store) indexOff() bool { return s.index != nil && s.index.off }

// distrust makes the background writer build the index anew.
func (ix *index) distrust() {
	ix.lock.Lock()
	defer ix.lock.Unlock()
	if ix.failed == nil {
		ix.reset()
		ix.signal()
	}
}

func (ix *index) reset() {
	if ix.built {
		ix.built = false
		ix.ready = make(chan struct{})
	}
	ix.resets++
	ix.emptied, ix.next = false, 0
	ix.pending, ix.use = map[uint32]pendingMask{}, nil
	if ix.sets != nil {
		ix.sets = map[uint32]*bankSets{}
	}
}

func (ix *index) signal() {
	select {
	case ix.wake <- struct{}{}:
	default:
	}
}
