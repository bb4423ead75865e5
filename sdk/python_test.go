package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// pythonAsked is what Python is to answer as Go does: texts, for profiles of every kind.
type pythonAsked struct {
	Model    string       `json:"model"`
	Profiles []askedOfOne `json:"profiles"`

	dir   string
	texts []string
}

type askedOfOne struct {
	Kind  string      `json:"kind"`
	File  string      `json:"file"`
	Hub   string      `json:"hub"` // folder of the adapter, if the adapters library can have it
	Texts []askedText `json:"texts"`
}

type askedText struct {
	Text    string    `json:"text"`
	Pair    string    `json:"pair"`
	IDs     []int32   `json:"ids"`
	Types   []int32   `json:"types"`
	Windows []int32   `json:"windows"` // tokens of each, where there are several
	Want    []float64 `json:"want"`
	State   []float32 `json:"state"` // the mean of the last block's, if there is an adapter for the library
}

// add exports a profile and asks it the texts, some of which are pairs, and more.
func (a *pythonAsked) add(t *testing.T, p *Folder, kind, id string, more ...string) {
	t.Helper()
	var file bytes.Buffer
	if err := p.ExportSafetensors(context.Background(), &file, id); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	row := askedOfOne{Kind: kind, File: url.QueryEscape(kind) + ".safetensors"}
	writeFile(t, filepath.Join(a.dir, row.File), file.Bytes())
	row.Hub = a.addHub(t, p, kind, id)
	for i, text := range slices.Concat(a.texts, more) {
		x, pair := askedText{Text: text}, ""
		if i%7 == 3 {
			pair = a.texts[i/2]
		}
		x.Pair = pair
		var e model.Encoding
		p.read(&e, text, pair)
		x.IDs, x.Types, x.Windows = e.IDs, e.TypeIDs, e.Windows
		if row.Hub != "" {
			x.State = stateOf(t, p, id, e)
		}
		got := mustPredict(t, p, id, text, PredictOptions{Pair: pair, NoTaught: true})
		if got.Value != nil {
			x.Want = []float64{*got.Value}
		}
		for _, q := range got.Probabilities {
			x.Want = append(x.Want, float64(q.P))
		}
		row.Texts = append(row.Texts, x)
	}
	a.Profiles = append(a.Profiles, row)
}

// addHub exports a profile's adapter, if the adapters library can have it, and names the folder.
func (a *pythonAsked) addHub(t *testing.T, p *Folder, kind, id string) string {
	t.Helper()
	config, weights, err := p.ExportAdapterHub(context.Background(), id)
	if errors.Is(err, ErrUnsupported) {
		return ""
	}
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	dir := url.QueryEscape(kind)
	if err := os.Mkdir(filepath.Join(a.dir, dir), 0o777); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(a.dir, dir, "adapter_config.json"), config)
	writeFile(t, filepath.Join(a.dir, dir, "adapter.safetensors"), weights)
	return dir
}

// stateOf is the pooled embedding of a text under a profile's adapter.
func stateOf(t *testing.T, p *Folder, id string, text model.Encoding) []float32 {
	t.Helper()
	s, err := p.snapshot(id)
	if err != nil {
		t.Fatal(err)
	}
	adapter, err := s.fold()
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, p.encoder.Hidden())
	if err := p.encoder.Embed([]model.Encoding{text}, []int{0}, []*model.Adapter{adapter}, x, nil, nil); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestPythonReads: xpeft_reader.py answers as every kind of profile does: over the tests' tiny
