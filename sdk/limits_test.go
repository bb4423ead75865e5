package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/folder"
)

// limitCase is an act whose value lies exactly at a limit.
type limitCase struct {
	field string // of Limits
	value int64
	act   func(p *Folder) error
	want  error // beyond the limit; nil: ErrLimit
}

func limitCases(t *testing.T) []limitCase {
	ctx := context.Background()
	learn := func(id string, es []Example, o *LearnOptions) func(p *Folder) error {
		return func(p *Folder) error { _, err := p.Learn(ctx, id, es, o); return err }
	}
	long := Example{Text: "server down", Pair: strings.Repeat("x", 80), Label: "urgent"}
	longBytes := int64(len(long.Text) + len(long.Pair) + len(long.Label))
	added := own(1)
	added.AddLabels = true
	four := append(examples(6, 0), Example{Text: "win", Label: "a fourth"})
	bundle := bundleOf(t)
	take := func(p *Folder) error {
		_, err := p.Import(ctx, bytes.NewReader(bundle), &ImportOptions{Policy: Overwrite})
		return err
	}
	random := RandomBank{N: 20, Seed: 9, Bottleneck: 4}
	return []limitCase{
		{"ID", 11, learn("an id of 11", examples(6, 0), quick()), ErrID},
		{"ID", 11, func(p *Folder) error { return p.Observe(ctx, "an id of 11", examples(1, 0)[0]) }, ErrID},
		{"ID", 9, take, ErrID},
		{"Text", 13, func(p *Folder) error {
			return asked(p.PredictBatch(ctx, []Request{{Base: true, Text: "server", Pair: "is down"}}))
		}, nil},
		{"Example", longBytes, learn("a", append(examples(6, 0), long), quick()), nil},
		{"Example", longBytes, func(p *Folder) error { return p.Observe(ctx, "a", long) }, nil},
		{"LearnExamples", 7, learn("a", examples(7, 0), quick()), nil},
		{"Labels", 4, learn("a", four, added), nil},
		{"HeadBytes", int64(16 + 5*4 + 4*4*(tinyD+1) + len("urgentlaterignorea fourth") + 2*4),
			learn("a", four, added), nil},
		{"HeadBytes", largestHead(t, bundle), take, nil},
		{"BundleProfiles", 2, take, nil},
		{"BundleBytes", unpacked(t, bundle), take, nil},
		{"RandomBankBytes", bankBytes(t, random), func(p *Folder) error {
			info, err := folder.RandomInfo(random.properties(p.encoder))
			if err != nil {
				return err
			}
			_, err = openBank(p.dir, info, p.options.Limits.RandomBankBytes)
			return err
		}, nil},
	}
}

// TestLimits acts under a limit that just fits, and under one that is less by one: then nothing is
// stored, and the error names the option and its value.
func TestLimits(t *testing.T) {
	for _, c := range limitCases(t) {
		t.Run(c.field, func(t *testing.T) {
			for _, limit := range []int64{c.value, c.value - 1} {
				config := small(t)
				options := *config.Options
				field := reflect.ValueOf(&options.Limits).Elem().FieldByName(c.field)
				field.SetInt(limit)
				config.Options = &options
				p := create(t, config)
				before := contents(t, p)
				err := c.act(p)
				if limit == c.value {
					if err != nil {
						t.Errorf("at the limit of %d: got %v", limit, err)
					}
					continue
				}
				want := c.want
				if want == nil {
					want = ErrLimit
				}
				wantError(t, fmt.Sprintf("over the limit of %d", limit), err, want)
				if err == nil || !strings.Contains(err.Error(), "Options.Limits") && c.field != "ID" ||
					!strings.Contains(err.Error(), fmt.Sprint(limit)) {
					t.Errorf("got %v, want it to name Options.Limits and %d", err, limit)
				}
				if after := contents(t, p); after != before {
					t.Errorf("got %+v in the store, want %+v as before", after, before)
				}
			}
		})
	}
}

// asked is the error of a call with one row.
func asked(out []Prediction, err error) error {
	if err == nil {
		err = out[0].Err
	}
	return err
}

