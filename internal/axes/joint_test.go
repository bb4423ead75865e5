package axes

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bank"
)

func tinyJoint() *Joint {
	return &Joint{
		Axes: bank.Digest{1, 2, 3}, Head: bank.Digest{4, 5}, Labels: []string{"agree", "disagree"}, People: 7,
		V: []float32{0.5, -0.25, 3, 1, 2, 0, -1, 0.75, 4, 0.125, -2, 1.5}, B: []float32{0.5, -0.5, 2, 1},
		Range: []float32{2.5, 1}, Digits: []int{3, 2},
	}
}

// tinyTexts are the same with a precision of biases and two texts.
func tinyTexts() *Joint {
	a := tinyJoint()
	a.Beta, a.Keys, a.Own = 4, []uint64{3, 1 << 63}, []float32{1, -1, 0.5, 0.25, 2, 0, -3, 3, 0, 0.125, 1, 65504}
	return a
}

// TestJointRow: a row folds to the plain average over the 2K directions that it takes, and no
// others.
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
	for _, a := range []*Joint{tinyJoint(), tinyTexts()} {
		dir := t.TempDir()
		digest, err := Save(dir, a)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		if want := bank.Digest(sha256.Sum256(data)); digest != want {
			t.Errorf("got digest %v, want %v", digest, want)
		}
		got, err := UnmarshalJoint(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, got); diff != "" || !isJoint(data) {
			t.Errorf("read again (-want +got):\n%s", diff)
		}
	}
}

// TestJointVersions: files of both versions open, to the digests that they have, and the version is
// the oldest that holds the axes.
func TestJointVersions(t *testing.T) {
	beta1, beta2, texts := tinyJoint(), tinyJoint(), tinyTexts()
	beta1.Beta, beta2.Beta, texts.Beta = 1, 2, 0 // which means 1
	for name, c := range map[string]struct {
		axes    *Joint
		file    string
		digest  string
		version byte
	}{
		"as ever": {tinyJoint(), "v1.joint",
			"ef4b37de7bd85a81c58c4c1920b99bbd48ce93382f4bf934bef5b6adb045f0d2", 1},
		"biases as ever": {beta1, "v1.joint", "ef4b37de7bd85a81c58c4c1920b99bbd48ce93382f4bf934bef5b6adb045f0d2", 1},
		"narrow biases":  {beta2, "", "", 2},
		"texts alone":    {texts, "", "", 2},
		"both": {tinyTexts(), "v2.joint",
			"e06b866b785ae89df7e84dc7bf0b1ac4500b512347688242c53a69e4b7ee4571", 2},
	} {
		data, err := c.axes.MarshalBinary()
		if err != nil || data[atVersion] != c.version {
			t.Fatalf("%s: got version %d, %v, want %d", name, data[atVersion], err, c.version)
		}
		if c.file == "" {
			continue
		}
		path := filepath.Join("testdata", c.file)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f.data, data) || f.Digest().String() != c.digest {
			t.Errorf("%s: got %v, want the bytes of %s, %s", name, f.Digest(), c.file, c.digest)
		}
	}
}

// TestJointText: a text's own part is everybody's, and what it has along an axis is a person's by
// their level there.
func TestJointText(t *testing.T) {
	a := tinyTexts()
	for key, want := range map[uint64][]float32{3: {10 + 1 + 2*0.5 - 2, 20 - 1 + 2*0.25},
		1 << 63: {10 - 3 - 1, 20 + 3 + 2*0.125 - 65504}, 4: nil} {
		i, ok := a.Text(key)
		if ok != (want != nil) {
			t.Errorf("text %d: got %d, %t", key, i, ok)
		}
		if !ok {
			continue
		}
		got := []float32{10, 20}
		if a.AddText(got, i, []float32{2, -1}); !cmp.Equal(got, want) {
			t.Errorf("text %d: got %v, want %v", key, got, want)
		}
		got = []float32{0, 0}
		if a.AddText(got, i, nil); !cmp.Equal(got, a.Own[i*6:i*6+2]) {
			t.Errorf("text %d for nobody: got %v, want %v", key, got, a.Own[i*6:i*6+2])
		}
	}
}

