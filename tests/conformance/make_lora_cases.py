#!/usr/bin/env python3
"""Makes the LoRA adapters of tests/data/lora and the logits that transformers computes with them merged.

Every case is an adapter as PEFT saves it (adapter_config.json, adapter_model.safetensors) for the tiny model of the
same name in tests/data/convert, and logits.json: token ids, and transformers' float32 logits of the model whose
matrices W are W + alpha / rank · B · A. The tests convert both with Quern and run them. To make them anew:

    python3 -m venv venv
    venv/bin/pip install torch==2.5.1 transformers==4.57.1 safetensors "numpy<2.3"
    venv/bin/python tests/conformance/make_lora_cases.py tests/data/convert tests/data/lora [NAME …]

What PEFT computes for a linear layer: https://github.com/huggingface/peft, src/peft/tuners/lora/layer.py.
"""

import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import save_file

RANK = 3
ALPHA = 6
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
ALL = ATTENTION + ["gate_proj", "up_proj", "down_proj"]
# What people's adapters change; fused matrices, permuted rows, factors in front of outputs, experts left alone.
CASES = {
    "llama": ALL + ["lm_head"],
    "phi3": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
    "qwen2": ALL,
    "qwen3": ALL,
    "gemma2": ALL,
    "gemma3": ALL,
    "granite": ALL,
    "command-r": ALL,
    "starcoder2": ATTENTION + ["c_fc", "c_proj"],
    "mixtral": ATTENTION,
}


def make(name, base, folder, seed):
    generator = torch.Generator().manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        base, torch_dtype=torch.float32, attn_implementation="eager").eval()
    tensors = {}
    for module_name, module in model.named_modules():
        if not isinstance(module, torch.nn.Linear) or module_name.split(".")[-1] not in CASES[name]:
            continue
        rows, columns = module.weight.shape
        a = torch.randn((RANK, columns), generator=generator) * 0.3
        b = torch.randn((rows, RANK), generator=generator) * 0.3
        tensors[f"base_model.model.{module_name}.lora_A.weight"] = a
        tensors[f"base_model.model.{module_name}.lora_B.weight"] = b
        with torch.no_grad():
            module.weight = torch.nn.Parameter(module.weight + ALPHA / RANK * (b @ a))
    tokens = [5, 17, 9, 9, 3, 22, 11, 7, 20, 4, 13, 6]
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0].numpy()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata=dict(format="pt"))
    (folder / "adapter_config.json").write_text(json.dumps(dict(
        peft_type="LORA", r=RANK, lora_alpha=ALPHA, bias="none", target_modules=CASES[name])) + "\n")
    (folder / "logits.json").write_text(json.dumps(dict(
        tokens=tokens, logits=[[float(f"{x:.6g}") for x in row] for row in logits]), separators=(",", ":")) + "\n")
    print(f"{name}: {len(tensors) // 2} matrices")


def main():
    models, target, only = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    for seed, name in enumerate(CASES):
        if not only or name in only:
            make(name, models / name, target / name, seed + 1)


if __name__ == "__main__":
    main()
