package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/learner"
)

// loraAsked is what testdata/python/lora.py does with.
type loraAsked struct {
	Model string              `json:"model"`
	N     int                 `json:"n"`
	Sigma float64             `json:"sigma"` // of the entries of A and B
	Texts [][]int32           `json:"texts"`
	Masks map[string]loraMask `json:"masks"`
}

type loraMask struct { // the chosen adapters of each block
	Down [][]int `json:"down"`
	Up   [][]int `json:"up"`
}

// TestPythonLoRA is parity with the real peft over the real model, both ways: 64 LoRAs of peft as a
// bank answer as the model that peft merges one of them into (N = 64, k = 1), and as numpy's mean
// of 16, and what ExportPEFT writes answers in peft as here. XPEFT_PYTHON names a Python that has
// torch, transformers and peft.
func TestPythonLoRA(t *testing.T) {
	if os.Getenv("XPEFT_PARITY") == "" {
		t.Skip("needs torch and peft: make python-parity")
	}
	dir, texts := t.TempDir(), loraTexts()
	a := loraAsked{Model: os.Getenv("XPEFT_MODEL"), N: 64, Sigma: 0.05, Masks: map[string]loraMask{}}
	var one, many loraMask
	for l := range 6 {
		one.Down, one.Up = append(one.Down, []int{7}), append(one.Up, []int{7})
		down, up := []int{}, []int{}
		for i := range 16 {
			down, up = append(down, (5*l+3*i)%64), append(up, (11*l+7*i+1)%64)
		}
		many.Down, many.Up = append(many.Down, down), append(many.Up, up)
	}
	a.Masks["one of 64"], a.Masks["16 of 64"] = one, many
	c := Config{Model: a.Model, Labels: labels, Masks: true, MaxTokens: 256, Options: &Options{Threads: 1}}
	tok := create(t, c)
	var examples []learner.Example
	for _, text := range texts {
		var e learner.Example
		tok.tokenizer.Encode(&e.Text, text, "", 256)
		examples, a.Texts = append(examples, e), append(a.Texts, e.Text.IDs)
	}
	writeJSON(t, filepath.Join(dir, "asked.json"), a)
	runPython(t, "make", dir)
	c.Bank = WarmBank{importLoRAs(t, dir, a.N)}
	p := create(t, c)
	ref, err := p.defaultBank()
	if err != nil {
		t.Fatal(err)
	}
	var wanted map[string][][]float64
	readJSON(t, filepath.Join(dir, "wanted.json"), &wanted)
	answered := map[string][][]float32{}
	for name, m := range a.Masks {
		mask, err := bitmask.New(a.N, len(m.Down[0]), 6)
		if err != nil {
			t.Fatal(err)
		}
		for side, rows := range [][][]int{m.Down, m.Up} {
			for l, row := range rows {
				for _, i := range row {
					mask.Row(bank.Side(side), l).Set(i)
				}
			}
		}
		putMask(t, p, name, ref, mask)
		x, err := learner.Embed(context.Background(), p.env(nil), examples, foldOne(t, p, name))
		if err != nil {
			t.Fatal(err)
		}
		off, moved := 0.0, 0.0
		for i, row := range wanted[name] {
			answered[name] = append(answered[name], x[i*len(row):(i+1)*len(row)])
			for j, w := range row {
				off = max(off, math.Abs(float64(x[i*len(row)+j])-w))
				moved = max(moved, math.Abs(w-wanted["bare"][i][j]))
			}
		}
		t.Logf("imported from peft, %s: largest difference %.2g; the LoRA changes values by up to %.2g", name, off, moved)
		if !(off <= 1e-5) || moved < 1e-2 {
			t.Errorf("%s: %.2g off, want at most 1e-5, of changes of %.2g", name, off, moved)
		}
		config, weights, err := p.ExportPEFT(context.Background(), name)
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "out-"+name)
		if err := os.Mkdir(out, 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(out, "adapter_config.json"), config)
		writeFile(t, filepath.Join(out, "adapter_model.safetensors"), weights)
	}
	writeJSON(t, filepath.Join(dir, "answered.json"), answered)
	runPython(t, "check", dir)
}

// loraTexts are of some words to more than a pass keeps.
func loraTexts() (texts []string) {
	for i := range 12 {
		text := ""
		for j := range 1 + i*i*2 {
			text += loraWords[(i+3*j)%len(loraWords)] + " "
		}
		texts = append(texts, text)
	}
	return texts
}

var loraWords = []string{"the", "server", "is", "down", "garden", "chairs", "at", "half", "price", "invoice", "please"}

func importLoRAs(t *testing.T, dir string, n int) (path string) {
	t.Helper()
	var dirs []string
	for i := range n {
		dirs = append(dirs, filepath.Join(dir, fmt.Sprintf("%03d", i)))
	}
	m, err := bank.ImportAdapters(dirs)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path = filepath.Join(dir, "loras.bank")
	if _, err := bank.WriteFile(context.Background(), path, m.Properties, nil, m.Row); err != nil {
		t.Fatal(err)
	}
	return path
}

func runPython(t *testing.T, command, dir string) {
	t.Helper()
	cmd := exec.Command(os.Getenv("XPEFT_PYTHON"), filepath.Join("testdata", "python", "lora.py"), command, dir)
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("lora.py %s: %v", command, err)
	}
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, data)
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}
