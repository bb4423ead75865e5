package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/sdk"
)

func testSecrets(t *testing.T) secrets {
	t.Helper()
	s, err := newSecrets(bytes.Repeat([]byte("s"), keySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestValue: a value comes back as it was, and nothing of one that was changed, cut or moved.
func TestValue(t *testing.T) {
	key, place := newKey(), "$KV.xpeft_profiles_0.u.X"
	who := person{"alice", []opID{hashOf("1"), hashOf("2")}, []byte("bundle")}
	v := value{epoch: 3, through: 99}
	v.sealed = who.seal(v, key, place)
	data := v.encode()
	open := func(data, key []byte, place string) (person, error) {
		v, err := decodeValue(data)
		if err != nil {
			return person{}, err
		}
		return v.open(key, place)
	}
	got, err := open(data, key, place)
	if err != nil || got.id != who.id || !slices.Equal(got.recent, who.recent) || string(got.bundle) != "bundle" {
		t.Fatalf("got %+v, %v, want %+v", got, err, who)
	}
	if _, err := open(data, key, place+"Y"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("of another profile: got %v, want ErrCorrupt", err)
	}
	if _, err := open(data, newKey(), place); !errors.Is(err, ErrCorrupt) {
		t.Errorf("under another key: got %v, want ErrCorrupt", err)
	}
	for i := range data {
		flipped := bytes.Clone(data)
		flipped[i] ^= 1 << (i % 8)
		for what, bad := range map[string][]byte{"cut": data[:i], "flipped": flipped} {
			if _, err := open(bad, key, place); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrSchema) {
				t.Errorf("%s at %d: got %v, want ErrCorrupt", what, i, err)
			}
		}
	}
	data[0] = formatVersion + 1
	if _, err := decodeValue(data); !errors.Is(err, ErrSchema) {
		t.Errorf("of a newer version: got %v, want ErrSchema", err)
	}
}

// TestOp: the same of operations, sealed by the fleet and by a profile.
func TestOp(t *testing.T) {
	s, place := testSecrets(t), "xpeft.ops.0.X"
	o := op{ID: "1", Kind: opObserve, Profile: "alice", Epoch: 7, Examples: []sdk.Example{{Text: "a", Label: "b"}}}
	for by, key := range [][]byte{byFleet: nil, byProfile: newKey()} {
		data, err := o.encode(s, key, place)
		if err != nil {
			t.Fatal(err)
		}
		if key == nil {
			key = s.op
		}
		open := func(data []byte) (op, error) {
			epoch, who, err := opEpoch(data)
			if err != nil {
				return op{}, err
			}
			if int(who) != by && epoch == 7 {
				return op{}, ErrCorrupt
			}
			return decodeOp(data, key, place)
		}
		if got, err := open(data); err != nil || got.Epoch != 7 || got.Profile != "alice" || len(got.Examples) != 1 {
			t.Errorf("got %+v, %v, want %+v", got, err, o)
		}
		for i := range data {
			flipped := bytes.Clone(data)
			flipped[i] ^= 1 << (i % 8)
			for what, bad := range map[string][]byte{"cut": data[:i], "flipped": flipped} {
				if _, err := open(bad); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrSchema) {
					t.Errorf("%s at %d: got %v, want ErrCorrupt", what, i, err)
				}
			}
		}
	}
}

// TestLearnOptions: what Learn is told goes to the learner.
func TestLearnOptions(t *testing.T) {
	want := sdk.LearnOptions{Head: sdk.OwnHead, Labels: []string{"a"}, AddLabels: true, DropExamples: true, Force: true,
		ClassWeights: map[string]float64{"a": 2}}
	data, err := json.Marshal(op{Kind: opLearn, Learn: &want})
	if err != nil {
		t.Fatal(err)
	}
	var got op
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got.Learn, &want) {
		t.Errorf("got %+v, %v, want %+v", got.Learn, err, want)
	}
}

// TestNames: what servers see of an id depends on the secret, and profiles spread over partitions.
func TestNames(t *testing.T) {
	s := testSecrets(t)
	other, err := newSecrets(bytes.Repeat([]byte("t"), keySize))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := s.nameOf("alice"), other.nameOf("alice"); a == b || len(a) != 26 || a != s.nameOf("alice") {
		t.Errorf("got names %s and %s, want two of 26 letters", a, b)
	}
	counts := make([]int, 4)
	for i := range 4000 {
		counts[partitionOf(s.nameOf(string(rune('a'+i%26))+string(rune(i))), 4)]++
	}
	for p, n := range counts {
		if n < 850 || n > 1150 {
			t.Errorf("partition %d has %d of 4,000, want about 1,000", p, n)
		}
	}
}

// TestReasons: an error that is of several kinds is named as one of them, always the same, and
// comes back as that.
func TestReasons(t *testing.T) {
	for range 100 {
		err := fmt.Errorf("%w: %w", sdk.ErrUnknownLabel, errors.Join(sdk.ErrExample, sdk.ErrFull))
		if got := reasonOf(err); got != "full" || !errors.Is(reasonErr(got), sdk.ErrFull) {
			t.Fatalf("got %q, want full", got)
		}
	}
	if got := reasonOf(ErrStale); got != "" || !errors.Is(reasonErr(got), ErrRefused) {
		t.Errorf("got %q, want none, which is ErrRefused", got)
	}
}
