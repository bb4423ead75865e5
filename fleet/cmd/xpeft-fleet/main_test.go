package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/xpeft/xpeft/fleet"
	"github.com/xpeft/xpeft/sdk"
)

// TestCommands makes a fleet on one server, puts a folder's person into it, and reads it back out
// of a backup.
func TestCommands(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server did not start")
	}
	dir, model := t.TempDir(), os.Getenv("XPEFT_MODEL")
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, bytes.Repeat([]byte("s"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	call := func(command string, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		args = append([]string{command, "--servers", s.ClientURL(), "--secret", secret, "--dir", filepath.Join(dir, "node")}, args...)
		if err := run(t.Context(), args, &out); err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		return out.String()
	}
	call("create", "--labels", "urgent,later", "--replicas", "1")

	folder, err := sdk.Create(t.Context(), filepath.Join(dir, "folder"), sdk.Config{Model: model, Labels: []string{"urgent", "later"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.Observe(t.Context(), "ana", sdk.Example{Text: "the pump leaks", Label: "urgent"}); err != nil {
		t.Fatal(err)
	}
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	learner, err := fleet.Open(t.Context(), fleet.Config{Node: "learner", Servers: s.ClientURL(), Dir: filepath.Join(dir, "learner"),
		Secret: bytes.Repeat([]byte("s"), 32), Learner: true})
	if err != nil {
		t.Fatal(err)
	}
	defer learner.Close()
	if got := call("import", filepath.Join(dir, "folder")); !strings.Contains(got, ": 1\n") {
		t.Errorf("import: got %q, want 1 person", got)
	}
	if got := call("drain"); got != "sent and learned: 0\n" {
		t.Errorf("drain: got %q, want nothing that waits", got)
	}
	if got := call("status"); !strings.Contains(got, `"name": "learner"`) || !strings.Contains(got, `"waiting": 0`) {
		t.Errorf("status: got %s, want the learner, and nothing that waits", got)
	}
	file := filepath.Join(dir, "backup")
	if got := call("backup", file); got != "profiles: 1\n" {
		t.Errorf("backup: got %q, want 1 profile", got)
	}
	restored(t, file, model)
}

// restored opens a backup, and finds Ana in it.
func restored(t *testing.T, file, model string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := sdk.Restore(t.Context(), dir, nil, f); err != nil {
		t.Fatal(err)
	}
	key, err := fleet.FolderKey(bytes.Repeat([]byte("s"), 32))
	if err != nil {
		t.Fatal(err)
	}
	p, err := sdk.Open(t.Context(), dir, &sdk.Options{Model: model, MasterKey: key})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, err := p.Predict(t.Context(), "ana", "the pump leaks", nil); err != nil || got.Source != sdk.SourceTaught {
		t.Errorf("out of the backup: got %+v, %v, want what Ana taught", got, err)
	}
}
