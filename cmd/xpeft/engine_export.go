package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
)

// The formats of export. All but bundles are what profiles fold to, for programs that do not link
// the sdk.
const (
	formatBundle      = "bundle"
	formatSafetensors = "safetensors"
)

// unfolded are the flags of the other formats.
type unfolded struct {
	format string
	model  string
}

func (u *unfolded) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&u.format, "format", formatBundle, "bundle or, for Python, safetensors")
	f.StringVar(&u.model, "model", "", "folder of the model, if it moved since init; a bundle needs none")
	complete(cmd, "format", formatBundle, formatSafetensors)
}

// exportUnfolded writes profiles into a folder, as they answer.
func (a *app) exportUnfolded(ctx context.Context, u unfolded, ids []string, o folder.ExportOptions, keys exportKeys,
	dir string) (err error) {
	switch {
	case u.format != formatSafetensors:
		return usagef("--format is %q, want bundle or safetensors", u.format)
	case dir == "-":
		return usagef("--format %s writes into a folder: name it with -o", u.format)
	case o.Examples || o.State || o.IncludeBank || keys.given():
		return usagef("--examples, --state, --include-bank, --sign and --to are for bundles, not for --format %s", u.format)
	}
	if err := a.mustExist(); err != nil {
		return err
	}
	p, err := a.open(ctx, engineFlags{model: u.model}, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if len(ids) == 0 {
		for info, err := range p.Profiles(ctx, &sdk.ProfilesOptions{Prefix: o.Prefix}) {
			if err != nil {
				return err
			}
			ids = append(ids, info.ID)
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	rep, names := exported{File: dir}, fileNames{}
	write := func(name string, write func(w io.Writer) error) error {
		n, err := a.writeFile(filepath.Join(dir, name), write)
		rep.Bytes += n
		return err
	}
	err = write("xpeft_reader.py", func(w io.Writer) error { _, err := w.Write(sdk.PythonReader()); return err })
	if err != nil {
		return err
	}
	failed := a.eachID(ctx, ids, func(id string) error {
		err := write(names.of(id)+".safetensors", func(w io.Writer) error { return p.ExportSafetensors(ctx, w, id) })
		if err == nil {
			rep.Profiles++
		}
		return err
	})
	if rep.Profiles == 0 && failed != nil {
		return failed
	}
	return cmp.Or(a.print(rep, func(w io.Writer) {
		fields(w, "exported", count(rep.Profiles, "profile"), "folder", dir, "size", size(rep.Bytes))
	}), failed)
}

// fileNames are those that files of profiles have, in lower case: some file systems see no other.
type fileNames map[string]bool

// of is a name for a profile's file: its id, with what file systems refuse escaped as in a URL.
func (taken fileNames) of(id string) string {
	name := url.QueryEscape(id)
	if len(name) > 200 || strings.HasPrefix(name, ".") || taken[strings.ToLower(name)] {
		name = fmt.Sprintf("%.60s-%x", strings.TrimLeft(name, "."), sha256.Sum256([]byte(id)))
	}
	taken[strings.ToLower(name)] = true
	return name
}
