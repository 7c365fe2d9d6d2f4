#!/usr/bin/env python3
"""Makes tests/data/grammar/schemas/suite.jsonl: the schemas and instances of the JSON Schema Test Suite, one
group of cases a line, so that the tests need no checkout of it.

    git clone https://github.com/json-schema-org/JSON-Schema-Test-Suite /tmp/suite   # 44401e0c
    python3 tests/conformance/make_schema_cases.py /tmp/suite

Left out: what needs other documents (refRemote, parts of ref and id), and formats that Quern refuses by name.
"""

import argparse
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = {
    "refRemote.json", "dynamicRef.json", "vocabulary.json", "optional/dynamicRef.json", "optional/cross-draft.json",
    "optional/id.json", "optional/no-schema.json", "optional/refOfUnknownKeyword.json", "optional/unknownKeyword.json",
    "optional/format-assertion.json", "optional/float-overflow.json", "format.json",
    "optional/format/ecmascript-regex.json", "optional/format/regex.json", "optional/format/uri-template.json",
    "optional/format/iri.json", "optional/format/iri-reference.json", "optional/format/idn-email.json",
    "optional/format/idn-hostname.json", "optional/format/unknown.json",
}


def without_dialect(schema):
    if not isinstance(schema, dict):
        return schema
    return {key: value for key, value in schema.items() if key != "$schema"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("suite", type=pathlib.Path)
    folder = arguments.parse_args().suite / "tests" / "draft2020-12"
    lines = []
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).as_posix()
        if name in SKIPPED:
            continue
        for group in json.loads(path.read_text()):
            tests = [{"about": test["description"], "data": test["data"], "valid": test["valid"]} for test in group["tests"]]
            schema = without_dialect(group["schema"])
            line = json.dumps({"file": name, "about": group["description"], "schema": schema, "tests": tests}, ensure_ascii=False)
            try:
                line.encode()
            except UnicodeEncodeError:  # half a surrogate pair is no text
                continue
            lines.append(line + "\n")
    (ROOT / "tests/data/grammar/schemas/suite.jsonl").write_text("".join(lines))
    print(len(lines), "groups")


if __name__ == "__main__":
    main()
