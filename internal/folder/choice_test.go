package folder

import (
	"slices"
	"testing"

	"github.com/xpeft/xpeft/store"
)

// TestReadChoice: what Choice made is read, and nothing else that a bundle might have brought: the
// fits behind take it that each candidate has a text, and stands there once.
func TestReadChoice(t *testing.T) {
	e, err := Choice("for", []string{"b <\u2028>", "a"}, "a")
	must(t, err)
	want := []string{"a", "b <\u2028>"}
	if candidates, chosen, ok := ReadChoice(e); !ok || chosen != "a" || !slices.Equal(candidates, want) {
		t.Errorf("got %q, %q, %t", candidates, chosen, ok)
	}
	for pair, label := range map[string]string{
		`["","a"]`: "\x02a", `[null,"a"]`: "\x02a", `["","b"]`: "\x02", `["a","a"]`: "\x02a",
		`["a","a","b"]`: "\x02b", `["b","a"]`: "\x02a", `["a"]`: "\x02a", `[]`: "\x02", `null`: "\x02",
		`["a","b"]`: "\x02c", `["b","c"]`: "b", `{"a":"b"}`: "\x02a", "": "\x02",
	} {
		if c, chosen, ok := ReadChoice(store.Example{Pair: pair, Label: label}); ok {
			t.Errorf("%s, %q: got %q of %q, want no choice", pair, label, chosen, c)
		}
	}
}
