// Command xpeft-fleet looks after a fleet: docs/fleet.md shows each of its commands.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"

	"github.com/xpeft/xpeft/fleet"
	"github.com/xpeft/xpeft/sdk"
)

const usage = `xpeft-fleet COMMAND [flags] [argument]

  create          make a fleet: --model and --labels
  status          what the servers say of it
  import FOLDER   put the people of an sdk folder into it, as they are there now
  backup FILE     write this node's folder, with everybody whom the fleet knows, as sdk.Restore reads it
  drain           send what waits in this node's directory, and end when all of it is learned
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "xpeft-fleet:", err)
		os.Exit(1)
	}
}

// flags are those of all commands.
type flags struct {
	*flag.FlagSet
	config               fleet.Config
	secret, seed, ca     string
	cert, key            string
	model, labels        string
	replicas, partitions int
}

func newFlags(out io.Writer) *flags {
	f := &flags{FlagSet: flag.NewFlagSet("xpeft-fleet", flag.ContinueOnError)}
	f.SetOutput(out)
	f.StringVar(&f.config.Servers, "servers", "nats://127.0.0.1:4222", "URLs of NATS servers, with commas between")
	f.StringVar(&f.config.Fleet, "fleet", "xpeft", "the fleet's name")
	f.StringVar(&f.config.Node, "node", "operator", "this node's name")
	f.StringVar(&f.config.Dir, "dir", "", "this node's directory, of import, backup and drain")
	f.StringVar(&f.secret, "secret", "", "file of the fleet's secret, 32 bytes")
	f.StringVar(&f.seed, "nkey", "", "file of an NKey seed")
	f.StringVar(&f.ca, "ca", "", "file of the certificate authority")
	f.StringVar(&f.cert, "cert", "", "file of a client certificate")
	f.StringVar(&f.key, "key", "", "file of its key")
	f.StringVar(&f.model, "model", os.Getenv("XPEFT_MODEL"), "folder of the encoder")
	f.StringVar(&f.labels, "labels", "", "of create: the labels, with commas between")
	f.IntVar(&f.replicas, "replicas", 3, "of create: how many servers keep each stream")
	f.IntVar(&f.partitions, "partitions", 1, "of create: how many streams people are spread over")
	return f
}

// complete reads the files that the flags name.
func (f *flags) complete() (err error) {
	if f.secret == "" {
		return errors.New("--secret names no file")
	}
	if f.config.Secret, err = os.ReadFile(f.secret); err != nil {
		return err
	}
	if f.seed != "" {
		o, err := nats.NkeyOptionFromSeed(f.seed)
		if err != nil {
			return err
		}
		f.config.NATS = append(f.config.NATS, o)
	}
	if f.ca != "" {
		f.config.NATS = append(f.config.NATS, nats.RootCAs(f.ca))
	}
	if f.cert != "" {
		f.config.NATS = append(f.config.NATS, nats.ClientCert(f.cert, f.key))
	}
	f.config.Folder = &sdk.Options{Model: f.model}
	f.config.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" {
		fmt.Fprint(out, usage)
		return nil
	}
	f := newFlags(out)
	if err := f.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	commands := map[string]func(context.Context, *flags, io.Writer) error{"create": create, "status": status,
		"import": importFolder, "backup": backup, "drain": drain}
	command, ok := commands[args[0]]
	if !ok {
		return fmt.Errorf("no command %.40q", args[0])
	}
	if err := f.complete(); err != nil {
		return err
	}
	return command(ctx, f, out)
}

func create(ctx context.Context, f *flags, out io.Writer) error {
	l := fleet.Layout{Folder: sdk.Config{Model: f.model, Labels: strings.Split(f.labels, ",")}, Replicas: f.replicas,
		Partitions: f.partitions}
	if err := fleet.Create(ctx, f.config, l); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "made the fleet", f.config.Fleet)
	return err
}

func status(ctx context.Context, f *flags, out io.Writer) error {
	s, err := fleet.ReadStatus(ctx, f.config)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}

// withNode opens this node for a command.
func withNode(ctx context.Context, f *flags, do func(*fleet.Node) error) error {
	n, err := fleet.Open(ctx, f.config)
	if err != nil {
		return err
	}
	return errors.Join(do(n), n.Close())
}

func drain(ctx context.Context, f *flags, out io.Writer) error {
	return withNode(ctx, f, func(n *fleet.Node) error {
		before := n.Stats().Waiting
		if err := n.Drain(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out, "sent and learned:", before)
		return err
	})
}

func backup(ctx context.Context, f *flags, out io.Writer) error {
	if f.NArg() != 1 {
		return errors.New("backup FILE")
	}
	return withNode(ctx, f, func(n *fleet.Node) error {
		file, err := os.OpenFile(f.Arg(0), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		rep, err := n.Backup(ctx, file)
		if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
			return errors.Join(err, os.Remove(f.Arg(0)))
		}
		_, err = fmt.Fprintln(out, "profiles:", rep.Profiles)
		return err
	})
}

func importFolder(ctx context.Context, f *flags, out io.Writer) error {
	if f.NArg() != 1 {
		return errors.New("import FOLDER")
	}
	from, err := sdk.Open(ctx, f.Arg(0), &sdk.Options{Model: f.model, ReadOnly: true})
	if err != nil {
		return err
	}
	defer from.Close()
	return withNode(ctx, f, func(n *fleet.Node) error {
		done, err := n.ImportFolder(ctx, from)
		fmt.Fprintln(out, "people who are in the fleet:", done)
		return err
	})
}
