package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// bankRow is a bank.
type bankRow struct {
	Bank       string   `json:"bank"` // its digest
	Origin     string   `json:"origin"`
	N          int      `json:"n"`
	Blocks     int      `json:"blocks"`
	Hidden     int      `json:"hidden"`
	Bottleneck int      `json:"bottleneck"`
	Activation string   `json:"activation"`
	NormB      bool     `json:"norm_b"`
	Bias       bool     `json:"bias"`
	DType      string   `json:"dtype"`
	Targets    []string `json:"targets"` // of LoRAs
	Seed       uint64   `json:"seed"`
	SigmaA     float32  `json:"sigma_a"`
	SigmaB     float32  `json:"sigma_b"`
	Digits     int      `json:"digits"`
	Taps       []int    `json:"taps"`
	Axes       int      `json:"axes"`
	Texts      int      `json:"texts"` // that axes know by a hash
	Bytes      int64    `json:"bytes"` // of its weights: on disk, or in memory if it is random
}

func newBankRow(digest string, p bank.Properties) bankRow {
	return bankRow{
		Bank: digest, Origin: p.Origin.String(), N: p.N, Blocks: p.Blocks, Hidden: p.Hidden, Bottleneck: p.Bottleneck,
		Activation: p.Activation.String(), NormB: p.NormB, Bias: p.Bias, DType: p.DType.String(),
		Targets: p.Targets.Names(), Seed: p.Seed, SigmaA: p.SigmaA, SigmaB: p.SigmaB, Digits: p.Digits,
		Taps: append([]int{}, p.TapList()...), Axes: p.Axes, Texts: p.Texts, Bytes: p.Bytes(),
	}
}

func (r bankRow) text(w io.Writer) {
	if r.Origin == bank.JointAxes.String() {
		fields(w, "bank", r.Bank, "origin", fmt.Sprintf("%s, file of %s, %s", r.Origin, size(r.Bytes), r.DType),
			"shape",
			fmt.Sprintf("%d on which people differ, %s in all, over %d values for %s", r.Axes, count(r.N/2, "digit"),
				r.Hidden, count(r.Bottleneck, "label")),
			"knows", count(r.Texts, "text"))
		return
	}
	if r.Origin == bank.HeadAxes.String() {
		fields(w, "bank", r.Bank, "origin", fmt.Sprintf("%s, file of %s, %s", r.Origin, size(r.Bytes), r.DType),
			"shape",
			fmt.Sprintf("%d axes of %s, over %d values after each of the blocks %s", r.N/(2*r.Digits),
				count(r.Digits, "digit"), r.Hidden, strings.Trim(fmt.Sprint(r.Taps), "[]")))
		return
	}
	from := fmt.Sprintf("%s file of %s, %s", r.Origin, size(r.Bytes), r.DType)
	if r.Origin == bank.Random.String() {
		from = fmt.Sprintf("%s, seed %d: nothing on disk, %s in memory", r.Origin, r.Seed, size(r.Bytes))
	}
	if n := len(r.Targets); n > 0 {
		fields(w, "bank", r.Bank, "origin", from, "shape",
			fmt.Sprintf("%s of rank %d, %d blocks, over %d values", count(r.N, "LoRA"), r.Bottleneck/n, r.Blocks,
				r.Hidden),
			"targets", strings.Join(r.Targets, ", "))
		return
	}
	fields(w, "bank", r.Bank, "origin", from, "shape",
		fmt.Sprintf("%d adapters, %d blocks, %d to %d and back", r.N, r.Blocks, r.Hidden, r.Bottleneck),
		"activation", r.Activation)
}

func (a *app) bankCommand() *cobra.Command {
	return parent("bank", "List, export, import, make and train banks", a.bankListCommand(), a.bankExportCommand(),
		a.bankImportCommand(), a.bankConvertCommand(), a.bankTrainCommand(), a.bankAdviseCommand())
}

func (a *app) bankListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the folder's banks",
		Args:  cobra.NoArgs,
		RunE: a.runs(func(context.Context, []string) error {
			return a.withStore(true, func(st *store.Store) error {
				banks, err := st.Banks()
				if err != nil {
					return err
				}
				for _, info := range banks {
					p, err := folder.Properties(info)
					if err != nil {
						return err
					}
					if err := a.say(newBankRow(info.Digest.String(), p)); err != nil {
						return err
					}
				}
				return nil
			})
		}),
	}
}

// copied is a bank file that was written.
type copied struct {
	File  string `json:"file"`
	Bank  string `json:"bank"`
	Bytes int64  `json:"bytes"`
}

