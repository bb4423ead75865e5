package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/serve"
)

// TestCurves: a point where something changed, the last ones of a person, and a bound on people.
func TestCurves(t *testing.T) {
	c := new(Curves)
	c.Learned("ana", nil) // it could not
	c.Learned("ana", &sdk.Report{Revision: 1})
	for i := range mostPoints + 5 {
		rep := &sdk.Report{Revision: uint64(i), Prequential: sdk.Prequential{N: float64(i + 1)}}
		c.Learned("ana", rep)
		c.Learned("ana", rep)
	}
	points := c.add("ana", point{})
	if len(points) != mostPoints || points[0].N != 6 || points[mostPoints-1].N != mostPoints+5 {
		t.Errorf("got %d points from %v on, want the last %d", len(points), points[0], mostPoints)
	}
	for i := range mostCurves + 10 {
		c.Learned(fmt.Sprint(i), &sdk.Report{Prequential: sdk.Prequential{N: 1}})
	}
	if len(c.of) != mostCurves {
		t.Errorf("got curves of %d people, want at most %d", len(c.of), mostCurves)
	}
}

func TestRowsOf(t *testing.T) {
	got := rowsOf([]sdk.PersonMask{
		{Side: "head", Label: "later", Adapters: []int32{1, 2, 4, 7}}, // of each pair one
		{Side: "head", Adapters: []int32{0, 3}},
		{Side: "up", Block: 5, Adapters: []int32{0, 9}},
	}, 10)
	want := []row{
		{Side: "head", Label: "later", N: 4, Digits: true, Bits: []byte{0b1001}},
		{Side: "head", N: 2, Bits: []byte{0b10}},
		{Side: "up", Block: 5, N: 10, Bits: []byte{1, 2}},
	}
	if a, b := fmt.Sprint(got), fmt.Sprint(want); a != b {
		t.Errorf("got %s, want %s", a, b)
	}
}

// TestForgottenCurve: who is forgotten, and comes back, begins anew.
func TestForgottenCurve(t *testing.T) {
	folder, err := sdk.Create(t.Context(), t.TempDir()+"/people",
		sdk.Config{Model: os.Getenv("XPEFT_MODEL"), Labels: []string{"urgent", "later"}})
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	api, err := serve.New([]serve.Tenant{{Folder: folder}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	page := New(api, folder, new(Curves), nil)
	call := func(method, path string, body any) []byte {
		t.Helper()
		var in bytes.Buffer
		json.NewEncoder(&in).Encode(body)
		r := httptest.NewRequest(method, "http://localhost"+path, &in)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		if w.Code >= http.StatusBadRequest {
			t.Fatalf("%s %s: got %d, %s", method, path, w.Code, w.Body)
		}
		return w.Body.Bytes()
	}
	learn := func(from int) {
		t.Helper()
		var examples []sdk.Example
		for i := range 8 {
			examples = append(examples, sdk.Example{Text: fmt.Sprint("message ", from+i), Label: []string{"urgent", "later"}[i%2]})
		}
		call("POST", "/v1/profiles/a%2Fb/learn", map[string]any{"examples": examples})
	}
	points := func() int {
		t.Helper()
		return strings.Count(string(call("GET", "/page/curve/a%2Fb", nil)), `"revision"`)
	}
	var counts []int
	for i := range 3 {
		learn(8 * i)
		counts = append(counts, points())
	}
	call("DELETE", "/v1/profiles/a%2Fb", nil)
	learn(100)
	if counts = append(counts, points()); !slices.Equal(counts, []int{0, 1, 2, 0}) {
		t.Errorf("got %d points after each learning and after it was forgotten, want 0, 1, 2, 0", counts)
	}
	if codes := string(call("GET", "/page/codes", nil)); !strings.Contains(codes, `"a/b"`) {
		t.Errorf("got the codes %s, want those of a/b", codes)
	}
}
