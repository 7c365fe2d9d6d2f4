#!/usr/bin/env python3
"""Seeds for fuzz_safetensors and fuzz_tokenizer_json: one of every shape that the readers know.

    python3 tests/fuzz/make_convert_corpus.py tests/fuzz/corpus
"""

import json
import pathlib
import struct
import sys


def safetensors(header, data=b""):
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return dict(dtype=dtype, shape=shape, data_offsets=[begin, end])


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def message(*fields):
    out = b""
    for number, value in fields:
        if isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def bpe(pre_tokenizer, **more):
    model = dict(type="BPE", vocab={"a": 0, "b": 1, "ab": 2, "c": 3}, merges=["a b"], **more)
    return dict(model=model, pre_tokenizer=pre_tokenizer, added_tokens=[
        dict(id=4, content="<s>", special=True), dict(id=5, content="▁x", special=False, rstrip=True)])


BYTE_LEVEL = dict(type="ByteLevel", add_prefix_space=False, use_regex=True)
SPLIT = dict(type="Split", pattern=dict(Regex="\\p{N}"), behavior="Isolated", invert=False)
TOKENIZERS = {
    "gpt2": bpe(BYTE_LEVEL),
    "starcoder": bpe(dict(type="Sequence", pretokenizers=[SPLIT, BYTE_LEVEL])),
    "llama": dict(bpe(None, byte_fallback=True, unk_token="c"), normalizer=dict(type="Sequence", normalizers=[
        dict(type="Prepend", prepend="▁"), dict(type="Replace", pattern=dict(String=" "), content="▁")])),
    "metaspace": bpe(dict(type="Metaspace", replacement="▁", prepend_scheme="first"), byte_fallback=True),
    "unigram": dict(model=dict(type="Unigram", unk_id=0, vocab=[["<unk>", 0.0], ["▁a", -1.5]]),
                    normalizer=dict(type="Precompiled", precompiled_charsmap="AAECAw=="),
                    pre_tokenizer=dict(type="Metaspace", replacement="▁", add_prefix_space=True)),
    "bert": dict(model=dict(type="WordPiece", unk_token="[UNK]", continuing_subword_prefix="##",
                            vocab={"[UNK]": 0, "a": 1, "##b": 2}),
                 normalizer=dict(type="BertNormalizer", lowercase=True, strip_accents=None),
                 pre_tokenizer=dict(type="BertPreTokenizer")),
}
PIECES = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("<0x41>", 0.0, 6), ("▁a", -1.5, 1)]


def main():
    folder = pathlib.Path(sys.argv[1])
    files = {
        "empty": safetensors({}),
        "two": safetensors(dict(__metadata__=dict(format="pt"), a=tensor("F32", [2], 0, 8), b=tensor("BF16", [2, 1], 8, 12)),
                           b"\0" * 12),
        "scalar": safetensors(dict(s=tensor("I64", [], 0, 8), none=tensor("U8", [0, 3], 8, 8)), b"\1" * 8),
        "overlap": safetensors(dict(a=tensor("U8", [4], 0, 4), b=tensor("U8", [4], 2, 6)), b"\0" * 6),
        "long-header": struct.pack("<Q", 1 << 40) + b"{}",
    }
    (folder / "safetensors").mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer_json").mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / "safetensors" / name).write_bytes(data)
    for name, tokenizer in TOKENIZERS.items():
        (folder / "tokenizer_json" / name).write_bytes(b"\0" + json.dumps(tokenizer, ensure_ascii=False).encode())
    pieces = b"".join(message((1, message((1, text.encode()), (2, score), (3, kind)))) for text, score, kind in PIECES)
    for name, kind in (("sentencepiece-unigram", 1), ("sentencepiece-bpe", 2)):
        model = pieces + message((2, message((3, kind))), (3, message((2, b"map"), (3, 1), (4, 0))))
        (folder / "tokenizer_json" / name).write_bytes(b"\1" + model)
    (folder / "tokenizer_json" / "vocab-txt").write_bytes(b"\2[UNK]\na\n##b\n")


if __name__ == "__main__":
    main()
