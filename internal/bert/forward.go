package bert

import (
	"fmt"
	"math"
	"runtime"
)

// Adapter is one folded adapter of the encoder's last Blocks blocks. What it does not have is nil.
// With Targets it is a LoRA: the first of equal parts of Down's columns and of Up's rows are the
// first target's. Its terms are in float32, whatever the blocks' layers are computed in.
type Adapter struct {
	Blocks, Bottleneck int
	Down, Up           []float32 // [Blocks,d,b] and [Blocks,b,d]
	DownBias, UpBias   []float32 // [Blocks,b] and [Blocks,d]
	Norm               []float32 // LN_b's affine, [Blocks,2,b]
	Targets            int       // of a LoRA: bits for query, key and value; 0: it is none
	ReLU               bool      // else the identity
	Eps                float32   // LN_b's
}

// Batch is texts that lie one after another.
type Batch struct {
	IDs, Types []int32 // [tokens]: within the vocabulary and the types, which the caller checks
	Lengths    []int32 // [texts], each from 1 to the number of positions
	Owners     []int32 // [texts]: which adapter a text has, -1 for none; nil for none at all
}

// Pooling says how the states of a text's tokens become one vector.
type Pooling int

const (
	Mean   Pooling = iota // of all tokens
	First                 // [CLS]
	Pooler                // tanh of the pooler's layer over the first
)

// Embed writes one vector a text to x [texts,d]. Cost: on one core, 0.25 ms a token of MiniLM-L6.
// pooled [texts,len(taps),d] gets the mean of each text's states after some blocks on the way:
// taps, ascending, 0 for the embeddings. It panics on parts that do not fit together.
func (m *Model) Embed(b Batch, adapters []Adapter, how Pooling, x []float32, taps []int32, pooled []float32) {
	defer runtime.KeepAlive(m)
	longest, n := b.check(len(adapters))
	b.checkIDs(n)
	if len(x) != len(b.Lengths)*m.hidden || len(pooled) != len(taps)*len(x) {
		panic(fmt.Sprintf("bert: %d values and %d of %d taps for %d texts", len(x), len(pooled), len(taps),
			len(b.Lengths)))
	}
	m.checkTaps(taps)
	states, memory := m.run(b, longest, n, adapters, -1, m.blocks, nil, taps, pooled)
	defer m.give(memory)
	m.vectors(b.Lengths, states, how, x)
}

// Stems writes r = f + a of block from, [tokens,d], of bare blocks below: what no adapter in block
// from or above changes. b.Owners is not read. pooled is that of Embed, of taps up to from.
func (m *Model) Stems(b Batch, from int, r []float32, taps []int32, pooled []float32) {
	defer runtime.KeepAlive(m)
	b.Owners = nil
	longest, n := b.check(0)
	b.checkIDs(n)
	m.checkStems(from, n, r)
	m.checkPart(taps, 0, from, len(b.Lengths), pooled)
	states, memory := m.run(b, longest, n, nil, -1, from, nil, taps, pooled)
	defer m.give(memory)
	copy(r, states)
}

// Upper is the rest of the pass out of r, which it leaves alone: block from's adapter, the blocks
// above, pooling. b.IDs and b.Types are not read. Where no adapter begins below block from, the
// vectors are Embed's to the bit, and so are those in pooled, of taps above from.
func (m *Model) Upper(b Batch, from int, r []float32, adapters []Adapter, how Pooling, x []float32, taps []int32,
	pooled []float32) {
	defer runtime.KeepAlive(m)
	longest, n := b.check(len(adapters))
	m.checkStems(from, n, r)
	if len(x) != len(b.Lengths)*m.hidden {
		panic(fmt.Sprintf("bert: %d values for %d texts", len(x), len(b.Lengths)))
	}
	m.checkPart(taps, from+1, m.blocks, len(b.Lengths), pooled)
	states, memory := m.run(b, longest, n, adapters, from, m.blocks, r, taps, pooled)
	defer m.give(memory)
	m.vectors(b.Lengths, states, how, x)
}

