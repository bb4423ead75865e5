"""Asks the profiles of a folder, by xpeft_reader, what they were asked in Go, and compares.

    python check.py FOLDER            # the encoder below, numpy alone
    python check.py FOLDER --torch    # transformers
"""
import json, math, os, struct, sys
from importlib.util import find_spec
import numpy as np

folder, torch = sys.argv[1], "--torch" in sys.argv
library = find_spec("adapters")  # once: after an import of it there is none
sys.path.insert(0, folder)
import xpeft_reader

class Encoder:
    """A BERT with gelu, of one text at a time."""
    def __init__(self, folder):
        with open(os.path.join(folder, "config.json")) as f:
            self.config = json.load(f)
        with open(os.path.join(folder, "model.safetensors"), "rb") as f:
            header, data = json.loads(f.read(struct.unpack("<Q", f.read(8))[0])), f.read()
        self.weights = {name: np.ndarray(t["shape"], "<f4", data, t["data_offsets"][0]) for name, t in header.items()
                        if t.get("dtype") == "F32"}

    def linear(self, name, x):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, name, x):
        z = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + self.config.get("layer_norm_eps", 1e-12))
        return z * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def attention(self, profile, l, block, x):
        heads = self.config["num_attention_heads"]
        q, k, v = ((self.linear(f"{block}.attention.self.{part}", x) + profile.lora(l, part, x))
                   .reshape(len(x), heads, -1).transpose(1, 0, 2) for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        return self.linear(block + ".attention.output.dense", mixed.transpose(1, 0, 2).reshape(x.shape))

    def __call__(self, profile, ids, types):
        table = lambda name: self.weights[f"embeddings.{name}_embeddings.weight"]
        x = self.norm("embeddings.LayerNorm", table("word")[ids] + table("position")[:len(ids)] + table("token_type")[types])
        states = [x]
        for l in range(self.config["num_hidden_layers"]):
            block = f"encoder.layer.{l}"
            a = self.norm(block + ".attention.output.LayerNorm", x + self.attention(profile, l, block, x))
            inner = self.linear(block + ".intermediate.dense", a)
            inner = inner * (1 + np.vectorize(math.erf)(inner / math.sqrt(2))) / 2
            r = a + self.linear(block + ".output.dense", inner)
            x = self.norm(block + ".output.LayerNorm", r)
            if l >= profile.about["first_block"] and "adapter.down" in profile.tensors:
                x = self.norm(block + ".output.LayerNorm", r + profile.adapter(l, x))
            states.append(x)
        return np.stack([states[t].mean(0) for t in profile.about["blocks"]])

def adapted(model, row, profile):
    """How far the adapters library is from what an adapter gives in Go: states, and answers of these."""
    import adapters, transformers
    bert, largest = transformers.AutoModel.from_pretrained(model).eval(), 0
    adapters.init(bert)
    bert.load_adapter(os.path.join(folder, row["hub"]), load_as="profile", set_active=True,
                      use_safetensors=True)
    import torch
    for text in row["texts"]:
        with torch.no_grad():
            out = bert(torch.tensor([text["ids"]]), token_type_ids=torch.tensor([text["types"]]))
        state = out.last_hidden_state[0].mean(0).numpy()
        largest = max(largest, np.abs(state - np.array(text["state"])).max())
        if profile.about["blocks"] == [bert.config.num_hidden_layers]:
            got = profile.answer(state[None], text["ids"], text["types"])
            largest = max(largest, np.abs(got - np.array(text["want"])).max() / max(1, np.abs(text["want"]).max()))
    return largest

def main():
    with open(os.path.join(folder, "asked.json")) as f:
        asked = json.load(f)
    encoder, worst = (xpeft_reader.Encoder if torch else Encoder)(asked["model"]), 0
    bare = {}  # what the encoder gives without an adapter, which many profiles share
    for row in asked["profiles"]:
        profile, largest = xpeft_reader.Profile(os.path.join(folder, row["file"])), 0
        for text in row["texts"]:
            ids, types = text["ids"], text["types"]
            if torch:
                key = text["text"], text["pair"], *(str(profile.about.get(k)) for k in ("blocks", "max_tokens", "windows"))
                own = "adapter.down" in profile.tensors or "targets" in profile.about
                if own or key not in bare:
                    bare[key] = encoder(profile, text["text"], text["pair"] or None)
                states, *tokens = bare.pop(key) if own else bare[key]
                assert tokens == [ids, types], f"tokens {tokens}, want {ids} {types}"
            else:
                ends = np.cumsum(text["windows"] or [len(ids)])
                windows = [slice(end - n, end) for end, n in zip(ends, text["windows"] or [len(ids)])]
                states = np.average([encoder(profile, ids[w], types[w]) for w in windows], axis=0,
                                    weights=text["windows"] or [1])
            want = np.array(text["want"])
            got = profile.answer(states, ids, types)
            assert got.shape == want.shape, f"{got.shape} answers, want {want.shape}"
            off = np.abs(got - want).max() / (1 if profile.labels else max(1, abs(want[0])))
            largest = max(largest, off if off == off else np.inf)
        worst = max(worst, largest)
        print(f"{largest:.1e}  {row['kind']}, {len(row['texts'])} texts", flush=True)
        if row["hub"] and library:
            largest = adapted(asked["model"], row, profile)
            worst = max(worst, largest)
            print(f"{largest:.1e}  its states by the adapters library")
    print(f"{worst:.1e}  the largest of {len(asked['profiles'])} profiles, want at most 1e-4")
    return int(worst > 1e-4)

sys.exit(main())
