package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/xpeft/xpeft/store/internal/boltpages"
	"github.com/xpeft/xpeft/store/internal/keyring"

	"github.com/xpeft/xpeft/store/internal/format"
)

// RepairOptions are those of Repair. Nil, and every zero field, means the
// default.
type RepairOptions struct {
	// MasterKey is that of an encrypted store.
	MasterKey []byte
	// HeadLabels is that of the Options that the store is opened with: without it
	// the next Open reads the file whole.
	HeadLabels func(head []byte) (labels []string, counts []uint32)
	// Timeout is how long to wait for a writer that has the file open, before
	// ErrLocked. Default 1 s.
	Timeout time.Duration
}

// RepairReport is what Repair saved, and what not.
type RepairReport struct {
	Profiles, Revisions, States, Examples int
	Banks, Heads, Names, Values           int
	// TornMeta says that one of the two meta pages is not whole: what the last
	// transaction before the damage wrote may be missing.
	TornMeta bool
	// Lost says what could not be saved, each profile by its id or, if nothing
	// says that any more, its number. None: nothing was damaged but cohorts,
	// or pages that hold nothing.
	Lost []string
}

// Repair reads the damaged store at from, and makes a new one at to of what is
// whole in it: values, banks, heads and profiles with their numbers, states,
// examples and history. What is not whole is named in the report. It never
// writes to from. If there is something at to it is ErrExists. It is ErrCorrupt
// if nothing can be read: neither of the file's two meta pages is whole, or the
// value that says what the store is bound to.
//
// The file of keys of an encrypted store is copied as it is: a profile whose
// key is damaged is lost.
func Repair(ctx context.Context, from, to string, o *RepairOptions) (report RepairReport, err error) {
	opts := Options{NoSync: true}
	if o != nil {
		opts.MasterKey, opts.HeadLabels, opts.Timeout = o.MasterKey, o.HeadLabels, o.Timeout
	}
	if opts, err = opts.withDefaults(); err != nil {
		return report, err
	}
	err = makeAt(to, "repair "+from, func(temp string) (err error) {
		report, err = repair(ctx, from, temp, opts)
		return err
	})
	if err != nil {
		return RepairReport{}, err
	}
	return report, nil
}

func repair(ctx context.Context, from, path string, opts Options) (report RepairReport, err error) {
	unlock, err := lockDamaged(from, opts)
	if err != nil {
		return report, err
	}
	defer unlock()
	f, err := os.Open(from)
	if err != nil {
		return report, err
	}
	defer f.Close()
	r := &repairer{ctx: ctx, opts: opts, from: from, path: path,
		accepted: roaring.New(), orphans: roaring.New(), private: roaring.New(), staged: roaring.New()}
	if err = errors.Join(r.run(f), r.close()); err == nil {
		err = checkRepaired(ctx, path, opts)
	}
	return r.report, err
}

// lockDamaged keeps writers away, if bbolt can open the file at all.
func lockDamaged(path string, opts Options) (unlock func(), err error) {
	opts.ReadOnly = true
	f, err := openBolt(path, opts, false)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, path)
	}
	if err != nil {
		return func() {}, nil
	}
	return func() { f.DB.Close() }, nil
}

// checkRepaired opens what was made, which also erases the keys of profiles
// that were lost, and checks it.
func checkRepaired(ctx context.Context, path string, opts Options) error {
	opts.NoSync = false
	s, err := Open(path, &opts)
	if err != nil {
		return err
	}
	_, err = s.Check(ctx, true)
	return errors.Join(err, s.Close())
}

// repairer copies what is whole from a salvaged file into a new one.
type repairer struct {
	ctx        context.Context
	opts       Options
	from, path string
	old        *boltpages.Salvage
	meta       Meta
	metaValues map[string][]byte
	before     format.Tally // zero if it was lost
	report     RepairReport
	maskBytes  uint64

	out *restoredFile
	t   txn // of out; its keys decrypt

	accepted *roaring.Bitmap // numbers of profiles that are saved
	orphans  *roaring.Bitmap // of records that no id leads to
	private  *roaring.Bitmap // whose person cannot be read
	staged   *roaring.Bitmap // of an import that was not committed
}

