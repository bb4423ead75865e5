package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
)

// headTrained is a shared head that was made of the folder's profiles.
type headTrained struct {
	Head      string  `json:"head"`
	Installed bool    `json:"installed"`
	Reason    string  `json:"reason"`
	Profiles  int     `json:"profiles"`
	Examples  int     `json:"examples"`
	HeldOut   int     `json:"held_out"`
	Before    float64 `json:"before"`
	After     float64 `json:"after"`
	Bank      string  `json:"bank"`
	Seconds   float64 `json:"seconds"`
}

func (h headTrained) text(w io.Writer) {
	fields(w, "head", h.Head, "made of", fmt.Sprintf("%d examples of %d profiles", h.Examples, h.Profiles),
		"decision", h.Reason,
		"accuracy", fmt.Sprintf("%.3f before, %.3f after, on %d held-out examples", h.Before, h.After, h.HeldOut),
		"bank", h.Bank,
		"seconds", fmt.Sprintf("%.1f", h.Seconds))
}

func (a *app) headCommand() *cobra.Command {
	var e engineFlags
	var o sdk.TrainHeadOptions
	train := &cobra.Command{
		Use:   "train",
		Short: "Fit the shared head to the stored examples of all profiles",
		Long: `Fit the shared head to the stored examples of all profiles that share it, for new
profiles and for those that xpeft rebase moves, if it is no worse on three in ten of the
texts, which it is not trained on. In a folder of masks over a random bank in all
blocks, new profiles get it in the last block only, which then serves them as well for
far less.`,
		Args: cobra.NoArgs,
		RunE: a.runsOn(&e, false, func(ctx context.Context, p *sdk.Folder, _ []string) error {
			return a.headTrain(ctx, p, o)
		}),
	}
	e.add(train)
	f := train.Flags()
	f.StringSliceVar(&o.AddLabels, "add-labels",
		nil, "labels that join the shared head: those of labels pending, or others")
	f.BoolVar(&o.KeepBank, "keep-bank", false, "leave the bank of new profiles as it is")
	f.BoolVar(&o.Force, "force", false, "install the new head even if it is worse")
	return parent("head", "Train, export and import the head that profiles share", train, a.headRankCommand(),
		a.headExportCommand(), a.headImportCommand())
}

// headCopied is a shared head that left the folder, or came into it.
type headCopied struct {
	File   string   `json:"file"`
	Head   string   `json:"head"` // digest
	Labels []string `json:"labels"`
	Bytes  int64    `json:"bytes"`
}

func (h headCopied) text(w io.Writer) {
	fields(w, "head", h.Head, "labels", strings.Join(h.Labels, ", "), "file", h.File, "size", size(h.Bytes))
}

func (a *app) headExportCommand() *cobra.Command {
	var o engineFlags
	var out string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the head that new profiles share",
		Long: `Write the shared head into a file, in the format that its name ends in: .json or .npz,
which xpeft head import and scikit-learn's users read, or .safetensors, which
xpeft_reader.py reads as a profile's and which says what a head sees of a text.`,
		Example: "  xpeft head export -o head.npz",
		Args:    cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			format := sdk.HeadFormat(strings.TrimPrefix(filepath.Ext(out), "."))
			if !slices.Contains([]sdk.HeadFormat{sdk.HeadJSON, sdk.HeadNPZ, sdk.HeadSafetensors}, format) {
				return usagef("-o is %q, want a name that ends in .json, .npz or .safetensors", out)
			}
			return a.withFolder(ctx, o, true, func(p *sdk.Folder) error { return a.headExport(ctx, p, out, format) })
		}),
	}
	o.addModel(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "file to write: .json, .npz or .safetensors")
	return cmd
}

func (a *app) headImportCommand() *cobra.Command {
	var o engineFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take in a head that was learned elsewhere",
		Long: `Make a linear classifier the shared head of new profiles: a .json or .npz file with
coef, intercept, classes and perhaps counts, as docs/python.md writes them with
scikit-learn. Its classes are the folder's labels, in any order. No pickle is read. It
is installed as it is; profiles that exist keep their head until xpeft rebase moves them.`,
		Example: "  xpeft head import head.npz",
		Args:    cobra.ExactArgs(1),
		RunE: a.runsOn(&o, false, func(ctx context.Context, p *sdk.Folder, args []string) error {
			return a.headImport(ctx, p, args[0], force)
		}),
	}
	o.addModel(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "set axes aside on which people differ, whose head it replaces")
	return cmd
}

func (a *app) headTrain(ctx context.Context, p *sdk.Folder, o sdk.TrainHeadOptions) error {
	bar := a.newBar(-1, "head")
	defer bar.done()
	o.Progress = bar.step
	rep, err := p.TrainHead(ctx, &o)
	if err != nil {
		return err
	}
	bar.done()
	return a.say(headTrained{rep.Digest, rep.Installed, rep.Reason, rep.Profiles, rep.Examples, rep.HeldOut,
		rep.Before.Accuracy, rep.After.Accuracy, rep.Bank, rep.Seconds})
}

func (a *app) headExport(ctx context.Context, p *sdk.Folder, out string, format sdk.HeadFormat) (err error) {
	row := headCopied{File: out}
	row.Bytes, err = a.writeFile(out, func(w io.Writer) error {
		row.Head, err = p.ExportHead(ctx, w, format)
		return err
	})
	if err != nil {
		return err
	}
	if row.Labels, err = p.Labels(ctx); err != nil {
		return err
	}
	return a.say(row)
}

func (a *app) headImport(ctx context.Context, p *sdk.Folder, path string, force bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	row := headCopied{File: path, Bytes: info.Size()}
	if row.Head, err = p.ImportHead(ctx, file, &sdk.ImportHeadOptions{Force: force}); err != nil {
		return err
	}
	if row.Labels, err = p.Labels(ctx); err != nil {
		return err
	}
	return a.say(row)
}
