#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small random templates, from a seed, through the C renderer and through Transformers' Jinja: what differs.

usage: language.py DRIVER [--count N] [--seed S] [--show N]
Every expression, filter, test, method and statement of Jinja that needs no loader occurs; values are small.
"""
import argparse
import collections
import json
import random
import sys

import oracle
from compare import classify
from driver import Driver

CONTEXT = {
    "messages": [{"role": "user", "content": "Hi  there\n"}], "s": "Hello, World", "e": "", "n": 3, "g": -7, "f": 2.5, "t": True,
    "z": None, "l": [3, 1, 2], "ls": ["b", "a", "C", "\u00e9", "a"], "lm": [1, "1", 1.0, True, None, "", []], "le": [],
    "d": {"b": 1, "a": "x", "items": 5, "C": None}, "de": {}, "ll": [[1, 2], [3, [4]]], "big": 2 ** 53 + 1, "m": "<b>&'\"\\",
    "ld": [{"k": 1, "v": "x"}, {"k": 2, "v": "Y"}, {"k": 1, "v": "z", "w": {"q": [7]}}, {"v": ""}],
    "uni": "\u00c9t\u00e9 \u4e2d\u6587 \U0001f999 \u00df\u0130\u01c5 \u0301\u2028x\u00a0", "lines": "a b\n\n  c\r\nd\te \n", "num": " 12 ", "hex": "0x1F", "fl": "1e3",
    "nul": "a\u0000b", "long": "The quick brown fox jumps over the lazy dog near the bank.", "html": "<p>One &amp; <!-- c --> two</p>",
}
NAMES = list(CONTEXT) + ["undefined_name", "v", "v2", "loop", "ns"]
FILTERS = {
    "abs": [], "attr": ["str"], "batch": ["small", "any?"], "capitalize": [], "center": ["width?"], "count": [], "d": ["any?", "bool?"],
    "default": ["any", "bool?"], "dictsort": ["bool?"], "e": [], "escape": [], "filesizeformat": ["bool?"], "first": [],
    "float": ["any?"], "forceescape": [], "format": ["any", "any?"], "groupby": ["key"], "indent": ["small?", "bool?", "bool?"],
    "int": ["any?", "base?"], "items": [], "join": ["str?", "key?"], "last": [], "length": [], "list": [], "lower": [],
    "map": ["mapper"], "max": [], "min": [], "pprint": [], "reject": ["test?"], "rejectattr": ["key", "test?"],
    "replace": ["str", "str", "small?"], "reverse": [], "round": ["small?", "method?"], "safe": [], "select": ["test?"],
    "selectattr": ["key", "test?"], "slice": ["small", "any?"], "sort": ["sort?"], "string": [], "striptags": [], "sum": ["sum?"],
    "title": [], "tojson": ["json?"], "trim": ["str?"], "truncate": ["width?", "bool?", "str?"], "unique": ["unique?"], "upper": [],
    "urlencode": [], "wordcount": [], "wordwrap": ["width?", "bool?"], "xmlattr": ["bool?"],
}
TESTS = {"boolean": [], "callable": [], "defined": [], "divisibleby": ["small"], "eq": ["any"], "equalto": ["any"], "escaped": [],
         "even": [], "false": [], "filter": [], "float": [], "ge": ["any"], "gt": ["any"], "in": ["any"], "integer": [],
         "iterable": [], "le": ["any"], "lower": [], "lt": ["any"], "mapping": [], "ne": ["any"], "none": [], "number": [], "odd": [],
         "sameas": ["any"], "sequence": [], "string": [], "test": [], "true": [], "undefined": [], "upper": []}
METHODS = {
    "upper": [], "lower": [], "strip": ["str?"], "lstrip": ["str?"], "rstrip": ["str?"], "split": ["str?", "small?"],
    "rsplit": ["str?", "small?"], "splitlines": ["bool?"], "replace": ["str", "str", "small?"], "startswith": ["str"],
    "endswith": ["str"], "title": [], "capitalize": [], "swapcase": [], "casefold": [], "find": ["str"], "rfind": ["str"], "index": ["any"],
    "count": ["any"], "join": ["any"], "format": ["any?", "any?"], "isdigit": [], "isalpha": [], "isalnum": [], "isspace": [],
    "isupper": [], "islower": [], "istitle": [], "isnumeric": [], "isdecimal": [], "isidentifier": [], "isascii": [], "zfill": ["width"], "center": ["width", "fill?"],
    "ljust": ["width", "fill?"], "rjust": ["width"], "partition": ["str"], "rpartition": ["str"], "removeprefix": ["str"],
    "removesuffix": ["str"], "expandtabs": ["small?"], "encode": [], "items": [], "keys": [], "values": [], "get": ["key", "any?"],
    "copy": [], "append": ["any"], "pop": ["small?"], "update": ["any"], "is_integer": [], "bit_length": [], "conjugate": [],
    "__class__": [], "__len__": [], "mro": [],
}
STRINGS = ["''", "'a'", "'x y'", "', '", "'\\n'", "'\\t\\\\'", "\"it's\"", "'\\u00e9'", "'\\x41'", "'%s|%d'", "'%s'", "'{}-{}'", "'{0!r:>5}'", "'k'", "'v'", "'l'", "'o'", "' '",
           "'World'", "'<i>'", "'1'", "'12'", "'-3.5'", "'abcABC'", "'A'", "'\u4e2d'", "'%5.2f'", "'%(b)s'", "'{b}'", "'aa' 'bb'", "'0b11'", "'1_000'", "'nan'"]
NUMBERS = ["0", "1", "2", "3", "7", "-1", "-2", "10", "1.5", "0.1", "2.0", "1e3", "1_000", "0x1f", "0b101", "0o17", "-0.5", "100000", "1e22", "9007199254740993"]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, *options):
        return self.r.choice(options)

    def argument(self, kind, depth):
        r = self.r
        kind = kind.rstrip("?")
        if kind == "any":
            return self.expr(depth + 2)
        if kind == "str":
            return r.choice(STRINGS)
        if kind == "key":
            return r.choice(["'k'", "'v'", "'w.q'", "'a'", "'b'", "'items'", "0", "1", "'w'", "'zz'", "'role'"])
        if kind == "small":
            return r.choice(["0", "1", "2", "3", "-1", "4", "true"])
        if kind == "width":
            return r.choice(["0", "5", "9", "20", "30"])
        if kind == "base":
            return r.choice(["2", "8", "10", "16", "0"])
        if kind == "fill":
            return r.choice(["'*'", "'-'", "'xx'"])
        if kind == "bool":
            return r.choice(["true", "false", "True", "none"])
        if kind == "method":
            return r.choice(["'ceil'", "'floor'", "'common'", "'up'"])
        if kind == "mapper":
            return r.choice(["'upper'", "'length'", "attribute='k'", "attribute='v', default='?'", "'default', 'x'", "'int'", "'string'", "'tojson'",
                             "'join', '-'", "attribute='w.q.0'", "'trim'", "'list'", "attribute=0", "'nope'", "'replace', 'a', 'b'", ""])
        if kind == "test":
            test = r.choice(list(TESTS))
            return ", ".join([f"'{test}'"] + [self.argument(a, depth + 1) for a in TESTS[test]])
        if kind == "sort":
            return r.choice(["reverse=true", "attribute='k'", "attribute='v'", "case_sensitive=true", "true", "attribute='k,v'", "attribute=0"])
        if kind == "sum":
            return r.choice(["start=5", "attribute='k'", "start=''"])
        if kind == "unique":
            return r.choice(["true", "attribute='k'", "case_sensitive=false"])
        return r.choice(["indent=2", "indent=0", "ensure_ascii=true", "sort_keys=true", "indent=4, ensure_ascii=false", "separators=(',', ':')", "true",
                         "indent='  '"])

    def arguments(self, kinds, depth):
        out = []
        for kind in kinds:
            if kind.endswith("?") and self.r.randrange(2):
                break
            out.append(self.argument(kind, depth))
        return ", ".join(out)

    def atom(self):
        k = self.r.randrange(10)
        if k < 5:
            return self.r.choice(NAMES)
        if k < 7:
            return self.r.choice(NUMBERS)
        if k < 9:
            return self.r.choice(STRINGS)
        return self.pick("true", "false", "none", "[]", "{}", "()", "(1,)", "[1, 'a', none]", "{'k': 1, 'v': s}", "(1, 2)", "{1: 2, 'a': (3,)}")

    def expr(self, depth=0):
        r = self.r
        if depth > 3 or r.randrange(10) < depth:
            return self.atom()
        a = self.expr(depth + 1)
        k = r.randrange(25)
        if k < 8:
            name = r.choice(list(FILTERS))
            args = self.arguments(FILTERS[name], depth)
            return f"({a})|{name}" + (f"({args})" if args or r.randrange(4) == 0 else "")
        if k < 11:
            name = r.choice(list(METHODS))
            return f"({a}).{name}({self.arguments(METHODS[name], depth)})"
        if k < 13:
            test = r.choice(list(TESTS))
            args = self.arguments(TESTS[test], depth)
            return f"({a}) is {self.pick('', 'not ')}{test}" + (f"({args})" if args else "")
        if k == 13:
            return f"({a}){self.pick('[0]', '[-1]', '[1]', '.k', '.items', '[s]', '.a', '[none]', '[5]', '.0', '[true]', '.length')}"
        if k == 14:
            return f"({a})[{self.pick('', '1', '-2', 'n', 'none', '9')}:{self.pick('', '2', '-1', '0', '9')}{self.pick('', '', ':2', ':-1', ':0', ':none')}]"
        if k < 18:
            op = self.pick("+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "and", "or", "~", "+", "**")
            b = self.pick("2", "3", "-1", "0.5") if op in ("**", "*") else self.expr(depth + 1)
            return f"{self.pick(a, '(' + a + ')')} {op} {self.pick(b, '(' + b + ')')}"
        if k == 18:
            return f"{self.pick('not ', '-', '+', 'not not ', '--')}{a}"
        if k == 19:
            return f"({a} if {self.expr(depth + 1)}{self.pick(' else ' + self.expr(depth + 1), '')})"
        if k == 20:
            return f"[{a}, {self.expr(depth + 1)}]"
        if k == 21:
            return f"{{{self.pick(repr('q'), '1', 'n', 's', '1.0', 'true', 'none', a)}: {a}, 'r': {self.expr(depth + 1)}}}"
        if k == 22:
            return f"1 < {a} {self.pick('<', '==', '!=', 'in')} {self.expr(depth + 1)}"
        if k == 23:
            return self.pick(f"range({self.argument('small', 0)})", "range(1, 9, 3)|list", "range(5, 0, -2)", "dict(a=1, **d)", "dict(ll)", "namespace(a=1).a",
                             f"cycler(1, {a}).next()", "joiner('-')()", "namespace(d).b", "range(3)[1:]", "dict", "range", "loop", "self",
                             "dict.fromkeys('ab', 1)", "lipsum", "namespace(_a=1)", "strftime_now('%Y-%m-%d %H:%M:%S %a %A %b %B %j %p %I %y %d %% %U %e')")
        return f"({a}, {self.expr(depth + 1)})"

    def mark(self):
        return self.pick("", "", "", "-", "+")

    def tag(self, text):
        return "{%" + self.mark() + " " + text + " " + self.pick("", "", "-") + "%}"

    def statement(self, depth=0):
        r = self.r
        k = r.randrange(22)
        if k < 9 or depth > 2:
            return "{{" + self.pick("", "-", "+") + " " + self.expr() + " " + self.pick("", "-") + "}}"
        if k == 9:
            return self.pick("text", " \n ", "\n", "  ", "{# c #}", "{#- c -#}", "\n\n  ", "\t", "{ {", "% }", "{% raw %}{{ x }}{% endraw %}", "  {#+ c #}\n",
                             "{%- raw -%} {% x %} {%- endraw -%}", "\\n'\"")
        body = lambda: self.block(depth + 1)
        if k < 12:
            loop = self.pick("{{ loop.index }}", "{{ loop.first }}{{ loop.last }}", "{{ loop.revindex0 }}", "{{ v }}", "{{ loop.previtem }}", "{{ loop.nextitem }}",
                             "{{ loop.cycle('a', 'b') }}", "{{ loop.changed(v) }}", "{{ loop.length }}", "{{ loop.depth }}", "{{ loop }}",
                             "{% if loop.index == 2 %}{% break %}{% endif %}", "{% if v %}{% continue %}{% endif %}", "{% set ns.a = v %}", "{% set n = v %}")
            target = self.pick("v", "v", "v", "v, v2", "(v, v2)", "v, (v2, s)")
            return (self.tag(f"for {target} in {self.expr(1)}" + self.pick("", "", f" if {self.expr(1)}")) + loop + body()
                    + self.pick("", self.tag("else") + body()) + self.tag("endfor"))
        if k == 12:
            return self.tag(f"for v in {self.pick('ll', 'l', 'ld')} recursive") + "[{{ v }}{{ loop(v) if v is iterable and v is not string and v is not mapping }}]" + self.tag("endfor")
        if k < 15:
            return (self.tag(f"if {self.expr(1)}") + body() + self.pick("", self.tag(f"elif {self.expr(1)}") + body())
                    + self.pick("", self.tag("else") + body()) + self.tag("endif"))
        if k < 17:
            return self.tag(self.pick(f"set v = {self.expr(1)}", f"set n, s = {self.expr(1)}, {self.expr(1)}", "set ns = namespace(a=1, b=[])", f"set ns.a = {self.expr(1)}",
                                      f"set v, v2 = {self.expr(1)}", "set d.a = 1", "set l[0] = 1"))
        if k == 17:
            return self.tag("set v" + self.pick("", "|upper", "|trim|length", "|tojson")) + body() + self.tag("endset") + "{{ v }}"
        if k == 18:
            return (self.tag("macro f(a, b=" + self.expr(2) + self.pick("", ", c=a", ", c") + ")") + body() + "{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}"
                    + self.tag("endmacro") + "{{ f(" + self.pick("", "1", "1, 2", "b=s", "1, 2, 3, 4", "1, x=2", "*l", "**d", "1, b=2, c=3", "a=1, a=2") + ") }}"
                    + self.pick("", "{{ f.name }}{{ f.arguments }}{{ f.catch_kwargs }}{{ f }}"))
        if k == 19:
            return (self.tag("macro g(a)") + "<{{ caller(" + self.pick("", "1", "a, 2") + ") }}>" + self.tag("endmacro")
                    + self.tag("call" + self.pick("", "(x)", "(x, y=5)") + " g(" + self.expr(2) + ")") + "{{ x }}{{ y }}" + body() + self.tag("endcall"))
        if k == 20:
            return self.tag("filter " + self.pick("upper", "trim", "indent(2)", "replace('a', 'b')|length", "tojson", "escape", "nope")) + body() + self.tag("endfilter")
        return self.pick(self.tag("with v = " + self.expr(1) + self.pick("", ", v2 = v")) + body() + self.tag("endwith"),
                         self.tag("generation") + body() + self.tag("endgeneration"), self.tag("block q") + body() + self.tag("endblock"),
                         self.tag("autoescape true") + body() + self.tag("endautoescape"), self.tag("do l.append(1)"), self.tag("include 'x'"),
                         self.tag("endif"), "{{ }}", "{{ s", self.tag("if"), self.tag("extends 'x'"), self.tag("import 'x' as y"))

    def block(self, depth):
        return "".join(self.pick("", " ", "\n", "x") + self.statement(depth) + self.pick("", "\n") for _ in range(self.r.choice([1, 1, 1, 2, 3])))

    def template(self):
        """Mostly pieces that each give a text; some as they come, which seldom do."""
        if self.r.randrange(5) == 0:
            return self.block(1)
        out = ""
        for _ in range(self.r.randrange(1, 4)):
            for _ in range(30):
                piece = self.block(self.pick(1, 2, 3))
                if "text" in oracle.outcome(piece, CONTEXT):
                    out += piece
                    break
        return out


def judge(source, have):
    """(what Python gives, the kind of difference or None)"""
    want = oracle.outcome(source, CONTEXT)
    if " at 0x" in want.get("text", ""):
        return want, None  # an address of Python's
    if "error" not in have:
        return want, classify(want, have)
    if have["code"] in ("UNSUP", "LIMIT"):
        return want, None  # says so itself
    if "text" in want:
        return want, "an error where Python gives a text: " + have["code"]
    unsafe = want["error"].startswith("SecurityError")
    if unsafe == (have["code"] == "UNSAFE"):
        return want, None
    return want, f"code {have['code']} for {want['error'].split(':')[0]}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=12)
    args = parser.parse_args()
    classes, totals = collections.defaultdict(list), collections.Counter()
    sources = [Maker(args.seed * 10 ** 6 + i).template() for i in range(args.count)]
    answers = Driver(args.driver, "-").run([{"template": s, "context": CONTEXT} for s in sources])
    for source, have in zip(sources, answers):
        want, kind = judge(source, have)
        totals["texts" if "text" in want else "errors"] += 1
        totals["refused"] += have.get("code") in ("UNSUP", "LIMIT")
        if kind:
            classes[kind].append((source, want, have))
    for kind, examples in sorted(classes.items()):
        print(f"{kind}: {len(examples)}")
        for source, want, have in sorted(examples, key=lambda x: len(x[0]))[:args.show]:
            print(f"    {source!r}\n      want {json.dumps(want)[:250]}\n      have {json.dumps(have)[:250]}")
    print(f"{args.count} templates, {totals['texts']} texts and {totals['errors']} errors of Python's, {totals['refused']} refused as "
          f"not supported or over a limit, {sum(map(len, classes.values()))} differ")
    sys.exit(bool(classes))


if __name__ == "__main__":
    main()
