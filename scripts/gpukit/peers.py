"""The same work by transformers and peft, on one device:

    python peers.py MODEL TEXTS.jsonl DEVICE

Prints a JSON line a figure, as research/gpu does. float32, tokenising included, texts of at most 64 tokens.
"""
import json
import os
import sys
import time

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model, path, device = sys.argv[1:4]
transformers.logging.set_verbosity_error()
texts = [json.loads(line)["text"] for line in open(path)]
tokenizer = AutoTokenizer.from_pretrained(model)


def say(what, unit, value, details):
    line = dict(what=what, device=f"{details} on {device}", value=value, unit=unit, cores=os.cpu_count())
    print(json.dumps(line), flush=True)


def encode(some):
    batch = tokenizer(some, padding=True, truncation=True, max_length=64, return_tensors="pt")
    return {k: v.to(device) for k, v in batch.items()}


def clock():
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def fresh():
    return AutoModelForSequenceClassification.from_pretrained(model, num_labels=3).to(device)


def predict():
    bare, rounds, warm = fresh().eval(), *((16, 2) if device == "cuda" else (2, 1))
    with torch.no_grad():
        for rows in (64, 1024):
            took = []
            for i in range(rounds + warm):
                start = clock()
                bare(**encode([texts[(i * rows + k) % len(texts)] for k in range(rows)])).logits.argmax(-1).cpu()
                took.append(clock() - start)
            took = sorted(took[warm:])
            say(f"bare encoder, {rows} rows", "texts/s", rows / took[len(took) // 2], f"transformers {transformers.__version__}")


def learn():
    import peft

    for _ in range(3 if device == "cuda" else 1):
        net = peft.get_peft_model(fresh(), peft.LoraConfig(task_type="SEQ_CLS", r=8, target_modules=["query", "value"]))
        net.train()
        optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-3)
        start = clock()
        for _ in range(10):
            for at in range(0, 60, 16):
                some = texts[at:min(at + 16, 60)]
                labels = torch.arange(len(some), device=device) % 3
                loss = torch.nn.functional.cross_entropy(net(**encode(some)).logits, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        took = clock() - start
    say("60 texts × 10 epochs, LoRA r=8", "s", took, f"peft {peft.__version__}")


learn()
predict()
