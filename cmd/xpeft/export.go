package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// exported is what export did.
type exported struct {
	File     string `json:"file"`
	Profiles int    `json:"profiles"`
	Bytes    int64  `json:"bytes"`
}

func (a *app) exportCommand() *cobra.Command {
	var o folder.ExportOptions
	var keys exportKeys
	var as unfolded
	var out string
	cmd := &cobra.Command{
		Use:   "export [PROFILE...]",
		Short: "Write profiles into a bundle",
		Long: "Write the named profiles, or all whose id starts with --prefix, or all, into a bundle: one " +
			"compressed, checksummed file that another store\n" +
			"of the same encoder takes in with xpeft import. A file is written whole or not at all. Bundles to " +
			"stdout come without a report.\n" +
			"--sign signs it with a key of xpeft key new; --to encrypts it with age, so that only the recipient's " +
			"identity opens it.\n" +
			"--format safetensors writes for programs in Python instead: into the folder that -o names, a file for " +
			"each profile and xpeft_reader.py, which answers as they do. --format adapters writes what the " +
			"library of that name loads.",
		Example: "  xpeft export alice bob -o two.xpeft\n  xpeft export --prefix team-a/ --examples | ssh host " +
			"xpeft import\n" +
			"  xpeft export alice --sign team.key --to age1… -o alice.xpeft\n" +
			"  xpeft export alice bob --format safetensors -o python",
		RunE: a.runs(func(ctx context.Context, ids []string) error {
			if len(ids) > 0 && o.Prefix != "" {
				return usagef("export takes ids or --prefix, not both")
			}
			if as.format != formatBundle {
				return a.exportUnfolded(ctx, as, ids, o, keys, out)
			}
			if out == "-" && isTerminal(a.rawOut) {
				return usagef("a bundle is no text for a terminal: name a file with -o")
			}
			if len(ids) > 0 {
				o.IDs = ids // nil: all
			}
			if err := keys.read(&o); err != nil {
				return err
			}
			return a.withStore(true, func(st *store.Store) error { return a.export(ctx, st, o, out) })
		}),
		ValidArgsFunction: a.completeProfiles,
	}
	f := cmd.Flags()
	f.StringVarP(&out, "out", "o", "-", "file of the bundle, - is stdout; or folder of another format")
	f.StringVar(&o.Prefix, "prefix", "", "only profiles whose id starts with this")
	f.BoolVar(&o.Examples, "examples", false, "with the stored examples")
	f.BoolVar(&o.State, "state", false, "with the state that the next learn is judged by")
	f.Func("sign", "sign with the key in this `file`", keys.setSign)
	f.StringArrayVar(&keys.to, "to", nil, "encrypt for this recipient of age, age1…; may be repeated")
	f.BoolVar(&o.IncludeBank, "include-bank", false, "with the files of axes and warm banks")
	as.add(cmd)
	return cmd
}

func (a *app) export(ctx context.Context, st *store.Store, o folder.ExportOptions, out string) error {
	if out == "-" {
		_, err := folder.Export(ctx, st, a.dir, a.rawOut, o)
		return err
	}
	rep := exported{File: out}
	var err error
	rep.Bytes, err = a.writeFile(out, func(w io.Writer) error {
		rep.Profiles, err = folder.Export(ctx, st, a.dir, w, o)
		return err
	})
	if err != nil {
		return err
	}
	return a.print(rep, func(w io.Writer) {
		fields(w, "exported", count(rep.Profiles, "profile"), "file", out, "size", size(rep.Bytes))
	})
}

// writeFile gives a file its name when all of it is on disk: a command that fails leaves what was
// there.
func (a *app) writeFile(path string, write func(w io.Writer) error) (n int64, err error) {
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*.tmp")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			t.Close() // harmless if it is closed already
			os.Remove(t.Name())
		}
	}()
	progress := a.newByteBar(-1, "writing")
	defer progress.done()
	if err := write(progress.writer(t)); err != nil {
		return 0, err
	}
	if n, err = t.Seek(0, io.SeekCurrent); err != nil {
		return 0, err
	}
	// CreateTemp's files are for their owner alone, which suits what is learned from people's
	// messages.
	if err := errors.Join(t.Sync(), t.Close()); err != nil {
		return 0, err
	}
	return n, os.Rename(t.Name(), path)
}

// completeProfiles completes a profile's id, unless another process has the folder open.
func (a *app) completeProfiles(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	const most = 200
	var ids []string
	a.lock = 1 // do not wait
	err := a.withStore(true, func(st *store.Store) error {
		for p, err := range st.Profiles(prefix) {
			if err != nil || len(ids) == most {
				return err
			}
			if !strings.ContainsAny(p.ID, "\n\t") { // the shell's scripts read lines
				ids = append(ids, p.ID)
			}
		}
		return nil
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
