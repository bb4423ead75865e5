package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/rank"
	"github.com/xpeft/xpeft/store"
)

// withAxes is small, with profiles of digits.
func withAxes(t testing.TB) Config {
	c := small(t)
	c.Masks = false
	return c
}

// offered are n choices between a text about servers and one about phones.
func offered(n int) (pairs [][]string) {
	for i := range n {
		pairs = append(pairs, []string{fmt.Sprintf("%s %d", texts["urgent"][i%4], i),
			fmt.Sprintf("%s %d", texts["ignore"][i%4], i)})
	}
	return pairs
}

// chooses makes a person choose from n offers always the one at a place.
func chooses(t testing.TB, p *Folder, id string, n, place int) {
	t.Helper()
	for _, pair := range offered(n) {
		if err := p.Chose(context.Background(), id, "", pair, pair[place]); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func mustRank(t testing.TB, p *Folder, id, text string, candidates []string, o *RankOptions) *Ranking {
	t.Helper()
	r, err := p.Rank(context.Background(), id, text, candidates, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRankBySimilarity: who has chosen nothing gets candidates in the order of their cosines.
func TestRankBySimilarity(t *testing.T) {
	ctx := context.Background()
	p := create(t, withAxes(t))
	candidates := []string{"disk is full", "win a phone", "please review", "server is down"}
	got := mustRank(t, p, "", "the server is down", candidates, &RankOptions{Base: true})
	x, err := p.Embed(ctx, append([]string{"the server is down"}, candidates...))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, r := range got.Ranked {
		if want := similarity * cosine(x[0], x[r.Index+1]); math.Abs(float64(r.Score)-want) > 1e-4 ||
			r.Candidate != candidates[r.Index] || i > 0 && r.Score > got.Ranked[i-1].Score {
			t.Errorf("place %d: got %+v, want the score %.4f, falling", i, r, want)
		}
		sum += float64(r.P)
	}
	if math.Abs(sum-1) > 1e-5 || got.Source != SourceBase || got.Revision != 0 {
		t.Errorf("got %+v with probabilities of %g in all", got, sum)
	}
	even := mustRank(t, p, "nobody", "", candidates, &RankOptions{Fallback: FallbackBase})
	for i, r := range even.Ranked {
		if r.Index != i || r.P != 0.25 {
			t.Errorf("without a text: place %d: got %+v, want the order that was given", i, r)
		}
	}
}

// TestChoseTeaches: a person's choices order candidates for that person, also after Close and Open,
// and change no answer of Predict.
func TestChoseTeaches(t *testing.T) {
	ctx := context.Background()
	p := create(t, withAxes(t))
	mustLearn(t, p, "ann", examples(24, 0), &LearnOptions{Force: true})
	before := mustPredict(t, p, "ann", "the server is down")
	chooses(t, p, "ann", 24, 0)
	chooses(t, p, "bob", 24, 1)
	fresh := []string{"production database unreachable now", "huge discount on shoes now"}
	check := func(p *Folder) {
		t.Helper()
		for id, want := range map[string]int{"ann": 0, "bob": 1} {
			if r := mustRank(t, p, id, "", fresh, nil); r.Ranked[0].Index != want || r.Source != SourceProfile {
				t.Errorf("%s: got %+v, want candidate %d first", id, r, want)
			}
		}
		got := mustPredict(t, p, "ann", "the server is down")
		if !cmp.Equal(got.Probabilities, before.Probabilities) {
			t.Errorf("ann is answered %v, want %v", got.Probabilities, before.Probabilities)
		}
	}
	check(p)
	info, err := p.Profile(ctx, "bob")
	if err != nil || info.Bytes > 250 || info.Waiting >= leastObserved || info.Rows != 0 {
		t.Errorf("got %+v, %v, want a small profile without rows of labels", info, err)
	}
	mustLearn(t, p, "ann", examples(30, 0), &LearnOptions{Force: true})
	before = mustPredict(t, p, "ann", "the server is down")
	check(p)
	p.Close()
	check(open(t, p.dir, nil))
}

// TestChoseWaits: what was not learned when the folder was closed is learned after Open.
func TestChoseWaits(t *testing.T) {
	p := create(t, withAxes(t))
	for _, pair := range offered(3) {
		if err := p.Chose(context.Background(), "ann", "draft", pair, pair[1]); err != nil {
			t.Fatal(err)
		}
	}
	p.Close()
	q := open(t, p.dir, nil)
	pair := offered(4)[3]
	if err := q.Chose(context.Background(), "ann", "draft", pair, pair[1]); err != nil {
		t.Fatal(err)
	}
	if err := q.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if info, err := q.Profile(context.Background(), "ann"); err != nil || info.Waiting != 0 || info.Revision < 1 {
		t.Errorf("got %+v, %v, want four choices learned", info, err)
	}
	if data, err := q.PersonData(context.Background(), "ann"); err != nil || len(data.Examples) != 4 {
		t.Errorf("got %+v, %v, want 4 examples", data, err)
	}
}

// TestChoiceIsAnExample: it is shown, replaced, forgotten and exported as any other.
func TestChoiceIsAnExample(t *testing.T) {
	ctx := context.Background()
	p := create(t, withAxes(t))
	chooses(t, p, "ann", 12, 0)
	pair := offered(1)[0]
	if err := p.Chose(ctx, "ann", "", []string{pair[1], pair[0]}, strings.ToUpper(pair[1])); err != nil { // changes her mind
		t.Fatal(err)
	}
	if err := p.Drain(ctx); err != nil { // else it learns between Export and Rank
		t.Fatal(err)
	}
	data, err := p.PersonData(ctx, "ann")
	if err != nil || len(data.Examples) != 12 {
		t.Fatalf("got %d examples, %v, want 12", len(data.Examples), err)
	}
	sorted := slices.Sorted(slices.Values(pair))
	want := &Choice{sorted, pair[1]}
	if got := data.Examples[11]; !cmp.Equal(got.Choice, want) || got.Text != "" || got.Pair != "" || got.Label != "" {
		t.Errorf("got %+v of %+v, want %+v", got.Choice, got, want)
	}
	if m := data.Revisions[0].Masks; len(m) != 1 || m[0].Side != "order" {
		t.Errorf("got rows %+v, want the one that orders", m)
	}
	var bundle bytes.Buffer
	if _, err := p.Export(ctx, &bundle, &ExportOptions{Examples: true, IncludeBank: true}); err != nil {
		t.Fatal(err)
	}
	other := create(t, withAxes(t))
	if rep, err := other.Import(ctx, &bundle, nil); err != nil || rep.Profiles != 1 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	here, there := mustRank(t, p, "ann", "", pair, nil), mustRank(t, other, "ann", "", pair, nil)
	if !cmp.Equal(here.Ranked, there.Ranked) || there.Source != SourceProfile {
		t.Errorf("got %+v in the other folder, want %+v", there, here)
	}
	for i, offer := range offered(12) {
		o := &ForgetExampleOptions{Candidates: []string{offer[1], offer[0]}}
		if err := other.ForgetExample(ctx, "ann", "", o); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		err := other.ForgetExample(ctx, "ann", "", o)
		wantError(t, "once more", err, ErrExampleNotFound)
	}
	if err := other.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if r := mustRank(t, other, "ann", "", pair, nil); r.Source != SourceBase {
		t.Errorf("after all was forgotten: got %+v, want the base", r)
	}
	if data, err = other.PersonData(ctx, "ann"); err != nil || len(data.Examples) != 0 || len(data.Revisions) != 1 ||
		len(data.Revisions[0].Masks) != 0 {
		t.Errorf("after all was forgotten: got %+v, %v", data, err)
	}
}

// TestChoiceForgottenBesideLabels: a profile that is learned anew after that has its labels, and
// what its other choices say.
func TestChoiceForgottenBesideLabels(t *testing.T) {
	ctx := context.Background()
	p := create(t, withAxes(t))
	mustLearn(t, p, "ann", examples(24, 0), &LearnOptions{Force: true})
	chooses(t, p, "ann", 24, 0)
	pair := offered(1)[0]
	if err := p.ForgetExample(ctx, "ann", "", &ForgetExampleOptions{Candidates: pair}); err != nil {
		t.Fatal(err)
	}
	if err := p.ForgetExample(ctx, "ann", examples(1, 0)[0].Text, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	info, err := p.Profile(ctx, "ann")
	if r := mustRank(t, p, "ann", "", pair, nil); err != nil || r.Ranked[0].Index != 0 || r.Source != SourceProfile ||
		info.Examples != 23 {
		t.Errorf("got %+v, %+v, %v", r, info, err)
	}
}

func TestChoicesExpire(t *testing.T) {
	c := withAxes(t)
	c.Options.ExampleAge = time.Millisecond
	p := create(t, c)
	pair := offered(1)[0]
	if err := p.Chose(context.Background(), "ann", "", pair, pair[0]); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	if n, err := p.ExpireExamples(context.Background()); err != nil || n != 1 {
		t.Errorf("got %d, %v, want 1 erased", n, err)
	}
}

func TestRankRefuses(t *testing.T) {
	ctx := context.Background()
	c := withAxes(t)
	c.Options.Limits = Limits{Candidates: 3, Text: 100, Example: 120}
	p := create(t, c)
	long := strings.Repeat("a", 101)
	for _, test := range []struct {
		id, text   string
		candidates []string
		chosen     string
		rank, want error // of Rank, and of Chose
	}{
		{"ann", "", nil, "", ErrCandidates, ErrCandidates},
		{"ann", "", []string{"one"}, "one", ErrProfileNotFound, ErrCandidates},
		{"ann", "", []string{"one", "two"}, "three", ErrProfileNotFound, ErrCandidates},
		{"ann", "", []string{"one", "two", " ONE "}, "one", ErrCandidates, ErrCandidates},
		{"ann", "", []string{"one", "two", "three", "four"}, "one", ErrLimit, ErrLimit},
		{"ann", "", []string{"one", " "}, "one", ErrExample, ErrExample},
		{"ann", "", []string{"one", "a\xff"}, "one", ErrCandidates, ErrCandidates},
		{"ann", " ", []string{"one", "two"}, "one", ErrExample, ErrExample},
		{"ann", long, []string{"one", "two"}, "one", ErrLimit, ErrLimit},
		{"ann", "", []string{"one", long}, "one", ErrLimit, ErrLimit},
		{"ann", "", []string{long[:90], long[:60]}, long[:90], ErrProfileNotFound, ErrLimit},
		{"", "", []string{"one", "two"}, "one", ErrID, ErrID},
	} {
		what := fmt.Sprintf("%q %.20q %.20q", test.id, test.text, test.candidates)
		r, err := p.Rank(ctx, test.id, test.text, test.candidates, nil)
		wantError(t, "Rank "+what, err, test.rank)
		wantError(t, "Chose "+what, p.Chose(ctx, test.id, test.text, test.candidates, test.chosen), test.want)
		if r != nil {
			t.Errorf("%s: got %+v beside an error", what, r)
		}
	}
	if n, err := p.Stats(ctx); err != nil || n.Store.Profiles != 0 {
		t.Errorf("got %d profiles, %v, want none stored", n.Store.Profiles, err)
	}
	_, err := p.Rank(ctx, "ann", "", []string{"one"}, &RankOptions{Fallback: "nearest"})
	wantError(t, "fallback", err, ErrConfig)
	masks := create(t, small(t))
	wantError(t, "masks", masks.Chose(ctx, "ann", "", []string{"one", "two"}, "one"), ErrUnsupported)
	if r := mustRank(t, masks, "ann", "one", []string{"one", "two"}, &RankOptions{Fallback: FallbackBase}); len(
		r.Ranked) != 2 {
		t.Errorf("masks: got %+v", r)
	}
	p.Close()
	_, err = p.Rank(ctx, "ann", "", []string{"one"}, nil)
	wantError(t, "closed", err, ErrClosed)
	wantError(t, "closed", p.Chose(ctx, "ann", "", []string{"one", "two"}, "one"), ErrClosed)
	wantError(t, "read only", open(t, p.dir, &Options{ReadOnly: true}).Chose(ctx, "ann", "", []string{"one", "two"},
		"one"), ErrReadOnly)
}

// TestTrainRank: what all choose becomes the order of who has chosen nothing; a private profile has
// no part in it, and who chooses otherwise is still served as they choose.
func TestTrainRank(t *testing.T) {
	ctx := context.Background()
	p := create(t, withAxes(t))
	_, err := p.TrainRank(ctx, nil)
	wantError(t, "nobody has chosen", err, ErrExample)
	for i := range 9 {
		chooses(t, p, fmt.Sprint("crowd", i), 16, 0)
	}
	chooses(t, p, "hidden", 16, 1)
	if err := p.SetPrivate(ctx, "hidden", true); err != nil {
		t.Fatal(err)
	}
	rep, err := p.TrainRank(ctx, nil)
	if err != nil || !rep.Installed || rep.Profiles != 9 || rep.Choices != 144 || rep.After.Loss >= rep.Before.Loss {
		t.Fatalf("got %+v, %v", rep, err)
	}
	chooses(t, p, "dan", 24, 1)
	fresh := []string{"huge discount on shoes now", "production database unreachable now"}
	for id, want := range map[string]int{"nobody": 1, "crowd0": 1, "dan": 0} {
		if r := mustRank(t, p, id, "", fresh, &RankOptions{Fallback: FallbackBase}); r.Ranked[0].Index != want {
			t.Errorf("%s: got %+v, want candidate %d first", id, r, want)
		}
	}
	if again, err := p.TrainRank(ctx, nil); err != nil || again.Before.Loss > rep.After.Loss {
		t.Errorf("got %+v after %+v, %v, want the order that all have before", again, rep, err)
	}
	// the order now knows the people who are held out, and no other is better for them
	again, err := p.TrainRank(ctx, &TrainRankOptions{Force: true})
	if err != nil || !again.Installed || !strings.HasPrefix(again.Reason, "installed by force:") {
		t.Errorf("by force: got %+v, %v, want it said so", again, err)
	}
}

// TestTrainRankDirections: where people differ along one direction it is found, kept, and what new
// rows are places on.
func TestTrainRankDirections(t *testing.T) {
	ctx := context.Background()
	p := create(t, withAxes(t))
	for i := range 12 {
		chooses(t, p, fmt.Sprint("crowd", i), 12, i%2)
	}
	rep, err := p.TrainRank(ctx, &TrainRankOptions{Force: true})
	if err != nil || !rep.Installed || rep.Directions < 1 {
		t.Fatalf("got %+v, %v, want directions", rep, err)
	}
	p.Close()
	p = open(t, p.dir, nil)
	order, err := p.sharedOrder()
	if err != nil || len(order.directions) != rep.Directions || len(order.directions[0]) != p.axes.Count() {
		t.Fatalf("got %d directions, %v, want %d", len(order.directions), err, rep.Directions)
	}
	// A new person's choices lie elsewhere too, so that a row of their own would leave the
	// directions.
	for i := range 8 {
		pair := []string{fmt.Sprint(texts["later"][i%4], " ", i), fmt.Sprint(texts["urgent"][i%4], " ", i)}
		if err := p.Chose(ctx, "new", "", pair, pair[0]); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	s, err := p.snapshot("new")
	if err != nil || s.order == nil {
		t.Fatalf("got no row that orders candidates, %v", err)
	}
	r := mustRank(t, p, "new", "", []string{texts["urgent"][0], texts["later"][0]}, nil)
	if r.Ranked[0].Index != 1 || r.Source != SourceProfile {
		t.Errorf("got %+v, want the later one first", r)
	}
	along := func(row []byte, scale byte) float64 {
		z, within := rank.Values(row, scale, p.axes.Count(), p.axes.Digits), 0.0
		for _, d := range order.directions { // each at right angles to the others
			within += numeric.Dot(z, d) * numeric.Dot(z, d) / numeric.Dot(d, d)
		}
		return within / numeric.Dot(z, z)
	}
	stored, err := p.store.Examples("new")
	if err != nil {
		t.Fatal(err)
	}
	seen, err := p.glimpses(ctx, stored, order)
	if err != nil {
		t.Fatal(err)
	}
	free, err := rank.Learn(ctx, choices(stored, seen, order), p.axes.Count(), p.axes.Digits, nil)
	if err != nil || free.Row == nil {
		t.Fatalf("got no row anywhere on the axes, %v", err)
	}
	got, anywhere := along(s.order.Rows, s.order.Scales[0]), along(free.Row, free.Scale)
	if got < 0.8 || anywhere > 0.5 {
		t.Errorf("%.2f of the row is along the directions, want 0.8 or more; of one anywhere %.2f, want 0.5 at most", got,
			anywhere)
	}
	t.Logf("%.2f of the row is along the %d directions, of one anywhere %.2f", got, rep.Directions, anywhere)
}

// TestSplitCodes: the row that orders candidates goes in and comes out beside any others.
func TestSplitCodes(t *testing.T) {
	order := &store.Code{Bank: 1, K: 8, Labels: []uint32{folder.RankLabel}, Rows: []byte{7}, Scales: []byte{9}}
	for _, labels := range [][]store.Code{nil, {{Bank: 1, K: 8, Labels: []uint32{0, 2}, Rows: []byte{1, 2},
		Scales: []byte{3, 4}}}, {{Bank: 2, K: 8, Labels: []uint32{0}, Rows: []byte{1}, Scales: []byte{3}}}} {
		all := joinCodes(labels, order)
		gotLabels, gotOrder := splitCodes(all)
		same := len(labels) == 0 && len(gotLabels) == 0 || cmp.Equal(labels, gotLabels)
		if !same || !cmp.Equal(order, gotOrder) {
			t.Errorf("got %+v, %+v out of %+v, want %+v, %+v", gotLabels, gotOrder, all, labels, order)
		}
		if plain, none := splitCodes(labels); !cmp.Equal(plain, labels) || none != nil {
			t.Errorf("got %+v, %+v of no order", plain, none)
		}
	}
}

func TestRankEndsWithItsContext(t *testing.T) {
	p := create(t, withAxes(t))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Rank(ctx, "ann", "", []string{"one"}, &RankOptions{Base: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
