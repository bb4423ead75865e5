package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// told fills a folder with alice, of whom more is known than text and label: one example is old,
// one has been learned, one is rejected.
func told(t *testing.T, dir string) {
	t.Helper()
	st, err := folder.Open(dir, &store.Options{NoSync: true})
	must(t, err)
	defer func() { must(t, st.Close()) }()
	when := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	must(t, st.Beside(t.Context(), "alice", store.Write{DropExamples: true}))
	must(t, st.Beside(t.Context(), "alice", store.Write{Append: []store.Example{
		{Text: "The Server", Pair: "is <down>", Label: "urgent", Time: when, Known: true},
		{Text: "lunch?", Label: "urgent", Time: when, Rejected: true, Weight: 2.5},
		{Text: "three stars", Label: folder.NumberLabel(3), Time: time.Now()},
	}}))
}

func TestExamplesList(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice", "bob")
		told(t, dir)
		rows := call(t, binary, dir, "", "examples", "list", "alice", "bob").want(t, exitOK).rows(t)
		if len(rows) != 5 || rows[4]["profile"] != "bob" {
			t.Fatalf("got %v, want three of alice, then two of bob", rows)
		}
		delete(rows[0], "held_out") // by a hash
		want := map[string]any{"profile": "alice", "text": "The Server", "pair": "is <down>", "label": "urgent",
			"weight": 1.0, "time": "2026-03-01T12:00:00Z", "learned": true}
		if diff := cmp.Diff(want, rows[0]); diff != "" {
			t.Errorf("first (-want +got):\n%s", diff)
		}
		if rows[1]["rejected"] != true || rows[1]["weight"] != 2.5 || rows[1]["held_out"] != false ||
			rows[2]["value"] != 3.0 || rows[2]["label"] != nil || rows[2]["learned"] != false {
			t.Errorf("got %v and %v, want a rejection, and a value that waits", rows[1], rows[2])
		}
		call(t, binary, dir, "", "examples", "list", "nobody").want(t, exitNotFound)
	})
}

// TestExamplesAreReadAgain: show --examples says of a rejection that it is one, else learn would
// read its opposite.
func TestExamplesAreReadAgain(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice")
	told(t, dir)
	out := call(t, pure, dir, "", "show", "alice", "--examples").want(t, exitOK).out
	got, err := readAll(out)
	must(t, err)
	if len(got) != 3 || !got[1].Rejected || *got[1].Weight != 2.5 || got[0].Weight != nil || *got[2].Value != 3 {
		t.Errorf("got %s, want what was told", out)
	}
}

// TestErasingDropsCheckpoint: commands that erase examples leave no checkpoint of a training that
// had them.
func TestErasingDropsCheckpoint(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice")
		told(t, dir)
		for _, args := range [][]string{{"examples", "forget", "alice", "--text", "the server", "--pair",
			"is <Down>"}, {"examples", "expire", "--older-than", "2160h"}, {"forget", "alice"}} {
			must(t, folder.MakeBanks(dir))
			paths := []string{folder.AxesCheckpoint(dir), folder.AdapterCheckpoint(dir),
				folder.SetAside(folder.AdapterCheckpoint(dir))}
			for _, path := range paths {
				must(t, os.WriteFile(path, nil, 0o600))
			}
			call(t, binary, dir, "", args...).want(t, exitOK)
			for _, path := range paths {
				if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%v: got %v, want no %s", args, err, path)
				}
			}
		}
	})
}

