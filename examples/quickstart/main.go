// Quickstart learns how one person files messages: go run ./examples/quickstart MODEL_FOLDER
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/xpeft/xpeft/sdk"
)

var examples = []sdk.Example{
	{Text: "The web server is down again", Label: "urgent"},
	{Text: "Disk full on the database host", Label: "urgent"},
	{Text: "Checkout returns errors since the last deploy", Label: "urgent"},
	{Text: "The pager went off twice tonight", Label: "urgent"},
	{Text: "Could you review my change this week?", Label: "later"},
	{Text: "Please send me your travel receipts", Label: "later"},
	{Text: "The planning meeting moved to Thursday", Label: "later"},
	{Text: "Your dentist has a new appointment for you", Label: "later"},
	{Text: "Only today: half price on all shoes!", Label: "ignore"},
	{Text: "You have won a voucher, click here", Label: "ignore"},
	{Text: "The cup final ended three to one", Label: "ignore"},
	{Text: "Join our webinar on synergy", Label: "ignore"},
}

func main() {
	model := os.Getenv("XPEFT_MODEL")
	if len(os.Args) > 1 {
		model = os.Args[1]
	}
	if err := run(context.Background(), model); err != nil {
		log.Fatalln("quickstart:", err)
	}
}

func run(ctx context.Context, model string) error {
	dir, err := os.MkdirTemp("", "quickstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // a program keeps its folder and calls sdk.Open the next time
	p, err := sdk.Create(ctx, dir, sdk.Config{Model: model, Labels: []string{"urgent", "later", "ignore"}})
	if err != nil {
		return err
	}
	defer p.Close()
	rep, err := p.Learn(ctx, "alice", examples, nil)
	if err != nil {
		return err
	}
	out, err := p.Predict(ctx, "alice", "Login fails for all users", &sdk.PredictOptions{Fallback: sdk.FallbackBase})
	if err != nil {
		return err
	}
	fmt.Printf("%s (from the %s, revision %d, %d bytes)\n", out.Label, out.Source, out.Revision, rep.Bytes)
	return nil
}
