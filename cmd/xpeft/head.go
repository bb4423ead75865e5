package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// headFlags say how a shared head is trained.
type headFlags struct {
	engineFlags
	addLabels []string
	keepBank  bool
	force     bool
}

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
	cmd := &cobra.Command{
		Use:   "head",
		Short: "Train the head that profiles share",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var o headFlags
	train := &cobra.Command{
		Use:   "train",
		Short: "Fit the shared head to the stored examples of all profiles",
		Long: `Fit the shared head to the stored examples of all profiles that share it, for new
profiles and for those that xpeft rebase moves, if it is no worse on three in ten of the
texts, which it is not trained on. In a folder of masks over a random bank in all
blocks, new profiles get it in the last block only, which then serves them as well for
far less.`,
		Args: cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			if err := a.mustExist(); err != nil {
				return err
			}
			return a.headTrain(ctx, o)
		}),
	}
	o.add(train)
	o.addMoved(train)
	f := train.Flags()
	f.StringSliceVar(&o.addLabels, "add-labels",
		nil, "labels that join the shared head: those of labels pending, or others")
	f.BoolVar(&o.keepBank, "keep-bank", false, "leave the bank of new profiles as it is")
	f.BoolVar(&o.force, "force", false, "install the new head even if it is worse")
	cmd.AddCommand(train)
	return cmd
}
