#!/usr/bin/env python3
"""Writes the seeds of block_record_fuzz.cpp: files of records for caches of 8 bytes a block. Run from anywhere."""

import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus" / "block_record"


def record(prompt_tokens=32, first_token=0, magic=b"QUERNKVB", version=1, kv_type=1, tokens=32, size=8):
    head = magic + struct.pack("<II", version, kv_type) + bytes(16)
    keys = struct.pack("<QQ", 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03) + bytes(16)
    lengths = struct.pack("<IIQ", prompt_tokens, tokens, size)
    return head + keys + lengths + struct.pack("<32i", *range(first_token, first_token + 32)) + b"contents" + bytes(16)


# The first byte: 1: checksums are made right, 2: parents and keys as well.
SEEDS = {
    "as_it_is": b"\0" + record(),
    "checksums": b"\1" + record(),
    "one": b"\3" + record(),
    "three": b"\3" + record() + record(5, 7) + record(0, -5),
    "rest": b"\3" + record() + record()[:100],
    "too_many_prompt_tokens": b"\3" + record(33),
    "other_version": b"\3" + record(version=2),
    "other_type": b"\3" + record(kv_type=3),
    "other_sizes": b"\3" + record(tokens=31) + record(size=2**63),
}

FOLDER.mkdir(parents=True, exist_ok=True)
for name, seed in SEEDS.items():
    (FOLDER / name).write_bytes(seed)
