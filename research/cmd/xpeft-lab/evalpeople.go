package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/research/eval"
)

// peopleFlags say how a population's axes are measured.
type peopleFlags struct {
	data      string
	fields    eval.Fields
	model     string
	cache     string
	drop      []string
	taps      []int
	splits    int
	first     int
	shots     []int
	most      int
	least     int
	some      int
	maxTokens int
	newTexts  bool
	asked     bool
	brief     bool
	adapter   bool
	more      bool
	places    string
	permuted  bool
	only      []int
	setting   population.Setting
}

func (a *app) evalPeopleCommand() *cobra.Command {
	var o peopleFlags
	cmd := &cobra.Command{
		Use:   "people DATA",
		Short: "Measure what the axes of a population are worth to new people",
		Long: `Read people's labelled texts as eval does. In each split half of all people make a head
and the axes on which they differ, and the others are new; then the other way round. Of
each new person three in ten answers are kept back, or, with --new-texts, three in ten
of all texts are nobody's training and are what everybody is tested on. Ranks and
strengths are chosen inside the population. A person counts once: their value is the
mean over the splits.`,
		Example: "  xpeft-lab eval people people.jsonl.gz --drop pass --splits 3 --asked --model all-MiniLM-L6-v2",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.data = args[0]
			return a.runs(func(ctx context.Context, _ []string) error { return a.evaluatePeople(ctx, o) })(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "folder of the model")
	f.StringVar(&o.cache, "cache", "", "file of the texts' features: written if it is not there, read if it is")
	fieldFlags(cmd, &o.fields)
	f.StringSliceVar(&o.drop, "drop", nil, "labels that are no answers")
	f.IntSliceVar(&o.taps, "taps", nil,
		"blocks whose states are the features, 0 for the embeddings; without it those of the axes that are shipped")
	f.IntVar(&o.splits, "splits", 3, "divisions of the people")
	f.IntVar(&o.first, "first", 0, "number of the first division, so that several runs share the work")
	f.IntSliceVar(&o.shots, "shots", []int{1, 3, 10, 0}, "how many answers of a new person are learned from; 0 for all")
	f.IntVar(&o.most, "most", 90, "answers kept of each person")
	f.IntVar(&o.least, "least", 25, "answers that a person must have")
	f.IntVar(&o.some, "people", 0, "most people in a population; without it half of all")
	f.IntVar(&o.maxTokens, "max-tokens", 64, "longest text in tokens")
	f.BoolVar(&o.newTexts, "new-texts", false, "test on texts that nobody's training has")
	f.BoolVar(&o.asked, "asked", false, "choose which texts to ask about, too")
	f.BoolVar(&o.brief, "brief", false, "measure the prior, a fitted bias and the code alone")
	f.BoolVar(&o.adapter, "adapter", false,
		"train a single adapter and a head of each new person, too, which takes most of the time")
	f.BoolVar(&o.more, "all-modes", false,
		"forced ranks and digits, straight-through masks and other people's codes, too")
	f.StringVar(&o.places, "places",
		"", "file to write the new people's codes to, for plot, with their answers to three in ten of the texts, "+
			"kept back; nothing is measured")
	f.BoolVar(&o.permuted, "permuted", false, "deal each text's labels anew among the population's people")
	f.IntSliceVar(&o.only, "ranks", nil, "numbers of axes to try; without it 1, 2, 4 and 8")
	f.IntVar(&o.setting.Rank, "rank", 0, "number of axes, with --head-l2 instead of a choice")
	f.Float64Var(&o.setting.Head, "head-l2", 0, "strength of the head")
	f.Float64Var(&o.setting.Axis, "axes-l2", 0, "strength of the axes")
	_ = cmd.MarkFlagRequired("model")
	return cmd
}

func (o *peopleFlags) options() population.Options {
	p := population.Options{Ranks: o.only}
	if o.setting.Head > 0 {
		p.Setting = &o.setting
	}
	return p
}

// reportPeople prints one Markdown table, or with --json a line for each bank and row.
func (a *app) reportPeople(rows []eval.PeopleRow, banks []eval.PeopleBank) error {
	if !a.json {
		_, err := fmt.Fprint(a.stdout, eval.PeopleMarkdown(rows, banks))
		return err
	}
	for _, b := range banks {
		if err := a.printJSON(b); err != nil {
			return err
		}
	}
	for _, r := range rows {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	return nil
}
