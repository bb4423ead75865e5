// Command hugot is one of the rivals of make bench-peers: hugot on its backend in Go alone. It is a
// module of its own, so that nothing else depends on what it needs.
//
//	hugot FOLDER
//
// FOLDER has model.onnx, config.json and tokenizer.json, as research/bench/peers.py writes them.
// Standard output has one JSON line about it, then one of times for each line of texts, as there.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/knights-analytics/hugot"
	"github.com/knights-analytics/hugot/options"
	"github.com/knights-analytics/hugot/pipelines"
)

func main() {
	if err := serve(os.Args[1], json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, "hugot:", err)
		os.Exit(1)
	}
}

func serve(folder string, in *json.Decoder, out *json.Encoder) error {
	// Every shape is compiled anew: these are the shapes that bench-peers needs.
	session, err := hugot.NewGoSession(options.WithGoMLXBatchBuckets([]int{1, 64}),
		options.WithGoMLXSequenceBuckets([]int{16, 32, 48, 64}))
	if err != nil {
		return err
	}
	defer session.Destroy()
	pipeline, err := hugot.NewPipeline(session, hugot.TextClassificationConfig{ModelPath: folder, Name: "peers",
		OnnxFilename: "model.onnx", Options: []hugot.TextClassificationOption{pipelines.WithSoftmax()}})
	if err != nil {
		return err
	}
	about := map[string]any{"name": "hugot, Go alone", "version": version(), "slow": true}
	if err := out.Encode([]any{about}); err != nil {
		return err
	}
	for {
		var request struct{ Batches [][]string }
		if err := in.Decode(&request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		ms := make([]float64, len(request.Batches))
		for i, texts := range request.Batches {
			began := time.Now()
			if _, err := pipeline.RunPipeline(texts); err != nil {
				return err
			}
			ms[i] = time.Since(began).Seconds() * 1e3
		}
		if err := out.Encode(map[string]any{"ms": ms}); err != nil {
			return err
		}
	}
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/knights-analytics/hugot" {
			return "hugot " + module.Version + ", float32, its backend in Go alone"
		}
	}
	return "hugot"
}
