#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How much of each chat template's syntax tree the contexts execute.

A node is every statement and every expression of Jinja's syntax tree as parsed (jinja2.nodes.Stmt and Expr; each piece
of plain text counts as one; the Slice inside of a subscript, loop and assignment targets and macro parameters too).
Not nodes: Template, and what only groups (Keyword, Pair, Operand).

 - A statement is executed when it begins; an `elif` when its condition is evaluated.
 - An expression is executed when its value is there: untaken branches, the other arm of an inline if, operands that
   `and`, `or` and chains of comparisons pass over, and whatever comes after an error, are not executed.  A call of
   raise_exception is executed when its argument is there, since it never has a value.
 - Targets are executed when they are assigned; a macro's parameters when it is called, its defaults when they are used.

The tree is measured by wrapping each expression in a call and putting a call before each statement; the text that such
a tree renders is compared with Transformers' own, so the measuring is known not to change what is measured.

usage: coverage.py [--list] [TEMPLATE...]
"""
import argparse
import sys

from jinja2 import nodes
from transformers.utils import chat_template_utils

import contexts
import oracle

MARK = "plim_mark"
DONE = "plim_done"


class Instrument:
    """The tree with marks; `table` maps an id to (line, description)."""

    def __init__(self, source, tree):
        self.lines = source.split("\n")
        self.table = []
        tree.body = self.body(tree.body)
        self.tree = tree

    def new(self, node, what=None):
        self.table.append((node.lineno, what or describe(node)))
        return len(self.table) - 1

    # ---- marks ----

    def mark(self, ids, lineno):
        return nodes.ExprStmt(call(MARK, [constant(list(ids), lineno)], lineno)).set_lineno(lineno)

    def expr(self, node):
        """Wrap one expression and all below it; None stays None."""
        if node is None:
            return None
        ids = [self.new(node)]
        raises = isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "raise_exception"
        self.children(node, ids)
        if raises and node.args:
            node.args[-1] = call(DONE, [constant(ids, node.lineno), node.args[-1]], node.lineno)
            return node
        return call(DONE, [constant(ids, node.lineno), node], node.lineno)

    def many(self, items):
        return [self.expr(x) for x in items]

    def arguments(self, node):
        node.args = self.many(node.args or [])
        for k in node.kwargs or []:
            k.value = self.expr(k.value)
        node.dyn_args = self.expr(node.dyn_args)
        node.dyn_kwargs = self.expr(node.dyn_kwargs)

    def children(self, node, ids):
        if isinstance(node, (nodes.Const, nodes.TemplateData, nodes.Name, nodes.NSRef, nodes.ExtensionAttribute,
                             nodes.EnvironmentAttribute)):
            return
        if isinstance(node, (nodes.Filter, nodes.Test, nodes.Call)):
            node.node = self.expr(node.node)
            self.arguments(node)
        elif isinstance(node, (nodes.Tuple, nodes.List)):
            node.items = self.many(node.items)
        elif isinstance(node, nodes.Dict):
            for pair in node.items:
                pair.key, pair.value = self.expr(pair.key), self.expr(pair.value)
        elif isinstance(node, nodes.CondExpr):
            node.test, node.expr1, node.expr2 = self.expr(node.test), self.expr(node.expr1), self.expr(node.expr2)
        elif isinstance(node, nodes.Getattr):
            node.node = self.expr(node.node)
        elif isinstance(node, nodes.Getitem):
            node.node = self.expr(node.node)
            if isinstance(node.arg, nodes.Slice):
                # Generated in place, so it can't be wrapped: it is done when the subscript is.
                ids.append(self.new(node.arg))
                for part in ("start", "stop", "step"):
                    setattr(node.arg, part, self.expr(getattr(node.arg, part)))
            else:
                node.arg = self.expr(node.arg)
        elif isinstance(node, nodes.Compare):
            node.expr = self.expr(node.expr)
            for operand in node.ops:
                operand.expr = self.expr(operand.expr)
        elif isinstance(node, nodes.Concat):
            node.nodes = self.many(node.nodes)
        elif isinstance(node, nodes.BinExpr):
            node.left, node.right = self.expr(node.left), self.expr(node.right)
        elif isinstance(node, nodes.UnaryExpr):
            node.node = self.expr(node.node)
        else:
            raise TypeError("unknown expression " + type(node).__name__)

    def targets(self, node):
        return [self.new(x) for x in [node] + list(node.find_all(nodes.Expr))]

    # ---- statements ----

    def body(self, statements):
        out = []
        for s in statements:
            out.append(self.mark([self.new(s)], s.lineno))
            out.extend(self.statement(s))
        return out

    def elif_(self, node):
        ids = [self.new(node, "Elif")]
        node.test = call(DONE, [constant(ids, node.lineno), self.expr(node.test)], node.lineno)
        node.body = self.body(node.body)
        return node

    def chain(self, node):
        """The filter of a filter block or a block set: its innermost has no operand, so only arguments are wrapped."""
        ids = []
        while node is not None:
            ids.append(self.new(node))
            self.arguments(node)
            node = node.node
        return ids

    def statement(self, s):
        if isinstance(s, nodes.Output):
            s.nodes = self.many(s.nodes)
        elif isinstance(s, nodes.If):
            s.test = self.expr(s.test)
            s.body, s.else_ = self.body(s.body), self.body(s.else_)
            s.elif_ = [self.elif_(x) for x in s.elif_]
        elif isinstance(s, nodes.For):
            targets = self.targets(s.target)
            s.iter = self.expr(s.iter)
            if s.test is not None:
                s.test = self.expr(s.test)
            s.body = [self.mark(targets, s.lineno)] + self.body(s.body)
            s.else_ = self.body(s.else_)
        elif isinstance(s, nodes.Macro):
            ids = [self.new(x) for x in s.args]
            s.defaults = self.many(s.defaults)
            s.body = [self.mark(ids, s.lineno)] + self.body(s.body)
        elif isinstance(s, nodes.Assign):
            ids = self.targets(s.target)
            s.node = self.expr(s.node)
            return [s, self.mark(ids, s.lineno)]
        elif isinstance(s, nodes.AssignBlock):
            ids = self.targets(s.target) + self.chain(s.filter)
            s.body = self.body(s.body)
            return [s, self.mark(ids, s.lineno)]
        elif isinstance(s, nodes.FilterBlock):
            ids = self.chain(s.filter)
            s.body = self.body(s.body)
            return [s, self.mark(ids, s.lineno)]
        elif isinstance(s, nodes.CallBlock):
            ids = [self.new(s.call)] + [self.new(x) for x in s.args]
            s.call.node = self.expr(s.call.node)
            self.arguments(s.call)
            s.defaults = self.many(s.defaults)
            s.body = self.body(s.body)
            return [s, self.mark(ids, s.lineno)]
        elif isinstance(s, nodes.ExprStmt):
            s.node = self.expr(s.node)
        elif not isinstance(s, (nodes.Continue, nodes.Break)):
            raise TypeError("unknown statement " + type(s).__name__)
        return [s]


def constant(value, lineno):
    return nodes.Const(value).set_lineno(lineno)


def call(name, args, lineno):
    return nodes.Call(nodes.Name(name, "load").set_lineno(lineno), args, [], None, None).set_lineno(lineno)


def describe(node):
    kind = type(node).__name__
    for field in ("name", "attr"):
        if isinstance(getattr(node, field, None), str):
            return f"{kind} {getattr(node, field)}"
    if isinstance(node, nodes.Const):
        return f"{kind} {node.value!r}"[:50]
    if isinstance(node, nodes.TemplateData):
        return f"{kind} {node.data!r}"[:50]
    if isinstance(node, nodes.Output):
        return "Output of " + ", ".join(describe(x) for x in node.nodes)[:60]
    return kind


class Measure:
    """One template with marks; execute() may be called with any number of contexts."""

    def __init__(self, source):
        self.source = source
        compile_plain = chat_template_utils._cached_compile_jinja_template
        self.environment = compile_plain(source).environment
        instrument = Instrument(source, self.environment.parse(source))
        self.table = instrument.table
        self.hits = set()
        self.hits_of_texts = set()
        names = {n.name for n in instrument.tree.find_all(nodes.Name)}
        assert MARK in names

        def mark(ids):
            self.hits.update(ids)

        def done(ids, value):
            self.hits.update(ids)
            return value

        self.environment.globals[MARK] = mark
        self.environment.globals[DONE] = done
        code = self.environment.compile(instrument.tree, "<template>", "<template>")
        # A template of the same environment class, so extensions find what they need.
        self.template = self.environment.template_class.from_code(
            self.environment, code, self.environment.make_globals(None))
        self.plain = compile_plain(source)

    def outcome(self, context):
        """Render with marks, by way of Transformers' own function; the same outcome as oracle.outcome gives."""
        before = chat_template_utils._compile_jinja_template
        chat_template_utils._compile_jinja_template = lambda source: self.template
        try:
            return oracle.outcome(self.source, context)
        finally:
            chat_template_utils._compile_jinja_template = before

    def execute(self, name, context):
        before, self.hits = self.hits, set()
        got, want = self.outcome(context), oracle.outcome(self.source, context)
        if "text" in want:
            self.hits_of_texts |= self.hits
        self.hits |= before
        if got != want and not ("error" in got and "error" in want):
            raise AssertionError(f"{name}: measuring changed the outcome:\n{want}\n{got}")
        return want

    def covered(self):
        return len(self.hits), len(self.table)

    def missing(self):
        return [(line, what) for i, (line, what) in enumerate(self.table) if i not in self.hits]


