package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/serve"
)

const demoFile = "../demo/data/people.jsonl"

// site is the program, serving.
type site struct {
	url   string
	stop  context.CancelFunc
	ended chan error
}

// startSite runs the program over a folder; with a demo it is taught first.
func startSite(t *testing.T, addr, dir, demo string, limits serve.Limits) *site {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s, ready := &site{stop: stop, ended: make(chan error, 1)}, make(chan string, 1)
	b := bot{dir: dir, demo: demo, limits: limits, log: slog.New(slog.DiscardHandler),
		ready:  func(url string) { ready <- url },
		config: sdk.Config{Model: os.Getenv("XPEFT_MODEL"), Labels: labels}}
	go func() { s.ended <- b.run(ctx, addr) }()
	t.Cleanup(func() { s.end(t) })
	select {
	case s.url = <-ready:
	case err := <-s.ended:
		s.ended <- nil
		t.Fatalf("the program ended: %v", err)
	}
	return s
}

func (s *site) end(t *testing.T) {
	t.Helper()
	s.stop()
	if err := <-s.ended; err != nil {
		t.Errorf("the program: got %v, want it to end well", err)
	}
	s.ended <- nil
}

// message is on nobody's list; dana says that it is urgent, and yusuf that he ignores it.
const message = "The web server has stopped answering"

// TestPage is the page in a browser, over the program with the demo's people.
func TestPage(t *testing.T) {
	browser := browser(t)
	dir := filepath.Join(t.TempDir(), "people")
	s := startSite(t, "127.0.0.1:0", dir, demoFile, serve.Limits{})
	for name, test := range map[string]func(*testing.T, context.Context, *site){
		"learns by clicking": learnsByClicking, "takes thumbs": takesThumbs, "newcomer": newcomer, "keys": keys,
		"side by side": sideBySide, "operators": operators, "themes": themes,
	} {
		t.Run(name, func(t *testing.T) { test(t, browser, s) })
	}
	t.Run("accessible", func(t *testing.T) { accessible(t, browser, s) })
	t.Run("screenshots", func(t *testing.T) { screenshots(t, browser, s) })
	t.Run("offline", func(t *testing.T) { offline(t, browser, s, dir) })
}

// learnsByClicking: a label that is pressed is the answer from then on, four of them move the
// curve, a reload shows the same, and nobody else is touched.
func learnsByClicking(t *testing.T, browser context.Context, s *site) {
	b := newTab(t, browser, s.url, 1280, "light")
	b.person("ines", "marco")
	before := b.text("#profile .curve")
	data := func(id string) string {
		return eval[string](b, fmt.Sprintf(`fetch("/v1/profiles/%s/data").then((r) => r.text())`, id))
	}
	untouched := data("marco")
	for i, text := range []string{message, "The database is down again", "Two disks of the array have failed", "Pager: load on node nine"} {
		b.ask(text)
		if _, source := b.answer("ines"); source != "profile" {
			t.Errorf("before it was taught: got an answer by %s, want the profile's", source)
		}
		b.click(`.message .answer[aria-label="Answer for ines"] li:nth-child(2) button`)
		b.wantAnswer("ines", "later", "taught")
		if _, source := b.answer("marco"); source != "profile" {
			t.Errorf("marco: got an answer by %s, want his profile's", source)
		}
		if i < 3 {
			b.wait(fmt.Sprintf(`document.querySelectorAll('.dots [data-on="true"]').length === %d`, i+1))
		}
	}
	b.wait(`(document.querySelector("#profile .curve")?.textContent ?? "") !== "" &&
		document.querySelector("#profile .curve .last").textContent === "after 4 learnings"`)
	if after := b.text("#profile .curve"); after == before {
		t.Errorf("got the same curve, want one that moved: %q", after)
	}
	b.run(chromedp.Reload())
	b.wait(`document.querySelectorAll(".message").length === 4`)
	b.wantAnswer("ines", "later", "taught")
	if !strings.Contains(b.text("#profile .taught"), message) {
		t.Errorf("got the taught texts %q, want %q among them", b.text("#profile .taught"), message)
	}
	if got := data("marco"); got != untouched {
		t.Errorf("marco: got\n%.300s\nafter ines learned, want what was before\n%.300s", got, untouched)
	}
}

