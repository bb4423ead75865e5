package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/xpeft/xpeft/store"
)

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
