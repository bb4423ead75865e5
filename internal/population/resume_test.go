package population

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
)

// keeper is a Resume in memory.
type keeper struct {
	fits  map[[32]byte]Fit
	found int // fits that were not run again
	ended int // fits that were
	steps int // calls within final ones
	under bool
}

func (k *keeper) resume() *Resume {
	if k.fits == nil {
		k.fits = map[[32]byte]Fit{}
	}
	k.found, k.ended, k.steps = 0, 0, 0
	return &Resume{
		Find: func(key [32]byte) *Fit {
			f, ok := k.fits[key]
			if !ok {
				return nil
			}
			k.found++
			return &f
		},
		Keep: func(f Fit) {
			if f.Steps > 0 {
				if k.steps++; !k.under {
					return
				}
			} else {
				k.ended++
			}
			f.X = slices.Clone(f.X)
			k.fits[f.Key] = f
		},
	}
}

// trainCut trains until so many fits have ended.
func trainCut(t *testing.T, p *Population, k *keeper, fits int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, _, err := Train(ctx, p, &Options{Resume: k.resume(), Progress: func(int, int) {
		if k.found+k.ended == fits {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want it cut off after %d fits", err, fits)
	}
}

// TestResume: a Train that is cut off anywhere goes on from there: the fits that ended are not run
// again, and the bits are those of one that was not cut off, with and without a Resume.
func TestResume(t *testing.T) {
	p := &plant(3, 40, 20, 40, 5, 2, 1).Population
	wantModel, wantReport := train(t, p, nil)
	var whole keeper
	m, r := train(t, p, &Options{Resume: whole.resume()})
	if !reflect.DeepEqual(m, wantModel) || !reflect.DeepEqual(r, wantReport) {
		t.Errorf("with a Resume: got %+v, want %+v", r, wantReport)
	}
	all := whole.ended
	if whole.found != 0 || all < 40 || m.J != 1 {
		t.Fatalf("got %d fits found of %d, %d axes", whole.found, all, m.J)
	}
	var k keeper
	for _, at := range []int{1, all / 3, all - 2, all - 1} {
		trainCut(t, p, &k, at)
		t.Logf("cut off after %d fits: %d were found, %d run", at, k.found, k.ended)
	}
	m, r = train(t, p, &Options{Resume: k.resume()})
	if !reflect.DeepEqual(m, wantModel) || !reflect.DeepEqual(r, wantReport) {
		t.Errorf("after it was cut off: got %+v, want %+v", r, wantReport)
	}
	if k.found != all-1 || k.ended != 1 {
		t.Errorf("after it was cut off before the last fit: %d fits found and %d run, want %d and 1", k.found,
			k.ended, all-1)
	}
	if train(t, p, &Options{Resume: whole.resume()}); whole.ended != 0 {
		t.Errorf("the same once more: %d fits were run", whole.ended)
	}
	// the final fit of the head has all people, whatever the folds
	if train(t, p, &Options{Seed: 1, Resume: whole.resume()}); whole.found > 1 {
		t.Errorf("another seed: %d fits found", whole.found)
	}
	q := *p
	q.People = slices.Clone(p.People[1:])
	if train(t, &q, &Options{Resume: whole.resume()}); whole.found > 0 || q.Digest() == p.Digest() {
		t.Errorf("without one of the people: %d fits found, digest %x", whole.found, q.Digest())
	}
}

// TestResumeFinal: a final fit that is cut off goes on from its last step that was kept, to the
// same minimum.
func TestResumeFinal(t *testing.T) {
	p := &plant(3, 60, 40, 60, 6, 2, 1).Population
	setting := &Setting{Rank: 1, Head: 1, Axis: 1}
	var whole keeper
	want, _ := train(t, p, &Options{Setting: setting, Resume: whole.resume()})
	k := keeper{under: true}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := k.resume()
	keep := r.Keep
	r.Keep = func(f Fit) {
		if keep(f); k.ended == 1 && f.Steps == 5 { // of the second, that of axes
			cancel()
		}
	}
	if _, _, err := Train(ctx, p, &Options{Setting: setting, Resume: r}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want it cut off", err)
	}
	got, _ := train(t, p, &Options{Setting: setting, Resume: k.resume()})
	if k.found != 2 || k.ended != 1 || k.steps >= whole.steps {
		t.Errorf("got %d fits found and %d run in %d steps, want both found and the second ended; without the cut "+
			"there were %d steps", k.found, k.ended, k.steps, whole.steps)
	}
	far := 0.0
	for i := range want.V {
		far = max(far, math.Abs(float64(want.V[i]-got.V[i])))
	}
	t.Logf("the largest difference of V is %.2g; %d steps after the cut, %d without one", far, k.steps, whole.steps)
	if far > 0.05*float64(slices.Max(want.V)) {
		t.Errorf("V is off by %g", far)
	}
}
