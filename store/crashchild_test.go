package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
)

// What the process that is killed does: crashWorkers goroutines, each with
// crashProfiles profiles of its own, say what they start and what they have
// done, a line each.
const (
	crashWorkers  = 4
	crashProfiles = 12
	// childSync makes the child wait for the disk.
	childSync = "XPEFT_STORE_TEST_SYNC"
)

var crashKinds = []string{"put", "put", "put", "put", "batch", "observe", "observe", "observe", "forget", "forget", "rollback", "rollback", "import", "compact", "backup"}

// noProfile is what an operation answers for ErrNotFound.
const noProfile = -1

// crashOp is one call. All that it writes follows from it, so that another
// process knows what should be there.
type crashOp struct {
	kind       string
	worker, id int
	mark       uint64
}

func randomOp(worker int) crashOp {
	return crashOp{crashKinds[rand.IntN(len(crashKinds))], worker, rand.IntN(crashProfiles), rand.Uint64()}
}

func (o crashOp) String() string { return fmt.Sprintf("%s %d %d %d", o.kind, o.worker, o.id, o.mark) }

func (o crashOp) prefix() string { return fmt.Sprintf("worker%d/", o.worker) }

// crashID is also a profile's id in the bundle.
func crashID(i int) string { return fmt.Sprintf("user%03d", i) }

// put is what the operation puts under an id.
func (o crashOp) put(i int) (*Profile, Write) {
	r := rand.New(rand.NewPCG(o.mark, uint64(i)))
	p, w := marked(r, o.prefix()+crashID(i))
	w.Append = nil
	for j := range 1 + r.IntN(3) {
		w.Append = append(w.Append, Example{Text: fmt.Sprint("text ", o.mark, j), Label: "l"})
	}
	return p, w
}

// batch is what the operation puts in one transaction.
func (o crashOp) batch() (ps []*Profile) {
	for i := range 3 {
		p, _ := o.put((o.id + i) % crashProfiles)
		ps = append(ps, p)
	}
	return ps
}

// run returns the revision of what was put, else 0, or noProfile.
func (o crashOp) run(s *Store, bundle []byte) (result int, err error) {
	p, w := o.put(o.id)
	var revision uint64
	switch o.kind {
	case "put":
		revision, err = s.Put(ctx, p, w)
	case "batch":
		err = s.PutBatch(ctx, o.batch())
	case "observe":
		err = s.AppendExamples(ctx, p.ID, w.Append)
	case "forget":
		err = s.Delete(ctx, p.ID)
	case "rollback":
		revision, err = rollBack(s, p.ID)
	case "import":
		_, err = s.Import(ctx, bytes.NewReader(bundle), ImportOptions{Prefix: o.prefix(), Policy: Overwrite})
	case "compact":
		_, err = s.Compact(ctx)
	case "backup":
		_, err = s.Backup(ctx, io.Discard, nil)
	}
	if errors.Is(err, ErrNotFound) {
		return noProfile, nil
	}
	return int(revision), err
}

// rollBack puts the revision before the last one again, as sdk does.
func rollBack(s *Store, id string) (uint64, error) {
	now, err := s.Get(id)
	if err != nil {
		return 0, err
	}
	history, err := s.History(id)
	if err != nil {
		return 0, err
	}
	if len(history) == 0 {
		return 0, ErrNotFound
	}
	return s.Put(ctx, history[0], Write{IfRevision: &now.Revision, DropState: true})
}

// openChild opens the store at path, and reads the bundle that lies beside it.
func openChild(path string) (s *Store, bundle []byte, err error) {
	if bundle, err = os.ReadFile(path + ".bundle"); err != nil {
		return nil, nil, err
	}
	s, err = Open(path, childOptions())
	return s, bundle, err
}

// changeForever runs random operations on the store at path.
func changeForever(path string) error {
	s, bundle, err := openChild(path)
	if err != nil {
		return err
	}
	s.batch = 5
	fmt.Println("begun")
	var workers sync.WaitGroup
	errs := make([]error, crashWorkers)
	for i := range errs {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for errs[i] == nil {
				o := randomOp(i)
				fmt.Println("start", o)
				result, err := o.run(s, bundle)
				if errs[i] = err; err == nil {
					fmt.Println("done", i, result)
				}
			}
		}()
	}
	workers.Wait()
	return errors.Join(errs...)
}

// crashOptions keep little, so that what is dropped is tested too; simulated
// profiles keep as much.
func crashOptions(noSync bool) *Options {
	return with(Options{NoSync: noSync, History: 2, MaxExamples: 4})
}

// childOptions are crashOptions as the child's environment says.
func childOptions() *Options { return crashOptions(os.Getenv(childSync) == "") }

// crashModel is what the store should hold, by id. Its values are replaced,
// never changed, so that a clone of the map is a copy.
type crashModel map[string]*modelled

// apply does what o does, and returns what o.run should have returned. The
// bundle is by id without a prefix.
func (m crashModel) apply(o crashOp, bundle map[string]content) (result int) {
	p, w := o.put(o.id)
	old := m[p.ID]
	switch o.kind {
	case "put":
		return m.put(p, w)
	case "batch":
		for _, p := range o.batch() {
			m.put(p, Write{})
		}
	case "observe", "forget":
		if old == nil {
			return noProfile
		}
		delete(m, p.ID)
		if o.kind == "observe" {
			next := *old
			next.add(w.Append)
			m[p.ID] = &next
		}
	case "rollback":
		if old == nil || len(old.revisions) < 2 {
			return noProfile
		}
		return m.put(old.revisions[len(old.revisions)-2], Write{DropState: true})
	case "import":
		for id, c := range bundle {
			m.overwrite(o.prefix()+id, c)
		}
	}
	return 0
}

func (m crashModel) put(p *Profile, w Write) (revision int) {
	next := modelled{}
	if old := m[p.ID]; old != nil {
		next = *old
	}
	stored := *p
	stored.Revision = 1
	if n := len(next.revisions); n > 0 {
		stored.Revision = next.revisions[n-1].Revision + 1
	}
	next.revisions = append(slices.Clip(next.revisions), &stored)
	next.revisions = next.revisions[max(0, len(next.revisions)-3):]
	if w.DropState || w.State != nil {
		next.state = w.State
	}
	next.add(w.Append)
	m[p.ID] = &next
	return int(stored.Revision)
}

// overwrite puts a profile of the bundle in the place of what was there.
func (m crashModel) overwrite(id string, c content) {
	p := *c.Profile
	p.ID = id
	if old := m[id]; old != nil {
		p.Revision = max(p.Revision, old.revisions[len(old.revisions)-1].Revision+1)
	}
	next := &modelled{revisions: []*Profile{&p}, state: c.State}
	next.add(c.Examples)
	m[id] = next
}
