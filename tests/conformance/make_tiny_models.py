#!/usr/bin/env python3
"""Makes the tiny random models of tests/data/model and the logits that transformers computes for them (of encoders,
the last hidden states).

Every family (and every variant of rotary embedding) gets two files: NAME.gguf, float32 weights under the names and
with the conventions of GGUF files, and NAME.json with the token ids and transformers' float32 logits. The tests read
only those, so they need neither torch nor this script. To make them anew:

    python3 -m venv venv
    venv/bin/pip install torch==2.5.1 transformers==4.57.1 gguf==0.17.1 "numpy<2.3"
    venv/bin/python tests/conformance/make_tiny_models.py tests/data/model [NAME …]

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
EVERY_HEAD = {key: value for key, value in COMMON.items() if key != "num_key_value_heads"}


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
    if name == "phi3-partial":
        return transformers.Phi3ForCausalLM(transformers.Phi3Config(
            **COMMON, sliding_window=None, partial_rotary_factor=0.75, tie_word_embeddings=True))
    if name == "mistral-window":
        return transformers.MistralForCausalLM(transformers.MistralConfig(**COMMON, sliding_window=8))
    if name == "gemma":
        return transformers.GemmaForCausalLM(transformers.GemmaConfig(
            **COMMON, head_dim=16, hidden_activation="gelu_pytorch_tanh"))
    if name == "olmo2":
        return transformers.Olmo2ForCausalLM(transformers.Olmo2Config(**COMMON))
    if name == "olmo3":
        return transformers.Olmo3ForCausalLM(transformers.Olmo3Config(
            **{**COMMON, "num_hidden_layers": 4}, sliding_window=8,
            rope_scaling=dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=16)))
    if name == "granite":
        return transformers.GraniteForCausalLM(transformers.GraniteConfig(
            **COMMON, embedding_multiplier=2.0, residual_multiplier=0.4, attention_multiplier=0.2, logits_scaling=4.0,
            attention_bias=True, mlp_bias=True))
    if name == "smollm3":
        return transformers.SmolLM3ForCausalLM(transformers.SmolLM3Config(**{**COMMON, "num_hidden_layers": 4}))
    if name == "glm4":
        return transformers.Glm4ForCausalLM(transformers.Glm4Config(
            **COMMON, head_dim=16, partial_rotary_factor=0.5, attention_bias=True))
    if name == "starcoder2":
        return transformers.Starcoder2ForCausalLM(transformers.Starcoder2Config(**COMMON, sliding_window=8))
    if name in ("command-r", "command-r-plus"):
        return transformers.CohereForCausalLM(transformers.CohereConfig(
            **COMMON, use_qk_norm=name.endswith("plus"), logit_scale=0.25))
    if name == "cohere2":
        return transformers.Cohere2ForCausalLM(transformers.Cohere2Config(
            **{**COMMON, "num_hidden_layers": 4}, sliding_window=8, logit_scale=0.25))
    if name == "phi2":
        return transformers.PhiForCausalLM(transformers.PhiConfig(**COMMON, partial_rotary_factor=0.5))
    if name.startswith("gptneox"):
        return transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(
            **EVERY_HEAD, rotary_pct=0.5, use_parallel_residual=name == "gptneox"))
    if name in ("stablelm", "stablelm-parallel"):
        large = name.endswith("parallel")
        # transformers 4.57 fails to initialize norms without biases; randomize() sets every weight anyway.
        with transformers.modeling_utils.no_init_weights():
            return transformers.StableLmForCausalLM(transformers.StableLmConfig(
                **COMMON, partial_rotary_factor=0.5, use_qkv_bias=not large, qk_layernorm=large,
                use_parallel_residual=large))
    if name == "bert":
        return transformers.BertModel(transformers.BertConfig(**EVERY_HEAD), add_pooling_layer=False)
    if name == "xlm-roberta":
        return transformers.XLMRobertaModel(transformers.XLMRobertaConfig(**EVERY_HEAD), add_pooling_layer=False)
    if name == "xlm-roberta-rank":
        return transformers.XLMRobertaForSequenceClassification(transformers.XLMRobertaConfig(**EVERY_HEAD, num_labels=2))
    if name == "nomic-bert":
        return NomicBert(transformers.BertConfig(**EVERY_HEAD, layer_norm_eps=1e-5))
    raise SystemExit(f"unknown family {name}")


class NomicBert(torch.nn.Module):
    """Nomic's BERT after its report (arXiv:2402.01613) and the names of its published weights: post-norm like BERT,
    rotary embeddings of base 10,000 over whole heads, SwiGLU (fc11 · silu(fc12)), no biases but the norms'.
    transformers 4.57 has no model of its own for it."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        config.model_type, config.rope_theta = "nomic_bert", 1e4
        width, hidden = config.hidden_size, config.intermediate_size
        linear = lambda rows, cols: torch.nn.Linear(cols, rows, bias=False)
        norm = lambda: torch.nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.embeddings = torch.nn.ModuleDict(dict(
            word_embeddings=torch.nn.Embedding(config.vocab_size, width),
            token_type_embeddings=torch.nn.Embedding(2, width)))
        self.emb_ln = norm()
        self.encoder = torch.nn.ModuleDict(dict(layers=torch.nn.ModuleList(torch.nn.ModuleDict(dict(
            attn=torch.nn.ModuleDict(dict(Wqkv=linear(3 * width, width), out_proj=linear(width, width))),
            mlp=torch.nn.ModuleDict(dict(fc11=linear(hidden, width), fc12=linear(hidden, width),
                                         fc2=linear(width, hidden))),
            norm1=norm(), norm2=norm())) for _ in range(config.num_hidden_layers))))

    def tie_weights(self):
        pass

    def forward(self, tokens):
        heads = self.config.num_attention_heads
        x = self.emb_ln(self.embeddings["word_embeddings"](tokens) + self.embeddings["token_type_embeddings"].weight[0])
        count, width = x.shape[1:]
        half = width // heads // 2
        angles = torch.outer(torch.arange(count).float(), self.config.rope_theta ** (-torch.arange(half) / half))
        cos, sin = angles.cos(), angles.sin()
        turn = lambda v: torch.cat([v[..., :half] * cos - v[..., half:] * sin,
                                    v[..., half:] * cos + v[..., :half] * sin], -1)
        for layer in self.encoder["layers"]:
            q, k, v = layer["attn"]["Wqkv"](x).view(1, count, 3, heads, 2 * half).permute(2, 0, 3, 1, 4)
            seen = torch.softmax(turn(q) @ turn(k).transpose(-1, -2) / math.sqrt(2 * half), -1) @ v
            x = layer["norm1"](x + layer["attn"]["out_proj"](seen.transpose(1, 2).reshape(1, count, width)))
            mlp = layer["mlp"]
            x = layer["norm2"](x + mlp["fc2"](mlp["fc11"](x) * torch.nn.functional.silu(mlp["fc12"](x))))
        return transformers.modeling_outputs.BaseModelOutput(last_hidden_state=x)


