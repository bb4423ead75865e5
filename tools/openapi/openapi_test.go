package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/xpeft/xpeft/metrics"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/serve"
)

// checker sends requests and compares them, and what comes back, with the document.
type checker struct {
	t    *testing.T
	url  string
	doc  *document
	seen map[string]bool // "POST /v1/profiles/{id}/learn 200"
}

func TestServerIsAsItsDocument(t *testing.T) {
	c := start(t, sdk.Config{})
	const ann = "/v1/profiles/ann"
	long := strings.Repeat("a", 70<<10)
	for _, x := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/healthz", "", 200}, {"GET", "/readyz", "", 200}, {"GET", "/openapi.json", "", 200},
		{"GET", "/v1/labels", "", 200}, {"GET", "/v1/stats", "", 200}, {"GET", "/v1/advice", "", 200},
		{"GET", "/v1/profiles", "", 200},
		{"GET", ann, "", 404}, {"DELETE", ann, "", 404}, {"GET", ann + "/data", "", 404},
		{"GET", ann + "/examples", "", 404}, {"GET", ann + "/history", "", 404},
		{"POST", ann + "/rollback", `{}`, 404}, {"POST", ann + "/examples/forget", `{"text": "hi"}`, 404},
		{"POST", ann + "/predict", `{"text": "hi"}`, 404},
		{"POST", ann + "/predict", `{"text": "hi", "fallback": "base"}`, 200},
		{"POST", ann + "/observe", `{"examples": [{"text": "hi", "label": "later"}]}`, 202},
		{"GET", ann, "", 200}, {"GET", ann + "/data", "", 200},
		{"POST", ann + "/confirm", `{"text": "party!", "label": "ignore"}`, 202},
		{"POST", ann + "/reject", `{"text": "the server is down", "label": "ignore"}`, 202},
		{"POST", ann + "/learn", lesson("ann"), 200},
		{"POST", ann + "/learn", lesson("more of ann"), 200},
		{"POST", "/v1/profiles/bob/learn", lesson("bob"), 200},
		{"POST", "/v1/profiles/own/learn", strings.Replace(lesson("own"), `{`, `{"head": "own", "effort": "fast", `, 1), 200},
		{"POST", "/v1/profiles/num/learn", `{"head": "number", "examples": [{"text": "one", "value": 1}, {"text": "two",
			"value": 2}, {"text": "three", "value": 3}]}`, 200},
		{"POST", "/v1/profiles/num/predict", `{"text": "two"}`, 200},
		{"GET", "/v1/profiles/num", "", 200}, {"GET", "/v1/profiles/num/data", "", 200},
		{"GET", "/v1/profiles/num/examples", "", 200},
		{"GET", ann, "", 200}, {"GET", ann + "/data", "", 200}, {"GET", ann + "/examples", "", 200},
		{"GET", ann + "/history", "", 200}, {"GET", "/v1/profiles", "", 200},
		{"GET", "/v1/profiles?limit=2&prefix=&after=ann", "", 200},
		{"GET", "/v1/stats", "", 200}, {"GET", "/v1/advice", "", 200},
		{"POST", ann + "/predict", `{"text": "hi", "min_probability": 0.99}`, 200},
		{"POST", ann + "/predict", `{"text": "the server is down again", "pair": "since noon"}`, 200},
		{"POST", "/v1/predict", `{"requests": [{"profile": "ann", "text": "hi"}, {"profile": "nobody", "text": "hi"},
			{"profile": "", "text": " "}]}`, 200},
		{"POST", ann + "/examples/forget", `{"text": "party!"}`, 200},
		{"POST", ann + "/rollback", `{"revision": 99}`, 404},
		{"POST", "/v1/profiles/bob/learn", lesson("more of bob"), 200},
		{"POST", "/v1/profiles/bob/rollback", `{}`, 200},
		{"GET", ann + "/ask?n=2&skip=a&skip=b", "", 409},
		{"POST", ann + "/rank", `{"text": "dinner?", "candidates": ["yes", "no"]}`, 200},
		{"POST", ann + "/rank", `{"text": "dinner?", "candidates": []}`, 400},
		{"POST", ann + "/chose", `{"text": "dinner?", "candidates": ["yes", "no"], "chosen": "no"}`, 202},
		{"POST", ann + "/chose", `{"text": "dinner?", "candidates": ["yes", "no"], "chosen": "oh"}`, 400},
		{"GET", ann + "/examples", "", 200},
		{"POST", ann + "/examples/forget", `{"text": "dinner?", "candidates": ["no", "yes"]}`, 200},
		{"POST", "/v1/embed", `{"texts": ["hi", "ho"]}`, 200}, {"POST", "/v1/embed", `{"texts": []}`, 400},
		{"POST", ann + "/observe", `{"examples": [{"text": "hi", "labels": ["later"]}]}`, 400},
		{"DELETE", ann, "", 204},

		// What the server refuses.
		{"GET", ann + "/ask?n=21", "", 400}, {"GET", ann + "/ask?n=two", "", 400}, {"GET", "/v1/profiles?limit=0", "", 400},
		{"POST", ann + "/learn", `{"examples": []}`, 400}, {"POST", ann + "/learn", `{}`, 400},
		{"POST", ann + "/learn", `[]`, 400}, {"POST", ann + "/learn", `{"examples": [{"text": 3, "label": "later"}]}`, 400},
		{"POST", ann + "/learn", `{"examples": [{"text": "hi", "lable": "later"}]}`, 400},
		{"POST", ann + "/learn", `{"examples": [{"text": "hi", "label": "never"}]}`, 400},
		{"POST", ann + "/learn", strings.Replace(lesson("ann"), `{`, `{"effort": "some", `, 1), 400},
		{"POST", ann + "/observe", `{"examples": [{"text": " ", "label": "later"}]}`, 400},
		{"POST", ann + "/predict", `{"text": "hi", "fallback": "bass"}`, 400},
		{"POST", ann + "/predict", `{"text": "hi", "user": "ann"}`, 400},
		{"POST", ann + "/predict", `{"text": "` + long + `"}`, 413},
		{"POST", "/v1/predict", `{"requests": [` + strings.Repeat(`{"profile": "ann", "text": "hi"},`, 256) +
			`{"profile": "ann", "text": "hi"}]}`, 413},
		{"POST", "/v1/profiles/" + strings.Repeat("a", 257) + "/confirm", `{"text": "hi", "label": "later"}`, 400},
	} {
		c.send(x.method, x.path, x.body, "Bearer secret", x.want)
	}
	for range 101 { // more than the tenant's rate lets in
		c.send("GET", "/v1/profiles/often", "", "Bearer secret", 0)
	}
	c.send("GET", ann, "", "Bearer wrong", 401)
	c.send("POST", "/v1/predict", `{"requests": [{"profile": "ann", "text": "hi"}]}`, "", 401)
	c.check()
}