// model with numpy alone or, if XPEFT_PARITY is a number of texts, over XPEFT_MODEL with
// transformers. XPEFT_PYTHON names the Python that has these.
func TestPythonReads(t *testing.T) {
	python := os.Getenv("XPEFT_PYTHON")
	if python == "" {
		if python = "python3"; exec.Command(python, "-c", "import numpy").Run() != nil {
			t.Skip("no python3 with numpy; make test-python makes one")
		}
	}
	a, c, args := &pythonAsked{Model: tinyModel(t), dir: t.TempDir()}, small(t), []string(nil)
	lengths := 16
	if n, err := strconv.Atoi(os.Getenv("XPEFT_PARITY")); err == nil && n > 1 {
		a.Model, lengths, args = os.Getenv("XPEFT_MODEL"), n, []string{"--torch"}
		c.MaxTokens = 256
	}
	for i := range lengths { // of 1 token, [CLS] and [SEP] aside, to a few more than are kept
		n := 1 + i*c.MaxTokens/(lengths-1)
		words := make([]string, n)
		for j := range words {
			words[j] = plantedWords[(7*i+5*j+j*j)%len(plantedWords)]
		}
		a.texts = append(a.texts, strings.Join(words, " "))
	}
	c.Model = a.Model
	a.addDigits(t, c)
	a.addMasks(t, c)
	a.addSets(t, c)
	a.addWindows(t, c)
	a.addJoint(t, c)
	a.addLibtorchs(t)
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(a.dir, "asked.json"), data)
	writeFile(t, filepath.Join(a.dir, "xpeft_reader.py"), PythonReader())
	cmd := exec.Command(python, append([]string{filepath.Join("testdata", "python", "check.py"), a.dir}, args...)...)
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // it takes minutes with transformers
	if err := cmd.Run(); err != nil {
		t.Errorf("got %v, want answers that agree", err)
	}
}

// addDigits are profiles of a folder with axes.
func (a *pythonAsked) addDigits(t *testing.T, c Config) {
	c.Masks = false
	p := create(t, c)
	mustLearn(t, p, "ann", examples(24, 1), &LearnOptions{Force: true})
	a.add(t, p, "digits", "ann")
	rec := mustRecord(t, p, "ann")
	if len(rec.Codes) == 0 || rec.Prior == nil || rec.Bias == nil {
		t.Fatalf("got %+v, want digits, prior and bias", rec)
	}
	warmer, biased := *rec, *rec
	warmer.ID, warmer.Temperature = "warmer", 170
	biased.ID, biased.Codes, biased.Temperature = "biased", nil, 0
	mustPut(t, p, &warmer)
	mustPut(t, p, &biased)
	a.add(t, p, "digits at a temperature of 2.5", "warmer")
	a.add(t, p, "biases alone", "biased")
	mustObserve(t, p, "seen", examples(1, 0)...)
	a.add(t, p, "a prior alone", "seen")
	mustLearn(t, p, "rows", slices.Concat(examples(12, 0), bills(8)), &LearnOptions{AddLabels: true, Force: true})
	a.add(t, p, "digits and a label of its own", "rows")
	mustLearn(t, p, "own", examples(15, 1), &LearnOptions{Head: OwnHead, Labels: []string{"later", "urgent", "ignore"}})
	a.add(t, p, "an own head", "own")
	mustLearn(t, p, "number", numbers(20), &LearnOptions{Head: NumberHead})
	a.add(t, p, "numbers", "number")
	rec = mustRecord(t, p, "own")
	snap, err := p.snapshot("own")
	if err != nil {
		t.Fatal(err)
	}
	if rec.OwnHead, err = p.narrowed(snap.head).MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	rec.ID = "old"
	mustPut(t, p, rec)
	a.add(t, p, "an own head over the last block, of an earlier version", "old")
	deep := p.narrowed(snap.head).Clone()
	deep.W1, deep.B1 = make([]float32, deep.Hidden*deep.Hidden), make([]float32, deep.Hidden)
	for i := range deep.W1 {
		deep.W1[i] = float32(i%7-3) / 10
	}
	deep.B1[0] = 0.5
	if rec.OwnHead, err = deep.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	rec.ID = "deep"
	mustPut(t, p, rec)
	a.add(t, p, "an own head of two layers", "deep")
}

// addSets are profiles of a folder whose labels are not exclusive.
func (a *pythonAsked) addSets(t *testing.T, c Config) {
	c.Masks, c.Multi = false, true
	p := create(t, c)
	mustLearn(t, p, "ann", sets("ann", 0, 36), nil)
	if rec := mustRecord(t, p, "ann"); len(rec.Codes) == 0 {
		t.Fatalf("got %+v, want digits", rec)
	}
	a.add(t, p, "labels that are not exclusive", "ann")
	mustObserve(t, p, "ben", sets("ben", 0, 2)...)
	a.add(t, p, "their counts alone", "ben")
}

