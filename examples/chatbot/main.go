// Chatbot is a web page, and the HTTP API of package serve, over a folder in which every user has a
// classifier of their own. It is a module of its own: build it in its folder.
//
//	go run . -model MODEL -dir profiles -labels urgent,later,ignore
//	go run . -model MODEL -demo ../demo/data/people.jsonl   # in a folder that is removed
//	curl -H 'Content-Type: application/json' -d '{"text": "login fails for everybody"}' \
//	  localhost:8080/v1/profiles/alice/predict
//
// It trusts its callers, and so listens on this machine's own addresses only. Too many requests at
// once are answered 429. SIGTERM ends it after the requests in progress are answered.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/xpeft/xpeft/examples/chatbot/web"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/serve"
)

// observeEvery is how many new texts a profile collects before it learns: few, so that who watches
// sees it learn.
const observeEvery = 4

func main() {
	addr := flag.String("addr", "localhost:8080", "listen on this address")
	dir := flag.String("dir", "", "folder, made at the first start; default profiles, with -demo a temporary one")
	model := flag.String("model", os.Getenv("XPEFT_MODEL"), "folder of the encoder; default $XPEFT_MODEL")
	labels := flag.String("labels", "urgent,later,ignore", "labels of a new folder")
	demo := flag.String("demo", "", "people to teach first: a file of JSON lines with profile, text and label")
	flag.Parse()

	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *dir == "" && *demo == "" {
		*dir = "profiles"
	}
	b := bot{dir: *dir, demo: *demo, log: log,
		config: sdk.Config{Model: *model, Labels: strings.Split(*labels, ",")},
		ready:  func(url string) { fmt.Println(url) }}
	if err := b.run(ctx, *addr); err != nil {
		log.Error("chatbot", "error", err)
		os.Exit(1)
	}
}

// bot is the program: a folder, its API and its page.
type bot struct {
	dir    string // empty: a temporary one
	demo   string // a file of people to teach; empty: none
	config sdk.Config
	limits serve.Limits
	log    *slog.Logger
	ready  func(url string) // is called when it serves
}

func (b bot) run(ctx context.Context, addr string) (err error) {
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "xpeft-demo"); err != nil {
			return err
		}
		defer os.RemoveAll(b.dir)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	p, events, curves, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }() // after the last request
	options := &web.Options{Every: observeEvery}
	if b.demo != "" {
		if options, err = teach(ctx, p, b.demo, curves); err != nil {
			return err
		}
	}
	tenant := serve.Tenant{Folder: p, Events: events, Limits: b.limits}
	server, err := serve.New([]serve.Tenant{tenant}, &serve.Options{Logger: b.log})
	if err != nil {
		return err
	}
	b.ready("http://" + listener.Addr().String())
	return server.Run(ctx, listener, web.New(server, p, curves, options))
}

// open opens the folder, or makes it; what learns in the background is told to events and curves.
func (b bot) open(ctx context.Context) (*sdk.Folder, *serve.Events, *web.Curves, error) {
	events, curves := new(serve.Events), new(web.Curves)
	b.config.Options = &sdk.Options{Logger: b.log, ObserveEvery: observeEvery,
		OnLearned: func(id string, rep *sdk.Report, err error) {
			curves.Learned(id, rep)
			events.OnLearned(id, rep, err)
		}}
	p, err := openOrCreate(ctx, b.dir, b.config)
	return p, events, curves, err
}

// openOrCreate makes a folder if there is none.
func openOrCreate(ctx context.Context, dir string, config sdk.Config) (*sdk.Folder, error) {
	p, err := sdk.Create(ctx, dir, config)
	if errors.Is(err, sdk.ErrExists) {
		p, err = sdk.Open(ctx, dir, config.Options)
	}
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, err)
	}
	return p, nil
}
