package sdk

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// warm writes a bank file for an encoder of some blocks and d=32.
func warm(t testing.TB, blocks, bottleneck int, seed uint64) WarmBank {
	return bankFile(t, bank.Properties{N: 8, Blocks: blocks, Bottleneck: bottleneck, NormB: true}, seed)
}

// pfeiffer is a bank as it is imported from AdapterHub: ReLU, biases, no LN_b.
func pfeiffer(t testing.TB) WarmBank {
	return bankFile(t, bank.Properties{N: 8, Blocks: 2, Bottleneck: 4, Activation: bank.ReLU, Bias: true}, 6)
}

func bankFile(t testing.TB, p bank.Properties, seed uint64) WarmBank {
	p.Hidden = tinyD
	return bankOver(t, p, seed)
}

// bankOver is bankFile for an encoder of any size.
func bankOver(t testing.TB, p bank.Properties, seed uint64) WarmBank {
	t.Helper()
	p.Origin = bank.Warm
	random := bank.Properties{Origin: bank.Random, N: p.N, Blocks: p.Blocks, Hidden: p.Hidden, Bottleneck: p.Bottleneck,
		NormB: true, Seed: seed, SigmaA: 0.3, SigmaB: 0.3}
	path := filepath.Join(t.TempDir(), "warm.bank")
	_, err := bank.WriteFile(context.Background(), path, p, nil,
		func(side bank.Side, block, adapter int) (row, bias []float32, err error) {
			row = make([]float32, random.Elems())
			if p.Bias {
				bias = make([]float32, p.BiasElems(side))
				bias[0] = 0.1
			}
			return row, bias, random.Generate(side, block, adapter, row)
		})
	if err != nil {
		t.Fatal(err)
	}
	return WarmBank{path}
}

func TestConfigFaults(t *testing.T) {
	_, err := Create(context.Background(), t.TempDir(), Config{
		Bank: RandomBank{N: -1}, K: -2, MaxTokens: -3,
		Labels: []string{"a", "a", "", "\x01b", "\xff", strings.Repeat("x", 300)}, Options: &Options{ReadOnly: true}})
	wantError(t, "Create", err, ErrConfig)
	for _, want := range []string{"Model", "N=-1", "K=-2", "MaxTokens=-3", `"a"`, `""`, `\x01`, `\xff`, `"xxx`,
		"ReadOnly"} {
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
	_, err = Create(
		context.Background(),
		t.TempDir(),
		Config{Model: "m", Labels: []string{"one"}, Bank: &RandomBank{N: 4}},
	)
	if wantError(t, "Create", err, ErrConfig); err != nil &&
		(!strings.Contains(err.Error(), "1 labels") || !strings.Contains(err.Error(), "*sdk.RandomBank")) {
		t.Errorf("got %v, want it to name the labels and the bank's type", err)
	}
	_, err = Open(
		context.Background(),
		t.TempDir(),
		&Options{Device: "tpu", Workers: -1, Threads: -1, Learns: -1, CacheBytes: -1,
			Timeout: -1},
	)
	wantError(t, "Open", err, ErrConfig)
	for _, want := range []string{"tpu", "Workers", "Threads", "Learns", "CacheBytes", "Timeout"} {
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
}

func TestCreateDefaults(t *testing.T) {
	c := small(t)
	c.Bank, c.K, c.MaxTokens = nil, 0, 0
	p := create(t, c)
	b, err := p.bank(1)
	if err != nil {
		t.Fatal(err)
	}
	if q := b.Properties(); q.N != 150 || q.Seed != 42 || q.Bottleneck != 2 || p.k != 50 || p.maxTokens != 64 {
		t.Errorf("got N=%d, seed %d, b=%d, K=%d, %d tokens, want 150, 42, 2, 50, 64", q.N, q.Seed, q.Bottleneck, p.k,
			p.maxTokens)
	}
	c = small(t)
	c.Bank, c.K = warm(t, 2, 4, 1), 0
	if p := create(t, c); p.k != 3 {
		t.Errorf("got K=%d for a bank of 8, want 3", p.k)
	}
}

// TestCreateFails says that a Create that fails leaves neither files nor engine threads.
func TestCreateFails(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage.bank")
	if err := os.WriteFile(garbage, []byte("not a bank"), 0o666); err != nil {
		t.Fatal(err)
	}
	other := warm(t, 3, 4, 1)
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   error
	}{
		{"K over N", func(c *Config) { c.K = 13 }, ErrConfig},
		{"K over a warm bank's N", func(c *Config) { c.Bank, c.K = warm(t, 2, 4, 1), 9 }, ErrConfig},
		{"bank of another encoder", func(c *Config) { c.Bank = other }, ErrMismatch},
		{"damaged bank", func(c *Config) { c.Bank = WarmBank{garbage} }, ErrCorrupt},
		{"no bank", func(c *Config) { c.Bank = WarmBank{garbage + "?"} }, fs.ErrNotExist},
		{"bank too large", func(c *Config) { c.Bank = RandomBank{N: 65_536, Bottleneck: 4096} }, ErrLimit},
		{"tokens over the model's", func(c *Config) { c.MaxTokens = 65 }, ErrConfig},
		{"too few tokens", func(c *Config) { c.MaxTokens = 4 }, ErrConfig},
		{"no model", func(c *Config) { c.Model = t.TempDir() }, fs.ErrNotExist},
		{"no such kernel", func(c *Config) { c.Options = &Options{Kernel: "sse9"} }, ErrConfig},
		{"no CUDA", func(c *Config) { c.Options = &Options{Device: "cuda"} }, ErrNoCUDA},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == ErrNoCUDA && os.Getenv("XPEFT_TEST_DEVICE") == "cuda" {
				t.Skip("CUDA is here")
			}
			threads := runtime.NumGoroutine()
			config, dir := small(t), filepath.Join(t.TempDir(), "store")
			c.change(&config)
			_, err := Create(context.Background(), dir, config)
			wantError(t, "Create", err, c.want)
			if _, err := os.Lstat(dir); !os.IsNotExist(err) {
				t.Errorf("got a folder (%v), want none", err)
			}
			_, err = Open(context.Background(), dir, nil)
			wantError(t, "Open", err, fs.ErrNotExist)
			waitGoroutines(t, threads)
		})
	}
}

// waitGoroutines fails unless there are soon no more goroutines than there were.
func waitGoroutines(t testing.TB, want int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("got %d goroutines, want %d:\n%s", runtime.NumGoroutine(), want, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestCreateTwice(t *testing.T) {
	dir := t.TempDir()
	var (
		wg   sync.WaitGroup
		won  = make(chan *Folder, 4)
		conf = small(t)
	)
	conf.Bank = warm(t, 2, 4, 1)
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p, err := Create(context.Background(), dir, conf)
			if err != nil {
				wantError(t, "Create", err, ErrExists)
				return
			}
			won <- p
		}()
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("got %d stores, want 1", len(won))
	}
	p := <-won
	t.Cleanup(func() { closeClean(t, p) })
	mustLearn(t, p, "alice", examples(12, 0), quick())
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("got %q (%v) left behind, want nothing", left, err)
	}
}

func mustInfo(t testing.TB, p bank.Properties) store.BankInfo {
	t.Helper()
	info, err := folder.RandomInfo(p)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
