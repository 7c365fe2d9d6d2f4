#!/usr/bin/env python3
"""Writes tests/data/kernels/formats.txt: blocks of every weight format and what the `gguf` package decodes from them.

    python3 -m venv venv && venv/bin/pip install gguf==0.19.0 numpy==2.4.6
    venv/bin/python tests/conformance/make_format_cases.py

One case a line: the format's name, the block's bytes and the float32 values, both in hexadecimal, little-endian.
"""
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

# Where half-precision scales lie in a block: random bytes there would mostly be infinite or not a number.
HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108],
          T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0], T.MXFP4: []}
SCALES = [1.0, -0.0078125, 6e-8, 0.1, 65504.0, -3e-5, 2.5e-3]  # with subnormals and the largest half


def line(kind, raw, values):
    return f"{kind.name} {raw.tobytes().hex()} {np.asarray(values, '<f4').tobytes().hex()}\n"


random = np.random.default_rng(20260307)
lines = ["# Made by tests/conformance/make_format_cases.py with gguf 0.19.0.\n"]
for kind, halves in HALVES.items():
    elements, size = GGML_QUANT_SIZES[kind]
    for case in range(2 if elements == 256 else 5):
        raw = random.integers(0, 256, size, dtype=np.uint8)
        for number, offset in enumerate(halves):
            scale = SCALES[(case + 3 * number) % len(SCALES)] * (0.4 if number else 1)
            raw[offset:offset + 2] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
        if kind == T.MXFP4:
            raw[0] = [127, 1, 0, 200, 120][case]  # an exponent; 0 and 1 reach the subnormals
        lines.append(line(kind, raw, dequantize(raw, kind).ravel()))
# Halves and bfloats with nothing left out that is special: zeros, subnormals, the largest, infinities.
for kind, words in ((T.F16, [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x3C00, 0xC500, 0x7BFF, 0x7C00, 0xFC00, 0x3555]),
                    (T.BF16, [0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x3F80, 0xC0A0, 0x7F7F, 0x7F80, 0xFF80, 0x3EAB])):
    raw = np.array(words, "<u2").view(np.uint8)
    lines.append(line(kind, raw, dequantize(raw.view("<f2") if kind == T.F16 else raw, kind).ravel()))
target = pathlib.Path(__file__).parents[1] / "data" / "kernels" / "formats.txt"
target.write_text("".join(lines))
print(target, target.stat().st_size, "bytes")
