//go:build cgo

package model

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/xpeft/xpeft/internal/torch"
)

// loader turns a checkpoint's tensors into weights on the engine's device. The first error sticks.
type loader struct {
	scope      *torch.Scope
	checkpoint *Checkpoint
	held       []*torch.Held
	err        error
}

// free gives back what was loaded, after a failure.
func (w *loader) free() {
	for _, h := range w.held {
		h.Free()
	}
}

func (w *loader) embeddings() embeddings {
	return embeddings{
		words:     w.tensor("embeddings.word_embeddings.weight"),
		positions: w.tensor("embeddings.position_embeddings.weight"),
		types:     w.tensor("embeddings.token_type_embeddings.weight"),
		norm:      w.norm("embeddings.LayerNorm"),
	}
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
	return layerNorm{w: w.tensor(name + ".weight"), b: w.tensor(name + ".bias"), n: int64(c.HiddenSize), eps: c.LayerNormEps}
}

// qkv joins query, key and value: the one place where F32 weights are copied.
func (w *loader) qkv(prefix string) linear {
	join := func(kind string) torch.Tensor {
		t := w.scope.Block(func() torch.Tensor {
			parts := make([]torch.Tensor, 0, 3)
			for _, name := range []string{"query", "key", "value"} {
				parts = append(parts, w.load(prefix+name+kind))
			}
			if w.err != nil {
				return torch.Tensor{}
			}
			return w.scope.Cat(parts, 0)
		})
		if w.err != nil {
			return torch.Tensor{}
		}
		return w.keep(t)
	}
	return linear{w: join(".weight"), b: join(".bias")}
}

func (w *loader) tensor(name string) torch.Tensor {
	t := w.load(name)
	if w.err != nil {
		return torch.Tensor{}
	}
	return w.keep(t)
}

func (w *loader) keep(t torch.Tensor) torch.Tensor {
	h := w.scope.Keep(t)
	w.held = append(w.held, h)
	return h.Tensor
}

// load maps one tensor in float32. Bytes that are not aligned are copied first.
func (w *loader) load(name string) torch.Tensor {
	if w.err != nil {
		return torch.Tensor{}
	}
	t, err := w.checkpoint.Tensor(name)
	if err != nil {
		w.err = err
		return torch.Tensor{}
	}
	kind, ok := map[string]torch.DType{"F32": torch.Float32, "F16": torch.Float16, "BF16": torch.BFloat16}[t.DType]
	if !ok {
		w.err = fmt.Errorf("model: tensor %s: dtype %s", name, t.DType)
		return torch.Tensor{}
	}
	data := t.Data
	if uintptr(unsafe.Pointer(&data[0]))%uintptr(kind.Size()) != 0 {
		data = append([]byte(nil), data...)
		x := w.scope.CopyFloat32(w.scope.Map(data, kind, t.Shape...))
		runtime.KeepAlive(data)
		return x
	}
	x := w.scope.Map(data, kind, t.Shape...)
	if kind != torch.Float32 {
		x = w.scope.ToFloat32(x)
	}
	return x
}
