package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// backedUp is what backup wrote.
type backedUp struct {
	File string `json:"file"`
	store.BackupReport
}

func (a *app) backupCommand() *cobra.Command {
	var out string
	var since uint64
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Write all that the folder holds, or what changed",
		Long: "Write profiles, examples, history, keys, axes and warm banks into one checksummed file, from which " +
			"xpeft restore makes the folder again; the model\n" +
			"is not in it. With --since, only what changed since the backup of that revision, which xpeft backup " +
			"printed. A file is written whole or not\n" +
			"at all. A backup to stdout prints its report to stderr. A service does it while it runs: Folder.Backup.",
		Example: "  xpeft backup -o monday.xpeft\n  xpeft backup --since 1042 -o tuesday.xpeft",
		Args:    cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			if out == "-" && isTerminal(a.rawOut) {
				return usagef("a backup is no text for a terminal: name a file with -o")
			}
			return a.withStore(false, func(st *store.Store) error { return a.backup(ctx, st, out, since) })
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&out, "out", "o", "-", "file of the backup; - is stdout")
	f.Uint64Var(&since, "since", 0, "revision of an earlier backup; 0: everything")
	return cmd
}

func (a *app) backup(ctx context.Context, st *store.Store, out string, since uint64) (err error) {
	var rep store.BackupReport
	write := func(w io.Writer) error {
		rep, err = folder.Backup(ctx, st, a.dir, w, since)
		return err
	}
	if out == "-" {
		if err := write(a.rawOut); err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "revision %d\n", rep.Revision)
		return nil
	}
	if _, err := a.writeFile(out, write); err != nil {
		return err
	}
	row := backedUp{out, rep}
	return a.print(row, func(w io.Writer) {
		fields(w, "revision", number(row.Revision), "profiles", fmt.Sprintf("%d of %d", row.Written, row.Profiles),
			"file", out, "size", size(row.Bytes))
	})
}

func (a *app) restoreCommand() *cobra.Command {
	return a.readsBackups(&cobra.Command{
		Use:   "restore NEW-FOLDER FULL [SINCE...]",
		Short: "Make a folder of backups",
		Long: "Make a folder of a full backup and any number of those made since, in their order: all of it or, " +
			"with an error, nothing. The folder must\n" +
			"not hold profiles yet.",
		Example: "  xpeft restore xpeft-data monday.xpeft tuesday.xpeft",
		Args:    cobra.MinimumNArgs(2),
	}, func(ctx context.Context, args []string, most int64) (store.RestoreReport, error) {
		return openAll(args[1:], func(files []io.Reader) (store.RestoreReport, error) {
			return folder.Restore(ctx, args[0], most, files...)
		})
	})
}

func (a *app) verifyCommand() *cobra.Command {
	return a.readsBackups(&cobra.Command{
		Use:   "verify FULL [SINCE...]",
		Short: "Say whether backups can be restored",
		Long: "Read a full backup and those made since, in their order, as restore does, and write nothing. No " +
			"master key is needed.",
		Args: cobra.MinimumNArgs(1),
	}, func(ctx context.Context, args []string, most int64) (store.RestoreReport, error) {
		return openAll(args, func(files []io.Reader) (store.RestoreReport, error) {
			return store.Verify(ctx, &store.RestoreOptions{MaxBytes: most}, files...)
		})
	})
}

// readsBackups gives a command what restore and verify share.
func (a *app) readsBackups(cmd *cobra.Command,
	f func(ctx context.Context, args []string, most int64) (store.RestoreReport, error)) *cobra.Command {
	var most int64
	cmd.Flags().Int64Var(&most, "max-bytes", 64<<30, "size limit of each backup, decompressed")
	cmd.RunE = a.runs(func(ctx context.Context, args []string) error {
		if most < 1 {
			return usagef("--max-bytes is %d, want 1 or more", most)
		}
		rep, err := f(ctx, args, most)
		if err != nil {
			return err
		}
		return a.print(rep, func(w io.Writer) {
			fields(w, "revision", number(rep.Revision), "profiles", number(rep.Profiles), "size", size(rep.Bytes))
		})
	})
	return cmd
}

// openAll opens files for f.
func openAll(paths []string, f func(files []io.Reader) (store.RestoreReport, error)) (store.RestoreReport, error) {
	var files []io.Reader
	for _, path := range paths {
		h, err := os.Open(path)
		if err != nil {
			return store.RestoreReport{}, err
		}
		defer h.Close()
		files = append(files, h)
	}
	return f(files)
}
