package fuzz

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
)

// bankSeed is a valid bank file.
func bankSeed(f testing.TB, p bank.Properties) []byte {
	var w writerAt
	_, err := bank.Write(context.Background(), &w, p, nil,
		func(side bank.Side, block, adapter int) ([]float32, []float32, error) {
			weights, bias := make([]float32, p.Elems()), make([]float32, p.BiasElems(side))
			for i := range weights {
				weights[i] = float32(adapter-block) + float32(i)/8
			}
			return weights, bias, nil
		})
	if err != nil {
		f.Fatal(err)
	}
	return w.padded()
}

// writerAt is a file in memory.
type writerAt struct{ b []byte }

func (w *writerAt) WriteAt(b []byte, off int64) (int, error) {
	if n := int(off) + len(b); n > len(w.b) {
		w.b = append(w.b, make([]byte, n-len(w.b))...)
	}
	return copy(w.b[off:], b), nil
}

// padded is the file at its full length, which is a multiple of 64.
func (w *writerAt) padded() []byte { return append(w.b, make([]byte, -len(w.b)&63)...) }

// reseal makes the two checksums of a bank's header right, so that mutations get behind them. It
// writes to b.
func reseal(b []byte) {
	le := binary.LittleEndian
	if len(b) < 160 || uint64(le.Uint32(b[12:])) > uint64(len(b)) || le.Uint32(b[12:]) < 160 {
		return
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := uint32(0)
	for _, entry := range [][]byte{b[128:144], b[144:160]} { // the affine, the rows' checksums
		off, n := le.Uint64(entry), le.Uint64(entry[8:])
		if off > uint64(len(b)) || n > uint64(len(b))-off {
			return
		}
		crc = crc32.Update(crc, table, b[off:off+n])
	}
	le.PutUint32(b[24:], crc)
	crc = crc32.Checksum(b[:28], table)
	le.PutUint32(b[28:], crc32.Update(crc, table, b[32:le.Uint32(b[12:])]))
}

// FuzzBankFile: any bytes are an error, or a bank that is written again as the same bytes.
func FuzzBankFile(f *testing.F) {
	for _, p := range []bank.Properties{
		{Origin: bank.Warm, N: 2, Blocks: 1, Hidden: 3, Bottleneck: 1},
		{Origin: bank.Warm, N: 1, Blocks: 2, Hidden: 2, Bottleneck: 2, Bias: true, DType: bank.F16,
			Activation: bank.ReLU},
		{Origin: bank.Warm, N: 2, Blocks: 1, Hidden: 3, Bottleneck: 4, Targets: model.Query | model.Key},
	} {
		b := bankSeed(f, p)
		f.Add(b, false)
		f.Add(b, true)
		f.Add(b[:len(b)-1], false)
		huge := bytes.Clone(b)
		binary.LittleEndian.PutUint32(huge[68:], 65_536)
		f.Add(huge, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		data = bytes.Clone(data)
		if sealed {
			reseal(data)
		}
		file, err := bank.Decode(data)
		if err != nil {
			checkBankError(t, err)
			return
		}
		defer file.Close()
		if err := file.Verify(context.Background()); err != nil {
			checkBankError(t, err)
			return
		}
		var w writerAt
		d, err := bank.Write(context.Background(), &w, file.Properties(), file.Affine(), file.Row)
		if err != nil || d != file.Digest() {
			t.Fatalf("written again: got %v, %v, want %v", d, err, file.Digest())
		}
		if !bytes.Equal(w.padded(), data) {
			t.Fatalf("written again: got %x, want %x", w.padded(), data)
		}
	})
}

// FuzzBankProperties: any bytes are an error, or properties that are valid and encode to the same
// bytes.
func FuzzBankProperties(f *testing.F) {
	for _, p := range []bank.Properties{
		{N: 150, Blocks: 6, Hidden: 384, Bottleneck: 24, NormB: true, Seed: 42, SigmaA: bank.DefaultSigmaA,
			SigmaB: bank.DefaultSigmaB},
		{Origin: bank.Warm, N: 2, Blocks: 1, Hidden: 3, Bottleneck: 1, Bias: true, DType: bank.F16},
		{Origin: bank.Warm, N: 2, Blocks: 1, Hidden: 3, Bottleneck: 4, Targets: model.Query | model.Value},
	} {
		b, err := p.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var p bank.Properties
		if err := p.UnmarshalBinary(data); err != nil {
			checkBankError(t, err)
			if p != (bank.Properties{}) {
				t.Fatalf("got half a value %+v", p)
			}
			return
		}
		again, err := p.MarshalBinary()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%+v encodes to %x, %v, want %x", p, again, err, data)
		}
		if p.Origin == bank.Random && p.Elems() <= 1<<16 {
			if err := p.Generate(bank.Up, p.Blocks-1, p.N-1, make([]float32, p.Elems())); err != nil {
				t.Fatalf("%+v does not generate: %v", p, err)
			}
		}
	})
}

// FuzzAdapterHub: any configuration with any weights are an error, or adapters all of whose rows
// can be read.
func FuzzAdapterHub(f *testing.F) {
	const real = "../bank/testdata/adapterhub/alpha"
	config, err := os.ReadFile(filepath.Join(real, "adapter_config.json"))
	if err != nil {
		f.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join(real, "adapter.safetensors"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(config, weights)
	f.Add(bytes.Replace(config, []byte(`"hidden_size": 32`), []byte(`"hidden_size": 1e3`), 1), weights)
	f.Add([]byte(`{"name":"alpha","model_type":"bert","config":"pfeiffer"}`), weights)
	f.Add(config, bytes.Replace(weights, []byte("layer.1."), []byte("layer.9."), 1))
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		dir := t.TempDir()
		for name, b := range map[string][]byte{"adapter_config.json": config, "adapter.safetensors": weights} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := bank.ImportAdapterHub([]string{dir})
		if err != nil {
			checkBankError(t, err)
			return
		}
		defer m.Close()
		for block := range m.Properties.Blocks {
			for _, side := range []bank.Side{bank.Down, bank.Up} {
				w, b, err := m.Row(side, block, 0)
				if err != nil || len(w) != m.Properties.Elems() || len(b) != m.Properties.BiasElems(side) {
					t.Fatalf("block %d %v: got %d weights, %d biases, %v", block, side, len(w), len(b), err)
				}
			}
		}
	})
}

func checkBankError(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, bank.ErrCorrupt) && !errors.Is(err, bank.ErrUnsupported) {
		t.Fatalf("got %v, want ErrCorrupt or ErrUnsupported", err)
	}
}
