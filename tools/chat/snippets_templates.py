# SPDX-License-Identifier: Apache-2.0
"""Whole templates: the third part of snippets.py.  UNSUPPORTED: what Plimsoll refuses with PLIM_E_UNSUP though Jinja2
renders it (addresses, chance, bytes, ...)."""

TEMPLATES = r"""
{% if t %}yes{% endif %}
{% if no %}a{% elif t %}b{% else %}c{% endif %}
{% if no %}a{% elif no %}b{% else %}c{% endif %}
{% if missing %}a{% else %}b{% endif %}
{% if t: %}colon{% endif %}
{% for x in l %}{{ x }},{% endfor %}
{% for x in le %}x{% else %}none{% endfor %}
{% for x in missing %}x{% else %}none{% endfor %}
{% for x in n %}x{% endfor %}
{% for x in none %}x{% endfor %}
{% for c in s %}{{ c }}|{% endfor %}
{% for k in d %}{{ k }};{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}
{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% for a, b in ["xy"] %}{{ a }}-{{ b }}{% endfor %}
{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{{ loop.last }}{{ loop.length }};{% endfor %}
{% for x in l if x > 10 %}{{ x }}{% else %}none{% endfor %}
{% for x in l if loop.first %}{{ x }}{% endfor %}
{% for y in [1,2] %}{% for x in l if x != loop.index %}{{ x }}{% endfor %};{% endfor %}
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}
{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}
{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}
{% for x in l %}{{ loop.cycle("a", "b") }}{% endfor %}
{% for x in l %}{{ loop.cycle() }}{% endfor %}
{% for x in [1,1,2,2,1] %}{{ loop.changed(x) }},{% endfor %}
{% for x in l %}{{ loop.nope is defined }}{% endfor %}
{% for x in l %}{{ loop }}{% endfor %}
{% for x in l %}{{ loop|length }}{% endfor %}
{% for x in l|map("abs") %}{{ loop.length }}{{ loop.revindex }}{{ loop.last }}{{ x }};{% endfor %}
{% for x in l|map("abs") %}{{ loop.last }}{{ loop.length }}{{ x }};{% endfor %}
{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in l %}{% break %}{% else %}else{% endfor %}
{% for x in [1] %}{% continue %}{% else %}else{% endfor %}
{% for x in l %}{% if x == 3 %}{% continue %}{% endif %}{{ x }}{% else %}else{% endfor %}
{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }},{% endfor %}{% endfor %}
{% break %}
{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{% for x in l %}{% set y %}{% break %}{% endset %}{{ x }}{% endfor %}
{% for x in l recursive %}{{ x }}{% endfor %}
{% for x in nested recursive %}{% if x is iterable and x is not mapping %}[{{ loop(x) }}]{% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}
{% for x in [[1,[2]],3] recursive %}{{ loop(x) if x is iterable else x }}{{ loop.depth0 }};{% endfor %}
{% for x in l %}{{ loop([1]) }}{% endfor %}
{% for loop in l %}{% endfor %}
{% for x in l %}{% set loop = 1 %}{% endfor %}
{% for x in l %}{{ x }}{% endfor %}{{ x }}
{% set x = 1 %}{% for x in l %}{{ x }}{% endfor %}{{ x }}
{% set x = 0 %}{% for y in l %}{% set x = x + y %}{{ x }},{% endfor %}{{ x }}
{% set ns = namespace(x=0) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}
{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = ns.a + 1 %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}
{% set ns = namespace(a=1) %}{% set ns.a, ns.b = 5, 6 %}{{ ns.a }}{{ ns.b }}
{% set ns = namespace() %}{% set ns._x = 1 %}
{% set d.x = 1 %}
{% set missing.x = 1 %}
{% set ns = namespace(s="") %}{% for c in s %}{% set ns.s = c ~ ns.s %}{% endfor %}{{ ns.s }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}
{% set a, b = [1] %}
{% set (a, b), c = (1, 2), 3 %}{{ a }}{{ b }}{{ c }}
{% set a = 1, 2 %}{{ a }}
{% set a %}x{{ n }}{% endset %}{{ a }}|{{ a is string }}
{% set a | upper %}x{{ s }}{% endset %}{{ a }}
{% set a | upper | replace("X", "y") %}x{% endset %}{{ a }}
{% set a %}{% set b = 5 %}{{ b }}{% endset %}{{ a }}{{ b is defined }}
{% set 1 = 2 %}
{% set "a" = 2 %}
{% set a.b.c = 2 %}
{% set true = 2 %}
{% set a = %}
{% set a, b %}x{% endset %}
{% set n = 1 %}{{ n }}
{{ n }}{% set n = 1 %}{{ n }}
{% if no %}{% set n = 1 %}{% endif %}{{ n }}
{% if t %}{% set n = 1 %}{% endif %}{{ n }}
{% if no %}{% set zz = 1 %}{% endif %}{{ zz is defined }}
{% for x in l %}{{ n }}{% set n = x %}{{ n }};{% endfor %}{{ n }}
{% for x in l %}{% if no %}{% set n = 1 %}{% endif %}{{ n }}{% endfor %}
{% for x in l %}{{ n }}{% endfor %}{% set n = 9 %}
{% set n %}{{ n }}{% endset %}{{ n }}
{% macro m() %}{{ n }}{% endmacro %}{{ m() }}{% set n = 9 %}{{ m() }}
{% set q = 1 %}{% macro m() %}{{ q }}{% set q = 2 %}{{ q }}{% endmacro %}{{ m() }}{{ q }}
{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}
{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}
{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(3) }}
{% macro m(a=n, n=5) %}{{ a }}{{ n }}{% endmacro %}{{ m() }}
{% macro m(a=1, b) %}{% endmacro %}
{% macro m(a, a) %}{% endmacro %}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}
{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3) }}
{% macro m(a) %}{{ kwargs }}{% endmacro %}{{ m(1, z=2) }}
{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}body{{ n }}{% endcall %}
{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}+{{ b }}{% endcall %}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}
{% macro m() %}{{ caller is defined }}{% if caller %}{{ caller() }}{% endif %}{% endmacro %}{{ m() }}{% call m() %}y{% endcall %}
{% macro m() %}  x  {% endmacro %}{{ m()|trim }}{{ m() ~ "y" }}{{ m() is string }}
{% macro m(x) %}{% if x > 0 %}{{ x }}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(5) }}
{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}
{{ m() }}{% macro m() %}x{% endmacro %}
{% macro m() %}{% set zz = 1 %}{% endmacro %}{{ m() }}{{ zz is defined }}
{% macro m() %}{% endmacro %}{{ m }}
{% macro m(a, b) %}{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.caller }}
{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}
{% macro outer() %}{% macro inner(y) %}[{{ y }}]{% endmacro %}{{ inner(1) }}{% endmacro %}{{ outer() }}
{% macro m(*a) %}{% endmacro %}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{"a": 2}) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*1) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(**1) }}
{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1], b=2) }}{{ m(1, **{"b": 3}) }}
{{ dict(**{"a": 1}) }}{{ range(*[2, 4])|list }}
{{ range(1, *[2], 3) }}
{{ dict(a=1, a=2) }}
{{ dict(**d, x=1) }}
{% filter upper %}abc {{ s }}{% endfilter %}
{% filter upper|replace("A", "x") %}abc{% endfilter %}
{% filter nope %}x{% endfilter %}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}
{% with a = 1, b = a %}{{ b is defined }}{% endwith %}
{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}
{% with a, b = (1, 2) %}{{ a }}{{ b }}{% endwith %}
{% with n = n + 1 %}{{ n }}{% endwith %}{{ n }}
{% block a %}x{{ n }}{% endblock %}
{% block a %}x{% endblock a %}{{ self.a() }}
{% block a %}{% set n = 1 %}{{ n }}{% endblock %}{{ n }}
{% set q = 3 %}{% block a %}{{ q }}{% endblock %}
{% for x in l %}{% block a %}{{ x is defined }}{% endblock %}{% endfor %}
{% block a %}{% endblock %}{% block a %}{% endblock %}
{% print 1, 2 %}
{% print s|upper %}
{% generation %}a{{ n }}{% endgeneration %}
{% generation %}{% set q = 1 %}{% endgeneration %}{{ q is defined }}
{%- generation -%} x {%- endgeneration -%} y
{% raw %}{{ x }}{% if %}{# c #}{% endraw %}
a {%- raw -%} {{ x }} {%- endraw -%} b
a{# c #}b
a {#- c -#} b
a {# unclosed
{{ n
{% if t
{% if t %}
{% if t %}{% else %}
{% for x in l %}{% endif %}{% endfor %}
{% endif %}
{% nope %}
{% %}
{{ }}
{{ 1 2 }}
{{ (1 }}
{{ 1) }}
{{ [1, }}
{{ {1 }}
{{ a. }}
{{ a.1b }}
{{ 'abc }}
{{ "\x4" }}
{{ 1 +}}
{{ a if }}
{{ not }}
{{ a is }}
{{ a | }}
{{ a ! b }}
{{ a & b }}
{{ a @ b }}
{{ a ? b }}
{{ {1: 2}[1] }}{{ {"a": {"b": 1}}.a.b }}
{{ {"a": 1, } }}{{ [1, ] }}{{ (1, ) }}
{{ [1,,2] }}
{{ f(1,,2) }}
{{ range(3,)|list }}
{{ range(a=1 2) }}
{{ '}}' }}{{ "%}" }}{{ "{{" }}
{{ {"a": "}}"}["a"] }}
{{ 1 }}}
{ { 1 } } {% if t %}{ %}{% endif %}
{{- 1 -}} x {{- 2 }}
a {% if t -%}   b   {%- endif %} c
{% set c = cycler("a", "b") %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set _ = c.reset() %}{{ c.next() }}
{{ cycler() }}
{% set j = joiner("|") %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}
{% set j = joiner() %}{{ j() }}a{{ j() }}b{{ j() }}
{{ raise_exception("custom message") }}
{{ raise_exception() }}
{{ raise_exception(1) }}
{{ strftime_now("%Y-%m-%d %H:%M:%S") }}
{{ strftime_now("%d %b %Y|%A %B %j|%a %-d %e|%I:%M %p|%y|%U %W %V %u %w %G|%%|%D %F %T %R|%c|%x|%X|%C %h %n%t|%-m %-H") }}
{{ strftime_now("%Z%z.") }}
{{ strftime_now("é %q 100%") }}
{{ strftime_now(1) }}
{{ strftime_now() }}
{% set g = l|map("abs") %}{{ g|list }}{{ g|list }}
{% set g = d|items %}{{ g|list }}{{ g|list }}
{% set g = l|select("odd") %}{{ g|first }}{{ g|first }}{{ g|first is defined }}
{% set g = l|reverse %}{% for x in g %}{{ x }}{% endfor %}{% for x in g %}{{ x }}{% endfor %}
{% set g = ls|map("nope") %}ok
{{ l|map("abs")|length }}
{{ (l|map("abs"))[0] is defined }}
{{ "x"|indent(none) }}
{% set ns = namespace(found=false) %}{% for m in l if not ns.found %}{% set ns.found = true %}{{ m }}{% endfor %}
{% if "a" is nope %}{% endif %}
{% if no %}{{ s|nope }}{% endif %}ok
{% if t %}{{ s|nope }}{% endif %}
{{ s|nope if no else "ok" }}
{% for x in le %}{{ s|nope }}{% endfor %}
{% if no %}{% for x in l %}{{ x|nope }}{% endfor %}{% endif %}
{{ l.append(1) }}
{% set x = l.append %}ok
{{ l.append }}ok
{% do l.append(1) %}
{% import "x" as y %}
{% include "x" %}
{% extends "x" %}
{% from "x" import y %}
{% include "x" ignore missing %}
{% if no %}{% include "x" %}{% endif %}ok
{% trans %}x{% endtrans %}
{% call 1 %}{% endcall %}
{% call s.upper() %}x{% endcall %}
{% macro m(caller) %}{{ caller() }}{% endmacro %}{% call m() %}x{% endcall %}
{% macro m(caller=none) %}{{ caller() if caller else "none" }}{% endmacro %}{{ m() }}{% call m() %}x{% endcall %}
{% for x in l %}{% call m() %}{% endcall %}{% endfor %}
{% macro m(n) %}{{ n }}{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(20) }}
{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}
{{ self.a() }}
{{ super() }}
{{ context }}
{{ environment }}
{{ loop is defined }}{{ caller is defined }}{{ varargs is defined }}
{{ True }}{{ true }}{{ None }}{{ none }}{{ False }}
{{ TRUE }}
{{ nan is defined }}
{{ "a" "b" ~ "c" }}
{{ -1|abs }}{{ (-1)|abs }}{{ - 1 }}{{ +1 }}{{ --1 }}
{{ 1 if 0 else 2 if 0 else 3 }}
{{ (1 if 0) or "x" }}
{{ not 1 == 2 }}{{ not (1 == 2) }}{{ not 1 in [1] }}
{{ 1 + 2 * 3 - 4 / 2 ** 2 % 3 }}
{{ 1 ~ 2 + 3 }}{{ 1 + 2 ~ 3 }}{{ 2 * 3 ~ 4 }}
{{ "a" ~ "b" == "ab" }}{{ 1 < 2 and 2 < 3 or x.y }}
{{ a.b.c if a is defined else "none" }}
{{ [1, 2, 3][1:][0] }}{{ "abc"[1:][0] }}{{ "a,b".split(",")[0].upper() }}
{{ d["b"] + 1 }}{{ d.a ~ d.b }}{{ (d.a, d.b) }}
{{ users[0]["name"].lower()|title }}
{{ users|length > 2 and users[2].tags is not defined }}
{{ (users|first).name }}{{ (users|last)["name"] }}
{{ users|map(attribute="name")|map("upper")|join(", ") }}
{{ "abc"|list|join("-")|upper|length }}
{{ l|sort|first }}{{ l|max - l|min }}
{% set x = [] %}{% for i in l %}{% set x = x + [i * 2] %}{% endfor %}{{ x }}
{% set ns = namespace(x=[]) %}{% for i in l %}{% set ns.x = ns.x + [i * 2] %}{% endfor %}{{ ns.x }}
{% set ns = namespace(d={}) %}{% set ns.d = dict(ns.d, **{"a": 1}) %}{{ ns.d }}
{% for k, g in users|groupby("age") %}{{ k }}:{% for x in g %}{{ x.name }},{% endfor %};{% endfor %}
{% for g in users|groupby("age") %}{{ g.grouper }}{{ g.list|length }}{{ g[0] }}{% endfor %}
{% for row in range(5)|batch(2, "-") %}{% for c in row %}{{ c }}{% endfor %}/{% endfor %}
{% if loop is defined %}{{ loop.index }}{% else %}no loop{% endif %}
{% for x in l %}{% if not loop.last %}{{ x }}, {% else %}{{ x }}.{% endif %}{% endfor %}
{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}
{% for x in l %}{% set outer = loop %}{% for y in [1] %}{{ outer.index }}{% endfor %}{% endfor %}
{{ (2)[1:9] }}{{ [1.5[:1], (2)[1:9]|length] }}{{ "abc"["a":] }}{{ {1: 2}[1:2] }}{{ 1 if (2)[1:] else 3 }}
{{ n[1:9] }}
{{ d[1:2] }}
{{ s["a":] }}
{{ "abc"[::0] }}
{{ n ~ (2)[1:] }}
{{ (2)[1:].x }}
{% set v = (2)[1:9] %}{{ v is defined }}
{% set v = (2)[1:9]|length %}{{ v }}
{% set v = [(2)[1:9], (2)[1:9]|length] %}{{ v }}
{% for x in (2)[1:9] %}a{% endfor %}
{% if not (2)[1:9] %}a{% else %}b{% endif %}
{{ ((1 if 1 else n)[9:1])|length }}{{ ((0 and n)[9:1])|length }}{{ (1 < 1 < n)[9:1]|list }}
{% set v = ((n and 1)[9:1])|length %}{{ v }}
{% set v = ((2)[9:1] if no)|length %}{{ v }}
{% set v = ["a"[1:], (2)[9:1]|map("upper")|list] %}{{ v }}
{% set v = 5|items %}{% set v = 5|slice(2) %}{% set v = l|slice(0) %}{% set v = 5|batch(2) %}{{ (5|items)[0] }}{{ (5|batch(2)).foo }}
{{ 5|items|list }}
{{ missing|items|list }}{{ d|items|list }}
{{ l|slice("a")|list }}
{{ l|batch("a")|list }}{{ l|batch(0)|list }}{{ l|batch(-1, 7)|list }}{{ l|batch(2.0, "x")|list }}
{{ l|batch("a", 7)|list }}
{{ (l|map).x }}{{ (l|map("nope")).x }}{{ (l|select(5)).x }}{{ (l|selectattr).x }}{{ le|map|list }}{{ le|selectattr|list }}
{{ l|map|list }}
{{ l|selectattr|list }}
{% for v in ls %}{{ v }}{% set a, b = loop|first %}{{ a }}{{ b.index }};{% endfor %}
{% for v in ls %}{{ loop|list|length }}{{ loop.index }}{{ v }}{% else %}x{% endfor %}
{% for v in ls %}{{ loop|length }}{% for w in loop %}{{ w[0] }}{{ loop.index }}{% endfor %}{% endfor %}
{% for v in ls %}{{ loop|last }}{% endfor %}
{% for v in ls %}{{ ("c", loop) in loop }}{{ loop.index }}{% endfor %}
{% filter length %}x{% endfilter %}
{% filter list|first %}{% endfilter %}
{% filter default("a")|e %}<{% endfilter %}{% set v|length %}abc{% endset %}{{ v }}
{% call dict() %}x{% endcall %}
{% call namespace() %}x{% endcall %}
{{ [none, none]|sort }}{{ [{}, {}]|sort }}{{ [missing, missing]|sort }}
{{ [none, 1]|sort }}
{{ [none, none]|min }}
{{ {1: none, 2: none}|dictsort(by="value") }}
{{ [1] is filter }}
{{ ([],) is test }}
{{ (1,) is test }}{{ none is filter }}
{{ n.__len__ is defined }}{{ s.__len__ is defined }}{{ missing.__len__ is defined }}{{ namespace().__len__ is defined }}{{ (l|map("int")).gi_frame is defined }}
{{ n.__len__() }}
{{ s.__len__() }}
{{ missing.__foo__ }}
{{ (l|map("int")).gi_frame.x }}
{% for v in l %}{{ loop._length is defined }}{{ loop._len is defined }}{% endfor %}
{{ "<b>"|e|truncate(5, true, "<", 0) }}{{ [("<"|e).ljust(3), ("<"|e).rjust(3, "*"), ("<"|e).center(5), ("<"|e).zfill(3), ("<\t"|e).expandtabs(2)] }}
{{ ("<"|e).ljust(9, "&") }}
{{ [("<"|e).join(["<", 1, none, ">"|e, [2], missing]), ("<a>"|safe).replace("a", "<"), "ab"|safe|last, "ab"|safe|first] }}
{{ "" is sameas "" }}{{ s[0] is sameas "H" }}{{ s[0:2] is sameas "He" }}{{ ""|e is sameas "" }}
{{ raise_exception("a\0b") }}
"""