func TestExamplesForget(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice", "bob")
		told(t, dir)
		call(t, binary, dir, "", "examples", "forget", "alice").want(t, exitUsage)
		call(t, binary, dir, "", "examples", "forget", "nobody", "--text", "lunch?").want(t, exitNotFound)
		// The pair belongs to the text.
		r := call(t, binary, dir, "", "examples", "forget", "alice", "--text", "the server", "--json").want(t,
			exitNotFound)
		if !strings.Contains(r.err, `"code":"not_found","exit":3`) {
			t.Errorf("stderr: got %q, want not_found", r.err)
		}
		if n := call(t, binary, dir, "", "show", "alice", "--json").want(t,
			exitOK).rows(t)[0]["state_bytes"]; n != 6.0 {
			t.Errorf("got %v bytes of state after a failed forget, want 6", n)
		}
		row := call(t, binary, dir, "", "examples", "forget", "alice", "--text", " the  SERVER", "--pair",
			"is <Down>", "--json").want(t, exitOK).rows(t)[0]
		if diff := cmp.Diff(map[string]any{"profile": "alice", "examples": 1.0}, row); diff != "" {
			t.Errorf("forget (-want +got):\n%s", diff)
		}
		show := call(t, binary, dir, "", "show", "alice", "--json").want(t, exitOK).rows(t)[0]
		if show["stored_examples"] != 2.0 || show["state_bytes"] != 0.0 || show["revision"] != 1.0 {
			t.Errorf("got %v, want two examples, no logits, the same revision", show)
		}
		call(t, binary, dir, "", "check", "--deep").want(t, exitOK)
	})
}

func TestExamplesExpire(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice", "bob")
		told(t, dir)
		call(t, binary, dir, "", "examples", "expire").want(t, exitUsage)
		call(t, binary, dir, "", "examples", "expire", "--older-than", "-1h").want(t, exitUsage)
		for _, want := range []float64{2, 0} {
			age := time.Since(time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC)).String()
			if row := call(t, binary, dir, "", "examples", "expire", "--older-than", age, "--json").want(t,
				exitOK).rows(t)[0]; row["examples"] != want {
				t.Errorf("got %v erased, want %v", row["examples"], want)
			}
		}
		if rows := call(t, binary, dir, "", "examples", "list", "alice").want(t, exitOK).rows(t); len(rows) != 1 ||
			rows[0]["text"] != "three stars" {
			t.Errorf("got %v, want the newest", rows)
		}
		if rows := call(t, binary, dir, "", "examples", "list", "bob").want(t, exitOK).rows(t); len(rows) != 2 {
			t.Errorf("got %v, want bob's, which have no time", rows)
		}
	})
}

func TestPerson(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice", "bob-own")
		told(t, dir)
		call(t, binary, dir, "", "private", "alice").want(t, exitOK)
		text := call(t, binary, dir, "", "person", "alice").want(t, exitOK).out
		if !strings.HasPrefix(text, "{\n  \"id\": \"alice\",") || !strings.Contains(text, `"is <down>"`) {
			t.Errorf("got %.200s…, want JSON over many lines", text)
		}
		var fromText map[string]any
		must(t, json.Unmarshal([]byte(text), &fromText))
		row := call(t, binary, dir, "", "person", "alice", "--json").want(t, exitOK).rows(t)[0]
		if diff := cmp.Diff(fromText, row); diff != "" {
			t.Errorf("--json (-without +with):\n%s", diff)
		}
		if row["private"] != true || row["waiting"] != 2.0 || len(row["examples"].([]any)) != 3 ||
			row["state"] != "bG9naXRz" || len(row["labels"].([]any)) != 3 {
			t.Errorf("got %v, want all of it", row)
		}
		revision := row["revisions"].([]any)[0].(map[string]any)
		if revision["head"] != "shared" || revision["after"] != 0.75 || len(revision["masks"].([]any)) != 4 {
			t.Errorf("got %v, want the revision that is served", revision)
		}
		own := call(t, binary, dir, "", "person", "bob-own", "--json").want(t, exitOK).rows(t)[0]
		if diff := cmp.Diff([]any{"yes", "no"}, own["labels"]); diff != "" {
			t.Errorf("labels of an own head (-want +got):\n%s", diff)
		}
		call(t, binary, dir, "", "person", "nobody").want(t, exitNotFound)
	})
}

