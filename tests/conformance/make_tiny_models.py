#!/usr/bin/env python3
"""Makes the tiny random models of tests/data/model and the logits that transformers computes for them.

Every family (and every variant of rotary embedding) gets two files: NAME.gguf, float32 weights under the names and
with the conventions of GGUF files, and NAME.json with the token ids and transformers' float32 logits. The tests read
only those, so they need neither torch nor this script. To make them anew:

    python3 -m venv venv
    venv/bin/pip install torch==2.5.1 transformers==4.57.1 gguf==0.17.1 "numpy<2.3"
    venv/bin/python tests/conformance/make_tiny_models.py tests/data/model

Sizes are small enough for 300 KB a family; sliding windows and original context lengths are shorter than the text, so
that they matter; weights are wide enough that layers do not cancel to the identity.
"""

import json
import math
import pathlib
import sys

import gguf
import numpy as np
import torch
import transformers

VOCABULARY = 96
TOKENS = 24
COMMON = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
    attn_implementation="eager",
)


def llama(**more):
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**COMMON, **more}))


def build(name):
    """The transformers model called `name`."""
    if name == "llama":
        return llama(tie_word_embeddings=False)
    if name == "llama-tied-bias":
        return llama(tie_word_embeddings=True, attention_bias=True)
    if name == "llama-llama3":
        return llama(rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                       original_max_position_embeddings=16))
    if name == "llama-linear":
        return llama(rope_scaling=dict(rope_type="linear", factor=4.0))
    if name == "llama-yarn":
        return llama(rope_scaling=dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=16))
    if name == "mistral":
        return transformers.MistralForCausalLM(transformers.MistralConfig(**COMMON, head_dim=16, sliding_window=None))
    if name == "qwen2":
        return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**COMMON, tie_word_embeddings=True))
    if name == "qwen3":
        return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**COMMON, head_dim=16, rope_theta=1e6))
    if name == "gemma2":
        return transformers.Gemma2ForCausalLM(transformers.Gemma2Config(
            **COMMON, head_dim=16, query_pre_attn_scalar=16, sliding_window=8, attn_logit_softcapping=5.0,
            final_logit_softcapping=8.0))
    if name.startswith("gemma3"):
        scaling = dict(rope_type="linear", factor=8.0) if name == "gemma3-linear" else None
        return transformers.Gemma3ForCausalLM(transformers.Gemma3TextConfig(
            **{**COMMON, "num_hidden_layers": 6, "intermediate_size": 40}, head_dim=16, query_pre_attn_scalar=16,
            sliding_window=8, rope_theta=1e6, rope_local_base_freq=1e4, rope_scaling=scaling,
            layer_types=["sliding_attention"] * 5 + ["full_attention"]))
    if name == "phi3":
        return transformers.Phi3ForCausalLM(transformers.Phi3Config(**COMMON, sliding_window=None))
    if name == "phi3-window":
        return transformers.Phi3ForCausalLM(transformers.Phi3Config(**COMMON, sliding_window=8))
    if name.startswith("phi3-longrope"):
        original = 16 if name.endswith("long") else 32
        half = COMMON["hidden_size"] // COMMON["num_attention_heads"] // 2
        return transformers.Phi3ForCausalLM(transformers.Phi3Config(
            **COMMON, sliding_window=None, original_max_position_embeddings=original,
            rope_scaling=dict(type="longrope", short_factor=[1.0 + 0.1 * i for i in range(half)],
                              long_factor=[1.5 + 1.0 * i for i in range(half)])))
    raise SystemExit(f"unknown family {name}")


NAMES = ["llama", "llama-tied-bias", "llama-llama3", "llama-linear", "llama-yarn", "mistral", "qwen2", "qwen3",
         "gemma2", "gemma3", "gemma3-linear", "phi3", "phi3-window", "phi3-longrope-short", "phi3-longrope-long"]

TENSORS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.qkv_proj": "attn_qkv",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate_up_proj": "ffn_up",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}
GEMMA_NORMS = {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
               "post_feedforward_layernorm": "post_ffw_norm"}


def randomize(model, seed):
    """Wide random weights; norms around what leaves a value alone."""
    generator = torch.Generator().manual_seed(seed)
    gemma = model.config.model_type.startswith("gemma")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.dim() == 1 and "norm" in name:
                weight.copy_(0.2 * noise + (0.0 if gemma else 1.0))
            elif weight.dim() == 1:
                weight.copy_(0.3 * noise)
            elif "embed_tokens" in name or "lm_head" in name:
                weight.copy_(noise * (0.25 if gemma else 1.0))
            else:
                weight.copy_(noise * 1.3 / math.sqrt(weight.shape[1]))