NAMES = ["llama", "llama-tied-bias", "llama-llama3", "llama-linear", "llama-yarn", "mistral", "qwen2", "qwen3",
         "gemma2", "gemma3", "gemma3-linear", "phi3", "phi3-window", "phi3-longrope-short", "phi3-longrope-long",
         "phi3-partial", "mistral-window", "gemma", "olmo2", "olmo3", "granite", "smollm3", "glm4", "starcoder2",
         "command-r", "command-r-plus", "cohere2", "phi2", "gptneox", "gptneox-sequential", "stablelm",
         "stablelm-parallel", "bert", "xlm-roberta", "nomic-bert", "xlm-roberta-rank"]

# The names of GGUF's architectures where they are not transformers'.
FAMILIES = {"mistral": "llama", "gemma3_text": "gemma3", "olmo3": "olmo2", "cohere": "command-r", "phi": "phi2",
            "gpt_neox": "gptneox", "xlm-roberta": "bert", "nomic_bert": "nomic-bert"}
PERMUTED = ("llama", "granite", "smollm3")
ENCODERS = ("bert", "nomic-bert")


def randomize(model, seed):
    """Wide random weights; norms around what leaves a value alone."""
    generator = torch.Generator().manual_seed(seed)
    gemma = model.config.model_type.startswith("gemma")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name.endswith("bias"):
                weight.copy_(0.3 * noise)
            elif "norm" in name.lower() or "_ln" in name:
                weight.copy_(0.2 * noise + (0.0 if gemma else 1.0))
            elif any(part in name for part in ("embed_tokens", "lm_head", "embed_in", "embed_out", "_embeddings")):
                weight.copy_(noise * (0.25 if gemma else 1.0))
            else:
                weight.copy_(noise * 1.3 / math.sqrt(weight.shape[1]))


