"""Makes this folder: two adapters as the `adapters` library saves them, the tiny encoder that they belong to, and what both compute.

    pip install torch==2.4.1 adapters==1.3.0 safetensors
    python make.py .
"""
import json, os, sys
import torch
from adapters import BertAdapterModel, SeqBnConfig
from safetensors.torch import save_file
from transformers import BertConfig

out = sys.argv[1]
torch.manual_seed(7)
config = BertConfig(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
                    max_position_embeddings=32, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
model = BertAdapterModel(config).eval()
for name in ("alpha", "beta"):
    model.add_adapter(name, config=SeqBnConfig(reduction_factor=8))
with torch.no_grad():
    for name, p in model.named_parameters():
        if ".adapters." in name:
            p.copy_(torch.randn_like(p) * 0.5)
for name in ("alpha", "beta"):
    model.save_adapter(f"{out}/{name}", name, use_safetensors=True)

# Each block's adapter alone: up(relu(down(h))), without the residual.
h = torch.linspace(-1, 1, 32)
alone = {name: [layer.output.adapters[name](h[None, None], torch.zeros(1, 1, 32))[2][0, 0].tolist()
                for layer in model.bert.encoder.layer] for name in ("alpha", "beta")}
json.dump({"input": h.tolist(), "output": alone}, open(f"{out}/expected.json", "w"), indent=0)

# The encoder without an adapter and with each.
os.makedirs(f"{out}/encoder", exist_ok=True)
skip = (".adapters.", "prompt_tuning")
save_file({k: v.contiguous() for k, v in model.state_dict().items() if k.startswith("bert.") and not any(s in k for s in skip)},
          f"{out}/encoder/model.safetensors")
keep = ("hidden_act", "hidden_size", "initializer_range", "intermediate_size", "layer_norm_eps", "max_position_embeddings", "model_type",
        "num_attention_heads", "num_hidden_layers", "pad_token_id", "position_embedding_type", "type_vocab_size", "vocab_size")
json.dump({k: config.to_dict()[k] for k in keep}, open(f"{out}/encoder/config.json", "w"), indent=2)
ids = torch.tensor([[2, 5, 9, 11, 3, 0, 0], [2, 30, 31, 17, 8, 21, 3]])
expected = {"input_ids": ids, "attention_mask": (ids != 0).long(), "token_type_ids": torch.tensor([[0] * 7, [0, 0, 0, 1, 1, 1, 1]])}
inputs = dict(expected)
with torch.no_grad():
    for name in (None, "alpha", "beta"):
        model.set_active_adapters(name)
        expected[f"hidden.{name or 'none'}"] = model.bert(**inputs).last_hidden_state.contiguous()
save_file(expected, f"{out}/expected.safetensors")
