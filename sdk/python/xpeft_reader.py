"""Answers as a profile of xpeft does, from a file of `xpeft export --format safetensors`.

    encoder = xpeft_reader.Encoder("all-MiniLM-L6-v2")  # the model that the profile was made with
    profile = xpeft_reader.Profile("alice.safetensors")
    print(profile.labels, profile.answer(*encoder(profile, "the server is down")))

Profile needs numpy, Encoder needs torch and transformers. Nothing is unpickled.
"""
import hashlib, json, struct
import numpy as np


class Profile:
    def __init__(self, path):
        with open(path, "rb") as f:
            header, data = json.loads(f.read(struct.unpack("<Q", f.read(8))[0])), f.read()
        self.about, kinds = json.loads(header.pop("__metadata__")["xpeft"]), {"F32": "<f4", "U64": "<u8"}
        if self.about["version"] > 2:
            raise ValueError("a newer version: take its xpeft_reader.py")
        self.labels, self.tensors = self.about["labels"], {
            name: np.ndarray(t["shape"], kinds[t["dtype"]], data, t["data_offsets"][0]) for name, t in header.items()}

    def adapter(self, block, h):  # what the masks add in a block, h [tokens, d]
        t = {name: x[block - self.about["first_block"]] for name, x in self.tensors.items() if "adapter." in name}
        z = h @ t["adapter.down"] + t["adapter.down_bias"]
        if "adapter.norm" in t:
            z = (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + 1e-5)
            z = z * t["adapter.norm"][0] + t["adapter.norm"][1]
        z = np.maximum(z, 0) if self.about["activation"] == "relu" else z
        return z @ t["adapter.up"] + t["adapter.up_bias"]

    def features(self, states):  # what the head sees, states [taps, d]
        return ((states - self.tensors["features.mean"]) * self.tensors["features.factor"][:, None]).ravel()

    def answer(self, states, ids, types):  # the labels' probabilities; [the number] of one that learned numbers
        z = self.tensors["head.weight"] @ self.features(states) + self.tensors["head.bias"]
        key = hashlib.sha256(b"".join(struct.pack("<IB", *token) for token in zip(ids, types))).digest()[:8]
        known = self.tensors["texts.keys"] == struct.unpack("<Q", key)[0]
        z = (z + self.tensors["texts.logits"][known].sum(0)) / self.about["temperature"]
        if self.about.get("multi"):  # labels are not exclusive
            return 1 / (1 + np.exp(-z))
        return np.exp(z - z.max()) / np.exp(z - z.max()).sum() if self.labels else z


class Encoder:
    def __init__(self, folder):
        import torch, transformers
        self.torch, self.tokenizer = torch, transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModel.from_pretrained(folder).eval()
        self.norms = [m for name, m in self.model.named_modules()  # the last of each block
                      if name.endswith(("output.LayerNorm", "output_layer_norm")) and "attention" not in name]

    def __call__(self, profile, text, pair=None):  # what Profile.answer takes
        def adapted(block):
            return lambda norm, r, h: norm.forward(r[0] + self.torch.from_numpy(profile.adapter(block, h.numpy())))
        about, blocks = profile.about, range(profile.about["first_block"], len(self.norms))
        e = self.tokenizer(text, pair, truncation=True, max_length=about["max_tokens"], return_tensors="pt")
        hooks = [self.norms[block].register_forward_hook(adapted(block)) for block in blocks]
        with self.torch.no_grad():
            out = self.model(**e, output_hidden_states=True)
        for hook in hooks:
            hook.remove()
        if about["sees"] == "blocks":
            states = self.torch.stack([out.hidden_states[t][0].mean(0) for t in about["blocks"]])
        else:
            states = out.pooler_output if about["sees"] == "pooler" else out.last_hidden_state[:, 0]
        ids = e["input_ids"][0].tolist()
        return states.numpy(), ids, e["token_type_ids"][0].tolist() if "token_type_ids" in e else [0] * len(ids)
