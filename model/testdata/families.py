"""Writes families/: one small model of each family with random weights, and the states that transformers computes with it.

    pip install torch==2.11.0 transformers==4.57.6 && python families.py
"""
import json, os
import torch
from transformers import (BertConfig, BertModel, DistilBertConfig, DistilBertForMaskedLM, RobertaConfig, RobertaForMaskedLM, XLMRobertaConfig,
                          XLMRobertaModel)

sizes = dict(vocab_size=40, hidden_size=15, num_hidden_layers=2, num_attention_heads=3, intermediate_size=21, max_position_embeddings=18)
models = {
    "bert": (BertModel, BertConfig(**sizes | dict(num_hidden_layers=12, hidden_size=10, num_attention_heads=2, intermediate_size=13))),
    "distilbert": (DistilBertForMaskedLM, DistilBertConfig(vocab_size=40, dim=15, n_layers=2, n_heads=3, hidden_dim=21, max_position_embeddings=16)),
    "roberta": (RobertaForMaskedLM, RobertaConfig(**sizes, type_vocab_size=1, layer_norm_eps=1e-5)),
    "xlm-roberta": (XLMRobertaModel, XLMRobertaConfig(**sizes, type_vocab_size=1, layer_norm_eps=1e-5)),
}
inputs = [[0, 7, 9, 30, 2], [0, 2], [0, 39, 38, 2, 2, 5, 6, 2], [0, *range(4, 18), 2]]

for name, (kind, config) in models.items():
    torch.manual_seed(22)
    model = kind(config).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(torch.randn(p.shape) * 0.3 + ("norm.weight" in key.lower()))
    os.makedirs("families/" + name, exist_ok=True)
    model.save_pretrained("families/" + name, safe_serialization=True)
    bare, rows = getattr(model, model.base_model_prefix, model), []
    for ids in inputs:
        types = [int(i > ids.index(2)) for i in range(len(ids))] if name == "bert" else [0] * len(ids)
        more = dict(token_type_ids=torch.tensor([types])) if name == "bert" else {}
        with torch.no_grad():
            states = bare(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), output_hidden_states=True, **more).hidden_states
        rows.append(dict(ids=ids, types=types, first=states[-1][0, 0].tolist(), means=[s[0].mean(0).tolist() for s in states]))
    json.dump(rows, open(f"families/{name}/states.json", "w"))
