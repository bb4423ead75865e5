package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// imported is what import did.
type imported struct {
	Total       int               `json:"total"`
	Merged      int               `json:"merged"`
	Profiles    int               `json:"profiles"`
	Skipped     int               `json:"skipped"`
	Overwritten int               `json:"overwritten"`
	Examples    int               `json:"examples"`
	Banks       int               `json:"banks"`
	Heads       int               `json:"heads"`
	Renamed     map[string]string `json:"renamed"`
	SignedBy    string            `json:"signed_by"`
}

// policies of import, by name.
var policies = map[string]store.Policy{"fail": store.Fail, "skip": store.Skip, "overwrite": store.Overwrite,
	"rename": store.Rename}

func (a *app) importCommand() *cobra.Command {
	var o folder.ImportOptions
	var keys importKeys
	var policy string
	cmd := &cobra.Command{
		Use:   "import [BUNDLE]",
		Short: "Take in a bundle of profiles",
		Long: "Take in a bundle, from a file or from stdin. All of it is verified first, and with an error until " +
			"then nothing is taken in. Then its profiles are merged in\n" +
			"batches; if that is cut short, the next command that opens the folder for writing merges the rest. A " +
			"bundle made for another encoder, tokenizer,\n" +
			"bank or head is refused. --policy says what happens to a profile whose id exists. --trust refuses " +
			"bundles that none of the named keys signed;\n" +
			"without it whoever made the bundle decides what its profiles answer. An encrypted bundle needs " +
			"--identity.",
		Example: "  xpeft import two.xpeft --policy skip\n  xpeft import alice.xpeft --trust team.pub --identity " +
			"key.txt",
		Args: cobra.MaximumNArgs(1),
		RunE: a.runs(func(ctx context.Context, args []string) error {
			p, ok := policies[policy]
			if !ok {
				return usagef("--policy is %q, want fail, skip, overwrite or rename", policy)
			}
			o.Policy = p
			if err := keys.read(&o); err != nil {
				return err
			}
			return a.fromFile(ctx, args, "bundle", func(r io.Reader) error {
				return a.withStore(false, func(st *store.Store) error { return a.importBundle(ctx, st, r, o) })
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&policy, "policy", "fail", "for ids that exist: fail, skip, overwrite or rename")
	f.StringVar(&o.Prefix, "prefix", "", "put this before every id")
	f.StringArrayVar(&keys.trust, "trust",
		nil, "refuse what this public key, ed25519:…, or those in this file did not sign; may be repeated")
	f.BoolVar(&o.RequireSigned, "require-signed", false, "refuse what nobody signed")
	f.StringArrayVar(&keys.identity, "identity",
		nil, "file of an identity of age that opens an encrypted bundle; may be repeated")
	complete(cmd, "policy", "fail", "skip", "overwrite", "rename")
	return cmd
}

func (a *app) importBundle(ctx context.Context, st *store.Store, r io.Reader, o folder.ImportOptions) error {
	rep, err := folder.Import(ctx, st, a.dir, r, o)
	if err != nil && rep.Total == 0 {
		return err
	}
	row := imported{rep.Total, rep.Merged, rep.Profiles, rep.Skipped, rep.Overwritten, rep.Examples, rep.Banks,
		rep.Heads, rep.Renamed, ""}
	if rep.SignedBy != nil {
		row.SignedBy = publicText(rep.SignedBy)
	}
	if row.Renamed == nil {
		row.Renamed = map[string]string{}
	}
	return cmp.Or(err, a.print(row, func(w io.Writer) {
		fields(w, "merged", fmt.Sprintf("%s of %s", number(row.Merged), count(row.Total, "profile")), "imported",
			count(row.Profiles, "profile"), "skipped", count(row.Skipped, "profile"),
			"overwritten", count(row.Overwritten, "profile"), "examples", number(row.Examples), "new banks",
			number(row.Banks), "new heads", number(row.Heads))
		if row.SignedBy != "" {
			fields(w, "signed by", row.SignedBy)
		}
		for _, id := range slices.Sorted(maps.Keys(row.Renamed)) {
			fields(w, "renamed", id+" to "+row.Renamed[id])
		}
	}))
}

// fromFile opens the one argument, or stdin if there is none or it is "-".
func (a *app) fromFile(ctx context.Context, args []string, what string, f func(r io.Reader) error) error {
	if len(args) == 0 || args[0] == "-" {
		if isTerminal(a.stdin) {
			return usagef("no %s: name a file, or pipe one in", what)
		}
		return f(cancellable(ctx, a.stdin))
	}
	h, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return err
	}
	progress := a.newByteBar(info.Size(), "reading")
	defer progress.done()
	return f(progress.reader(h))
}

// cancellable is r until ctx is done: a signal ends a command that waits for its pipe.
func cancellable(ctx context.Context, r io.Reader) io.Reader {
	pr, pw := io.Pipe()
	go func() {
		_, err := io.Copy(pw, r)
		pw.CloseWithError(err) // nil: io.EOF
	}()
	context.AfterFunc(ctx, func() { pw.CloseWithError(context.Cause(ctx)) })
	return pr
}

// complete gives a flag's values to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	fixed := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc(flag, fixed); err != nil {
		panic(err) // no such flag: the program is wrong
	}
}
