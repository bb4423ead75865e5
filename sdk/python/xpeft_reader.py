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

    def lora(self, block, target, x):  # what a LoRA adds to a block's "query", "key" or "value", x [tokens, d]
        targets = self.about.get("targets", [])
        if target not in targets or block < self.about["first_block"]:
            return 0 * x
        i, l = targets.index(target), block - self.about["first_block"]
        down, up = (np.split(self.tensors["lora." + name][l], len(targets), at) for name, at in (("down", 1), ("up", 0)))
        return x @ down[i] @ up[i]

    def features(self, states):  # what the head sees, states [taps, d]
        return ((states - self.tensors["features.mean"]) * self.tensors["features.factor"][:, None]).ravel()

    def answer(self, states, ids, types):  # the labels' probabilities; [the number] of one that learned numbers
        x, t = self.features(states), self.tensors
        x = np.tanh(t["head.inner"] @ x + t["head.inner_bias"]) if "head.inner" in t else x
        z = t["head.weight"] @ x + t["head.bias"]
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

        self.linears = {t: [m for name, m in self.model.named_modules() if name.endswith((f".{t}", f".{t[0]}_lin"))]
                        for t in ("query", "key", "value")}

    def __call__(self, profile, text, pair=None):  # what Profile.answer takes
        windows = self.windows(profile.about, text, pair)
        states = [self.states(profile, *w) for w in windows]
        ids, types = (sum(parts, []) for parts in zip(*windows))
        return np.average(states, axis=0, weights=[len(w[0]) for w in windows]), ids, types

    def windows(self, about, text, pair):  # ids and types of the text or, if it is too long, of its windows
        whole = self.tokenizer(text, pair, truncation=True, max_length=about["max_tokens"])
        whole = whole["input_ids"], whole.get("token_type_ids") or [0] * len(whole["input_ids"])
        first, rest = (self.tokenizer(x, add_special_tokens=False)["input_ids"] if x else []
                       for x in ((text, pair) if pair else ("", text)))
        specials, most, out = self.tokenizer.num_special_tokens_to_add(bool(pair)), about.get("windows", 1), []
        room = about["max_tokens"] - specials
        keep, rest = min(len(first), room // 2), rest[:room * most]
        if most < 2 or len(first) + len(rest) <= room or len(rest) <= room - keep:
            return [whole]
        begin, room = [self.tokenizer.cls_token_id, *first[:keep]], room - keep
        begin += [self.tokenizer.sep_token_id] * (specials - 2)
        while rest and len(out) < most:
            part = rest[:room]
            out.append((begin + part + [self.tokenizer.sep_token_id], [0] * len(begin) + [max(whole[1])] * (len(part) + 1)))
            rest = rest[room - room // 8:] if len(part) < len(rest) else []
        return out

    def states(self, profile, ids, types):  # of one text or window
        def adapted(block):
            return lambda norm, r, h: norm.forward(r[0] + self.torch.from_numpy(profile.adapter(block, h.numpy())))
        def more(block, target):
            return lambda linear, x, y: y + self.torch.from_numpy(profile.lora(block, target, x[0].numpy()))
        about, blocks = profile.about, range(profile.about["first_block"], len(self.norms))
        hooks = [self.linears[t][block].register_forward_hook(more(block, t)) for block in blocks
                 for t in about.get("targets", [])]
        if "adapter.down" in profile.tensors:
            hooks = [self.norms[block].register_forward_hook(adapted(block)) for block in blocks]
        e = {"input_ids": self.torch.tensor([ids]), "token_type_ids": self.torch.tensor([types])}
        with self.torch.no_grad():
            out = self.model(**{name: e[name] for name in e if name in self.tokenizer.model_input_names},
                             output_hidden_states=True)
        for hook in hooks:
            hook.remove()
        if about["sees"] == "blocks":
            return self.torch.stack([out.hidden_states[t][0].mean(0) for t in about["blocks"]]).numpy()
        return (out.pooler_output if about["sees"] == "pooler" else out.last_hidden_state[:, 0]).numpy()
