#!/usr/bin/env python3
"""Writes golden/templates/small.jsonl: small chat templates of our own, each with a conversation and
what Jinja2 renders with transformers' settings, or "error": true where it refuses.

    python3 golden/make_templates.py        # needs jinja2 3.1, see jinja.py"""

import json
import os

import jinja

USER = {"messages": [{"role": "user", "content": " Hi <|im_end|> é \n"}], "add_generation_prompt": True}
TURNS = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"},
                      {"role": "assistant", "content": "<think>\nadd\n</think>\n\n4"}, {"role": "user", "content": "It's \"3+3\"?"}],
         "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}
TOOLS = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Weather"}, {"type": "image"}, {"type": "text", "text": "?"}]},
                      {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {
                          "name": "weather", "arguments": {"city": "Köln", "days": 2, "fine": True, "at": 1.50, "x": None}}}]},
                      {"role": "tool", "content": "{\"t\": 7.5}"}],
         "tools": [{"type": "function", "function": {"name": "weather", "description": "Grad \u00b0C <&>", "parameters": {
             "type": "object", "properties": {"city": {"type": "string", "enum": ["a", "b"]}, "Days": {"type": ["integer", "null"]}},
             "required": ["city"]}}}]}
EMPTY = {"messages": []}

LOOP = "{% for m in messages %}"
TEMPLATES = [
    "<|im_start|>{{ messages[0].role }}\n{{ messages[0]['content'] }}<|im_end|>\n",
    LOOP + "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "{{ bos_token }}" + LOOP + "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns') }}{% endif %}[INST] {{ m.content }} [/INST]{% endfor %}",
    "{%- for m in messages %}\n  {%- if m.role == 'user' %}\n    {{- m.content | trim }}\n  {%- endif %}\n{%- endfor %}\n",
    "{% for m in messages %}\n    {% if not loop.first %}\n\n    {% endif %}\n  - {{ m.role }}\n{% endfor %}\n\n",
    "{#- note -#}\n  x {#- y #}\n{%+ if true %} z {% endif +%}\n{% raw %}{{ not }}{% endraw %}\nend",
    "{% set ns = namespace(last=-1, found=false) %}" + LOOP + "{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.last }} {{ ns.found }}",
    "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ rest|length }}{{ messages[::-1][0].role }}{{ messages[-1].content[:3] }}",
    LOOP + "{% if m.content is string %}{{ m.content }}{% elif m.content is iterable %}{% for p in m.content if p.type == 'text' %}{{ p.text }}{{ loop.length }}{% else %}none{% endfor %}{% else %}{{ m.content }}{% endif %}|{% endfor %}",
    LOOP + "{% if m.content is string and '</think>' in m.content %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}{{ m.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') }}{% endif %}{% endfor %}",
    "{% for t in tools %}{{ t | tojson }}\n{{ t|tojson(indent=4) }}\n{{ t.function|tojson(sort_keys=true, separators=(',', ':')) }}{% endfor %}",
    "{% macro kind(t) %}{% if t is string %}{{ t }}{% else %}{{ t|join(' | ') }}{% endif %}{% endmacro %}{% for t in tools or [] %}{% for k, v in t.function.parameters.properties|dictsort %}{{ k }}: {{ kind(v.type) }}{{ ' = ' ~ v.enum if v.enum is defined }}{{ ', ' if not loop.last }}{% endfor %}{% endfor %}",
    LOOP + "{% for c in m.tool_calls or [] %}{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }};{{ v|tojson }};{{ v is none }}\n{% endfor %}{% endfor %}{% endfor %}",
    "{% macro show(x, depth=0) %}{% if x is mapping %}{% for k, v in x|items %}{{ '  ' * depth }}{{ k }}:\n{{ show(v, depth + 1) }}{% endfor %}{% elif x is sequence and x is not string %}{% for v in x %}{{ show(v, depth + 1) }}{% endfor %}{% else %}{{ '  ' * depth ~ x }}\n{% endif %}{% endmacro %}{{ show(tools) }}",
    "{% call(x) wrap('b') %}{{ x }}!{% endcall %}",
    "{% macro wrap(t) %}<{{ t }}>{{ caller(t|upper) }}</{{ t }}>{% endmacro %}{% call(x) wrap('b') %}{{ x }}!{{ messages|length }}{% endcall %}",
    "{% filter upper %}{% for m in messages %}{{ m.role }} {% endfor %}{% endfilter %}{% set block | trim %}\n  {{ messages|length }}\n{% endset %}[{{ block }}]",
    LOOP + "{% generation %}{{ m.role }}{% set x = 1 %}{% endgeneration %}{{ x is defined }}{% endfor %}",
    LOOP + "{% if loop.index0 == 1 %}{% continue %}{% elif loop.index0 == 3 %}{% break %}{% endif %}{{ loop.index }}{% endfor %}",
    LOOP + "{{ loop.previtem.role if loop.previtem is defined else '-' }}>{{ loop.nextitem.role if not loop.last else '-' }}{{ loop.revindex }}{{ loop.cycle('a', 'b') }}{{ loop.changed(m.role) }} {% endfor %}",
    "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ messages|rejectattr('role', 'in', ['user'])|map(attribute='role')|join(',') }}{{ messages|map(attribute='role')|unique|list }}",
    "{{ messages|map(attribute='role')|map('upper')|list|tojson }}{{ (messages|first).role }}{{ (messages|last).role }}",
    "{{ messages[0].tool_calls }}{{ messages[0].get('tool_calls', 'none') }}{{ messages[0].tool_calls is defined }}{{ tools is not none }}{{ tools is undefined }}",
    "{{ undefined_thing.x }}",
    "{{ messages[9].role }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].content + none }}",
    "{% set x = [1] %}{% for i in [1] %}{% set x = x + [2] %}{{ x }}{% endfor %}{{ x }}",
    "{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{{ [true, false, none, 1, -2.50, 1e20, 'it\\'s', \"a\\\"b\", ('t',), {'k': [1]}] }}",
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 1 / 3 }} {{ 10 ** 15 * 1.0 }} {{ 1e16 }} {{ 5.0 % -3 }}",
    "{{ 1.0 // 0.1 }} {{ -1.0 // 0.1 }} {{ 1e16 // -3 }} {{ 5.5 // -2 }}",
    "{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 'b' > 'a' }}{{ [1, 2] < [1, 3] }}{{ 1 == true }}{{ '1' == 1 }}{{ none == false }}",
    "{{ 'abc' if false }}|{{ not 1 }}|{{ 0 or 'x' }}|{{ '' and 'y' }}|{{ 'a' in ['a'] and 'k' not in {'k': 1} }}",
    "{{ ('a' ~ 1 ~ none ~ true ~ 1.5 ~ [1]) }}",
    "{{ 'tab\\tnl\\nq\\'u\\u00e9\\x41\\101\\\\' }}",
    "{{ 'a,b,,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a.b.c'.rsplit('.', 1) }}{{ 'a\\nb\\r\\nc'.splitlines() }}",
    "{{ 'xxhixx'.strip('x') }}{{ 'Hello'.replace('l', 'L', 1) }}{{ 'hello world'.title() }}{{ 'ab'.startswith(('x', 'a')) }}{{ 'aXb'|lower|capitalize }}",
    "{{ 'they\\'re bill-bob (x)'|title }}{{ 'straße É'|upper }}{{ 'ÀÉ'|lower }}{{ 'ŉ ǰ'|upper }}",
    "{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb'|indent(2, true) }}|{{ 'a\\n\\nb'|indent('> ', blank=true) }}",
    "{{ '42'|int + 1 }}{{ 'x'|int }}{{ 'x'|int(7) }}{{ '3.9'|int }}{{ '2.5'|float }}{{ 3.7|int }}{{ '1_000'|int }}",
    "{{ {'b': 1, 'A': 2, 'a': 0}|dictsort }}{{ {'b': 1, 'A': 2}|dictsort(by='value', reverse=true) }}{{ ['b', 'A', 'c']|sort }}{{ [3, 1]|sort(reverse=true) }}",
    "{{ [1, 2, 3]|sum }}{{ [1, 5, 2]|max }}{{ ['b', 'A']|min }}{{ [1, [2]]|join('-') }}{{ 'abc'|list }}{{ 'abc'|reverse }}",
    "{{ '%s is %d and %.2f' % ('a', 3, 1.5) }}{{ '%5s|%-5s|%05d' % ('a', 'b', 42) }}{{ '%%' % () }}{{ '{} {x} {{}}'.format(1, x=2) }}",
    "{{ '%d' % 'a' }}",
    "{{ '%-5s|' % missing }}{{ '%s' % none }}{{ 'a' % missing }}",
    "{{ range(3)|list }}{{ range(5, 0, -2) }}{% for i in range(2) %}{{ i }}{% endfor %}",
    "{{ range(1000000) }}",
    "{{ strftime_now('%d %b %Y, %H:%M:%S, %A, %j, %-d %I%p') }}",
    "{{ dict(a=1, **{'b': 2}) }}{{ dict([('x', 1)]) }}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% set p, q = 1, 2 %}{{ p }}{{ q }}",
    "{% for a, b in [1] %}{% endfor %}",
    "{% for i in [1, [2, [3]]] recursive %}{{ loop(i) if i is iterable else i }}{{ loop.depth }}{% endfor %}",
    "{{ messages[0].role is string }}{{ 1 is number }}{{ 1.0 is float }}{{ true is boolean }}{{ {} is mapping }}{{ 3 is odd }}{{ 4 is divisibleby 2 }}{{ x is none }}{{ 'a' is in 'abc' }}{{ 1 is eq 1 }}{{ messages is iterable }}{{ messages is callable }}",
    "{{ ('<b>'|safe) ~ '<i>' }}{{ ('<b>'|safe) + '<i>' }}{{ 'a'|default('d') }}{{ ''|default('d', true) }}{{ zz|default }}",
    "{{ '日本語'[1] }}{{ '日本語'|length }}{{ '😀é'[::-1] }}{{ 'éa'.find('a') }}{{ 'a\\u200bb'|list }}",
    "{% if %}",
    "{{ 1 + }}",
    "{% for m in messages %}",
    "{{ x|nofilter }}",
    "{% if false %}{{ x|nofilter }}{% endif %}fine",
    "{{ namespace(a=1) }}",
    "{% macro f(a, b='d') %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1) }}{{ f(1, 2, 3, c=4) }}{{ f() }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
]


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates", "small.jsonl")
    with open(path, "w", encoding="utf-8") as out:
        for template in TEMPLATES:
            for conversation in USER, TURNS, TOOLS, EMPTY:
                kind, text = jinja.render(template, conversation)
                line = {"template": template, "conversation": conversation}
                line.update({"output": text} if kind == "output" else {"error": True})
                out.write(json.dumps(line, ensure_ascii=False) + "\n")


main()
