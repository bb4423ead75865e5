package fuzz

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/jsonl"
	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// format is one of those that come from outside.
type format struct {
	name  string
	whole []byte
	// read decodes bytes. With a nil error, again is the value's encoding; nil for those formats
	// that nobody here writes.
	read  func(b []byte) (again []byte, err error)
	typed []error // what an error must be; none: any
	// sealed: a checksum covers every byte, so that no flip is a value. text: some cuts are whole
	// files as well.
	sealed, text bool
}

// TestTruncations cuts each format at every length and flips every byte of it in four ways: a typed
// error that says where, or a value that encodes to the same bytes.
func TestTruncations(t *testing.T) {
	cuts, flips := 0, 0
	for _, f := range formats(t) {
		t.Run(f.name, func(t *testing.T) {
			if again, err := f.read(f.whole); err != nil || again != nil && !bytes.Equal(again, f.whole) {
				t.Fatalf("whole: got %x, %v, want %x", again, err, f.whole)
			}
			accepted := 0
			try := func(what string, at int, b []byte, mustFail bool) {
				again, err := f.read(b)
				switch {
				case err != nil && (again != nil || f.typed != nil &&
					!slices.ContainsFunc(f.typed, func(want error) bool { return errors.Is(err, want) })):
					t.Fatalf("%s %d: got %x, %v, want one of %v", what, at, again, err, f.typed)
				case err == nil && mustFail:
					t.Fatalf("%s %d: got a value, want an error", what, at)
				case err == nil && again != nil && !bytes.Equal(again, b):
					t.Fatalf("%s %d: got %x, want %x", what, at, again, b)
				case err == nil:
					accepted++
				}
			}
			for n := range f.whole {
				try("cut at", n, bytes.Clone(f.whole[:n]), !f.text)
				for _, x := range []byte{0x01, 0x20, 0x80, 0xff} {
					b := bytes.Clone(f.whole)
					b[n] ^= x
					try("flip of byte", n, b, f.sealed)
				}
			}
			n := len(f.whole)
			t.Logf("%d cuts and %d flips, %d of them values", n, 4*n, accepted)
			cuts, flips = cuts+n, flips+4*n
		})
	}
	t.Logf("in all %d cuts and %d flips", cuts, flips)
}

func formats(t *testing.T) []format {
	warm := bank.Properties{Origin: bank.Warm, N: 2, Blocks: 1, Hidden: 3, Bottleneck: 1, Bias: true, DType: bank.F16}
	properties := must(warm.MarshalBinary())
	head := &model.Head{Labels: []string{"a", "b"}, Hidden: 2, W: []float32{1, 2, 3, 4}, B: []float32{5, 6},
		Counts: []uint32{7, 300},
		W1:     []float32{1, 0, 0, 1}, B1: []float32{0, 0}}
	record := &store.Profile{ID: "ann", Bank: 1, OwnHead: []byte("head"), Revision: 3, Mask: mask(t, 20, 5, 2),
		Affine: []byte{1}, Prior: []uint32{1, 0, 300}, After: 0.5}
	var tensors bytes.Buffer
	if err := safetensors.Write(&tensors,
		[]safetensors.Tensor{{Name: "a", DType: "F32", Shape: []int64{2}, Data: make([]byte, 8)}}, nil); err != nil {
		t.Fatal(err)
	}
	m := mask(t, 20, 5, 2)
	ofBank, ofModel := []error{bank.ErrCorrupt, bank.ErrUnsupported}, []error{model.ErrCheckpoint, model.ErrUnsupported}
	ofTokenizer := []error{model.ErrTokenizer, model.ErrUnsupported}
	return []format{
		{"record", must(store.EncodeProfile(record)), readRecord, []error{store.ErrCorrupt, store.ErrSchema}, true,
			false},
		{"bundle", sampleBundle(t), bundleReader(t),
			[]error{store.ErrCorrupt, store.ErrSchema, store.ErrMismatch, store.ErrLimit}, true, false},
		{"bank file", bankSeed(t, warm), readBank, ofBank, true, false},
		{"bank properties", properties, func(b []byte) ([]byte, error) { return reencode(b, new(bank.Properties)) },
			ofBank, false, false},
		{"head", must(head.MarshalBinary()), func(b []byte) ([]byte, error) { return reencode(b, new(model.Head)) },
			[]error{model.ErrHead}, false, false},
		{"mask", m.Bytes(), func(b []byte) ([]byte, error) {
			m, err := bitmask.Decode(20, 5, 2, b)
			if err != nil {
				return nil, err
			}
			return m.Bytes(), nil
		}, []error{bitmask.ErrCorrupt}, false, false},
		{"affine", must(warm.EncodeAffine([]float32{0.5, -1}, bank.DefaultAffine(warm))),
			func(b []byte) ([]byte, error) {
				_, err := warm.DecodeAffine(b, bank.DefaultAffine(warm))
				return nil, err
			}, ofBank, false, false},
		{"safetensors", tensors.Bytes(), readTensors, []error{safetensors.ErrCorrupt}, false, false},
		{"config.json", []byte(smallConfig),
			folderReader(t, "config.json", func(dir string) error { _, err := model.ReadConfig(dir); return err }),
			ofModel, false, false},
		{"tokenizer.json", []byte(smallTokenizerJSON), folderReader(t, "tokenizer.json", loads), ofTokenizer, false,
			false},
		{"vocab.txt", []byte(smallVocab), folderReader(t, "vocab.txt", loads), ofTokenizer, false, true},
		{"a line of JSON", []byte(`{"text":"ü","label":"x","value":-1.5}`), readLine, nil, false, false},
	}
}

