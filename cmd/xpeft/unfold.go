package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
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
	formatAdapters    = "adapters"
	formatPEFT        = "peft"
)

// unfolded are the flags of the other formats.
type unfolded struct {
	format string
	model  string
}

func (u *unfolded) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&u.format, "format", formatBundle, "bundle or, for Python, safetensors, adapters or peft")
	f.StringVar(&u.model, "model", "", "folder of the model, if it moved since init; a bundle needs none")
	complete(cmd, "format", formatBundle, formatSafetensors, formatAdapters, formatPEFT)
}

// exportUnfolded writes profiles into a folder, as they answer.
func (a *app) exportUnfolded(ctx context.Context, u unfolded, ids []string, o folder.ExportOptions, keys exportKeys,
	dir string) error {
	switch {
	case u.format != formatSafetensors && u.format != formatAdapters && u.format != formatPEFT:
		return usagef("--format is %q, want bundle, safetensors, adapters or peft", u.format)
	case dir == "-":
		return usagef("--format %s writes into a folder: name it with -o", u.format)
	case o.Examples || o.State || o.IncludeBank || keys.given():
		return usagef("--examples, --state, --include-bank, --sign and --to are for bundles, not for --format %s",
			u.format)
	}
	return a.withFolder(ctx, engineFlags{Model: u.model}, true, func(p *sdk.Folder) error {
		return a.unfold(ctx, p, u.format, ids, o.Prefix, dir)
	})
}

func (a *app) unfold(ctx context.Context, p *sdk.Folder, format string, ids []string, prefix, dir string) error {
	if len(ids) == 0 {
		for info, err := range p.Profiles(ctx, &sdk.ProfilesOptions{Prefix: prefix}) {
			if err != nil {
				return err
			}
			ids = append(ids, info.ID)
		}
	}
	w := &unfolder{app: a, folder: p, rep: exported{File: dir}, names: fileNames{}}
	each := w.adapter("adapter.safetensors", p.ExportAdapterHub)
	switch format {
	case formatPEFT:
		each = w.adapter("adapter_model.safetensors", p.ExportPEFT)
	case formatSafetensors:
		each = w.tensors
		if err := w.write("xpeft_reader.py", sdk.PythonReader()); err != nil {
			return err
		}
	}
	failed := a.eachID(ctx, ids, func(id string) error {
		err := each(ctx, id)
		if err == nil {
			w.rep.Profiles++
		}
		return err
	})
	if w.rep.Profiles == 0 && failed != nil {
		return failed
	}
	return cmp.Or(a.print(w.rep, func(to io.Writer) {
		fields(to, "exported", count(w.rep.Profiles, "profile"), "folder", dir, "size", size(w.rep.Bytes))
	}), failed)
}

// unfolder writes profiles into a folder.
type unfolder struct {
	app    *app
	folder *sdk.Folder
	rep    exported
	names  fileNames
}

// tensors writes a profile's safetensors file.
func (u *unfolder) tensors(ctx context.Context, id string) error {
	var data bytes.Buffer
	if err := u.folder.ExportSafetensors(ctx, &data, id); err != nil {
		return err
	}
	return u.write(u.names.of(id)+".safetensors", data.Bytes())
}

// adapter writes a profile's folder for another library.
func (u *unfolder) adapter(weights string, encode func(context.Context, string) ([]byte, []byte, error)) func(
	context.Context, string) error {
	return func(ctx context.Context, id string) error {
		config, data, err := encode(ctx, id)
		if err != nil {
			return err
		}
		name := u.names.of(id)
		return cmp.Or(u.write(filepath.Join(name, weights), data),
			u.write(filepath.Join(name, "adapter_config.json"), config))
	}
}

// write writes a file below the folder.
func (u *unfolder) write(name string, data []byte) error {
	path := filepath.Join(u.rep.File, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	n, err := u.app.writeFile(path, func(w io.Writer) error { _, err := w.Write(data); return err })
	u.rep.Bytes += n
	return err
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
