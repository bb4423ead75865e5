//go:build torch && cgo

package torch

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
	"github.com/xpeft/xpeft/model"
)

// loader turns a checkpoint's tensors into weights on the engine's device. On a CPU F32 weights are
// not copied: the checkpoint must stay open. The first error sticks.
type loader struct {
	scope      *libtorch.Scope
	checkpoint *model.Checkpoint
	held       []*libtorch.Held
	pins       runtime.Pinner // of a checkpoint in Go's memory
	err        error
}

// free gives back what was loaded.
func (w *loader) free() {
	for _, h := range w.held {
		h.Free()
	}
	w.held = nil
	w.pins.Unpin()
}

func (w *loader) encoder() *encoder {
	c := w.checkpoint.Config
	e := &encoder{pooling: w.checkpoint.Pooling, heads: int64(c.NumAttentionHeads), embed: embeddings{
		words:     w.tensor("embeddings.word_embeddings.weight"),
		positions: w.tensor("embeddings.position_embeddings.weight"),
		types:     w.tensor("embeddings.token_type_embeddings.weight"),
		norm:      w.norm("embeddings.LayerNorm"),
	}}
	for l := range c.NumHiddenLayers {
		e.blocks = append(e.blocks, w.block(fmt.Sprintf("encoder.layer.%d.", l)))
	}
	if e.pooling == model.PoolPooler {
		e.pooler = w.linear("pooler.dense")
	}
	return e
}

func (w *loader) block(prefix string) block {
	return block{
		attn: attention{
			qkv:   w.qkv(prefix + "attention.self."),
			out:   w.linear(prefix + "attention.output.dense"),
			norm:  w.norm(prefix + "attention.output.LayerNorm"),
			heads: int64(w.checkpoint.Config.NumAttentionHeads),
		},
		ffn: feedForward{
			up:   w.linear(prefix + "intermediate.dense"),
			down: w.linear(prefix + "output.dense"),
			norm: w.norm(prefix + "output.LayerNorm"),
			act:  w.checkpoint.Config.HiddenAct,
		},
	}
}

func (w *loader) linear(name string) linear {
	return linear{w: w.tensor(name + ".weight"), b: w.tensor(name + ".bias")}
}

func (w *loader) norm(name string) layerNorm {
	c := w.checkpoint.Config
	return layerNorm{w: w.tensor(name + ".weight"), b: w.tensor(name + ".bias"), n: int64(c.HiddenSize),
		eps: c.LayerNormEps}
}

// qkv joins query, key and value: the one place where F32 weights are copied on a CPU.
func (w *loader) qkv(prefix string) linear {
	join := func(kind string) libtorch.Tensor {
		parts := make([]libtorch.Tensor, 0, 3)
		for _, name := range []string{"query", "key", "value"} {
			parts = append(parts, w.load(prefix+name+kind))
		}
		if w.err != nil {
			return libtorch.Tensor{}
		}
		return w.keep(w.scope.Cat(parts, 0))
	}
	return linear{w: join(".weight"), b: join(".bias")}
}

func (w *loader) tensor(name string) libtorch.Tensor {
	t := w.load(name)
	if w.err != nil {
		return libtorch.Tensor{}
	}
	return w.keep(t)
}

func (w *loader) keep(t libtorch.Tensor) libtorch.Tensor {
	h := w.scope.Keep(t)
	w.held = append(w.held, h)
	return h.Tensor
}

// load maps one tensor in float32. Bytes that are not aligned are copied first.
func (w *loader) load(name string) libtorch.Tensor {
	if w.err != nil {
		return libtorch.Tensor{}
	}
	t, err := w.checkpoint.Tensor(name)
	if err != nil {
		w.err = err
		return libtorch.Tensor{}
	}
	kind, ok := map[string]libtorch.DType{"F32": libtorch.Float32, "F16": libtorch.Float16,
		"BF16": libtorch.BFloat16}[t.DType]
	if !ok {
		w.err = fmt.Errorf("torch: tensor %s: dtype %s", name, t.DType)
		return libtorch.Tensor{}
	}
	data := t.Data
	if uintptr(unsafe.Pointer(&data[0]))%uintptr(kind.Size()) != 0 {
		data = append([]byte(nil), data...)
		x := w.scope.CopyFloat32(w.scope.Map(data, kind, t.Shape...))
		runtime.KeepAlive(data)
		return x
	}
	w.pins.Pin(&data[0])
	x := w.scope.Map(data, kind, t.Shape...)
	if kind != libtorch.Float32 {
		x = w.scope.ToFloat32(x)
	}
	return x
}