def reason(template, line):
    return next((why for first, last, why in contexts.DEAD.get(contexts.original(template), []) if first <= line <= last), None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true", help="list what is not executed")
    parser.add_argument("templates", nargs="*")
    args = parser.parse_args()
    sources = {n: oracle.read_template(p) for n, p in oracle.template_paths(args.templates).items()}
    sources.update(contexts.changed(sources))
    least = []
    renders = 0
    for name, source in sources.items():
        measure = Measure(source)
        outcomes = [measure.execute(f"{name}, {n}", c) for n, c in contexts.for_template(name)]
        renders += len(outcomes)
        have, total = measure.covered()
        dead = sum(reason(name, line) is not None for line, _ in measure.missing())
        share, reachable = 100 * have / total, 100 * have / (total - dead)
        least.append((reachable, share, name))
        print(f"{name}: {have} of {total} nodes, {share:.2f} %; {dead} that no context reaches, {reachable:.2f} % of the rest; "
              f"{len(outcomes)} contexts, {sum('error' in x for x in outcomes)} of them errors; "
              f"{100 * len(measure.hits_of_texts) / total:.2f} % in those that give a text")
        if args.list:
            for line, what in measure.missing():
                why = reason(name, line)
                print(f"  line {line}: {what}" + (f"  [{why}]" if why else ""))
    print(f"{renders} renders; least of all nodes: {min(x[1] for x in least):.2f} %, of those that a context can reach: "
          f"{min(least)[0]:.2f} %")
    sys.exit(min(least)[0] < 95)


if __name__ == "__main__":
    main()
