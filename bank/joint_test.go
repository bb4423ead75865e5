package bank

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func tinyJoint() *Joint {
	return &Joint{
		Axes: Digest{1, 2, 3}, Head: Digest{4, 5}, Labels: []string{"agree", "disagree"}, People: 7,
		V: []float32{0.5, -0.25, 3, 1, 2, 0, -1, 0.75, 4, 0.125, -2, 1.5}, B: []float32{0.5, -0.5, 2, 1},
		Range: []float32{2.5, 1}, Digits: []int{3, 2},
	}
}

// TestJointRow: a row folds to the plain average over the 2K directions that it takes, and no others.
func TestJointRow(t *testing.T) {
	a := tinyJoint()
	for number := range 1 << a.K() {
		row := []byte{byte(number)}
		want, wantBias := make([]float64, 6), make([]float64, 2)
		i := 0
		for j, m := range a.Digits {
			for digit := 1; digit <= m; digit++ {
				sign := 2*float64(number>>i&1) - 1
				direction := float64(a.K()) * sign * math.Ldexp(float64(a.Range[j]), -digit)
				for d := range want {
					want[d] += direction * float64(a.V[j*6+d]) / float64(a.K())
				}
				for c := range wantBias {
					wantBias[c] += direction * float64(a.B[j*2+c]) / float64(a.K())
				}
				i++
			}
		}
		got, bias := []float32{1, 0, 0, 0, 0, 0}, make([]float32, 2)
		a.AddRow(got, bias, row)
		got[0]--
		for d := range want {
			if math.Abs(float64(got[d])-want[d]) > 1e-5 {
				t.Errorf("row %b: entry %d: got %g, want %g", number, d, got[d], want[d])
			}
		}
		for c := range wantBias {
			if math.Abs(float64(bias[c])-wantBias[c]) > 1e-5 {
				t.Errorf("row %b: bias %d: got %g, want %g", number, c, bias[c], wantBias[c])
			}
		}
		if places := a.Places(row); !bytes.Equal(a.Row(places), row) || places[0] > 7 || places[1] > 3 {
			t.Errorf("row %b: got places %v and row %v", number, places, a.Row(places))
		}
	}
	if got := a.Row([]byte{6, 1}); got[0] != 0b10011 { // ++−, −+
		t.Errorf("got row %b, want 10011", got[0])
	}
}

