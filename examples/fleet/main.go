// Fleet is two chatbot nodes and a learner, on three NATS servers, all in one program: what a
// person tells one node, the other answers. A real fleet has a machine for each: docs/fleet.md.
//
//	XPEFT_MODEL=MODEL_FOLDER go run .          # teaches on one node, asks the other, and ends
//	XPEFT_MODEL=MODEL_FOLDER go run . -stay    # goes on serving, for curl
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/xpeft/xpeft/fleet"
	"github.com/xpeft/xpeft/sdk"
)

func main() {
	stay := flag.Bool("stay", false, "go on serving")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv("XPEFT_MODEL"), *stay, os.Stdout); err != nil {
		log.Fatalln("fleet:", err)
	}
}

func run(ctx context.Context, model string, stay bool, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "fleet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	urls, stop, err := startServers(dir)
	defer stop()
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	config := func(name string) fleet.Config {
		return fleet.Config{Node: name, Servers: urls, Secret: secret, Dir: filepath.Join(dir, name),
			Learner: name == "learner"}
	}
	labels := []string{"urgent", "later", "ignore"}
	err = fleet.Create(ctx, config("operator"), fleet.Layout{Folder: sdk.Config{Model: model, Labels: labels}})
	if err != nil {
		return err
	}
	var addresses []string
	for _, name := range []string{"learner", "bot1", "bot2"} {
		node, err := fleet.Open(ctx, config(name))
		if err != nil {
			return err
		}
		defer node.Close()
		if name == "learner" {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: chatbot(node), ReadHeaderTimeout: time.Second}
		go server.Serve(l)
		defer server.Close()
		addresses = append(addresses, "http://"+l.Addr().String())
		fmt.Fprintf(out, "%s serves %s\n", name, addresses[len(addresses)-1])
	}
	if err := show(ctx, addresses, out); err != nil || !stay {
		return err
	}
	fmt.Fprintf(out, "\nteach:  curl '%s/observe?id=ana&text=lunch+at+noon&label=later' -d ''\n", addresses[0])
	fmt.Fprintf(out, "ask:    curl '%s/predict?id=ana&text=lunch+at+noon'\n", addresses[1])
	<-ctx.Done()
	return nil
}

// chatbot answers HTTP. It takes whatever has people's profiles: one folder, or a fleet's node.
func chatbot(people sdk.Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /observe", func(w http.ResponseWriter, r *http.Request) {
		e := sdk.Example{Text: r.FormValue("text"), Label: r.FormValue("label")}
		if err := people.Observe(r.Context(), r.FormValue("id"), e); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /predict", func(w http.ResponseWriter, r *http.Request) {
		o := &sdk.PredictOptions{Fallback: sdk.FallbackBase}
		p, err := people.Predict(r.Context(), r.FormValue("id"), r.FormValue("text"), o)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s (%s)\n", p.Label, p.Source)
	})
	return mux
}

// show teaches on one node, and asks the other until it answers so.
func show(ctx context.Context, addresses []string, out io.Writer) error {
	for i, e := range []sdk.Example{{Text: "invoice 2208 is attached", Label: "later"},
		{Text: "invoice 2208 is attached", Label: "urgent"}} {
		teach := fmt.Sprintf("%s/observe?id=ana&text=invoice+2208+is+attached&label=%s", addresses[0], e.Label)
		if _, err := call(ctx, http.MethodPost, teach); err != nil {
			return err
		}
		want, began := fmt.Sprintf("%s (taught)\n", e.Label), time.Now()
		for answer := ""; answer != want; {
			var err error
			answer, err = call(ctx, http.MethodGet, addresses[1]+"/predict?id=ana&text=invoice+2208+is+attached")
			if err != nil {
				return err
			}
			if time.Since(began) > time.Minute {
				return errors.New("the second node does not answer what the first was taught")
			}
		}
		what := []string{"taught", "corrected"}[i]
		took := time.Since(began).Round(time.Millisecond)
		fmt.Fprintf(out, "%s on bot1, answered on bot2 after %v: %s", what, took, want)
	}
	return nil
}

func call(ctx context.Context, method, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return string(body), err
}
