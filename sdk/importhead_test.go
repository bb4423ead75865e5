package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/model"
)

// baseOf is what nobody's head answers.
func baseOf(t *testing.T, p *Folder, text string) map[string]float32 {
	t.Helper()
	out := map[string]float32{}
	for _, q := range mustPredict(t, p, "", text, PredictOptions{Base: true}).Probabilities {
		out[q.Label] = q.P
	}
	return out
}

// rows are a JSON head's, of w values a label that differ.
func rows(labels []string, w int) string {
	coef, intercept := []string{}, []string{}
	for c := range labels {
		row := make([]string, w)
		for i := range row {
			row[i] = fmt.Sprintf("%.3f", math.Sin(float64(3*i+c)))
		}
		coef, intercept = append(coef, "["+strings.Join(row, ",")+"]"), append(intercept, fmt.Sprint(c))
	}
	return fmt.Sprintf(`{"coef":[%s],"intercept":[%s],"classes":["%s"]}`, strings.Join(coef, ","),
		strings.Join(intercept, ","), strings.Join(labels, `","`))
}

// TestHeadOutAndIn: a head that left a folder answers in another, whose labels have another order,
// as it did, for new profiles and the base and not for those that exist.
func TestHeadOutAndIn(t *testing.T) {
	ctx := context.Background()
	for _, format := range []HeadFormat{HeadJSON, HeadNPZ} {
		p := coded(t)
		if _, err := p.ImportHead(ctx, strings.NewReader(rows(labels, p.HeadWidth())), nil); err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if _, err := p.ExportHead(ctx, &file, format); err != nil {
			t.Fatal(err)
		}
		c := small(t)
		c.Masks, c.Labels = false, []string{"ignore", "urgent", "later"}
		to := create(t, c)
		mustLearn(t, to, "ann", examples(24, 1), &LearnOptions{Force: true})
		before := mustPredict(t, to, "ann", "server down")
		digest, err := to.ImportHead(ctx, &file, nil)
		if err != nil || len(digest) != 64 {
			t.Fatalf("%s: got %q, %v", format, digest, err)
		}
		for label, want := range baseOf(t, p, "server down") {
			if got := baseOf(t, to, "server down")[label]; math.Abs(float64(got-want)) > 1e-6 {
				t.Errorf("%s: %s: got %g, want %g", format, label, got, want)
			}
		}
		near(t, "ann, who is there already", mustPredict(t, to, "ann", "server down"), before)
	}
}

// TestImportHeadShapes: one row of two classes is the second's, and rows over the pooled embedding
// answer as there.
func TestImportHeadShapes(t *testing.T) {
	ctx, c := context.Background(), small(t)
	c.Masks, c.Labels = false, sides
	p := create(t, c)
	one := rows([]string{"disagree"}, tinyD)
	one = strings.Replace(one, `"classes":["disagree"]`, `"classes":["disagree","agree"]`, 1)
	if _, err := p.ImportHead(ctx, strings.NewReader(one), nil); err != nil {
		t.Fatal(err)
	}
	var e model.Encoding
	p.tokenizer.Encode(&e, "server down", "", p.maxTokens)
	x, err := p.pooled(ctx, []model.Encoding{e})
	if err != nil {
		t.Fatal(err)
	}
	z := 0.0
	for i, v := range x {
		z += float64(v) * math.Round(1000*math.Sin(float64(3*i))) / 1000
	}
	if got, want := float64(baseOf(t, p, "server down")["agree"]), 1/(1+math.Exp(-z)); math.Abs(got-want) > 1e-5 {
		t.Errorf("got %g, want %g", got, want)
	}
}

