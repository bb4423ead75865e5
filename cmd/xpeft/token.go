package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/serve"
)

// tokenLine is one line of a file of tokens: a token of a tenant. The first line of a tenant says
// where its folder is; more of them are more tokens.
type tokenLine struct {
	Tenant    string        `json:"tenant"`
	SHA256    string        `json:"sha256"`               // of the token
	Dir       string        `json:"dir,omitempty"`        // relative to the file's own folder
	MasterKey string        `json:"master_key,omitempty"` // file of the key, if the folder is encrypted
	Limits    *serve.Limits `json:"limits,omitempty"`
}

// tokenMade is a new token, which is shown this once.
type tokenMade struct {
	Tenant string `json:"tenant"`
	Token  string `json:"token"`
	File   string `json:"file"`
}

func (a *app) tokenCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "token TENANT",
		Short: "Make a bearer token for xpeft serve",
		Long: `Make a bearer token for xpeft serve --tokens, and print it. The file gets a line with its
SHA-256, the tenant and the folder of --dir, and is made if it is not there; what is in
it stays. A tenant may have several tokens: to replace one, add another, restart the
server, and delete the old line when nobody uses it any more.`,
		Example: "  xpeft token acme --dir /srv/acme --tokens /etc/xpeft/tokens",
		Args:    cobra.ExactArgs(1),
		RunE: a.runs(func(_ context.Context, args []string) error {
			if file == "" {
				return usagef("no --tokens: where does its hash go?")
			}
			return a.makeToken(args[0], file)
		}),
	}
	cmd.Flags().StringVar(&file, "tokens", "", "file of tokens")
	return cmd
}

func (a *app) makeToken(tenant, file string) error {
	if err := a.mustExist(); err != nil {
		return err
	}
	dir, err := filepath.Abs(a.dir)
	if err != nil {
		return err
	}
	known, err := readTokens(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	token := serve.NewToken()
	hash := serve.HashToken(token)
	l := tokenLine{Tenant: tenant, SHA256: hex.EncodeToString(hash[:]), Dir: dir}
	if a.keyFile != "" {
		if l.MasterKey, err = filepath.Abs(a.keyFile); err != nil {
			return err
		}
	}
	if i := slices.IndexFunc(known, func(t tenantFolder) bool { return t.Name == tenant }); i >= 0 {
		if known[i].dir != dir {
			return usagef("%s: the folder of tenant %s is %s, not %s", file, tenant, known[i].dir, dir)
		}
		l.Dir, l.MasterKey = "", ""
	}
	if err := appendLine(file, l); err != nil {
		return err
	}
	made := tokenMade{tenant, token, file}
	return a.print(made, func(w io.Writer) { fmt.Fprintln(w, token) })
}

// appendLine writes a line behind those of the file, which only its owner can change.
func appendLine(path string, l tokenLine) error {
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	last := make([]byte, 1)
	if end, err := f.Seek(0, io.SeekEnd); err == nil && end > 0 {
		if _, err := f.ReadAt(last, end-1); err == nil && last[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// tenantFolder is a tenant with what is needed to open its folder.
type tenantFolder struct {
	serve.Tenant
	dir, masterKey string
}

// readTokens reads a file of tokens. It has hashes and no secret, but who can write to it can let
// anybody in.
func readTokens(path string) ([]tenantFolder, error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o022 != 0 && runtime.GOOS != "windows" { // which has other rights, and reports none
		return nil, usagef("%s can be changed by others than its owner: chmod go-w %s", path, path)
	}
	var all []tenantFolder
	for i, line := range bytes.Split(data, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if all, err = addToken(all, line, filepath.Dir(path)); err != nil {
			return nil, &inputError{path, i + 1, err}
		}
	}
	if len(all) == 0 {
		return nil, usagef("%s has no tokens: make one with xpeft token", path)
	}
	return all, nil
}

// addToken adds a line's token to its tenant.
func addToken(all []tenantFolder, line []byte, beside string) ([]tenantFolder, error) {
	var l tokenLine
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return nil, err
	}
	var hash serve.TokenHash
	n, err := hex.Decode(hash[:], []byte(l.SHA256[:min(len(l.SHA256), 2*len(hash))]))
	switch {
	case d.InputOffset() != int64(len(line)):
		return nil, errors.New("something behind the JSON object")
	case err != nil || n != len(hash) || len(l.SHA256) != 2*n:
		return nil, errors.New(`"sha256" is not 64 hexadecimal digits`)
	case l.Tenant == "":
		return nil, errors.New(`no "tenant"`)
	}
	for _, path := range []*string{&l.Dir, &l.MasterKey} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(beside, *path)
		}
	}
	for i := range all {
		if all[i].Name != l.Tenant {
			if l.Dir != "" && filepath.Clean(l.Dir) == filepath.Clean(all[i].dir) {
				return nil, fmt.Errorf("the folder is that of tenant %s: two tenants cannot share one", all[i].Name)
			}
			continue
		}
		known := all[i]
		if l.Dir != "" && l.Dir != known.dir || l.MasterKey != "" && l.MasterKey != known.masterKey || l.Limits != nil {
			return nil, fmt.Errorf("another folder, key or limits of tenant %s: they stand in its first line", l.Tenant)
		}
		all[i].Tokens = append(all[i].Tokens, hash)
		return all, nil
	}
	if l.Dir == "" {
		return nil, fmt.Errorf(`no "dir" in the first line of tenant %s`, l.Tenant)
	}
	t := tenantFolder{serve.Tenant{Name: l.Tenant, Tokens: []serve.TokenHash{hash}}, l.Dir, l.MasterKey}
	if l.Limits != nil {
		t.Limits = *l.Limits
	}
	return append(all, t), nil
}
