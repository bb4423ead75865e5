package learner

import (
	"context"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/model"
)

// benchLesson is 60 texts of 20 to 49 words over a bank of 256 adapters in the last block.
func benchLesson(b *testing.B) (Env, Job) {
	env := openEnv(b)
	p := bank.Properties{Origin: bank.Random, N: 256, Blocks: 1, Hidden: env.Encoder.Hidden(), Bottleneck: 24,
		NormB: true, Seed: 7,
		SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB}
	k, err := bank.NewRandom(p)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { k.Close() })
	env.Bank = k
	tok, err := model.LoadTokenizer(golden.Model(b))
	if err != nil {
		b.Fatal(err)
	}
	j := Job{Head: NewHead([]string{"a", "b", "c", "d"}, env.Encoder.Hidden(), false, 1)}
	words := strings.Fields("the price of a ripe apple and some iron rose by nine in May while all else fell")
	for i := range 60 {
		var e Example
		var text []string
		for k := range 20 + i%30 {
			text = append(text, words[(i*7+k*k)%len(words)])
		}
		tok.Encode(&e.Text, strings.Join(text, " "), "", 128)
		e.Class = i % 4
		j.Train = append(j.Train, e)
	}
	return env, j
}

// BenchmarkLearn is a person's 60 texts, and BenchmarkLearnMany 16 people's in joint steps.
func BenchmarkLearn(b *testing.B) {
	env, j := benchLesson(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Learn(context.Background(), env, j, LastBlocks()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLearnMany(b *testing.B) {
	env, j := benchLesson(b)
	jobs := make([]Job, 16)
	for i := range jobs {
		jobs[i] = j
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LearnMany(context.Background(), env, jobs, LastBlocks()); err != nil {
			b.Fatal(err)
		}
	}
}
