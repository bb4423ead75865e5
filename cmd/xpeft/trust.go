package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/xpeft/xpeft/store"

	"github.com/xpeft/xpeft/internal/folder"
)

// exportKeys are export's flags of who signs, and for whom.
type exportKeys struct {
	sign string
	to   []string
}

// setSign refuses no name, as a shell makes one of a variable that is not set: the bundle would be
// unsigned.
func (k *exportKeys) setSign(path string) error {
	if path == "" {
		return errors.New("no file is named")
	}
	k.sign = path
	return nil
}

// given says whether there are any.
func (k exportKeys) given() bool { return k.sign != "" || k.to != nil }

// read puts the keys into the options.
func (k exportKeys) read(o *folder.ExportOptions) error {
	if k.sign != "" {
		key, err := readSigningKey(k.sign)
		if err != nil {
			return err
		}
		o.Sign = key
	}
	for _, s := range k.to {
		r, err := folder.ParseRecipient(s)
		if err != nil {
			return usagef("--to: %w", err)
		}
		o.To = append(o.To, r)
	}
	return nil
}

// importKeys are import's flags of whose bundles are taken in, and what opens them.
type importKeys struct {
	identity []string
	trust    []string
}

// read puts the keys into the options.
func (k importKeys) read(o *folder.ImportOptions) error {
	for _, path := range k.identity {
		data, err := readSmall(path)
		if err != nil {
			return err
		}
		ids, err := folder.ParseIdentities(bytes.NewReader(data))
		if err != nil {
			return usagef("--identity: %s: %w", path, err)
		}
		o.Identities = append(o.Identities, ids...)
	}
	for _, s := range k.trust {
		keys, err := trusted(s)
		if err != nil {
			return err
		}
		o.Trust = append(o.Trust, keys...)
	}
	return nil
}

// publicPrefix begins the text of a public key.
const publicPrefix = "ed25519:"

func publicText(key ed25519.PublicKey) string { return publicPrefix + hex.EncodeToString(key) }

func parsePublic(s string) (ed25519.PublicKey, error) {
	digits, ok := strings.CutPrefix(s, publicPrefix)
	key, err := hex.DecodeString(digits)
	if !ok || err != nil || len(key) != ed25519.PublicKeySize {
		return nil, usagef("--trust: %q is not a public key, %s and %d hexadecimal digits", s, publicPrefix,
			2*ed25519.PublicKeySize)
	}
	return key, nil
}

// trusted is a public key, or those of a file: one a line, besides comments. A file without any is
// an error, as it would trust nobody.
func trusted(s string) (keys []ed25519.PublicKey, err error) {
	if strings.HasPrefix(s, publicPrefix) {
		key, err := parsePublic(s)
		return []ed25519.PublicKey{key}, err
	}
	data, err := readSmall(s)
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(data), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if !strings.HasPrefix(line, publicPrefix) { // not repeated: it may be of a private key
			return nil, usagef("--trust: %s has lines that are not public keys, %s…", s, publicPrefix)
		}
		key, err := parsePublic(line)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, usagef("--trust: %s has no public key", s)
	}
	return keys, nil
}

// readSmall reads a file of keys, and not more than one can be.
func readSmall(path string) ([]byte, error) {
	const most = 1 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(data) > most {
		err = usagef("%s is too large for a file of keys", path)
	}
	return data, err
}

// readMasterKey reads a file that --master-key names: the key's bytes, or their 64 hexadecimal
// digits; nil if it names none. The key never stands on the command line, which other users of the
// machine see.
func readMasterKey(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil || len(b) == store.MasterKeySize {
		return b, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != store.MasterKeySize {
		return nil, fmt.Errorf("%w: %s has neither %d bytes nor %d hexadecimal digits", store.ErrKey, path,
			store.MasterKeySize, 2*store.MasterKeySize)
	}
	return key, nil
}
