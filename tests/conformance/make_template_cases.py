#!/usr/bin/env python3
"""Makes tests/data/template/: what Python's jinja2, configured as transformers configures it, says about every
chat template of the test vectors and about a list of small cases.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install jinja2==3.1.6 markupsafe==3.0.2
    /tmp/venv/bin/python tests/conformance/make_template_cases.py

The templates are read from ~/.cache/quern/test (or --vectors DIR), where packaging/test.sh puts them. The
results are committed, so that the tests need no Python.
"""

import argparse
import datetime
import json
import pathlib
import struct
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from template_cases import CASES, CONVERSATIONS, V

JINJA2 = "3.1.6"
NOW = datetime.datetime(2026, 3, 7, 12, 30, 5)


class Generation(jinja2.ext.Extension):
    """{% generation %}: transformers' tracker of what the assistant says, without the tracking."""

    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_say"), [], [], body).set_lineno(lineno)

    def _say(self, caller):
        return caller()


class Raised(jinja2.exceptions.TemplateError):
    """What raise_exception raises, told apart from jinja2's own errors."""


def raise_exception(message):
    raise Raised(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


def render(source, variables):
    """{"output": …}, {"raises": message} or {"error": what Python says}."""
    try:
        output = environment().from_string(source).render(**variables)
        output.encode()
        return {"output": output}
    except Raised as error:
        return {"raises": str(error)}
    except Exception as error:  # any refusal counts
        return {"error": f"{type(error).__name__}: {error}"[:200]}


def gguf_template(path):
    """The metadata string tokenizer.chat_template of a GGUF file, or None."""
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    with open(path, "rb") as file:
        read = lambda fmt: struct.unpack("<" + fmt, file.read(struct.calcsize("<" + fmt)))
        text = lambda: file.read(read("Q")[0])

        def skip(kind):
            if kind == 8:
                return text()
            if kind == 9:
                inner, count = read("IQ")
                if inner != 8:
                    file.seek(sizes[inner] * count, 1)
                else:
                    for _ in range(count):
                        file.seek(read("Q")[0], 1)
                return None
            return file.read(sizes[kind])

        magic, _, _, entries = read("4sIQQ")
        if magic != b"GGUF":
            return None
        for _ in range(entries):
            key = text()
            value = skip(read("I")[0])
            if key == b"tokenizer.chat_template":
                return value.decode()
    return None


def fingerprint(text):
    """FNV-1a, 64 bits, over the UTF-8 bytes: the test computes it without a library."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{path}: {len(lines)} lines, {path.stat().st_size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", default=pathlib.Path.home() / ".cache/quern/test", type=pathlib.Path)
    args = parser.parse_args()
    if jinja2.__version__ != JINJA2:
        sys.exit(f"jinja2 {JINJA2} is needed, this is {jinja2.__version__}")
    out = pathlib.Path(__file__).resolve().parent.parent / "data" / "template"
    out.mkdir(parents=True, exist_ok=True)

    sources = [(f"templates/{path.name}", path.read_text()) for path in sorted(args.vectors.glob("templates/*.jinja"))]
    for path in sorted(args.vectors.glob("*.gguf")) + sorted(args.vectors.glob("vocab/*.gguf")):
        source = gguf_template(path)
        if source:
            sources.append((str(path.relative_to(args.vectors)), source))
    write(out / "conversations.jsonl", [{"name": name, "variables": variables} for name, variables in CONVERSATIONS.items()])
    results = []
    for name, source in sources:
        full = name in {"templates/Qwen-Qwen3-0.6B.jinja", "templates/meta-llama-Llama-3.1-8B-Instruct.jinja",
                        "templates/google-gemma-2-2b-it.jinja", "smollm2-135m-instruct-q4_1.gguf"}
        for conversation, variables in CONVERSATIONS.items():
            result = render(source, variables)
            if "output" in result and not full:
                result = {"bytes": len(result["output"].encode()), "fnv1a": fingerprint(result["output"])}
            results.append({"template": name, "conversation": conversation, **result})
    write(out / "expected.jsonl", results)
    print(sum("error" in r for r in results), "errors,", sum("raises" in r for r in results), "raised")
    small = [{"common": V}]
    for source, variables in CASES:
        result = render(source, variables)
        if " at 0x" in result.get("output", ""):
            sys.exit(f"{source!r} prints an address")
        given = {"common": True} if variables is V else {"variables": variables} if variables else {}
        small.append({"template": source, **given, **result})
    write(out / "cases.jsonl", small)


if __name__ == "__main__":
    main()