func TestPrivate(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice", "bob")
		private := func(id string) any {
			return call(t, binary, dir, "", "show", id, "--json").want(t, exitOK).rows(t)[0]["private"]
		}
		r := call(t, binary, dir, "", "private", "nobody", "alice", "--json")
		rows := r.rows(t)
		if r.code != exitNotFound || len(rows) != 2 || rows[0]["code"] != "not_found" || rows[1]["private"] != true {
			t.Errorf("got exit code %d and %v, want 3, and an error for nobody alone", r.code, rows)
		}
		if private("alice") != true || private("bob") != false {
			t.Errorf("got %v and %v, want alice alone private", private("alice"), private("bob"))
		}
		call(t, binary, dir, "", "private", "alice", "--off").want(t, exitOK)
		if private("alice") != false {
			t.Error("alice is private after --off")
		}
	})
}

// TestWaitingAndPrequential: what no training has seen, and how good the answers were, of a profile
// and of the folder.
func TestWaitingAndPrequential(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice", "bob", "carol")
		told(t, dir)
		sums := func(x ...float32) (b []byte) {
			for _, v := range x {
				b = binary32(b, v)
			}
			return b
		}
		st, err := folder.Open(dir, &store.Options{NoSync: true})
		must(t, err)
		must(t, st.Beside(t.Context(), "alice",
			store.Write{Person: func(p *store.Person) { p.Notes = sums(4, 3, 2, 1) }}))
		must(t, st.Beside(t.Context(), "bob", store.Write{Learned: 2}))
		must(t, st.PutMeta(t.Context(), folder.ValuePrequential, sums(8, 4, 2, 0)))
		must(t, st.Close())
		show := call(t, binary, dir, "", "show", "alice", "--json").want(t, exitOK).rows(t)[0]
		if diff := cmp.Diff(map[string]any{"n": 4.0, "profile": 0.75, "prior": 0.5, "base": 0.25},
			show["prequential"]); diff != "" || show["waiting"] != 2.0 {
			t.Errorf("show: got %v waiting, want 2; prequential (-want +got):\n%s", show["waiting"], diff)
		}
		stats := call(t, binary, dir, "", "stats", "--json").want(t, exitOK).rows(t)[0]
		if diff := cmp.Diff(map[string]any{"n": 8.0, "profile": 0.5, "prior": 0.25, "base": 0.0},
			stats["prequential"]); diff != "" {
			t.Errorf("stats: prequential (-want +got):\n%s", diff)
		}
		if stats["waiting_examples"] != 4.0 || stats["waiting_profiles"] != 2.0 {
			t.Errorf("stats: got %v of %v waiting, want 4 of alice and carol", stats["waiting_examples"],
				stats["waiting_profiles"])
		}
	})
}

func binary32(b []byte, v float32) []byte {
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
}

// TestStatsAdvice: what was found last, with its age; what is no advice is none.
func TestStatsAdvice(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		keep := func(value string) {
			st, err := folder.Open(dir, &store.Options{NoSync: true})
			must(t, err)
			must(t, st.PutMeta(t.Context(), folder.ValueAdvice, []byte(value)))
			must(t, st.Close())
		}
		shown := func() string {
			_, line, _ := strings.Cut(call(t, binary, dir, "", "stats").want(t, exitOK).out, "advice ")
			line, _, _ = strings.Cut(line, "\n")
			return strings.TrimSpace(line)
		}
		if got := shown(); got != "none yet: xpeft bank advise" {
			t.Errorf("at first: got %q", got)
		}
		keep(fmt.Sprintf(`{"time":%q,"worth":true,"reason":"people differ on 2 axes","people":40,"rank":2,"gain":0.1,"low":0.05,"high":0.15}`, time.Now().Add(-50*time.Hour).Format(time.RFC3339)))
		if got, want := shown(), "2 days ago, of 40 people: people differ on 2 axes; gain 0.100 (0.050 to "+
			"0.150)"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, ok := call(t, binary, dir, "", "stats", "--json").want(t,
			exitOK).rows(t)[0]["advice"].(map[string]any); !ok || got["rank"] != 2.0 || got["worth"] != true {
			t.Errorf("got %v, want two axes", got)
		}
		if keep("{"); shown() != "none yet: xpeft bank advise" {
			t.Errorf("damaged: got %q", shown())
		}
	})
}
