#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Input never becomes a special token: is every byte that came from a context marked, and no other?

Special tokens are those of the tokenizer.json files given, and what looks like one in the template itself.  For every
template and context (contexts.py):

 1. Sown: each string of the context becomes characters of a private plane (those that steer the template, such as
    roles, stay).  Each such character of the text must be marked.  Bytes that are marked and come from none are
    counted by what they are: strings that stayed, numbers, or a fault.
 2. Injected: special tokens are put into each string and each key, one place at a time: all of them in a row, and each
    alone as the whole string.  A twin has private characters of the same number of bytes instead.  Where the twin's text
    is the same but for those, the marks must be the same, and cover them; the number of special tokens without a
    marked byte must be the same.  Where it is not (the token steered the template), a special token that is in no literal
    of the template may not occur without a marked byte.

usage: injection.py DRIVER [TEMPLATE...] [--tokenizer FILE]... [--each N]
--each: how many tokens are put alone into each place (in turn; default 3).
"""
import argparse
import collections
import copy
import json
import re
import sys

import contexts
import mutate
import oracle
from driver import Driver

LOOKS_SPECIAL = re.compile(r"<\|[^<>|{}\s]{1,40}\|>|<\uff5c[^<>\uff5c\s]{1,40}\uff5c>|</?[a-z_:]{1,24}>|\[/?[A-Z_]{2,24}\]|<\|[a-z_]{1,20}>|<[a-z_]{1,20}\|>")
# Strings that choose what a template does, by key.
STEERING = {"role", "type", "thinking_mode", "reasoning_effort", "think_render_option", "bos_token", "eos_token",
            "continue_final_message"}
# Keys that templates ask for: all others are input.
STRUCTURE = set(mutate.KEYS) | {"messages", "tools", "documents", "controls"}
PLANE = 0xF0000


def strings(context):
    """(container, key) of every string value."""
    return [(at, key) for at, key in mutate.places(context) if isinstance(at[key], str)]


def sown(context):
    """Every string that steers nothing, in private characters; keys that templates don't ask for too."""
    def walk(value, key):
        if isinstance(value, dict):
            return {(k if k in STRUCTURE or key in ("", "messages") else plane(k)): walk(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [walk(v, key) for v in value]
        return plane(value) if isinstance(value, str) and key not in STEERING else value
    return {k: walk(v, k) for k, v in context.items()}


def plane(text):
    return "".join(chr(PLANE + ord(c) if ord(c) < 0xFFF0 else PLANE + 0x10000 + ord(c) % 0xFFF0) for c in text)


def marks(have):
    mask = bytearray(len(have["text"].encode()))
    for begin, end in have["spans"]:
        mask[begin:end] = b"\1" * (end - begin)
    return mask


def twin(token):
    """Private characters of as many bytes."""
    n = len(token.encode())
    out = "\U00100041" * (n // 4) + ["", "?", "\u00a4", "\ue041"][n % 4]
    assert len(out.encode()) == n
    return out


def free(text, mask, tokens):
    """How often each token occurs with no marked byte."""
    data = text.encode()
    out = collections.Counter()
    for token in tokens:
        want = token.encode()
        at = data.find(want)
        while at >= 0:
            out[token] += not any(mask[at:at + len(want)])
            at = data.find(want, at + 1)
    return +out


def literals(source):
    return oracle.chat_template_utils._get_template_literal_text(source)


class Check:
    def __init__(self, name, source, driver, special):
        self.name, self.source, self.driver = name, source, driver
        self.literals = literals(source)
        own = list(dict.fromkeys(LOOKS_SPECIAL.findall(self.literals)))
        self.special = list(dict.fromkeys(own + special))
        self.tokens = {t: i for i, t in enumerate(self.special)}
        self.faults = []
        self.counts = collections.Counter()
        self.over = collections.Counter()

    def fault(self, what, label, context, detail):
        self.faults.append((what, label, context, detail))

    def sow(self, named):
        planted = [(label, sown(c)) for label, c in named]
        for (label, context), have in zip(planted, self.driver.run([c for _, c in planted])):
            if "text" not in have:
                self.counts["sown, error"] += 1
                continue
            self.counts["sown"] += 1
            mask = marks(have)
            at, loose = 0, ""
            for c in have["text"]:
                n = len(c.encode())
                inside = bool(mask[at])
                if any(bool(b) != inside for b in mask[at:at + n]):
                    self.fault("a character half marked", label, context, f"at byte {at}")
                if PLANE <= ord(c):
                    if not inside:
                        self.fault("input that is not marked", label, context, f"at byte {at}: {c!r}")
                        break
                    c = "\0"
                    inside = False
                if inside:
                    loose += c
                elif loose:
                    self.marked(label, context, loose)
                    loose = ""
                at += n
            self.marked(label, context, loose)

    def marked(self, label, context, loose):
        """What is marked and was not sown: never a special token of the template."""
        if loose:
            self.over[loose[:60]] += 1
            for token in self.special:
                if token in loose and token in self.literals and token not in ("<s>", "</s>"):
                    self.fault("a literal of the template that is marked", label, context, token)

    def pairs(self, context, each, turn):
        """(context with tokens, its twin, the token text, the twin's)"""
        row = "x".join(self.special)
        here = [row] + [self.special[(turn + k) % len(self.special)] for k in range(each)]
        for i in range(len(strings(context))):
            for k, token in enumerate(here):
                out = []
                for text in (token, twin(token)):
                    c = copy.deepcopy(context)
                    at, key = strings(c)[i]
                    at[key] = at[key] + text if k == 0 else text
                    out.append(c)
                yield out[0], out[1], token
        for i, (at, key) in enumerate(mutate.places(context)):
            if not isinstance(at, dict) or key in STRUCTURE or at is context:
                continue
            out = []
            for text in (row, twin(row)):
                c = copy.deepcopy(context)
                at, key = mutate.places(c)[i]
                items = [(k + text if k == key else k, v) for k, v in at.items()]
                at.clear()
                at.update(items)
                out.append(c)
            yield out[0], out[1], row

    def inject(self, named, each):
        todo = []
        for turn, (label, context) in enumerate(named):
            todo += [(label, *p) for p in self.pairs(context, each, turn * each)]
        with_token = self.driver.run([t[1] for t in todo])
        with_twin = self.driver.run([t[2] for t in todo])
        for (label, context, _, token), have, other in zip(todo, with_token, with_twin):
            if "text" not in have:
                self.counts["injected, error"] += 1
                if "died" in have:
                    self.fault("the driver died", label, context, have["died"])
                continue
            self.counts["injected"] += 1
            mask = marks(have)
            found = free(have["text"], mask, self.special)
            if "text" in other and other["text"].replace(twin(token), token) == have["text"]:
                self.counts["injected, the same but for the token"] += 1
                if other["spans"] != have["spans"]:
                    self.fault("marks that depend on what is marked", label, context, f"{other['spans']} {have['spans']}")
                if free(other["text"], marks(other), self.special) != found:
                    self.fault("an injected special token without a mark", label, context, str(found))
                self.covered(label, context, other["text"], marks(other), twin(token))
            else:
                self.counts["injected, the token steered"] += 1
                for special in found:
                    if special not in self.literals and special not in ("<s>", "</s>"):
                        self.fault("a special token that no literal has", label, context, special)

    def covered(self, label, context, text, mask, planted):
        data, want = text.encode(), planted.encode()
        at = data.find(want)
        while at >= 0 and len(want) > 3:
            if not all(mask[at:at + len(want)]):
                self.fault("a planted string that is not marked", label, context, f"at byte {at}")
                return
            at = data.find(want, at + len(want))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("templates", nargs="*")
    parser.add_argument("--tokenizer", action="append", default=[])
    parser.add_argument("--each", type=int, default=3)
    args = parser.parse_args()
    special = []
    for path in args.tokenizer:
        with open(path, encoding="utf-8") as f:
            special += [t["content"] for t in json.load(f)["added_tokens"] if t["special"]]
    totals, faults = collections.Counter(), 0
    for name, path in oracle.template_paths(args.templates).items():
        check = Check(name, oracle.read_template(path), Driver(args.driver, path), special[:200])
        named = contexts.for_template(name)
        check.sow(named)
        check.inject(named, args.each)
        totals += check.counts
        faults += len(check.faults)
        kinds = collections.Counter(f[0] for f in check.faults)
        print(f"{name}: {len(check.special)} special tokens, {check.counts['sown']} sown, {check.counts['injected']} injected, "
              f"{sum(kinds.values())} faults {dict(kinds) or ''}")
        for kind in kinds:
            what, label, context, detail = min((f for f in check.faults if f[0] == kind), key=lambda f: len(str(f[2])))
            print(f"    {what}: {label}: {detail[:300]}\n      {json.dumps(context)[:500]}")
        if check.over:
            print(f"    marked, and none of the sown: {[k for k, _ in check.over.most_common(25)]}")
    print(dict(totals), "faults:", faults)
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
