package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// each runs a test with every binary.
func each(t *testing.T, f func(t *testing.T, binary string)) {
	for name, binary := range builds() {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t, binary) })
	}
}

func TestProfilesAndShow(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "team/alice", "team/bob", "carol-own")
		rows := call(t, binary, dir, "", "profiles", "--json").want(t, exitOK).rows(t)
		if len(rows) != 3 || rows[0]["profile"] != "carol-own" || rows[0]["head"] != "own" ||
			rows[1]["head"] != "shared" {
			t.Errorf("profiles: got %v, want three in the order of their ids", rows)
		}
		if got := call(t, binary, dir, "", "profiles", "team/", "--limit", "1", "--json").want(t,
			exitOK).rows(t); len(got) != 1 || got[0]["profile"] != "team/alice" {
			t.Errorf("profiles team/ --limit 1: got %v, want team/alice", got)
		}
		show := call(t, binary, dir, "", "show", "team/alice", "--masks", "--json").want(t, exitOK).rows(t)[0]
		for field, want := range map[string]any{
			"labels": []any{"urgent", "later", "ignore"}, "prior": []any{2.0, 1.0, 0.0}, "after": 0.75, "n": 10.0,
			"k": 3.0, "blocks": 2.0,
			"mask_bytes": 8.0, "stored_examples": 2.0, "state_bytes": 6.0, "revision": 1.0,
		} {
			if diff := cmp.Diff(want, show[field]); diff != "" {
				t.Errorf("show: %s (-want +got):\n%s", field, diff)
			}
		}
		first := show["masks"].([]any)[0]
		if diff := cmp.Diff(map[string]any{"side": "down", "block": 0.0, "adapters": []any{0.0, 3.0, 6.0}},
			first); diff != "" {
			t.Errorf("show: first row of the masks (-want +got):\n%s", diff)
		}
		got := call(t, binary, dir, "", "show", "team/bob", "--examples").want(t, exitOK).out
		want := `{"profile":"team/bob","text":"the server is down","label":"urgent"}` + "\n" +
			`{"profile":"team/bob","text":"lunch?","pair":"<on friday>","label":"later"}` + "\n"
		if got != want {
			t.Errorf("show --examples: got %q, want %q", got, want)
		}
	})
}

// TestShowWithoutMask: a profile that has digits, or nothing but its prior, is listed and shown,
// with its rows.
func TestShowWithoutMask(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		st, err := folder.Open(dir, &store.Options{NoSync: true})
		must(t, err)
		axes, err := st.PutBank(t.Context(), store.BankInfo{Digest: store.Digest{5}, N: 16, Blocks: 1})
		must(t, err)
		codes := []store.Code{{Bank: axes, K: 8, Labels: []uint32{0, 2}, Rows: []byte{5, 6}, Scales: []byte{160, 161}}}
		for _, p := range []*store.Profile{{ID: "coded", Head: 1, Codes: codes, Temperature: 128},
			{ID: "prior", Head: 1, Prior: []uint32{1, 2, 3}}} {
			_, err = st.Put(t.Context(), p, store.Write{})
			must(t, err)
		}
		must(t, st.Close())
		rows := call(t, binary, dir, "", "profiles", "--json").want(t, exitOK).rows(t)
		for i, want := range []map[string]any{
			{"bank": store.Digest{5}.String(), "n": 16.0, "k": 8.0, "blocks": 0.0, "rows": 2.0, "mask_bytes": 2.0},
			{"bank": "", "n": 0.0, "k": 0.0, "blocks": 0.0, "rows": 0.0, "mask_bytes": 0.0},
		} {
			for field, v := range want {
				if rows[i][field] != v {
					t.Errorf("profiles, %v: got %s %v, want %v", rows[i]["profile"], field, rows[i][field], v)
				}
			}
		}
		row := []any{map[string]any{"side": "head", "block": 0.0, "label": "ignore",
			"adapters": []any{0.0, 3.0, 5.0, 6.0, 8.0, 10.0, 12.0, 14.0}}}
		show := call(t, binary, dir, "", "show", "coded", "--masks", "--json").want(t, exitOK).rows(t)[0]
		if diff := cmp.Diff(row, show["masks"].([]any)[1:]); diff != "" {
			t.Errorf("show: rows after the first (-want +got):\n%s", diff)
		}
		got := call(t, binary, dir, "", "show", "coded", "prior", "--masks").want(t, exitOK).out
		for _, want := range []string{
			"050000000000\n", "8 of 16 directions, as digits, in the rows of 2 labels\n",
			"head urgent  [1 2 5 6 8 10 12 14]\n",
			"bank         none\n", "none: the label prior alone\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("show: got %s, want %q", got, want)
			}
		}
	})
}

