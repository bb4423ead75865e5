// The demo: five people file the same kinds of messages, each in their own way. It learns a profile
// for each of them, asks all five about messages that none of them has seen, and moves the profiles
// out of their store and back. Then it finds on what real people differ, and gives new ones a
// profile by three questions. Every number that it prints is computed in the run.
//
//	make demo        (or: go run ./examples/demo [-model DIR])
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	model := flag.String("model", os.Getenv("XPEFT_MODEL"), "folder of the encoder; default $XPEFT_MODEL")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, *model); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, model string) error {
	people, err := readPeople()
	if err != nil {
		return err
	}
	unseen, err := readUnseen()
	if err != nil {
		return err
	}
	s := &show{out: os.Stdout, live: isTerminal(os.Stdout), people: people, unseen: unseen}
	return s.run(ctx, model)
}

// isTerminal is whether somebody watches: then a line of progress may be written over.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
