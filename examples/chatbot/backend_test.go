package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/serve"
)

var (
	labels = []string{"urgent", "later", "ignore"}
	texts  = []string{"login fails for everybody", "a voucher only for you", "please review my change"}
)

// question is the body of a predict request, lessons of a learn or an observe one.
type (
	question struct {
		Text string `json:"text"`
	}
	lessons struct {
		Examples []sdk.Example `json:"examples"`
		Force    bool          `json:"force,omitempty"`
	}
)

func open(t *testing.T, dir string) *sdk.Folder {
	t.Helper()
	model := os.Getenv("XPEFT_MODEL")
	if model == "" {
		t.Fatal("XPEFT_MODEL is not set: run `eval \"$(scripts/env.sh)\"` first")
	}
	p, err := openOrCreate(t.Context(), dir, sdk.Config{Model: model, Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// backend is a server on a real socket.
type backend struct {
	url  string
	stop context.CancelFunc
	done chan error // Run's error
}

// start serves the API of a folder, behind a handler of the test's own.
func start(t *testing.T, p *sdk.Folder, before func(http.Handler) http.Handler) *backend {
	t.Helper()
	s, err := serve.New([]serve.Tenant{{Folder: p, Limits: serve.Limits{Rate: math.Inf(1)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &backend{url: "http://" + l.Addr().String(), stop: stop, done: make(chan error, 1)}
	go func() { b.done <- s.Run(ctx, l, before(s)) }()
	t.Cleanup(stop)
	return b
}

// call sends one request and reads the answer into v if it is a success.
func (b *backend) call(c *http.Client, method, path string, body, v any) (code int, err error) {
	var in bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&in).Encode(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequest(method, b.url+path, &in)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && v != nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(data, v)
	}
	return resp.StatusCode, err
}

// lesson always installs a revision.
func lesson(seed int) lessons {
	l := lessons{Force: true}
	for i := range 8 {
		l.Examples = append(l.Examples,
			sdk.Example{Text: fmt.Sprintf("%s (%d)", texts[i%3], seed*8+i), Label: labels[(i+seed)%3]})
	}
	return l
}
