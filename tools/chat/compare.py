#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C renderer against Transformers, live: all templates with all contexts, and contexts changed at random.

usage: compare.py DRIVER [TEMPLATE...] [--mutations N] [--seed S] [--show N] [--no-reduce]
DRIVER is the program chat_driver of the tests.  N mutated contexts are made for each template.  Each class of difference
is reported with its smallest example.  Exit 1 when there is any.
"""
import argparse
import collections
import copy
import json
import os
import re
import sys
import tempfile

import contexts
import mutate
import oracle
from driver import Driver


# What messages of errors need not have; C's end at a NUL.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def undecided(context):
    """No messages; and what Transformers takes by accident: an empty string or object that iterates as nothing."""
    return "messages" not in context or any(isinstance(context.get(k), (str, dict)) and not context.get(k) for k in ("messages", "tools", "documents"))


def first_difference(want, have):
    a, b = want.encode(), have.encode()
    i = len(os.path.commonprefix([a, b]))
    return i, a[max(0, i - 20):i + 40], b[max(0, i - 20):i + 40]


def classify(want, have):
    """None where they agree, else what kind of difference."""
    if "died" in have:
        return "the driver died"
    if "error" in want and "error" in have:
        if want["error"].startswith("RecursionError"):
            return None
        unsafe = want["error"].startswith("SecurityError")
        if have.get("code") != ("UNSAFE" if unsafe else "FORMAT"):
            return f"code {have.get('code')} for {want['error'].split(':')[0]}"
        said = want["error"].removeprefix("TemplateError: ")
        if said != want["error"] and CONTROL.split(said)[0][:200] not in have["error"]:
            return "what raise_exception said is not told"
        return None
    if " at 0x" in want.get("text", ""):
        return None  # an address of Python's
    if "error" in want:
        return "a text where Python raises " + want["error"].split(":")[0]
    if "error" in have:
        return "an error where Python gives a text: " + have.get("code", "?")
    if want["text"] != have["text"]:
        return "another text"
    problem = span_problem(have)
    return "spans: " + problem if problem else None


def span_problem(have):
    at = 0
    for begin, end in have["spans"]:
        if begin < at or end <= begin:
            return "not ascending and disjoint"
        at = end
    return "beyond the text" if at > len(have["text"].encode()) else None


def reductions(value):
    """Copies of a JSON value with one thing less."""
    if isinstance(value, dict):
        for k in value:
            yield {x: y for x, y in value.items() if x != k}
        for k, v in value.items():
            for smaller in reductions(v):
                yield {**value, k: smaller}
    elif isinstance(value, list):
        for i in range(len(value)):
            yield value[:i] + value[i + 1:]
        for i, v in enumerate(value):
            for smaller in reductions(v):
                yield value[:i] + [smaller] + value[i + 1:]
    elif isinstance(value, str) and len(value) > 1:
        yield value[:len(value) // 2]
        yield value[len(value) // 2:]
        if len(value) < 12:
            yield from (value[:i] + value[i + 1:] for i in range(len(value)))


def reduce(driver, source, context, kind):
    for _ in range(60):
        smaller = [c for c in reductions(context) if not undecided(c)][:400]
        for candidate, have in zip(smaller, driver.run(smaller)):
            if classify(oracle.outcome(source, candidate), have) == kind:
                context = candidate
                break
        else:
            break
    return context


def report(name, source, driver, kind, examples, args):
    print(f"{name}: {kind}: {len(examples)} contexts")
    for label, context in sorted(examples, key=lambda x: len(json.dumps(x[1])))[:args.show]:
        if not args.no_reduce:
            context = reduce(driver, source, copy.deepcopy(context), kind)
        want, have = oracle.outcome(source, context), driver.run([context])[0]
        print(f"    {label}: {json.dumps(context)[:600]}")
        if "text" in want and "text" in have:
            i, a, b = first_difference(want["text"], have["text"])
            print(f"      byte {i}: want {a!r}\n      have {b!r}")
        else:
            print(f"      want {json.dumps(want)[:200]}\n      have {json.dumps(have)[:300]}")


def compare(name, source, path, args, totals):
    driver = Driver(args.driver, path)
    named = contexts.for_template(name) + mutate.mutations(name, source, args.mutations, args.seed)
    named = [(n, c) for n, c in named if not undecided(c)]
    classes = collections.defaultdict(list)
    for (label, context), have in zip(named, driver.run([c for _, c in named])):
        want = oracle.outcome(source, context)
        totals["texts" if "text" in want else "errors"] += 1
        kind = classify(want, have)
        if kind:
            classes[kind].append((label, context))
    for kind, examples in sorted(classes.items()):
        report(name, source, driver, kind, examples, args)
    totals["different"] += sum(map(len, classes.values()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("templates", nargs="*")
    parser.add_argument("--mutations", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=2)
    parser.add_argument("--no-reduce", action="store_true")
    args = parser.parse_args()
    totals = collections.Counter()
    paths = oracle.template_paths(args.templates)
    sources = {n: oracle.read_template(p) for n, p in paths.items()}
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, source) in enumerate(contexts.changed(sources).items()):
            paths[name] = os.path.join(folder, f"{i}.jinja")
            with open(paths[name], "w", encoding="utf-8") as f:
                f.write(source)
            sources[name] = source
        for name, source in sources.items():
            compare(name, source, paths[name], args, totals)
    print(f"{len(sources)} templates, {totals['texts']} texts and {totals['errors']} errors of Python's, "
          f"{totals['different']} differ")
    sys.exit(totals["different"] > 0)


if __name__ == "__main__":
    main()
