package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// defaultDir is the folder if neither --dir nor XPEFT_DIR names one.
const defaultDir = "xpeft-data"

// app is one run of the program: the global flags, and where it reads and writes.
type app struct {
	stdin  io.Reader
	stdout *bufio.Writer
	rawOut io.Writer // what stdout writes to: a bundle goes there directly, and a terminal is recognised
	stderr io.Writer

	dir     string
	json    bool
	verbose bool
	lock    time.Duration
	keyFile string
	key     []byte // of an encrypted folder

	running bool // the command's own code was reached: errors before it are usage
}

// run is main with its inputs named; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: bufio.NewWriter(stdout), rawOut: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(a.stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if flushed := a.stdout.Flush(); err == nil {
		err = flushed
	}
	if err == nil {
		return exitOK
	}
	if !a.running {
		err = &usageError{err}
	}
	// A flag that does not parse may stand before --json.
	a.json = a.json || slices.Contains(args, "--json")
	return a.fail(ctx, err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "xpeft",
		Short: "A classifier for each user, from a profile of a few hundred bytes",
		Long: "xpeft learns, serves and looks after profiles: rows of bits that choose, for each user and " +
			"label, which directions of one frozen language model's states are averaged.",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	dir := os.Getenv("XPEFT_DIR")
	if dir == "" {
		dir = defaultDir
	}
	f := root.PersistentFlags()
	f.StringVar(&a.dir, "dir", dir, "folder of the profiles; also $XPEFT_DIR")
	f.Lookup("dir").DefValue = defaultDir // the help is the same in every shell
	f.BoolVar(&a.json, "json", false, "print one JSON object a line")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log to stderr")
	f.DurationVar(&a.lock, "lock-timeout", time.Second, "how long to wait for another process that has the folder open")
	f.StringVar(&a.keyFile, "master-key", os.Getenv("XPEFT_MASTER_KEY"),
		"file of the master key of an encrypted folder; also $XPEFT_MASTER_KEY")
	f.Lookup("master-key").DefValue = ""
	root.AddCommand(
		a.initCommand(), a.learnCommand(), a.observeCommand(), a.predictCommand(), a.askCommand(),
		a.rankCommand(), a.embedCommand(),
		a.rollbackCommand(), a.rebaseCommand(), a.moveCommand(), a.serveCommand(), a.tokenCommand(),
		a.exportCommand(), a.importCommand(), a.keyCommand(),
		a.profilesCommand(), a.showCommand(), a.examplesCommand(), a.personCommand(), a.privateCommand(),
		a.forgetCommand(),
		a.backupCommand(), a.restoreCommand(), a.verifyCommand(), a.compactCommand(), a.checkCommand(),
		a.repairCommand(), a.statsCommand(), a.headCommand(), a.labelsCommand(), a.bankCommand(), a.modelCommand(),
		a.versionCommand(),
		a.movedCommand("eval"), a.movedCommand("plot"),
	)
	return root
}

// parent is a command that has others.
func parent(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// runs makes a command's RunE of its code. What fails before it, in the flags or the arguments, is
// a usage error.
func (a *app) runs(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.running = true
		var err error
		if a.key, err = readMasterKey(a.keyFile); err != nil {
			return err
		}
		return f(cmd.Context(), args)
	}
}

// logger is silent unless --verbose.
func (a *app) logger() *slog.Logger {
	if !a.verbose {
		return nil
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// withStore opens the folder's store for f, and nothing else: no model, no bank.
func (a *app) withStore(readOnly bool, f func(st *store.Store) error) error {
	return a.withOptions(store.Options{ReadOnly: readOnly}, f)
}

// withOptions is withStore with options of the command's own.
func (a *app) withOptions(o store.Options, f func(st *store.Store) error) (err error) {
	if err := a.mustExist(); err != nil {
		return err
	}
	o.Timeout, o.MasterKey, o.Logger = a.lock, a.key, a.logger()
	st, err := folder.Open(a.dir, &o)
	if err != nil {
		return err
	}
	defer func() {
		if closed := st.Close(); err == nil {
			err = closed
		}
	}()
	return f(st)
}

func (a *app) mustExist() error {
	ok, err := folder.Exists(a.dir)
	if err == nil && !ok {
		return &noStoreError{a.dir}
	}
	return err
}

// movedCommand stands in for a command of research, which is a program of its own.
func (a *app) movedCommand(name string) *cobra.Command {
	return &cobra.Command{
		Use:                name,
		Short:              "Moved to xpeft-lab " + name,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return usagef("xpeft %s is xpeft-lab %[1]s now: make build puts it beside xpeft", name)
		},
	}
}
