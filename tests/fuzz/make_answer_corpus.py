#!/usr/bin/env python3
"""Writes the corpus of the answer fuzzer (tests/fuzz/corpus/answer), two seeds a family out of tests/data/answer, and
its dictionary out of the table of forms. The first byte of a seed is the form's number. The result is committed."""
import json
import pathlib
import re

here = pathlib.Path(__file__).parent
root = here.parent.parent
table = (root / "engine/answer/tool_form.cpp").read_text()
forms = re.findall(r'\.family = "([^"]+)"', table[:table.index("kReasoningForms[]")])
folder = here / "corpus/answer"
folder.mkdir(parents=True, exist_ok=True)
for path in sorted((root / "tests/data/answer").glob("*.json")):
    data = json.loads(path.read_text())
    if isinstance(data, list):
        continue
    for case in data["cases"][:2]:
        text = case["text"].replace("get_weather", "f").replace("city", "s").replace("now", "g")
        flags = 1 | (2 if "think" in case.get("prompt", "") else 0) | (4 if case.get("prompt", "").endswith(">>>") else 0)
        name = f"{path.stem}-{case['name']}".replace(" ", "_").replace("'", "").replace(",", "")
        (folder / name).write_bytes(bytes([forms.index(data["family"]), flags, 100]) + text.encode())
strings = sorted({s.replace('\\n', "\n").replace('\\"', '"') for s in re.findall(r'"((?:[^"\\\n]|\\.)+)"', table)
                  if re.search(r"[<>\[\]`|{]", s) and not s.startswith(", ")})
escaped = ["".join(chr(b) if 32 < b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in s.encode()) for s in strings]
words = ['{\\"name\\": \\"f\\", \\"arguments\\": {', "f(s=", "\\\\u00e9"]
(here / "answer.dict").write_text("# Made by make_answer_corpus.py.\n" + "".join(f'"{s}"\n' for s in escaped + words))
