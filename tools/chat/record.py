#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/chat/recorded/: the contexts, and per shared template what Transformers makes of each.

 - contexts.tsv: a line per context, NAME, tab, the JSON object.  TEMPLATE/NAME is for that template only.
 - TEMPLATE.jsonl: a line per render, {"context": NAME, "text": TEXT} or {"context": NAME, "error": "TYPE: what"}.
   A text that begins as an earlier one of the file does may say so: "like": LINE (from 0), "bytes": how many of that
   text's bytes come before "text".

usage: record.py
"""
import json
import os
import shutil

import contexts
import oracle

FOLDER = os.path.join(oracle.ROOT, "tests", "chat", "recorded")
MIN_SHARED = 200


def shared_bytes(a, b):
    n = len(os.path.commonprefix([a, b]))
    while n and n < len(b) and (b[n] & 0xC0) == 0x80:  # whole characters
        n -= 1
    while n and n < len(a) and (a[n] & 0xC0) == 0x80:
        n -= 1
    return n


def lines_of(source, named):
    texts, out = [], []
    for name, context in named:
        got = oracle.outcome(source, context)
        if "error" in got:
            texts.append(b"")
            out.append({"context": name, "error": got["error"][:160]})
            continue
        text = got["text"].encode("utf-8")
        best = max(range(len(texts)), key=lambda i: shared_bytes(texts[i], text), default=None)
        n = shared_bytes(texts[best], text) if best is not None else 0
        texts.append(text)
        if n >= MIN_SHARED:
            out.append({"context": name, "like": best, "bytes": n, "text": text[n:].decode("utf-8")})
        else:
            out.append({"context": name, "text": got["text"]})
    return out


def dump(value):
    return json.dumps(value, ensure_ascii=False)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    with open(os.path.join(FOLDER, "contexts.tsv"), "w", encoding="utf-8") as f:
        for name, context in contexts.all_contexts():
            f.write(name + "\t" + dump(context) + "\n")
    count = errors = 0
    for template, path in oracle.template_paths().items():
        lines = lines_of(oracle.read_template(path), contexts.for_template(template))
        count += len(lines)
        errors += sum("error" in x for x in lines)
        with open(os.path.join(FOLDER, template + ".jsonl"), "w", encoding="utf-8", newline="\n") as f:
            f.writelines(dump(x) + "\n" for x in lines)
    size = sum(os.path.getsize(os.path.join(FOLDER, x)) for x in os.listdir(FOLDER))
    print(f"{count} renders, {errors} of them errors, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
