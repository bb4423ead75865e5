package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store"
)

// The profiles of benchStore: random masks, a shared bank, no head, affine, bias or prior.
const (
	storeN, storeK, storeBlocks = 150, 50, 6
	storeBatch                  = 5000 // records a transaction, of the bare load too
	storeSpare                  = 32   // bytes a profile that are promised beside masks and id
)

// benchStore loads, exports and imports profiles, each beside a bare bbolt file that is loaded with
// the same records in the same batches; then it opens, reads, lists and queries the last store of
// each count. As by default, what is put is durable: store and bare files fsync alike.
func benchStore(ctx context.Context, v env) (result, error) {
	size, curve := 20_000, []int{1_000, 10_000}
	if v.full {
		size, curve = 1_000_000, []int{1_000, 10_000, 100_000}
	}
	r := result{Name: "store", X: "profiles",
		What: fmt.Sprintf("%d profiles of N=%d, k=%d, L=%d, ids in order, %d a durable transaction",
			size, storeN, storeK, storeBlocks, storeBatch)}
	for _, n := range append([]int{size}, curve...) {
		b := &storeBench{r: &r, n: n, main: n == size}
		if err := b.run(ctx, v.rounds); err != nil {
			return r, fmt.Errorf("%d profiles: %w", n, err)
		}
	}
	r.compare("load over a bare load", "load", "bare load", "")
	r.compare("import over a bare load", "import", "bare load", "≥ 0.7")
	r.compare("export over a bare load", "export", "bare load", "≥ 1")
	r.compare("load over a packed bare load", "load", "bare load, packed", "")
	r.compare("import over a packed bare load", "import", "bare load, packed", "")
	r.compare("export over a packed bare load", "export", "bare load, packed", "")
	r.compare("export over a bare walk and write", "export", "bare walk and write", "")
	r.compare("bytes on disk over masks, id and 32", "file", "masks, id and 32", "≤ 1.5 (1M)")
	r.compare("the same, ids in random order", "file, ids in random order", "masks, id and 32", "")
	r.Notes = append(r.Notes, "memory is the peak of RssAnon, sampled each 10 ms: Go's heap and bbolt's dirty "+
		"pages, libtorch's own data too; not the page cache that the file is mapped from",
		"promised: open < 1000 ms, get p50 < 20 µs, memory < 256 MiB")
	return r, nil
}

// storeBench is the measurements of one count.
type storeBench struct {
	r    *result
	n    int
	main bool // and not only a point of the curves
}

// add adds a sample, if this is the count that the table is of.
func (b *storeBench) add(name, unit string, x float64) {
	if b.main {
		b.r.add(name, unit, 0, x)
	}
}

// took adds a duration to the curve, and as a rate of things a second to the table.
func (b *storeBench) took(name string, things int, d time.Duration) {
	b.add(name, "1/s", float64(things)/d.Seconds())
	b.r.add("time of "+name, "ms", float64(b.n), d.Seconds()*1e3)
}