const smallConfig = `{"model_type":"bert","vocab_size":20,"hidden_size":4,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":6,` +
	`"hidden_act":"gelu","max_position_embeddings":8,"type_vocab_size":2,"layer_norm_eps":1e-12}`

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err) // the samples are constants
	}
	return b
}

// codec is a value that reads and writes itself.
type codec interface {
	UnmarshalBinary([]byte) error
	MarshalBinary() ([]byte, error)
}

func reencode(b []byte, v codec) ([]byte, error) {
	if err := v.UnmarshalBinary(b); err != nil {
		return nil, err
	}
	return v.MarshalBinary()
}

func readRecord(b []byte) ([]byte, error) {
	p, err := store.DecodeProfile(b)
	if err != nil {
		return nil, err
	}
	return store.EncodeProfile(p)
}

func readBank(b []byte) ([]byte, error) {
	f, err := bank.Decode(b)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Verify(context.Background()); err != nil {
		return nil, err
	}
	var w writerAt
	_, err = bank.Write(context.Background(), &w, f.Properties(), f.Affine(), f.Row)
	return w.padded(), err
}

// readTensors gives nothing back: a header can be spelt in many ways.
func readTensors(b []byte) ([]byte, error) {
	f, err := safetensors.Parse(b)
	if err != nil {
		return nil, err
	}
	var w bytes.Buffer
	return nil, safetensors.Write(&w, f.Tensors(), f.Metadata())
}

func readLine(b []byte) ([]byte, error) {
	l, err := jsonl.Decode(b)
	if err != nil {
		return nil, err
	}
	again, err := json.Marshal(l)
	if err == nil {
		_, err = jsonl.Decode(again)
	}
	return nil, err
}

// bundleReader imports into a store, whose profiles it then erases.
func bundleReader(t *testing.T) func(b []byte) ([]byte, error) {
	s := openStore(t)
	return func(b []byte) ([]byte, error) {
		_, err := s.Import(context.Background(), bytes.NewReader(b),
			store.ImportOptions{AllowBank: func(store.BankInfo) error { return nil }})
		if n, countErr := s.Count(); err != nil && (n != 0 || countErr != nil) {
			t.Fatalf("got %d profiles, %v, of a bundle that failed", n, countErr)
		}
		empty(t, s)
		return nil, err
	}
}

// folderReader puts the bytes into a folder as a file.
func folderReader(t *testing.T, name string, load func(dir string) error) func(b []byte) ([]byte, error) {
	dir := t.TempDir()
	write := writer(t, dir)
	return func(b []byte) ([]byte, error) {
		write(t, name, b)
		err := load(dir)
		if err != nil && !strings.Contains(err.Error(), strings.TrimSuffix(name, ".json")) &&
			!errors.Is(err, model.ErrTokenizer) {
			t.Errorf("got %v, want it to name %s", err, name)
		}
		return nil, err
	}
}

func loads(dir string) error {
	tok, err := model.LoadTokenizer(dir)
	if err == nil {
		var e model.Encoding
		tok.Encode(&e, "a aa [CLS]x é", "a", 8)
	}
	return err
}
