"""Python's side of `make bench-peers`: one encoder, mean pooling and a linear head, run by each rival.

    python peers.py MODEL WORK --threads 2 --length 64 --profiles 64 [--data news.jsonl.gz]

MODEL is a BERT checkpoint in Hugging Face's layout; WORK is a folder that gets the ONNX files, laid
out as hugot reads them. With --data (JSON lines with "text" and "category") the head is trained on
float32 states of TRAIN texts, and each precision answers TEST others with that head.

Standard output has one JSON line, the list of rivals: [{"name", "version", "right", "changed"}],
the last two in per cent of the TEST texts, null if not measured. Then each line of standard input,
{"rival", "batches": [[text, …], …]}, is answered by {"ms": […]}, the time of each batch from
text to answer: tokenising, the encoder, the head, the largest logit. Progress: standard error.
"""

import argparse
import gzip
import json
import logging
import os
import random
import sys
import time
import warnings

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", ORT_DISABLE_TELEMETRY="1")
warnings.filterwarnings("ignore")

import adapters
import onnxruntime
import peft
import torch
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from transformers import AutoModel, AutoTokenizer

TRAIN, TEST, LABELS = 2000, 2000, 15
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("work")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--length", type=int, default=64)
parser.add_argument("--profiles", type=int, default=64)
parser.add_argument("--data", default="")
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(0)
torch.set_grad_enabled(False)
transformers.logging.set_verbosity_error()
logging.disable(logging.WARNING)
tokenizer = AutoTokenizer.from_pretrained(args.model)


def progress(text):
    print("peers.py:", text, file=sys.stderr, flush=True)


class Classifier(torch.nn.Module):
    """The mean of a text's states under a linear head in float32."""

    def __init__(self, encoder, head):
        super().__init__()
        self.encoder, self.head = encoder.eval(), head

    def states(self, input_ids, attention_mask, token_type_ids, **more):
        out = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids, **more
        ).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(out.dtype)
        # A quotient of means, because hugot's Go backend has no ONNX sum over an axis.
        return ((out * mask).mean(1) / mask.mean(1)).float()

    def forward(self, input_ids, attention_mask, token_type_ids, **more):
        return self.head(self.states(input_ids, attention_mask, token_type_ids, **more))


def encoder(attention="sdpa"):
    return AutoModel.from_pretrained(args.model, attn_implementation=attention).eval()


def tokens(texts, kind="pt"):
    return tokenizer(texts, padding=True, truncation=True, max_length=args.length, return_tensors=kind)


def by_torch(model):
    """The answers of a batch of texts."""
    return lambda texts: model(**tokens(texts)).argmax(-1).numpy()


def by_onnx(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda texts: session.run(None, dict(tokens(texts, "np")))[0].argmax(-1)


def int8(model):
    return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8)


def with_adapters(head):
    """Pfeiffer adapters, another one in each row."""
    model = encoder()
    adapters.init(model)
    names = [f"p{i}" for i in range(args.profiles)]
    for name in names:
        model.add_adapter(name, config=adapters.SeqBnConfig(reduction_factor=16))
    model, rows = Classifier(model, head), [0]

    def answer(texts):
        if rows[0] != len(texts):  # in the untimed first batch
            rows[0] = len(texts)
            some = names[: len(texts)]
            split = adapters.composition.BatchSplit(*some, batch_sizes=[1] * len(some))
            model.encoder.set_active_adapters(split if len(some) > 1 else some[0])
        return model(**tokens(texts)).argmax(-1)

    return answer


def with_peft(head):
    """LoRA of rank 8 on query and value, another one in each row."""
    config = peft.LoraConfig(r=8, target_modules=["query", "value"], init_lora_weights=False)
    names = [f"p{i}" for i in range(args.profiles)]
    model = peft.get_peft_model(encoder(), config, adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, config)
    model = Classifier(model, head)
    return lambda texts: model(**tokens(texts), adapter_names=names[: len(texts)]).argmax(-1)