func (b Batch) check(adapters int) (longest, tokens int) {
	if b.Owners != nil && len(b.Owners) != len(b.Lengths) {
		panic(fmt.Sprintf("bert: %d owners of %d texts", len(b.Owners), len(b.Lengths)))
	}
	for i, n := range b.Lengths {
		if n < 1 {
			panic(fmt.Sprintf("bert: text %d has %d tokens", i, n))
		}
		longest, tokens = max(longest, int(n)), tokens+int(n)
	}
	for i, o := range b.Owners {
		if o < -1 || int(o) >= adapters {
			panic(fmt.Sprintf("bert: text %d has adapter %d of %d", i, o, adapters))
		}
	}
	if tokens == 0 {
		panic("bert: no texts")
	}
	return longest, tokens
}

func (b Batch) checkIDs(tokens int) {
	if len(b.IDs) != tokens || len(b.Types) != tokens {
		panic(fmt.Sprintf("bert: %d tokens with %d ids, %d types", tokens, len(b.IDs), len(b.Types)))
	}
}

// checkTaps wants them ascending: the pass goes through the blocks once.
func (m *Model) checkTaps(taps []int32) {
	for i, l := range taps {
		if l < 0 || int(l) > m.blocks || i > 0 && l <= taps[i-1] {
			panic(fmt.Sprintf("bert: taps %v of %d blocks", taps, m.blocks))
		}
	}
}

// checkPart wants the taps of a part of the pass within it.
func (m *Model) checkPart(taps []int32, first, last, texts int, pooled []float32) {
	m.checkTaps(taps)
	if len(pooled) != len(taps)*texts*m.hidden || len(taps) > 0 &&
		(int(taps[0]) < first || int(taps[len(taps)-1]) > last) {
		panic(fmt.Sprintf("bert: %d values of taps %v of %d texts, want blocks %d to %d", len(pooled), taps, texts,
			first, last))
	}
}

func (m *Model) checkStems(from, tokens int, r []float32) {
	if from < 0 || from >= m.blocks || len(r) != tokens*m.hidden {
		panic(fmt.Sprintf("bert: %d values of %d tokens, block %d of %d", len(r), tokens, from, m.blocks))
	}
}

// run makes the states of a pass that begins with r, in memory to give back.
func (m *Model) run(b Batch, longest, tokens int, adapters []Adapter, start, stop int, r []float32, taps []int32,
	pooled []float32) (states, memory []float32) {
	threads, t := 1, team(nil)
	if m.Crew != nil {
		most := 1
		if m.shares() {
			most = 1 + tokens/fewTokens
		}
		t = m.Crew.enter(1, most, m.team)
		defer func() { m.Crew.leave(1, t) }()
	}
	if t != nil {
		threads = t.threads()
	}
	states, scratch, memory := m.begin(tokens, longest, adapters, threads)
	copy(states, r)
	m.forward(b, adapters, start, stop, taps, states, pooled, scratch, t)
	return states, memory
}

// begin gives a pass its memory: the states, and what its path needs.
func (m *Model) begin(tokens, longest int, adapters []Adapter, threads int) (states, scratch, memory []float32) {
	bottleneck := 0
	for _, a := range adapters {
		bottleneck = max(bottleneck, a.Bottleneck)
	}
	n := tokens * m.hidden
	memory = m.take(n + m.floats(tokens, longest, bottleneck, threads))
	return memory[:n], memory[n:], memory
}

// take gives a pass its memory, which it gives back: there is a buffer for each pass that ever ran
// at once. Fresh ones would be paged in again and again.
func (m *Model) take(n int) []float32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := len(m.scratch) - 1; last >= 0 {
		s := m.scratch[last]
		m.scratch = m.scratch[:last]
		if cap(s) >= n {
			return s[:n]
		}
	}
	return make([]float32, n, n+n/4)
}

func (m *Model) give(s []float32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scratch = append(m.scratch, s)
}

// vectors takes states y [tokens,d] to x [texts,d].
func (m *Model) vectors(lengths []int32, y []float32, how Pooling, x []float32) {
	if how == Mean {
		m.mean(y, lengths, x)
		return
	}
	d := m.hidden
	for i, n := range lengths {
		copy(x[i*d:][:d], y[:d])
		y = y[int(n)*d:]
	}
	if how != Pooler {
		return
	}
	z := make([]float32, len(x))
	m.pool(x, len(lengths), z)
	for i, v := range z {
		x[i] = float32(math.Tanh(float64(v)))
	}
}