type held struct{ profiles, examples, records, banks int64 }

func contents(t *testing.T, p *Folder) held {
	t.Helper()
	st, err := p.store.Stats()
	if err != nil {
		t.Fatal(err)
	}
	banks, err := p.store.Banks()
	if err != nil {
		t.Fatal(err)
	}
	return held{st.Profiles, st.Examples, st.RecordBytes, int64(len(banks))}
}

// bundleOf is of two profiles, whose longest id has 9 bytes, with heads of their own.
func bundleOf(t *testing.T) []byte {
	t.Helper()
	p := create(t, small(t))
	mustLearn(t, p, "nine byte", examples(6, 0), own(1))
	mustLearn(t, p, "other", examples(6, 0), own(1))
	var b bytes.Buffer
	if _, err := p.Export(context.Background(), &b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func largestHead(t *testing.T, bundle []byte) int64 {
	return least(t, bundle, func(l *Limits, n int64) { l.HeadBytes = int(n) })
}

func unpacked(t *testing.T, bundle []byte) int64 {
	return least(t, bundle, func(l *Limits, n int64) { l.BundleBytes = n })
}

// least is the least limit under which a bundle is taken in.
func least(t *testing.T, bundle []byte, set func(l *Limits, n int64)) int64 {
	t.Helper()
	p := create(t, small(t))
	return 1 + int64(sort.Search(1<<16, func(n int) bool {
		set(&p.options.Limits, int64(n)+1)
		_, err := p.Import(context.Background(), bytes.NewReader(bundle), &ImportOptions{Policy: Overwrite})
		if err != nil {
			wantError(t, "Import", err, ErrLimit)
		}
		return err == nil
	}))
}

func bankBytes(t *testing.T, b RandomBank) int64 {
	t.Helper()
	return b.properties(create(t, small(t)).encoder).Bytes()
}

// TestLimitsOfStored: what was stored under a higher limit is served and can be erased under a
// lower one; the examples that are kept become fewer.
func TestLimitsOfStored(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	id := strings.Repeat("x", 200)
	mustLearn(t, p, id, examples(12, 0), quick())
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	q := open(t, p.dir, &Options{Limits: Limits{ID: 100, Examples: 5}, Threads: 1})
	_, err := q.Predict(ctx, id, "x", nil)
	wantError(t, "Predict", err, ErrID)
	if err := q.Forget(ctx, id); err != nil {
		t.Errorf("Forget: %v", err)
	}
	wantError(t, "Forget of what no store could have", q.Forget(ctx, strings.Repeat("x", 1<<20)), ErrID)
	mustLearn(t, q, "short", examples(12, 0), quick())
	if stored, err := q.stored("short"); err != nil || len(stored) != 5 {
		t.Errorf("got %d examples, %v, want the newest 5", len(stored), err)
	}
}

// TestLimitFaults: every field out of range is named; zero fields get the defaults that the
// comments state.
func TestLimitFaults(t *testing.T) {
	var bad Limits
	v := reflect.ValueOf(&bad).Elem()
	for i := range v.NumField() {
		v.Field(i).SetInt([]int64{-1, 1<<40 + 1}[i%2])
	}
	_, err := Create(context.Background(), filepath.Join(t.TempDir(), "s"),
		Config{Model: tinyModel(t), Labels: labels, Options: &Options{Limits: bad}})
	wantError(t, "Create", err, ErrConfig)
	for i := range v.NumField() {
		if name := "Limits." + v.Type().Field(i).Name + " "; err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want it to name %s", err, name)
		}
	}
	o, err := (*Options)(nil).withDefaults()
	want := Limits{256, 1 << 20, 64 << 10, 512, 100_000, 64, 4096, 32 << 20, 8 << 30, 10_000_000, 16 << 30}
	if err != nil || o.Limits != want {
		t.Errorf("got %+v, %v, want %+v", o.Limits, err, want)
	}
	if _, err := Open(context.Background(), t.TempDir(), &Options{Limits: Limits{Text: -1}}); !errors.Is(
		err,
		ErrConfig,
	) {
		t.Errorf("Open: got %v, want ErrConfig", err)
	}
}
