package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/xpeft/xpeft/store"
)

// readKey reads the file that --master-key names: the key's bytes, or their 64 hexadecimal digits.
// It never stands on the command line, which other users of the machine see.
func (a *app) readKey() error {
	if a.keyFile == "" {
		return nil
	}
	b, err := os.ReadFile(a.keyFile)
	if err != nil {
		return err
	}
	if len(b) == store.MasterKeySize {
		a.key = b
		return nil
	}
	a.key, err = hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(a.key) != store.MasterKeySize {
		return fmt.Errorf("%w: %s has neither %d bytes nor %d hexadecimal digits", store.ErrKey, a.keyFile,
			store.MasterKeySize, 2*store.MasterKeySize)
	}
	return nil
}
