package folder

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"

	"github.com/xpeft/xpeft/store"
)

// testIdentity opens testdata/bundle-v2.age, and nothing else.
const testIdentity = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func signingKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func publicKey(seed byte) ed25519.PublicKey { return signingKey(seed).Public().(ed25519.PublicKey) }

// TestSealedBundle goes from one folder to another, signed and encrypted for two.
func TestSealedBundle(t *testing.T) {
	ours, theirs := identity(t), identity(t)
	data, _ := bundle(t, 8, ExportOptions{IncludeBank: true, Sign: signingKey(1),
		To: []age.Recipient{ours.Recipient(), theirs.Recipient()}})
	if bytes.Contains(data, []byte("XPEFTB")) || !bytes.HasPrefix(data, []byte("age-encryption.org/v1\n")) {
		t.Fatalf("got a bundle in the clear")
	}
	trusted := ImportOptions{Trust: []ed25519.PublicKey{publicKey(1)}, RequireSigned: true}
	with := func(o ImportOptions, ids ...age.Identity) ImportOptions {
		o.Identities = ids
		return o
	}
	for name, c := range map[string]struct {
		o    ImportOptions
		want error
	}{
		"the one":     {with(trusted, ours), nil},
		"the other":   {with(trusted, identity(t), theirs), nil},
		"a stranger":  {with(trusted, identity(t)), ErrEncrypted},
		"no identity": {trusted, ErrEncrypted},
		"another signer trusted": {with(ImportOptions{Trust: []ed25519.PublicKey{publicKey(2)}}, ours),
			store.ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			dir, st := newFolder(t, 8)
			rep, err := Import(t.Context(), st, dir, bytes.NewReader(data), c.o)
			if !errors.Is(err, c.want) || (err == nil) != rep.SignedBy.Equal(publicKey(1)) {
				t.Fatalf("got %v, signed by %x, want %v", err, rep.SignedBy, c.want)
			}
			want := 2
			if err != nil {
				want = 0
			}
			if n, err := st.Count(); n != want || err != nil || len(bankFiles(t, dir)) != want/2 {
				t.Errorf("got %d profiles, %v, and banks %v, want %d profiles", n, err, bankFiles(t, dir), want)
			}
		})
	}
}

// TestGoldenSealedBundle: bundle-v2.age is the store's bundle-v2.bin, encrypted.
func TestGoldenSealedBundle(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("..", "..", "store", "testdata", "bundle-v2.bin"))
	must(t, err)
	ids, err := ParseIdentities(strings.NewReader("# a comment\n" + testIdentity + "\n"))
	must(t, err)
	path := filepath.Join("testdata", "bundle-v2.age")
	if os.Getenv("XPEFT_MAKE_GOLDEN") != "" {
		must(t, os.MkdirAll("testdata", 0o777))
		must(t, os.WriteFile(path, seal(t, want, ids[0].(*age.X25519Identity).Recipient()), 0o644))
	}
	data, err := os.ReadFile(path)
	must(t, err)
	r, err := decrypted(bytes.NewReader(data), ids)
	must(t, err)
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v, want the bundle of %d", len(got), err, len(want))
	}
}

func seal(t testing.TB, plain []byte, to ...age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSealedDamage cuts an encrypted bundle at every byte and flips a bit of each: typed errors,
// and nothing is taken in.
func TestSealedDamage(t *testing.T) {
	id := identity(t)
	data, _ := bundle(t, 8, ExportOptions{Sign: signingKey(1), To: []age.Recipient{id.Recipient()}})
	dir, st := newFolder(t, 8)
	refused := func(what string, b []byte) {
		_, err := Import(t.Context(), st, dir, bytes.NewReader(b), ImportOptions{Identities: []age.Identity{id}})
		if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, ErrEncrypted) {
			t.Errorf("%s: got %v, want ErrCorrupt or ErrEncrypted", what, err)
		}
	}
	for i := range data {
		refused(fmt.Sprint("cut at ", i), data[:i])
		flipped := bytes.Clone(data)
		flipped[i] ^= 1 << (i % 8)
		refused(fmt.Sprint("flipped at ", i), flipped)
	}
	refused("tail", append(bytes.Clone(data), 0))
	refused("encrypted twice", seal(t, data, id.Recipient()))
	refused("nothing in it", seal(t, nil, id.Recipient()))
	if n, err := st.Count(); n != 0 || err != nil {
		t.Errorf("got %d profiles, %v, want none", n, err)
	}
}

// endless is a reader of one byte, again and again.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// TestSealedSource: a header without an end is ErrLimit, and an error of the source is its own,
// wherever it comes.
func TestSealedSource(t *testing.T) {
	id, broken := identity(t), errors.New("cable")
	data, _ := bundle(t, 8, ExportOptions{To: []age.Recipient{id.Recipient()}})
	dir, st := newFolder(t, 8)
	o := ImportOptions{Identities: []age.Identity{id}}
	for name, start := range map[string]string{"line": "age-encryption.org/v1\n-> X25519 ",
		"intro": "age-encryption.org/v1"} {
		_, err := Import(t.Context(), st, dir, io.MultiReader(strings.NewReader(start), endless('a')), o)
		if !errors.Is(err, store.ErrLimit) {
			t.Errorf("endless %s: got %v, want ErrLimit", name, err)
		}
	}
	for _, at := range []int{0, 5, 50, len(data) - 1, len(data)} {
		_, err := Import(t.Context(), st, dir, io.MultiReader(bytes.NewReader(data[:at]), iotest.ErrReader(broken)), o)
		if !errors.Is(err, broken) || errors.Is(err, store.ErrCorrupt) {
			t.Errorf("error after %d bytes: got %v, want %v", at, err, broken)
		}
	}
}

// TestSealNothingByMistake: an export that cannot be encrypted is none, not one in the clear; one
// that fails leaves nothing that opens.
func TestSealNothingByMistake(t *testing.T) {
	dir, st := newFolder(t, 8)
	put(t, st, "alice", 1)
	var b bytes.Buffer
	if n, err := Export(t.Context(), st, dir, &b, ExportOptions{To: []age.Recipient{}}); n != 0 || err == nil ||
		b.Len() != 0 {
		t.Errorf("nobody: got %d profiles, %v, %d bytes, want an error", n, err, b.Len())
	}
	id := identity(t)
	if n, err := Export(t.Context(), st, dir, &b,
		ExportOptions{IDs: []string{"nobody"}, To: []age.Recipient{id.Recipient()}}); n != 0 ||
		!errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown id: got %d profiles, %v, want ErrNotFound", n, err)
	}
	r, err := decrypted(&b, []age.Identity{id})
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("decrypting it: got %v, want ErrCorrupt, as it has no end", err)
	}
}

func TestParseKeysOfAge(t *testing.T) {
	id := identity(t)
	if _, err := ParseRecipient(id.Recipient().String()); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "age1", "alice", id.Recipient().String() + "\n" + id.Recipient().String(),
		id.String(), strings.ToLower(id.String())} {
		if _, err := ParseRecipient(text); err == nil ||
			strings.Contains(strings.ToUpper(err.Error()), "AGE-SECRET-KEY-1") {
			t.Errorf("recipient: got %v, want an error without a secret", err)
		}
	}
	for _, text := range []string{"", "my secret", id.String() + "\nmy secret", id.String()[:40]} {
		if _, err := ParseIdentities(strings.NewReader(text)); err == nil ||
			strings.Contains(err.Error(), "my secret") {
			t.Errorf("identities: got %v, want an error without the text", err)
		}
	}
}
