package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// keyShown is a signing key's file and its public half.
type keyShown struct {
	File   string `json:"file"`
	Public string `json:"public"`
}

func (a *app) keyCommand() *cobra.Command {
	create := &cobra.Command{
		Use:   "new FILE",
		Short: "Make a key for export --sign",
		Long: "Make an Ed25519 key for xpeft export --sign, and print its public half, which others give to xpeft " +
			"import --trust. The file is PEM (PKCS #8), for its\n" +
			"owner alone to read; one that exists is left as it is.",
		Example: "  xpeft key new team.key",
		Args:    cobra.ExactArgs(1),
		RunE:    a.runs(func(_ context.Context, args []string) error { return a.newKey(args[0]) }),
	}
	show := &cobra.Command{
		Use:   "show FILE",
		Short: "Print the public half of a key",
		Args:  cobra.ExactArgs(1),
		RunE: a.runs(func(_ context.Context, args []string) error {
			key, err := readSigningKey(args[0])
			if err != nil {
				return err
			}
			return a.showKey(args[0], key)
		}),
	}
	return parent("key", "Make and show keys that sign bundles", create, show)
}

func (a *app) newKey(path string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(pem.Encode(f, &pem.Block{Type: pemKey, Bytes: der}), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return a.showKey(path, key)
}

func (a *app) showKey(path string, key ed25519.PrivateKey) error {
	shown := keyShown{path, publicText(key.Public().(ed25519.PublicKey))}
	return a.print(shown, func(w io.Writer) { fmt.Fprintln(w, shown.Public) })
}

// pemKey is the type of the PEM block of a private key.
const pemKey = "PRIVATE KEY"

// readSigningKey reads a file of newKey's, or of openssl's. Its errors have nothing of the file's
// text.
func readSigningKey(path string) (ed25519.PrivateKey, error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != pemKey {
		return nil, usagef("%s is not a signing key: it has no PEM block %q", path, pemKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, usagef("%s is not a signing key: its PEM block is not an Ed25519 key", path)
	}
	return key, nil
}
