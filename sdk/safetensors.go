package sdk

import (
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"io"
	"slices"

	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/model"
)

//go:embed python/xpeft_reader.py
var pythonReader []byte

// PythonReader is xpeft_reader.py, a module of some 100 lines that answers in Python as the profile
// in a file of ExportSafetensors does here.
func PythonReader() []byte { return slices.Clone(pythonReader) }

// ExportSafetensors writes what answers for a profile as one safetensors file, for programs in
// other languages: the head with the rows that the digits fold to, prior and bias in its own bias,
// the folded adapter or LoRA of masks, what its joint axes know of single texts, and in the
// metadata, as JSON, what must be known of model, blocks and labels (docs/python.md). PythonReader
// reads it. It answers as Predict does with NoTaught; a later Learn does not reach it.
func (p *Folder) ExportSafetensors(ctx context.Context, w io.Writer, id string) error {
	leave, err := p.enterToRead(ctx, id)
	if err != nil {
		return err
	}
	defer leave()
	s, err := p.snapshot(id)
	if err != nil {
		return err
	}
	e, err := p.effectiveOf(id, s)
	if err != nil {
		return err
	}
	return e.write(w)
}

// effective is what answers, with all that is chosen, learned or counted folded in.
type effective struct {
	about   about
	head    *model.Head // bias, prior and digits are in its weights
	factors []float32   // of each of the blocks that it sees, centred by means
	means   []float32
	adapter *model.Adapter // nil: none
	keys    []uint64       // of texts that are known
	known   []float32      // [texts, C], added to the logits
}

// about is the metadata, which is a format: docs/python.md.
type about struct {
	Version     int      `json:"version"`
	Profile     string   `json:"profile"` // empty: the base
	Revision    uint64   `json:"revision"`
	Labels      []string `json:"labels"`          // none: a number is the answer
	Multi       bool     `json:"multi,omitempty"` // they are not exclusive: a sigmoid of each
	Sees        string   `json:"sees"`            // blocks, cls or pooler
	Blocks      []int    `json:"blocks"`          // whose mean states the head sees; 0: the embeddings'
	FirstBlock  int      `json:"first_block"`
	Targets     []string `json:"targets,omitempty"` // of a LoRA: query, key and value, or some of these
	Activation  string   `json:"activation"`
	Temperature float32  `json:"temperature"`
	MaxTokens   int      `json:"max_tokens"`
	Windows     int      `json:"windows,omitempty"` // that a longer text is read in, where that is not one
	Encoder     string   `json:"encoder"`
	Tokenizer   string   `json:"tokenizer"`
}

// Versions of the file: one of labels that are not exclusive, of a LoRA, a head of two layers or
// windows has the second, as a program that does not know of these would answer wrongly.
const (
	tensorsVersion  = 1
	tensorsVersion2 = 2
)

// effectiveOf folds a profile; a nil snapshot is the base.
func (p *Folder) effectiveOf(id string, s *snapshot) (*effective, error) {
	meta := p.store.Meta()
	e := &effective{about: about{Version: tensorsVersion, Profile: id, Blocks: []int{},
		FirstBlock: p.encoder.Blocks(), Activation: "identity", Temperature: 1, MaxTokens: p.maxTokens,
		Encoder: meta.Encoder.String(), Tokenizer: meta.Tokenizer.String()}}
	if e.about.Multi = p.options.multi; p.options.windows > 1 {
		e.about.Windows = p.options.windows
	}
	r, code := request{snapshot: s}, codeRows{}
	if s == nil {
		if err := p.bare(&r); err != nil {
			return nil, err
		}
	} else {
		r.head, r.offset, r.texts, code = s.head, s.offset, s.texts, p.foldRows(s)
		a, err := s.fold()
		if err != nil {
			return nil, err
		}
		e.about.Revision, e.about.Temperature = s.revision, s.heat
		e.addAdapter(a, p.encoder.Blocks())
	}
	e.head = foldedHead(r.head, r.offset, code)
	if e.about.Multi || e.about.Windows > 1 || e.about.Targets != nil || e.head.W1 != nil {
		e.about.Version = tensorsVersion2
	}
	e.about.Labels = append([]string{}, e.head.Labels...)
	p.sees(e)
	e.addTexts(r.texts, code.levels)
	return e, nil
}

