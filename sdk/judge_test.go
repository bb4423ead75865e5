package sdk

import (
	"testing"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// TestFirstRevisionIsWeighedOnce: a first revision with digits, which Learn found more probable
// than the prior, is not asked for a lower loss again; those after it are.
func TestFirstRevisionIsWeighedOnce(t *testing.T) {
	answers := func(right int, loss float64) (out []digits.Answer) {
		for i := range 8 {
			out = append(out, digits.Answer{Known: true, Right: i < right, Loss: loss})
		}
		return out
	}
	head := &model.Head{Labels: []string{"no", "yes"}}
	who := &digits.Person{C: 2, Class: make([]int, 8)}
	prior, coded := answers(5, 0.60), &store.Profile{Examples: 8, Codes: []store.Code{{}}}
	for name, c := range map[string]struct {
		old   *snapshot
		after []digits.Answer
		want  bool
	}{
		"first, more loss":      {nil, answers(5, 0.65), true},
		"first, three fewer":    {nil, answers(2, 0.55), false},
		"later, more loss":      {&snapshot{record: coded, head: head}, answers(5, 0.65), false},
		"later, no more of it":  {&snapshot{record: coded, head: head}, answers(5, 0.60), true},
		"observed, more loss":   {&snapshot{record: &store.Profile{}, head: head}, answers(5, 0.65), true},
		"observed, three fewer": {&snapshot{record: &store.Profile{}, head: head}, answers(2, 0.55), false},
	} {
		l := &learning{old: c.old, digits: true, headRef: 1, head: head,
			outcome: outcome{who: who, after: c.after, prior: prior, record: coded}}
		if got, reason := l.judge(prior); got != c.want {
			t.Errorf("%s: got %v, %q, want %v", name, got, reason, c.want)
		}
	}
}