def permuted(weight, heads):
    """Rows of each head from [first halves, second halves] to pairs: llama files rotate neighbours."""
    rows = weight.shape[0]
    return weight.reshape(heads, 2, rows // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def gguf_name(name):
    name, kind = name.rsplit(".", 1)
    whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    if name in whole:
        return f"{whole[name]}.{kind}", None
    _, _, layer, part = name.split(".", 3)
    return part, f"blk.{layer}.%s.{kind}"


def write(model, path):
    config = model.config
    family = {"mistral": "llama", "gemma3_text": "gemma3"}.get(config.model_type, config.model_type)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    out = gguf.GGUFWriter(path, family)
    out.add_name(path.stem)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(config.rope_theta)
    out.add_vocab_size(config.vocab_size)
    out.add_rope_dimension_count(head)
    out.add_key_length(head)
    out.add_value_length(head)
    out.add_tokenizer_model("none")
    if getattr(config, "sliding_window", None) and family in ("gemma2", "gemma3", "phi3"):
        out.add_sliding_window(config.sliding_window)
    if family == "gemma2":
        out.add_attn_logit_softcapping(config.attn_logit_softcapping)
        out.add_final_logit_softcapping(config.final_logit_softcapping)
    scaling = getattr(config, "rope_scaling", None) or {}
    kind = scaling.get("rope_type", scaling.get("type"))
    original = scaling.get("original_max_position_embeddings")
    if kind in ("linear", "yarn"):
        out.add_rope_scaling_type(gguf.RopeScalingType(kind))
        out.add_rope_scaling_factor(scaling["factor"])
    if kind == "yarn":
        out.add_rope_scaling_orig_ctx_len(original)
    if kind == "llama3":
        frequencies = 1.0 / config.rope_theta ** (np.arange(0, head, 2, dtype=np.float64) / head)
        factors = []
        low, high = original / scaling["low_freq_factor"], original / scaling["high_freq_factor"]
        for frequency in frequencies:
            wave = 2 * math.pi / frequency
            if wave < high:
                factors.append(1.0)
            elif wave > low:
                factors.append(scaling["factor"])
            else:
                smooth = (original / wave - scaling["low_freq_factor"]) / (
                    scaling["high_freq_factor"] - scaling["low_freq_factor"])
                factors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
        out.add_tensor("rope_freqs.weight", np.array(factors, dtype=np.float32))
    if kind == "longrope":
        original = config.original_max_position_embeddings
        out.add_rope_scaling_orig_ctx_len(original)
        ratio = config.max_position_embeddings / original
        out.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(ratio) / math.log(original)))
        out.add_tensor("rope_factors_long.weight", np.array(scaling["long_factor"], dtype=np.float32))
        out.add_tensor("rope_factors_short.weight", np.array(scaling["short_factor"], dtype=np.float32))

    names = {**TENSORS, **(GEMMA_NORMS if family.startswith("gemma") else {})}
    for name, parameter in model.named_parameters():
        part, pattern = gguf_name(name)
        target = part if pattern is None else pattern % names[part]
        weight = parameter.detach().numpy().astype(np.float32)
        if family == "llama" and part in ("self_attn.q_proj", "self_attn.k_proj"):
            weight = permuted(weight, config.num_attention_heads if "q_proj" in part else config.num_key_value_heads)
        if family.startswith("gemma") and "norm" in name:
            weight = weight + 1
        out.add_tensor(target, weight)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(NAMES):
        torch.manual_seed(seed)
        model = build(name).eval().float()
        randomize(model, seed + 1)
        model.tie_weights()
        tokens = torch.randint(3, VOCABULARY, (1, TOKENS), generator=torch.Generator().manual_seed(seed + 100))
        with torch.no_grad():
            logits = model(tokens).logits[0].float().numpy()
        write(model, folder / f"{name}.gguf")
        rounded = [[float(f"{x:.6g}") for x in row] for row in logits]
        text = json.dumps(dict(family=model.config.model_type, tokens=tokens[0].tolist(), logits=rounded),
                          separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n")
        size = sum((folder / f"{name}.{kind}").stat().st_size for kind in ("gguf", "json"))
        top = np.sort(logits, axis=1)
        print(f"{name}: {size / 1000:.0f} kB, logits {logits.min():.2f} … {logits.max():.2f}, "
              f"smallest gap of the top two {(top[:, -1] - top[:, -2]).min():.4f}")


if __name__ == "__main__":
    main()