// TestProfilesOf lists by bank, head and label.
func TestProfilesOf(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice", "bob", "carol-own", "dave")
		st, err := folder.Open(dir, &store.Options{NoSync: true, ReadOnly: true})
		must(t, err)
		banks, err := st.Banks()
		must(t, err)
		heads, err := st.Heads()
		must(t, err)
		must(t, st.Close())
		digest, head := banks[0].Digest.String(), heads[0].Digest.String()
		for _, c := range []struct {
			args []string
			want string
		}{
			{[]string{"--bank", digest}, "alice bob carol-own dave"},
			{[]string{"--bank", digest[:8], "--label", "urgent"}, "alice bob dave"},
			{[]string{"--head", head}, "alice bob dave"},
			{[]string{"a", "--head", head[:8]}, "alice"},
			{[]string{"--head", head, "--limit", "2"}, "alice bob"},
			{[]string{"--label", " later "}, "alice bob dave"},
			{[]string{"--label", "ignore"}, ""}, // nobody's prior counts it
		} {
			var got []string
			out := call(t, binary, dir, "", append([]string{"profiles", "--json"}, c.args...)...).want(t, exitOK)
			for _, row := range strings.Split(out.out, "\n") {
				_, id, _ := strings.Cut(row, `{"profile":"`)
				if id, _, ok := strings.Cut(id, `"`); ok {
					got = append(got, id)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%v: got %q, want %q", c.args, got, c.want)
			}
		}
		for _, args := range [][]string{{"--bank", "ff" + digest}, {"--head", "nobody's"}} {
			call(t, binary, dir, "", append([]string{"profiles"}, args...)...).want(t, exitNotFound)
		}
		check := call(t, binary, dir, "", "check", "--deep", "--json").want(t, exitOK).rows(t)[0]
		if check["cohorts"] == 0.0 {
			t.Errorf("check: got %v, want cohorts", check)
		}
	})
}

func TestTables(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice", "\x1b[31mred")
	got := call(t, pure, dir, "", "profiles").want(t, exitOK).out
	if !strings.HasPrefix(got, "PROFILE") || strings.Count(got, "\n") != 3 {
		t.Errorf("profiles: got %q, want a header and two rows", got)
	}
	if strings.Contains(got, "\x1b") || !strings.Contains(got, `"\x1b[31mred"`) {
		t.Errorf("profiles: got %q, want the escape sequence quoted", got)
	}
	for _, args := range [][]string{{"show", "alice", "--masks"}, {"stats"}, {"check", "--deep"}, {"bank", "list"},
		{"version"}} {
		if got := call(t, pure, dir, "", args...).want(t, exitOK).out; got == "" || strings.Contains(got, "{") {
			t.Errorf("%v: got %q, want text", args, got)
		}
	}
}

func TestStatsAndCheck(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice", "bob", "carol-own")
		stats := call(t, binary, dir, "", "stats", "--json").want(t, exitOK).rows(t)[0]
		if stats["profiles"] != 3.0 || stats["mask_bytes_per_profile"] != 8.0 || stats["k"] != 3.0 ||
			stats["banks"] != 1.0 {
			t.Errorf("stats: got %v, want 3 profiles of 8 bytes of masks, k=3, 1 bank", stats)
		}
		sum := 0.0
		for _, row := range call(t, binary, dir, "", "profiles", "--json").want(t, exitOK).rows(t) {
			sum += row["bytes"].(float64)
		}
		if got := stats["record_bytes"].(float64); got != sum {
			t.Errorf("stats: record_bytes: got %g, want %g, the sum of the profiles' bytes", got, sum)
		}
		check := call(t, binary, dir, "", "check", "--deep", "--json").want(t, exitOK).rows(t)[0]
		if check["ok"] != true || check["profiles"] != 3.0 || check["examples"] != 6.0 {
			t.Errorf("check: got %v, want ok, 3 profiles, 6 examples", check)
		}
	})
}

