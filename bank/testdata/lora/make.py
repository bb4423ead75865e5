"""Makes this folder: LoRAs as peft and the `adapters` library save them, over the encoder in ../adapterhub, and the states of models that they are merged into.

    pip install torch==2.11.0 transformers==4.57.6 peft==0.21.2 adapters==1.3.0 numpy
    python make.py .
"""
import json, os, sys
import numpy as np, torch
from adapters import BertAdapterModel, LoRAConfig
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification

out = sys.argv[1]
torch.manual_seed(11)
with open(f"{out}/../adapterhub/encoder/config.json") as f:
    config = BertConfig(**json.load(f), hidden_dropout_prob=0, attention_probs_dropout_prob=0)
weights = load_file(f"{out}/../adapterhub/encoder/model.safetensors")
kept = load_file(f"{out}/../adapterhub/expected.safetensors")
inputs = {k: kept[k] for k in ("input_ids", "attention_mask", "token_type_ids")}
expected = dict(inputs)


def scramble(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                p.copy_(torch.randn_like(p) * 0.3)


def classifier():
    model = BertForSequenceClassification(config)
    missing = model.load_state_dict(weights, strict=False).missing_keys
    assert missing == ["classifier.weight", "classifier.bias"], missing
    return model.eval()


def states(model):
    with torch.no_grad():
        return model(**inputs).last_hidden_state.contiguous()


def clean(folder):
    """Leaves of peft's folder what is read."""
    os.remove(f"{folder}/README.md")


# peft's, of the same targets: one scaled by α/r, one by α/√r.
for name, more in {"gamma": {"lora_alpha": 7}, "delta": {"lora_alpha": 3, "use_rslora": True}}.items():
    model = get_peft_model(classifier(), LoraConfig(r=4, target_modules=["query", "value"], task_type=TaskType.SEQ_CLS, **more))
    scramble(model)
    model.save_pretrained(f"{out}/{name}")
    clean(f"{out}/{name}")
    expected[f"hidden.{name}"] = states(model.eval().merge_and_unload().bert)

# peft's, of all three targets, in half precision.
model = get_peft_model(classifier().bert, LoraConfig(r=2, lora_alpha=5, target_modules=["query", "key", "self.value"]))
scramble(model)
of_lora = [p for name, p in model.named_parameters() if "lora_" in name]
for p in of_lora:
    p.data = p.data.half()
model.save_pretrained(f"{out}/qkv")
clean(f"{out}/qkv")
for p in of_lora:
    p.data = p.data.float()
expected["hidden.qkv"] = states(model.eval().merge_and_unload())

# The adapters library's.
model = BertAdapterModel(config)
model.load_state_dict(weights, strict=False)
model.add_adapter("omega", config=LoRAConfig(r=4, alpha=6))
scramble(model)
model.save_adapter(f"{out}/omega", "omega", use_safetensors=True)
model.eval().merge_adapter("omega")
expected["hidden.omega"] = states(model.bert)

# The mean of the three that have two targets, A and B apart, as numpy has it: every B with its own scale.
parts = {}
for name in ("gamma", "delta", "omega"):
    with open(f"{out}/{name}/adapter_config.json") as f:
        c = json.load(f)
    c = c.get("config", c)
    scale = c.get("lora_alpha", c.get("alpha")) / (c["r"] ** 0.5 if c.get("use_rslora") else c["r"])
    file = f"{out}/{name}/adapter.safetensors" if name == "omega" else f"{out}/{name}/adapter_model.safetensors"
    parts[name] = {k: v.numpy() * (scale if "lora_B" in k else 1) for k, v in load_file(file).items()}


def mean(names, block, target, part):
    return np.mean([next(v for k, v in parts[n].items() if f"layer.{block}." in k and f".{target}." in k and part in k) for n in names], axis=0)


model = classifier()
with torch.no_grad():
    for block, layer in enumerate(model.bert.encoder.layer):
        for target in ("query", "value"):
            A = mean(("gamma", "omega"), block, target, "lora_A")
            B = mean(("delta", "omega"), block, target, "lora_B")
            getattr(layer.attention.self, target).weight += torch.from_numpy(B @ A)
expected["hidden.mean"] = states(model.bert)
save_file(expected, f"{out}/expected.safetensors")
