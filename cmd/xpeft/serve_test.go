package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// serving is a server in a process of its own.
type serving struct {
	url string
	cmd *exec.Cmd
	log *bytes.Buffer // whole once the process ended
}

func startServing(t *testing.T, args ...string) *serving {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no process can send another SIGTERM there")
	}
	s := &serving{cmd: exec.Command(full, append([]string{"serve", "--json", "--addr", "127.0.0.1:0"}, args...)...),
		log: &bytes.Buffer{}}
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	must(t, err)
	must(t, s.cmd.Start())
	t.Cleanup(func() { s.cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var row servingRow
	if err != nil || json.Unmarshal(line, &row) != nil {
		s.cmd.Wait()
		t.Fatalf("got %q and %q, want the address", line, s.log)
	}
	s.url = "http://" + row.Address
	return s
}

func (s *serving) call(t *testing.T, token, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(data)
}

// end sends SIGTERM; the process must end well.
func (s *serving) end(t *testing.T) string {
	t.Helper()
	must(t, s.cmd.Process.Signal(syscall.SIGTERM))
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: got %v, want exit code 0\n%s", err, s.log)
	}
	return s.log.String()
}

// TestServeTenants: two tenants have a folder each and see nothing of each other's; an old and a
// new token of one open the same; the log has neither tokens nor profiles.
func TestServeTenants(t *testing.T) {
	one, two, file := learnedFolder(t), learnedFolder(t), filepath.Join(t.TempDir(), "tokens")
	token := func(tenant, dir string) string {
		return call(t, full, dir, "", "token", tenant, "--tokens", file, "--json").want(t, exitOK).rows(t)[0]["token"].(string)
	}
	acme, beta, acmeNew := token("acme", one), token("beta", two), token("acme", one)
	s := startServing(t, "--tokens", file, "--model", modelDir(t))
	for _, c := range []struct {
		token, method, path, body string
		want                      int
	}{
		{acme, "POST", "/v1/profiles/dora/observe", `{"examples": [{"text": "party!", "label": "later"}]}`, 202},
		{acmeNew, "GET", "/v1/profiles/dora", "", 200},
		{beta, "GET", "/v1/profiles/dora", "", 404},
		{beta, "DELETE", "/v1/profiles/alice", "", 204},
		{acme, "POST", "/v1/profiles/alice/predict", `{"text": "the server is down"}`, 200},
		{"", "GET", "/v1/profiles/alice", "", 401},
		{acme + "x", "GET", "/v1/profiles/alice", "", 401},
		{"", "GET", "/metrics", "", 401},
		{"", "GET", "/readyz", "", 200},
	} {
		if got, body := s.call(t, c.token, c.method, c.path, c.body); got != c.want {
			t.Errorf("%s %s: got %d %s, want %d", c.method, c.path, got, body, c.want)
		}
	}
	for token, want := range map[string]string{acme: "xpeft_profiles 3", beta: "xpeft_profiles 1"} {
		if _, body := s.call(t, token, "GET", "/metrics", ""); !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("metrics: got %.200q, want %q in it", body, want)
		}
	}
	log := s.end(t)
	if n := strings.Count(log, `"msg":"request"`); n < 8 || !strings.Contains(log, `"tenant":"beta"`) {
		t.Errorf("log: got %d requests in %s, want them all", n, log)
	}
	for _, secret := range []string{acme, beta, "dora", "alice", "party"} {
		if strings.Contains(log, secret) {
			t.Errorf("log: got %q in it:\n%s", secret, log)
		}
	}
}

// TestServeOneFolder: without tokens this machine alone is served, unless others are trusted.
func TestServeOneFolder(t *testing.T) {
	dir := learnedFolder(t)
	call(t, full, dir, "", "serve", "--addr", ":0").want0(t, exitUsage, "without tokens")
	call(t, full, dir, "", "serve", "--addr", ":0", "--rate", "-1").want0(t, exitUsage, "Limits.Rate is -1")
	call(t, full, t.TempDir(), "", "serve", "--addr", "127.0.0.1:0").want0(t, exitNoStore, "no store")
	s := startServing(t, "--dir", dir)
	if got, body := s.call(t, "", "POST", "/v1/profiles/alice/predict", `{"text": "the server is down"}`); got != 200 {
		t.Errorf("predict: got %d %s, want 200", got, body)
	}
	s.end(t)
	s = startServing(t, "--dir", dir, "--addr", ":0", "--trust")
	s.url = strings.Replace(s.url, "[::]", "127.0.0.1", 1)
	if got, body := s.call(t, "", "GET", "/v1/profiles/alice", ""); got != 200 {
		t.Errorf("show: got %d %s, want 200", got, body)
	}
	s.end(t)
}

