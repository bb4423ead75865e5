package sdk

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// loras is a bank of 64 LoRAs of rank 2 in all of the tiny model's blocks.
func loras(t testing.TB) WarmBank {
	return bankFile(t, bank.Properties{N: 64, Blocks: 2, Bottleneck: 4, Targets: model.Query | model.Value}, 8)
}

// onLoRAs makes a folder over such a bank.
func onLoRAs(t *testing.T) (p *Folder, ref uint32) {
	t.Helper()
	c := small(t)
	c.Bank, c.K = loras(t), 16
	p = create(t, c)
	ref, err := p.defaultBank()
	if err != nil {
		t.Fatal(err)
	}
	return p, ref
}

// inOneBatch answers for all profiles and the base in one pass, and compares with each alone.
func inOneBatch(t *testing.T, p *Folder, ids ...string) {
	t.Helper()
	ctx, text := context.Background(), "the server is down again"
	requests := []Request{{Base: true, Text: text}}
	for _, id := range ids {
		requests = append(requests, Request{Profile: id, Text: text})
	}
	before, err := p.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.PredictBatch(ctx, requests)
	if err != nil {
		t.Fatal(err)
	}
	after, err := p.Stats(ctx)
	if passes := after.Passes.Passes - before.Passes.Passes; err != nil || passes != 1 {
		t.Errorf("got %d passes, %v, want all in one", passes, err)
	}
	for i, id := range ids {
		near(t, id, out[i+1], expect(t, p, id, text))
	}
}

// TestServesLoRAs: profiles over LoRAs share a pass with others and with the base, are not trained
// natively, and learn anew over another bank there.
func TestServesLoRAs(t *testing.T) {
	ctx := context.Background()
	p, ref := onLoRAs(t)
	putMask(t, p, "first", ref, plainMask(t, 64, 1))
	putMask(t, p, "second", ref, plainMask(t, 64, 2))
	bundle, _ := otherBank(t, RandomBank{N: 12, Seed: 4, Bottleneck: 4}, "other")
	if _, err := p.Import(ctx, bytes.NewReader(bundle), nil); err != nil {
		t.Fatal(err)
	}
	inOneBatch(t, p, "first", "other", "second", "first")
	a, b := mustPredict(t, p, "first", "server down"), mustPredict(t, p, "second", "server down")
	if a.Probabilities[0].P == b.Probabilities[0].P {
		t.Error("two LoRAs answer the same")
	}
	trains := p.engine.TrainsLoRA() > 0
	want := map[bool]string{true: "", false: "first second"}[trains]
	if got := untrainableNow(t, p); got != want {
		t.Errorf("untrainable: got %q, want %q", got, want)
	}
	mustLearn(t, p, "first", examples(12, 0), forced())
	rec, err := p.store.Get("first")
	if err != nil || (rec.Bank == ref) != trains {
		t.Errorf("learned over bank %d, %v; the LoRAs are %d", rec.Bank, err, ref)
	}
	if _, _, err := p.ExportPEFT(ctx, "other"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("ExportPEFT of masks over other adapters: got %v, want ErrUnsupported", err)
	}
}

// TestRequestedOfLoRAs: masks over 64 LoRAs are learned, answer in one pass with others, and leave
// as one LoRA that is the same adapter where it comes in again.
func TestRequestedOfLoRAs(t *testing.T) {
	ctx := context.Background()
	p, ref := onLoRAs(t)
	if p.engine.TrainsLoRA() == 0 {
		t.Skip("only libtorch trains masks over LoRAs: build with -tags torch")
	}
	long := learner.Default()
	long.K, long.Epochs = 0, 30
	rep := mustLearn(t, p, "ann", examples(24, 1), &LearnOptions{Force: true, Config: &long})
	const some = 15
	if n := len(rep.Losses); n < 2*some || !(total(rep.Losses[n-some:]) < total(rep.Losses[:some])) {
		t.Errorf("got losses %v, want them to fall", rep.Losses)
	}
	info, err := p.Profile(ctx, "ann")
	rec, err2 := p.store.Get("ann")
	if err := errors.Join(err, err2); err != nil || info.N != 64 || info.K != 16 || rec.Bank != ref {
		t.Errorf("got %+v over bank %d, %v, want 16 of the 64 LoRAs of bank %d", info, rec.Bank, err, ref)
	}
	putMask(t, p, "plain", ref, plainMask(t, 64, 3))
	bundle, _ := otherBank(t, RandomBank{N: 12, Seed: 4, Bottleneck: 4}, "other")
	if _, err := p.Import(ctx, bytes.NewReader(bundle), nil); err != nil {
		t.Fatal(err)
	}
	inOneBatch(t, p, "ann", "other", "plain")

	if _, _, err := p.ExportAdapterHub(ctx, "ann"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("ExportAdapterHub of masks over LoRAs: got %v, want ErrUnsupported", err)
	}
	config, weights, err := p.ExportPEFT(ctx, "ann")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "adapter_config.json"), config)
	writeFile(t, filepath.Join(dir, "adapter_model.safetensors"), weights)
	m, err := bank.ImportAdapters([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	folded := foldOne(t, p, "ann")
	for side, all := range [][]float32{folded.Down, folded.Up} {
		for l := range folded.Blocks {
			row, _, err := m.Row(bank.Side(side), l, 0)
			if n := len(row); err != nil || !slices.Equal(row, all[l*n:(l+1)*n]) {
				t.Errorf("block %d of what ExportPEFT gave: other weights, %v", l, err)
			}
		}
	}
}

func total(x []float32) (sum float32) {
	for _, v := range x {
		sum += v
	}
	return sum
}
