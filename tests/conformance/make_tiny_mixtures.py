#!/usr/bin/env python3
"""Makes the tiny random mixtures of experts (and models with compressed attention) of tests/data/model.

As make_tiny_models.py, which says how and with what versions, for families whose tensors a converter takes apart,
stacks or folds: experts lie in one tensor [experts, rows, cols], gpt-oss' interleaved gates and ups become two,
DeepSeek's kv_b becomes attn_k_b (transposed, so that a head's rows have its own elements) and attn_v_b. Names, keys and
layouts are those of llama.cpp's convert_hf_to_gguf.py.

    venv/bin/python tests/conformance/make_tiny_mixtures.py tests/data/model [NAME…]
"""

import json
import math
import pathlib
import sys

import gguf
import numpy as np
import torch
import transformers

from make_tiny_models import COMMON, TOKENS, VOCABULARY, permuted

MXFP4 = 39  # newer than this gguf package
gguf.constants.GGML_QUANT_SIZES[MXFP4] = (32, 17)
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=np.float32)

DEEPSEEK = dict(
    COMMON, num_hidden_layers=3, num_key_value_heads=4, kv_lora_rank=16, qk_nope_head_dim=16, qk_rope_head_dim=8,
    v_head_dim=12, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2, moe_intermediate_size=16,
    first_k_dense_replace=1)


def build(name):
    """The transformers model called `name`."""
    if name == "mixtral":
        return transformers.MixtralForCausalLM(transformers.MixtralConfig(
            **COMMON, num_local_experts=4, num_experts_per_tok=2, sliding_window=None))
    if name == "qwen2moe":
        return transformers.Qwen2MoeForCausalLM(transformers.Qwen2MoeConfig(
            **COMMON, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=24,
            shared_expert_intermediate_size=40, norm_topk_prob=False, decoder_sparse_step=1, qkv_bias=True))
    if name == "qwen3moe":
        return transformers.Qwen3MoeForCausalLM(transformers.Qwen3MoeConfig(
            **COMMON, head_dim=16, num_experts=8, num_experts_per_tok=3, moe_intermediate_size=20,
            norm_topk_prob=True, decoder_sparse_step=1))
    if name == "granitemoe":
        return transformers.GraniteMoeForCausalLM(transformers.GraniteMoeConfig(
            **COMMON, num_local_experts=5, num_experts_per_tok=2, embedding_multiplier=3.0, residual_multiplier=0.6,
            attention_multiplier=0.2, logits_scaling=2.5, tie_word_embeddings=True))
    if name == "granitemoe-shared":
        return transformers.GraniteMoeSharedForCausalLM(transformers.GraniteMoeSharedConfig(
            **COMMON, num_local_experts=5, num_experts_per_tok=2, embedding_multiplier=2.0, residual_multiplier=0.4,
            attention_multiplier=0.3, logits_scaling=1.5, shared_intermediate_size=24))
    if name.startswith("gpt-oss"):
        return transformers.GptOssForCausalLM(transformers.GptOssConfig(
            **{**COMMON, "intermediate_size": 32}, head_dim=16, num_local_experts=4, num_experts_per_tok=2,
            sliding_window=8, rope_theta=1e4,
            rope_scaling=dict(rope_type="yarn", factor=8.0, beta_fast=32.0, beta_slow=1.0, truncate=False,
                              original_max_position_embeddings=16)))
    if name == "deepseek2":
        return transformers.DeepseekV3ForCausalLM(transformers.DeepseekV3Config(
            **DEEPSEEK, q_lora_rank=24, n_group=4, topk_group=2, routed_scaling_factor=1.7, norm_topk_prob=True,
            rope_scaling=dict(type="yarn", rope_type="yarn", factor=8.0, beta_fast=32, beta_slow=1, mscale=1.0,
                              mscale_all_dim=1.0, original_max_position_embeddings=16)))
    if name == "deepseek2-lite":
        return transformers.DeepseekV2ForCausalLM(transformers.DeepseekV2Config(
            **DEEPSEEK, q_lora_rank=None, n_group=4, topk_group=2, topk_method="group_limited_greedy",
            routed_scaling_factor=1.3))
    raise SystemExit(f"unknown family {name}")


NAMES = ["mixtral", "qwen2moe", "qwen3moe", "granitemoe", "granitemoe-shared", "gpt-oss", "gpt-oss-mxfp4",
         "deepseek2", "deepseek2-lite"]


