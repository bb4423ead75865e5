package store

import (
	"cmp"
	"crypto/ed25519"
	"fmt"
	"io"
	"slices"
)

// Policy says what Import does with a profile whose id exists.
type Policy int

const (
	// Fail makes the whole import fail with ErrExists.
	Fail Policy = iota
	// Skip leaves the store's profile as it is.
	Skip
	// Overwrite erases the store's profile, its history too, and puts the
	// bundle's in its place, with a higher revision.
	Overwrite
	// Rename gives the bundle's profile another id.
	Rename
)

// ImportOptions say how a bundle is taken in.
type ImportOptions struct {
	Policy Policy
	// Prefix is put before every id.
	Prefix string
	// Rename gives the new id under the policy Rename, while the bundle is
	// verified; if that exists too it is ErrExists. Nil, and for an id that another writer puts
	// after that: the first free one of id-2, id-3, …
	Rename func(id string) string
	// OnBank is given the file of a bank that the store does not know, if the
	// bundle has it, and must check it against the digest. Nothing is undone
	// if the import fails later, by a wrong signature too. Nil: such a bank is a MismatchError.
	OnBank func(info BankInfo, file io.Reader) error
	// AllowBank may accept such a bank without a file, because it can be made
	// from its properties. Nil, or an error: the import fails.
	AllowBank func(info BankInfo) error
	// Trust refuses every bundle that none of these keys signed. Nil: whoever
	// made it; empty: every bundle is refused.
	Trust []ed25519.PublicKey
	// RequireSigned refuses an unsigned bundle. It says nothing of the signer,
	// whom ImportReport.SignedBy names.
	RequireSigned bool
	// MaxBytes bounds the bundle once decompressed. Default 8 GiB.
	MaxBytes int64
	// MaxProfiles bounds their number. Default 10 million.
	MaxProfiles int
	// MaxHead bounds each head in bytes, shared or own. Default MaxRecord.
	MaxHead int
}

// normalize sets the defaults, or says what is wrong.
func (o *ImportOptions) normalize() error {
	o.MaxBytes = cmp.Or(o.MaxBytes, 8<<30)
	o.MaxProfiles = cmp.Or(o.MaxProfiles, 10_000_000)
	o.MaxHead = cmp.Or(o.MaxHead, MaxRecord)
	if o.Policy < Fail || o.Policy > Rename {
		return fmt.Errorf("unknown policy %d", o.Policy)
	}
	for _, key := range o.Trust { // Verify would panic
		if len(key) != ed25519.PublicKeySize {
			return fmt.Errorf("trusted key of %d bytes, want %d", len(key), ed25519.PublicKeySize)
		}
	}
	return nil
}

// accepts says whether a bundle that names this signer may be read; nil is
// none. That the signature is the signer's is only known at its end.
func (o *ImportOptions) accepts(signer ed25519.PublicKey) error {
	switch {
	case signer == nil && (o.RequireSigned || o.Trust != nil):
		return fmt.Errorf("%w: bundle is not signed", ErrSignature)
	case signer == nil || o.Trust == nil:
		return nil
	case !slices.ContainsFunc(o.Trust, func(key ed25519.PublicKey) bool { return key.Equal(signer) }):
		return fmt.Errorf("%w: %x, which is not trusted, signed the bundle", ErrSignature, []byte(signer))
	}
	return nil
}

// ImportReport says what Import did. With an error it is zero if nothing of the
// bundle is in the store.
type ImportReport struct {
	Total       int               // profiles of the bundle
	Merged      int               // of these, those that are done with; the rest waits for the next Import or Open
	Profiles    int               // now in the store, with those below but Skipped
	Skipped     int               // under the policy Skip, or another writer's were kept
	Overwritten int               // under the policy Overwrite
	Examples    int               // stored with them
	Banks       int               // new in the store
	Heads       int               // new in the store
	Renamed     map[string]string // bundle's id, with the prefix → store's
	SignedBy    ed25519.PublicKey // whose signature the bundle has; nil: none
}
