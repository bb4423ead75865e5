package eval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// sdkModes are what users of the SDK get, by its own calls in folders of its own. There is nothing
// to choose: each has one setting.
func sdkModes() []Mode {
	learns := func(name, about string, o sdk.LearnOptions) Mode { return sdkMode(name, about, Service{Learn: &o}) }
	return []Mode{
		sdkMode("base", "the shared head, nothing personal", Service{Fallback: sdk.FallbackBase}),
		learns("x_peft", "a profile as the SDK learns it", sdk.LearnOptions{}),
		learns("x_peft_thorough", "the same, with more effort", sdk.LearnOptions{Effort: learner.EffortThorough}),
		learns("x_peft_own_head", "the same, with an own head", sdk.LearnOptions{Head: sdk.OwnHead}),
		sdkMode("warm", "the same, over a bank trained on the bank's people",
			Service{Learn: &sdk.LearnOptions{}, Warm: &sdk.TrainBankOptions{}}),
	}
}

// Service says which calls of the SDK serve a new person.
type Service struct {
	Learn    *sdk.LearnOptions // nil: the person is not known, and Fallback answers
	Fallback sdk.Fallback
	Warm     *sdk.TrainBankOptions // nil: a random bank
}

func sdkMode(name, about string, s Service) Mode {
	set := recipe() // what the run file says of bank and mask
	set.Service = s
	return Mode{Name: name, About: about, Settings: []Setting{set}, serveAll: serveSDK}
}

// serveSDK serves all new people from one folder. They are taught in one LearnMany, so that none of
// the first 128 begins where another of them ended.
func serveSDK(ctx context.Context, w *World, parts []*Part, s Setting) (all []served, err error) {
	settled, err := w.settled(ctx, s.Service.Warm)
	if err != nil {
		return nil, err
	}
	h, err := w.copyHome(settled, "run")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(h.dir)) }()
	all = make([]served, len(parts))
	if err := h.use(func(p *sdk.Folder) error { return s.Service.serve(ctx, p, w, parts, all) }); err != nil ||
		s.Service.Learn == nil {
		return all, err
	}
	return all, h.read(func(st *store.Store) error {
		for i, part := range parts {
			rec, err := st.Get(part.ID)
			if err != nil {
				return err
			}
			all[i].mask = rec.Mask
		}
		return nil
	})
}

// serve teaches the people and asks for their test texts.
func (s Service) serve(ctx context.Context, p *sdk.Folder, w *World, parts []*Part, all []served) error {
	began := time.Now()
	if s.Learn != nil {
		var requests []sdk.LearnRequest
		for _, part := range parts {
			requests = append(requests, sdk.LearnRequest{Profile: part.ID, Examples: part.told(part.train)})
		}
		results, err := learnAll(ctx, p, requests, s.Learn)
		if err != nil {
			return err
		}
		for i, r := range results {
			all[i].bytes = r.Report.Bytes
		}
	}
	var requests []sdk.Request
	for _, part := range parts {
		for _, e := range part.told(part.test) {
			requests = append(requests, sdk.Request{Profile: part.ID, Text: e.Text, Pair: e.Pair,
				Fallback: s.Fallback, NoTaught: true})
		}
	}
	answers, err := p.PredictBatch(ctx, requests)
	if err != nil {
		return err
	}
	for i, part := range parts {
		if all[i].predicted, err = w.classes(answers[:len(part.test)]); err != nil {
			return fmt.Errorf("person %s: %w", part.ID, err)
		}
		answers = answers[len(part.test):]
		all[i].seconds = time.Since(began).Seconds() / float64(len(parts))
	}
	return nil
}

// classes are the places of the answers' labels.
func (w *World) classes(answers []sdk.Prediction) ([]int, error) {
	out := make([]int, len(answers))
	for i, a := range answers {
		if a.Err != nil {
			return nil, a.Err
		}
		out[i] = slices.IndexFunc(w.Labels, func(l string) bool { return model.CleanLabel(l) == a.Label })
	}
	return out, nil
}
