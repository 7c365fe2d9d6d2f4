#!/usr/bin/env python3
"""Writes tests/fuzz/corpus/json_schema: the handmade schemas and every ninth of the JSON Schema Test Suite's. The
result is committed."""
import json
import pathlib

here = pathlib.Path(__file__).parent
folder = here / "corpus" / "json_schema"
folder.mkdir(parents=True, exist_ok=True)
data = here.parent / "data" / "grammar" / "schemas"
for name, step in [("handmade", 1), ("suite", 9)]:
    lines = (data / f"{name}.jsonl").read_text().splitlines()
    for number in range(0, len(lines), step):
        schema = json.loads(lines[number])["schema"]
        (folder / f"{name}{number:03}.json").write_text(json.dumps(schema, ensure_ascii=False, separators=(",", ":")))
