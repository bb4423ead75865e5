package serve

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/xpeft/xpeft/internal/wire"
	"github.com/xpeft/xpeft/sdk"
)

const (
	smallBody = 64 << 10
	largeBody = 1 << 20 // of many examples or requests
	mostAsked = 20
	mostRows  = 1000 // of a list of profiles
)

type labels struct {
	Labels []string `json:"labels"`
}

func (r *request) labels() (any, error) {
	all, err := r.tenant.Folder.Labels(r.Context())
	return labels{all}, err
}

func (r *request) stats() (any, error) { return r.tenant.Folder.Stats(r.Context()) }

func (r *request) advice() (any, error) { return r.tenant.Folder.Advise(r.Context(), nil) }

func (r *request) predict() (any, error) {
	b, err := body[wire.Predict](r, smallBody)
	if err != nil {
		return nil, err
	}
	return r.tenant.Folder.Predict(r.Context(), r.profile, b.Text, b.Options())
}

// predicted is an answer of a batch, or why there is none.
type predicted struct {
	sdk.Prediction
	Error *Problem `json:"error,omitempty"`
}

type predictions struct {
	Predictions []predicted `json:"predictions"`
}

func (r *request) predictBatch() (any, error) {
	b, err := body[wire.Batch](r, largeBody)
	if err != nil {
		return nil, err
	}
	now, rows := time.Now(), b.Rows()
	out := predictions{make([]predicted, len(rows))}
	var asked []sdk.Request
	var places []int
	for i, q := range rows {
		if r.tenant.buckets.take(q.Profile, now) {
			asked, places = append(asked, q), append(places, i)
		} else {
			out.Predictions[i] = predicted{sdk.Prediction{Profile: q.Profile}, r.ofRow(errTooFast)}
		}
	}
	answers, err := r.tenant.Folder.PredictBatch(r.Context(), asked)
	if err != nil {
		return nil, err
	}
	for k, a := range answers {
		out.Predictions[places[k]] = predicted{a, r.ofRow(a.Err)}
	}
	return out, nil
}

// ofRow is the problem of one row of an answer.
func (r *request) ofRow(err error) *Problem {
	if err == nil {
		return nil
	}
	p := r.problem(err)
	return &p
}

func (r *request) learn() (any, error) {
	b, err := body[wire.Learn](r, largeBody)
	if err != nil {
		return nil, err
	}
	rep, err := r.tenant.Folder.Learn(r.Context(), r.profile, b.Examples, b.Options())
	if err == nil {
		r.tenant.Events.OnLearned(r.profile, rep, nil)
	}
	return rep, err
}

// observe stores examples one by one; the profile learns them in the background.
func (r *request) observe() (any, error) {
	b, err := body[wire.Observe](r, largeBody)
	if err != nil {
		return nil, err
	}
	for i, e := range b.Examples {
		if err := r.tenant.Folder.Observe(r.Context(), r.profile, e); err != nil {
			return nil, &sdk.ProfileError{ID: r.profile, Label: e.Label, Example: i,
				Err: fmt.Errorf("those before it are stored: %w", err)}
		}
	}
	return r.observed()
}

// observed says how much waits now.
func (r *request) observed() (any, error) {
	info, err := r.tenant.Folder.Profile(r.Context(), r.profile)
	if err != nil {
		return nil, err
	}
	w := waiting{r.profile, info.Waiting}
	r.tenant.Events.send(r.profile, "observed", w)
	return w, nil
}

func (r *request) confirm() (any, error) { return r.thumb(r.tenant.Folder.Confirmed) }

func (r *request) reject() (any, error) { return r.thumb(r.tenant.Folder.Rejected) }

// thumb stores what somebody says of an answer.
func (r *request) thumb(store func(ctx context.Context, id, text, label string) error) (any, error) {
	b, err := body[wire.Thumb](r, smallBody)
	if err != nil {
		return nil, err
	}
	if err := store(r.Context(), r.profile, b.Text, b.Label); err != nil {
		return nil, err
	}
	return r.observed()
}

func (r *request) rank() (any, error) {
	b, err := body[wire.Rank](r, smallBody)
	if err != nil {
		return nil, err
	}
	return r.tenant.Folder.Rank(r.Context(), r.profile, b.Text, b.Candidates, &sdk.RankOptions{Fallback: b.Fallback})
}

func (r *request) chose() (any, error) {
	b, err := body[wire.Chose](r, smallBody)
	if err != nil {
		return nil, err
	}
	if err := r.tenant.Folder.Chose(r.Context(), r.profile, b.Text, b.Candidates, b.Chosen); err != nil {
		return nil, err
	}
	return r.observed()
}

