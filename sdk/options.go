//go:build cgo

package sdk

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Config of a new store. Model, Bank and Labels say what it is bound to for its life.
type Config struct {
	Model     string   // folder of a BERT checkpoint in Hugging Face's layout
	Bank      Bank     // RandomBank or WarmBank; default RandomBank{N: 150, Seed: 42}
	K         int      // adapters averaged in each row; default min(50, ⌈N/3⌉)
	Labels    []string // of the first shared head, which is made from their names; 2 at least
	MaxTokens int      // longest text in tokens, [CLS] and [SEP] included; default 128
	Options   *Options // of the opened store
}

// Bank says which bank a new store gets.
type Bank interface{ isBank() }

// RandomBank is N untrained adapters made from a seed: a strong default, from day 0, that takes no space on disk.
type RandomBank struct {
	N          int
	Seed       uint64
	Bottleneck int // b; default d/16
}

// WarmBank is a bank file: adapters trained on earlier profiles, or imported. It is copied into the store's folder.
type WarmBank struct{ Path string }

func (RandomBank) isBank() {}
func (WarmBank) isBank()   {}

// Options of an open store. Nil, and every zero field, means the default.
type Options struct {
	Device     string        // cpu, cuda (ErrNoCUDA where there is none) or auto; default cpu
	Workers    int           // forward passes at once; default 2
	Threads    int           // threads of one forward pass; default the number of CPUs
	Learns     int           // Learns at once; default 1, at most Workers
	CacheBytes int64         // of folded adapters; default 256 MiB
	Timeout    time.Duration // to wait for another process's lock before ErrLocked; default 1 s
	Model      string        // where the model is, if it moved since Create
	ReadOnly   bool          // predict, export and list only
	Verify     bool          // read model and bank whole and compare their SHA-256 (0.5 s for 90 MB); without it, sizes and checksums at first use
	Logger     *slog.Logger  // default: silence
}

func (c Config) validate() error {
	var faults []string
	if c.Model == "" {
		faults = append(faults, "Model is empty")
	}
	if len(c.Labels) < 2 {
		faults = append(faults, fmt.Sprintf("%d labels, want 2 or more", len(c.Labels)))
	}
	faults = append(faults, labelFaults(c.Labels)...)
	if b, ok := c.Bank.(RandomBank); ok && (b.N < 1 || b.N > 65_536 || b.Bottleneck < 0) {
		faults = append(faults, fmt.Sprintf("a random bank of N=%d, b=%d", b.N, b.Bottleneck))
	}
	if c.K < 0 || c.MaxTokens < 0 {
		faults = append(faults, fmt.Sprintf("K=%d, MaxTokens=%d", c.K, c.MaxTokens))
	}
	return configError(faults)
}

func (c Config) withDefaults(m model.Config) Config {
	if c.Bank == nil {
		c.Bank = RandomBank{N: 150, Seed: 42}
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = min(128, m.MaxPositionEmbeddings)
	}
	if c.K == 0 {
		n := bankSize(c.Bank)
		c.K = min(50, (n+2)/3)
	}
	return c
}

// bankSize is N; 0 of a file that cannot be read, which is an error soon.
func bankSize(b Bank) int {
	switch b := b.(type) {
	case RandomBank:
		return b.N
	case WarmBank:
		if f, err := bank.OpenFile(b.Path); err == nil {
			defer f.Close()
			return f.Properties().N
		}
	}
	return 0
}

func labelFaults(labels []string) (faults []string) {
	if len(labels) > model.MaxLabels {
		faults = append(faults, fmt.Sprintf("%d labels, want at most %d", len(labels), model.MaxLabels))
	}
	seen := map[string]bool{}
	for _, l := range labels {
		if l == "" || len(l) > model.MaxLabelBytes || seen[l] {
			faults = append(faults, fmt.Sprintf("label %.40q is empty, too long or there twice", l))
		}
		seen[l] = true
	}
	return faults
}

func configError(faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrConfig, strings.Join(faults, "; "))
}

// withDefaults copies, fills in and validates.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	var faults []string
	for _, v := range []struct {
		name string
		n    int64
	}{{"Workers", int64(c.Workers)}, {"Threads", int64(c.Threads)}, {"Learns", int64(c.Learns)}, {"CacheBytes", c.CacheBytes}, {"Timeout", int64(c.Timeout)}} {
		if v.n < 0 {
			faults = append(faults, fmt.Sprintf("%s is %d", v.name, v.n))
		}
	}
	switch c.Device {
	case "", "cpu", "cuda", "auto":
	default:
		faults = append(faults, fmt.Sprintf("Device %q is none of cpu, cuda, auto", c.Device))
	}
	c.Device = orDefault(c.Device, "cpu")
	c.Workers = orDefault(c.Workers, 2)
	c.Threads = orDefault(c.Threads, runtime.NumCPU())
	c.Learns = min(orDefault(c.Learns, 1), c.Workers)
	c.CacheBytes = orDefault(c.CacheBytes, 256<<20)
	c.Timeout = orDefault(c.Timeout, time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, configError(faults)
}

func (o Options) store() *store.Options {
	return &store.Options{Timeout: o.Timeout, ReadOnly: o.ReadOnly, Logger: o.Logger}
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
