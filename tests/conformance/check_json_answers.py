#!/usr/bin/env python3
"""Judges texts that were held to schemas with Python's jsonschema: each must be JSON and satisfy its schema.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install "jsonschema[format-nongpl]==4.26.0"
    build/headless/bin/json_schema_answers MODEL /tmp/answers.jsonl tests/data/grammar/schemas/*.jsonl --answers 2000
    /tmp/venv/bin/python tests/conformance/check_json_answers.py /tmp/answers.jsonl

Also reads what test_grammar leaves in its temporary folder: json_schema_texts_*.jsonl, random texts of all
schemas' grammars. A line has "schema", "text" and, for a model's answers, "finish"; those that ended at
max_tokens are counted, and must be UTF-8 and no complete JSON gone wrong.
"""
import argparse
import collections
import json
import re
import sys

import jsonschema

CUT = {"token limit", "context full"}


def validator(schema):
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


def only_double_trouble(error):
    """multipleOf with a fraction: jsonschema divides doubles, so that 0.07 is no multiple of 0.01."""
    return error.validator == "multipleOf" and isinstance(error.validator_value, float)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    counts = collections.Counter()
    for path in parser.parse_args().files:
        for line in open(path, encoding="utf-8"):
            one = json.loads(line)
            finish = one.get("finish", "end of turn")
            counts["texts"] += 1
            counts["ended: " + finish] += 1
            if finish in CUT:
                continue
            try:
                value = json.loads(one["text"])
                errors = [e for e in validator(one["schema"]).iter_errors(value) if not only_double_trouble(e)]
            except re.error:  # \p and \c are ECMAScript's
                counts["not judged: Python cannot read the pattern"] += 1
                continue
            except (ValueError, RecursionError) as error:
                errors = [error]
            if errors or finish not in ("end of turn",):
                counts["WRONG"] += 1
                print(json.dumps(one["schema"], ensure_ascii=False)[:600], one["text"][:300], finish, str(errors[:1])[:300], sep="\n  ")
            else:
                counts["valid"] += 1
    for name, count in sorted(counts.items()):
        print(f"{name}: {count}")
    sys.exit(1 if counts["WRONG"] else 0)


if __name__ == "__main__":
    main()