// TestCheckFindsDamage overwrites a byte of every record of a profile.
func TestCheckFindsDamage(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice", "bob")
	data, err := os.ReadFile(folder.DB(dir))
	must(t, err)
	at := bytes.Index(data, []byte("lunch?"))
	if at < 0 {
		t.Fatal("the stored example is not in the file as it is")
	}
	for i := at; i >= 0; {
		data[i] ^= 1
		next := bytes.Index(data[i:], []byte("lunch?"))
		if next < 0 {
			break
		}
		i += next
	}
	must(t, os.WriteFile(folder.DB(dir), data, 0o600))
	r := call(t, pure, dir, "", "check", "--json").want(t, exitCorrupt)
	row := r.rows(t)[0]
	if row["ok"] != false || len(row["problems"].([]any)) == 0 {
		t.Errorf("check: got %v, want problems", row)
	}
	if !strings.Contains(r.err, `"code":"corrupt","exit":4`) {
		t.Errorf("stderr: got %q, want the error as JSON", r.err)
	}
}

func TestExportImport(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		from, to := newFolder(t), newFolder(t)
		fill(t, from, "team/alice", "team/bob", "carol-own")
		bundle := filepath.Join(t.TempDir(), "all.xpeft")
		rep := call(t, binary, from, "", "export", "-o", bundle, "--examples", "--json").want(t, exitOK).rows(t)[0]
		info, err := os.Stat(bundle)
		must(t, err)
		if diff := cmp.Diff(map[string]any{"file": bundle, "profiles": 3.0, "bytes": float64(info.Size())},
			rep); diff != "" {
			t.Errorf("export (-want +got):\n%s", diff)
		}
		got := call(t, binary, to, "", "import", bundle, "--json").want(t, exitOK).rows(t)[0]
		if got["profiles"] != 3.0 || got["examples"] != 6.0 || got["banks"] != 0.0 {
			t.Errorf("import: got %v, want 3 profiles, 6 examples, no new bank", got)
		}
		a := call(t, binary, from, "", "profiles", "--json").want(t, exitOK).rows(t)
		b := call(t, binary, to, "", "profiles", "--json").want(t, exitOK).rows(t)
		for i := range a {
			for _, field := range []string{"profile", "bank", "head", "after", "mask_bytes", "examples", "created"} {
				if diff := cmp.Diff(a[i][field], b[i][field]); diff != "" {
					t.Errorf("profile %v: %s differs after import (-exported +imported):\n%s", a[i]["profile"], field,
						diff)
				}
			}
		}
		testPolicies(t, binary, to, bundle)
	})
}

func testPolicies(t *testing.T, binary, dir, bundle string) {
	t.Helper()
	r := call(t, binary, dir, "", "import", bundle).want(t, exitExists)
	if !strings.HasPrefix(r.err, "xpeft: ") {
		t.Errorf("stderr: got %q, want a line that starts with the program's name", r.err)
	}
	for policy, field := range map[string]string{"skip": "skipped", "overwrite": "overwritten"} {
		row := call(t, binary, dir, "", "import", bundle, "--json", "--policy", policy).want(t, exitOK).rows(t)[0]
		if row[field] != 3.0 {
			t.Errorf("--policy %s: got %v, want 3 %s", policy, row, field)
		}
	}
	row := call(t, binary, dir, "", "import", bundle, "--json", "--policy", "rename").want(t, exitOK).rows(t)[0]
	if renamed := row["renamed"].(map[string]any); renamed["team/alice"] != "team/alice-2" {
		t.Errorf("--policy rename: got %v, want team/alice-2", renamed)
	}
	data, err := os.ReadFile(bundle)
	must(t, err)
	call(t, binary, dir, string(data), "import", "-", "--prefix", "copy/").want(t, exitOK)
	call(t, binary, dir, "", "show", "copy/carol-own").want(t, exitOK)
	data[len(data)/2] ^= 1
	call(t, binary, dir, string(data), "import", "--prefix", "bad/").want(t, exitCorrupt)
	if got := call(t, binary, dir, "", "profiles", "bad/").want(t, exitOK).out; got != "" {
		t.Errorf("after a damaged bundle: got %q, want no profile", got)
	}
}

func TestExportToStdout(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice", "bob")
	r := call(t, pure, dir, "", "export", "alice").want(t, exitOK)
	to := newFolder(t)
	row := call(t, pure, to, r.out, "import", "--json").want(t, exitOK).rows(t)[0]
	if row["profiles"] != 1.0 {
		t.Errorf("import: got %v, want 1 profile", row)
	}
	// A failed export leaves the file that was there.
	bundle := filepath.Join(t.TempDir(), "b")
	must(t, os.WriteFile(bundle, []byte("before"), 0o600))
	call(t, pure, dir, "", "export", "nobody", "-o", bundle).want(t, exitNotFound)
	if got, _ := os.ReadFile(bundle); string(got) != "before" {
		t.Errorf("after a failed export: got %q, want the old file", got)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(bundle), "*")); len(left) != 1 {
		t.Errorf("after a failed export: got %v, want no other file", left)
	}
}

