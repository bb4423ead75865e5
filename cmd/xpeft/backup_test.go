package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/folder"
)

// TestBackupAndRestore: a full backup and one since it make the folder again, and what is damaged
// makes none.
func TestBackupAndRestore(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir, out := newFolder(t), t.TempDir()
		fill(t, dir, "alice", "bob")
		file := func(name string) string { return filepath.Join(out, name) }
		full := call(t, binary, dir, "", "backup", "-o", file("full"), "--json").want(t, exitOK).rows(t)[0]
		call(t, binary, dir, "", "forget", "bob").want(t, exitOK)
		since := fmt.Sprint(full["revision"])
		second := call(t, binary, dir, "", "backup", "--since", since, "-o", file("since"), "--json").want(t,
			exitOK).rows(t)[0]
		if full["base"] != true || full["written"] != 2.0 || second["written"] != 0.0 || second["profiles"] != 1.0 {
			t.Errorf("backup: got %v, then %v, want 2 profiles of 2, then none of 1", full, second)
		}
		call(t, binary, dir, "", "backup", "--since", "999", "-o", file("none")).want(t, exitNotFound)

		want := call(t, binary, dir, "", "profiles", "--json").want(t, exitOK).out
		call(t, binary, dir, "", "verify", file("full"), file("since")).want(t, exitOK)
		to := file("restored")
		call(t, binary, dir, "", "restore", to, file("full"), file("since")).want(t, exitOK)
		call(t, binary, to, "", "check", "--deep").want(t, exitOK)
		if diff := cmp.Diff(want, call(t, binary, to, "", "profiles", "--json").want(t, exitOK).out); diff != "" {
			t.Errorf("restored (-want +got):\n%s", diff)
		}
		call(t, binary, dir, "", "restore", to, file("full")).want(t, exitExists)
		call(t, binary, dir, "", "verify", file("since")).want(t, exitMismatch)
		b, err := os.ReadFile(file("full"))
		must(t, err)
		must(t, os.WriteFile(file("cut"), b[:len(b)-1], 0o600))
		call(t, binary, dir, "", "verify", file("cut")).want(t, exitCorrupt)
		call(t, binary, dir, "", "restore", file("new"), file("cut")).want(t, exitCorrupt)
		if _, err := os.Stat(file("new")); err == nil {
			t.Error("restore: a folder is left of a backup that is cut off")
		}
	})
}

func TestCompact(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice", "bob")
		row := call(t, binary, dir, "", "compact", "--json").want(t, exitOK).rows(t)[0]
		info, err := os.Stat(folder.DB(dir))
		must(t, err)
		if row["after"] != float64(info.Size()) {
			t.Errorf("compact: got %v, the file has %d bytes", row, info.Size())
		}
		call(t, binary, dir, "", "check", "--deep").want(t, exitOK)
	})
}
