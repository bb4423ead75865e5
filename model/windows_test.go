package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestEncodeWindows: what one window holds is as Encode has it; of longer texts the windows' parts,
// less what they share, are the text's tokens, up to as many windows as there may be, and each
// window of a pair begins with its first text.
func TestEncodeWindows(t *testing.T) {
	for name, tok := range map[string]*Tokenizer{"wordpiece": realTokenizer(t), "bpe": subwordTokenizer(t, "bpe")} {
		rng := rand.New(rand.NewPCG(1, 2))
		words := func(n int) string {
			s := make([]string, n)
			for i := range s {
				s[i] = []string{"storm", "the", "café", "unbelievably", "x9", "你"}[rng.IntN(6)]
			}
			return strings.Join(s, " ")
		}
		several, cut := 0, 0
		for range 2000 {
			text, pair := words(1+rng.IntN(60)), ""
			if rng.IntN(2) == 0 {
				pair = words(1 + rng.IntN(60))
			}
			most, windows := MinTokens+rng.IntN(30), 1+rng.IntN(6)
			var one, got Encoding
			tok.Encode(&one, text, pair, most)
			tok.EncodeWindows(&got, text, pair, most, windows)
			if got.Windows == nil {
				if !slices.Equal(got.IDs, one.IDs) || !slices.Equal(got.TypeIDs, one.TypeIDs) ||
					got.Truncated != one.Truncated {
					t.Fatalf("%s: one window: got %v, want %v", name, got, one)
				}
				if pair == "" && windows > 1 && got.Truncated {
					t.Fatalf("%s: cut off, though %d windows may be read", name, windows)
				}
				continue
			}
			several++
			if got.Truncated {
				cut++
			}
			if err := checkWindows(tok, got, text, pair, most, windows); err != nil {
				t.Fatalf("%s: %q, %q in %d windows of %d: %v", name, text, pair, windows, most, err)
			}
		}
		if several < 500 || cut < 100 || cut == several {
			t.Errorf("%s: %d texts of several windows, %d of them cut off: the test could not fail", name, several, cut)
		}
	}
}

func checkWindows(tok *Tokenizer, got Encoding, text, pair string, most, windows int) error {
	var first, long Encoding
	tok.Encode(&first, text, "", 0)
	head, kind := []int32{tok.cls}, int32(0)
	if tok.Encode(&long, text, "", 0); pair != "" {
		tok.Encode(&long, pair, "", 0)
		kind = tok.pairType()
		room := most - 3 - tok.secondSep()
		head = append(head, first.IDs[1:len(first.IDs)-1]...)
		head = head[:min(len(head), 1+room/2)]
		head = append(head, slices.Repeat([]int32{tok.sep}, 1+tok.secondSep())...)
	}
	rest, at := long.IDs[1:len(long.IDs)-1], 0
	if len(got.Windows) < 2 || len(got.Windows) > windows {
		return fmt.Errorf("got %d windows", len(got.Windows))
	}
	room := most - len(head) - 1
	for i, n := range got.Windows {
		ids, types := got.IDs[at:at+int(n)], got.TypeIDs[at:at+int(n)]
		at += int(n)
		part := rest[min(i*(room-room/8), len(rest)):]
		last := len(part) <= room
		part = part[:min(room, len(part))]
		if want := append(append(slices.Clone(head), part...), tok.sep); !slices.Equal(ids, want) {
			return fmt.Errorf("window %d: got %v, want %v", i, ids, want)
		}
		for j, k := range types {
			if want := kind * int32(min(1, max(0, j+1-len(head)))); k != want {
				return fmt.Errorf("window %d: got the types %v", i, types)
			}
		}
		if end := i == len(got.Windows)-1; last && !end || end && !last && (!got.Truncated || i+1 < windows) {
			return fmt.Errorf("got %d windows, cut off: %t; window %d is the last: %t", len(got.Windows), got.Truncated, i, last)
		}
	}
	if at != len(got.IDs) {
		return fmt.Errorf("%d of %d tokens are in windows", at, len(got.IDs))
	}
	return nil
}

// TestEmbedWindows: a text of several windows is the mean of its windows, each a text of its own,
// weighted by their tokens, also out of stems; texts beside it are as ever, to the bit.
func TestEmbedWindows(t *testing.T) {
	for _, m := range tinies {
		enc := openEncoder(t, m.writeF32(t))
		var long Encoding
		for _, w := range tinyTexts {
			long.IDs, long.TypeIDs = append(long.IDs, w.IDs...), append(long.TypeIDs, w.TypeIDs...)
			long.Windows = append(long.Windows, int32(len(w.IDs)))
		}
		texts := []Encoding{tinyTexts[2], long, tinyTexts[0]}
		as, taps := []*Adapter{newNaiveAdapter(m, 6, 1, true, true, true).flat(m, 1, true), nil}, []int{m.L - 1, m.L}
		pass := func(texts []Encoding, owner []int) (x, states []float32) {
			x, states = make([]float32, len(texts)*m.H), make([]float32, len(texts)*2*m.H)
			if err := enc.Embed(texts, owner, as, x, taps, states); err != nil {
				t.Fatal(err)
			}
			return x, states
		}
		x, states := pass(texts, []int{1, 0, 0})
		each, eachStates := pass(tinyTexts, []int{0, 0, 0})
		mean := func(got, of []float32) {
			t.Helper()
			width := len(of) / len(tinyTexts)
			for j, v := range got {
				want := 0.0
				for i, n := range long.Windows {
					want += float64(n) * float64(of[i*width+j]) / float64(len(long.IDs))
				}
				if off := math.Abs(float64(v) - want); !(off < 1e-6) {
					t.Fatalf("%+v: value %d is %g, want %g", m, j, v, want)
				}
			}
		}
		mean(x[m.H:2*m.H], each)
		mean(states[2*m.H:4*m.H], eachStates)
		first, _ := pass(tinyTexts[2:], []int{1})
		if !slices.Equal(x[:m.H], first) || !slices.Equal(x[2*m.H:], each[:m.H]) {
			t.Errorf("%+v: the texts beside it changed", m)
		}
		below, above, upper := make([]float32, 3*m.H), make([]float32, 3*m.H), make([]float32, 3*m.H)
		stems, err := enc.Stems(texts, m.L-1, taps[:1], below)
		if err == nil {
			err = enc.Upper(texts, stems, m.L-1, []int{1, 0, 0}, as, upper, taps[1:], above)
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range texts {
			got := slices.Concat(below[i*m.H:(i+1)*m.H], above[i*m.H:(i+1)*m.H])
			if !slices.Equal(got, states[2*i*m.H:2*(i+1)*m.H]) {
				t.Errorf("%+v: text %d has other states out of stems", m, i)
			}
		}
		if !slices.Equal(upper, x) {
			t.Errorf("%+v: other vectors out of stems", m)
		}
	}
}