func (a *app) bankExportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "export [DIGEST]",
		Short: "Write the file of a bank",
		Long: "Verify the file of a warm bank, or of axes, and copy it. The digest may be cut short; it may be " +
			"left out if there is one warm bank. A random bank has no file: xpeft bank list shows its seed.",
		Args: cobra.MaximumNArgs(1),
		RunE: a.runs(func(ctx context.Context, args []string) error {
			if out == "-" && isTerminal(a.rawOut) {
				return usagef("a bank is no text for a terminal: name a file with -o")
			}
			return a.withStore(true, func(st *store.Store) error {
				info, err := findBank(st, strings.Join(args, ""))
				if err != nil {
					return err
				}
				return a.bankExport(ctx, info, out)
			})
		}),
	}
	cmd.Flags().StringVarP(&out, "out", "o", "-", "file to write; - is stdout")
	return cmd
}

// findBank returns the one bank with a file whose digest starts with prefix; without a prefix, the
// one warm bank.
func findBank(st *store.Store, prefix string) (store.BankInfo, error) {
	banks, err := st.Banks()
	if err != nil {
		return store.BankInfo{}, err
	}
	var found []store.BankInfo
	files := 0
	for _, info := range banks {
		p, err := folder.Properties(info)
		if err != nil {
			return store.BankInfo{}, err
		}
		if p.Origin == bank.Random || (p.Origin == bank.HeadAxes || p.Origin == bank.JointAxes) && prefix == "" {
			continue
		}
		files++
		if strings.HasPrefix(info.Digest.String(), prefix) {
			found = append(found, info)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return store.BankInfo{}, usagef("%d banks with a file fit %q: name more of the digest", len(found), prefix)
	}
	if files == 0 {
		return store.BankInfo{}, fmt.Errorf(
			"%w: a warm bank in this folder; a random one has no file, its seed is in xpeft bank list",
			store.ErrNotFound)
	}
	return store.BankInfo{}, fmt.Errorf("%w: a bank with a file whose digest starts with %q", store.ErrNotFound, prefix)
}

func (a *app) bankExport(ctx context.Context, info store.BankInfo, out string) error {
	f, err := folder.OpenStored(a.dir, info)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Verify(ctx); err != nil {
		return err
	}
	if out == "-" {
		_, err := f.WriteTo(a.rawOut)
		return err
	}
	n, err := a.writeFile(out, func(w io.Writer) error { _, err := f.WriteTo(w); return err })
	if err != nil {
		return err
	}
	return a.printCopied(copied{out, info.Digest.String(), n})
}

func (a *app) printCopied(c copied) error {
	return a.print(c, func(w io.Writer) { fields(w, "bank", c.Bank, "file", c.File, "size", size(c.Bytes)) })
}

func (a *app) bankImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import [FILE]",
		Short: "Take a bank file into the folder",
		Long: "Verify a bank file, from a file or from stdin, and take it into the folder, so that bundles of " +
			"profiles that are bound to it can be imported. It may be of axes. A new folder gets its bank from " +
			"xpeft init --bank-file.",
		Args: cobra.MaximumNArgs(1),
		RunE: a.runs(func(ctx context.Context, args []string) error {
			return a.fromFile(ctx, args, "bank file", func(r io.Reader) error {
				return a.withStore(false, func(st *store.Store) error {
					info, err := folder.AddBank(ctx, st, a.dir, r)
					if err != nil {
						return err
					}
					p, err := folder.Properties(info)
					if err != nil {
						return err
					}
					return a.say(newBankRow(info.Digest.String(), p))
				})
			})
		}),
	}
}

func (a *app) bankConvertCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "convert ADAPTER...",
		Short: "Make a bank file of trained adapters",
		Long: "Make a bank file of adapters of other libraries, a folder each: AdapterHub's in Pfeiffer's layout, or " +
			"LoRAs of peft or of AdapterHub. What the bank could not compute as they do is refused by name.",
		Example: "  xpeft bank convert adapters/* -o hub.bank\n  xpeft init --model DIR --labels yes,no " +
			"--bank-file hub.bank",
		Args: cobra.MinimumNArgs(1),
		RunE: a.runs(func(ctx context.Context, dirs []string) (err error) {
			m, err := bank.ImportAdapters(dirs)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, m.Close()) }()
			d, err := bank.WriteFile(ctx, out, m.Properties, nil, m.Row)
			if err != nil {
				return err
			}
			f, err := bank.OpenFile(out)
			if err != nil {
				return err
			}
			defer f.Close()
			return a.printCopied(copied{out, d.String(), f.Size()})
		}),
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "file to write")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // no such flag: the program is wrong
	}
	return cmd
}
