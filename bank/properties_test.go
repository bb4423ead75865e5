package bank

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/model"
)

func TestPropertiesEncodings(t *testing.T) {
	for _, want := range []Properties{smallBank(), paperBank(), tinyWarm(), smallLoRA(F16)} {
		b, err := want.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if len(b) != propertiesSize {
			t.Errorf("got %d bytes, want %d", len(b), propertiesSize)
		}
		var got Properties
		if err := got.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("binary (-want +got):\n%s", diff)
		}
	}
}

// Each bit is either refused or means something: what is accepted encodes to the same
// bytes.
func TestPropertiesEveryBitFlipped(t *testing.T) {
	for _, p := range []Properties{smallBank(), tinyWarm(), smallLoRA(F32)} {
		b, err := p.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 * len(b) {
			b[i/8] ^= 1 << (i % 8)
			var q Properties
			switch err := q.UnmarshalBinary(b); {
			case err == nil:
				if again, err := q.MarshalBinary(); err != nil || !cmp.Equal(again, b) || q == p {
					t.Errorf("bit %d: got %+v, which encodes to %x, %v, want %x", i, q, again, err, b)
				}
			case !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported):
				t.Errorf("bit %d: got %v, want ErrCorrupt", i, err)
			case q != Properties{}:
				t.Errorf("bit %d: got half a value %+v", i, q)
			}
			b[i/8] ^= 1 << (i % 8)
		}
	}
	var p Properties
	if err := p.UnmarshalBinary(make([]byte, propertiesSize-1)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("short: got %v, want ErrCorrupt", err)
	}
}

func TestValidateListsEveryFault(t *testing.T) {
	nan := float32(math.NaN())
	tests := []struct {
		name string
		p    Properties
		want []string
	}{
		{"zero", Properties{}, []string{"N is 0", "Blocks is 0", "Hidden is 0", "Bottleneck is 0", "SigmaA is 0",
			"SigmaB is 0"}},
		{
			"too large", Properties{Origin: Warm, N: 65_537, Blocks: 1025, Hidden: 65_537, Bottleneck: -1},
			[]string{"N is 65537", "Blocks is 1025", "Hidden is 65537", "Bottleneck is -1"},
		},
		{
			"all at their limits", Properties{Origin: Warm, N: 65_536, Blocks: 1024, Hidden: 65_536,
				Bottleneck: 65_536, Bias: true},
			[]string{"the bank has"},
		},
		{
			"random", Properties{N: 1, Blocks: 1, Hidden: 1, Bottleneck: 1, SigmaA: nan, SigmaB: 1e4, Bias: true,
				DType: F16},
			[]string{"SigmaA is NaN", "SigmaB is 10000", "no biases", "is F32"},
		},
		{"warm with a seed", Properties{Origin: Warm, N: 1, Blocks: 1, Hidden: 1, Bottleneck: 1, Seed: 1},
			[]string{"no Seed"}},
		{"random LoRAs", Properties{N: 1, Blocks: 1, Hidden: 1, Bottleneck: 2, SigmaA: 1, SigmaB: 1,
			Targets: model.Query}, []string{"LoRAs are a warm bank"}},
		{"LoRAs of two ranks", Properties{Origin: Warm, N: 1, Blocks: 1, Hidden: 1, Bottleneck: 3,
			Targets: model.Query | model.Key}, []string{"Bottleneck is 3 for the Targets 3"}},
		{"other targets", Properties{Origin: Warm, N: 1, Blocks: 1, Hidden: 1, Bottleneck: 1, Targets: 8},
			[]string{"for the Targets 8"}},
		{"LoRAs with biases", Properties{Origin: Warm, N: 1, Blocks: 1, Hidden: 1, Bottleneck: 1, Targets: model.Value,
			Bias: true}, []string{"without activation, LN_b and biases"}},
		{
			"unknown", Properties{Origin: 4, N: 1, Blocks: 1, Hidden: 1, Bottleneck: 1, Activation: 2, DType: 2},
			[]string{"Origin is 4", "Activation is 2", "DType is 2"},
		},
	}
	for _, tt := range tests {
		err := tt.p.Validate()
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", tt.name, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want it to say %q", tt.name, err, want)
			}
		}
	}
	for _, p := range []Properties{smallBank(), paperBank(), tinyWarm()} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: got %v, want nil", p, err)
		}
	}
}

func TestDigestText(t *testing.T) {
	d, err := paperBank().Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got := d.String(); got != "49fcaaf13d696f361fb3b843ff0411836a5de4e6084585f71a4e440b8e1851fb" {
		t.Errorf("got %s", got)
	}
	if _, err := tinyWarm().Digest(); !errors.Is(err, ErrInvalid) {
		t.Errorf("warm bank: got %v, want ErrInvalid", err)
	}
}
