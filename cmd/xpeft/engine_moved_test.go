//go:build cgo

package main

import "testing"

// TestMoved: a trained head, a bank trained under it, profiles that move there, and the way back.
func TestMoved(t *testing.T) {
	dir := learnedFolder(t)
	head := call(t, full, dir, "", "head", "train", "--force", "--json").want(t, exitOK).rows(t)[0]
	if head["installed"] != true || head["profiles"] != 2.0 || head["bank"] == prepared.created["bank"] {
		t.Errorf("got %v, want a head of two profiles and another bank", head)
	}
	bank := call(t, full, dir, "", "bank", "train", "--keep-head", "--updates", "2", "--json").want(t, exitOK).rows(t)[0]
	if bank["profiles"] != 2.0 || bank["blocks"] != 1.0 || bank["bank"] == head["bank"] {
		t.Errorf("got %v, want a bank in the last block", bank)
	}
	if rows := call(t, full, dir, "", "bank", "list", "--json").want(t, exitOK).rows(t); len(rows) != 3 {
		t.Errorf("got %d banks, want 3", len(rows))
	}
	moved := call(t, full, dir, "", "rebase", "--json").want(t, exitOK).rows(t)
	if len(moved) != 2 {
		t.Fatalf("got %v, want two profiles that had their turn", moved)
	}
	if moved[0]["installed"] == true {
		back := call(t, full, dir, "", "rollback", moved[0]["profile"].(string), "--json").want(t, exitOK).rows(t)[0]
		if back["revision"] != 3.0 {
			t.Errorf("got %v, want the first revision again, as the third", back)
		}
	}
	call(t, full, dir, "", "rollback", "nobody").want(t, exitNotFound)
}
