"""The half of TestPythonLoRA that peft does. `make FOLDER` saves random LoRAs of the model that asked.json names, and the vectors of its texts under models that
peft merged one of them into, and numpy the mean of several; `check FOLDER` loads what Go exported and compares with what Go answers."""
import json, sys

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file
from transformers import AutoModel

command, folder = sys.argv[1:3]
with open(f"{folder}/asked.json") as f:
    asked = json.load(f)
torch.manual_seed(3)
torch.set_num_threads(1)  # beside other work more are slower
new = lambda: AutoModel.from_pretrained(asked["model"]).eval()


def vectors(model):
    with torch.no_grad():
        return [model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0).tolist() for ids in asked["texts"]]


def make():
    alphas = []
    model = get_peft_model(new(), LoraConfig(r=8, target_modules=["query", "value"]))
    for i in range(asked["n"]):
        alphas.append(8 + i % 5)
        model.peft_config["default"].lora_alpha = alphas[-1]
        with torch.no_grad():
            for name, p in model.named_parameters():
                if "lora_" in name:
                    p.normal_(0, asked["sigma"])
        model.save_pretrained(f"{folder}/{i:03}")
    parts = [load_file(f"{folder}/{i:03}/adapter_model.safetensors") for i in range(asked["n"])]
    wanted = {}
    for name, mask in asked["masks"].items():
        model = new()
        if all(len(row) == 1 for row in mask["down"]):
            model = PeftModel.from_pretrained(model, f"{folder}/{mask['down'][0][0]:03}").merge_and_unload()
        else:
            for block, (down, up) in enumerate(zip(mask["down"], mask["up"])):
                for target in ("query", "value"):
                    key = f"base_model.model.encoder.layer.{block}.attention.self.{target}.lora_%s.weight"
                    A = np.mean([parts[i][key % "A"] for i in down], axis=0)
                    B = np.mean([parts[i][key % "B"] * (alphas[i] / 8) for i in up], axis=0)
                    with torch.no_grad():
                        getattr(model.encoder.layer[block].attention.self, target).weight += torch.from_numpy(B @ A)
        wanted[name] = vectors(model)
    wanted["bare"] = vectors(new())
    with open(f"{folder}/wanted.json", "w") as f:
        json.dump(wanted, f)


def check():
    with open(f"{folder}/answered.json") as f:
        answered = json.load(f)
    worst = 0
    for name, got in answered.items():
        off = np.abs(np.array(vectors(PeftModel.from_pretrained(new(), f"{folder}/out-{name}").eval())) - np.array(got)).max()
        print(f"exported, loaded by peft, {name}: largest difference {off:.2g}")
        worst = max(worst, off)
    sys.exit(int(worst > 1e-5))


{"make": make, "check": check}[command]()
