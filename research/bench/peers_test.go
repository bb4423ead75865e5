package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/model"
)

// stand is a program that says it has two rivals and that each batch of two took 5 and 6 ms.
const stand = `echo '[{"name": "a", "version": "a 1", "right": 60.5, "changed": 0}, {"name": "b", "slow": true}]'
while read -r line; do echo '{"ms": [5, 6]}'; done`

func TestProcess(t *testing.T) {
	p, err := start(t.Context(), "sh", "-c", stand)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.rivals) != 2 || p.rivals[0].Name != "a" || *p.rivals[0].Right != 60.5 || !p.rivals[1].Slow ||
		p.rivals[1].Right != nil {
		t.Errorf("got %+v", p.rivals)
	}
	for range 2 {
		if ms, err := p.answer("a", [][]string{{"x"}, {"y"}}); err != nil || !slices.Equal(ms, []float64{5, 6}) {
			t.Errorf("got %v, %v, want 5 and 6", ms, err)
		}
	}
	if err := p.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	for _, bad := range []string{"exit 3", "echo Traceback", "true"} {
		if p, err := start(t.Context(), "sh", "-c", bad); err == nil {
			t.Errorf("%q: got %+v and no error", bad, p.rivals)
		}
	}
}

// TestRivalRound: the first batch of a kind warms up, and no text comes twice in two rounds.
func TestRivalRound(t *testing.T) {
	var texts, asked []string
	for i := range 400 {
		texts = append(texts, strings.Repeat("x", i+1))
	}
	c := rival{name: "a", answer: func(_ context.Context, batches [][]string) ([]float64, error) {
		ms := make([]float64, len(batches))
		for i := range ms {
			ms[i] = float64(i)
		}
		if len(batches[0]) == peersRows {
			asked = append(asked, slices.Concat(batches...)...)
		}
		return ms, nil
	}}
	var r result
	for round := range 2 {
		if err := c.round(t.Context(), texts, round, &r); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := r.samples("a"+inBatches), []float64{64000, 32000, 64000, 32000}; !slices.Equal(got, want) {
		t.Errorf("batches: got %v, want %v", got, want)
	}
	if got := r.samples("a" + alone); len(got) != 80 || got[0] != 1 || got[79] != 40 {
		t.Errorf("single texts: got %v", got)
	}
	if !slices.Equal(asked, texts[:384]) {
		t.Errorf("got %d texts, want the first 384 in order", len(asked))
	}
	c.answer = func(context.Context, [][]string) ([]float64, error) { return []float64{1}, nil }
	if err := c.round(t.Context(), texts, 0, &r); err == nil {
		t.Error("too few times: got no error")
	}
}

// TestOwnRivals: there is a series of each precision that runs here, and one of the bare encoder in
// it.
func TestOwnRivals(t *testing.T) {
	dir := os.Getenv("XPEFT_MODEL")
	if dir == "" {
		t.Skip("XPEFT_MODEL is not set")
	}
	home, remove, err := fixture(t.Context(), env{model: dir}, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	rivals, end, err := ownRivals(t.Context(), home, dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rivals {
		got = append(got, r.name)
		if _, err := r.answer(t.Context(), [][]string{{"a headline", "another"}}); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
	}
	want := []string{"xpeft", bareEncoder}
	if model.AutoPrecision() == "bfloat16" {
		want = append(want, "xpeft bfloat16", bareEncoder+" bfloat16")
	}
	if model.AutoPrecision() != "float32" {
		want = append(want, "xpeft int16", bareEncoder+" int16", "xpeft int8", bareEncoder+" int8")
	}
	if err := end(); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// peersSample has two of our precisions and three rivals, one of which is measured once.
func peersSample() result {
	r := result{Name: peersName}
	for _, s := range []struct {
		name     string
		rate, ms float64
	}{{"xpeft", 200, 5}, {bareEncoder, 210, 5}, {"xpeft int8", 400, 4}, {bareEncoder + " int8", 420, 4},
		{"transformers float32", 100, 10}, {"transformers int8", 150, 8}, {"hugot", 2, 500}} {
		for i := range 4 {
			r.add(s.name+inBatches, "texts/s", 0, s.rate+float64(i))
			r.add(s.name+alone, "ms", 0, s.ms+float64(i))
		}
	}
	for name, shares := range map[string][2]float64{"transformers float32": {60, 0},
		"transformers int8": {58.5, 14.25}} {
		r.add(name+right, "%", 0, shares[0])
		r.add(name+changed, "%", 0, shares[1])
	}
	comparePeers(&r)
	return r
}

func TestComparePeers(t *testing.T) {
	r := peersSample()
	var got []string
	for _, q := range r.Ratios {
		got = append(got, q.Name+" "+q.Bound)
	}
	want := []string{
		"xpeft over xpeft's bare encoder, 64 rows ≥ 0.92",
		"xpeft over transformers float32, 64 rows ≥ 1.8",
		"xpeft over transformers int8, 64 rows ",
		"xpeft over hugot, 64 rows ",
		"p50 of xpeft over transformers int8, one text ≤ 0.6",
		"xpeft int8 over xpeft's bare encoder int8, 64 rows ≥ 0.92",
		"xpeft int8 over transformers float32, 64 rows ",
		"xpeft int8 over transformers int8, 64 rows ",
		"xpeft int8 over hugot, 64 rows ",
		"p50 of xpeft int8 over transformers int8, one text ≤ 0.6",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPeersTable(t *testing.T) {
	r := peersSample()
	var out bytes.Buffer
	r.markdown(&out)
	for _, want := range []string{
		"| xpeft | 202 | 201 to 203 | 7 | 8 | | |\n",
		"| transformers float32 | 102 | 101 to 103 | 12 | 13 | | 60.0 % |\n",
		"| transformers int8 | 152 | 151 to 153 | 10 | 11 | 14.2 % | 58.5 % (-1.5) |\n",
		"| xpeft over transformers float32, 64 rows | 1.980 | 1.980 to 2.000 | ≥ 1.8 | met |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant in it %q", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "samples") {
		t.Errorf("the table of series is there too:\n%s", out.String())
	}
}

// TestPeersPart: the peers' samples go between marks of their own, and leave the others' part.
func TestPeersPart(t *testing.T) {
	dir := t.TempDir()
	other, peers := sample(), peersSample()
	for _, r := range []result{other, peers} {
		if err := r.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	doc := filepath.Join(dir, "performance.md")
	if err := report(dir, doc, []string{"predict"}); err != nil {
		t.Fatal(err)
	}
	parts := func() (bench, peers string) {
		raw, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		begin, end := marks(peersPart)
		bench, rest, ok := strings.Cut(string(raw), begin)
		peers, _, ended := strings.Cut(rest, end)
		if !ok || !ended {
			t.Fatalf("no marks in\n%s", raw)
		}
		return bench, strings.TrimSpace(peers)
	}
	before, none := parts()
	if none != "" || !strings.Contains(before, "### predict") {
		t.Errorf("only predict: got\n%s and of the peers %q", before, none)
	}
	if err := report(dir, doc, []string{peersName}); err != nil {
		t.Fatal(err)
	}
	if bench, text := parts(); bench != before || !strings.HasPrefix(text, "### peers") {
		t.Errorf("only peers: got\n%s\nand of the peers\n%s", bench, text)
	}
}

func TestPrecisionNote(t *testing.T) {
	info := "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 207\nmodel name\t: Intel\nflags\t\t: fpu avx512f avx512_bf16"
	for flags, want := range map[string][]string{
		"": {"family 6, model 207; has avx512f, avx512_bf16; lacks avx512_vnni, amx_tile",
			"AMX is not there or masked"},
		" avx512_vnni amx_tile": {"has avx512f, avx512_vnni, avx512_bf16, amx_tile; lacks " +
			"amx_bf16, amx_int8"},
		" avx512_vnni amx_tile amx_bf16 amx_int8": {"lacks none of these"},
	} {
		got := precisionNote(info + flags + "\n")
		for _, want := range want {
			if !strings.Contains(got, want) {
				t.Errorf("%q: got %q, want in it %q", flags, got, want)
			}
		}
		if masked := strings.Contains(got, "masked"); masked != (flags == "") {
			t.Errorf("%q: got %q", flags, got)
		}
	}
	if !strings.Contains(precisionNote(""), "model ?") {
		t.Errorf("of nothing: got %q", precisionNote(""))
	}
}
