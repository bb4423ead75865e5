package sdk

import (
	"cmp"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Config of a new folder. Model, Bank and Labels say what it is bound to for its life.
type Config struct {
	Model  string   // folder of a BERT checkpoint in Hugging Face's layout; may be empty with Options.ModelFS
	Bank   Bank     // a RandomBank or a WarmBank; default RandomBank{N: 150, Seed: 42}
	K      int      // adapters averaged in each row; default min(50, ⌈N/3⌉)
	Labels []string // of the first shared head, which is made from their names; 2 at least
	// profiles are masks over the bank, as in the paper, and no codes of digits; so they are over a
	// WarmBank
	Masks bool
	// longest text in tokens, [CLS] and [SEP] included; default: what the model's folder says, 256
	// at most, 128 if it does not
	MaxTokens int
	// windows of MaxTokens that a longer text is read in, MaxWindows at most: what is seen of it is
	// the mean of its windows. 0 or 1, the default: what one does not hold is cut off
	Windows int
	// Multi makes labels not exclusive: a text may have several, or none. Examples have Labels, and
	// so have answers; each label is learned and answered by itself, by a sigmoid. Profiles are
	// then digits, and what compares labels, or people, is ErrUnsupported (docs/learning.md).
	Multi bool
	// Thresholds say from which probability on single labels of a Multi folder are given, by label,
	// above 0 and below 1; the others are from 0.5 on. They stay with the folder; PredictOptions
	// say others for one answer. An invalid one is ErrConfig, of no such label ErrUnknownLabel.
	Thresholds map[string]float64
	Options    *Options // of the opened folder

	// Report, if it is set, is called before Create returns.
	Report func(CreateReport)
}

// Bank says which bank a new folder gets.
type Bank interface{ isBank() }

// RandomBank is N untrained adapters made from a seed: a strong default, from day 0, that takes no
// space on disk.
type RandomBank struct {
	N          int // default 150
	Seed       uint64
	Bottleneck int // b; default d/16
	// the model's last ones, which get adapters; default all. Fewer make smaller profiles, and what
	// is below is computed once an example
	Blocks int
}

// WarmBank is a bank file: adapters trained on earlier profiles, or imported. It is copied into the
// folder.
type WarmBank struct{ Path string }

func (RandomBank) isBank() {}
func (WarmBank) isBank()   {}

// Options of an open folder. Nil, and every zero field, means the default.
type Options struct {
	// cpu, cuda or auto, cuda where there is one; cuda is ErrNoCUDA where there is none, or built
	// without -tags torch; default auto with that tag, else cpu
	Device string
	// what computes the model's passes on a CPU: amx, avx512, avx2 or portable (in Go); default:
	// the fastest that runs here. One that does not is ErrNoKernel
	Kernel string
	// forward passes at once, of one thread each, or of more while fewer passes run, as many
	// together; default runtime.GOMAXPROCS(0), 2 at least; on cuda 2
	Workers int
	// threads that trainings may use, of which they leave to Predict what it needs; default
	// runtime.GOMAXPROCS(0)
	Threads int
	Learns  int // Learns at once; default 1; more than Workers means Workers
	// tokens that one forward pass takes from the calls that wait, padding included; default 512,
	// on cuda 16,384
	PassTokens int
	// how long a text waits for others to share its pass while a worker is free; default 0: texts
	// gather only while all workers are busy
	Gather time.Duration
	// of folded digits and adapters, and of the keys of stored texts, at most an eighth; default
	// 256 MiB
	CacheBytes int64
	Timeout    time.Duration // to wait for another process's lock before ErrLocked; default 1 s
	Model      string        // where the model is, if it moved since Create
	// the model's files out of another place, as of embed.FS: then no folder is read, neither Model
	// nor the one that Create was given
	ModelFS fs.FS
	// an open model that folders share, instead of one of this folder's own: see OpenModel. Device,
	// Kernel, Precision, Model and ModelFS must then be empty; the model has them
	Encoder  *Model
	ReadOnly bool // predict, export and list only; several processes may, side by side
	// compare the SHA-256 of the model and of each bank that is used (0.5 s for 90 MB); without it,
	// the CRCs of the weights at Open and of adapters at first use
	Verify bool
	// ask the model about stored texts too: by default one that is no rejection is answered with
	// its label (SourceTaught)
	NoTaught bool
	Logger   *slog.Logger // default: silence
	Trace    Tracer       // hears of operations as they run; default: nobody does, and that costs nothing
	Limits   Limits       // of what callers and bundles bring
	// of addresses, not of memory, that xpeft.db is mapped at, so that no Predict waits for a
	// Backup when it grows; default 4 GiB, or 4 times the file if that is more
	Reserve int64

	// Precision is what the passes of Predict, Rank and Embed are computed in on a CPU: float32;
	// bfloat16 (a kernel with AMX) or int16 (one with VNNI), whose answers are as good; int8, which
	// is faster and changes some; or auto, the first of bfloat16 and int16 that the kernel has.
	// Where it lacks what is asked for, float32 serves, and Stats says so. Learning is always in
	// float32. Default float32.
	Precision string

	// MasterKey, store.MasterKeySize (32) random bytes, makes Create encrypt what is stored of
	// profiles, each under a key of its own that Forget destroys; Open then needs it too, and
	// without it, or with another, is ErrKey. Keep it outside of the folder. Default: nothing is
	// encrypted.
	MasterKey []byte

	// ExampleAge is how long a stored example is used: an older one is not read any more, and
	// erased when its profile is next written to, or by ExpireExamples. Default: for ever.
	ExampleAge time.Duration
	// Private are prefixes of ids: profiles under them are kept out of what is made of many, as by
	// SetPrivate.
	Private []string

	// ObserveEvery is how many new examples of a profile Observe collects before it teaches them in
	// the background; default 8, at least 4 but of the first few where TrainBank has found axes or
	// biases.
	ObserveEvery int
	// NoBackground makes Observe store examples, and learn none of them: Learn and LearnWaiting do,
	// when they are called. For folders whose profiles may learn elsewhere. Default: Observe
	// learns.
	NoBackground bool
	// BankEvery is how many profiles must have learned since the last TrainBank until it runs in
	// the background, in a folder of digits; 0, the default: never. Stats.Bank says how it ended.
	BankEvery int
	// BankOptions are those of the TrainBanks in the background; nil: the defaults.
	BankOptions *TrainBankOptions
	// OnLearned is called after each background learning, in its goroutine: the next one waits for
	// it, and so does Close. It must not call Close or Drain. No call waits for it that a panic
	// could be raised in: one ends the process, as in any goroutine.
	OnLearned func(id string, rep *Report, err error)

	moving bool          // by Move
	texts  *folder.Texts // which texts are one in this folder
	// windows of a text, of the folder's meta
	windows int
	multi   bool // labels are not exclusive, of the folder's meta
	// from which probability on a label is given, of the folder's meta; 0.5 of the others
	thresholds map[string]float64
}

func (c Config) validate() error {
	var faults []string
	switch named := c.Options != nil && (c.Options.ModelFS != nil || c.Options.Encoder != nil); {
	case c.Model == "" && !named:
		faults = append(faults, "Model is empty")
	case c.Model != "" && c.Options != nil && c.Options.Encoder != nil:
		faults = append(faults, "Model beside Options.Encoder, which is one")
	}
	if len(c.Labels) < 2 {
		faults = append(faults, fmt.Sprintf("%d labels, want 2 or more", len(c.Labels)))
	}
	faults = append(faults, labelFaults(c.Labels)...)
	switch b := c.Bank.(type) {
	case RandomBank:
		if b.N < 0 || b.N > bank.MaxAdapters || b.Bottleneck < 0 || b.Bottleneck > bank.MaxBottleneck || b.Blocks < 0 {
			faults = append(faults, fmt.Sprintf("a random bank of N=%d, b=%d in %d blocks", b.N, b.Bottleneck,
				b.Blocks))
		}
	case WarmBank:
		if b.Path == "" {
			faults = append(faults, "the path of the warm bank is empty")
		}
	case nil:
	default:
		faults = append(faults, fmt.Sprintf("a bank of type %T", c.Bank))
	}
	if c.K < 0 || c.MaxTokens < 0 {
		faults = append(faults, fmt.Sprintf("K=%d, MaxTokens=%d", c.K, c.MaxTokens))
	}
	if c.Windows < 0 || c.Windows > MaxWindows {
		faults = append(faults, fmt.Sprintf("%d windows, want at most %d", c.Windows, MaxWindows))
	}
	if _, warm := c.Bank.(WarmBank); c.Multi && (c.Masks || warm) {
		return errMulti("a profile of masks")
	}
	if c.Options != nil && c.Options.ReadOnly {
		faults = append(faults, "ReadOnly: a new folder is written to")
	}
	return configError(faults)
}

// withDefaults fills in what the model and the bank decide, and checks what they limit.
func (c Config) withDefaults(m model.Config, t *model.Tokenizer) (Config, error) {
	if c.Bank == nil {
		c.Bank = RandomBank{Seed: defaultSeed}
	}
	if b, ok := c.Bank.(RandomBank); ok && b.N == 0 {
		b.N = defaultN
		c.Bank = b
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = t.DefaultMaxTokens(m)
	}
	if err := m.ValidateMaxTokens(c.MaxTokens); err != nil {
		return c, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	n, err := bankSize(c.Bank)
	if err != nil {
		return c, err
	}
	if c.K == 0 {
		c.K = defaultK(n)
	}
	if c.K > n {
		return c, fmt.Errorf("%w: K=%d of a bank of N=%d", ErrConfig, c.K, n)
	}
	return c, nil
}

// What Create makes a bank and a K of by default.
const (
	defaultN    = 150
	defaultSeed = 42
)

// defaultK is how many of n adapters a row averages.
func defaultK(n int) int { return min(50, (n+2)/3) }

// bankSize is N.
func bankSize(b Bank) (int, error) {
	w, ok := b.(WarmBank)
	if !ok {
		return b.(RandomBank).N, nil
	}
	f, err := bank.OpenFile(w.Path)
	if err != nil {
		return 0, corrupt(w.Path, err)
	}
	defer f.Close()
	return f.Properties().N, nil
}

func labelFaults(labels []string) (faults []string) {
	if len(labels) > model.MaxLabels {
		faults = append(faults, fmt.Sprintf("%d labels, want at most %d", len(labels), model.MaxLabels))
	}
	seen := map[string]string{}
	for _, given := range labels {
		l := model.CleanLabel(given)
		switch twin, twice := seen[l]; {
		case !utf8.ValidString(given) || folder.Reserved(l):
			faults = append(faults, fmt.Sprintf("label %.40q is not UTF-8 or begins with a control byte", given))
		case !visible(l):
			faults = append(faults, fmt.Sprintf("label %.40q shows nothing", given))
		case len(l) > model.MaxLabelBytes:
			faults = append(faults, fmt.Sprintf("label %.40q has %d bytes, want at most %d", given, len(l),
				model.MaxLabelBytes))
		case twice:
			faults = append(faults, fmt.Sprintf("labels %.40q and %.40q are the same", twin, given))
		}
		seen[l] = given
	}
	return faults
}

// cleanLabels are labels as they are kept.
func cleanLabels(labels []string) []string {
	if labels == nil {
		return nil
	}
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = model.CleanLabel(l)
	}
	return out
}

func configError(faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrConfig, strings.Join(faults, "; "))
}