// TestMultiIsAsItsDocument is the same of a folder whose labels are not exclusive, for what is
// different there.
func TestMultiIsAsItsDocument(t *testing.T) {
	c := start(t, sdk.Config{Multi: true})
	const ann = "/v1/profiles/ann"
	for _, x := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", ann + "/observe", `{"examples": [{"text": "hi", "labels": ["later", "urgent"]}]}`, 202},
		{"POST", ann + "/observe", `{"examples": [{"text": "ho", "labels": []}]}`, 202},
		{"POST", ann + "/observe", `{"examples": [{"text": "hi", "labels": "later"}]}`, 400},
		{"POST", ann + "/predict", `{"text": "hi"}`, 200}, {"POST", ann + "/predict", `{"text": "ho"}`, 200},
		{"POST", ann + "/learn", `{"examples": [{"text": "hu", "labels": ["ignore"]}]}`, 200},
		{"POST", ann + "/predict", `{"text": "he", "min_probability": 0.3}`, 200},
		{"GET", ann + "/examples", "", 200}, {"GET", ann + "/data", "", 200}, {"GET", "/v1/stats", "", 200},
		{"POST", ann + "/rank", `{"text": "hi", "candidates": ["a", "b"]}`, 400},
	} {
		c.send(x.method, x.path, x.body, "Bearer secret", x.want)
	}
}

