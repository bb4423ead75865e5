package folder

import (
	"slices"
	"testing"

	"github.com/xpeft/xpeft/store"
)

// TestLabelSet: a set is read as it was given, in whatever order, and nothing else is a set.
func TestLabelSet(t *testing.T) {
	for _, labels := range [][]string{nil, {}, {"b", "a"}, {"<a,\"b\">", "ü]"}} {
		got, ok := ReadLabelSet(LabelSet(labels))
		if want := slices.Sorted(slices.Values(labels)); !ok || got == nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %t", labels, got, ok)
		}
	}
	if a, b := LabelSet([]string{"a", "b"}), LabelSet([]string{"b", "a"}); a != b || !Reserved(a) || !Reserved(LabelSet(nil)) {
		t.Errorf("got %q and %q", a, b)
	}
	for _, label := range []string{"", "a", "\x03", "\x03null", "\x03{}", "\x03[1]", NumberLabel(1), "\x02a"} {
		if got, ok := ReadLabelSet(label); ok {
			t.Errorf("%q: got the set %q", label, got)
		}
	}
}

// TestMulti: a folder's labels are exclusive unless its meta says so.
func TestMulti(t *testing.T) {
	for said, want := range map[string]bool{"": false, "1": true} {
		m := store.Meta{Extra: map[string]string{ExtraK: "1"}}
		if said != "" {
			m.Extra[ExtraMulti] = said
		}
		if got, err := ReadExtra(m); got.Multi != want || err != nil {
			t.Errorf("%q: got %t, %v", said, got.Multi, err)
		}
	}
	if _, err := ReadExtra(store.Meta{Extra: map[string]string{ExtraK: "1", ExtraMulti: "2"}}); err == nil {
		t.Error("got no error of a kind that is not known")
	}
}