def randomize(model, seed):
    """Wide random weights; biases and sinks that matter; the router's scores far apart."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in [*model.named_parameters(), *model.named_buffers()]:
            noise = torch.randn(weight.shape, generator=generator)
            if "inv_freq" in name:
                continue
            if "norm" in name:
                weight.copy_(1.0 + 0.2 * noise)
            elif name.endswith("sinks"):
                weight.copy_(noise)
            elif name.endswith("e_score_correction_bias"):
                weight.copy_(0.2 * noise)
            elif name.endswith("gate_up_proj_bias"):
                weight.copy_(3.0 * noise)  # beyond the clamps at times
            elif name.endswith("bias"):
                weight.copy_(0.3 * noise)
            elif "embed_tokens" in name or "lm_head" in name:
                weight.copy_(noise)
            else:
                # gpt-oss multiplies from the left: its inputs are the last dimension but one.
                inputs = weight.shape[-2] if "experts" in name and weight.dim() == 3 and not name.endswith(
                    "weight") else weight.shape[-1]
                weight.copy_(noise * 1.3 / math.sqrt(inputs))


def mxfp4(weight):
    """Blocks of 32 as bytes [..., blocks · 17], and what they stand for."""
    blocks = weight.reshape(-1, 32)
    largest = np.abs(blocks).max(axis=1, keepdims=True)
    exponent = np.floor(np.log2(np.maximum(largest, 1e-30))) - 2
    scale = np.exp2(exponent).astype(np.float32)
    codes = np.abs((blocks / scale)[..., None] - FP4).argmin(axis=-1).astype(np.uint8)
    raw = np.concatenate([(exponent + 127).astype(np.uint8), codes[:, :16] | codes[:, 16:] << 4], axis=1)
    return (raw.reshape(*weight.shape[:-1], weight.shape[-1] // 32 * 17),
            (FP4[codes] * scale).reshape(weight.shape).astype(np.float32))


def roundExperts(model):
    """Puts what MXFP4 can hold into gpt-oss' experts."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("experts.gate_up_proj") or name.endswith("experts.down_proj"):
                rounded = mxfp4(weight.transpose(1, 2).contiguous().numpy())[1]
                weight.copy_(torch.from_numpy(rounded).transpose(1, 2))


ATTENTION = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "self_attn.q_a_proj": "attn_q_a", "self_attn.q_a_layernorm": "attn_q_a_norm", "self_attn.q_b_proj": "attn_q_b",
    "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa", "self_attn.kv_a_layernorm": "attn_kv_a_norm",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "mlp.gate": "ffn_gate_inp", "block_sparse_moe.gate": "ffn_gate_inp", "block_sparse_moe.router.layer": "ffn_gate_inp",
    "mlp.router": "ffn_gate_inp",
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp", "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
    "mlp.shared_experts.up_proj": "ffn_up_shexp", "mlp.shared_experts.down_proj": "ffn_down_shexp",
    "shared_mlp.output_linear": "ffn_down_shexp", "block_sparse_moe.output_linear": "ffn_down_exps",
}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
EXPERT = {"w1": "ffn_gate_exps", "gate_proj": "ffn_gate_exps", "w3": "ffn_up_exps", "up_proj": "ffn_up_exps",
          "w2": "ffn_down_exps", "down_proj": "ffn_down_exps"}


def tensors(model):
    """(name, array) of all tensors as a converter would write them."""
    config = model.config
    experts = {}
    parameters = [*model.named_parameters(),
                  *((n, b) for n, b in model.named_buffers() if n.endswith("e_score_correction_bias"))]
    for name, parameter in parameters:
        weight = parameter.detach().numpy().astype(np.float32)
        stem, kind = name.rsplit(".", 1)
        if stem in WHOLE:
            yield f"{WHOLE[stem]}.{kind}", weight
            continue
        _, _, layer, part = stem.split(".", 3)
        block = f"blk.{layer}."
        if ".experts." in part:  # one tensor an expert
            which = EXPERT[part.rsplit(".", 1)[1]]
            experts.setdefault(block + which + ".weight", []).append(weight)
        elif part.endswith(".experts"):  # gpt-oss: [experts, inputs, outputs], gates and ups by turns
            end = ".bias" if kind.endswith("bias") else ".weight"
            turned = weight if end == ".bias" else weight.swapaxes(1, 2)
            if kind.startswith("gate_up"):
                yield block + "ffn_gate_exps" + end, np.ascontiguousarray(turned[:, ::2])
                yield block + "ffn_up_exps" + end, np.ascontiguousarray(turned[:, 1::2])
            else:
                yield block + "ffn_down_exps" + end, np.ascontiguousarray(turned)
        elif part.endswith("input_linear"):  # Granite: rows of gates, then of ups
            end = "_exps" if part.startswith("block_sparse_moe") else "_shexp"
            gate, up = np.split(weight, 2, axis=-2)
            yield f"{block}ffn_gate{end}.weight", np.ascontiguousarray(gate)
            yield f"{block}ffn_up{end}.weight", np.ascontiguousarray(up)
        elif kind == "sinks":
            yield block + "attn_sinks.weight", weight
        elif kind == "e_score_correction_bias":
            yield block + "exp_probs_b.bias", weight
        elif part == "mlp.shared_expert_gate":
            yield block + "ffn_gate_inp_shexp.weight", weight[0]
        elif part == "self_attn.kv_b_proj":
            heads = weight.reshape(config.num_attention_heads, -1, config.kv_lora_rank)
            keys, values = np.split(heads, [config.qk_nope_head_dim], axis=1)
            yield block + "attn_k_b.weight", np.ascontiguousarray(keys.swapaxes(1, 2))
            yield block + "attn_v_b.weight", np.ascontiguousarray(values)
        else:
            if model.config.model_type in ("mixtral", "granitemoe", "granitemoeshared") and part in (
                    "self_attn.q_proj", "self_attn.k_proj"):
                weight = permuted(weight, config.num_attention_heads if "q_proj" in part
                                  else config.num_key_value_heads)
            target = ATTENTION[part]
            if model.config.model_type == "gpt_oss" and target == "ffn_norm":
                target = "post_attention_norm"
            yield f"{block}{target}.{kind}", weight
    for name, matrices in experts.items():
        yield name, np.stack(matrices)


