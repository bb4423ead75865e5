package main

import (
	"context"

	"github.com/xpeft/xpeft/sdk"
)

// shown are the messages of unseen.jsonl that the table shows: those that people disagree on most.
var shown = []string{"servers", "deliveries", "travel", "invites", "sports", "meetings"}

// ask asks for all people about the same messages, in one batch.
func (s *show) ask(ctx context.Context) error {
	answers, err := s.predict(ctx, s.questions())
	if err != nil {
		return err
	}
	s.printf("\n3. Ask: the same messages, seen by nobody before, for each of the people (✓ as they would file " +
		"it).\n\n")
	const width = 46
	t := table{widths: []int{-width}}
	header := []any{"message"}
	for _, p := range s.people {
		t.widths = append(t.widths, -10)
		header = append(header, p.name)
	}
	t.row(header...)
	t.rule()
	right := score{}
	at := map[string]bool{} // topics that are shown already
	for i, m := range s.unseen {
		lines := wrap(m.Text, width-2)
		row := []any{lines[0]}
		for j, p := range s.people {
			a := answers[i*len(s.people)+j]
			right.add(a.Label == m.Labels[p.name])
			row = append(row, a.Label+" "+mark(a.Label == m.Labels[p.name]))
		}
		if !isShown(m.Topic) || at[m.Topic] {
			continue
		}
		at[m.Topic] = true
		t.row(row...)
		for _, l := range lines[1:] {
			t.row(l)
		}
	}
	t.print(s.out)
	s.printf("\n  All %d messages that nobody has seen, for all: %d of %d answers are right, %v.\n", len(s.unseen),
		right.right, right.of, right)
	s.printf("  For comparison: nothing personal %v; the paper's masks %s; own head %v.\n", s.others.base,
		s.byPaper(s.others), s.others.head)
	return nil
}

// questions are all unseen messages for all people: message by message.
func (s *show) questions() (requests []sdk.Request) {
	for _, m := range s.unseen {
		for _, p := range s.people {
			requests = append(requests, sdk.Request{Profile: p.name, Text: m.Text, NoTaught: true})
		}
	}
	return requests
}

func isShown(topic string) bool {
	for _, t := range shown {
		if t == topic {
			return true
		}
	}
	return false
}

func mark(right bool) string {
	if right {
		return "✓"
	}
	return "✗"
}
