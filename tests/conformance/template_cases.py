"""What make_template_cases.py renders: conversations for whole templates, and small cases for single rules."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather at a place. Answers °C, \"feels like\" & humidity.",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "City, e.g. Zürich"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": "integer", "minimum": 1, "maximum": 14},
            },
            "required": ["location"],
        },
    },
}
CALENDAR = {
    "type": "function",
    "function": {
        "name": "add_event",
        "description": "Puts an event into the calendar.",
        "parameters": {
            "type": "object",
            "properties": {
                "title": {"type": "string", "description": "Title"},
                "when": {
                    "type": "object",
                    "description": "Begin and end",
                    "properties": {"start": {"type": "string"}, "minutes": {"type": "number", "default": 30.5}},
                    "required": ["start"],
                },
                "guests": {"type": "array", "items": {"type": "string"}, "description": "Addresses"},
                "private": {"type": ["boolean", "null"]},
            },
            "required": ["title", "when"],
        },
    },
}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def conversation(messages, **more):
    return {"messages": messages, "add_generation_prompt": True, **TOKENS, **more}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


def call(identifier, name, arguments):
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


CONVERSATIONS = {
    "plain": conversation([user("Hello, who are you?")]),
    "system": conversation([system("You are a helpful assistant."), user("What is 2 + 2?")]),
    "multi-turn": conversation([
        system("Be brief."), user("Hi"), assistant("Hello! How can I help?"), user("Tell me a joke.\n\nA good one."),
        assistant("  Why did the chicken cross the road?\nTo get to the other side.  "), user("Another one"),
    ]),
    "tools": conversation([system("Use tools."), user("Weather in Zürich?")], tools=[WEATHER, CALENDAR]),
    "tool-calls": conversation(
        [
            user("Weather in Zürich, please"),
            assistant("", tool_calls=[call("call00001", "get_weather", {"location": "Zürich", "days": 3})]),
            {"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": "{\"temperature\": 21.5}"},
            assistant("It is 21.5 °C."),
            user("And in Basel?"),
        ],
        tools=[WEATHER],
    ),
    "two-tool-calls": conversation(
        [
            system("You may call tools."),
            user("Compare two cities"),
            assistant("Let me look.", tool_calls=[
                call("call00001", "get_weather", {"location": "Bern", "unit": "celsius"}),
                call("call00002", "get_weather", {"location": "Genève", "nested": {"a": [1, 2.5, None, True]}}),
            ]),
            {"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": "12"},
            {"role": "tool", "name": "get_weather", "tool_call_id": "call00002", "content": "14"},
        ],
        tools=[WEATHER, CALENDAR],
    ),
    "tool-arguments-as-text": conversation(
        [
            user("Weather?"),
            assistant(None, tool_calls=[call("abcdefghi", "get_weather", "{\"location\": \"Chur\"}")]),
            {"role": "tool", "tool_call_id": "abcdefghi", "content": "9"},
        ],
        tools=[WEATHER],
    ),
    "non-ascii": conversation([
        system("Du bist höflich – 你好."),
        user("Grüße 👋🏽, ¿qué tal? 日本語 \u00a0 \u200b <b>&amp;</b> 'x' \"y\" \\n"),
        assistant("Ça va — très bien… 😀"), user("ﬁn ẞ İ"),
    ]),
    "empty-content": conversation([system(""), user(""), assistant(""), user(" ")]),
    "no-generation-prompt": {
        **conversation([user("Hi"), assistant("Hello"), user("Bye"), assistant("See you")]),
        "add_generation_prompt": False,
    },
    "reasoning": conversation([
        user("What is 17 * 3?"),
        assistant("51", reasoning_content="17 * 3 = 51.\nSure."),
        user("And 18 * 3?"),
        assistant("<think>\n18*3\n</think>\n\n54"),
        user("Thanks"),
    ]),
    "thinking-off": conversation([user("Hi")], enable_thinking=False),
    "thinking-on": conversation([system("S"), user("Hi")], enable_thinking=True, thinking=True),
    "parts": conversation([
        user([{"type": "text", "text": "First part."}, {"type": "text", "text": " Second part."}]),
        assistant([{"type": "text", "text": "Answer."}]),
        user([{"type": "text", "text": "More"}]),
    ]),
    "wrong-order": conversation([assistant("I begin"), user("No, I do"), user("Twice")]),
    "none-variables": conversation([user("Hi")], tools=None, documents=None, date_string="07 Mar 2026"),
    "no-messages": conversation([]),
}

D = {"b": 1, "a": 2, "C": None}
PEOPLE = [
    {"name": "Ada", "age": 36, "city": {"name": "London"}},
    {"name": "bob", "age": 7, "city": {"name": "Paris"}},
    {"name": "Cyd", "age": 36, "city": {"name": "london"}},
]
V = {"d": D, "people": PEOPLE, "n": 7, "f": 2.5, "s": "Hello, World", "l": [3, 1, 2], "t": True, "z": None, "e": "",
     "u": "Zürich – 日本 👋", "html": "<a href=\"x\">'&'</a>", "text": "one two\nthree  four\n\n five"}


def expressions(*sources):
    return [("{{ " + source + " }}", V) for source in sources]


CASES = [
    # whitespace rules
    ("a\n{% if true %}\nb\n{% endif %}\nc\n", {}),
    ("  {% if true %}  \n  b  \n  {% endif %}  \nc", {}),
    ("x {%- if true -%} y {%- endif -%} z", {}),
    ("x  {%+ if true +%}\n y {%+ endif +%}\n z", {}),
    ("a\n  {{ 1 }}  \nb\n\n", {}),
    ("a\n  {{- 1 -}}  \nb", {}),
    ("a {# comment #} b\n  {# line #}\nc\n{#- x -#}\n d", {}),
    ("{# a\nb #}\nc", {}),
    ("  {#+ x #}\ny{# z +#}\nw", {}),
    ("{% raw %}{{ x }}{% if %}{% endraw %}", {}),
    ("a\n  {% raw %}\n  {{ x }}\n  {% endraw %}\nb", {}),
    ("a {%- raw -%}  {% y %}  {%- endraw -%}  b", {}),
    ("line\r\nnext\rlast\r\n", {}),
    ("\n\n{% set x = 1 %}\n\n{{ x }}\n\n", {}),
    ("{% for i in range(2) %}\n  {{ i }}\n{% endfor %}", {}),
    ("{%- for i in range(2) -%}\n  {{ i }}\n{%- endfor -%}", {}),
    ("\u00a0{%- set x = 1 -%}\u00a0\u3000y", {}),
    ("{{ '{{' }}{{ \"%}\" }}{{ '}}' }}", {}),
    ("a{%if true%}b{%else%}c{%endif%}d", {}),
    ("{ { % } } {", {}),
    ("a {% if true %}\n\n  b{% endif %}", {}),
    ("\t{% set x %}\t{% endset %}[{{ x }}]", {}),
    # refusals of the grammar
    ("{% if %}x{% endif %}", {}), ("{{ 1 + }}", {}), ("{{ (1 }}", {}), ("{% for x in %}{% endfor %}", {}),
    ("{% endif %}", {}), ("{% if true %}", {}), ("{{ x", {}), ("{# x", {}), ("{% raw %}x", {}), ("{% foo %}", {}),
    ("{{ 'abc }}", {}), ("{{ a b }}", {}), ("{{ x | nofilter }}", {}), ("{{ x is notest }}", {}),
    ("{% if false %}{{ x | nofilter }}{% endif %}ok", {}), ("{{ 'ok' if true else x | nofilter }}", {}),
    ("{% if true %}{{ x | nofilter }}{% endif %}ok", {}), ("{% set 1 = 2 %}", {}), ("{% set true = 2 %}", {}),
    ("{% break %}", {}), ("{{ f(x=1, 2) }}", {}), ("{% macro m(a=1, b) %}{% endmacro %}", {}),
    ("{{ ] }}", {}), ("{{ $ }}", {}), ("{% include 'x' %}", {}), ("{% if false %}{% include 'x' %}{% endif %}ok", {}),
    ("{% for loop in [1] %}{{ loop }}{% endfor %}", {}), ("{{ x is string is string }}", {}), ("{{}}", {}),
    ("{% set x = 1, %}{{ x }}", {}), ("{{ 1, 2 }}", {}), ("{{ () }}{{ (1,) }}{{ (1) }}", {}),
    ("{% print 1, 'a' %}", {}), ("{% if true: %}y{% endif %}", {}),
    # statements
    ("{% for x in [] %}a{% else %}b{% endfor %}", {}),
    ("{% for x in [1,2] %}{{ x }}{% else %}b{% endfor %}", {}),
    ("{% for x in [1,2] %}{% break %}{% else %}E{% endfor %}", {}),
    ("{% for x in [1,2] %}{% continue %}{% else %}E{% endfor %}", {}),
    ("{% for x in [1,2,3,4] %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}", {}),
    ("{% for x in range(6) if x is odd %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ ',' if not loop.last }}{% endfor %}", {}),
    ("{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.depth }};{% endfor %}", V),
    ("{% for x in l %}[{{ loop.previtem }}|{{ x }}|{{ loop.nextitem }}]{% endfor %}", V),
    ("{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{{ loop.cycle('a', 'b') }}{% endfor %}", V),
    ("{% for x in [1,1,2] %}{{ loop.changed(x) }}{% endfor %}", {}),
    ("{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", V),
    ("{% for k, v in d | items %}{{ k }}={{ v }};{% endfor %}", V),
    ("{% for k in d %}{{ k }}{% endfor %}{% for c in 'añ' %}<{{ c }}>{% endfor %}", V),
    ("{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}", {}),
    ("{% for a, b in [(1, 2, 3)] %}{% endfor %}", {}), ("{% for a, b in [1] %}{% endfor %}", {}),
    ("{% for x in none %}{% endfor %}", {}), ("{% for x in missing %}a{% else %}b{% endfor %}", {}),
    ("{% for x in 5 %}{% endfor %}", {}),
    ("{% for x in tree recursive %}{{ x.n }}{% if x.c %}({{ loop(x.c) }}){% endif %}{{ loop.depth }}{% endfor %}",
     {"tree": [{"n": 1, "c": [{"n": 2}, {"n": 3, "c": [{"n": 4}]}]}, {"n": 5}]}),
    ("{% for x in [1] %}{{ loop([2]) }}{% endfor %}", {}),
    ("{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}", {}),
    ("{% set ns = namespace(x=1) %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", {}),
    ("{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = ns.a ~ 'x' %}{{ ns.b }}{{ ns.c is defined }}{{ ns }}", {}),
    ("{% set ns = {} %}{% set ns.a = 1 %}", {}), ("{% set a, b = 1, 2 %}{{ b }}{{ a }}", {}),
    ("{% set a, b = [1] %}", {}), ("{% if true %}{% set y = 3 %}{% endif %}{{ y }}", {}),
    ("{% set x %}a{{ 1 }}{% endset %}{{ x }}{{ x is string }}", {}),
    ("{% set x | upper | replace('A', 'b') %}abc{% endset %}{{ x }}", {}),
    ("{% set q = 1 %}{% set x %}{% set q = 2 %}{{ q }}{% endset %}{{ x }}{{ q }}", {}),
    ("{% filter upper | trim %} abc {{ 'd' }} {% endfilter %}", {}),
    ("{% with a = 1, b = a %}{{ a }}{{ b is defined }}{% endwith %}{{ a is defined }}", {}),
    ("{% if n == 1 %}a{% elif n == 7 %}b{% elif n %}c{% else %}d{% endif %}", V),
    ("{% block x %}a{% endblock %}{% block y scoped %}b{% endblock y %}", {}),
    ("{% autoescape false %}{{ '<' }}{% endautoescape %}", {}),
    ("{% generation %}a{{ n }}{% endgeneration %}b", V),
    ("{% for m in l %}{% generation %}{{ m }}{% set q = m %}{% endgeneration %}{{ q }};{% endfor %}", V),
    ("{% macro m(a, b=2, c=b) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }},{{ m(1, c=5) }},{{ m(b=3, a=0) }}", {}),
    ("{% macro m(a) %}[{{ a }}]{{ a is defined }}{% endmacro %}{{ m() }}", {}),
    ("{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}", {}),
    ("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", {}), ("{% macro m(a) %}{% endmacro %}{{ m(b=2) }}", {}),
    ("{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", {}),
    ("{% macro m(a) %}{{ varargs|join('-') }}{% endmacro %}{{ m(*[1, 2, 3]) }}{{ m(**{'a': 1}) }}", {}),
    ("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}x{% endcall %}", {}),
    ("{% macro m(l) %}{% for i in l %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(i) m([1, 2]) %}({{ i }}){% endcall %}", {}),
    ("{% macro m() %}a{% endmacro %}{% call m() %}x{% endcall %}", {}),
    ("{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", {}),
    ("{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", {}),
    ("{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}", {}),
    ("{% macro m() %}{{ x }}{% endmacro %}{% set x = 5 %}{{ m() }}", {}),
    ("{% for i in [1] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}", {}),
    ("{% macro m(a, b) %}{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.caller }}", {}),
    ("{% macro m() %} x {% endmacro %}{{ m() | trim }}{{ m() is string }}", {}),
    ("{{ raise_exception('no: ' ~ n) }}", V), ("{{ raise_exception(missing) }}", {}),
    ("{{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %b %d %j %y %p %I %%') }}", {}), ("{{ strftime_now('%d %b %Y') }}", {}),
    ("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}", {}),
    ("{% set j = joiner('|') %}{% for i in [1, 2, 3] %}{{ j() }}{{ i }}{% endfor %}", {}),
    ("{{ dict(a=1, b='x') }}{{ dict([('k', 2)]) }}{{ dict(d, z=1) }}", V),
    ("{{ range(3) }}{{ range(1, 7, 2) | list }}{{ range(5, 0, -2) | list }}{{ range(3)[1] }}{{ range(10)[2:8:3] | list }}", {}),
    ("{{ range(10 ** 12) }}", {}), ("{{ range(200000) | length }}", {}), ("{{ range(1, 2, 0) }}", {}),
    ("{% set x = namespace(a=1) %}{% macro m() %}{% set x.a = 2 %}{% endmacro %}{{ m() }}{{ x.a }}", {}),
    ("{% set found = namespace(v=false) %}{% for x in l if not found.v %}{{ x }}{% set found.v = true %}{% endfor %}", V),
    # literals, operators
    *expressions(
        "1 + 2 * 3 ** 2 - 4 // 3 % 2", "2 ** 3 ** 2", "-2 ** 2", "7 / 2", "-7 // 2", "-7 % 3", "7 % -3", "7.5 // 2", "-7.5 % 2",
        "1 / 3", "1e16", "1e15", "1.0", "1e-5", "0.0001", "123456789.123", "1e100", "0.1 + 0.2", "5 // 0", "5 % 0", "1 / 0", "2 ** -1",
        "9223372036854775807", "1_000", "0x1F", "0b101", "0o17", "1.5e3", "10 ** 18", "'a' 'b'", "'\\n\\t\\x41\\u00e9\\U0001F600\\101\\q'",
        "'it\\'s'", "\"q\\\"\"", "true and false or true", "not true", "not not 1", "1 and 2", "0 or 'x'", "none or missing", "1 < 2 < 3", "1 < 3 < 2",
        "1 == 1.0 == true", "'a' < 'b'", "[1, 2] < [1, 3]", "(1, 2) == (1, 2)", "[1] == (1,)", "1 < 'a'", "none < 1", "1 == '1'", "none == false",
        "1 in l", "5 not in l", "'ell' in s", "'b' in d", "1 in s", "1 in none", "1 in missing", "not 1 in l", "missing == missing2", "missing != 1",
        "'a' ~ 1 ~ none ~ true ~ [1, 'x'] ~ 1.5 ~ missing", "'a' + 'b' * 3", "3 * 'ab'", "[1] * 2 + [2]", "'a' + 1", "1 + 'a'", "[1] + (2,)", "'x' * -1",
        "true + true", "-true", "+5", "-'a'", "--5", "n if t else f", "n if not t", "(1 if false).x", "1 if false else 2 if false else 3",
        "n + missing", "missing.x", "missing['x']", "missing()", "missing | length", "missing | upper", "missing is defined", "missing", "z.x", "z.x.y", "n.x is defined",
        "d.a", "d['a']", "d.get('a')", "d.get('q')", "d.get('q', 5)", "d['q']", "d.q is defined", "d.C", "d.items()", "d.keys() | list", "d.values() | list", "d.items() | list",
        "d", "[1, 'a', none, true, 1.0, {'k': ['v']}, (1,)]", "{}", "{1: 'a', 'b': 2, none: 3, true: 4}", "[]", "()", "[1, 2,]", "{'a': 1,}", "{'a': 1, 'a': 2}", "{[1]: 2}",
        "\"it's\"", "['it\\'s', 'say \"x\"', 'both \\' \"', 'a\\nb\\\\', 'é\\u200b\\xa0\\x07', '👋']", "u[0:3]", "u[-1]", "u | length", "s[::-1]", "s[1:-1:2]", "s[7:]", "s[:5]", "s[-3:]", "s[10:2:-2]", "s[100]", "s[100:]",
        "l[0]", "l[-1]", "l[3] is defined", "l[::-1]", "l[1:]", "l['x'] is defined", "l[1.0] is defined", "l[true]", "l.0", "d[none] is defined", "n[0] is defined", "n[0:1]", "d[1:2]", "l[::0]", "missing[1:]", "none[1:]",
        "l.append(4)", "d.update({'x': 1})", "d.pop('a')", "l.sort()", "s.__class__", "s.__class__.x", "d._x is defined", "l.index(1)", "l.index(9)", "l.count(3)", "(1, 2).index(2)",
        "s()", "n()",
    ),
    # string methods
    *expressions(
        "s.upper()", "s.lower()", "s.title()", "'hELLO wORLD'.capitalize()", "s.swapcase()", "'  x '.strip() ~ '|'", "'xxaxx'.strip('x')", "'xya'.lstrip('yx')", "'axy'.rstrip('yx')", "'  a '.lstrip() ~ '|'", "'  a '.rstrip() ~ '|'",
        "s.split()", "s.split(', ')", "' a  b '.split()", "' a  b '.split(' ')", "'a,b,c'.split(',', 1)", "'a,b,c'.rsplit(',', 1)", "' a b c '.split(none, 1)", "' a b c '.rsplit(none, 1)", "'aaa'.split('aa')", "'aaa'.rsplit('aa')", "''.split()", "''.split(',')", "'a'.split('')", "'a b'.split(maxsplit=1)", "'</think>x</think>y'.split('</think>')[-1]",
        "s.startswith('Hello')", "s.startswith(('x', 'He'))", "s.endswith('d')", "s.endswith(('x', 'y'))", "s.startswith('l', 2)", "s.endswith('o', 0, 5)", "s.startswith(['a'])", "s.find('o')", "s.find('o', 5)", "s.find('zz')", "s.rfind('o')", "s.index('W')", "s.index('zz')", "s.count('l')", "s.count('')", "u.find('本')",
        "s.replace('l', 'L')", "s.replace('l', 'L', 1)", "'aa'.replace('', '-')", "s.replace('l')", "', '.join(['a', 'b'])", "''.join([1])", "'-'.join('abc')", "text.splitlines()", "'a\\r\\nb\\x0bc\\u2028d\\n'.splitlines()", "'a\\nb'.splitlines(true)", "'a-b-c'.partition('-')", "'a-b-c'.rpartition('-')", "'abc'.partition('x')", "'abc'.rpartition('x')",
        "'5'.zfill(3)", "'-5'.zfill(4)", "'a'.ljust(3, '.')", "'a'.rjust(3)", "'a'.center(4, '*')", "'ab'.center(5, '*')", "'abc'.removeprefix('a')", "'abc'.removesuffix('c')", "'12'.isdigit()", "''.isdigit()", "'ab1'.isalnum()", "'ab'.isalpha()", "' '.isspace()", "'Ab'.isupper()", "'AB1'.isupper()", "'ab'.islower()", "'a\\tb'.expandtabs(4)", "'ß'.upper()", "'ΑΣ'.lower()", "'ÉCOLE'.lower()", "'straße école'.title()", "'é'.isalpha()", "'a'.isascii()", "'they\\'re bill\\'s'.title()",
        "'{} {}'.format(1, 'a')", "'{1} {0}'.format(1, 'a')", "'{a.name} {b[0]} {b[-1]}'.format(a=people[0], b=l)", "'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')", "'{:05d} {:+d} {:x} {:#x} {:b} {:,} {:e} {:.2f} {:g} {:%}'.format(42, 5, 255, 255, 5, 1234567, 1234.5, 3.14159, 0.0001, 0.25)", "'{!r} {!s}'.format('a', 'b')", "'{{}} {}'.format(1)", "'{}'.format()", "'{x}'.format()", "'{:{}}|'.format('a', 4)", "'{'.format()", "'}'.format()", "'{:d}'.format('a')", "'{}{0}'.format(1)", "'{:.3}'.format('abcdef')", "'{:.3}'.format(3.14159)", "'{:10.3f}|'.format(3.14159)", "'{} {}'.format(none, [1])", "'{:>4}'.format(true)", "'{0[k]}'.format({'k': 'v'})",
        "'%s %d %5.2f %x %%' % ('a', 3, 2.5, 255)", "'%s' % 'a'", "'%(a)s-%(b)03d' % {'a': 1, 'b': 2}", "'%s %s' % ('a',)", "'%s' % ('a', 'b')", "'%5s|%-5s|' % ('a', 'b')", "'%d' % 3.9", "'%d' % 'a'", "'%r' % 'a'", "'%s' % none", "'%c%c' % (65, 'b')", "'%e %g %G' % (12345.678, 0.00001, 1e20)", "'%+d % d %05d %o' % (1, 2, -3, 8)", "'%s' % [1, 2]", "'%y' % 1", "'%' % 1", "'%.3s' % 'abcdef'", "'%*d' % (5, 3)",
        "s.format is callable", "'a'.nomethod()", "'a'.nomethod is defined", 
    ),
    # filters
    *expressions(
        "d | tojson", "{'a': [1, 2.0, 1e20, none, true, 'é\"\\n\\u0001\\u007f/']} | tojson", "[] | tojson(indent=2)", "{'a': {}, 'b': [1, {'c': 2}]} | tojson(indent=2)", "d | tojson(sort_keys=true)", "d | tojson(separators=(',', ':'))", "u | tojson(ensure_ascii=true)", "u | tojson", "(1, 2) | tojson", "missing | tojson", "range(3) | tojson", "{1: 2, none: 3, true: 4, 1.5: 5} | tojson", "{(1, 2): 3} | tojson", "d | tojson(indent='\\t')", "[1, [2, []]] | tojson(indent=1, separators=(';', '='))", "html | tojson", "d.items() | tojson", "namespace(a=1) | tojson", "[1] | tojson(indent=0)", "d.items() | list | tojson",
        "l | sort", "l | sort(reverse=true)", "['b', 'A', 'c'] | sort", "['b', 'A', 'c'] | sort(case_sensitive=true)", "people | sort(attribute='age') | map(attribute='name') | list", "people | sort(attribute='age,name', reverse=true) | map(attribute='name') | join(',')", "[1, 'a'] | sort", "people | map(attribute='city.name') | list", "people | map(attribute='x', default='?') | list", "people | map(attribute='x') | list", "['a', 'b'] | map('upper') | list", "['a'] | map('replace', 'a', 'z') | list", "l | map('nofilter') | list", "l | map | list",
        "l | select('odd') | list", "l | reject('odd') | list", "[0, 1, none, ''] | select | list", "[0, 1] | reject | list", "people | selectattr('age', 'equalto', 36) | map(attribute='name') | list", "people | rejectattr('age', '>', 10) | map(attribute='name') | list", "people | selectattr('x', 'defined') | list | length", "people | selectattr('city.name', 'in', ['Paris']) | list | length", "people | selectattr('age') | list | length", "people | selectattr | list", "l | select('greaterthan', 1) | list", "l | select('notest') | list",
        "l | first", "l | last", "[] | first", "[] | last", "'abc' | first", "'abc' | last", "l | length", "d | length", "n | length", "l | count", "l | list", "d | list", "'ab' | list", "n | list", "l | reverse | list", "'abc' | reverse", "n | reverse", "l | sum", "[1.5, 2] | sum", "people | sum(attribute='age')", "[[1], [2]] | sum(start=[])", "['a'] | sum", "l | min", "l | max", "['b', 'A'] | min", "[] | max", "people | max(attribute='age')", "l | join('-')", "l | join", "people | join(', ', attribute='name')", "[1, none, 'a'] | join('|')", "none | join",
        "[1, 1.0, true, 2] | unique | list", "['a', 'A', 'b'] | unique | list", "['a', 'A'] | unique(case_sensitive=true) | list", "people | unique(attribute='age') | map(attribute='name') | list", "range(7) | batch(3) | list", "range(7) | batch(3, 'x') | list", "range(7) | slice(3) | list", "range(7) | slice(3, 'x') | list", "people | groupby('age') | list | length", "(people | groupby('age'))[1].list | length", "(people | groupby('age'))[0].grouper", "people | groupby('city.name') | map(attribute='grouper') | list", "people | groupby('city.name', case_sensitive=true) | map('first') | list", "people | groupby('x', default='none') | map('first') | list", "d | dictsort", "d | dictsort(true)", "{'x': 2, 'y': 1} | dictsort(by='value')", "{'x': 2, 'y': 1} | dictsort(reverse=true)", "d | dictsort(by='q')", "l | dictsort", "d | items | list", "n | items | list", "missing | items | list", "missing | dictsort",
        "missing | default('x')", "e | default('x')", "e | default('x', true)", "z | d('x')", "z | d('x', boolean=true)", "missing | default", "' a ' | trim ~ '|'", "'xax' | trim('x')", "5 | trim", "none | trim", "s | upper", "s | lower", "'hELLO' | capitalize", "'hello wORLD-foo (bar' | title", "s | replace('l', 'L', 2)", "5 | replace(5, 6)", "'a.b' | replace('.', '')", "n | string ~ '!'", "z | string", "d | string", "text | indent", "text | indent(2, true)", "text | indent(2, blank=true)", "text | indent('> ')", "text | indent(first=true, width=1)", "5 | indent", "'a\\n' | indent ~ '|'",
        "'42' | int", "'4.7' | int", "'x' | int", "'x' | int(5)", "4.9 | int", "-4.9 | int", "true | int", "none | int", "none | int(default=7)", "'ff' | int(base=16)", "'0x1f' | int(0, 16)", "'0b11' | int(0, 0)", "' 12 ' | int", "'1_000' | int", "[] | int", "missing | int", "'3.5' | float", "'x' | float", "'x' | float(1.5)", "3 | float", "none | float", "'1e3' | float", "'inf' | float", "'nan' | float", "2.5 | round", "3.5 | round", "2.567 | round(2)", "2.4 | round(0, 'ceil')", "2.567 | round(1, 'floor')", "5 | round", "'a' | round", "1.005 | round(2)", "-3 | abs", "-2.5 | abs", "'a' | abs", "2.675 | round(2)", "1234 | round(-2)",
        "html | escape", "html | e", "html | safe", "(html | safe) + '<'", "'<' + (html | safe)", "html | safe | escape", "html | escape | escape", "html | forceescape", "(html | safe) ~ '<'", "['<', '>' | safe] | join", "html | striptags", "html | safe is escaped", "html is escaped", "('<' | safe) % 1 if false else 'x'", "('a' | safe).upper() is escaped", "['a' | safe]",
        "'%s and %s' | format('a', 1)", "'%(x)s' | format(x=2)", "'a b  c' | wordcount", "'It\\'s a-b' | wordcount", "'foo bar baz qux' | truncate(9)", "'foo bar baz qux' | truncate(11)", "'foo bar baz qux' | truncate(9, true)", "'foo bar baz qux' | truncate(9, true, '!', 0)", "'foo bar baz qux' | truncate(11, False, '', 0)", "'hello world foo' | wordwrap(8)", "'hello worldwideweb foo' | wordwrap(8)", "'hello worldwideweb' | wordwrap(8, false)", "'a-very-long-hyphenated word' | wordwrap(8)", "'a b' | center(9) ~ '|'", "'a b/c&d é' | urlencode", "{'a b': 'c&d'} | urlencode", "1500000 | filesizeformat", "1 | filesizeformat", "500 | filesizeformat", "1048576 | filesizeformat(true)", "{'class': 'a b', 'id': none, 'x': '<'} | xmlattr", "people[0] | attr('name') is defined", "s | attr('upper') is callable", "d | attr('items') is callable",
        "s | upper | lower | title | length", "l | sort | first + 10", "-l | first", "-n | abs", "'a' ~ 'b' | upper", "('a' ~ 'b') | upper", "n | default(1) is odd", "l | map('string') | join | int + 1",
    ),
    # tests
    *expressions(
        "n is odd", "n is even", "n is divisibleby(7)", "n is divisibleby 2", "missing is undefined", "z is none", "z is not none", "z is defined", "n is number", "t is number", "f is number", "n is integer", "t is integer", "f is float", "n is float", "t is boolean", "n is boolean", "t is true", "t is false", "1 is true", "s is string", "n is string", "d is mapping", "l is mapping", "l is sequence", "s is sequence", "d is sequence", "n is sequence", "l is iterable", "s is iterable", "d is iterable", "n is iterable", "z is iterable", "missing is iterable", "missing is sequence", "range(3) is sequence", "(l | map('string')) is iterable", "(l | map('string')) is sequence", "d.items() is iterable", "d.items() is sequence", "d.items is callable", "n is callable", "range is callable",
        "n is sameas 7", "z is sameas none", "t is sameas 1", "n is eq 7", "n is equalto(7)", "n is ne 7", "n is gt 3", "n is ge 7", "n is lt 3", "n is le 7", "n is greaterthan 3", "n is lessthan 3", "n is in l", "1 is in(l)", "'a' is in d", "n is not in l", "'abc' is lower", "'ABC' is upper", "'aBc' is lower", "'upper' is filter", "'nope' is filter", "'odd' is test", "n is not odd and t", "s is string and n is number or false", "n is defined and missing is not defined", "'a' is odd", "l[5] is defined", "d.a is defined and d.a is number", "n is number == true", "not n is odd", "d.x.y is defined",
    ),
]
