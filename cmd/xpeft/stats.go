package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// statsRow is the size of a folder, and what it is bound to.
type statsRow struct {
	Profiles            int64   `json:"profiles"`
	BytesPerProfile     float64 `json:"bytes_per_profile"`
	MaskBytesPerProfile float64 `json:"mask_bytes_per_profile"`
	RecordBytes         int64   `json:"record_bytes"`
	MaskBytes           int64   `json:"mask_bytes"`
	Examples            int64   `json:"examples"`
	waitingRow
	FileBytes int64     `json:"file_bytes"`
	FreeBytes int64     `json:"free_bytes"`
	Imports   int64     `json:"imports"`
	Unmerged  int64     `json:"unmerged"`
	Banks     int       `json:"banks"`
	Heads     int       `json:"heads"`
	Model     string    `json:"model"`
	Encoder   string    `json:"encoder"`
	Tokenizer string    `json:"tokenizer"`
	MaxTokens int       `json:"max_tokens"`
	Windows   int       `json:"windows"` // of a text
	Multi     bool      `json:"multi"`   // labels are not exclusive
	K         int       `json:"k"`
	Schema    int       `json:"schema"`
	Created   time.Time `json:"created"`

	Prequential folder.Prequential `json:"prequential"`
	Advice      *sdk.LastAdvice    `json:"advice"`
	// from which probability on labels are given, by label; 0.5 of those that are not here
	Thresholds map[string]float64 `json:"thresholds,omitempty"`

	untrainableRow
}

// untrainableRow is the profiles that this build serves and cannot train as they are: their
// adapters are in more blocks.
type untrainableRow struct {
	Untrainable         int      `json:"untrainable"`
	UntrainableProfiles []string `json:"untrainable_profiles"` // the first mostListed ids
}

// mostListed is how many ids a row has at most.
const mostListed = 100

func (a *app) newUntrainable(st *store.Store) (row untrainableRow, err error) {
	row.UntrainableProfiles = []string{}
	if slices.Contains(sdk.Engines(), "torch") { // which trains all blocks
		return row, nil
	}
	for id, err := range folder.Untrainable(st, a.dir, sdk.NativeBlocks, 0) {
		if err != nil {
			return row, err
		}
		if row.Untrainable++; len(row.UntrainableProfiles) < mostListed {
			row.UntrainableProfiles = append(row.UntrainableProfiles, id)
		}
	}
	return row, nil
}

func (r untrainableRow) String() string {
	if r.Untrainable == 0 {
		return "none"
	}
	text := fmt.Sprintf("%s with adapters in more blocks than the native engine trains: %s",
		count(r.Untrainable, "profile"), strings.Join(r.UntrainableProfiles, ", "))
	if r.Untrainable > len(r.UntrainableProfiles) {
		text += ", …"
	}
	return plain(text)
}

// waitingRow is what the next trainings will see first.
type waitingRow struct {
	WaitingExamples int `json:"waiting_examples"`
	// of which those are, or that are due because an example was taken back
	WaitingProfiles int `json:"waiting_profiles"`
}

func newWaiting(ctx context.Context, st *store.Store) (row waitingRow, err error) {
	all, err := st.Waiting(ctx)
	for _, w := range all {
		row.WaitingExamples += w.Examples
	}
	row.WaitingProfiles = len(all)
	return row, err
}

func (r waitingRow) String() string {
	return fmt.Sprintf("%s of %s", count(r.WaitingExamples, "example"), count(r.WaitingProfiles, "profile"))
}

// text is what xpeft observe ends with.
func (r waitingRow) text(w io.Writer) { fmt.Fprintf(w, "waiting for the next training: %s\n", r) }

func (a *app) statsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Show sizes, and what the folder is bound to",
		Long: "Show how many profiles there are, their bytes (the stored records, own heads included), the size " +
			"of the file, and the digests of the encoder and the tokenizer.",
		Args: cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			return a.withStore(true, func(st *store.Store) error { return a.stats(ctx, st) })
		}),
	}
}

