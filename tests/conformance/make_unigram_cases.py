#!/usr/bin/env python3
"""Makes tests/data/tokenizer/xlm-roberta.json: texts and the ids that Hugging Face's tokenizers gives them with the
vocabulary, scores and table of characters of XLM-RoBERTa (in ggml-vocab-nomic-bert-moe.gguf, which
packaging/fetch-test-data.sh fetches), set up as transformers sets up that model's tokenizer.

    python3 -m venv venv
    venv/bin/pip install tokenizers==0.22.1 gguf==0.17.1 "numpy<2.3"
    venv/bin/python tests/conformance/make_unigram_cases.py ~/.cache/quern/test/vocab tests/data/tokenizer/xlm-roberta.json
"""

import json
import pathlib
import sys

import gguf
import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

# Not among them: syllables of three jamo, which SentencePiece composes and tokenizers does not (it looks up no
# beginning of a grapheme that is longer than five bytes).
MORE = [
    "Hello, world!", "  spaces   in\tmany\n\nforms  ", "ﬁne ligatures and ﬀ", "ＦＵＬＬ ｗｉｄｔｈ １２３", "e\u0301 and é",
    "한국어 문장입니다.", "日本語のテキスト、それに句読点。", "ελληνικά και ΚΕΦΑΛΑΙΑ",
    "Привет, как дела?", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก", "a\u200bb\u00adc\ufeffd", "\u0001\u0002control",
    "🙂🤖 \U0001f468\u200d\U0001f469\u200d\U0001f467", "½ ² ℃ №", "𝕬𝖇𝖈 ①②③", "x" * 300, "▁already marked",
    "𐎀𐎁𐎂 unknown letters 𐎃", "https://example.org/a?b=c&d=%20", "if (a[i] != b->c) { return --d; }",
]


def main():
    folder, target = pathlib.Path(sys.argv[1]).expanduser(), pathlib.Path(sys.argv[2])
    fields = gguf.GGUFReader(folder / "ggml-vocab-nomic-bert-moe.gguf").fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    scores = fields["tokenizer.ggml.scores"].contents()
    charsmap = np.array(fields["tokenizer.ggml.precompiled_charsmap"].contents()).astype(np.uint8).tobytes()
    unknown = fields["tokenizer.ggml.unknown_token_id"].contents()
    peer = Tokenizer(models.Unigram(list(zip(tokens, scores)), unk_id=unknown))
    peer.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap),
                                            normalizers.Replace(Regex(" {2,}"), " ")])
    peer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(),
                                                  pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")])
    texts = (folder / "ggml-vocab-bert-bge.gguf.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    cases = [dict(text=text, ids=peer.encode(text, add_special_tokens=False).ids) for text in texts + MORE]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases) + "\n]\n")
    print(len(cases), "texts,", sum(len(case["ids"]) for case in cases), "ids,",
          sum(case["ids"].count(unknown) for case in cases), "unknown")


if __name__ == "__main__":
    main()
