package xpeft_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAudit: `make audit` tells apart a database that cannot be reached, one that knows nothing of
// what we call, and one that does.
func TestAudit(t *testing.T) {
	if testing.Short() {
		t.Skip("builds govulncheck")
	}
	if out, err := exec.Command("make", "bin/govulncheck").CombinedOutput(); err != nil {
		t.Fatalf("make bin/govulncheck: %v\n%s", err, out)
	}
	public := "https://vuln.go.dev" // through a proxy that is not there
	for _, c := range []struct {
		name, db, strict string
		want             int
		say              string
	}{
		{"unreachable", public, "", 0, "audit: NOT CHECKED: " + public + " cannot be reached"},
		{"unreachable, strict", public, "1", 1, "audit: NOT CHECKED"},
		{"nothing known", database(t, "fmt", "Fscanf"), "1", 0, "audit: checked against file://"},
		{"a call", database(t, "hash/crc32", "Checksum"), "", 3, "GO-2026-9999"},
		{"an empty folder", "file://" + t.TempDir(), "1", 1, "audit: NOT CHECKED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command("bash", "scripts/audit.sh", "./bitmask", "./store")
			cmd.Env = append(os.Environ(), "AUDIT_DB="+c.db, "AUDIT_STRICT="+c.strict,
				"HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=", "no_proxy=")
			out, err := cmd.CombinedOutput()
			if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != c.want || !strings.Contains(string(out), c.say) {
				t.Errorf("got exit code %d and\n%s, want %d and %q", got, out, c.want, c.say)
			}
		})
	}
}

// database is one that knows of one vulnerability, in a function of the standard library.
func database(t *testing.T, pkg, symbol string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index/db.json":      `{"modified":"2026-01-01T00:00:00Z"}`,
		"index/modules.json": `[{"path":"stdlib","vulns":[{"id":"GO-2026-9999","modified":"2026-01-01T00:00:00Z"}]}]`,
		"index/vulns.json":   `[{"id":"GO-2026-9999","modified":"2026-01-01T00:00:00Z"}]`,
		"ID/GO-2026-9999.json": `{"schema_version":"1.3.1","id":"GO-2026-9999","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z","summary":"a test","details":"a test",
			"database_specific":{"url":"https://example.com"},
			"affected":[{"package":{"name":"stdlib","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"imports":[{"path":"` + pkg + `","symbols":["` + symbol + `"]}]}}]}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + dir
}
