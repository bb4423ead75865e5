package model

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// Checkpoint is a model's folder: config.json, the pooling, and the mapped weights, their names,
// shapes and types checked.
type Checkpoint struct {
	Config  Config
	Pooling Pooling

	file    *safetensors.File
	weights []weight
	pooler  bool
}

// weight is a tensor that the encoder uses: the name by which the code knows it, and the view.
type weight struct {
	name   string
	tensor safetensors.Tensor
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// OpenCheckpoint reads dir's config.json, modules.json and the pooling's config.json, and maps its
// model.safetensors. No weight is read, but each is known to be there.
func OpenCheckpoint(dir string) (*Checkpoint, error) { return openCheckpoint(folder(dir)) }

// OpenCheckpointFS is OpenCheckpoint of a file system's root, a model embedded in the program say.
// Its weights are read into memory.
func OpenCheckpointFS(fsys fs.FS) (*Checkpoint, error) { return openCheckpoint(fsys) }

func openCheckpoint(dir fs.FS) (*Checkpoint, error) {
	config, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	if err := refusePEFT(dir); err != nil {
		return nil, err
	}
	pooling, err := readModules(dir, config.HiddenSize)
	if err != nil {
		return nil, err
	}
	file, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Config: config, Pooling: pooling, file: file}
	if err := c.bind(); err != nil {
		file.Close()
		return nil, err
	}
	return c, nil
}

// otherWeights are the files in which a folder without model.safetensors may have its weights.
var otherWeights = []string{
	"model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5",
	"flax_model.msgpack",
	"model.onnx", "onnx/model.onnx", "openvino/openvino_model.xml", "bert_model.ckpt.index", "rust_model.ot",
	"model.safetensors.part", "model.safetensors.incomplete",
}

// openWeights maps model.safetensors. A folder that has its weights in another form gets an error
// that says which.
func openWeights(dir fs.FS) (*safetensors.File, error) {
	file, err := openTensors(dir, "model.safetensors")
	if err == nil {
		return file, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	for _, other := range otherWeights {
		if _, err := fs.Stat(dir, other); err != nil {
			continue
		}
		form := "weights in " + other
		if strings.HasSuffix(other, ".index.json") {
			form = "weights in several files, listed in " + other
		}
		return nil, unsupportedf("%s, want one model.safetensors: in Python, "+
			"AutoModel.from_pretrained(DIR).save_pretrained(OUT, max_shard_size=\"100GB\")", form)
	}
	return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
}

// openTensors maps a file of the disk and reads another.
func openTensors(dir fs.FS, name string) (*safetensors.File, error) {
	if f, ok := dir.(folder); ok {
		return safetensors.Open(f.path(name))
	}
	b, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	file, err := safetensors.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return file, nil
}

// refusePEFT refuses a folder whose weights are not all: with an adapter_config.json beside them
// transformers adds an adapter.
func refusePEFT(dir fs.FS) error {
	const name = "adapter_config.json"
	fields, err := readObject(dir, name, maxConfigFile, ErrCheckpoint)
	if err != nil {
		return err
	}
	return wantNeutral(fields, name, []neutral{{field: "peft_type"}})
}

// bind finds every weight that the config calls for, and the pooling where no file names one.
func (c *Checkpoint) bind() error {
	m, err := newMapper(c.file, c.Config)
	if err != nil {
		return err
	}
	if c.pooler, err = m.hasPooler(); err != nil {
		return err
	}
	for _, want := range expectedWeights(c.Config, c.pooler) {
		t, err := m.find(want)
		if err != nil {
			return err
		}
		c.weights = append(c.weights, weight{want.name, t})
	}
	if c.Pooling == 0 {
		c.Pooling = PoolCLS
		if c.pooler {
			c.Pooling = PoolPooler
		}
	}
	return nil
}

// Names lists the weights in canonical order: embeddings, blocks, pooler. The names are Hugging
// Face's without the bert. prefix, and with LayerNorm's parameters as weight and bias, whatever the
// file calls them.
func (c *Checkpoint) Names() []string {
	names := make([]string, len(c.weights))
	for i, w := range c.weights {
		names[i] = w.name
	}
	return names
}

// Tensor returns a weight by its canonical name. Its Data is a view of the file, invalid after
// Close.
func (c *Checkpoint) Tensor(name string) (safetensors.Tensor, error) {
	i := slices.IndexFunc(c.weights, func(w weight) bool { return w.name == name })
	if i < 0 {
		return safetensors.Tensor{}, checkpointf("no tensor %q", name)
	}
	return c.weights[i].tensor, nil
}

// CheckTokenizer checks that every id of t has a row in the word embeddings.
func (c *Checkpoint) CheckTokenizer(t *Tokenizer) error {
	if t.VocabSize() > c.Config.VocabSize {
		return checkpointf("the tokenizer has ids up to %d, the model a vocab_size of %d", t.VocabSize()-1,
			c.Config.VocabSize)
	}
	if t.sub == nil && c.Config.family().shifted {
		return unsupportedf("config.json: model_type %q with WordPiece, whose pairs have types of tokens",
			c.Config.ModelType)
	}
	return nil
}

// Digest is the SHA-256 of what decides the encoder's output: the config's fields, the pooling, and
// the whole weights file, which it reads.
func (c *Checkpoint) Digest() [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "xpeft checkpoint 1\n%s pooling=%s\n", c.Config.canonical(), c.Pooling)
	h.Write(c.file.Bytes())
	return [32]byte(h.Sum(nil))
}

// CRCs returns the CRC-32C of each weight's bytes, in the order of Names; ErrCheckpoint names the
// first weight that has a NaN or an Inf. It reads all of them.
func (c *Checkpoint) CRCs() ([]uint32, error) {
	crcs := make([]uint32, len(c.weights))
	for i, w := range c.weights {
		var err error
		if crcs[i], err = w.sum(); err != nil {
			return nil, err
		}
	}
	return crcs, nil
}

// Check compares weight i, in the order of Names, with the CRC that it had, and looks for a NaN or
// an Inf.
func (c *Checkpoint) Check(i int, crc uint32) error {
	if i < 0 || i >= len(c.weights) {
		return checkpointf("no tensor %d of %d", i, len(c.weights))
	}
	w := c.weights[i]
	got, err := w.sum()
	if err == nil && got != crc {
		err = checkpointf("tensor %q: CRC-32C %08x, want %08x", w.name, got, crc)
	}
	return err
}

// sum is the CRC-32C of a weight's bytes, all of which are finite. Both are computed piece by
// piece, so that memory is read once.
func (w weight) sum() (crc uint32, err error) {
	const piece = 64 << 10 // of a processor's second cache; a multiple of every element's size
	for at := 0; at < len(w.tensor.Data); at += piece {
		b := w.tensor.Data[at:min(at+piece, len(w.tensor.Data))]
		if i := safetensors.NotFinite(b, w.tensor.DType); i >= 0 {
			size := len(w.tensor.Data) / w.tensor.Len()
			return 0, checkpointf("tensor %q: value %d of %d is not finite", w.name, at/size+i, w.tensor.Len())
		}
		crc = crc32.Update(crc, castagnoli, b)
	}
	return crc, nil
}

// Close unmaps the weights: every view becomes invalid. It may be called twice.
func (c *Checkpoint) Close() error {
	c.weights = nil
	return c.file.Close()
}