# Those of several lines, and those with other newlines.
SEVERAL = [
    " {{ 1 }} ",
    "{% filter indent(2) %}a\nb{% endfilter %}",
    "{% raw %}\nx\n{% endraw %}\ny", "a{# c #}b", "a {#- c -#} b", "a\n{# c #}\nb", "  {# c #}\nb", "a {# c -#}\n\n b",
    "a {#+ c +#}\n b", "a\n  {#+ c #}\nb",
    "a\n  {% if t %}\nb\n  {% endif %}\nc", "a\n  {%+ if t %}\nb\n  {%+ endif +%}\nc",
    "a\n{%- if t %}\nb\n{%- endif %}\nc", "{% if t %}\n\nx\n{% endif %}\n\ny", "  {{ 1 }}\n  {% set a = 1 %}  {{ a }}",
    "x {% set a = 1 %}\ny", "{%- set a = 1 -%}\n\n   y", "{% if t +%}\nx{% endif %}", "\t{% if t %}a{% endif %}",
    "\u00a0{% if t %}a{% endif %}", "{% if t %}a{% endif %}   \nb", "{% for x in l %}\n- {{ x }}\n{% endfor %}\nend",
    "{% for x in l -%}\n  {{ x }}\n{%- endfor -%}\nend", "{% set x = 5 %}\n\n{{ x }}\n",
    "a\r\nb\r{% if t %}\r\nc{% endif %}\r\n", "trailing\n\n", "one\n", "\n", "", " ", "\n\n", "{{ 'a\r\nb' }}", "x\n{{ 1 }}\n",
    "{{ 1\n+\n2 }}", "{%\nif t\n%}\nx\n{%\nendif\n%}", "a\n  {{- 1 -}}  \n b", "{{ '\\\nx' }}", "{{ 'a\nb' }}",
    "  {% if t %}  {% endif %}  x", "x  {% if t %}\n{% endif %}", "{% if t %}{% if t %}\n{% endif %}\n{% endif %}\nz",
    "a\n\t {%- if t -%}\n\n x \n{%- endif -%}\n b", "{# a #}\n{# b #}\nc", "{% set x %}\n a\n{% endset %}\n[{{ x }}]",
    "{% macro m() %}\n  x\n{% endmacro %}\n[{{ m() }}]", "é\n  {% if t %}é{% endif %}", "a {{ 1 }}\n{{ 2 }} b\n",
    "{% for x in l %}{{ x }}\n{% endfor %}", "{%- for x in l -%}{{ x }}\n{%- endfor -%}", "{% raw -%}  a {%- endraw %}  b",
    "{%+ raw %} a {%+ endraw %}", "  {% raw %}  a\n  {% endraw %}\nb", "{{ '{%' }}{% raw %}{% raw %}{% endraw %}",
    "\x0b{% if t %}a{% endif %}\x0c", "\u2028{% if t %}a{% endif %}", "a\u2028  {%- if t %}b{% endif %}",
]

UNSUPPORTED = r"""
{{ l|map("abs") }}
{{ l|random }}
{{ "\N{BULLET}" }}
{{ lipsum() }}
{{ s.encode() }}
{{ (-8) ** 0.5 }}
{{ "a &eacute; b"|striptags }}
{{ n|map }}
{{ s|urlize }}
{{ "%a" % s }}
{{ s.maketrans("a", "b") }}
{% autoescape true %}{{ html }}{% endautoescape %}
"""