// takesThumbs: right, wrong, and forgetting one text and a person.
func takesThumbs(t *testing.T, browser context.Context, s *site) {
	b := newTab(t, browser, s.url, 1280, "dark")
	b.person("tess", "")
	b.ask(message)
	label, _ := b.answer("tess")
	b.click(".verdict button:nth-of-type(2)") // wrong
	b.wait(`document.querySelector(".bar .mark:not(:empty)")?.innerText === "not this"`)
	b.wait(fmt.Sprintf(`document.querySelector("#profile .tag")?.innerText === %q`, "not "+label))
	label, _ = b.answer("tess")               // which may be another now
	b.click(".verdict button:nth-of-type(1)") // right
	b.wantAnswer("tess", label, "taught")
	b.click(".verdict button") // forget this one
	b.wait(`document.querySelectorAll("#profile .taught li").length === 0`)
	b.wait(`document.querySelector(".answer").dataset.source !== "taught"`)
	b.click("#profile > button.bad")
	b.click(`dialog[open] button[value="no"]`)
	b.click("#profile > button.bad")
	b.click(`dialog[open] button[value="yes"]`)
	b.wait(`document.querySelector("#profile").innerText.includes("is new")`)
}

// newcomer: somebody who taught nothing is answered by the population, and then by the prior.
func newcomer(t *testing.T, browser context.Context, s *site) {
	b := newTab(t, browser, s.url, 1280, "light")
	b.open("/")
	b.run(chromedp.SendKeys("#name", "Zoë / 7%\r", chromedp.ByQuery)) // an id that must be escaped
	b.wait(`document.querySelector("#who").innerText === "Zoë / 7%"`)
	b.ask(message)
	if _, source := b.answer("Zoë / 7%"); source != "population" {
		t.Errorf("got an answer by %s, want the population's", source)
	}
	b.click(".bar")
	b.wantAnswer("Zoë / 7%", "urgent", "taught")
	b.ask("Half price on garden chairs")
	if _, source := b.answer("Zoë / 7%"); source != "prior" {
		t.Errorf("got an answer by %s, want the prior's", source)
	}
	b.run(chromedp.Reload())
	b.wait(`document.querySelector(".roster [aria-pressed=true] .name")?.innerText === "Zoë / 7%" && document.querySelectorAll(".message").length === 2`)
}

// keys: all of it by the keyboard alone.
func keys(t *testing.T, browser context.Context, s *site) {
	b := newTab(t, browser, s.url, 1280, "light")
	b.person("kim", "")
	b.run(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter)) // the link that skips to the message
	b.wait(`document.activeElement.id === "message"`)
	b.run(chromedp.KeyEvent("two"), chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(input.ModifierShift)), chromedp.KeyEvent("lines"),
		chromedp.KeyEvent(kb.Enter))
	b.wait(`document.querySelector(".message .text")?.textContent === "two\nlines" && document.querySelector("#message").value === ""`)
	for range 20 {
		if eval[bool](b, `document.activeElement.matches(".bar")`) {
			break
		}
		b.run(chromedp.KeyEvent(kb.Tab))
	}
	b.run(chromedp.KeyEvent("3"))
	b.wantAnswer("kim", "ignore", "taught")
	if !eval[bool](b, `document.activeElement.matches(".bar")`) {
		t.Error("got the focus lost after a correction, want it where it was")
	}
}