func TestJointFile(t *testing.T) {
	a, dir := tinyJoint(), t.TempDir()
	digest, err := SaveJoint(dir, a)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := a.Digest(); digest != want {
		t.Errorf("got digest %v, want %v", digest, want)
	}
	data, err := os.ReadFile(filepath.Join(dir, digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := UnmarshalJoint(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, got); diff != "" || !IsJoint(data) {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
}

// TestJointDamage: cut anywhere, or with any bit flipped, the file is refused.
func TestJointDamage(t *testing.T) {
	data, err := tinyJoint().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, at int, b []byte) {
		t.Helper()
		if a, err := UnmarshalJoint(b); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) || a != nil {
			t.Errorf("%s at %d: got %v, want ErrCorrupt", what, at, err)
		}
	}
	for i := range data {
		refused("cut", i, data[:i:i])
		for bit := range 8 {
			data[i] ^= 1 << bit
			refused("flipped", i, data)
			data[i] ^= 1 << bit
		}
	}
	refused("tail", 0, append(bytes.Clone(data), 0))
}

// TestJointRefused: what no joint axes are is refused with a right checksum too, and not written.
func TestJointRefused(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, change := range map[string]func(*Joint){
		"no axes":              func(a *Joint) { a.Digits, a.Range, a.V, a.B = nil, nil, nil, nil },
		"one label":            func(a *Joint) { a.Labels = a.Labels[:1] },
		"a label twice":        func(a *Joint) { a.Labels[1] = "agree" },
		"an empty label":       func(a *Joint) { a.Labels[1] = "" },
		"a label that is none": func(a *Joint) { a.Labels[1] = "\xff" },
		"a long label":         func(a *Joint) { a.Labels[1] = string(make([]byte, 2000)) },
		"no digits":            func(a *Joint) { a.Digits[1] = 0 },
		"nine digits":          func(a *Joint) { a.Digits[0] = 9 },
		"a range of 0":         func(a *Joint) { a.Range[0] = 0 },
		"a range of NaN":       func(a *Joint) { a.Range[0] = nan },
		"a part of an axis":    func(a *Joint) { a.V = a.V[1:] },
		"a bias too few":       func(a *Joint) { a.B = a.B[1:] },
		"a range too few":      func(a *Joint) { a.Range = a.Range[1:] },
		"nobody less":          func(a *Joint) { a.People = -1 },
		"an infinite entry":    func(a *Joint) { a.V[1] = inf },
		"NaN":                  func(a *Joint) { a.B[1] = nan },
		"between halves":       func(a *Joint) { a.V[1] = 0.50001 },
	} {
		a := tinyJoint()
		change(a)
		if _, err := a.MarshalBinary(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	data, err := tinyJoint().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for name, change := range map[string]func(b []byte){
		"an infinite entry":  func(b []byte) { le.PutUint16(b[len(b)-2:], 0x7c00) },
		"nine digits":        func(b []byte) { b[len(b)-2*16-1] = 9 },
		"other labels":       func(b []byte) { b[jointHeaderSize]++ },
		"many axes":          func(b []byte) { le.PutUint32(b[atJointCount:], 9) },
		"a length too large": func(b []byte) { le.PutUint32(b[atJointDim:], 1<<31) },
	} {
		b := bytes.Clone(data)
		change(b)
		le.PutUint32(b[atJointCRC:], jointCRC(b))
		if _, err := UnmarshalJoint(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s, read: got %v, want ErrCorrupt", name, err)
		}
	}
}

// TestJointReceived: joint axes come out of a stream, which may go on, as they were saved, and their properties are a bank's.
func TestJointReceived(t *testing.T) {
	a, dir := tinyJoint(), t.TempDir()
	data, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	stream := bytes.NewReader(append(bytes.Clone(data), "more"...))
	digest, err := Receive(t.Context(), dir, stream)
	if err != nil || stream.Len() != 4 {
		t.Fatalf("got %v with %d bytes left, want 4", err, stream.Len())
	}
	f, err := OpenJoint(filepath.Join(dir, digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, f.Joint); diff != "" || f.Digest() != digest || f.Size() != int64(len(data)) {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	want := Properties{Origin: JointAxes, N: 10, Blocks: 1, Hidden: 3, Bottleneck: 2, DType: F16, Axes: 2}
	if got := f.Properties(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var again Properties
	if b, err := want.MarshalBinary(); err != nil || again.UnmarshalBinary(b) != nil || again != want || want.Bytes() != 2*5+2*2*2*4 {
		t.Errorf("properties read again: got %+v of %d bytes, %v", again, want.Bytes(), err)
	}
	for _, cut := range []int{0, 50, 90, len(data) - 1} {
		if _, err := Receive(t.Context(), dir, bytes.NewReader(data[:cut])); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: got %v, want ErrCorrupt", cut, err)
		}
	}
	if _, err := OpenAxes(filepath.Join(dir, digest.String())); !errors.Is(err, ErrCorrupt) {
		t.Errorf("opened as other axes: got %v, want ErrCorrupt", err)
	}
	for name, change := range map[string]func(*Properties){
		"no axes":   func(p *Properties) { p.Axes = 0 },
		"nine axes": func(p *Properties) { p.Axes, p.N = 9, 18 },
		"few":       func(p *Properties) { p.N = 2 },
		"many":      func(p *Properties) { p.N = 34 },
		"one label": func(p *Properties) { p.Bottleneck = 1 },
		"taps":      func(p *Properties) { p.Taps = 1 },
		"warm":      func(p *Properties) { p.Origin = Warm },
	} {
		p := want
		change(&p)
		if err := p.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}