func (b *storeBench) run(ctx context.Context, rounds int) error {
	for round := range rounds + 1 {
		dir, err := os.MkdirTemp("", "xpeft-bench-")
		if err != nil {
			return err
		}
		measured := *b
		if round == 0 { // it warms up
			measured.r, measured.main = &result{}, false
		}
		err = measured.round(ctx, dir)
		if err == nil && round == rounds {
			err = b.once(ctx, dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// round loads dir/xpeft.db and, batch by batch in turn, two bare files, pages half full as bbolt's
// own default is, and packed as the store's are; then it exports, walks a bare file, and imports.
func (b *storeBench) round(ctx context.Context, dir string) error {
	s, err := createStore(ctx, filepath.Join(dir, "xpeft.db"))
	if err != nil {
		return err
	}
	defer s.Close()
	bare, err := openBare(filepath.Join(dir, "bare.db"), bolt.DefaultFillPercent)
	if err != nil {
		return err
	}
	defer bare.db.Close()
	packed, err := openBare(filepath.Join(dir, "packed.db"), 0.92)
	if err != nil {
		return err
	}
	defer packed.db.Close()
	loading, err := b.load(ctx, s, func(i int) int { return i }, bare, packed)
	if err != nil {
		return err
	}
	b.took("bare load", b.n, bare.loaded)
	b.took("bare load, packed", b.n, packed.loaded)
	b.took("load", b.n, loading)
	bundle := filepath.Join(dir, "bundle")
	if err := b.measureExport(ctx, s, bundle); err != nil {
		return err
	}
	d, err := packed.walk(filepath.Join(dir, "walked"))
	if err != nil {
		return err
	}
	b.took("bare walk and write", b.n, d)
	return b.measureImport(ctx, bundle, filepath.Join(dir, "imported.db"))
}

// load puts all profiles, the one numbered at(0) first, and each batch into the rivals too. Making
// profiles is not counted.
func (b *storeBench) load(ctx context.Context, s *store.Store, at func(int) int,
	rivals ...*bareStore) (loading time.Duration, err error) {
	for from := 0; from < b.n; from += storeBatch {
		batch := make([]*store.Profile, min(storeBatch, b.n-from))
		for i := range batch {
			batch[i] = storeProfile(at(from + i))
		}
		for _, rival := range rivals {
			if err := rival.put(batch); err != nil {
				return 0, err
			}
		}
		began := time.Now()
		if err := s.PutBatch(ctx, batch); err != nil {
			return 0, err
		}
		loading += time.Since(began)
	}
	return loading, nil
}

func (b *storeBench) measureExport(ctx context.Context, s *store.Store, path string) error {
	stop := watchMemory()
	defer stop()
	began := time.Now()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := s.Export(ctx, f, store.ExportOptions{})
	if err != nil {
		return err
	}
	if n != b.n {
		return fmt.Errorf("%d profiles exported", n)
	}
	b.took("export", n, time.Since(began))
	b.add("export, memory", "MiB", stop())
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b.add("bundle", "B each", float64(info.Size())/float64(n))
	return nil
}

func (b *storeBench) measureImport(ctx context.Context, bundle, path string) error {
	to, err := createStore(ctx, path)
	if err != nil {
		return err
	}
	defer to.Close()
	stop := watchMemory()
	defer stop()
	began := time.Now()
	f, err := os.Open(bundle)
	if err != nil {
		return err
	}
	defer f.Close()
	report, err := to.Import(ctx, f, store.ImportOptions{})
	if err != nil {
		return err
	}
	if report.Profiles != b.n {
		return fmt.Errorf("%d profiles imported", report.Profiles)
	}
	b.took("import", b.n, time.Since(began))
	b.add("import, memory", "MiB", stop())
	return b.addSize("file, imported", to)
}

// addSize adds the file's size a profile.
func (b *storeBench) addSize(name string, s *store.Store) error {
	st, err := s.Stats()
	if err != nil {
		return err
	}
	b.add(name, "B each", float64(st.FileBytes)/float64(b.n))
	b.add(name+", less its free pages", "B each", float64(st.FileBytes-st.FreeBytes)/float64(b.n))
	return nil
}

// createStore makes a store with one bank.
func createStore(ctx context.Context, path string) (*store.Store, error) {
	s, err := store.Create(path, store.Meta{Model: "model", MaxTokens: 128}, nil)
	if err != nil {
		return nil, err
	}
	_, err = s.PutBank(ctx, store.BankInfo{Digest: store.Digest{1}, N: storeN, Blocks: storeBlocks})
	return s, err
}

func storeID(i int) string { return fmt.Sprintf("user-%07d", i) }

// storeProfile is profile i, always the same.
func storeProfile(i int) *store.Profile {
	m, err := bitmask.New(storeN, storeK, storeBlocks)
	if err != nil {
		panic(err) // the shape is a constant
	}
	rng := rand.New(rand.NewPCG(1, uint64(i)))
	var order [storeN]int
	for j := range order {
		order[j] = j
	}
	for row := range 2 * storeBlocks {
		bits := m.Row(bitmask.Side(row/storeBlocks), row%storeBlocks)
		for j := range storeK { // the first k of a shuffle
			swap := j + rng.IntN(storeN-j)
			order[j], order[swap] = order[swap], order[j]
			bits.Set(order[j])
		}
	}
	return &store.Profile{ID: storeID(i), Bank: 1, Mask: m, Examples: 40}
}