// addWindows are profiles of a folder that reads long texts in windows.
func (a *pythonAsked) addWindows(t *testing.T, c Config) {
	c.Masks, c.Windows, c.MaxTokens = false, 3, c.MaxTokens/3
	p := create(t, c)
	mustLearn(t, p, "ann", examples(24, 1), forced())
	a.add(t, p, "texts of windows", "ann")
}

// addMasks are profiles of masks, learned in the last block, and drawn over banks of some blocks.
func (a *pythonAsked) addMasks(t *testing.T, c Config) {
	c.Bank = RandomBank{N: 12, Blocks: 1, Seed: 3, Bottleneck: 4}
	p := create(t, c)
	mustLearn(t, p, "ann", examples(24, 1), forced())
	a.add(t, p, "masks in the last block", "ann")
	L := p.encoder.Blocks()
	for i, kind := range []struct {
		name string
		bank bank.Properties
	}{
		{"masks in all blocks", bank.Properties{Blocks: L, Bottleneck: 4, NormB: true}},
		{"masks over a bank as of AdapterHub",
			bank.Properties{Blocks: L, Bottleneck: 5, Activation: bank.ReLU, Bias: true}},
		{"masks without LN_b, ReLU or biases", bank.Properties{Blocks: L - 1, Bottleneck: 4}},
		{"LoRAs of queries and values", bank.Properties{Blocks: L, Bottleneck: 4, Targets: model.Query | model.Value}},
		{"LoRAs of keys in the last block", bank.Properties{Blocks: 1, Bottleneck: 3, Targets: model.Key}},
	} {
		kind.bank.N, kind.bank.Hidden = 8, p.encoder.Hidden()
		c.Bank = bankOver(t, kind.bank, uint64(i))
		p := create(t, c)
		putMask(t, p, "ann", defaultBankOf(t, p), drawnMask(t, kind.bank.Blocks))
		a.add(t, p, kind.name, "ann")
	}
}

// drawnMask chooses three of eight adapters in each row.
func drawnMask(t *testing.T, blocks int) *bitmask.Mask {
	t.Helper()
	m, err := bitmask.New(8, 3, blocks)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * blocks {
		for j := range 3 {
			m.Row(bitmask.Side(i%2), i/2).Set((3*i + 2*j) % 8)
		}
	}
	return m
}

// addJoint are profiles of a folder whose people differ, and whose axes know some texts.
func (a *pythonAsked) addJoint(t *testing.T, c Config) {
	c.Masks, c.Labels = false, sides
	c.Options = &Options{Threads: 1, ObserveEvery: 1 << 20}
	k := knowingIn(t, create(t, c))
	mustLearn(t, k.sdk, "ann", k.person(30), &LearnOptions{Force: true})
	if snap, err := k.sdk.snapshot("ann"); err != nil || snap.joint == nil {
		t.Fatalf("got %v, want a place on joint axes", err)
	}
	a.add(t, k.sdk, "a place on joint axes, that know texts", "ann", k.both()[:8]...)
	mustObserve(t, k.sdk, "bob", k.person(1)...)
	a.add(t, k.sdk, "nobody's place on them", "bob", k.both()[:8]...)
}

// addLibtorchs are those that were learned in all blocks.
func (a *pythonAsked) addLibtorchs(t *testing.T) {
	names := []string{"allblocks", "imported"}
	if a.Model != tinyModel(t) {
		names = []string{"english"}
	}
	for _, name := range names {
		p := open(t, libtorchFolder(t, name), &Options{Model: a.Model, Threads: 1, ReadOnly: true})
		for rec, err := range p.store.Profiles("") {
			if err != nil {
				t.Fatal(err)
			}
			a.add(t, p, fmt.Sprintf("learned with libtorch, %s, %s", name, rec.ID), rec.ID)
		}
	}
}

func mustRecord(t *testing.T, p *Folder, id string) *store.Profile {
	t.Helper()
	rec, err := p.store.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func mustPut(t *testing.T, p *Folder, rec *store.Profile) {
	t.Helper()
	rec.Revision = 0
	if _, err := p.store.Put(context.Background(), rec, store.Write{}); err != nil {
		t.Fatal(err)
	}
}

// defaultBankOf is the ref of the bank of new profiles.
func defaultBankOf(t *testing.T, p *Folder) uint32 {
	t.Helper()
	ref, _, err := p.openDefaultBank()
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
