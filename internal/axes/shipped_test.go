package axes

import (
	"bytes"
	"math"
	"os"
	"testing"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/model"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestShipped: the model that scripts/setup.sh fetches has axes, of its default shape, in their
// canonical bytes. With XPEFT_MAKE_GOLDEN it makes them.
func TestShipped(t *testing.T) {
	c, err := model.OpenCheckpoint(golden.Model(t))
	must(t, err)
	defer c.Close()
	digest := bank.Digest(c.Digest()) // an encoder closes the checkpoint
	config := Default(c.Config.NumHiddenLayers, c.Config.HiddenSize)
	if os.Getenv("XPEFT_MAKE_GOLDEN") != "" {
		start := time.Now()
		data, err := computed(t, c, config).MarshalBinary()
		must(t, err)
		must(t, os.WriteFile("all-minilm-l6-v2.axes", data, 0o644))
		miniLM, shipped[digest.String()] = data, data
		t.Logf("%d bytes in %v, for the checkpoint %v", len(data), time.Since(start), digest)
	}
	a := Shipped(digest)
	if a == nil {
		t.Fatalf("got no axes for %v", digest)
	}
	if a.Count() != config.Count || a.Digits != config.Digits || a.Hidden != config.Hidden || len(a.Taps) != 4 ||
		a.Taps[3] != c.Config.NumHiddenLayers {
		t.Errorf("got %d axes of %d digits over blocks %v, want %+v", a.Count(), a.Digits, a.Taps, config)
	}
	again, err := a.MarshalBinary()
	if err != nil || !bytes.Equal(again, miniLM) {
		t.Errorf("written again: got other bytes, %v", err)
	}
	checkOrthonormal(t, a)
	if Shipped([32]byte{1}) != nil {
		t.Error("an unknown model: got axes")
	}
}

func checkOrthonormal(t *testing.T, a *Axes) {
	for i, row := 0, a.V; i < a.Count(); i, row = i+1, row[a.Dim():] {
		for j, x := range a.Project(nil, row[:a.Dim()]) {
			want := 0.0
			if i == j {
				want = 1
			}
			if math.Abs(float64(x)-want) > 2e-3 {
				t.Fatalf("axis %d times axis %d: got %g, want %g", i, j, x, want)
			}
		}
	}
}

func computed(t *testing.T, c *model.Checkpoint, config Config) *Axes {
	t.Helper()
	tok, err := model.LoadTokenizer(golden.Model(t))
	must(t, err)
	enc, err := model.NewEncoder(c)
	must(t, err)
	defer enc.Close()
	a, err := Compute(t.Context(), enc, tok, config)
	must(t, err)
	return a
}
