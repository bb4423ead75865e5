// Chatbot is an HTTP backend in which every user has a classifier of their own.
//
//	go run ./examples/chatbot -model MODEL -dir profiles -labels urgent,later,ignore
//	curl -d '{"examples": [{"text": "the server is down", "label": "urgent"}, …]}' \
//	  localhost:8080/users/alice/learn
//	curl -d '{"text": "lunch is served", "label": "ignore"}' localhost:8080/users/alice/observe
//	curl 'localhost:8080/users/alice/ask?n=3'
//	curl -d '{"text": "login fails for everybody"}' localhost:8080/users/alice/predict
//	curl -X DELETE localhost:8080/users/alice
//
// Questions (ask) are chosen from texts that a bank keeps, which the operator makes when some
// people have taught the folder: stop the server, xpeft bank train --keep-texts, and start it
// again. A new user who answers three, by learn, has a profile. Until then ask is answered 409.
//
// It trusts its callers: put it behind what knows who they are. Too many requests at once are
// answered 429. SIGTERM ends it after the requests in progress are answered.
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

	"github.com/xpeft/xpeft/sdk"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "listen on this address")
	dir := flag.String("dir", "profiles", "folder of the profiles; made at the first start")
	model := flag.String("model", os.Getenv("XPEFT_MODEL"), "folder of the encoder; default $XPEFT_MODEL")
	labels := flag.String("labels", "urgent,later,ignore", "labels of a new folder")
	flag.Parse()

	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config := sdk.Config{
		Model:   *model,
		Bank:    sdk.RandomBank{N: 150, Seed: 42},
		Labels:  strings.Split(*labels, ","),
		Options: &sdk.Options{Logger: log},
	}
	if err := run(ctx, *addr, *dir, config, log); err != nil {
		log.Error("chatbot", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, dir string, config sdk.Config, log *slog.Logger) (err error) {
	p, err := openOrCreate(ctx, dir, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }() // after the last request
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Info("serving", "address", listener.Addr().String(), "folder", dir)
	return serve(ctx, listener, newServer(p, nil, defaults, log), log)
}

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
