package main

import (
	"path/filepath"
	"testing"
)

// TestMovedDigits: after a trained head profiles move there, and are codes of digits still.
func TestMovedDigits(t *testing.T) {
	dir := learnedFolder(t)
	head := call(t, full, dir, "", "head", "train", "--force", "--json").want(t, exitOK).rows(t)[0]
	if head["installed"] != true || head["profiles"] != 2.0 || head["bank"] != prepared.created["bank"] {
		t.Errorf("got %v, want a head of two profiles and the same bank", head)
	}
	moved := call(t, full, dir, "", "rebase", "--json").want(t, exitOK).rows(t)
	if len(moved) != 2 || moved[0]["moved"] != true {
		t.Errorf("got %v, want two profiles that had their turn", moved)
	}
	for _, p := range call(t, full, dir, "", "profiles", "--json").want(t, exitOK).rows(t) {
		if p["blocks"] != 0.0 {
			t.Errorf("got %v, want no masks", p)
		}
	}
}

// TestMasks: in a folder made with --masks a training has steps and losses; a trained head, a bank
// trained under it, profiles that move there, and the way back.
func TestMasks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	made := call(t, full, dir, "", "init", "--masks", "--model", modelDir(t), "--labels", "urgent,later", "--bank-n",
		"20", "--k", "5", "--max-tokens", "32", "--json").want(t, exitOK).rows(t)[0]
	if made["axes"] != "" || made["digits"] != 0.0 {
		t.Errorf("init: got %v, want no axes", made)
	}
	learned := call(t, full, dir, examples("alice", 6)+examples("carol", 6), "learn", "--json", "--epochs", "2",
		"--losses").want(t, exitOK).rows(t)
	if len(learned) != 2 || learned[0]["mask_bytes"] != 2.0*3*6 || learned[0]["steps"] == 0.0 ||
		float64(len(learned[0]["losses"].([]any))) != learned[0]["steps"] {
		t.Fatalf("learn: got %v, want two profiles with 36 bytes of masks, and a loss for each step", learned)
	}
	head := call(t, full, dir, "", "head", "train", "--force", "--json").want(t, exitOK).rows(t)[0]
	if head["installed"] != true || head["profiles"] != 2.0 || head["bank"] == made["bank"] {
		t.Errorf("got %v, want a head of two profiles and another bank", head)
	}
	bank := call(t, full, dir, "", "bank", "train", "--keep-head", "--updates", "2", "--json").want(t,
		exitOK).rows(t)[0]
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
