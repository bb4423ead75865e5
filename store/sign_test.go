package store

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// signingKey is the same for the same seed.
func signingKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func publicKey(seed byte) ed25519.PublicKey { return signingKey(seed).Public().(ed25519.PublicKey) }

// signByHand makes a signed bundle of an unsigned one, as docs/format.md says, with the key that it
// names and the one that signs.
func signByHand(unsigned []byte, named ed25519.PublicKey, key ed25519.PrivateKey) []byte {
	b := append(append([]byte("XPEFTB"), unsigned[6]+1, 0), named...) // versions come in pairs
	b = append(b, unsigned[8:len(unsigned)-32]...)
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	return append(b, ed25519.Sign(key, append([]byte("xpeft bundle v2\x00"), sum[:]...))...)
}

// TestGoldenSignedBundle: bundle-v2.bin is bundle-v1.bin, signed.
func TestGoldenSignedBundle(t *testing.T) {
	v1, err := os.ReadFile(filepath.Join("testdata", "bundle-v1.bin"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "bundle-v2.bin")
	if os.Getenv("XPEFT_MAKE_GOLDEN") != "" {
		if err := os.WriteFile(path, signByHand(v1, publicKey(1), signingKey(1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v2, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, fast)
	report, err := s.Import(ctx, bytes.NewReader(v2),
		ImportOptions{Trust: []ed25519.PublicKey{publicKey(1)}, RequireSigned: true})
	if err != nil || !report.SignedBy.Equal(publicKey(1)) {
		t.Fatalf("got %v, signed by %x, want %x", err, report.SignedBy, publicKey(1))
	}
	checkGolden(t, s)
	// What Export signs is what it would not sign, with the key and the signature.
	signed := everything
	signed.Sign = signingKey(1)
	unsigned := export(t, s, everything)
	if !bytes.HasPrefix(unsigned, []byte("XPEFTB\x05\x00")) {
		t.Errorf("got %q, want version 5 of what is not signed", unsigned[:8])
	}
	if got, want := export(t, s, signed), signByHand(unsigned, publicKey(1), signingKey(1)); !bytes.Equal(got, want) {
		t.Errorf("got a signed bundle of %d bytes, want one of %d that is made by hand", len(got), len(want))
	}
}

func TestSignaturePolicies(t *testing.T) {
	r := newRand(t)
	from := filled(t, r, 5)
	unsigned := export(t, from, everything)
	signed := everything
	signed.Sign = signingKey(1)
	one := export(t, from, signed)
	type keys = []ed25519.PublicKey
	for name, c := range map[string]struct {
		bundle []byte
		o      ImportOptions
		signer ed25519.PublicKey // nil: none
		want   error
	}{
		"unsigned":                     {unsigned, ImportOptions{}, nil, nil},
		"unsigned, signature required": {unsigned, ImportOptions{RequireSigned: true}, nil, ErrSignature},
		"unsigned, some trusted":       {unsigned, ImportOptions{Trust: keys{publicKey(1)}}, nil, ErrSignature},
		"unsigned, nobody trusted":     {unsigned, ImportOptions{Trust: keys{}}, nil, ErrSignature},
		"signed":                       {one, ImportOptions{}, publicKey(1), nil},
		"signed, signature required":   {one, ImportOptions{RequireSigned: true}, publicKey(1), nil},
		"signed, trusted": {one, ImportOptions{Trust: keys{publicKey(2), publicKey(1)}}, publicKey(1),
			nil},
		"signed, another trusted": {one, ImportOptions{Trust: keys{publicKey(2)}}, nil, ErrSignature},
		"signed, nobody trusted":  {one, ImportOptions{Trust: keys{}}, nil, ErrSignature},
		"another's key": {signByHand(unsigned, publicKey(1), signingKey(2)), ImportOptions{}, nil,
			ErrSignature},
		"another's key, trusted": {signByHand(unsigned, publicKey(1), signingKey(2)),
			ImportOptions{Trust: keys{publicKey(1)}}, nil, ErrSignature},
		"signed by both, one after all": {signByHand(unsigned, publicKey(2), signingKey(2)),
			ImportOptions{Trust: keys{publicKey(1)}}, nil, ErrSignature},
		"a signature without the domain": {withoutDomain(unsigned), ImportOptions{}, nil, ErrSignature},
		"a signature of another bundle": {slices.Concat(one[:len(one)-64],
			signByHand(export(t, from, ExportOptions{}), publicKey(1), signingKey(1))[:64]), ImportOptions{}, nil,
			ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			to := newStore(t, fast)
			report, err := to.Import(ctx, bytes.NewReader(c.bundle), c.o)
			if !errors.Is(err, c.want) || !bytes.Equal(report.SignedBy, c.signer) {
				t.Fatalf("got %v, signed by %x, want %v, %x", err, report.SignedBy, c.want, c.signer)
			}
			got, want := contents(t, to), map[string]content{}
			if c.want == nil {
				want = contents(t, from)
			}
			if diff := cmp.Diff(want, got, byValue); diff != "" {
				t.Error(diff)
			}
			if heads, err := to.Heads(); c.want != nil && (len(heads) != 0 || err != nil) {
				t.Errorf("got %d heads, %v, want none", len(heads), err)
			}
		})
	}
	t.Run("a trusted key that is none", func(t *testing.T) {
		_, err := newStore(t, fast).Import(ctx, bytes.NewReader(one), ImportOptions{Trust: keys{publicKey(1)[:31]}})
		if err == nil {
			t.Error("got nil, want an error")
		}
	})
}

func withoutDomain(unsigned []byte) []byte {
	b := signByHand(unsigned, publicKey(1), signingKey(1))
	end := len(b) - ed25519.SignatureSize
	return append(b[:end:end], ed25519.Sign(signingKey(1), b[end-32:end])...)
}

// TestRefusedEarly: who is not trusted is refused before the rest is read.
func TestRefusedEarly(t *testing.T) {
	for name, bundle := range map[string][]byte{
		"unsigned": []byte("XPEFTB\x01\x00"),
		"signed":   append([]byte("XPEFTB\x02\x00"), publicKey(2)...),
	} {
		r := io.MultiReader(bytes.NewReader(bundle), iotest.ErrReader(errors.New("read on")))
		_, err := newStore(t, fast).Import(ctx, r, ImportOptions{Trust: []ed25519.PublicKey{publicKey(1)}})
		if !errors.Is(err, ErrSignature) {
			t.Errorf("%s: got %v, want ErrSignature", name, err)
		}
	}
}

// TestSignedBundleDamage cuts a signed bundle at every byte and flips a bit of each: nothing is
// taken in.
func TestSignedBundleDamage(t *testing.T) {
	r := newRand(t)
	o := everything
	o.Sign = signingKey(1)
	bundle := export(t, filled(t, r, 2), o)
	to := newStore(t, fast)
	refused := func(what string, b []byte, trust []ed25519.PublicKey) {
		_, err := to.Import(ctx, bytes.NewReader(b), ImportOptions{Trust: trust})
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrSchema) && !errors.Is(err, ErrSignature) {
			t.Errorf("%s: got %v, want a typed error", what, err)
		}
	}
	step := 1
	if testing.Short() || raceEnabled {
		step = 7
	}
	for _, trust := range [][]ed25519.PublicKey{nil, {publicKey(1)}} {
		for i := 0; i < len(bundle); i += step {
			refused(fmt.Sprint("cut at ", i), bundle[:i], trust)
			flipped := bytes.Clone(bundle)
			flipped[i] ^= 1 << (i % 8)
			refused(fmt.Sprint("flipped at ", i), flipped, trust)
		}
		refused("tail", append(bytes.Clone(bundle), 0), trust)
		refused("signed twice", append(bytes.Clone(bundle), bundle[len(bundle)-64:]...), trust)
	}
	if n, err := to.Count(); n != 0 || err != nil {
		t.Errorf("got %d profiles, %v, want none", n, err)
	}
}

// faultySigner is a device that makes a wrong signature, or another kind of key.
type faultySigner struct {
	public crypto.PublicKey
	err    error
}

func (s faultySigner) Public() crypto.PublicKey { return s.public }
func (s faultySigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, ed25519.SignatureSize), s.err
}

// TestCannotSign: what cannot be signed is not exported.
func TestCannotSign(t *testing.T) {
	from := filled(t, newRand(t), 2)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]crypto.Signer{
		"no key":          ed25519.PrivateKey(nil),
		"half a key":      signingKey(1)[:31],
		"another kind":    other,
		"a short one":     faultySigner{public: publicKey(1)[:5]},
		"wrong signature": faultySigner{public: publicKey(1)},
		"device fails":    faultySigner{public: publicKey(1), err: errFull},
	} {
		var b bytes.Buffer
		if n, err := from.Export(ctx, &b, ExportOptions{Sign: signer}); n != 0 || err == nil {
			t.Errorf("%s: got %d profiles, %v, want an error", name, n, err)
		}
		if _, err := newStore(t, fast).Import(ctx, &b, ImportOptions{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: import of what was written: got %v, want ErrCorrupt", name, err)
		}
	}
}
