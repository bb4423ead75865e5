package serve_test

import (
	"context"
	"log"
	"net"
	"os/signal"
	"syscall"

	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/serve"
)

// A service of one folder, for this machine alone; SIGTERM ends it once the requests in progress
// are answered.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	events := &serve.Events{}
	p, err := sdk.Open(ctx, "profiles", &sdk.Options{OnLearned: events.OnLearned})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	s, err := serve.New([]serve.Tenant{{Folder: p, Events: events}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "localhost:8080")
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Run(ctx, listener, nil); err != nil {
		log.Fatal(err)
	}
}
