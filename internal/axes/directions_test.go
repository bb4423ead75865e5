package axes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/half"
	"github.com/xpeft/xpeft/model"
)

// tinyAxes are 2 axes over two taps of 3 values, of which each has 2 digits.
func tinyAxes() *Axes {
	return &Axes{
		Features: model.Features{Taps: []int{0, 2}, Hidden: 3,
			Mean: []float32{1, 2, 3, -1, -2, -3}, Scale: []float32{0.5, 2}},
		Digits: 2,
		V:      []float32{0.5, 0.5, 0.5, 0.5, 0, 0, 0.5, -0.5, 0.5, -0.5, 0, 0},
	}
}

// randomAxes are of the shape that is shipped, but not orthogonal.
func randomAxes(taps, hidden, count, digits int) *Axes {
	a := &Axes{Features: model.Features{Hidden: hidden}, Digits: digits}
	for t := range taps {
		a.Taps, a.Scale = append(a.Taps, t), append(a.Scale, 1+float32(t))
	}
	a.Mean = rounded(gaussians(1, 7, a.Dim()))
	v := gaussians(1, 8, count*a.Dim())
	for j := range count {
		row := v[j*a.Dim():][:a.Dim()]
		length := math.Sqrt(square(row))
		for i := range row {
			row[i] /= length
		}
	}
	a.V = rounded(v)
	return a
}

// TestAxesRow: a row folds to the plain average over the 2K directions that it takes, and no
// others.
func TestAxesRow(t *testing.T) {
	for _, digits := range []int{1, 2, 3, 8} {
		a := randomAxes(2, 5, 7, digits)
		k := a.K()
		row := []byte{0b10110010, 0x5a, 0xc3, 0x17, 0xff, 0, 0x31}[:(k+7)/8]
		want := make([]float64, a.Dim())
		for i := range k { // of pair i: axis i/digits, digit i%digits+1
			sign := -1.0
			if row[i/8]>>(i%8)&1 == 1 {
				sign = 1
			}
			for d := range want {
				direction := float64(k) * math.Ldexp(sign, -(i%digits+1)) * float64(a.V[i/digits*a.Dim()+d])
				want[d] += direction / float64(k)
			}
		}
		got := make([]float32, a.Dim())
		got[0] = 1
		a.AddRow(got, row, 3)
		got[0]--
		for d := range want {
			if math.Abs(float64(got[d])-3*want[d]) > 1e-5 {
				t.Errorf("%d digits: entry %d: got %g, want %g", digits, d, got[d], 3*want[d])
			}
		}
	}
	if got := tinyAxes().Levels(nil, []byte{0b0110}); !cmp.Equal(got, []float32{-0.25, 0.25}) { // −½+¼ and ½−¼
		t.Errorf("levels: got %v, want −¼ and ¼", got)
	}
}

func TestAxesFeatures(t *testing.T) {
	a := tinyAxes()
	states := []float32{2, 2, 3, 0, -2, -3, 1, 4, 3, -1, -2, -2}
	got := a.Phi([]float32{9}, states)
	r := float32(1 / math.Sqrt2)
	want := []float32{9, 0.5 * r, 0, 0, 2 * r, 0, 0, 0, r, 0, 0, 0, 2 * r}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-6 {
			t.Errorf("value %d: got %g, want %g", i, got[i], want[i])
		}
	}
}

// TestAxesProject: V·φ, and a text's values do not depend on the texts beside it.
func TestAxesProject(t *testing.T) {
	a := randomAxes(3, 7, 10, 2)
	phi := rounded(gaussians(2, 9, 5*a.Dim()))
	all := a.Project([]float32{9}, phi)[1:]
	if len(all) != 5*a.Count() {
		t.Fatalf("got %d values, want %d", len(all), 5*a.Count())
	}
	for i := range 5 {
		x := phi[i*a.Dim():][:a.Dim()]
		if diff := cmp.Diff(all[i*a.Count():][:a.Count()], a.Project(nil, x)); diff != "" {
			t.Errorf("text %d alone (-beside others +alone):\n%s", i, diff)
		}
		for j := range a.Count() {
			var want float64
			for d, v := range x {
				want += float64(v) * float64(a.V[j*a.Dim()+d])
			}
			if got := all[i*a.Count()+j]; math.Abs(float64(got)-want) > 1e-4 {
				t.Errorf("text %d, axis %d: got %g, want %g", i, j, got, want)
			}
		}
	}
}

