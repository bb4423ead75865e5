package sdk

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// holds says which files of a folder hold some bytes.
func holds(t *testing.T, dir string, secret []byte) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, secret) {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestEncrypted is the life of a profile in an encrypted folder: nothing of it is in any file, and
// after Forget its key is in none.
func TestEncrypted(t *testing.T) {
	ctx := context.Background()
	c := small(t)
	c.Options.MasterKey = bytes.Repeat([]byte{1}, store.MasterKeySize)
	c.Options.ObserveEvery = 4
	p := create(t, c)
	secrets := []string{"secret-user-id", "the server of our secret project is down", "an observed secret"}
	mustLearn(t, p, secrets[0], append(examples(8, 0), Example{Text: secrets[1], Label: "urgent"}), forced())
	if err := p.Observe(ctx, secrets[0], Example{Text: secrets[2], Label: "later"}); err != nil {
		t.Fatal(err)
	}
	mustLearn(t, p, secrets[0], examples(8, 1), forced())
	if _, err := p.Rollback(ctx, secrets[0], nil); err != nil {
		t.Fatal(err)
	}
	want := mustPredict(t, p, secrets[0], "server down")
	rec, err := p.store.Get(secrets[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range append(secrets, string(rec.Mask.Bytes())) {
		if names := holds(t, p.dir, []byte(secret)); names != nil {
			t.Errorf("%.40q is in %v", secret, names)
		}
	}
	var bundle bytes.Buffer
	if _, err := p.Export(ctx, &bundle, &ExportOptions{Examples: true, State: true}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string][]byte{"none": nil, "another": bytes.Repeat([]byte{2}, store.MasterKeySize)} {
		_, err := Open(ctx, p.dir, &Options{MasterKey: key})
		wantError(t, name, err, ErrKey)
	}
	_, err = Open(ctx, p.dir, &Options{MasterKey: []byte("short")})
	wantError(t, "a short key", err, ErrConfig)
	p = open(t, p.dir, c.Options)
	near(t, "after Open", mustPredict(t, p, secrets[0], "server down"), want)
	forgetKey(t, p, secrets[0], rec.Number)

	plain := create(t, small(t)) // from an encrypted folder into one that is not
	if _, err := plain.Import(ctx, &bundle, nil); err != nil {
		t.Fatal(err)
	}
	near(t, "imported", mustPredict(t, plain, secrets[0], "server down"), want)
	if names := holds(t, plain.dir, []byte(secrets[1])); names == nil {
		t.Error("a folder in the clear does not hold what it stores: the search finds nothing")
	}
	_, err = Open(ctx, plain.dir, c.Options)
	if !errors.Is(err, ErrLocked) && !errors.Is(err, ErrKey) {
		t.Errorf("a key for a folder in the clear: got %v", err)
	}
}

// forgetKey forgets a profile and looks for its wrapped key, before and after.
func forgetKey(t *testing.T, p *Folder, id string, number uint32) {
	t.Helper()
	keys, err := os.ReadFile(store.KeysPath(folder.DB(p.dir)))
	if err != nil {
		t.Fatal(err)
	}
	at := 128 + 64*int(number) // docs/format.md
	slot := bytes.Clone(keys[at : at+64])
	if names := holds(t, p.dir, slot); len(names) != 1 {
		t.Fatalf("the key is in %v, want one file", names)
	}
	if err := p.Forget(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	for n := 0; n+16 <= len(slot); n += 8 {
		if names := holds(t, p.dir, slot[n:n+16]); names != nil {
			t.Errorf("bytes %d to %d of the key are still in %v", n, n+16, names)
		}
	}
	_, err = p.Predict(context.Background(), id, "server down", nil)
	wantError(t, "after Forget", err, ErrProfileNotFound)
}

// TestCreateBesideKeys has keys in the folder that a store may need: they stay.
func TestCreateBesideKeys(t *testing.T) {
	c := small(t)
	c.Options.MasterKey = bytes.Repeat([]byte{1}, store.MasterKeySize)
	dir := t.TempDir()
	path := store.KeysPath(folder.DB(dir))
	if err := os.WriteFile(path, []byte("keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Create(context.Background(), dir, c)
	wantError(t, "keys without a store", err, ErrExists)
	if b, err := os.ReadFile(path); string(b) != "keys" {
		t.Errorf("got %q, %v, want the keys as they were", b, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want the keys alone", entries, err)
	}
}
