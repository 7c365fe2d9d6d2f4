#!/usr/bin/env python3
"""Makes tests/data/conformance/greedy_*.json: what llama.cpp answers greedily, and how sure it was of each token.

12 prompts, 48 tokens each; beside every token stands the gap in nats between the two likeliest tokens, so that a test
can ask for equality wherever the choice was not a near tie.

The model's weights are decoded to float32 first, and the cache is float32 too: llama.cpp and Quern both round activations
to eight bits when they multiply quantized weights, each in its own way, and that alone changes choices with gaps of up to
0.3 nats (llama.cpp on the quantized file differs from llama.cpp on the decoded one in 16 of SmolLM2's 576 choices).
Without the rounding there is one right answer (README.md here has the figures; run peer_noise.py --keep afterwards, which
adds what llama.cpp chooses on the quantized file). Needs `pip install llama-cpp-python==0.3.36 gguf==0.17.1 numpy`:

    make_greedy_cases.py MODEL.gguf OUT.json
"""

import json
import os
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np

PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea,",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n",
    "Water boils at 100 degrees Celsius because",
    "Q: What is the largest planet in the solar system?\nA:",
    "Dear Sir or Madam,\n\nI am writing to",
    "1, 2, 3, 5, 8, 13,",
    "Die Hauptstadt von Deutschland ist",
    "The three laws of thermodynamics are:\n1.",
    "SELECT name, COUNT(*) FROM",
    "In 1969, astronauts landed on the Moon for the first time.",
    "<html>\n<head>\n<title>",
]
LENGTH = 48


def decode_to_float(source, target):
    """The same model with every weight as float32."""
    reader = gguf.GGUFReader(source)
    out = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        kind = field.types[0]
        out.add_key_value(key, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        out.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        decoded = os.path.join(folder, "decoded.gguf")
        decode_to_float(sys.argv[1], decoded)
        float32 = 0
        model = llama_cpp.Llama(decoded, n_ctx=512, n_threads=2, verbose=False, seed=1, type_k=float32, type_v=float32)
        make(model)


def make(model):
    cases = []
    for prompt in PROMPTS:
        tokens = model.tokenize(prompt.encode(), add_bos=True, special=True)
        model.reset()
        model.eval(tokens)
        answer, gaps = [], []
        for _ in range(LENGTH):
            logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(model.ctx, -1), (model.n_vocab(),))
            best = np.argsort(logits)[-2:]
            answer.append(int(best[1]))
            gaps.append(round(float(logits[best[1]] - logits[best[0]]), 3))
            model.eval(answer[-1:])
        cases.append(dict(prompt=prompt, tokens=tokens, answer=answer, gaps=gaps))
        print(repr(model.detokenize(answer).decode(errors="replace"))[:100], file=sys.stderr)
    with open(sys.argv[2], "w") as out:
        json.dump(cases, out, separators=(",", ":"))
        out.write("\n")


if __name__ == "__main__":
    main()
