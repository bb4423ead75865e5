package population

import "testing"

// TestWorth: a gain that is sure may still be too small to be worth an axis.
func TestWorth(t *testing.T) {
	trial := func(rank int, gain float64, people ...float64) *Trial {
		return &Trial{Setting: Setting{Rank: rank}, Gain: gain, all: losses{people: people}}
	}
	none := trial(0, 0, 0.5, 0.6, 0.7)
	one := trial(1, 0.1, 0.4, 0.5, 0.6)
	for _, c := range []struct {
		name       string
		t, smaller *Trial
		want       bool
	}{
		{"a sure gain", one, none, true},
		{"one below a hundredth of the loss", trial(1, 0.005, 0.495, 0.595, 0.695), none, false},
		{"one just above", trial(1, 0.007, 0.493, 0.593, 0.693), none, true},
		{"an unsure one", trial(1, 0.1, 0.2, 0.7, 0.6), none, false},
		{"a second axis", trial(2, 0.11, 0.39, 0.49, 0.59), one, true},
		{"one that adds less than a fiftieth", trial(2, 0.101, 0.399, 0.499, 0.599), one, false},
		{"one person", trial(1, 0.1, 0.4), trial(0, 0, 0.5), false},
	} {
		if got := c.t.worth(c.smaller); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