// want0 is want of a command that logs: the last line of stderr has the error.
func (r result) want0(t *testing.T, code int, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.err), "\n")
	if last := lines[len(lines)-1]; r.code != code || !strings.Contains(last, text) {
		t.Errorf("got exit code %d and %q, want %d and %q", r.code, r.err, code, text)
	}
}

func TestBadTokens(t *testing.T) {
	dir := learnedFolder(t)
	path := filepath.Join(t.TempDir(), "tokens")
	hash := strings.Repeat("ab", 32)
	good := fmt.Sprintf(`{"tenant":"a","sha256":%q,"dir":%q}`, hash, dir)
	for name, c := range map[string]struct {
		text string
		code int
		want string
	}{
		"none":           {"\n\n", exitUsage, "has no tokens"},
		"not JSON":       {good + "\nacme abab\n", exitInput, "tokens:2:"},
		"unknown field":  {`{"tenant":"a","token":"x"}`, exitInput, "unknown field"},
		"a tail":         {good + "{}", exitInput, "something behind"},
		"no tenant":      {strings.Replace(good, `"a"`, `""`, 1), exitInput, `no "tenant"`},
		"no folder":      {fmt.Sprintf(`{"tenant":"a","sha256":%q}`, hash), exitInput, `no "dir"`},
		"a short hash":   {strings.Replace(good, hash, "abab", 1), exitInput, "64 hexadecimal"},
		"a long hash":    {strings.Replace(good, hash, hash+"ab", 1), exitInput, "64 hexadecimal"},
		"no hash":        {strings.Replace(good, hash, strings.Repeat("xy", 32), 1), exitInput, "64 hexadecimal"},
		"a hash twice":   {good + "\n" + fmt.Sprintf(`{"tenant":"a","sha256":%q}`, hash), exitUsage, "given twice"},
		"a shared dir":   {good + "\n" + strings.Replace(good, `"a"`, `"b"`, 1), exitInput, "cannot share"},
		"another dir":    {good + "\n" + strings.Replace(good, dir, "/other", 1), exitInput, "another folder"},
		"limits later":   {good + "\n" + `{"tenant":"a","sha256":"` + hash + `","limits":{}}`, exitInput, "another"},
		"unknown limits": {strings.Replace(good, `}`, `,"limits":{"predicts":3}}`, 1), exitInput, "unknown field"},
		"bad limits":     {strings.Replace(good, `}`, `,"limits":{"predict":-3}}`, 1), exitUsage, "Limits.Predict is -3"},
		"no such folder": {strings.Replace(good, dir, "nowhere", 1), exitNoStore, "nowhere"},
	} {
		must(t, os.WriteFile(path, []byte(c.text), 0o600))
		t.Run(name, func(t *testing.T) {
			call(t, full, dir, "", "serve", "--addr", "127.0.0.1:0", "--tokens", path).want0(t, c.code, c.want)
		})
	}
	must(t, os.WriteFile(path, []byte(good), 0o600))
	if runtime.GOOS != "windows" {
		must(t, os.Chmod(path, 0o620))
		call(t, full, dir, "", "serve", "--addr", "127.0.0.1:0", "--tokens", path).want0(t, exitUsage, "chmod")
		must(t, os.Chmod(path, 0o600))
	}
	call(t, full, t.TempDir(), "", "token", "b", "--tokens", path).want(t, exitNoStore)
	call(t, full, learnedFolder(t), "", "token", "a", "--tokens", path).want(t, exitUsage)
	call(t, full, dir, "", "token", "a").want(t, exitUsage)
	if data, _ := os.ReadFile(path); string(data) != good {
		t.Errorf("tokens: got %s, want it as it was", data)
	}
}
