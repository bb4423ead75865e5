package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// askedOfHead is a text that heads learn, and what the folder's first head answers.
type askedOfHead struct {
	Text  string             `json:"text"`
	Label string             `json:"label"`
	Want  map[string]float32 `json:"want"`
}

// TestPythonHeads: a head that scikit-learn learned answers here as there, and the
// folder's there as here. It needs what make python-parity brings.
func TestPythonHeads(t *testing.T) {
	if os.Getenv("XPEFT_PARITY") == "" {
		t.Skip("make python-parity runs it")
	}
	ctx, dir, c := context.Background(), t.TempDir(), small(t)
	c.Model, c.Masks, c.MaxTokens = os.Getenv("XPEFT_MODEL"), false, 64
	p := create(t, c)
	var asked struct {
		Model string        `json:"model"`
		Texts []askedOfHead `json:"texts"`
	}
	asked.Model = c.Model
	for _, e := range examples(60, 0) {
		asked.Texts = append(asked.Texts, askedOfHead{e.Text, e.Label, baseOf(t, p, e.Text)})
	}
	data, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "asked.json"), data)
	writeFile(t, filepath.Join(dir, "xpeft_reader.py"), PythonReader())
	for _, format := range []HeadFormat{HeadJSON, HeadSafetensors} {
		var file bytes.Buffer
		if _, err := p.ExportHead(ctx, &file, format); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "base."+string(format)), file.Bytes())
	}
	cmd := exec.Command(os.Getenv("XPEFT_PYTHON"), filepath.Join("testdata", "python", "heads.py"), dir)
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string][]string{"three classes": labels, "two classes": labels[:2], "a body": labels}
	for kind, labels := range kinds {
		c.Labels = labels
		q := create(t, c)
		for _, format := range []HeadFormat{HeadJSON, HeadNPZ} {
			file := mustRead(t, filepath.Join(dir, kind+"."+string(format)))
			if _, err := q.ImportHead(ctx, bytes.NewReader([]byte(file)), nil); err != nil {
				t.Fatalf("%s, %s: %v", kind, format, err)
			}
			var want []map[string]float64
			if err := json.Unmarshal([]byte(mustRead(t, filepath.Join(dir, kind+".want.json"))), &want); err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			for i, x := range asked.Texts {
				for label, got := range baseOf(t, q, x.Text) {
					worst = max(worst, math.Abs(float64(got)-want[i][label]))
				}
			}
			if t.Logf("%.1e  %s, as %s", worst, kind, format); !(worst <= 1e-4) {
				t.Errorf("%s, as %s: got answers that differ by %g, want at most 1e-4", kind, format, worst)
			}
		}
	}
}