func TestImportHeadRefuses(t *testing.T) {
	ctx, p := context.Background(), coded(t)
	good, object := rows(labels, p.HeadWidth()), mustRead(t, "../internal/npz/testdata/object.npz")
	numpys := mustRead(t, "../internal/npz/testdata/head.npz")
	cut := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	before := baseOf(t, p, "server down")
	l, err := readLinear([]byte(good), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var halves bytes.Buffer
	if l.Counts = []float64{1, 1, 0.5}; l.write(&halves, HeadNPZ) != nil {
		t.Fatal("no archive")
	}
	for what, x := range map[string]struct {
		file string
		want error
		says string
	}{
		"nothing":                  {"", ErrHead, "empty"},
		"a pickle":                 {"\x80\x04\x95", ErrHead, "pickle"},
		"a pickle in an archive":   {object, ErrHead, "pickle"},
		"other classes":            {numpys, ErrUnknownLabel, "é"},
		"cut off":                  {good[:len(good)-1], ErrHead, ""},
		"more behind it":           {good + "{}", ErrHead, "behind"},
		"another field":            {cut(`"coef"`, `"penalty":1,"coef"`), ErrHead, "penalty"},
		"numbers as classes":       {cut(`"urgent"`, "1"), ErrHead, "classes"},
		"an unknown class":         {cut(`"urgent"`, `"spam"`), ErrUnknownLabel, "spam"},
		"a class twice":            {cut(`"urgent"`, `"later"`), ErrHead, "twice"},
		"a class twice, unlike it": {cut(`"urgent"`, `" later"`), ErrHead, "twice"},
		"a class too few":          {rows(labels[:2], p.HeadWidth()), ErrHead, "ignore"},
		"a row too few":            {cut(`"intercept":[0,`, `"intercept":[`), ErrHead, "2 of intercept"},
		"a negative count":         {cut(`"coef"`, `"counts":[-1,1,1],"coef"`), ErrHead, "-1"},
		"half a count":             {cut(`"coef"`, `"counts":[1,0.5,1],"coef"`), ErrHead, "counts: 0.5"},
		"half a count in NumPy's":  {halves.String(), ErrHead, "counts: 0.5"},
		"too many counts":          {cut(`"coef"`, `"counts":[1],"coef"`), ErrHead, "1 counts"},
		"another width":            {rows(labels, 7), ErrMismatch, "7 values"},
		"rows of two widths":       {cut(`"coef":[[`, `"coef":[[1,`), ErrHead, "rows of"},
		"beyond float32":           {cut(`"intercept":[0,`, `"intercept":[1e39,`), ErrHead, "finite"},
		"beyond float64":           {cut(`"intercept":[0,`, `"intercept":[1e999,`), ErrHead, ""},
		"too large":                {good + strings.Repeat(" ", 1<<20), ErrHead, "more than"},
	} {
		_, err := p.ImportHead(ctx, strings.NewReader(x.file), nil)
		if !errors.Is(err, x.want) || !strings.Contains(fmt.Sprint(err), x.says) {
			t.Errorf("%s: got %v, want %v that says %q", what, err, x.want, x.says)
		}
	}
	if got := baseOf(t, p, "server down"); fmt.Sprint(got) != fmt.Sprint(before) {
		t.Errorf("got %v, want %v as before", got, before)
	}
	_, err = p.ExportHead(ctx, new(bytes.Buffer), "onnx")
	wantError(t, "ExportHead", err, ErrConfig)
}

// TestImportHeadBesideAxes: the head of joint axes stays unless it is forced.
func TestImportHeadBesideAxes(t *testing.T) {
	ctx := context.Background()
	p, _ := joined(t)
	file := rows(sides, p.HeadWidth())
	_, err := p.ImportHead(ctx, strings.NewReader(file), nil)
	wantError(t, "ImportHead", err, ErrConflict)
	if _, err := p.ImportHead(ctx, strings.NewReader(file), &ImportHeadOptions{Force: true}); err != nil {
		t.Error(err)
	}
	if j, err := p.newcomersJoint(); j != nil || err != nil {
		t.Errorf("got %v, %v, want the axes set aside", j, err)
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestReadOnlyExports: what leaves a folder leaves one that is opened for reading, and nothing
// comes in.
func TestReadOnlyExports(t *testing.T) {
	ctx, p := context.Background(), coded(t)
	mustLearn(t, p, "ann", examples(24, 1), &LearnOptions{Force: true})
	dir := p.dir
	closeClean(t, p)
	q := open(t, dir, &Options{ReadOnly: true, Threads: 1})
	var tensors, head bytes.Buffer
	if _, err := q.ExportHead(ctx, &head, HeadSafetensors); err != nil {
		t.Error(err)
	}
	if err := q.ExportSafetensors(ctx, &tensors, "ann"); err != nil || slices.Equal(tensors.Bytes(), head.Bytes()) {
		t.Errorf("got %v, and %d bytes as of nobody", err, tensors.Len())
	}
	wantError(t, "nobody", q.ExportSafetensors(ctx, &tensors, "nobody"), ErrProfileNotFound)
	_, _, err := q.ExportAdapterHub(ctx, "ann")
	wantError(t, "an adapter of digits", err, ErrUnsupported)
	_, err = q.ImportHead(ctx, &head, nil)
	wantError(t, "ImportHead", err, ErrReadOnly)
}