// withDefaults copies, fills in and validates.
func (o *Options) withDefaults() (Options, error) {
	c := *cmp.Or(o, &Options{})
	var faults []string
	for _, v := range []struct {
		name string
		n    int64
	}{{"Workers", int64(c.Workers)}, {"Threads", int64(c.Threads)}, {"Learns", int64(c.Learns)},
		{"CacheBytes", c.CacheBytes}, {"PassTokens", int64(c.PassTokens)}, {"Gather", int64(c.Gather)},
		{"ObserveEvery", int64(c.ObserveEvery)}, {"BankEvery", int64(c.BankEvery)}, {"Timeout", int64(c.Timeout)},
		{"ExampleAge", int64(c.ExampleAge)}, {"Reserve", c.Reserve}} {
		if v.n < 0 {
			faults = append(faults, fmt.Sprintf("%s is %d", v.name, v.n))
		}
	}
	faults = append(faults, c.Limits.setDefaults()...)
	switch c.Device {
	case "", deviceCPU, deviceCUDA, deviceAuto:
	default:
		faults = append(faults, fmt.Sprintf("Device %q is none of cpu, cuda, auto", c.Device))
	}
	if !model.KnownKernel(c.Kernel) {
		faults = append(faults, fmt.Sprintf("Kernel %q is none of amx, avx512, avx2, portable", c.Kernel))
	}
	if err := model.CheckPrecision(c.Precision); err != nil {
		faults = append(faults, fmt.Sprint("Precision: ", err))
	}
	if c.Encoder != nil && (c.Device+c.Kernel+c.Precision+c.Model != "" || c.ModelFS != nil) {
		faults = append(faults, "Device, Kernel, Precision, Model or ModelFS beside Encoder, which has its own")
	}
	c.texts, c.Private = &folder.Texts{}, slices.Clone(c.Private)
	if slices.Contains(c.Private, "") {
		faults = append(faults, "a Private prefix is empty: that would be all profiles")
	}
	if _, err := c.BankOptions.teachers(); err != nil {
		faults = append(faults, fmt.Sprint("BankOptions: ", err))
	}
	c.Threads = cmp.Or(c.Threads, runtime.GOMAXPROCS(0))
	c.CacheBytes = cmp.Or(c.CacheBytes, 256<<20)
	c.Timeout = cmp.Or(c.Timeout, time.Second)
	c.ObserveEvery = cmp.Or(c.ObserveEvery, 8)
	if n := len(c.MasterKey); c.MasterKey != nil && n != store.MasterKeySize {
		faults = append(faults, fmt.Sprintf("MasterKey has %d bytes, want %d", n, store.MasterKeySize))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, configError(faults)
}

// The devices that an engine may be on.
const (
	deviceCPU  = "cpu"
	deviceCUDA = "cuda"
	deviceAuto = "auto"
)

// on fills in what depends on the device: a GPU takes few passes at once, and large ones.
func (o Options) on(device string) Options {
	workers, tokens := max(2, runtime.GOMAXPROCS(0)), 512
	if device != deviceCPU {
		workers, tokens = 2, 16<<10
	}
	o.Workers, o.PassTokens = cmp.Or(o.Workers, workers), cmp.Or(o.PassTokens, tokens)
	o.Learns = min(cmp.Or(o.Learns, 1), o.Workers)
	return o
}