func (r *repairer) lost(format string, args ...any) {
	switch n := len(r.report.Lost); {
	case n < maxProblems:
		r.report.Lost = append(r.report.Lost, fmt.Sprintf(format, args...))
	case n == maxProblems:
		r.report.Lost = append(r.report.Lost, "and more")
	}
}

func (r *repairer) run(f *os.File) (err error) {
	if r.old, err = boltpages.OpenSalvage(f, format.MaxKey, format.MaxStored); err != nil {
		return err
	}
	r.report.TornMeta = r.old.Meta.Torn
	for _, step := range []func() error{
		r.readMeta, r.begin, r.ofNobody, r.stagedNumbers, r.ids, r.profiles, r.adopt,
		r.lostIDs, r.beside, r.people, r.finish,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (r *repairer) readMeta() (err error) {
	r.metaValues = map[string][]byte{}
	err = r.old.All(r.old.Buckets[string(format.Meta)], func(k, v []byte) error {
		r.metaValues[string(k)] = v
		return nil
	})
	if err != nil {
		return err
	}
	if r.meta, err = decodeMeta(r.metaValues[string(format.KeyStore)]); err != nil {
		return err
	}
	if r.before, err = format.DecodeTally(r.metaValues[string(format.KeyTally)]); err != nil {
		r.before = format.Tally{}
	}
	return nil
}

// begin makes the new file, and opens the copy of the keys.
func (r *repairer) begin() (err error) {
	var keys io.Reader
	if r.meta.Keys != "" {
		if r.opts.MasterKey == nil {
			return fmt.Errorf("%w: the store is encrypted, and no master key is given", ErrKey)
		}
		f, err := os.Open(KeysPath(r.from))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrKey, err)
		}
		defer f.Close()
		keys = f
	}
	if r.out, err = createRestored(r.path, r.meta, keys); err != nil {
		return err
	}
	r.out.refs.NextBank, r.out.refs.NextHead = max(r.before.NextBank, 1), max(r.before.NextHead, 1)
	r.t.writing = true
	if r.meta.Keys != "" {
		r.t.keys, err = keyring.Open(KeysPath(r.path), r.meta.Keys, r.opts.MasterKey, r.opts.ReadOnly, r.opts.NoSync)
	}
	r.look()
	return err
}

// look has t read the transaction that out writes.
func (r *repairer) look() {
	r.t.Tx = r.out.tx
	r.t.ids, r.t.profiles = r.t.Bucket(format.IDs), r.t.Bucket(format.Profiles)
}

func (r *repairer) put(bucket, key, value []byte) error {
	return r.wrote(r.out.put(bucket, key, value))
}

// wrote has t read on after a write, which may have committed a transaction.
func (r *repairer) wrote(err error) error {
	if err == nil && r.t.Tx != r.out.tx {
		r.look()
	}
	return cmp.Or(err, r.ctx.Err())
}

// finish writes what follows from the rest, and says what the old sums miss.
func (r *repairer) finish() error {
	r.missed(countSums(r.out.tx))
	h := &backupHeader{revision: 1, commits: max(r.before.Commits, 1), maskBytes: r.maskBytes}
	return r.out.finish(h, r.accepted)
}

// missed compares what was saved with what was written once.
func (r *repairer) missed(found format.Sums) {
	if r.meta.Schema <= format.SchemaUnsummedStaging {
		return
	}
	want, err := format.DecodeSums(r.metaValues[string(format.KeySums)])
	if err != nil {
		r.lost("the sums of keys: what else is lost cannot be told")
		return
	}
	for i, name := range format.Summed {
		if bytes.Equal(name, format.Free) || bytes.Equal(name, format.Changes) || found[i].Keys >= want[i].Keys {
			continue
		}
		r.lost("bucket %q: %d of %d keys are saved", name, found[i].Keys, want[i].Keys)
	}
}

func (r *repairer) close() (err error) {
	if r.out != nil {
		err = r.out.close()
	}
	return errors.Join(err, r.t.keys.Close())
}