func (a *app) stats(ctx context.Context, st *store.Store) error {
	s, err := st.Stats()
	if err != nil {
		return err
	}
	banks, err := st.Banks()
	if err != nil {
		return err
	}
	heads, err := st.Heads()
	if err != nil {
		return err
	}
	m := st.Meta()
	extra, err := folder.ReadExtra(m)
	if err != nil {
		return err
	}
	waiting, err := newWaiting(ctx, st)
	if err != nil {
		return err
	}
	right, err := folder.FolderPrequential(st)
	if err != nil {
		return err
	}
	advice, err := folder.LastAdvice[sdk.LastAdvice](st)
	if err != nil {
		return err
	}
	deep, err := a.newUntrainable(st)
	if err != nil {
		return err
	}
	return a.say(statsRow{
		Profiles: s.Profiles, BytesPerProfile: mean(s.RecordBytes, s.Profiles),
		MaskBytesPerProfile: mean(s.MaskBytes, s.Profiles),
		RecordBytes:         s.RecordBytes, MaskBytes: s.MaskBytes, Examples: s.Examples, waitingRow: waiting,
		Prequential: right, Advice: advice,
		FileBytes: s.FileBytes, FreeBytes: s.FreeBytes, Imports: s.Imports, Unmerged: s.Unmerged, Banks: len(banks),
		Heads:          len(heads),
		untrainableRow: deep,
		Model:          m.Model, Encoder: m.Encoder.String(), Tokenizer: m.Tokenizer.String(), MaxTokens: m.MaxTokens,
		Windows: extra.Windows, Multi: extra.Multi, Thresholds: extra.Thresholds, K: extra.K,
		Schema: m.Schema, Created: m.Created.UTC(),
	})
}

// adviceLine is what was found last, and how long ago: people may have come since.
func adviceLine(a *sdk.LastAdvice, now time.Time) string {
	if a == nil {
		return "none yet: xpeft bank advise"
	}
	text := fmt.Sprintf("%s ago, of %d people: %s", since(now.Sub(a.Time)), a.People, plain(a.Reason))
	if a.Gain != 0 {
		text = fmt.Sprintf("%s; gain %.3f (%.3f to %.3f)", text, a.Gain, a.Low, a.High)
	}
	return text
}

// since is a time in the largest unit of which it has two.
func since(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if d >= 2*u.size {
			return fmt.Sprintf("%d %s", d/u.size, u.name)
		}
	}
	return "moments"
}

func mean(sum, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(sum) / float64(n)
}

func (r statsRow) text(w io.Writer) {
	fields(w,
		"profiles", number(r.Profiles),
		"bytes per profile", fmt.Sprintf("%.1f, of which digits or masks %.1f", r.BytesPerProfile,
			r.MaskBytesPerProfile),
		"examples", number(r.Examples),
		"waiting", r.waitingRow.String(),
		"prequential", prequential(r.Prequential),
		"advice", adviceLine(r.Advice, time.Now()),
		"file", fmt.Sprintf("%s: records %s, free %s", size(r.FileBytes), size(r.RecordBytes), size(r.FreeBytes)),
		"untrainable", r.untrainableRow.String(),
		"banks", number(r.Banks),
		"k", number(r.K),
		"shared heads", number(r.Heads),
		"model", r.Model,
		"encoder", r.Encoder[:12],
		"tokenizer", fmt.Sprintf("%s, at most %s", r.Tokenizer[:12], tokens(r.MaxTokens, r.Windows)),
		"created", date(r.Created),
	)
}

// tokens is how long a text may be.
func tokens(most, windows int) string {
	if windows > 1 {
		return fmt.Sprintf("%d windows of %d tokens", windows, most)
	}
	return fmt.Sprintf("%d tokens", most)
}

// prequential says how often answers were right about examples that nothing had learned from yet.
func prequential(q folder.Prequential) string {
	if q.N == 0 {
		return "not measured"
	}
	return fmt.Sprintf("%.3f served, %.3f by the prior alone, %.3f by the base, on %s", q.Profile, q.Prior, q.Base,
		count(int(math.Round(q.N)), "new example"))
}