// warm puts a warm bank into a folder and a profile that is bound to it.
func warm(t *testing.T, dir string) string {
	t.Helper()
	st, err := folder.Open(dir, nil)
	must(t, err)
	defer func() { must(t, st.Close()) }()
	p := bank.Properties{Origin: bank.Warm, N: 10, Blocks: 2, Hidden: 32, Bottleneck: 4, NormB: true}
	w := make([]float32, p.Elems())
	path := filepath.Join(t.TempDir(), "bank")
	_, err = bank.WriteFile(t.Context(), path, p, nil,
		func(side bank.Side, block, adapter int) ([]float32, []float32, error) {
			w[0] = float32(adapter)
			return w, nil, nil
		})
	must(t, err)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	info, err := folder.AddBank(t.Context(), st, dir, f)
	must(t, err)
	_, err = st.Put(t.Context(), &store.Profile{ID: "warm", Bank: info.Ref, Head: 1, Mask: testMask(t, 1)},
		store.Write{})
	must(t, err)
	return info.Digest.String()
}

func TestBanks(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice")
	digest := warm(t, dir)
	rows := call(t, pure, dir, "", "bank", "list", "--json").want(t, exitOK).rows(t)
	if len(rows) != 2 || rows[0]["origin"] != "random" || rows[0]["seed"] != 7.0 || rows[1]["origin"] != "warm" ||
		rows[1]["bank"] != digest {
		t.Errorf("bank list: got %v, want the random and the warm one", rows)
	}
	file := filepath.Join(t.TempDir(), "x.bank")
	call(t, pure, dir, "", "bank", "export", digest[:8], "-o", file).want(t, exitOK)
	call(t, pure, dir, "", "bank", "export", "ffffffff", "-o", file).want(t, exitNotFound)

	// A bundle without the bank fits a folder only once the bank is there.
	bundle, without, to := filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "w"), newFolder(t)
	call(t, pure, dir, "", "export", "-o", without).want(t, exitOK)
	call(t, pure, dir, "", "export", "-o", bundle, "--include-bank").want(t, exitOK)
	r := call(t, pure, to, "", "import", without, "--json").want(t, exitMismatch)
	if !strings.Contains(r.err, digest[:12]) {
		t.Errorf("stderr: got %q, want the digest of the bank", r.err)
	}
	row := call(t, pure, to, "", "bank", "import", file, "--json").want(t, exitOK).rows(t)[0]
	if row["bank"] != digest || row["origin"] != "warm" {
		t.Errorf("bank import: got %v, want %s", row, digest)
	}
	call(t, pure, to, "", "import", without).want(t, exitOK)

	other := newFolder(t)
	row = call(t, pure, other, "", "import", bundle, "--json").want(t, exitOK).rows(t)[0]
	if row["banks"] != 1.0 || row["profiles"] != 2.0 {
		t.Errorf("import with the bank: got %v, want 1 bank and 2 profiles", row)
	}
	call(t, pure, other, "", "check", "--deep").want(t, exitOK)
	repair := func(name string) []any {
		to := filepath.Join(t.TempDir(), name)
		row := call(t, pure, other, "", "repair", "--to", to, "--json").want(t, exitOK).rows(t)[0]
		if row["profiles"] != 2.0 || row["banks"] != 2.0 {
			t.Errorf("repair: got %v, want 2 profiles over 2 banks", row)
		}
		call(t, pure, to, "", "check").want(t, exitOK)
		call(t, pure, other, "", "repair", "--to", to).want(t, exitExists)
		return row["lost"].([]any)
	}
	if lost := repair("sound"); len(lost) != 0 {
		t.Errorf("repair: got lost %v, want nothing", lost)
	}
	path := filepath.Join(other, "banks", digest)
	damage(t, path, -100)
	call(t, pure, other, "", "check").want(t, exitOK)
	call(t, pure, other, "", "check", "--deep").want(t, exitCorrupt)
	call(t, pure, other, "", "bank", "export", "-o", file).want(t, exitCorrupt)
	must(t, os.Remove(path))
	call(t, pure, other, "", "check").want(t, exitCorrupt)
}

// damage flips a bit of a file, counted from its end if at is negative.
func damage(t *testing.T, path string, at int) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	must(t, os.Chmod(path, 0o600))
	must(t, os.WriteFile(path, data, 0o600))
}