func sideBySide(t *testing.T, browser context.Context, s *site) {
	b := newTab(t, browser, s.url, 1280, "light")
	b.person("dana", "yusuf")
	b.ask(message)
	b.wantAnswer("dana", "urgent", "profile")
	b.wantAnswer("yusuf", "ignore", "profile")
	for _, id := range []string{"dana", "yusuf"} {
		sum := eval[float64](b, fmt.Sprintf(
			`[...document.querySelectorAll('.message .answer[aria-label="Answer for %s"] .p')].reduce((a, p) => a + parseFloat(p.innerText), 0)`, id))
		if sum < 98 || sum > 102 {
			t.Errorf("%s: got bars of %g %% in all, want 100", id, sum)
		}
	}
	b.run(chromedp.SetValue("#with", "", chromedp.ByQuery),
		chromedp.Evaluate(`document.querySelector("#with").dispatchEvent(new Event("change"))`, nil))
	b.wait(`document.querySelectorAll(".answer").length === 1`)
}

func operators(t *testing.T, browser context.Context, s *site) {
	b := newTab(t, browser, s.url, 1280, "dark")
	b.open("/operators")
	b.wait(`document.querySelectorAll(".map a").length >= 5 && document.querySelectorAll("#masks canvas").length > 3`)
	for _, name := range []string{"dana", "ines", "lea", "marco", "yusuf"} {
		if got := b.text("#table"); !strings.Contains(got, name) {
			t.Errorf("got the table %q, want %s in it", got, name)
		}
	}
	if got := b.text("#numbers"); !strings.Contains(got, "bytes") || !strings.Contains(got, "Queue") {
		t.Errorf("got the numbers %q, want bytes and the queue", got)
	}
	drawn := eval[int](b, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
		const c = document.querySelector("#masks canvas");
		done(new Set(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.filter((_, i) => i % 4 === 3)).size);
	})))`)
	if drawn != 4 {
		t.Errorf("got masks of %d levels, want 4", drawn)
	}
	b.click("#advise")
	b.wait(`document.querySelector("#advice .big")?.innerText.startsWith("A bank of these people is")`)
}

// themes: what the system prefers, then what was chosen; and no motion where none is wanted.
func themes(t *testing.T, browser context.Context, s *site) {
	for _, theme := range []string{"light", "dark"} {
		b := newTab(t, browser, s.url, 1280, theme)
		b.open("/")
		if got := eval[string](b, "document.documentElement.dataset.theme"); got != theme {
			t.Errorf("got the theme %s, want %s as the system prefers", got, theme)
		}
		if got := eval[string](b, `getComputedStyle(document.querySelector("#said")).animationName`); got != "none" {
			t.Errorf("got the animation %s, want none", got)
		}
	}
	b := newTab(t, browser, s.url, 1280, "light")
	b.open("/")
	b.click("#theme")
	b.open("/operators")
	if got := eval[string](b, "document.documentElement.dataset.theme"); got != "dark" {
		t.Errorf("got the theme %s on the other page, want dark as chosen", got)
	}
	eval[any](b, `localStorage.removeItem("theme")`)
}

// TestPageLimit: beyond the limit of a profile the page says so, and what was asked for can be
// tried again.
func TestPageLimit(t *testing.T) {
	browser := browser(t)
	s := startSite(t, "127.0.0.1:0", t.TempDir()+"/slow", "", serve.Limits{Rate: 0.3, Burst: 4})
	b := newTab(t, browser, s.url, 1280, "light")
	b.expect("429")
	b.person("ana", "")
	b.ask(message)
	for i := range 8 {
		b.click(fmt.Sprintf(".bars li:nth-child(%d) button", i%2+1))
		time.Sleep(100 * time.Millisecond)
		if !eval[bool](b, `document.querySelector("#trouble").hidden`) {
			break
		}
	}
	b.wait(`document.querySelector("#trouble p")?.innerText.startsWith("Too many requests at once")`)
	for end := time.Now().Add(patience); !eval[bool](b, `document.querySelector("#trouble").hidden`); {
		if time.Now().After(end) {
			t.Fatalf("got %q each time, want it to work in the end", b.text("#trouble"))
		}
		time.Sleep(12 * time.Second) // until a few requests are allowed again
		b.click("#trouble button")
		b.wait(`document.querySelector("#trouble").hidden || document.querySelector("#trouble button").disabled`)
	}
	if got := b.text("#profile .taught"); !strings.Contains(got, message) {
		t.Errorf("got the taught texts %q, want the one that was tried again", got)
	}
}

// TestPageWaits: a page that gets no stream of events, as there are too many, is live once it can;
// an answer that breaks off is a trouble in words; and a choice, which other programs store over
// the same API, is shown and can be forgotten.
func TestPageWaits(t *testing.T) {
	browser := browser(t)
	s := startSite(t, "127.0.0.1:0", t.TempDir()+"/busy", "", serve.Limits{Events: 1})
	other, err := http.Get(s.url + "/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Body.Close()
	chose, err := http.Post(s.url+"/v1/profiles/ana/chose", "application/json",
		strings.NewReader(`{"text": "", "candidates": ["On my way!", "No."], "chosen": "No."}`))
	if err != nil || chose.StatusCode != http.StatusAccepted {
		t.Fatalf("got %v, %v", chose, err)
	}
	chose.Body.Close()
	b := newTab(t, browser, s.url, 1280, "light")
	b.expect("429")
	b.run(chromedp.Navigate(s.url + "/?p=ana"))
	b.wait(`document.querySelector("#live").dataset.state === "lost"`)
	if got := eval[string](b, `import("/web/common.js").then((m) => m.api("GET", "/web/style.css"))
		.then(() => "an answer", (err) => err.constructor.name)`); got != "Problem" {
		t.Errorf("an answer that is no JSON: got %s, want a Problem", got)
	}
	if got := b.text("#profile .taught"); !strings.Contains(got, "chose No.") {
		t.Errorf("got the taught texts %q, want the choice", got)
	}
	b.click("#profile .taught button")
	b.wait(`document.querySelector("#profile").innerText.includes("Nothing yet") || !document.querySelector("#trouble").hidden`)
	if got := b.text("#trouble p"); got != "" {
		t.Errorf("forgetting a choice: got %q", got)
	}
	other.Body.Close()
	b.wait(`document.querySelector("#live").dataset.state === "live"`)
}

// offline: the server is gone, and comes back with what it had.
func offline(t *testing.T, browser context.Context, s *site, dir string) {
	b := newTab(t, browser, s.url, 360, "dark")
	b.expect("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")
	b.person("lea", "")
	s.end(t)
	b.wait(`document.querySelector("#live").innerText === "Not connected"`)
	b.run(chromedp.SendKeys("#message", message+"\r", chromedp.ByQuery))
	b.wait(`document.querySelector("#trouble p")?.innerText.startsWith("The server does not answer")`)
	if got := eval[string](b, `document.querySelector("#message").value.trim()`); got != message {
		t.Errorf("got %q in the box, want what was typed", got)
	}
	startSite(t, strings.TrimPrefix(s.url, "http://"), dir, "", serve.Limits{})
	b.wait(`document.querySelector("#live").dataset.state === "live"`)
	b.click("#trouble button")
	b.wait(`document.querySelector(".answer .label")?.innerText`)
	b.wait(`document.querySelector("#trouble").hidden`)
}

// TestPageHeaders: nothing but this server's own files may run, and no other name may ask.
func TestPageHeaders(t *testing.T) {
	s := startSite(t, "127.0.0.1:0", t.TempDir()+"/bare", "", serve.Limits{})
	for path, want := range map[string]int{"/": 200, "/operators": 200, "/web/style.css": 200, "/page/about": 200, "/page/codes": 200,
		"/page/curve/nobody": 404, "/v1/labels": 200, "/web/nothing": 404, "/nothing": 404} {
		answer, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		policy := answer.Header.Get("Content-Security-Policy")
		if answer.StatusCode != want || !strings.HasPrefix(policy, "default-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: got %d, policy %q, want %d and a strict one", path, answer.StatusCode, policy, want)
		}
	}
	request, err := http.NewRequest("GET", s.url+"/page/codes", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "evil.example:80" // a name that leads here
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another host: got %d, want %d", answer.StatusCode, http.StatusMisdirectedRequest)
	}
}