FAMILIES = {"mixtral": "llama", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe", "granitemoeshared": "granitemoe",
            "gpt_oss": "gpt-oss", "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2"}


def write(model, path):
    config = model.config
    family = FAMILIES.get(config.model_type, config.model_type)
    latent = family == "deepseek2"
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    out = gguf.GGUFWriter(path, family)
    out.add_name(path.stem)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(1 if latent else config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(config.rope_theta)
    out.add_vocab_size(config.vocab_size)
    out.add_tokenizer_model("none")
    out.add_expert_used_count(config.num_experts_per_tok)
    if latent:
        out.add_rope_dimension_count(config.qk_rope_head_dim)
        if config.q_lora_rank:
            out.add_q_lora_rank(config.q_lora_rank)
        out.add_kv_lora_rank(config.kv_lora_rank)
        out.add_key_length(config.kv_lora_rank + config.qk_rope_head_dim)
        out.add_value_length(config.kv_lora_rank)
        out.add_key_length_mla(config.qk_nope_head_dim + config.qk_rope_head_dim)
        out.add_value_length_mla(config.v_head_dim)
        out.add_expert_count(config.n_routed_experts)
        out.add_expert_shared_count(config.n_shared_experts)
        out.add_expert_feed_forward_length(config.moe_intermediate_size)
        out.add_leading_dense_block_count(config.first_k_dense_replace)
        out.add_expert_weights_scale(config.routed_scaling_factor)
        out.add_uint32(f"{family}.expert_group_count", config.n_group)
        out.add_uint32(f"{family}.expert_group_used_count", config.topk_group)
        sigmoid = config.model_type == "deepseek_v3"
        out.add_expert_weights_norm(sigmoid)
        out.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID if sigmoid else gguf.ExpertGatingFuncType.SOFTMAX)
    else:
        out.add_rope_dimension_count(head)
        out.add_key_length(head)
        out.add_value_length(head)
        out.add_expert_count(getattr(config, "num_local_experts", None) or config.num_experts)
    if family in ("qwen2moe", "qwen3moe"):
        out.add_expert_feed_forward_length(config.moe_intermediate_size)
    if family == "qwen2moe":
        out.add_expert_shared_feed_forward_length(config.shared_expert_intermediate_size)
    if family == "granitemoe":
        out.add_embedding_scale(config.embedding_multiplier)
        out.add_residual_scale(config.residual_multiplier)
        out.add_attention_scale(config.attention_multiplier)
        out.add_logit_scale(config.logits_scaling)
        if config.model_type == "granitemoeshared":
            out.add_expert_shared_feed_forward_length(config.shared_intermediate_size)
    if family == "gpt-oss":
        out.add_sliding_window(config.sliding_window)
        out.add_expert_feed_forward_length(config.intermediate_size)
    scaling = getattr(config, "rope_scaling", None) or {}
    if scaling.get("rope_type") == "yarn":
        out.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        out.add_rope_scaling_factor(scaling["factor"])
        out.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
        if latent:
            out.add_rope_scaling_yarn_log_mul(0.1 * scaling["mscale_all_dim"])

    for name, weight in tensors(model):
        if path.stem.endswith("mxfp4") and name.endswith("_exps.weight"):
            out.add_tensor(name, mxfp4(weight)[0], raw_dtype=MXFP4)
        else:
            out.add_tensor(name, weight)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    folder = pathlib.Path(sys.argv[1])
    for seed, name in enumerate(NAMES):
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        torch.manual_seed(seed)
        model = build(name).eval().float()
        randomize(model, seed + 1001)
        if name.endswith("mxfp4"):
            roundExperts(model)
        model.tie_weights()
        tokens = torch.randint(3, VOCABULARY, (1, TOKENS), generator=torch.Generator().manual_seed(seed + 1100))
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