func TestForget(t *testing.T) {
	each(t, func(t *testing.T, binary string) {
		dir := newFolder(t)
		fill(t, dir, "alice", "bob", "carol")
		got := call(t, binary, dir, "", "forget", "alice", "nobody", "bob", "--json")
		rows := got.rows(t)
		if got.code != exitNotFound || len(rows) != 3 || rows[1]["code"] != "not_found" ||
			rows[2]["forgotten"] != true {
			t.Errorf("forget: got exit code %d and %v, want 3, and an error for nobody alone", got.code, rows)
		}
		if left := call(t, binary, dir, "", "profiles", "--json").want(t, exitOK).rows(t); len(left) != 1 ||
			left[0]["profile"] != "carol" {
			t.Errorf("profiles: got %v, want carol", left)
		}
		call(t, binary, dir, "", "forget", "alice").want(t, exitNotFound)
	})
}

func TestLocked(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice")
	st, err := folder.Open(dir, nil)
	must(t, err)
	defer st.Close()
	for _, args := range [][]string{{"profiles"}, {"show", "alice"}, {"forget", "alice"}, {"check"}, {"stats"},
		{"export"}} {
		r := call(t, pure, dir, "", append(args, "--lock-timeout", "20ms", "--json")...).want(t, exitLocked)
		if !strings.Contains(r.err, `"code":"locked","exit":5`) {
			t.Errorf("%v: stderr: got %q, want code locked", args, r.err)
		}
	}
}

func TestReadersShareTheFolder(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice")
	st, err := folder.Open(dir, &store.Options{ReadOnly: true})
	must(t, err)
	defer st.Close()
	call(t, pure, dir, "", "profiles").want(t, exitOK)
	call(t, pure, dir, "", "forget", "alice", "--lock-timeout", "20ms").want(t, exitLocked)
}

func TestManyProfiles(t *testing.T) {
	dir := newFolder(t)
	st, err := folder.Open(dir, &store.Options{NoSync: true})
	must(t, err)
	for range 2 {
		var batch []*store.Profile
		for i := range 1500 {
			batch = append(batch, &store.Profile{ID: fmt.Sprintf("user-%05d-%d", i, len(batch)), Bank: 1, Head: 1,
				Mask: testMask(t, i)})
		}
		must(t, st.PutBatch(t.Context(), batch))
	}
	must(t, st.Close())
	if got := strings.Count(call(t, pure, dir, "", "profiles").want(t, exitOK).out, "\n"); got != 1501 {
		t.Errorf("profiles: got %d lines, want 1501", got)
	}
}

// TestCheckGoesOn: what comes after a damaged profile, head or bank is looked at too.
func TestCheckGoesOn(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice", "bob", "carol", "dave")
	st, err := folder.Open(dir, nil)
	must(t, err)
	p, err := st.Get("dave")
	must(t, err)
	p.Head, p.Prior, p.OwnHead = 0, nil, []byte("no head")
	_, err = st.Put(t.Context(), p, store.Write{})
	must(t, err)
	other, _, err := st.PutHead(t.Context(), []byte("no head either"))
	must(t, err)
	head, err := st.Head(1)
	must(t, err)
	values := map[string][]byte{"head 1": head}
	for _, id := range []string{"alice", "bob"} {
		p, err := st.Get(id)
		must(t, err)
		values[id], err = store.EncodeProfile(p)
		must(t, err)
	}
	must(t, st.Close())
	data, err := os.ReadFile(folder.DB(dir))
	must(t, err)
	for what, value := range values {
		if !bytes.Contains(data, value) {
			t.Fatalf("%s is not in the file", what)
		}
		wrong := bytes.Clone(value)
		wrong[len(wrong)/2] ^= 1
		data = bytes.ReplaceAll(data, value, wrong)
	}
	must(t, os.WriteFile(folder.DB(dir), data, 0o600))
	got := call(t, pure, dir, "", "check", "--deep", "--json").want(t, exitCorrupt).rows(t)[0]
	all := fmt.Sprint(got["problems"])
	for _, want := range []string{`profile "alice"`, `profile "bob"`, "head 1: ",
		"head " + store.Digest(sha256.Sum256([]byte("no head either"))).Short(), `profile "dave": `} {
		if !strings.Contains(all, want) {
			t.Errorf("check: got %s, want %s among them", all, want)
		}
	}
	if got["ok"] != false || got["more"] != 0.0 || got["profiles"] != 4.0 || other != 2 {
		t.Errorf("check: got %v, want 4 profiles and not ok", got)
	}
}
