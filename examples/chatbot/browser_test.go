package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	weblog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is for what a page is to show; learning is in it, beside whatever else the machine does.
const patience = 3 * time.Minute

// browser starts headless Chromium for a test. Where there is none the test is skipped; make
// test-web, which names axe-core in XPEFT_AXE, has both.
func browser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox,
		chromedp.Flag("hide-scrollbars", true), chromedp.WSURLReadTimeout(patience))
	found := false
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && !found {
			options, found = append(options, chromedp.ExecPath(path)), true
		}
	}
	if !found && os.Getenv("XPEFT_AXE") == "" {
		t.Skip("no Chromium here: make test-web installs it, CHROMIUM names one")
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	silent := func(string, ...any) {} // of events that the library does not know
	ctx, stop := chromedp.NewContext(allocator, chromedp.WithErrorf(silent))
	t.Cleanup(stop)
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	return ctx
}

// tab is a page that is open. It fails its test if the console has an error, or if anything is
// asked of another server.
type tab struct {
	*testing.T
	ctx    context.Context
	origin string

	mu       sync.Mutex
	expected []string // parts of errors that are no faults
}

// newTab opens a tab of a width, with a theme that the system prefers.
func newTab(t *testing.T, browser context.Context, origin string, width int64, theme string) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser)
	b := &tab{T: t, ctx: ctx, origin: origin}
	t.Cleanup(stop)
	if err := chromedp.Run(ctx); err != nil { // under a limit of time, this one would close the tab with it
		t.Fatalf("the browser: %v", err)
	}
	chromedp.ListenTarget(ctx, b.hear)
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme},
		{Name: "prefers-reduced-motion", Value: "reduce"}}
	b.run(weblog.Enable(), network.Enable(), chromedp.EmulateViewport(width, 900),
		emulation.SetEmulatedMedia().WithFeatures(features))
	return b
}

// hear watches the console and the network.
func (b *tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.fault(e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			said, _ := json.Marshal(e.Args)
			b.fault(string(said))
		}
	case *weblog.EventEntryAdded:
		if e.Entry.Level == weblog.LevelError || e.Entry.Level == weblog.LevelWarning {
			b.fault(e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, b.origin+"/") {
			b.fault("asked for " + u)
		}
	}
}

func (b *tab) fault(words string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, part := range b.expected {
		if strings.Contains(words, part) {
			return
		}
	}
	b.Errorf("the page: got %s, want no errors, and nothing from elsewhere", words)
}

// expect says that an error may be in the console, as the browser's own of an answer that is none.
func (b *tab) expect(parts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, parts...)
}

func (b *tab) run(actions ...chromedp.Action) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.Fatalf("the browser: %v", err)
	}
}

func (b *tab) open(path string) {
	b.Helper()
	b.run(chromedp.Navigate(b.origin + path))
	b.wait(`document.querySelector("#live").dataset.state === "live"`)
}

// eval is the value of an expression of JavaScript, of a promise too.
func eval[T any](b *tab, expression string) (v T) {
	b.Helper()
	b.run(chromedp.Evaluate(expression, &v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithAwaitPromise(true)
	}))
	return v
}

// wait waits until an expression is true.
func (b *tab) wait(expression string) {
	b.Helper()
	for end := time.Now().Add(patience); !eval[bool](b, "!!("+expression+")"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("got a page where this stays false: %s\n%s", expression, eval[string](b, "document.body.innerText"))
		}
	}
}

// click presses the first element of a selector, by the mouse, once it is there.
func (b *tab) click(selector string) {
	b.Helper()
	b.wait(fmt.Sprintf("document.querySelector(%q)?.offsetParent !== null && document.querySelector(%[1]q)?.disabled === false", selector))
	at := eval[[]float64](b, fmt.Sprintf(`((e) => {
		e.scrollIntoView({ block: "center" });
		const r = e.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})(document.querySelector(%q))`, selector))
	b.run(chromedp.MouseClickXY(at[0], at[1]))
}

func (b *tab) text(selector string) string {
	b.Helper()
	return eval[string](b, fmt.Sprintf("((e) => e?.innerText ?? e?.textContent ?? '')(document.querySelector(%q))", selector))
}

// ask types a message and presses Enter, and waits for the answer.
func (b *tab) ask(message string) {
	b.Helper()
	b.run(chromedp.SendKeys("#message", message+"\r", chromedp.ByQuery))
	b.wait(fmt.Sprintf(`document.querySelector(".message .text")?.innerText === %q && document.querySelector(".answer .label").innerText`,
		message))
}

// answer is what the first message's answer says of a person: the label, and who answered.
func (b *tab) answer(id string) (label, source string) {
	b.Helper()
	at := fmt.Sprintf(`.message .answer[aria-label="Answer for %s"]`, id)
	return b.text(at + " .label"), eval[string](b, fmt.Sprintf("document.querySelector(%q).dataset.source", at))
}

func (b *tab) wantAnswer(id, label, source string) {
	b.Helper()
	b.wait(fmt.Sprintf(`document.querySelector('.message .answer[aria-label="Answer for %s"]')?.dataset.source === %q`, id, source))
	if got, _ := b.answer(id); got != label {
		b.Errorf("%s: got the answer %q, want %q", id, got, label)
	}
}

// person opens the page of somebody.
func (b *tab) person(id, other string) {
	b.Helper()
	query := url.Values{"p": {id}}
	if other != "" {
		query.Set("with", other)
	}
	b.open("/?" + query.Encode())
	b.wait(fmt.Sprintf(`document.querySelector("#who").innerText === %q && document.querySelector("#profile").innerText`, id))
}
