package sdk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/learner"
)

var labels = []string{"urgent", "later", "ignore"}

// tiny is the folder of a seeded encoder of 2 blocks and 32 dimensions: what is tested here is
// about profiles, not about English.
var tiny = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "xpeft-tiny-")
	if err != nil {
		return "", err
	}
	return dir, writeTiny(dir, 1)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := tiny(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

const tinyD = 32

func writeTiny(dir string, seed uint64) error {
	words := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	for c := 'a'; c <= 'z'; c++ {
		words = append(words, string(c), "##"+string(c))
	}
	for c := '0'; c <= '9'; c++ {
		words = append(words, string(c), "##"+string(c))
	}
	words = append(words, strings.Fields(
		"urgent later ignore server down database disk please review draft invoice free phone win discount")...)
	rng := rand.New(rand.NewPCG(seed, 0))
	var tensors []safetensors.Tensor
	add := func(name string, fill func() float64, shape ...int64) {
		n := int64(1)
		for _, s := range shape {
			n *= s
		}
		data := make([]byte, 0, 4*n)
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(fill())))
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, DType: "F32", Shape: shape, Data: data})
	}
	noise := func(std float64) func() float64 { return func() float64 { return std * rng.NormFloat64() } }
	linear := func(name string, rows, cols int64) {
		add(name+".weight", noise(0.2), rows, cols)
		add(name+".bias", noise(0.02), rows)
	}
	norm := func(name string) {
		add(name+".weight", func() float64 { return 1 }, tinyD)
		add(name+".bias", func() float64 { return 0 }, tinyD)
	}
	add("embeddings.word_embeddings.weight", noise(1), int64(len(words)), tinyD)
	add("embeddings.position_embeddings.weight", noise(0.1), 64, tinyD)
	add("embeddings.token_type_embeddings.weight", noise(0.1), 2, tinyD)
	norm("embeddings.LayerNorm")
	for l := range 2 {
		b := fmt.Sprintf("encoder.layer.%d.", l)
		for _, name := range []string{"attention.self.query", "attention.self.key", "attention.self.value",
			"attention.output.dense"} {
			linear(b+name, tinyD, tinyD)
		}
		norm(b + "attention.output.LayerNorm")
		linear(b+"intermediate.dense", 64, tinyD)
		linear(b+"output.dense", tinyD, 64)
		norm(b + "output.LayerNorm")
	}
	var weights bytes.Buffer
	config := fmt.Sprintf(
		`{"model_type":"bert","vocab_size":%d,"hidden_size":32,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":64,
		"max_position_embeddings":64,"type_vocab_size":2}`,
		len(words),
	)
	return errors.Join(os.MkdirAll(filepath.Join(dir, "1_Pooling"), 0o777), safetensors.Write(&weights, tensors, nil),
		os.WriteFile(filepath.Join(dir, "model.safetensors"), weights.Bytes(), 0o666),
		os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o666),
		os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(strings.Join(words, "\n")+"\n"), 0o666),
		os.WriteFile(filepath.Join(dir, "1_Pooling", "config.json"),
			[]byte(`{"word_embedding_dimension":32,"pooling_mode_mean_tokens":true}`), 0o666))
}

func tinyModel(t testing.TB) string {
	t.Helper()
	dir, err := tiny()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// small is a configuration over the tiny model.
func small(t testing.TB) Config {
	return Config{Model: tinyModel(t), Bank: RandomBank{N: 12, Seed: 3, Bottleneck: 4}, K: 4, Labels: labels,
		MaxTokens: 24, Masks: true, Options: &Options{Device: device(), Threads: 1}}
}

// device is where the tests' tensors are: the CPU, unless XPEFT_TEST_DEVICE says cuda.
func device() string { return os.Getenv("XPEFT_TEST_DEVICE") }

// create makes a store in a folder of its own.
func create(t testing.TB, c Config) *Folder {
	t.Helper()
	p, err := Create(context.Background(), filepath.Join(t.TempDir(), "store"), c)
	if errors.Is(err, ErrNoCUDA) && device() == "cuda" {
		t.Skip("no CUDA device here: skipping a GPU test")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeClean(t, p) })
	return p
}

func open(t testing.TB, dir string, o *Options) *Folder {
	t.Helper()
	p, err := Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeClean(t, p) })
	return p
}

