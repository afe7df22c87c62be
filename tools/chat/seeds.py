#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes seeds and the dictionary of the fuzz targets jinja_parse and jinja_render from snippets.jsonl.

A seed is several snippets in a row for the parser, one with its context for the evaluator.
usage: seeds.py tests/chat/snippets.jsonl fuzz
"""
import json
import re
import sys
from pathlib import Path


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    out = Path(sys.argv[2])
    good = [r for r in rows if "expected" in r]
    for i in range(0, len(good), 40):
        text = "\n".join(r["template"] for r in good[i:i + 40])
        (out / "corpus/jinja_parse" / f"good-{i // 40:02}").write_text(text, encoding="utf-8")
    bad = [r for r in rows if "error" in r]
    for i, r in enumerate(bad[::4]):
        (out / "corpus/jinja_parse" / f"bad-{i:03}").write_text(r["template"], encoding="utf-8")
    names = ("messages", "tools", "s", "n")
    for i, r in enumerate(rows[::6]):
        text = r["template"] + "\0" + json.dumps(r["context"], ensure_ascii=False)
        (out / "corpus/jinja_render" / f"context-{i:03}").write_text(text, encoding="utf-8")
    for i, r in enumerate([r for r in rows if re.search(r"\bs\b", r["template"])][::2]):
        text = re.sub(r"\bs\b", names[i % 4], r["template"])
        (out / "corpus/jinja_render" / f"own-{i:03}").write_text(text, encoding="utf-8")
    words = set()
    for r in rows:
        words.update(re.findall(r"[a-z_]{3,}|[^\s\w]{1,3}", r["template"]))
    words |= {"{%", "%}", "{{", "}}", "{%-", "-%}", "{#", "#}", "endfor", "endif", "messages[0].content"}
    lines = ['"%s"' % "".join(c if 32 < ord(c) < 127 and c not in '"\\' else "".join(f"\\x{b:02x}" for b in c.encode())
                              for c in w) for w in sorted(words)]
    for name in ("jinja_parse", "jinja_render"):
        (out / f"{name}.dict").write_text("\n".join(lines) + "\n", encoding="utf-8")


main()
