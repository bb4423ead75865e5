package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// violation is what axe-core says of a rule that is broken.
type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// accessible: WCAG 2.2 AA as far as axe-core sees it, and no page wider than its window.
func accessible(t *testing.T, browser context.Context, s *site) {
	path := os.Getenv("XPEFT_AXE")
	if path == "" {
		t.Skip("no axe-core: make test-web fetches it")
	}
	axe, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]func(b *tab){
		"two people": func(b *tab) {
			b.person("dana", "lea")
			b.ask(message)
			b.ask("Your tax assessment is ready")
			b.click(".bar")
			b.wantAnswer("dana", "urgent", "taught")
			b.click("#profile .taught + button") // all of them
		},
		"newcomer": func(b *tab) { b.person("new", "") },
		"dialog": func(b *tab) {
			b.person("dana", "")
			b.click("#profile > button.bad")
		},
		"operators": func(b *tab) {
			b.open("/operators")
			b.wait(`document.querySelectorAll(".map a").length >= 5`)
		},
	}
	for name, reach := range states {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1280, 360} {
				t.Run(fmt.Sprintf("%s %s %d", name, theme, width), func(t *testing.T) {
					b := newTab(t, browser, s.url, width, theme)
					reach(b)
					b.check(string(axe), width)
				})
			}
		}
	}
}

func (b *tab) check(axe string, width int64) {
	b.run(chromedp.Evaluate(axe, nil))
	for _, v := range eval[[]violation](b, `axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
		.then((found) => found.violations)`) {
		for _, n := range v.Nodes {
			b.Errorf("%s (%s): %s\n%s\n%s", v.ID, v.Impact, v.Help, n.HTML, n.Summary)
		}
	}
	if got := eval[int64](b, "document.documentElement.scrollWidth"); got > width {
		b.Errorf("got a page %d wide, want it to fit %d", got, width)
	}
}

// most bytes of a screenshot.
const maxShot = 150_000

// screenshots writes what is in the repository's documents, into the folder XPEFT_SHOTS.
func screenshots(t *testing.T, browser context.Context, s *site) {
	dir := os.Getenv("XPEFT_SHOTS")
	if dir == "" {
		t.Skip("XPEFT_SHOTS names no folder")
	}
	for _, shot := range []struct {
		name  string
		width int64
		theme string
		reach func(b *tab)
	}{
		{"page-messages", 1280, "light", talk}, {"page-operators", 1280, "dark", board},
		{"page-messages-small", 360, "dark", talk}, {"page-operators-small", 360, "light", board},
	} {
		b := newTab(t, browser, s.url, shot.width, shot.theme)
		shot.reach(b)
		var data []byte
		b.run(chromedp.Evaluate(`document.activeElement.blur(); scrollTo(0, 0)`, nil), chromedp.CaptureScreenshot(&data))
		if data = shrink(t, data); len(data) > maxShot {
			t.Errorf("%s: got %d bytes, want at most %d", shot.name, len(data), maxShot)
		}
		if err := os.WriteFile(filepath.Join(dir, shot.name+".png"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shrink draws a PNG with 256 colours: the most frequent ones that differ; the others become the
// nearest of these.
func shrink(t *testing.T, data []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	counts, size := map[color.Color]int{}, full.Bounds()
	for y := range size.Dy() {
		for x := range size.Dx() {
			counts[full.At(x, y)]++
		}
	}
	var chosen color.Palette
	often := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	for _, c := range often {
		if len(chosen) < 256 && (len(chosen) == 0 || !alike(c, chosen.Convert(c))) {
			chosen = append(chosen, c)
		}
	}
	small := image.NewPaletted(size, chosen)
	draw.Draw(small, size, full, size.Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// alike are colours of which none sees the difference.
func alike(a, b color.Color) bool {
	x, y := color.RGBAModel.Convert(a).(color.RGBA), color.RGBAModel.Convert(b).(color.RGBA)
	for _, d := range []int{int(x.R) - int(y.R), int(x.G) - int(y.G), int(x.B) - int(y.B)} {
		if d*d > 64 {
			return false
		}
	}
	return true
}

func talk(b *tab) {
	b.person("dana", "yusuf")
	b.ask(message)
	b.ask("Your parcel arrives at half past three")
}

func board(b *tab) {
	b.open("/operators")
	b.wait(`document.querySelectorAll(".map a").length >= 5`)
}