// TestJointDamage: cut anywhere, or with any bit flipped, the file is refused.
func TestJointDamage(t *testing.T) {
	for version, a := range map[int]*Joint{1: tinyJoint(), 2: tinyTexts()} {
		data, err := a.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		refused := func(what string, at int, b []byte) {
			t.Helper()
			if a, err := UnmarshalJoint(b); !errors.Is(err, bank.ErrCorrupt) && !errors.Is(err, bank.ErrUnsupported) ||
				a != nil {
				t.Errorf("version %d, %s at %d: got %v, want bank.ErrCorrupt", version, what, at, err)
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
		"a precision below 0":  func(a *Joint) { a.Beta = -1 },
		"a precision of NaN":   func(a *Joint) { a.Beta = nan },
		"no end of precision":  func(a *Joint) { a.Beta = inf },
		"a text twice":         func(a *Joint) { a.Keys[1] = 3 },
		"texts out of order":   func(a *Joint) { a.Keys[0], a.Keys[1] = a.Keys[1], a.Keys[0] },
		"a text's part less":   func(a *Joint) { a.Own = a.Own[1:] },
		"parts of no text":     func(a *Joint) { a.Keys = nil },
		"an infinite part":     func(a *Joint) { a.Own[3] = inf },
		"a part of no half":    func(a *Joint) { a.Own[3] = 0.50001 },
		"too many texts":       func(a *Joint) { a.Keys = make([]uint64, bank.MaxJointTexts+1) },
	} {
		a := tinyTexts()
		change(a)
		if _, err := a.MarshalBinary(); !errors.Is(err, bank.ErrInvalid) {
			t.Errorf("%s: got %v, want bank.ErrInvalid", name, err)
		}
	}
	le, beta := binary.LittleEndian, math.Float32bits
	for name, c := range map[string]struct {
		axes   *Joint
		change func(b []byte)
	}{
		"an infinite entry":  {tinyJoint(), func(b []byte) { le.PutUint16(b[len(b)-2:], 0x7c00) }},
		"nine digits":        {tinyJoint(), func(b []byte) { b[len(b)-2*16-1] = 9 }},
		"other labels":       {tinyJoint(), func(b []byte) { b[jointHeaderSize]++ }},
		"many axes":          {tinyJoint(), func(b []byte) { le.PutUint32(b[atJointCount:], 9) }},
		"a length too large": {tinyJoint(), func(b []byte) { le.PutUint32(b[atJointDim:], 1<<31) }},
		"texts without end":  {tinyTexts(), func(b []byte) { le.PutUint32(b[atJointTexts:], 1<<31) }},
		"more texts":         {tinyTexts(), func(b []byte) { le.PutUint32(b[atJointTexts:], 3) }},
		"a text twice":       {tinyTexts(), func(b []byte) { copy(b[len(b)-32:len(b)-24], b[len(b)-40:]) }},
		"an infinite part":   {tinyTexts(), func(b []byte) { le.PutUint16(b[len(b)-2:], 0x7c00) }},
		"no precision":       {tinyTexts(), func(b []byte) { le.PutUint32(b[atJointBeta:], 0) }},
		"a precision of -0":  {tinyTexts(), func(b []byte) { le.PutUint32(b[atJointBeta:], 1<<31) }},
		"an endless one":     {tinyTexts(), func(b []byte) { le.PutUint32(b[atJointBeta:], beta(inf)) }},
		"what version 1 says": {&Joint{Labels: []string{"a", "b"}, V: []float32{1, 2}, B: []float32{0, 0},
			Range: []float32{1}, Digits: []int{1}, Beta: 2}, func(b []byte) { le.PutUint32(b[atJointBeta:], beta(1)) }},
	} {
		b, err := c.axes.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		c.change(b)
		le.PutUint32(b[atCRC:], checksum(b))
		if _, err := UnmarshalJoint(b); !errors.Is(err, bank.ErrCorrupt) {
			t.Errorf("%s, read: got %v, want bank.ErrCorrupt", name, err)
		}
	}
}

// TestJointReceived: joint axes come out of a stream, which may go on, as they were saved, and
// their properties are a bank's.
func TestJointReceived(t *testing.T) {
	testJointReceived(
		t,
		tinyJoint(),
		bank.Properties{
			Origin:     bank.JointAxes,
			N:          10,
			Blocks:     1,
			Hidden:     3,
			Bottleneck: 2,
			DType:      bank.F16,
			Axes:       2,
		},
		2*5+2*2*2*4,
	)
	testJointReceived(
		t,
		tinyTexts(),
		bank.Properties{
			Origin:     bank.JointAxes,
			N:          10,
			Blocks:     1,
			Hidden:     3,
			Bottleneck: 2,
			DType:      bank.F16,
			Axes:       2,
			Texts:      2,
		},
		2*5+2*2*2*4+2*(8+12),
	)
}

func testJointReceived(t *testing.T, a *Joint, want bank.Properties, size int64) {
	dir := t.TempDir()
	data, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	stream := bytes.NewReader(append(bytes.Clone(data), "more"...))
	digest, err := Receive(t.Context(), dir, stream)
	if err != nil || stream.Len() != 4 {
		t.Fatalf("got %v with %d bytes left, want 4", err, stream.Len())
	}
	f, err := Open(filepath.Join(dir, digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, f.Joint); diff != "" || f.Digest() != digest || f.Size() != int64(len(data)) {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	if got := f.Properties(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var again bank.Properties
	if b, err := want.MarshalBinary(); err != nil || again.UnmarshalBinary(b) != nil || again != want ||
		want.Bytes() != size {
		t.Errorf("properties read again: got %+v of %d bytes, %v", again, want.Bytes(), err)
	}
	for _, cut := range []int{0, 50, 90, 104, len(data) - 1} {
		if _, err := Receive(t.Context(), dir, bytes.NewReader(data[:cut])); !errors.Is(err, bank.ErrCorrupt) {
			t.Errorf("cut at %d: got %v, want bank.ErrCorrupt", cut, err)
		}
	}
	if _, err := Unmarshal(data); !errors.Is(err, bank.ErrCorrupt) {
		t.Errorf("read as other axes: got %v, want bank.ErrCorrupt", err)
	}
	for name, change := range map[string]func(*bank.Properties){
		"no axes":   func(p *bank.Properties) { p.Axes = 0 },
		"nine axes": func(p *bank.Properties) { p.Axes, p.N = 9, 18 },
		"few":       func(p *bank.Properties) { p.N = 2 },
		"many":      func(p *bank.Properties) { p.N = 34 },
		"one label": func(p *bank.Properties) { p.Bottleneck = 1 },
		"taps":      func(p *bank.Properties) { p.Taps = 1 },
		"warm":      func(p *bank.Properties) { p.Origin = bank.Warm },
		"no texts":  func(p *bank.Properties) { p.Texts = -1 },
		"all texts": func(p *bank.Properties) { p.Texts = bank.MaxJointTexts + 1 },
		"its texts": func(p *bank.Properties) { p.Origin, p.Axes, p.Texts = bank.Warm, 0, 1 },
	} {
		p := want
		change(&p)
		if err := p.Validate(); !errors.Is(err, bank.ErrInvalid) {
			t.Errorf("%s: got %v, want bank.ErrInvalid", name, err)
		}
	}
}
