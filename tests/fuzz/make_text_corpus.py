#!/usr/bin/env python3
"""Writes the corpora of the template and the tokenizer fuzzers (tests/fuzz/corpus/{template,tokenizer}) and the
template's dictionary. The first byte of a seed chooses variables or vocabulary, as the targets say. The result is
committed."""
import pathlib

here = pathlib.Path(__file__).parent
TEMPLATES = {
    "chatml": (0, "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + (m.content or '') + '<|im_end|>' }}\n"
                  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"),
    "loop": (1, "{%- for i in range(4) if i != 2 -%}{{ loop.index }}/{{ loop.length }}{% if loop.last %}.{% else %}, "
                "{% endif %}{% if i == 3 %}{% break %}{% else %}{% continue %}{% endif %}{%- else -%}none{%- endfor -%}"),
    "macro": (0, "{% macro show(m, open='<', close='>') %}{{ open ~ m.role ~ close }}{{ caller() if caller }}{% endmacro %}"
                 "{% for m in messages %}{% call show(m) %}x{% endcall %}{{ show(m, close=']') }}{% endfor %}"),
    "namespace": (1, "{% set ns = namespace(found=false, n=0) %}{% for v in x|sort|reverse %}{% set ns.n = ns.n + v %}"
                     "{% endfor %}{{ ns.n // 2 }} {{ ns.n % 4 }} {{ ns.n ** 2 }} {{ -n | abs }}"),
    "slices": (1, "{{ x[::-1] }}{{ x[1:] }}{{ s[-3:] }}{{ d['b'].c[0] is none }}{{ d.items() | list | tojson(indent=2) }}"),
    "strings": (2, "{{ s.strip().split(' ') | join('|') }}{{ s|upper|trim|length }}{{ 'a,b'.replace(',', s)[:3] }}"
                   "{{ '%s-%d' % ('q', 3) }}{{ s.startswith('a') and not s.endswith(('b', 'c')) }}"),
    "filters": (2, "{{ x | map(attribute='k') | list }}{{ x | selectattr('k', 'equalto', 1) | first | tojson }}"
                   "{{ undefined | default('d', true) }}{{ n | int + 1.5 | float | round(1) }}"),
    "tools": (0, "{% if tools is defined and tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}"
                 "{% if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments | tojson }}"
                 "{% endfor %}{% endif %}{% endfor %}{{ strftime_now('%d %b %Y') }}"),
    "raise": (1, "{% if messages | length == 0 %}{{ raise_exception('no messages') }}{% endif %}"),
    "comment": (1, "{# a comment #}{% raw %}{{ not }}{% endraw %}{% filter upper %}x{% endfilter %}{% generation %}y{% endgeneration %}"),
    "deep": (1, "{{ " + "(" * 60 + "1" + ")" * 60 + " }}{{ " + "[" * 40 + "]" * 40 + " }}"),
    "endless": (1, "{% for a in range(99999) %}{% for b in range(99999) %}{{ 'x' * 9999 }}{% endfor %}{% endfor %}"),
    "broken": (1, "{% for x in %}{{ 'open }}{% if a %}"),
}
TEXTS = {
    "plain": (0, b"Grind grain at home, 1234567 times; don't stop.\n\n  Twice\t"),
    "scripts": (1, "Grüße 你好世界 สวัสดี עברית नमस्ते 🙂👩‍🔬 ½ Ⅷ ́e".encode()),
    "broken-utf8": (4, b"a\xff\xfe\xc3(\xe2\x82\xf0\x9f\x98 b\x80"),
    "spaces": (8, b"   \n\n \t  x  \r\n   \xc2\xa0 \xe2\x80\x83y "),
    "special": (2, b"<|im_start|>user\n<s>[INST] </s><|endoftext|><0x0A>"),
    "numbers": (3, b"3.14159 1e-9 0x7fff 12,345,678 \xd9\xa3\xd9\xa4"),
    "code": (5, b"int main() { return x->y[0] != 'c'; }  // end\n\t\tfor(;;);"),
    "repeat": (6, b"ab" * 100 + b" " * 50),
    "marks": (8, "▁a▁▁b ▁".encode()),
}
for name, seeds in (("template", TEMPLATES), ("tokenizer", TEXTS)):
    folder = here / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (first, content) in seeds.items():
        (folder / seed).write_bytes(bytes([first]) + (content.encode() if isinstance(content, str) else content))

WORDS = """{{ }} {% %} {# #} {%- -%} for endfor if elif else endif in is not and or set endset macro endmacro call
endcall filter endfilter raw endraw break continue namespace( range( dict( loop.index0 loop.first loop.last loop.previtem
messages content role tools tool_calls add_generation_prompt bos_token raise_exception( strftime_now( |tojson |join |trim
|default |length |list |map |select |selectattr |rejectattr |sort |unique |first |last |items |upper |lower |replace |int
|float |string |indent |safe .strip() .split( .items() .get( .startswith( .endswith( .replace( .format( defined none
mapping iterable string number true false [::-1] [:1] ** // ~ == != <= >= % "{{- " recursive""".split()
lines = ['"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in WORDS]
(here / "template.dict").write_text("# Made by make_text_corpus.py.\n" + "\n".join(lines) + "\n")