// closeClean checks the whole store, closes p, and fails if a tensor is left. A p that the test
// closed is only looked at.
func closeClean(t testing.TB, p *Folder) {
	t.Helper()
	if rep, err := p.Check(context.Background(), &CheckOptions{Deep: true}); err != nil && !errors.Is(err, ErrClosed) {
		t.Errorf("check: %v %q", err, rep.Problems)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	checkFreed(t, p)
}

// checkFreed fails if libtorch has a tensor left of a closed p; the native engine has none.
func checkFreed(t testing.TB, p *Folder) {
	t.Helper()
	if e, counts := p.engine.(interface{ Live() int64 }); counts && e.Live() != 0 {
		t.Errorf("got %d live tensors after Close, want 0", e.Live())
	}
}

// trainsAll says whether adapters in all blocks of the tests' models can be trained: with libtorch.
func trainsAll(p *Folder) bool { return p.engine.Trains() >= p.encoder.Blocks() }

// quick learns in a few steps.
func quick() *LearnOptions {
	c := learner.Default()
	c.K, c.Epochs, c.Batch = 0, 2, 8
	return &LearnOptions{Config: &c}
}

// forced is quick, and installs whatever comes out.
func forced() *LearnOptions {
	o := quick()
	o.Force = true
	return o
}

func mustLearn(t testing.TB, p *Folder, id string, es []Example, o *LearnOptions) *Report {
	t.Helper()
	rep, err := p.Learn(context.Background(), id, es, o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func mustPredict(t testing.TB, p *Folder, id, text string, o ...PredictOptions) Prediction {
	t.Helper()
	out, err := p.Predict(context.Background(), id, text, &append(o, PredictOptions{})[0])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// texts are what each label's examples say.
var texts = map[string][]string{
	"urgent": {"the server is down", "production database unreachable", "the site returns errors for everyone",
		"disk is full on the main host"},
	"later": {"please review my draft", "can we plan the trip to the lake", "your invoice is attached",
		"the library book is due next month"},
	"ignore": {"win a free phone now", "celebrity couple splits up", "huge discount on shoes",
		"the home team lost again"},
}

// examples are n different ones; the label of a text is turn places after the one that it would
// have.
func examples(n, turn int) (out []Example) {
	for i := range n {
		l := labels[i%3]
		out = append(out, Example{Text: fmt.Sprintf("%s %d", texts[l][i/3%4], i), Label: labels[(i+turn)%3]})
	}
	return out
}

// numbers are examples of a length.
func numbers(n int) (out []Example) {
	for i := range n {
		out = append(
			out,
			Example{Text: strings.Repeat("a ", 1+i%10) + fmt.Sprint(i), Value: Number(100 + 10*float64(i%10))},
		)
	}
	return out
}

// near compares answers but for rounding.
func near(t testing.TB, what string, got, want Prediction) {
	t.Helper()
	if got.Label != want.Label || got.Source != want.Source || got.Revision != want.Revision ||
		distance(got, want) > 1e-5 {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

// distance is the largest difference of two answers' probabilities, or of their values.
func distance(a, b Prediction) float64 {
	if len(a.Probabilities) != len(b.Probabilities) {
		return math.Inf(1)
	}
	worst := math.Abs(valueOf(a)-valueOf(b)) / math.Max(1, math.Abs(valueOf(b)))
	for i, p := range a.Probabilities {
		if p.Label != b.Probabilities[i].Label {
			return math.Inf(1)
		}
		worst = math.Max(worst, math.Abs(float64(p.P-b.Probabilities[i].P)))
	}
	return worst
}

// valueOf is an answer's number, 0 of a head of labels.
func valueOf(p Prediction) float64 {
	if p.Value == nil {
		return 0
	}
	return *p.Value
}

// TestMainThread is the whole life of a profile, on the real weights.
func TestMainThread(t *testing.T) {
	ctx := context.Background()
	p := create(t, Config{Model: golden.Model(t), Bank: RandomBank{N: 24, Seed: 3}, Masks: true, Labels: labels,
		Options: &Options{Device: device()}})
	_, err := p.Predict(ctx, "alice", "hello", nil)
	wantError(t, "before Learn", err, ErrProfileNotFound)
	rep := mustLearn(t, p, "alice", examples(24, 0), quick())
	if rep.Revision != 1 || !rep.Installed || rep.Examples != 24 || rep.Steps != len(rep.Losses) {
		t.Errorf("got %+v, want revision 1 of 24 examples", rep)
	}
	out := mustPredict(t, p, "alice", "the database is down")
	if out.Label != "urgent" || out.Source != SourceProfile || out.Revision != 1 {
		t.Errorf("got %+v, want urgent from revision 1", out)
	}
	var b bytes.Buffer
	if n, err := p.Export(ctx, &b, nil); err != nil || n != 1 {
		t.Fatalf("export: got %d profiles and %v, want 1", n, err)
	}
	if err := p.Forget(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	_, err = p.Predict(ctx, "alice", "hello", nil)
	wantError(t, "after Forget", err, ErrProfileNotFound)
	if _, err := p.Import(ctx, &b, nil); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(out, mustPredict(t, p, "alice", "the database is down")); d != "" {
		t.Errorf("after Import (-want +got):\n%s", d)
	}
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}
