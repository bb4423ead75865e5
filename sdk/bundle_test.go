package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBundle moves profiles of every kind of head into a second folder of the same model and bank:
// the answers are the same bits.
func TestBundle(t *testing.T) {
	ctx := context.Background()
	p, q := create(t, small(t)), create(t, small(t))
	mustLearn(t, p, "shared", examples(12, 0), forced())
	mustLearn(t, p, "own", examples(12, 1), own(2))
	mustLearn(t, p, "number", numbers(12), number(2))
	var b bytes.Buffer
	if n, err := p.Export(ctx, &b, nil); n != 3 || err != nil {
		t.Fatalf("export: got %d profiles and %v, want 3", n, err)
	}
	bundle := b.Bytes()
	rep, err := q.Import(ctx, bytes.NewReader(bundle), nil)
	if err != nil || rep.Profiles != 3 || rep.Banks != 0 || rep.Heads != 0 {
		t.Fatalf("import: got %+v and %v, want 3 profiles over the bank and head that are there", rep, err)
	}
	for _, id := range []string{"shared", "own", "number"} {
		for _, text := range []string{"server down", "win", "a a a"} {
			if d := cmp.Diff(mustPredict(t, p, id, text), mustPredict(t, q, id, text)); d != "" {
				t.Errorf("%s: %q (-want +got):\n%s", id, text, d)
			}
		}
		if stored, err := q.stored(id); err != nil || len(stored) != 0 {
			t.Errorf("%s: got %d examples (%v): they were not asked for", id, len(stored), err)
		}
	}
	_, err = q.Import(ctx, bytes.NewReader(bundle), nil)
	wantError(t, "Import of what is there", err, ErrExists)
	if rep, err := q.Import(ctx, bytes.NewReader(bundle), &ImportOptions{Policy: Skip}); err != nil ||
		rep.Skipped != 3 {
		t.Errorf("skip: got %+v and %v", rep, err)
	}
	if rep, err := q.Import(ctx, bytes.NewReader(bundle), &ImportOptions{Policy: Overwrite}); err != nil ||
		rep.Overwritten != 3 {
		t.Errorf("overwrite: got %+v and %v", rep, err)
	}
	if out := mustPredict(t, q, "shared", "x"); out.Revision != 2 {
		t.Errorf("got revision %d after Overwrite, want a higher one", out.Revision)
	}
	if rep, err := q.Import(ctx, bytes.NewReader(bundle), &ImportOptions{Policy: Rename}); err != nil ||
		len(rep.Renamed) != 3 {
		t.Errorf("rename: got %+v and %v", rep, err)
	}
	mustPredict(t, q, "shared-2", "x")
	var ids []string
	for info, err := range q.Profiles(ctx, &ProfilesOptions{Prefix: "s"}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, info.ID)
	}
	if d := cmp.Diff([]string{"shared", "shared-2"}, ids); d != "" {
		t.Errorf("profiles (-want +got):\n%s", d)
	}
}

