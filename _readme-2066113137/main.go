package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/xpeft/xpeft/sdk"
)

func main() {
ctx := context.Background()
p, err := sdk.Create("profiles", sdk.Config{
	Model:  os.Getenv("XPEFT_MODEL"), // a BERT checkpoint in Hugging Face's layout
	Bank:   sdk.RandomBank{N: 150, Seed: 42},
	Labels: []string{"urgent", "later", "ignore"},
}) // once; sdk.Open("profiles", nil) from then on
if err != nil {
	log.Fatal(err)
}
defer p.Close()

report, err := p.Learn(ctx, "alice", []sdk.Example{
	{Text: "the payment service is down", Label: "urgent"},
	{Text: "could you review my draft some time", Label: "later"},
	{Text: "half price on garden chairs", Label: "ignore"}, // … some dozens of these
}, nil)
fmt.Println(report.Installed, report.Reason, report.Before.Accuracy, report.After.Accuracy, report.Bytes)

answer, err := p.Predict(ctx, "alice", "checkout returns errors")
fmt.Println(answer.Label, answer.Probabilities, answer.Source, answer.Revision)
}
