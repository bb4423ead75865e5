package bank

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

func paperBank() Properties {
	return Properties{
		Origin: Random, N: 150, Blocks: 6, Hidden: 384, Bottleneck: 24, NormB: true,
		Seed: 42, SigmaA: DefaultSigmaA, SigmaB: DefaultSigmaB,
	}
}

// smallBank has a number of entries that is no multiple of four.
func smallBank() Properties {
	return Properties{
		Origin: Random, N: 5, Blocks: 2, Hidden: 7, Bottleneck: 3, NormB: true,
		Seed: 0xfedcba9876543210, SigmaA: 0.02, SigmaB: 0.25,
	}
}

func hashOf(t *testing.T, rows ...[]float32) string {
	t.Helper()
	h := sha256.New()
	for _, r := range rows {
		h.Write(appendEntries(nil, r, F32))
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func generated(t *testing.T, p Properties, side Side, block, adapter int) []float32 {
	t.Helper()
	dst := make([]float32, p.Elems())
	if err := p.Generate(side, block, adapter, dst); err != nil {
		t.Fatal(err)
	}
	return dst
}

// The digests are those of generator 1 and never change: profiles depend on the bits.
func TestGoldenDigest(t *testing.T) {
	p := smallBank()
	var rows [][]float32
	for _, side := range []Side{Down, Up} {
		for block := range p.Blocks {
			for adapter := range p.N {
				rows = append(rows, generated(t, p, side, block, adapter))
			}
		}
	}
	big := paperBank()
	tests := []struct{ name, got, want string }{
		{"small bank's entries", hashOf(t, rows...),
			"ebc5535d204d16477cd06a94502c9ec01387a3a0e1c3ba3870bf4568ff5e71bf"},
		{"N=150, Down of block 0, adapter 0", hashOf(t, generated(t, big, Down, 0, 0)),
			"11989bace3984ad9b23848c3ea06ef82bbeac414b0cab20519d9c0618c894ffd"},
		{"N=150, Up of block 5, adapter 149", hashOf(t, generated(t, big, Up, 5, 149)),
			"8a8acb0cb0ba55eb740398e36777f6652c93e35b4482dc7c22cc6860e4458734"},
		{"small bank's digest", digestOf(t, p), "c90d00d96c5ff1c950361405519dd7991a5e6a79116271ac8624520f1710a090"},
		{"N=150's digest", digestOf(t, big), "49fcaaf13d696f361fb3b843ff0411836a5de4e6084585f71a4e440b8e1851fb"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

func digestOf(t *testing.T, p Properties) string {
	t.Helper()
	d, err := p.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// TestGoldenDigestElsewhere runs TestGoldenDigest as other compilers' targets see it:
// v3 has fused multiply-add, and softfloat is another implementation of float32.
func TestGoldenDigestElsewhere(t *testing.T) {
	const child = "XPEFT_GOLDEN_CHILD"
	if testing.Short() || os.Getenv(child) != "" {
		t.Skip("compiles this package again")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skipf("needs linux/amd64, this is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command")
	}
	for _, target := range []string{"GOAMD64=v1", "GOAMD64=v3", "GOARCH=386 GO386=softfloat"} {
		t.Run(target, func(t *testing.T) {
			cmd := exec.Command(goTool, "test", "-count=1", "-v", "-run=^TestGoldenDigest$", ".")
			cmd.Env = append(os.Environ(), child+"=1", "CGO_ENABLED=0", "GOFLAGS=")
			cmd.Env = append(cmd.Env, strings.Fields(target)...)
			out, err := cmd.CombinedOutput()
			for _, missing := range []string{"microarchitecture support", "exec format error"} {
				if strings.Contains(string(out), missing) {
					t.Skipf("this machine cannot run it: %s", missing)
				}
			}
			if err != nil || !strings.Contains(string(out), "--- PASS: TestGoldenDigest ") {
				t.Errorf("got %v, want it to pass:\n%s", err, out)
			}
		})
	}
}

// Entries are uniform on ±σ·√3, with standard deviation σ, and differ between any two
// of seed, side, block and adapter.
func TestGenerateStatistics(t *testing.T) {
	p := paperBank()
	seen := map[string]string{}
	for _, seed := range []uint64{42, 43, 42 << 32} {
		p.Seed = seed
		for _, side := range []Side{Down, Up} {
			for block := range 2 {
				for adapter := range 3 {
					v := generated(t, p, side, block, adapter)
					name := fmt.Sprint(seed, side, block, adapter)
					if other, ok := seen[hashOf(t, v)]; ok {
						t.Errorf("%s has the entries of %s", name, other)
					}
					seen[hashOf(t, v)] = name
					checkUniform(t, name, v, map[Side]float64{Down: DefaultSigmaA, Up: DefaultSigmaB}[side])
				}
			}
		}
	}
}

func checkUniform(t *testing.T, name string, v []float32, sigma float64) {
	t.Helper()
	var sum, squares, lag, top float64
	for i, x := range v {
		u := float64(x) / sigma
		sum += u
		squares += u * u
		lag += u * float64(v[(i+1)%len(v)]) / sigma
		top = max(top, math.Abs(u))
	}
	n := float64(len(v))
	tests := []struct {
		name            string
		got, want, most float64
	}{ // within five standard errors
		{"mean", sum / n, 0, 5 / math.Sqrt(n)},
		{"variance", squares / n, 1, 5 * math.Sqrt(0.8/n)},
		{"correlation with the next", lag / n, 0, 5 / math.Sqrt(n)},
		{"largest", top, math.Sqrt(3), 0.005},
	}
	for _, tt := range tests {
		if math.Abs(tt.got-tt.want) > tt.most {
			t.Errorf("%s, %s in units of σ: got %g, want %g ± %g", name, tt.name, tt.got, tt.want, tt.most)
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	p := smallBank()
	warm := tinyWarm()
	invalid := p
	invalid.SigmaA = -1
	row := make([]float32, p.Elems())
	tests := []struct {
		name string
		err  error
	}{
		{"warm", warm.Generate(Down, 0, 0, make([]float32, warm.Elems()))},
		{"invalid", invalid.Generate(Down, 0, 0, row)},
		{"adapter", p.Generate(Down, 0, p.N, row)},
		{"block", p.Generate(Down, p.Blocks, 0, row)},
		{"side", p.Generate(2, 0, 0, row)},
		{"short", p.Generate(Down, 0, 0, row[1:])},
	}
	for _, tt := range tests {
		if !errors.Is(tt.err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", tt.name, tt.err)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	p := paperBank()
	dst := make([]float32, p.Elems())
	b.SetBytes(int64(4 * len(dst)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := p.Generate(Side(i&1), i%p.Blocks, i%p.N, dst); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(dst))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mentries/s")
}
