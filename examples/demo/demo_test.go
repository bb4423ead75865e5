package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/xpeft/xpeft/sdk"
)

func read(t *testing.T) ([]person, []message) {
	t.Helper()
	people, err := readPeople()
	if err != nil {
		t.Fatal(err)
	}
	unseen, err := readUnseen()
	if err != nil {
		t.Fatal(err)
	}
	return people, unseen
}

func TestPeople(t *testing.T) {
	people, unseen := read(t)
	names := []string{"dana", "marco", "ines", "yusuf", "lea"}
	seen := map[string]bool{}
	for i, p := range people {
		if p.name != names[i] {
			t.Errorf("person %d: got %s, want %s", i, p.name, names[i])
		}
		if len(p.kept) != 2*topics || len(p.learn) < 53 || len(p.learn) > 56 {
			t.Errorf("%s: got %d and %d messages, want 53 to 56 and %d", p.name, len(p.learn), len(p.kept), 2*topics)
		}
		for _, e := range slices.Concat(p.learn, p.kept) {
			if seen[e.Text] || e.Text == "" {
				t.Errorf("%s: %q is empty or there twice", p.name, e.Text)
			}
			seen[e.Text] = true
			if !slices.Contains(labels, e.Label) {
				t.Errorf("%s: %q has label %q, want one of %v", p.name, e.Text, e.Label, labels)
			}
		}
	}
	if len(people) != len(names) || len(seen) != 396 {
		t.Errorf("got %d people with %d messages, want %d with 396", len(people), len(seen), len(names))
	}
	for _, m := range unseen {
		if seen[m.Text] {
			t.Errorf("%q is in somebody's list, want it unseen", m.Text)
		}
		seen[m.Text] = true
	}
}

func TestUnseen(t *testing.T) {
	people, unseen := read(t)
	count := map[string]int{}
	for _, m := range unseen {
		count[m.Topic]++
		for _, p := range people {
			if l := m.Labels[p.name]; !slices.Contains(labels, l) {
				t.Errorf("%q: %s has label %q, want one of %v", m.Text, p.name, l, labels)
			}
		}
		if len(m.Labels) != len(people) {
			t.Errorf("%q: got labels of %d people, want %d", m.Text, len(m.Labels), len(people))
		}
	}
	if len(unseen) != 2*topics || len(count) != topics {
		t.Errorf("got %d messages on %d topics, want %d on %d", len(unseen), len(count), 2*topics, topics)
	}
	for _, topic := range shown {
		if count[topic] != 2 {
			t.Errorf("topic %s: got %d messages, want 2", topic, count[topic])
		}
	}
}

// TestIslanders: each letter stands for a statement, and what is kept back of newcomers is not
// asked.
func TestIslanders(t *testing.T) {
	in, err := readIslanders()
	if err != nil || len(in.Statements) != 45 || len(in.People) != 80 {
		t.Fatalf("got %d people and %d statements, %v", len(in.People), len(in.Statements), err)
	}
	for k, votes := range in.People {
		if len(votes) != len(in.Statements) || strings.Trim(votes, "adp-") != "" {
			t.Errorf("person %d: got %q", k, votes)
		}
		kept, others := in.answers(k, true), in.answers(k, false)
		if n := strings.Count(votes, "a") + strings.Count(votes, "d"); len(kept)+len(others) != n || n < 30 ||
			len(others) < questions {
			t.Errorf("person %d: got %d and %d answers, want %d", k, len(kept), len(others), n)
		}
		for _, e := range kept {
			if slices.ContainsFunc(others, func(o sdk.Example) bool { return o.Text == e.Text }) {
				t.Errorf("person %d: %q is on both sides", k, e.Text)
			}
		}
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	tab := table{widths: []int{-6, 4}}
	tab.row("ünï", 12)
	tab.rule()
	tab.row("a")
	tab.print(&b)
	if got, want := b.String(), "  ünï     12\n  ──────────\n  a\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := strings.Join(wrap("one two  three", 7), "|"), "one two|three"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := thousands(1234567)+" "+thousands(999), "1,234,567 999"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDemo runs all of the demo for two people.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("two people learn, and a bank: a minute")
	}
	model := os.Getenv("XPEFT_MODEL")
	if model == "" {
		t.Fatal("XPEFT_MODEL is not set: run `eval \"$(scripts/env.sh)\"` first")
	}
	people, unseen := read(t)
	var b bytes.Buffer
	s := &show{out: &b, people: people[:2], unseen: unseen}
	err := s.run(t.Context(), model)
	t.Logf("\n%s", b.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"dana", "marco", "identical", "not found", "after three answers, chosen by Ask"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the output does not say %q", want)
		}
	}
	for _, l := range strings.Split(b.String(), "\n") {
		if n := utf8.RuneCountInString(l); n > 100 {
			t.Errorf("a line of %d columns, want at most 100: %s", n, l)
		}
	}
}
