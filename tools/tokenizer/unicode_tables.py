#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/tokenizer/unicode_table.c: what the `tokenizers` package knows of Unicode's categories, asked of
the package itself, so that ids do not depend on the Unicode version of a system library.

Needs Python with unicodedata 14.0 (3.11) and tokenizers.  usage: unicode_tables.py > unicode_table.c
"""
import sys
import unicodedata

from tokenizers import Regex, __version__, pre_tokenizers

CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, CODES))
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split()


def members(contiguous):
    """Code points that a pre-tokenizer with behavior "contiguous" calls a match."""
    found = set()
    for piece, (begin, end) in contiguous.pre_tokenize_str(TEXT):
        if len(contiguous.pre_tokenize_str("\u0001" + piece[0])) == 2:  # U+0001 is in none of the classes
            found.update(CODES[begin:end])
    return found


def category_of_each():
    category = {}
    for name in CATEGORIES:
        if name == "Cc":
            continue
        for c in members(pre_tokenizers.Split(Regex(r"\p{%s}" % name), "contiguous")):
            category[c] = name
    return {c: category.get(c, "Cc") for c in CODES}


def runs(items):
    """[(code, value)] ascending -> [(first, last, value)]"""
    out = []
    for code, value in items:
        if out and out[-1][1] == code - 1 and out[-1][2] == value:
            out[-1][1] = code
        else:
            out.append([code, code, value])
    return out


def emit(declaration, count, items, per_line):
    print(f"const {declaration}[] = {{")
    for i in range(0, len(items), per_line):
        print("    " + " ".join(x + "," for x in items[i:i + per_line]))
    print(f"}};\nconst unsigned {count} = {len(items)};\n")


def main():
    assert unicodedata.unidata_version == "14.0.0", "the tables are differences to Unicode 14.0"
    category = category_of_each()
    added = runs((c, category[c]) for c in CODES
                 if unicodedata.category(chr(c)) == "Cn" and category[c] != "Cn")
    changed = [c for c in CODES if unicodedata.category(chr(c)) not in ("Cn", category[c])]
    print("changed categories, not told to PCRE2:", [hex(c) for c in changed], file=sys.stderr)
    punctuation = runs((c, 0) for c in sorted(members(pre_tokenizers.Punctuation("contiguous"))))

    print("/* SPDX-License-Identifier: Apache-2.0\n *\n * Written by "
          "tools/tokenizer/unicode_tables.py\n * from tokenizers %s; not to be edited. */" % __version__)
    print("/* clang-format off */")
    print('#include "tokenizer/unicode.h"\n')
    emit("plim_unicode_new plim_unicode_added", "plim_unicode_added_count",
         ['{0x%X,0x%X,"%s"}' % (a, b, v) for a, b, v in added], 4)
    emit("plim_unicode_range plim_unicode_punctuation", "plim_unicode_punctuation_count",
         ["{0x%X,0x%X}" % (a, b) for a, b, _ in punctuation], 6)


main()
