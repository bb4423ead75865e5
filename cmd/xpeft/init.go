package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// created is a new folder.
type created struct {
	Dir       string   `json:"dir"`
	Model     string   `json:"model"`
	Encoder   string   `json:"encoder"`
	Tokenizer string   `json:"tokenizer"`
	MaxTokens int      `json:"max_tokens"`
	Windows   int      `json:"windows"` // of a text
	Labels    []string `json:"labels"`
	Multi     bool     `json:"multi"` // they are not exclusive
	Bank      string   `json:"bank"`
	Origin    string   `json:"origin"`
	N         int      `json:"n"`
	K         int      `json:"k"`
	Blocks    int      `json:"blocks"`
	Axes      string   `json:"axes"`   // digest; empty: profiles are masks over the bank
	Digits    int      `json:"digits"` // in a label's row

	Alike   [][]string `json:"alike"`   // labels that the model cannot tell apart by name
	Unknown float64    `json:"unknown"` // share of the labels' tokens that the tokenizer does not know

	// from which probability on labels are given, by label; 0.5 of those that are not here
	Thresholds map[string]float64 `json:"thresholds,omitempty"`
}

func (a *app) initCommand() *cobra.Command {
	var e engineFlags
	var c sdk.Config
	var random sdk.RandomBank
	var bankFile string
	var thresholds []string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a new folder of profiles",
		Long: "Make a new folder: bind it, for its life, to a BERT checkpoint in Hugging Face's layout, to the " +
			"labels that profiles share, and to a bank,\n" +
			"random (--bank-n, --bank-seed) or from a file (--bank-file). The first shared head is made from the " +
			"labels' names. Profiles are codes of digits;\n" +
			"over a bank from a file, and with --masks, they are masks over the bank.",
		Example: "  xpeft init --model all-MiniLM-L6-v2 --labels urgent,later,ignore",
		Args:    cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			if c.Model == "" {
				return usagef("init needs --model, or $XPEFT_MODEL: a folder with config.json, a tokenizer and " +
					"model.safetensors")
			}
			if len(c.Labels) < 2 {
				return usagef("init needs --labels: two or more, with commas between them")
			}
			if random.N < 1 {
				return usagef("--bank-n is %d, want 1 or more", random.N)
			}
			var err error
			if c.Thresholds, err = byLabel("thresholds", thresholds); err != nil {
				return err
			}
			if c.Bank = random; bankFile != "" {
				c.Bank = sdk.WarmBank{Path: bankFile}
			}
			c.Options = a.options(e)
			return a.init(ctx, c)
		}),
	}
	e.addEngine(cmd)
	f := cmd.Flags()
	f.StringVar(&c.Model, "model", os.Getenv("XPEFT_MODEL"), "folder of the model; also $XPEFT_MODEL")
	f.Lookup("model").DefValue = "" // the help is the same in every shell
	f.StringSliceVar(&c.Labels, "labels", nil, "labels that profiles share, with commas between them")
	f.IntVar(&random.N, "bank-n", 150, "adapters of the random bank")
	f.Uint64Var(&random.Seed, "bank-seed", 42, "seed of the random bank")
	f.IntVar(&random.Bottleneck, "bottleneck", 0,
		"bottleneck of the random bank's adapters; 0: a 16th of the hidden size")
	f.StringVar(&bankFile, "bank-file", "", "file of a warm bank, instead of a random one")
	f.BoolVar(&c.Masks, "masks", false, "profiles are masks over the bank, as in the paper, not codes of digits")
	f.BoolVar(&c.Multi, "multi", false, "labels are not exclusive: a text may have several of them, or none")
	f.StringSliceVar(&thresholds, "thresholds", nil,
		"with --multi, from which probability on a label is given, as in urgent=0.3,later=0.8; the others: 0.5")
	f.IntVar(&c.K, "k", 0, "adapters averaged in each row; 0: 50, or a third of the bank if that is less")
	f.IntVar(&c.MaxTokens, "max-tokens", 0,
		"longest text in tokens, the rest is cut off; 0: what the model's folder says, at most 256; 128 if it does not")
	f.IntVar(&c.Windows, "windows", 0, "windows of --max-tokens that a longer text is read in, at most 32; 0: 1")
	for _, flag := range []string{"bank-n", "bank-seed", "bottleneck"} {
		cmd.MarkFlagsMutuallyExclusive("bank-file", flag)
	}
	return cmd
}

func (c created) text(w io.Writer) {
	profiles := fmt.Sprintf("for each label that they use a row of %d digits, along the axes %.12s", c.Digits, c.Axes)
	if c.Axes == "" {
		profiles = fmt.Sprintf("masks over the bank, %d of %d adapters in each row", c.K, c.N)
	}
	fields(w, "made", c.Dir, "model", c.Model, "encoder", c.Encoder[:12], "labels", strings.Join(c.Labels, ", "),
		"bank", fmt.Sprintf("%s, %s: %d adapters in each of %d blocks", c.Bank[:12], c.Origin, c.N, c.Blocks),
		"profiles", profiles)
	if c.Multi {
		fields(w, "texts", "have any of the labels, or none")
	}
	for _, label := range slices.Sorted(maps.Keys(c.Thresholds)) {
		fields(w, "threshold", fmt.Sprintf("%s from %g on", plain(label), c.Thresholds[label]))
	}
	if c.Windows > 1 {
		fields(w, "texts", "of at most "+tokens(c.MaxTokens, c.Windows))
	}
	if c.Unknown > 0 {
		fields(w, "warning", fmt.Sprintf("the model does not know %.0f %% of the labels' tokens", 100*c.Unknown))
	}
	for _, labels := range c.Alike {
		fields(w, "warning", "the model cannot tell these labels apart by their names, so until profiles learn "+
			"them they are as likely as each other: "+strings.Join(labels, ", "))
	}
}

func (a *app) init(ctx context.Context, c sdk.Config) error {
	var made sdk.CreateReport
	c.Report = func(r sdk.CreateReport) { made = r }
	p, err := sdk.Create(ctx, a.dir, c)
	if err != nil {
		return err
	}
	labels, err := p.Labels(ctx)
	if err := errors.Join(err, p.Close()); err != nil {
		return err
	}
	// What the folder says of itself, not what was asked for.
	return a.withStore(true, func(st *store.Store) error {
		row, err := a.created(st, labels)
		if err != nil {
			return err
		}
		row.Alike, row.Unknown = append([][]string{}, made.Alike...), made.Unknown
		return a.say(row)
	})
}

func (a *app) created(st *store.Store, labels []string) (created, error) {
	m := st.Meta()
	extra, err := folder.ReadExtra(m)
	if err != nil {
		return created{}, err
	}
	banks, err := st.Banks()
	if err != nil {
		return created{}, err
	}
	row := created{Dir: a.dir, Model: m.Model, Encoder: m.Encoder.String(), Tokenizer: m.Tokenizer.String(),
		MaxTokens: m.MaxTokens, Windows: extra.Windows, Labels: labels, Multi: extra.Multi,
		Thresholds: extra.Thresholds, K: extra.K}
	for _, info := range banks {
		p, err := folder.Properties(info)
		if err != nil {
			return created{}, err
		}
		if p.Origin == bank.HeadAxes {
			row.Axes, row.Digits = info.Digest.String(), p.N/2
			continue
		}
		row.Bank, row.Origin, row.N, row.Blocks = info.Digest.String(), p.Origin.String(), p.N, p.Blocks
	}
	return row, nil
}
