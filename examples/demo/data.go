package main

import (
	"bufio"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/xpeft/xpeft/sdk"
)

//go:embed data/people.jsonl data/unseen.jsonl data/islanders.json
var data embed.FS

var labels = []string{"urgent", "later", "ignore"}

// topics is how many there are: each round of so many messages of a person holds one of each.
const topics = 12

// person is somebody's messages, filed by them.
type person struct {
	name  string
	learn []sdk.Example // what Learn sees
	kept  []sdk.Example // what it never sees: accuracy is measured on these
}

// message is one that nobody has filed, with the answer that each person would give.
type message struct {
	Text   string            `json:"text"`
	Topic  string            `json:"topic"`
	Labels map[string]string `json:"labels"`
}

// readPeople splits each person's list by rounds: the second of every three is kept back, so that
// both parts hold every topic.
func readPeople() ([]person, error) {
	var people []person
	at := map[string]int{} // name → index into people
	seen := map[string]int{}
	err := readLines("data/people.jsonl", func(line []byte) error {
		var row struct{ Profile, Text, Label string }
		if err := json.Unmarshal(line, &row); err != nil {
			return err
		}
		i, ok := at[row.Profile]
		if !ok {
			i = len(people)
			at[row.Profile] = i
			people = append(people, person{name: row.Profile})
		}
		p, e := &people[i], sdk.Example{Text: row.Text, Label: row.Label}
		if seen[row.Profile]/topics%3 == 1 {
			p.kept = append(p.kept, e)
		} else {
			p.learn = append(p.learn, e)
		}
		seen[row.Profile]++
		return nil
	})
	return people, err
}

func readUnseen() (messages []message, err error) {
	err = readLines("data/unseen.jsonl", func(line []byte) error {
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			return err
		}
		messages = append(messages, m)
		return nil
	})
	return messages, err
}

func readLines(name string, each func([]byte) error) error {
	f, err := data.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			if err := each(line); err != nil {
				return fmt.Errorf("%s, line %d: %w", name, n, err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// majority is how often the person's most frequent label among those learned is right on the
// kept-back messages.
func (p *person) majority() score {
	count := map[string]int{}
	best := ""
	for _, e := range p.learn {
		count[e.Label]++
		if best == "" || count[e.Label] > count[best] {
			best = e.Label
		}
	}
	var s score
	for _, e := range p.kept {
		s.add(e.Label == best)
	}
	return s
}

// score counts right answers.
type score struct{ right, of int }

func (s *score) add(right bool) {
	s.of++
	if right {
		s.right++
	}
}

func (s *score) join(o score) { s.right, s.of = s.right+o.right, s.of+o.of }

func (s score) String() string {
	return fmt.Sprintf("%.1f %%", 100*float64(s.right)/float64(max(s.of, 1)))
}
