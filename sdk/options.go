package sdk

import (
	"log/slog"
	"time"
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