// start runs a server over a folder with the real model.
func start(t *testing.T, config sdk.Config) *checker {
	model := os.Getenv("XPEFT_MODEL")
	if model == "" {
		t.Fatal("XPEFT_MODEL is not set: run make test-openapi")
	}
	config.Model, config.Labels = model, []string{"urgent", "later", "ignore"}
	p, err := sdk.Create(t.Context(), t.TempDir(), config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve.New([]serve.Tenant{{Folder: p, Tokens: []serve.TokenHash{serve.HashToken("secret")},
		Metrics: metrics.Handler(p), Limits: serve.Limits{Rate: 0.001, Burst: 100}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx, listener, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.Close()
	})
	c := &checker{t: t, url: "http://" + listener.Addr().String(), seen: map[string]bool{}}
	c.read()
	return c
}

// read takes the document from the server. Answers may have no field that is not in it.
func (c *checker) read() {
	resp, err := http.Get(c.url + "/openapi.json")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	read, err := jsonschema.UnmarshalJSON(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	doc := read.(map[string]any)
	for _, schema := range doc["components"].(map[string]any)["schemas"].(map[string]any) {
		schema.(map[string]any)["additionalProperties"] = false
	}
	if c.doc, err = newDocument(doc); err != nil {
		c.t.Fatalf("the document is no OpenAPI 3.1: %v", err)
	}
	for path, methods := range doc["paths"].(map[string]any) {
		for method := range methods.(map[string]any) {
			c.seen[strings.ToUpper(method)+" "+path] = false
		}
	}
}

// lesson is a body of some examples.
func lesson(of string) string {
	var all []sdk.Example
	for i := range 12 {
		text := []string{"the server is down", "please review my change", "half price"}[i%3]
		all = append(all, sdk.Example{Text: fmt.Sprintf("%s, %s %d", text, of, i),
			Label: []string{"urgent", "later", "ignore"}[i%3]})
	}
	body, _ := json.Marshal(map[string]any{"examples": all}) // strings
	return string(body)
}

// send is one request. What the server takes must be right by the document, what it calls a bad
// body or query must be wrong, and every answer must be right. A want of 0 is any status.
func (c *checker) send(method, path, body, authorization string, want int) {
	c.t.Helper()
	name := fmt.Sprintf("%s %.60s %.60s", method, path, body)
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	resp.Body.Close()
	if want != 0 && resp.StatusCode != want {
		c.t.Errorf("%s: got %d %.200s, want %d", name, resp.StatusCode, data, want)
	}
	var problem serve.Problem
	if resp.StatusCode >= 400 {
		json.Unmarshal(data, &problem) // what it is, is checked below
	}
	wrong := c.doc.request(method, path, body)
	switch {
	case resp.StatusCode < 400 && wrong != nil:
		c.t.Errorf("%s: the server takes what is wrong by the document: %v", name, wrong)
	case (problem.Code == "bad_body" || problem.Code == "bad_query") && wrong == nil:
		c.t.Errorf("%s: the server refuses what is right by the document: %s", name, problem.Detail)
	}
	if err := c.doc.answer(method, path, resp.StatusCode, resp.Header, string(data)); err != nil {
		c.t.Errorf("%s: got %d %.300s, which is wrong by the document: %v", name, resp.StatusCode, data, err)
	}
	c.note(method, path, resp.StatusCode)
}

// note counts what was tried of which route.
func (c *checker) note(method, path string, status int) {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	if len(parts) > 3 && parts[2] == "profiles" {
		parts[3] = "{id}"
	}
	route := method + " " + strings.Join(parts, "/")
	c.seen[route+" "+fmt.Sprint(status)] = true
	if status < 300 {
		c.seen[route] = true
	}
}

// check says what of the document no request tried.
func (c *checker) check() {
	statuses := map[string]int{}
	for route, seen := range c.seen {
		parts := strings.Fields(route)
		if len(parts) == 3 {
			statuses[parts[2]]++
			continue
		}
		// a stream never ends, and questions need people who differ
		if !seen && !strings.HasSuffix(route, "/events") && !strings.HasSuffix(route, "/ask") {
			c.t.Errorf("%s: got no answer that is a success, want one", route)
		}
	}
	if statuses["429"] == 0 {
		c.t.Error("got no 429, want some")
	}
	c.t.Logf("routes by status: %v", statuses)
}
