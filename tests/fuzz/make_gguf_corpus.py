#!/usr/bin/env python3
"""Writes the GGUF fuzzer's corpus (tests/fuzz/corpus/gguf) and its dictionary: small files, each with a feature or a
lie of its own. Run it again after changing it; the result is committed."""
import pathlib
import struct

here = pathlib.Path(__file__).parent
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
PACK = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}


def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def value(kind, content):
    if kind == STRING:
        return text(content)
    if kind == ARRAY:
        element, items = content
        return struct.pack("<IQ", element, len(items)) + b"".join(value(element, item) for item in items)
    return struct.pack("<" + PACK[kind], content)


def gguf(entries=(), tensors=(), version=3, alignment=32, tail=b""):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries))
    for key, kind, content in entries:
        head += text(key) + struct.pack("<I", kind) + value(kind, content)
    offset, data = 0, b""
    for name, dims, dtype, size in tensors:
        head += text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
        head += struct.pack("<IQ", dtype, offset)
        data += bytes((7 * i + 1) % 256 for i in range(size))
        data += bytes(-len(data) % alignment)
        offset = len(data)
    return head + bytes(-len(head) % alignment) + data + tail


scalars = [("u8", U8, 1), ("i8", I8, -1), ("u16", U16, 2), ("i16", I16, -2), ("u32", U32, 3), ("i32", I32, -3),
           ("f32", F32, 1.5), ("yes", BOOL, 1), ("text", STRING, "Grüße"), ("u64", U64, 2**64 - 1),
           ("i64", I64, -2**63), ("f64", F64, 0.1)]
arrays = [("words", ARRAY, (STRING, ["a", "", "Ġb"])), ("floats", ARRAY, (F32, [1.0, 2.0])),
          ("ints", ARRAY, (I32, [1, -1])), ("flags", ARRAY, (BOOL, [0, 1]))]
llama = [("general.architecture", STRING, "llama"), ("general.name", STRING, "tiny"),
         ("llama.context_length", U32, 64), ("llama.embedding_length", U32, 32), ("llama.block_count", U32, 1),
         ("llama.feed_forward_length", U32, 32), ("llama.attention.head_count", U32, 2),
         ("llama.attention.head_count_kv", U32, 1), ("llama.rope.dimension_count", U32, 16),
         ("llama.attention.layer_norm_rms_epsilon", F32, 1e-5), ("llama.vocab_size", U32, 8)]
spm = [("tokenizer.ggml.model", STRING, "llama"), ("tokenizer.ggml.tokens", ARRAY, (STRING,
        ["<unk>", "<s>", "</s>", "<0x0A>", "▁a", "a", "b", "▁"])),
       ("tokenizer.ggml.scores", ARRAY, (F32, [0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -4.0])),
       ("tokenizer.ggml.token_type", ARRAY, (I32, [2, 3, 3, 6, 1, 1, 1, 1])),
       ("tokenizer.ggml.bos_token_id", U32, 1), ("tokenizer.ggml.eos_token_id", U32, 2)]
bpe = [("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, "llama-bpe"),
       ("tokenizer.ggml.tokens", ARRAY, (STRING, ["a", "b", "ab", "Ġ", "Ġa", "<|x|>"])),
       ("tokenizer.ggml.merges", ARRAY, (STRING, ["a b", "Ġ a"])),
       ("tokenizer.ggml.token_type", ARRAY, (I32, [1, 1, 1, 1, 1, 3])), ("tokenizer.ggml.eos_token_id", U32, 5)]
wordpiece = [("general.architecture", STRING, "bert"), ("tokenizer.ggml.model", STRING, "bert"),
             ("tokenizer.ggml.tokens", ARRAY, (STRING, ["[UNK]", "[CLS]", "[SEP]", "▁a", "b"])),
             ("tokenizer.ggml.cls_token_id", U32, 1), ("tokenizer.ggml.seperator_token_id", U32, 2)]
# name, dims, type, bytes: one block of every format that is decoded
formats = [("f32", (8,), 0, 32), ("f16", (4,), 1, 8), ("bf16", (4,), 30, 8), ("q4_0", (32,), 2, 18),
           ("q4_1", (32,), 3, 20), ("q5_0", (32,), 6, 22), ("q5_1", (32,), 7, 24), ("q8_0", (32,), 8, 34),
           ("q2_k", (256,), 10, 84), ("q3_k", (256,), 11, 110), ("q4_k", (256,), 12, 144), ("q5_k", (256,), 13, 176),
           ("q6_k", (256,), 14, 210), ("iq4_nl", (32,), 20, 18), ("iq4_xs", (256,), 23, 136), ("mxfp4", (32,), 39, 17)]

files = {
    "scalars": gguf(scalars),
    "arrays": gguf(arrays),
    "version2": gguf(scalars[:3], version=2),
    "aligned64": gguf([("general.alignment", U32, 64)], [("a", (8, 1, 1, 1), 0, 32), ("b", (), 0, 4)], alignment=64),
    "formats": gguf([], formats),
    "llama-spm": gguf(llama + spm, [("token_embd.weight", (32, 8), 2, 144), ("output_norm.weight", (32,), 0, 128)]),
    "bpe": gguf([("general.architecture", STRING, "qwen2")] + bpe),
    "wordpiece": gguf(wordpiece),
    "wrong-scores": gguf(spm[:2] + [("tokenizer.ggml.scores", ARRAY, (U8, [1] * 8))]),
    "split": gguf([("split.no", U16, 0), ("split.count", U16, 2), ("split.tensors.count", I32, 1)]),
    "template": gguf([("tokenizer.chat_template", STRING, "{% for m in messages %}{{ m.content }}{% endfor %}")]),
    "truncated": gguf([], formats)[:-40],
    "giant-array": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", ARRAY, STRING, 2**61),
    "duplicate": gguf([("k", U8, 1), ("k", U8, 2)]),
}
folder = here / "corpus" / "gguf"
folder.mkdir(parents=True, exist_ok=True)
for name, content in files.items():
    (folder / name).write_bytes(content)

words = sorted({key for key, _, _ in llama + spm + bpe + wordpiece} | {"general.alignment", "split.no", "split.count",
               "split.tensors.count", "GGUF", "llama", "qwen3", "gemma3", "phi3", "bert", "gpt2"})
lines = [f'"{word}"' for word in words]
for number in (2**64 - 1, 2**63, 2**62, 2**32, 2**31, 2**16):
    lines.append('"' + "".join(f"\\x{byte:02x}" for byte in struct.pack("<Q", number)) + '"')
(here / "gguf.dict").write_text("# Made by make_gguf_corpus.py.\n" + "\n".join(lines) + "\n")
