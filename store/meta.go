package store

import (
	"encoding/hex"
	"time"
)

// Digest is a SHA-256: the name of an encoder, tokenizer, bank or head.
type Digest [32]byte

// String is the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short is the first twelve hexadecimal digits, for messages.
func (d Digest) Short() string { return hex.EncodeToString(d[:6]) }

// MarshalText makes a digest hexadecimal in JSON.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != 2*len(d) {
		return corrupt("digest of %d digits, want %d", len(text), 2*len(d))
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return corrupt("digest: %w", err)
	}
	return nil
}

// Meta is what a store is bound to, from its creation on.
type Meta struct {
	Schema    int               // version of the file's layout; set by Create
	Model     string            // folder of the encoder, as the user named it
	Encoder   Digest            // of the encoder's weights and configuration
	Tokenizer Digest            // of the tokenizer, its length limit included
	MaxTokens int               // longest text, in tokens
	Created   time.Time         // set by Create if zero
	Keys      string            `json:",omitempty"` // id of the file of keys, set by Create with a master key; empty: nothing is encrypted
	Extra     map[string]string // for the caller
}