func TestExportWith(t *testing.T) {
	ctx := context.Background()
	p, q := create(t, small(t)), create(t, small(t))
	for i := range 3 {
		mustLearn(t, p, fmt.Sprint("team/", i), examples(12, i), forced())
	}
	var b bytes.Buffer
	for _, c := range []struct {
		name string
		ids  []string
		want int
	}{{"all", nil, 3}, {"none", []string{}, 0}, {"two", []string{"team/2", "team/0"}, 2}} {
		b.Reset()
		if n, err := p.Export(ctx, &b, &ExportOptions{IDs: c.ids}); n != c.want || err != nil {
			t.Errorf("%s: got %d profiles and %v, want %d", c.name, n, err, c.want)
		}
	}
	_, err := p.Export(ctx, new(bytes.Buffer), &ExportOptions{IDs: []string{"nobody"}})
	wantError(t, "Export of nobody", err, ErrProfileNotFound)
	b.Reset()
	if n, err := p.Export(ctx, &b, &ExportOptions{Prefix: "team/1", Examples: true, State: true}); n != 1 ||
		err != nil {
		t.Fatalf("got %d profiles and %v, want 1", n, err)
	}
	if _, err := q.Import(ctx, &b, nil); err != nil {
		t.Fatal(err)
	}
	// With its examples and logits the profile goes on there as it would have here.
	here, there := mustLearn(t, p, "team/1", examples(15, 1)[12:], forced()),
		mustLearn(t, q, "team/1", examples(15, 1)[12:], forced())
	if !cmp.Equal(here.Losses, there.Losses) || here.Examples != there.Examples {
		t.Errorf("got losses %v of %d examples, want %v of %d", there.Losses, there.Examples, here.Losses,
			here.Examples)
	}
	wantAnswer, got := mustPredict(t, p, "team/1", "x"), mustPredict(t, q, "team/1", "x")
	if d := cmp.Diff(wantAnswer, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestImportMismatch takes in bundles that are of another model, of a warm bank that is not there,
// and damaged ones.
func TestImportMismatch(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(12, 0), forced())
	export := func(p *Folder, o ExportOptions) []byte {
		t.Helper()
		var b bytes.Buffer
		if _, err := p.Export(ctx, &b, &o); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	bundle := export(p, ExportOptions{})

	other := small(t)
	other.Model = copyModel(t, "model.safetensors", func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	longer := small(t)
	longer.MaxTokens = 32
	for what, c := range map[string]Config{"encoder": other, "tokenizer": longer} {
		q := create(t, c)
		_, err := q.Import(ctx, bytes.NewReader(bundle), nil)
		var m *MismatchError
		if wantError(t, what, err, ErrMismatch); !errors.As(err, &m) || m.What != what {
			t.Errorf("got %v, want a mismatch of the %s", err, what)
		}
	}

	c := small(t)
	c.Bank = warm(t, 2, 4, 1)
	w := create(t, c)
	mustLearn(t, w, "bob", examples(12, 0), forced())
	_, err := p.Import(ctx, bytes.NewReader(export(w, ExportOptions{})), nil)
	var m *MismatchError
	if wantError(t, "a warm bank that is not there", err, ErrMismatch); !errors.As(err, &m) || m.What != "bank" {
		t.Errorf("got %v, want a mismatch of the bank", err)
	}
	if _, err := p.Import(ctx, bytes.NewReader(export(w, ExportOptions{IncludeBank: true})), nil); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(mustPredict(t, w, "bob", "server down"), mustPredict(t, p, "bob", "server down")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	for i := 0; i < len(bundle); i += 1 + len(bundle)/40 {
		q := bytes.Clone(bundle)
		q[i] ^= 0x10
		_, err := p.Import(ctx, bytes.NewReader(q), &ImportOptions{Policy: Overwrite})
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrSchema) {
			t.Errorf("byte %d flipped: got %v, want ErrCorrupt", i, err)
		}
		_, err = p.Import(ctx, bytes.NewReader(bundle[:i]), &ImportOptions{Policy: Overwrite})
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at byte %d: got %v, want ErrCorrupt", i, err)
		}
	}
	if out := mustPredict(t, p, "alice", "x"); out.Revision != 1 {
		t.Errorf("got revision %d, want no import to have happened", out.Revision)
	}
}

// TestHugeBank takes in a bundle whose random bank would take more memory than there is: its
// profiles fail, nothing else does.
func TestHugeBank(t *testing.T) {
	p := create(t, small(t))
	b, err := p.bank(1)
	if err != nil {
		t.Fatal(err)
	}
	props := b.Properties()
	props.N, props.Bottleneck = 65_536, 4096
	info := mustInfo(t, props)
	ref, err := p.store.PutBank(context.Background(), info)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.bank(ref)
	wantError(t, "bank", err, ErrLimit)
	if _, err := p.bank(ref + 1); !errors.Is(err, ErrCorrupt) || errors.Is(err, ErrProfileNotFound) {
		t.Errorf("got %v for a bank that is not there, want ErrCorrupt", err)
	}
}
