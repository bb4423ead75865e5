package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/xpeft/xpeft/sdk"
)

// result is how many messages each way of answering gets right.
type result struct {
	majority, base score
	head           score // an own head, trained on all that Learn got
	paper          score // masks over adapters in all blocks, with the paper's settings
	profile        score
}

func (r *result) join(o result) {
	r.majority.join(o.majority)
	r.base.join(o.base)
	r.head.join(o.head)
	r.paper.join(o.paper)
	r.profile.join(o.profile)
}

// compare measures accuracy on the messages that Learn never saw.
func (s *show) compare(ctx context.Context, model string) error {
	b, err := openBaseline(model)
	if err != nil {
		return err
	}
	defer b.close()
	s.printf("\n2. Compare: the share of kept-back messages that are filed as their owner filed them.\n\n")
	t := table{widths: []int{-7, 7, 10, 11, 13, 10, 10, 9, 9}}
	t.row("", "kept", "majority", "nothing", "the paper's", "own", "xpeft", "profile", "Learn")
	t.row("", "back", "label", "personal", "masks", "head", "profile", "bytes", "seconds")
	t.rule()
	var all result
	bytes, seconds := 0, 0.0
	for i := range s.people {
		p, rep := &s.people[i], s.reports[i]
		kept, other, err := s.measure(ctx, b, p)
		if err != nil {
			return err
		}
		all.join(kept)
		s.others.join(other)
		bytes += rep.Bytes
		seconds += rep.Seconds
		t.row(p.name, strconv.Itoa(kept.profile.of), kept.majority, kept.base, s.byPaper(kept), kept.head,
			kept.profile, strconv.Itoa(rep.Bytes), seconds1(rep.Seconds))
	}
	t.rule()
	t.row("all", strconv.Itoa(all.profile.of), all.majority, all.base, s.byPaper(all), all.head, all.profile,
		thousands(bytes), seconds1(seconds))
	t.print(s.out)
	s.printf("\n  nothing personal  the shared head, made from the labels' names: what answers on day 0\n")
	s.printf("  the paper's masks k-hot masks over adapters in all blocks, with the paper's settings,\n")
	if s.trainsAll {
		s.printf("                    which are for far more texts than one person's\n")
	} else {
		s.printf("                    which libtorch trains alone: go run -tags torch ./examples/demo\n")
	}
	s.printf("  own head          %d × %d floats (%s bytes) for each person on the frozen model\n", len(labels),
		b.env.Encoder.Hidden()+1, thousands(b.bytes()))
	s.printf("  xpeft profile     the shared head, a row of digits for each label (%d bytes), scales, prior, bias\n",
		s.reports[0].MaskBytes)
	return nil
}

// byPaper is the score of the paper's masks, or that there are none.
func (s *show) byPaper(r result) string {
	if !s.trainsAll {
		return "-"
	}
	return r.paper.String()
}

func seconds1(s float64) string { return fmt.Sprintf("%.1f", s) }

// measure scores one person's messages, and the unseen ones as this person would file them.
func (s *show) measure(ctx context.Context, b *baseline, p *person) (kept, unseen result, err error) {
	var other []sdk.Example
	for _, m := range s.unseen {
		other = append(other, sdk.Example{Text: m.Text, Label: m.Labels[p.name]})
	}
	if kept.head, unseen.head, err = b.headOnly(ctx, p.learn, p.kept, other); err != nil {
		return kept, unseen, err
	}
	kept.majority = p.majority()
	type asked struct {
		to      *score
		profile string // empty: the base
		on      []sdk.Example
	}
	all := []asked{{&kept.base, "", p.kept}, {&kept.profile, p.name, p.kept}, {&unseen.base, "", other},
		{&unseen.profile, p.name, other}}
	if s.trainsAll {
		all = append(all, asked{&kept.paper, byPaper(p.name), p.kept}, asked{&unseen.paper, byPaper(p.name), other})
	}
	for _, c := range all {
		if *c.to, err = s.accuracy(ctx, c.profile, c.on); err != nil {
			return kept, unseen, err
		}
	}
	return kept, unseen, nil
}

func (s *show) accuracy(ctx context.Context, profile string, on []sdk.Example) (sc score, err error) {
	requests := make([]sdk.Request, len(on))
	for i, e := range on {
		requests[i] = sdk.Request{Profile: profile, Base: profile == "", Text: e.Text,
			NoTaught: true} // it is the model that is measured
	}
	answers, err := s.predict(ctx, requests)
	for i, a := range answers {
		sc.add(a.Label == on[i].Label)
	}
	return sc, err
}

// predict answers a batch in which every row must succeed.
func (s *show) predict(ctx context.Context, requests []sdk.Request) ([]sdk.Prediction, error) {
	answers, err := s.profiles.PredictBatch(ctx, requests)
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		if a.Err != nil {
			return nil, fmt.Errorf("predict for %q: %w", a.Profile, a.Err)
		}
	}
	return answers, nil
}