def permuted(weight, heads):
    """Rows of each head from [first halves, second halves] to pairs: llama files rotate neighbours."""
    rows = weight.shape[0]
    return weight.reshape(heads, 2, rows // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def tensors(model, family):
    """The model's tensors under the names and with the conventions of GGUF files."""
    config = model.config
    heads = config.num_attention_heads
    known = {name: architecture for architecture, name in gguf.MODEL_ARCH_NAMES.items()}
    # What this release of the package does not know yet has Llama's names.
    names = gguf.get_tensor_name_map(known.get(family, gguf.MODEL_ARCH.LLAMA), config.num_hidden_layers)
    per_head = {}
    for name, parameter in model.named_parameters():
        weight = parameter.detach().numpy().astype(np.float32)
        if family in PERMUTED and ("q_proj" in name or "k_proj" in name):
            weight = permuted(weight, heads if "q_proj" in name else config.num_key_value_heads)
        if family.startswith("gemma") and "norm" in name:
            weight = weight + 1
        if "query_key_value" in name:  # GPT-NeoX: [head, (q, k, v), …]; files have all queries first
            weight = weight.reshape(heads, 3, -1, *weight.shape[1:]).swapaxes(0, 1).reshape(weight.shape)
        if family == "bert" and config.model_type == "xlm-roberta" and "position_embeddings" in name:
            weight = weight[config.pad_token_id + 1:]
        if "_layernorm.norms." in name:  # StableLM: a norm a head; files have them in one matrix
            name, head = name.replace(".norms", "").rsplit(".", 2)[0], weight
            per_head.setdefault(name + ".weight", []).append(head)
            if len(per_head[name + ".weight"]) < (heads if ".q_" in name else config.num_key_value_heads):
                continue
            name, weight = name + ".weight", np.stack(per_head[name + ".weight"])
        name = name.removeprefix("roberta.")
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise SystemExit(f"{name} has no name in GGUF files of {family}")
        yield target, weight


def write(model, path):
    config = model.config
    family = FAMILIES.get(config.model_type, config.model_type)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    out = gguf.GGUFWriter(path, family)
    out.add_name(path.stem)
    offset = config.pad_token_id + 1 if config.model_type == "xlm-roberta" else 0
    out.add_context_length(config.max_position_embeddings - offset)
    out.add_embedding_length(config.hidden_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(getattr(config, "num_key_value_heads", config.num_attention_heads))
    if hasattr(config, "rms_norm_eps"):
        out.add_layer_norm_rms_eps(config.rms_norm_eps)
    else:
        out.add_layer_norm_eps(getattr(config, "layer_norm_eps", getattr(config, "norm_epsilon", None)))
    if hasattr(config, "rope_theta"):
        out.add_rope_freq_base(config.rope_theta)
    out.add_vocab_size(config.vocab_size)
    out.add_rope_dimension_count(int(head * getattr(config, "partial_rotary_factor", getattr(config, "rotary_pct", 1))))
    out.add_key_length(head)
    out.add_value_length(head)
    out.add_tokenizer_model("none")
    if getattr(config, "sliding_window", None) and (
            family in ("gemma2", "gemma3", "phi3", "starcoder2", "cohere2") or config.model_type in ("mistral", "olmo3")):
        out.add_sliding_window(config.sliding_window)
    if family == "granite":
        out.add_embedding_scale(config.embedding_multiplier)
        out.add_residual_scale(config.residual_multiplier)
        out.add_attention_scale(config.attention_multiplier)
        out.add_logit_scale(config.logits_scaling)
    if family in ("command-r", "cohere2"):
        out.add_logit_scale(config.logit_scale)
    if family in ("gptneox", "stablelm"):
        out.add_parallel_residual(config.use_parallel_residual)
    if family in ENCODERS:
        out.add_causal_attention(False)
        out.add_pooling_type(gguf.PoolingType.RANK if hasattr(model, "classifier") else gguf.PoolingType.MEAN)
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

    for name, weight in tensors(model, family):
        out.add_tensor(name, weight)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[2:] or NAMES
    for seed, name in enumerate(NAMES):
        if name not in wanted:
            continue
        torch.manual_seed(seed)
        model = build(name).eval().float()
        randomize(model, seed + 1)
        model.tie_weights()
        tokens = torch.randint(3, VOCABULARY, (1, TOKENS), generator=torch.Generator().manual_seed(seed + 100))
        with torch.no_grad():
            result = model(tokens, output_hidden_states=True) if hasattr(model, "classifier") else model(tokens)
        is_encoder = FAMILIES.get(model.config.model_type, model.config.model_type) in ENCODERS
        scores = None
        if hasattr(model, "classifier"):
            scores = result.logits[0].tolist()
            values = result.hidden_states[-1]
        else:
            values = result.last_hidden_state if is_encoder else result.logits
        logits = values[0].float().numpy()
        write(model, folder / f"{name}.gguf")
        rounded = [[float(f"{x:.6g}") for x in row] for row in logits]
        text = json.dumps({"family": model.config.model_type, "tokens": tokens[0].tolist(),
                           "hidden" if is_encoder else "logits": rounded,
                           **({} if scores is None else {"scores": scores})},
                          separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n")
        size = sum((folder / f"{name}.{kind}").stat().st_size for kind in ("gguf", "json"))
        top = np.sort(logits, axis=1)
        print(f"{name}: {size / 1000:.0f} kB, logits {logits.min():.2f} … {logits.max():.2f}, "
              f"smallest gap of the top two {(top[:, -1] - top[:, -2]).min():.4f}")


if __name__ == "__main__":
    main()
