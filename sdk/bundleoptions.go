package sdk

import (
	"cmp"
	"crypto"
	"crypto/ed25519"

	"filippo.io/age"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// ExportOptions say what a bundle holds. Nil, and every zero field, means the default.
type ExportOptions struct {
	IDs         []string // default: all profiles that match Prefix
	Prefix      string   // of the ids; default: all
	Examples    bool     // the stored examples too
	State       bool     // what the next Learn is judged by too
	IncludeBank bool     // the files of the banks that the profiles choose from, if they have one

	// Sign signs the bundle: an ed25519.PrivateKey, or a device that holds one. Default: unsigned.
	Sign crypto.Signer
	// To encrypts the bundle, so that only these recipients' identities open it. Default: in the
	// clear.
	To []age.Recipient
}

// ImportPolicy says what Import does with an id that exists.
type ImportPolicy = store.Policy

const (
	Fail      = store.Fail      // the whole import fails with ErrExists
	Skip      = store.Skip      // the folder's profile stays
	Overwrite = store.Overwrite // the bundle's profile replaces it
	Rename    = store.Rename    // the bundle's profile gets another id: id-2, id-3, …
)

// ImportOptions say how a bundle is taken in, and from whom. Nil, and every zero field, means the
// default.
type ImportOptions struct {
	Policy ImportPolicy           // default Fail
	Prefix string                 // is put before every id
	Rename func(id string) string // with policy Rename; default: id-2, id-3, …

	// Limits of this bundle; default: those of Options.Limits.
	MaxBytes      int64 // of the bundle, decompressed
	MaxProfiles   int
	MaxHead       int   // of each head, in bytes
	MaxRandomBank int64 // of each random bank that is new, in bytes of memory

	// Trust refuses a bundle that none of these keys signed. Nil: whoever made it; empty:
	// everything.
	Trust         []ed25519.PublicKey
	RequireSigned bool // refuses a bundle that nobody signed
	// Identities open an encrypted bundle; one in the clear is taken in as well.
	Identities []age.Identity
}

// within are the options that package folder takes, with a folder's limits where they set none.
func (o *ImportOptions) within(l Limits) folder.ImportOptions {
	o = cmp.Or(o, &ImportOptions{})
	return folder.ImportOptions{Policy: o.Policy, Prefix: o.Prefix, Rename: o.Rename,
		MaxBytes: cmp.Or(o.MaxBytes, l.BundleBytes), MaxProfiles: cmp.Or(o.MaxProfiles, l.BundleProfiles),
		MaxHead: cmp.Or(o.MaxHead, l.HeadBytes), MaxRandomBank: cmp.Or(o.MaxRandomBank, l.RandomBankBytes),
		Trust: o.Trust, RequireSigned: o.RequireSigned, Identities: o.Identities}
}