func TestAxesFile(t *testing.T) {
	a := tinyAxes()
	data, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, got); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	if got, want := a.Properties(),
		(bank.Properties{Origin: bank.HeadAxes, N: 8, Blocks: 1, Hidden: 3, Bottleneck: 2, DType: bank.F16, Digits: 2,
			Taps: 0b101}); got != want {
		t.Errorf("properties: got %+v, want %+v", got, want)
	}
	dir := t.TempDir()
	saved, err := Save(dir, a)
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	r := bytes.NewReader(append(bytes.Clone(data), "tail"...))
	received, err := Receive(context.Background(), other, r)
	if want := bank.Digest(sha256.Sum256(data)); err != nil || saved != want || received != want || r.Len() != len("tail") {
		t.Errorf("got %v and %v, %v, %d bytes left, want %v, and the tail", saved, received, err, r.Len(), want)
	}
	for _, dir := range []string{dir, other} {
		f, err := Open(filepath.Join(dir, saved.String()))
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(f.Axes, a) || f.Digest() != saved || f.Size() != int64(len(data)) {
			t.Errorf("opened: got %+v, digest %v, %d bytes", f.Axes, f.Digest(), f.Size())
		}
	}
}

// TestAxesDamage: cut anywhere, or with any bit flipped, a file of axes is refused, and received by
// nobody.
func TestAxesDamage(t *testing.T) {
	data, err := tinyAxes().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	refused := func(what string, at int, b []byte) {
		t.Helper()
		if a, err := Unmarshal(b); !errors.Is(err, bank.ErrCorrupt) && !errors.Is(err, bank.ErrUnsupported) ||
			a != nil {
			t.Errorf("%s at %d: got %v, want bank.ErrCorrupt", what, at, err)
		}
		if len(b) > len(data) {
			return // the stream may go on
		}
		if _, err := Receive(context.Background(), dir, bytes.NewReader(b)); !errors.Is(err, bank.ErrCorrupt) &&
			!errors.Is(err, bank.ErrUnsupported) {
			t.Errorf("%s at %d, received: got %v, want bank.ErrCorrupt", what, at, err)
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
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("got %d files, %v, want none", len(left), err)
	}
}

// TestAxesRefused: what no axes are is refused with right checksums too, and not written.
func TestAxesRefused(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, change := range map[string]func(*Axes){
		"no taps":           func(a *Axes) { a.Taps = nil },
		"taps not sorted":   func(a *Axes) { a.Taps = []int{2, 0} },
		"a tap twice":       func(a *Axes) { a.Taps = []int{2, 2} },
		"a tap too high":    func(a *Axes) { a.Taps = []int{0, 64} },
		"no digits":         func(a *Axes) { a.Digits = 0 },
		"nine digits":       func(a *Axes) { a.Digits = 9 },
		"no axes":           func(a *Axes) { a.V = nil },
		"a part of an axis": func(a *Axes) { a.V = a.V[1:] },
		"more than values": func(a *Axes) {
			a.V = append(append(append([]float32{}, a.V...), a.V...),
				append(a.V, a.V...)...)
		},
		"a mean too few":    func(a *Axes) { a.Mean = a.Mean[1:] },
		"a mean of NaN":     func(a *Axes) { a.Mean[1] = nan },
		"a mean too large":  func(a *Axes) { a.Mean[1] = -1 << 21 },
		"a scale of 0":      func(a *Axes) { a.Scale[1] = 0 },
		"an infinite scale": func(a *Axes) { a.Scale[1] = inf },
		"an infinite entry": func(a *Axes) { a.V[1] = inf },
		"a long axis":       func(a *Axes) { a.V[1] = 1 },
		"between halves":    func(a *Axes) { a.V[1] = 0.50001 },
	} {
		a := tinyAxes()
		change(a)
		if _, err := a.MarshalBinary(); !errors.Is(err, bank.ErrInvalid) {
			t.Errorf("%s: got %v, want bank.ErrInvalid", name, err)
		}
	}
	data, err := tinyAxes().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for name, change := range map[string]func(b []byte){
		"a mean of NaN": func(b []byte) { le.PutUint32(b[axesHeaderSize:], math.Float32bits(nan)) },
		"a long axis":   func(b []byte) { le.PutUint16(b[len(b)-4:], half.From(1)) },
		"a warm bank":   func(b []byte) { b[afterCRC] = byte(bank.Warm) },
		"many axes":     func(b []byte) { le.PutUint32(b[afterCRC+4:], 1<<16) },
	} {
		b := bytes.Clone(data)
		change(b)
		le.PutUint32(b[atCRC:], checksum(b))
		if _, err := Unmarshal(b); !errors.Is(err, bank.ErrCorrupt) {
			t.Errorf("%s, read: got %v, want bank.ErrCorrupt", name, err)
		}
	}
}

func BenchmarkAxesAddRow3(b *testing.B) {
	a := randomAxes(4, 384, 192, 2)
	w, row := make([]float32, a.Dim()), make([]byte, (a.K()+7)/8)
	b.ReportAllocs()
	for b.Loop() {
		for range 3 {
			a.AddRow(w, row, 0.5)
		}
	}
}

func BenchmarkAxesProject(b *testing.B) {
	a := randomAxes(4, 384, 192, 2)
	states := make([]float32, a.Dim())
	var phi, p []float32
	b.ReportAllocs()
	for b.Loop() {
		phi = a.Phi(phi[:0], states)
		p = a.Project(p[:0], phi)
	}
}