def export(head):
    """Writes the model for hugot, and two that ONNX Runtime's own tools made of it: fused, and int8."""
    model = Classifier(encoder("eager"), head)
    paths = [os.path.join(args.work, name) for name in ("model.onnx", "fused.onnx", "int8.onnx")]
    axes = {name: {0: "rows", 1: "tokens"} for name in INPUTS} | {"logits": {0: "rows"}}
    example = tokens(["a text", "and a longer text"])
    # The older exporter: the optimizer knows its attention, and not that of the newer one.
    torch.onnx.export(
        model, tuple(example[name] for name in INPUTS), paths[0], input_names=INPUTS,
        output_names=["logits"], dynamic_axes=axes, opset_version=17, dynamo=False,
    )
    config = model.encoder.config
    fused = optimizer.optimize_model(
        paths[0], "bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size, opt_level=0
    )
    fused.save_model_to_file(paths[1])
    # 1 is float, which shape inference cannot find behind the fused nodes.
    quantize_dynamic(paths[1], paths[2], weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": 1})
    tokenizer.save_pretrained(args.work)
    with open(os.path.join(args.model, "config.json")) as file:
        config = json.load(file)
    config["max_position_embeddings"] = args.length  # hugot cuts texts there
    config["id2label"] = {str(i): f"label {i}" for i in range(head.out_features)}
    with open(os.path.join(args.work, "config.json"), "w") as file:
        json.dump(config, file)
    return paths[1:]


def read_data():
    with gzip.open(args.data, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    random.Random(1).shuffle(rows)
    rows = rows[: TRAIN + TEST]
    names = sorted({row["category"] for row in rows})
    return [row["text"] for row in rows], torch.tensor([names.index(row["category"]) for row in rows])


def batches(texts):
    return [texts[i : i + args.profiles] for i in range(0, len(texts), args.profiles)]


@torch.enable_grad()
def train_head(states, labels):
    """Multinomial logistic regression with a small penalty."""
    head = torch.nn.Linear(states.shape[1], int(labels.max()) + 1)
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(head(states), labels) + 1e-3 * head.weight.square().sum() / 2
        value.backward()
        return value

    optimiser.step(loss)
    return head.requires_grad_(False)


def measure(rivals, texts, labels):
    """What share of the texts each precision answers right, and otherwise than the first one."""
    first = None
    for rival in rivals:
        progress(f"accuracy of {rival['name']}")
        got = torch.cat([torch.as_tensor(rival["answer"](some)) for some in batches(texts)])
        first = got if first is None else first
        rival["right"] = 100 * (got == labels).float().mean().item()
        rival["changed"] = 100 * (got != first).float().mean().item()


def make_rivals():
    """All rivals; the first five are one function in several precisions."""
    plain, texts = encoder(), None
    head = torch.nn.Linear(plain.config.hidden_size, LABELS)
    if args.data:
        texts, labels = read_data()
        progress(f"a head from {TRAIN} texts")
        states = torch.cat([Classifier(plain, head).states(**tokens(some)) for some in batches(texts[:TRAIN])])
        head = train_head(states, labels[:TRAIN])
    progress("loading and exporting")
    fused, quantised = export(head)
    here = f"transformers {transformers.__version__}, torch {torch.__version__}"
    onnx = f"onnxruntime {onnxruntime.__version__}, exported by torch {torch.__version__}"
    rivals = [
        ("transformers float32", here, by_torch(Classifier(plain, head))),
        ("transformers bfloat16", here, by_torch(Classifier(encoder().to(torch.bfloat16), head))),
        ("transformers int8", here + ", quantize_dynamic", by_torch(Classifier(int8(encoder()), head))),
        ("ONNX Runtime float32", onnx + ", fused by its optimizer", by_onnx(fused)),
        ("ONNX Runtime int8", onnx + ", quantize_dynamic", by_onnx(quantised)),
        ("adapters", f"adapters {adapters.__version__}: another adapter in each row", with_adapters(head)),
        ("peft", f"peft {peft.__version__}: another LoRA in each row", with_peft(head)),
    ]
    rivals = [dict(name=name, version=version, answer=answer, right=None, changed=None)
              for name, version, answer in rivals]
    if texts:
        measure(rivals[:5], texts[TRAIN:], labels[TRAIN:])
    return rivals


@torch.inference_mode()
def times(answer, some):
    ms = []
    for texts in some:
        begin = time.perf_counter()
        answer(texts)
        ms.append(1e3 * (time.perf_counter() - begin))
    return ms


# What libraries print must not reach the answers.
answers, sys.stdout = sys.stdout, sys.stderr
rivals = make_rivals()
print(json.dumps([{k: v for k, v in r.items() if k != "answer"} for r in rivals]), file=answers, flush=True)
by_name = {r["name"]: r["answer"] for r in rivals}
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"ms": times(by_name[request["rival"]], request["batches"])}), file=answers, flush=True)
