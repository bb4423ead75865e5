package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

// newKey makes a signing key and returns its file and its public half.
func newKey(t *testing.T, dir, name string) (path, public string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	return path, strings.TrimSpace(call(t, pure, dir, "", "key", "new", path).want(t, exitOK).out)
}

func TestKey(t *testing.T) {
	dir := t.TempDir() // needs no store
	path, public := newKey(t, dir, "a.key")
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode() != fs.FileMode(0o600) || len(public) != len(publicPrefix)+64 {
		t.Errorf("got a file of mode %v and the public key %q, want 0600 and 64 digits", info.Mode(), public)
	}
	if got := call(t, pure, dir, "", "key", "show", path, "--json").want(t,
		exitOK).rows(t)[0]["public"]; got != public {
		t.Errorf("key show: got %v, want %s", got, public)
	}
	before, err := os.ReadFile(path)
	must(t, err)
	call(t, pure, dir, "", "key", "new", path).want(t, exitExists)
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("a second key new replaced the key")
	}
	bad := filepath.Join(t.TempDir(), "bad")
	for _, text := range []string{"", "secret", strings.Replace(string(before), "PRIVATE", "PUBLIC", 2),
		strings.Replace(string(before), "MC4", "MC5", 1)} {
		must(t, os.WriteFile(bad, []byte(text), 0o600))
		if r := call(t, pure, dir, "", "key", "show", bad).want(t, exitUsage); strings.Contains(r.err, "secret") {
			t.Errorf("got %q, want nothing of the file", r.err)
		}
	}
}

// TestSignedExportImport sends a signed, encrypted bundle from one folder to another.
func TestSignedExportImport(t *testing.T) {
	from := newFolder(t)
	fill(t, from, "alice", "bob")
	key, public := newKey(t, from, "a.key")
	_, other := newKey(t, from, "b.key")
	id, err := age.GenerateX25519Identity()
	must(t, err)
	dir := t.TempDir()
	identity, trust, bundle, plain := filepath.Join(dir, "id"), filepath.Join(dir, "trust"),
		filepath.Join(dir, "bundle"), filepath.Join(dir, "plain")
	must(t, os.WriteFile(identity, []byte("# ours\n"+id.String()+"\n"), 0o600))
	must(t, os.WriteFile(trust, []byte("# the team\n"+other+"\n"+public+" \n"), 0o600))
	call(t, pure, from, "", "export", "-o", bundle, "--sign", key, "--to", id.Recipient().String()).want(t, exitOK)
	call(t, pure, from, "", "export", "-o", plain).want(t, exitOK)

	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"trusted, by a file": {[]string{bundle, "--identity", identity, "--trust", trust}, exitOK},
		"trusted": {[]string{bundle, "--identity", identity, "--trust", other, "--trust", public,
			"--require-signed"}, exitOK},
		"signed":                   {[]string{bundle, "--identity", identity, "--require-signed"}, exitOK},
		"no identity":              {[]string{bundle, "--trust", public}, exitKey},
		"another trusted":          {[]string{bundle, "--identity", identity, "--trust", other}, exitKey},
		"not signed":               {[]string{plain, "--require-signed"}, exitKey},
		"not signed, some trusted": {[]string{plain, "--trust", trust}, exitKey},
		"a trusted key cut off":    {[]string{bundle, "--identity", identity, "--trust", public[:60]}, exitUsage},
		"a file of no key":         {[]string{bundle, "--identity", identity, "--trust", os.DevNull}, exitUsage},
		"a private key as trust":   {[]string{bundle, "--identity", identity, "--trust", key}, exitUsage},
		"no identity in the file":  {[]string{bundle, "--identity", trust}, exitUsage},
		"trust in nothing":         {[]string{plain, "--trust", ""}, exitError},
	} {
		to := newFolder(t)
		r := call(t, pure, to, "", append([]string{"import", "--json"}, c.args...)...).want(t, c.want)
		profiles := strings.Count(call(t, pure, to, "", "profiles", "--json").want(t, exitOK).out, "\n")
		if c.want != exitOK {
			if profiles != 0 {
				t.Errorf("%s: got %d profiles, want none", name, profiles)
			}
		} else if row := r.rows(t)[0]; row["signed_by"] != public || profiles != 2 {
			t.Errorf("%s: got %v and %d profiles, want 2 signed by %s", name, row, profiles, public)
		}
	}
	// What cannot be signed or encrypted as asked is not exported.
	for name, args := range map[string][]string{
		"empty name": {"--sign", ""}, "another's": {"--sign", identity}, "no recipient": {"--to", ""},
		"an identity": {"--to", id.String()},
	} {
		r := call(t, pure, from, "", append([]string{"export"}, args...)...).want(t, exitUsage)
		if r.out != "" || strings.Contains(r.err, id.String()) {
			t.Errorf("%s: got %q on stdout and %q, want no bundle and no secret", name, r.out, r.err)
		}
	}
}
