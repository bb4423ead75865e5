package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/xpeft/xpeft/examples/chatbot/web"
	"github.com/xpeft/xpeft/sdk"
)

const (
	// rounds of so many messages a person are learned one after the other, as if they came on
	// several days: so the curves have a beginning.
	rounds, roundSize = 4, 12
)

// person of a file, with messages in the order of the file.
type person struct {
	name     string
	messages []sdk.Example
}

// teach teaches the people of a file, a JSON object with profile, text and label a line, and then
// the shared head what they taught. The messages that are left over are samples to try.
func teach(ctx context.Context, p *sdk.Folder, file string, curves *web.Curves) (*web.Options, error) {
	people, err := readPeople(file)
	if err != nil {
		return nil, err
	}
	for round := range rounds {
		var requests []sdk.LearnRequest
		for _, who := range people {
			from := min(round*roundSize, len(who.messages))
			if some := who.messages[from:min(from+roundSize, len(who.messages))]; len(some) > 0 {
				requests = append(requests, sdk.LearnRequest{Profile: who.name, Examples: some})
			}
		}
		results, err := p.LearnMany(ctx, requests, nil)
		for _, r := range results {
			if err = errors.Join(err, r.Err); r.Report != nil {
				curves.Learned(r.Report.Profile, r.Report)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	report, err := p.TrainHead(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &web.Options{Samples: samples(people), Every: observeEvery, Population: report.Installed}, nil
}

func readPeople(file string) (people []*person, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	known := map[string]*person{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		var row struct {
			Profile string `json:"profile"`
			sdk.Example
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", file, n, err)
		}
		if known[row.Profile] == nil {
			known[row.Profile] = &person{name: row.Profile}
			people = append(people, known[row.Profile])
		}
		known[row.Profile].messages = append(known[row.Profile].messages, row.Example)
	}
	return people, lines.Err()
}

// samples are the messages that were not learned: a person's own, and for all others some of each.
func samples(people []*person) map[string][]string {
	out := map[string][]string{}
	for _, who := range people {
		for _, m := range who.messages[min(rounds*roundSize, len(who.messages)):] {
			out[who.name] = append(out[who.name], m.Text)
		}
		own := out[who.name]
		out[""] = append(out[""], own[:min(4, len(own))]...)
	}
	return out
}
