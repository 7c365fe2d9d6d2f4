#!/usr/bin/env python3
"""Measures how far llama.cpp differs from itself on one quantized file: the floor of noise under any comparison with it.

The prompts and answers of tests/data/conformance/greedy_*.json are read by llama.cpp in several ways that all promise
the same result: in one batch or token by token, with and without flash attention and repacked weights, with other types
of cache. The first way is what a person gets: defaults, the prompt in one batch, then token by token. Where another way
chooses another token although the first held it better by more than a gap, no third program can agree with both.

Every way is also held against the committed cases themselves (weights decoded to float32), as greedy_slow_test holds
Quern. Needs `pip install llama-cpp-python==0.3.36 numpy`:

    peer_noise.py MODEL.gguf CASES.json [--gap 0.15] [--ways 1:5] [--keep]

--keep writes what the first way chose into the cases, for greedy_slow_test.
"""

import argparse
import ctypes
import json

import llama_cpp
import numpy as np

F32 = 0
FLASH_OFF, FLASH_ON = 0, 1


class Way:
    """One way of reading: what differs from llama.cpp's defaults."""

    def __init__(self, name, *, repack=True, order="answer", **context):
        self.name = name
        self.repack = repack
        self.order = order  # "answer": prompt in a batch, answer by token; "batch": all in one; "token": all by token
        self.context = context


# With flash attention a float32 cache is converted to float16 before it is read, so it only counts without.
WAYS = [
    Way("as people run it"),
    Way("one thread", n_threads=1, n_threads_batch=1),
    Way("one batch", order="batch"),
    Way("one batch, n_ubatch 1", order="batch", n_ubatch=1),
    Way("all token by token", order="token"),
    Way("flash attention on", flash_attn_type=FLASH_ON),
    Way("flash attention off", flash_attn_type=FLASH_OFF),
    Way("flash attention off, one batch", order="batch", flash_attn_type=FLASH_OFF),
    Way("flash attention off, cache F32", flash_attn_type=FLASH_OFF, type_k=F32, type_v=F32),
    Way("flash attention off, cache F32, one batch", order="batch", flash_attn_type=FLASH_OFF, type_k=F32, type_v=F32),
    Way("weights not repacked", repack=False),
    Way("weights not repacked, one batch", repack=False, order="batch"),
    Way("not repacked, one batch, no flash, cache F32", repack=False, order="batch", flash_attn_type=FLASH_OFF,
        type_k=F32, type_v=F32),
]


def load(path, repack):
    params = llama_cpp.llama_model_default_params()
    params.use_extra_bufts = repack
    model = llama_cpp.llama_model_load_from_file(path.encode(), params)
    if not model:
        raise SystemExit(f"{path} does not load")
    return model


def decode(context, batch, tokens, start, wanted_from):
    """Evaluates `tokens` at positions from `start`; returns the logits of those at or after `wanted_from`."""
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(llama_cpp.llama_get_model(context)))
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i] = token
        batch.pos[i] = start + i
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = 0
        batch.logits[i] = start + i >= wanted_from
    if llama_cpp.llama_decode(context, batch) != 0:
        raise SystemExit("llama_decode failed")
    rows = []
    for i in range(len(tokens)):
        if start + i >= wanted_from:
            row = llama_cpp.llama_get_logits_ith(context, i)
            rows.append(np.ctypeslib.as_array(ctypes.cast(row, ctypes.POINTER(ctypes.c_float)), (vocabulary,)).copy())
    return rows


def read(model, way, cases):
    """For every position of every answer: the token that is likeliest there and its lead over the next, in nats."""
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = 512
    params.n_batch = 512
    params.n_threads = params.n_threads_batch = 2
    for key, value in way.context.items():
        setattr(params, key, value)
    context = llama_cpp.llama_init_from_model(model, params)
    if not context:
        raise SystemExit(f"no context for “{way.name}”")
    batch = llama_cpp.llama_batch_init(512, 0, 1)
    choices, gaps = [], []
    for case in cases:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        prompt = len(case["tokens"])
        tokens = case["tokens"] + case["answer"][:-1]
        cuts = {
            "answer": [0, *range(prompt, len(tokens) + 1)],
            "batch": [0, len(tokens)],
            "token": list(range(len(tokens) + 1)),
        }[way.order]
        for begin, end in zip(cuts, cuts[1:]):
            for row in decode(context, batch, tokens[begin:end], begin, prompt - 1):
                second, first = np.argpartition(row, -2)[-2:]
                if row[second] > row[first]:
                    second, first = first, second
                choices.append(int(first))
                gaps.append(float(row[first] - row[second]))
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    return np.array(choices), np.array(gaps)


def differences(choices, reference, gaps, least):
    """How many choices differ, how many of them at a gap over `least`, and the widest such gap; as columns."""
    wide = gaps[choices != reference]
    return f"{len(wide):>10} {(wide > least).sum():>5} {max(wide, default=0):>7.3f}"


def keep(cases, choices, gaps, path):
    at = 0
    for case in cases:
        part = slice(at, at + len(case["answer"]))
        case["quantized"] = dict(choices=choices[part].tolist(), gaps=[round(gap, 3) for gap in gaps[part].tolist()])
        at = part.stop
    with open(path, "w") as out:
        json.dump(cases, out, separators=(",", ":"))
        out.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("cases")
    parser.add_argument("--gap", type=float, default=0.15)
    parser.add_argument("--ways", default=":", help="which of the ways, as a Python slice; the first is always read")
    parser.add_argument("--keep", action="store_true", help="write the first way's choices into CASES.json")
    arguments = parser.parse_args()
    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, None)
    llama_cpp.llama_backend_init()
    with open(arguments.cases) as file:
        cases = json.load(file)
    decoded = np.array([token for case in cases for token in case["answer"]])
    decoded_gaps = np.array([gap for case in cases for gap in case["gaps"]])

    print(f"{len(decoded)} choices; of those that differ: all, with a gap over {arguments.gap}, the widest gap")
    print(f"{'':46}{'from the first way':>24}{'from float32 weights':>24}  mean change of the gaps")
    models = {True: load(arguments.model, True)}
    reference, gaps = read(models[True], WAYS[0], cases)
    if arguments.keep:
        keep(cases, reference, gaps, arguments.cases)
    begin, end = (int(part) if part else None for part in arguments.ways.split(":"))
    for way in WAYS[begin:end]:
        if way.repack not in models:
            models[way.repack] = load(arguments.model, way.repack)
        choices, now = read(models[way.repack], way, cases)
        same = choices == reference
        print(f"{way.name:46}{differences(choices, reference, gaps, arguments.gap)}"
              f"{differences(choices, decoded, decoded_gaps, arguments.gap)}"
              f"{np.abs(now - gaps)[same].mean():>12.5f}", flush=True)


if __name__ == "__main__":
    main()
