package store

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// tenants and perTenant make the 30,000 profiles of a store that many share.
const tenants, perTenant = 30, 1000

// putTenants puts perTenant profiles of each of tenants, in the order that
// number says: the i-th profile is which one of which tenant.
func putTenants(t *testing.T, s *Store, number func(i int) (tenant, of int)) {
	t.Helper()
	r := newRand(t)
	mask := randomMask(r, 20, 5, 2)
	for from := 0; from < tenants*perTenant; from += 5000 {
		var batch []*Profile
		for i := range 5000 {
			tenant, of := number(from + i)
			batch = append(batch, &Profile{ID: fmt.Sprintf("tenant%02d/user%04d", tenant, of), Bank: 1, Mask: mask})
		}
		if err := s.PutBatch(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}
}

// checkShares fails unless each tenant's part of n ids is what chance allows: within six standard
// deviations of an equal share.
func checkShares(t *testing.T, what string, ids []string) {
	t.Helper()
	shares := map[string]int{}
	for _, id := range ids {
		tenant, _, _ := strings.Cut(id, "/")
		shares[tenant]++
	}
	n := float64(len(ids))
	mean := n / tenants
	tolerance := 6 * math.Sqrt(n*(1.0/tenants)*(1-1.0/tenants))
	least, most := math.Inf(1), 0.0
	for i := range tenants {
		share := float64(shares[fmt.Sprintf("tenant%02d", i)])
		least, most = min(least, share), max(most, share)
	}
	t.Logf("%s: %d profiles of %d tenants, %.0f to %.0f each, want %.1f ± %.1f", what, len(ids), len(shares), least,
		most, mean, tolerance)
	if len(ids) == 0 || mean-least > tolerance || most-mean > tolerance {
		t.Errorf("%s: got %v, want %.1f ± %.1f of each", what, shares, mean, tolerance)
	}
}

// firstIDs are those that a listing gives first.
func firstIDs(t *testing.T, s *Store, limit int) (ids []string) {
	t.Helper()
	for p, err := range s.Shuffled() {
		if err != nil {
			t.Fatal(err)
		}
		if ids = append(ids, p.ID); len(ids) == limit {
			break
		}
	}
	return ids
}

// TestShuffledTenants: the first of 30,000 profiles are an even sample of all tenants, and the same
// ones whatever the order in which they came.
func TestShuffledTenants(t *testing.T) {
	s := newStore(t, fast)
	putTenants(t, s, func(i int) (int, int) { return i / perTenant, i % perTenant })
	var byID []string
	for p, err := range s.Profiles("") {
		if err != nil {
			t.Fatal(err)
		}
		if byID = append(byID, p.ID); len(byID) == 2000 {
			break
		}
	}
	t.Logf("in the order of ids: the first %d are %s to %s", len(byID), byID[0], byID[len(byID)-1])
	ids := firstIDs(t, s, 2000)
	checkShares(t, "shuffled", ids)
	checkShares(t, "shuffled, the first few", ids[:300])

	other := newStore(t, fast)
	putTenants(t, other, func(i int) (int, int) { return i % tenants, i / tenants })
	again := firstIDs(t, other, 2000)
	same := strings.Join(ids, " ") == strings.Join(again, " ")
	if same == (testKey != nil) { // the keys of ids are a store's own
		t.Errorf("got the same profiles of another store: %v", same)
	}
	checkShares(t, "shuffled, which came in turns", again)
}

// TestShuffled: each profile once, the same order each time, and one that is deleted takes no
// other's place.
func TestShuffled(t *testing.T) {
	s, r := newStore(t, fast), newRand(t)
	for range s.Shuffled() {
		t.Error("an empty store gave a profile")
	}
	var batch []*Profile
	for i := range 1000 {
		batch = append(batch, randomProfile(r, fmt.Sprintf("u%04d", i)))
	}
	if err := s.PutBatch(ctx, batch); err != nil {
		t.Fatal(err)
	}
	all := firstIDs(t, s, 0)
	seen := map[string]bool{}
	for _, id := range all {
		seen[id] = true
	}
	if len(all) != 1000 || len(seen) != 1000 {
		t.Fatalf("got %d profiles, %d of them different, want 1000", len(all), len(seen))
	}
	var got []string
	for p, err := range s.Shuffled() { // 500 is deleted while they are listed, 1000 comes
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, p.ID); len(got) == 100 {
			if err := s.Delete(ctx, all[500]); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Put(ctx, randomProfile(r, "late"), Write{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := append(append([]string{}, all[:500]...), all[501:]...)
	for i, id := range got {
		if id == "late" { // it may have the deleted one's number, and its place
			got = append(got[:i:i], got[i+1:]...)
			break
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %d profiles, want those from before without %s", len(got), all[500])
	}
}
