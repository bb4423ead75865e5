package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/sdk"
)

type questions struct {
	Questions []sdk.Question `json:"questions"`
}

// likes are statements on two things, and what somebody who likes one of them says of each.
func likes(thing string) (all []sdk.Example) {
	for _, s := range []string{"a new %s is built in the old town", "the city pays for the %s",
		"we spent the evening at the %s", "children should learn about the %s at school",
		"my friends talk of nothing but the %s", "tickets for the %s are sold out",
		"there is a long report on the %s in the paper", "they closed the %s last year"} {
		for _, of := range []string{"football stadium", "opera house"} {
			label := "ignore"
			if of == thing {
				label = "later"
			}
			all = append(all, sdk.Example{Text: fmt.Sprintf(s, of), Label: label})
		}
	}
	return all
}

// TestAsk: a new user answers two questions of three, skips one, and is served by them.
func TestAsk(t *testing.T) {
	p := open(t, t.TempDir())
	b := start(t, p, nil)
	for i := range 24 {
		thing := []string{"football stadium", "opera house"}[i%2]
		if code, err := b.call(http.DefaultClient, "POST", fmt.Sprintf("/v1/profiles/old-%d/learn", i),
			taught{Examples: likes(thing)}, nil); err != nil || code != 200 {
			t.Fatal(code, err)
		}
	}
	if rep, err := p.TrainBank(context.Background(), &sdk.TrainBankOptions{KeepTexts: true}); err != nil ||
		rep.KeptTexts != 16 {
		t.Fatalf("got %+v, %v, want axes and 16 texts", rep, err)
	}
	var first, next questions
	if code, err := b.call(http.DefaultClient, "GET", "/v1/profiles/new/ask", nil, &first); err != nil || code != 200 ||
		len(first.Questions) != 3 || len(first.Questions[0].Labels) != len(labels) {
		t.Fatalf("got %d, %v, %+v, want three questions", code, err, first)
	}
	skipped := first.Questions[0].Text
	var answers taught
	for _, e := range likes("opera house") {
		if e.Text == first.Questions[1].Text || e.Text == first.Questions[2].Text {
			answers.Examples = append(answers.Examples, e)
		}
	}
	if code, err := b.call(http.DefaultClient, "POST", "/v1/profiles/new/learn", answers, nil); err != nil || code != 200 {
		t.Fatal(code, err)
	}
	if code, err := b.call(http.DefaultClient, "GET", "/v1/profiles/new/ask?n=20&skip="+url.QueryEscape(skipped), nil,
		&next); err != nil || code != 200 || len(next.Questions) != 13 {
		t.Errorf("got %d, %v, %d questions, want 13 others", code, err, len(next.Questions))
	}
	for _, q := range next.Questions {
		for _, before := range first.Questions {
			if q.Text == before.Text {
				t.Errorf("%q is asked again", q.Text)
			}
		}
	}
	for _, thing := range []string{"football stadium", "opera house"} {
		var got sdk.Prediction
		want := "ignore"
		if strings.HasPrefix(thing, "opera") {
			want = "later"
		}
		if code, err := b.call(http.DefaultClient, "POST", "/v1/profiles/new/predict",
			asked{Text: "a walk along the " + thing}, &got); err != nil || code != 200 || got.Label != want {
			t.Errorf("%s: got %d, %v, %+v, want %s", thing, code, err, got, want)
		}
	}
}