type embeddings struct {
	Embeddings [][]float32 `json:"embeddings"` // not of length 1: divide by the norm for a cosine
}

func (r *request) embed() (any, error) {
	b, err := body[wire.Embed](r, largeBody)
	if err != nil {
		return nil, err
	}
	rows, err := r.tenant.Folder.Embed(r.Context(), b.Texts)
	return embeddings{rows}, err
}

type questions struct {
	// the one that tells most first; fewer than were asked for: no others are left
	Questions []sdk.Question `json:"questions"`
}

// ask answers with n of the texts that the bank keeps. The person's labels for them go to learn;
// texts that the person gave no label to are named in skip, once each.
func (r *request) ask() (any, error) {
	query, err := r.query("n", "skip")
	if err != nil {
		return nil, err
	}
	n, err := number(query, "n", 3, mostAsked)
	if err != nil {
		return nil, err
	}
	asked, err := r.tenant.Folder.Ask(r.Context(), r.profile, &sdk.AskOptions{N: n, Skipped: query["skip"]})
	return questions{asked}, err
}

// query parses the query strictly: a misspelt parameter is an error.
func (r *request) query(names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errQuery, err)
	}
	for name := range query {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%w: unknown parameter %.40q", errQuery, name)
		}
	}
	return query, nil
}

func number(query url.Values, name string, fallback, most int) (int, error) {
	given := query.Get(name)
	if given == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%w: %s is %.40q, want 1 to %d", errQuery, name, given, most)
	}
	return n, nil
}

// profileRow is a profile of a list, or as much as is known of one that cannot be read.
type profileRow struct {
	sdk.ProfileInfo
	Error *Problem `json:"error,omitempty"`
}

type page struct {
	Profiles []profileRow `json:"profiles"`
	Next     string       `json:"next,omitempty"` // the after of the next page; absent: there is none
}

func (r *request) profiles() (any, error) {
	query, err := r.query("after", "limit", "prefix")
	if err != nil {
		return nil, err
	}
	most, err := number(query, "limit", 100, mostRows)
	if err != nil {
		return nil, err
	}
	out, last := page{Profiles: []profileRow{}}, ""
	o := &sdk.ProfilesOptions{Prefix: query.Get("prefix"), After: query.Get("after")}
	for info, err := range r.tenant.Folder.Profiles(r.Context(), o) {
		switch {
		case err != nil && !errors.Is(err, sdk.ErrCorrupt):
			return nil, err
		case info.ID == "" && o.After != "": // damage that does not say whose it is is on the first page
			continue
		case len(out.Profiles) >= most && last != "":
			out.Next = last
			return out, nil
		}
		out.Profiles = append(out.Profiles, profileRow{info, r.ofRow(err)})
		last = info.ID
	}
	return out, nil
}

func (r *request) show() (any, error) { return r.tenant.Folder.Profile(r.Context(), r.profile) }

func (r *request) forget() (any, error) { return nil, r.tenant.Folder.Forget(r.Context(), r.profile) }

func (r *request) data() (any, error) { return r.tenant.Folder.PersonData(r.Context(), r.profile) }

type examples struct {
	Examples []sdk.StoredExample `json:"examples"`
}

func (r *request) examples() (any, error) {
	out := examples{[]sdk.StoredExample{}}
	for e, err := range r.tenant.Folder.Examples(r.Context(), r.profile) {
		if err != nil {
			return nil, err
		}
		out.Examples = append(out.Examples, e)
	}
	return out, nil
}

type forgotten struct {
	Forgotten int `json:"forgotten"`
}

func (r *request) forgetExample() (any, error) {
	b, err := body[wire.ForgetExample](r, smallBody)
	if err != nil {
		return nil, err
	}
	err = r.tenant.Folder.ForgetExample(r.Context(), r.profile, b.Text, b.Options())
	return forgotten{1}, err
}

type revisions struct {
	Revisions []sdk.ProfileInfo `json:"revisions"` // earlier ones, newest first
}

func (r *request) history() (any, error) {
	all, err := r.tenant.Folder.History(r.Context(), r.profile)
	return revisions{all}, err
}

type revision struct {
	Revision uint64 `json:"revision"` // that is served now
}

func (r *request) rollback() (any, error) {
	b, err := body[wire.Rollback](r, smallBody)
	if err != nil {
		return nil, err
	}
	now, err := r.tenant.Folder.Rollback(r.Context(), r.profile, &sdk.RollbackOptions{Revision: b.Revision})
	return revision{now}, err
}
