package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/metrics"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/serve"
)

// serveFlags say what is served, to whom and how.
type serveFlags struct {
	engineFlags
	serve.Options
	addr   string
	tokens string
	rate   float64
}

// servingRow says that requests are taken now, and where.
type servingRow struct {
	Address string `json:"address"`
	Tenants int    `json:"tenants"` // 0: one folder, without tokens
}

func (a *app) serveCommand() *cobra.Command {
	var o serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer HTTP: learn, observe, predict and all else, for programs in any language",
		Long: `Answer the HTTP API until SIGTERM or SIGINT, and then what is in progress: /openapi.json
describes it. Without --tokens it serves the folder of --dir, to this machine alone. With
--tokens it serves each tenant in that file its own folder, to those who have its token;
put what speaks TLS before it. A line on stderr says how each request went, without ids of
profiles.`,
		Example: "  xpeft serve --dir profiles\n  xpeft token acme --dir /srv/acme --tokens tokens && " +
			"xpeft serve --tokens tokens --addr :8080",
		Args: cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error { return a.serve(ctx, o) }),
	}
	o.addEngine(cmd)
	f := cmd.Flags()
	f.StringVar(&o.Model, "model", "",
		"folder of the model: with --tokens all tenants share it, else if it moved since init")
	f.StringVar(&o.addr, "addr", "localhost:8080", "address to listen on; port 0: a free one")
	f.StringVar(&o.tokens, "tokens", "", "file of tenants and the SHA-256 of their tokens: see xpeft token")
	f.BoolVar(&o.Trust, "trust", false, "without tokens, serve whoever reaches --addr")
	f.Float64Var(&o.rate, "rate", 100, "requests a second of one profile, where its tenant has no limit of its own")
	f.StringVar(&o.Precision, "precision", "auto",
		"of the model's passes: float32, bfloat16, int16, int8 or auto, the best that is fast here")
	f.IntVar(&o.BankEvery, "bank-every", 0,
		"profiles that learn between two trainings of a bank; 0: it is not trained here")
	f.DurationVar(&o.ExampleAge, "example-age", 0, "how long a stored example is used; 0: for ever")
	f.DurationVar(&o.Drain, "drain", 25*time.Second, "how long requests in progress go on after SIGTERM")
	f.DurationVar(&o.Notice, "notice", 0, "how long /readyz says 503 after SIGTERM before connections are refused")
	cmd.MarkFlagsMutuallyExclusive("tokens", "trust")
	complete(cmd, "precision", "float32", "bfloat16", "int16", "int8", "auto")
	return cmd
}

func (a *app) serve(ctx context.Context, o serveFlags) (err error) {
	log := a.serverLog()
	tenants := []tenantFolder{{dir: a.dir, masterKey: a.keyFile}}
	if o.tokens != "" {
		if tenants, err = readTokens(o.tokens); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	defer listener.Close() // which the server closed before; this is for errors
	var shared *sdk.Model
	if o.tokens != "" && o.Model != "" {
		if shared, err = sdk.OpenModel(ctx, o.Model, &sdk.ModelOptions{Device: o.Device, Precision: o.Precision,
			Workers: o.Workers, Logger: log}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, shared.Close()) }()
	}
	served := make([]serve.Tenant, len(tenants))
	for i, t := range tenants {
		if served[i], err = a.openTenant(ctx, t, o, shared, log); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, served[i].Folder.Close()) }() // after the last request
	}
	o.Options.Logger = log
	s, err := serve.New(served, &o.Options)
	if errors.Is(err, serve.ErrConfig) {
		return &usageError{err}
	} else if err != nil {
		return err
	}
	row := servingRow{listener.Addr().String(), len(tenants)}
	if o.tokens == "" {
		row.Tenants = 0
	}
	if err := errors.Join(a.say(row), a.stdout.Flush()); err != nil {
		return err
	}
	err = s.Run(ctx, listener, nil)
	if errors.Is(err, serve.ErrConfig) {
		return &usageError{err}
	}
	return err
}

func (r servingRow) text(w io.Writer) {
	who := "this machine, without tokens"
	if r.Tenants > 0 {
		who = fmt.Sprintf("%d tenants", r.Tenants)
	}
	fmt.Fprintf(w, "serving http://%s to %s\n", r.Address, who)
}

// openTenant opens a tenant's folder, with its events and metrics.
func (a *app) openTenant(ctx context.Context, t tenantFolder, o serveFlags, shared *sdk.Model,
	log *slog.Logger) (serve.Tenant, error) {
	served := t.Tenant
	key, err := readMasterKey(t.masterKey)
	if err != nil {
		return served, err
	}
	served.Events = &serve.Events{}
	if served.Limits.Rate == 0 {
		served.Limits.Rate = o.rate
	}
	of := *a
	of.dir, of.key = t.dir, key
	options := of.options(o.engineFlags)
	if options.Encoder = shared; shared != nil {
		options.Device, options.Precision, options.Model = "", "", ""
	}
	options.Logger, options.OnLearned = log, served.Events.OnLearned
	if t.Name != "" {
		options.Logger = log.With("tenant", t.Name)
	}
	if served.Folder, err = of.open(ctx, options); err != nil {
		return served, err
	}
	served.Requests = &serve.Requests{}
	served.Metrics = metrics.Handler(served.Folder, metrics.Requests(served.Requests.All))
	return served, nil
}

// serverLog writes to stderr: a server's log is not asked for.
func (a *app) serverLog() *slog.Logger {
	o := &slog.HandlerOptions{}
	if a.verbose {
		o.Level = slog.LevelDebug
	}
	if a.json {
		return slog.New(slog.NewJSONHandler(a.stderr, o))
	}
	return slog.New(slog.NewTextHandler(a.stderr, o))
}
