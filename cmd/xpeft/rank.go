package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
)

// rankFlags say for whom candidates are ordered, and for what.
type rankFlags struct {
	engineFlags
	profile  string
	text     string
	chosen   string
	fallback string
}

// rankedRow is one candidate, the likeliest first.
type rankedRow struct {
	Profile string `json:"profile"`
	sdk.Ranked
	Source   string `json:"source"`
	Revision uint64 `json:"revision"`
}

func (r rankedRow) text(w io.Writer) {
	who := r.Profile
	if r.Source == string(sdk.SourceBase) {
		who = "(base)"
	}
	fmt.Fprintf(w, "%.3f\t%s\t%s\n", r.P, plain(who), plain(r.Candidate))
}

func (a *app) rankCommand() *cobra.Command {
	var o rankFlags
	cmd := &cobra.Command{
		Use:   "rank CANDIDATE...",
		Short: "Order candidates for a person",
		Long: `Order replies or intents by how likely the person of --profile chooses them for --text,
the likeliest first. Without a profile, and for one that has chosen nothing yet, the
order is the one that all have. With --chosen the person chose that one: it is stored,
and learned once enough waits; xpeft observe --in /dev/null learns what is due.`,
		Example: "  xpeft rank -p alice --text \"are you coming?\" \"On my way!\" \"I shall arrive at noon.\"\n" +
			"  xpeft rank -p alice --chosen \"On my way!\" \"On my way!\" \"I shall arrive at noon.\"",
		Args: cobra.MinimumNArgs(1),
		RunE: a.runs(func(ctx context.Context, candidates []string) error {
			switch {
			case !slices.Contains(fallbacks, o.fallback):
				return usagef("--fallback is %q, want error or base", o.fallback)
			case o.chosen != "" && o.profile == "":
				return usagef("--chosen without --profile: who chose?")
			}
			return a.withFolder(ctx, o.engineFlags, o.chosen == "", func(p *sdk.Folder) error {
				return a.rank(ctx, p, o, candidates)
			})
		}),
	}
	o.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.profile, "profile", "p", "", "for whom")
	f.StringVar(&o.text, "text", "", "what the candidates are for; without it their own meaning counts alone")
	f.StringVar(&o.chosen, "chosen", "", "the candidate that the person chose")
	f.StringVar(&o.fallback, "fallback", "error", "for a profile that does not exist: error or base")
	complete(cmd, "fallback", fallbacks...)
	return cmd
}

func (a *app) rank(ctx context.Context, p *sdk.Folder, f rankFlags, candidates []string) error {
	if f.chosen != "" {
		if err := p.Chose(ctx, f.profile, f.text, candidates, f.chosen); err != nil {
			return err
		}
		if err := p.Drain(ctx); err != nil {
			return err
		}
	}
	o := &sdk.RankOptions{Base: f.profile == ""}
	if f.fallback != "error" {
		o.Fallback = sdk.Fallback(f.fallback)
	}
	r, err := p.Rank(ctx, f.profile, f.text, candidates, o)
	if err != nil {
		return err
	}
	for _, c := range r.Ranked {
		if err := a.say(rankedRow{r.Profile, c, string(r.Source), r.Revision}); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) headRankCommand() *cobra.Command {
	var o engineFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "rank",
		Short: "Learn from all profiles' choices how candidates are ordered",
		Long: `Learn from the stored choices of all profiles (xpeft rank --chosen) what people choose,
whoever they are, and the directions along which their own orders differ. It is the
order of those who have chosen nothing yet, if it foretells the choices of people who
were held out, one in five, better than the order before it.`,
		Args: cobra.NoArgs,
		RunE: a.runsOn(&o, false, func(ctx context.Context, p *sdk.Folder, _ []string) error {
			rep, err := p.TrainRank(ctx, &sdk.TrainRankOptions{Force: force})
			if err != nil {
				return err
			}
			return a.print(*rep, func(w io.Writer) { writeOrdered(w, *rep) })
		}),
	}
	o.add(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "install the new order even if it is worse")
	return cmd
}

func writeOrdered(w io.Writer, r sdk.RankReport) {
	fields(w, "made of", fmt.Sprintf("%s of %s", count(r.Choices, "choice"), count(r.Profiles, "profile")),
		"decision", r.Reason,
		"loss", fmt.Sprintf("%.3f before, %.3f after, on people who were held out", r.Before.Loss, r.After.Loss),
		"first", fmt.Sprintf("%.3f before, %.3f after", r.Before.First, r.After.First),
		"directions", fmt.Sprint(r.Directions), "seconds", fmt.Sprintf("%.1f", r.Seconds))
}

// embeddedRow is a text's embedding.
type embeddedRow struct {
	Text      string    `json:"text"`
	Embedding []float32 `json:"embedding"`
}

func (r embeddedRow) text(w io.Writer) {
	for i, v := range r.Embedding {
		if i > 0 {
			io.WriteString(w, " ")
		}
		fmt.Fprintf(w, "%g", v)
	}
	fmt.Fprintf(w, "\t%s\n", plain(r.Text))
}

func (a *app) embedCommand() *cobra.Command {
	var o engineFlags
	cmd := &cobra.Command{
		Use:     "embed TEXT...",
		Short:   "Print the model's own embeddings of texts",
		Long:    "Print the pooled embedding of each TEXT, as the bare model gives it, not brought to length 1.",
		Example: "  xpeft embed --json \"the server is down\"",
		Args:    cobra.MinimumNArgs(1),
		RunE: a.runsOn(&o, true, func(ctx context.Context, p *sdk.Folder, texts []string) error {
			out, err := p.Embed(ctx, texts)
			if err != nil {
				return err
			}
			for i, x := range out {
				if err := a.say(embeddedRow{texts[i], x}); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	o.add(cmd)
	return cmd
}
