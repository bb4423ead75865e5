//go:build linux

package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const childFullImport = "XPEFT_STORE_TEST_FULL_IMPORT"

func init() { children[childFullImport] = importInNoRoom }

// importInNoRoom imports a bundle with a limit on the size of files, and says how
// that ended.
func importInNoRoom(path string) error {
	s, bundle, err := openChild(path)
	if err != nil {
		return err
	}
	s.batch = 20
	var size uint64
	if _, err := fmt.Sscan(os.Getenv(childRoom), &size); err != nil {
		return err
	}
	if err := limitFiles(size); err != nil {
		return err
	}
	report, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{Policy: Overwrite})
	st, serr := s.Stats()
	fmt.Println(errors.Is(err, ErrFull), report.Merged, report.Total, st.Imports, st.Unmerged, err)
	_ = s.Close() // the index may find no room either
	return serr
}

// TestImportInNoRoom lets the disk be full while a bundle is verified, when
// nothing has happened, and while it is merged, when the next Open goes on.
func TestImportInNoRoom(t *testing.T) {
	const profiles = 400
	r := newRand(t)
	bundle, theirs := bundled(t, r, profiles)
	for name, c := range map[string]struct {
		fill   int   // profiles that the store has before
		room   int64 // bytes that its file may grow by
		merged bool  // some
	}{
		"verifying": {0, 0, false},
		"merging":   {1500, 120_000, true},
	} {
		for _, sync := range []string{"", childSync + "=1"} {
			if c.merged && sync != "" {
				continue // the file would grow by 1 MiB at once, which is more than the bundle
			}
			t.Run(name+sync, func(t *testing.T) {
				s := newStore(t, crashOptions(true))
				var fill []*Profile
				for i := range c.fill {
					fill = append(fill, randomProfile(r, fmt.Sprintf("zoe%04d", i)))
				}
				if err := errors.Join(s.PutBatch(ctx, fill),
					os.WriteFile(s.Path()+".bundle", bundle, 0o600)); err != nil {
					t.Fatal(err)
				}
				before := contents(t, s)
				var used int64
				if err := s.view(func(x *txn) error { used = x.Size(); return nil }); err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				cmd := child(t, childFullImport, s.Path())
				cmd.Env = append(cmd.Env, fmt.Sprint(childRoom, "=", used+c.room), sync)
				out, err := cmd.Output()
				var merged, total, imports, unmerged int
				if _, serr := fmt.Sscanf(string(out), "true %d %d %d %d", &merged, &total, &imports,
					&unmerged); serr != nil || err != nil {
					t.Fatalf("got %q, %v, want ErrFull", out, err)
				}
				t.Logf("%s", strings.TrimSpace(string(out)))
				if c.merged != (merged > 0 && total == profiles && imports == 1 && unmerged == profiles-merged) ||
					!c.merged && merged+total+imports > 0 {
					t.Errorf("got %s, want some merged: %t", out, c.merged)
				}
				if left := sideLeft(s.Path()); left != c.merged {
					t.Errorf("got a side file left: %t, want %t", left, c.merged)
				}
				now := contentsAt(t, s.Path())
				if len(now) != c.fill+merged {
					t.Errorf("got %d profiles, want %d and %d merged", len(now), c.fill, merged)
				}
				after := before
				if c.merged {
					for id, p := range theirs {
						after[id] = p
					}
				}
				if diff := openedState(t, s.Path(), false, after); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(after, contentsAt(t, s.Path()), byValue); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}
