package sdk

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"testing"

	"filippo.io/age"
)

// TestImportWith sends a signed bundle, encrypted for one reader, and refuses it where it is not
// that reader's, not from whom it should be, or not signed.
func TestImportWith(t *testing.T) {
	ctx := context.Background()
	from := create(t, small(t))
	mustLearn(t, from, "alice", examples(6, 0), forced())
	want := mustPredict(t, from, "alice", "server down")
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var sealed, plain bytes.Buffer
	if _, err := from.Export(ctx, &sealed,
		&ExportOptions{Sign: private, To: []age.Recipient{reader.Recipient()}}); err != nil {
		t.Fatal(err)
	}
	if _, err := from.Export(ctx, &plain, &ExportOptions{IDs: []string{"alice"}}); err != nil {
		t.Fatal(err)
	}
	to := create(t, small(t))
	trust, mine := []ed25519.PublicKey{public}, []age.Identity{reader}
	for name, c := range map[string]struct {
		bundle []byte
		o      ImportOptions
		want   error
	}{
		"no identity": {sealed.Bytes(), ImportOptions{Trust: trust}, ErrEncrypted},
		"another's identity": {sealed.Bytes(), ImportOptions{Trust: trust, Identities: []age.Identity{stranger}},
			ErrEncrypted},
		"not trusted": {sealed.Bytes(), ImportOptions{Trust: []ed25519.PublicKey{other}, Identities: mine},
			ErrSignature},
		"not signed": {plain.Bytes(), ImportOptions{RequireSigned: true}, ErrSignature},
		"cut": {sealed.Bytes()[:sealed.Len()-1], ImportOptions{Trust: trust, Identities: mine},
			ErrCorrupt},
	} {
		_, err := to.Import(ctx, bytes.NewReader(c.bundle), &c.o)
		wantError(t, name, err, c.want)
		_, err = to.Predict(ctx, "alice", "server down", nil)
		wantError(t, name+": nothing is taken in", err, ErrProfileNotFound)
	}
	rep, err := to.Import(ctx, &sealed, &ImportOptions{Trust: trust, RequireSigned: true, Identities: mine})
	if err != nil || !public.Equal(rep.SignedBy) {
		t.Fatalf("got %+v, %v, want one signed by %x", rep, err, public)
	}
	near(t, "imported", mustPredict(t, to, "alice", "server down"), want)
}