// foldedHead is a head with what is added to its logits.
func foldedHead(h *model.Head, offset []float32, code codeRows) *model.Head {
	h = h.Clone()
	for c := range h.B {
		for _, more := range [][]float32{offset, code.offset} {
			if more != nil {
				h.B[c] += more[c]
			}
		}
		if c < len(code.rows) {
			for i, v := range code.rows[c] {
				h.W[c*h.Hidden+i] += v
			}
		}
	}
	return h
}

func (e *effective) addAdapter(a *model.Adapter, blocks int) {
	if e.adapter = a; a == nil {
		return
	}
	e.about.FirstBlock = blocks - a.Blocks
	for i, name := range []string{"query", "key", "value"} {
		if a.Targets&(1<<i) != 0 {
			e.about.Targets = append(e.about.Targets, name)
		}
	}
	if a.Activation == model.ReLU {
		e.about.Activation = "relu"
	}
}

// sees says which states the head sees, and how they are centred and scaled.
func (p *Folder) sees(e *effective) {
	if p.seesFeatures(e.head) {
		e.about.Sees, e.about.Blocks, e.means = "blocks", p.axes.Taps, p.axes.Mean
		for t := range p.axes.Taps {
			e.factors = append(e.factors, p.axes.Factor(t))
		}
		return
	}
	e.about.Sees, e.means, e.factors = p.encoder.Pooling().String(), make([]float32, e.head.Hidden), []float32{1}
	if p.encoder.Pooling() == model.PoolMean {
		e.about.Sees, e.about.Blocks = "blocks", []int{p.encoder.Blocks()}
	}
}

// addTexts folds what joint axes know of single texts, for somebody's levels or nobody's.
func (e *effective) addTexts(j *jointBank, levels []float32) {
	if j == nil {
		return
	}
	C := len(e.head.Labels)
	e.keys, e.known = j.Keys, make([]float32, len(j.Keys)*C)
	for i := range j.Keys {
		j.AddText(e.known[i*C:(i+1)*C], i, levels)
	}
}

// write writes the file.
func (e *effective) write(w io.Writer) error {
	data, err := json.Marshal(e.about)
	if err != nil {
		return err
	}
	C, keys := int64(e.head.Outputs()), make([]byte, 0, 8*len(e.keys))
	for _, k := range e.keys {
		keys = binary.LittleEndian.AppendUint64(keys, k)
	}
	n, T := int64(len(e.factors)), int64(len(e.keys))
	d := int64(e.head.Hidden) / n // of one state
	all := []safetensors.Tensor{
		safetensors.F32("head.weight", e.head.W, C, n*d), safetensors.F32("head.bias", e.head.B, C),
		safetensors.F32("features.mean", e.means, n, d), safetensors.F32("features.factor", e.factors, n),
		{Name: "texts.keys", DType: "U64", Shape: []int64{T}, Data: keys},
		safetensors.F32("texts.logits", e.known, T, C)}
	if e.head.W1 != nil {
		all = append(all, safetensors.F32("head.inner", e.head.W1, n*d, n*d),
			safetensors.F32("head.inner_bias", e.head.B1, n*d))
	}
	if a := e.adapter; a != nil && a.Targets != 0 {
		L, b := int64(a.Blocks), int64(a.Bottleneck)
		all = append(all, safetensors.F32("lora.down", a.Down, L, d, b), safetensors.F32("lora.up", a.Up, L, b, d))
	} else if a != nil {
		L, b := int64(a.Blocks), int64(a.Bottleneck)
		all = append(all, safetensors.F32("adapter.down", a.Down, L, d, b),
			safetensors.F32("adapter.up", a.Up, L, b, d),
			safetensors.F32("adapter.down_bias", orZeros(a.DownBias, L*b), L, b),
			safetensors.F32("adapter.up_bias", orZeros(a.UpBias, L*d), L, d))
		if a.Norm != nil {
			all = append(all, safetensors.F32("adapter.norm", a.Norm, L, 2, b))
		}
	}
	return safetensors.Write(w, all, map[string]string{"xpeft": string(data)})
}

func orZeros(x []float32, n int64) []float32 {
	if x == nil {
		return make([]float32, n)
	}
	return x
}
