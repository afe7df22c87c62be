#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/tokenizer/classes_table.c: the classes of characters that pre-tokenizers ask for, as the `tokenizers`
package has them, asked of the package itself (its parts know different versions of Unicode).

Needs Python with unicodedata 14.0 (3.11) and tokenizers.  usage: class_tables.py > classes_table.c
"""
import sys
import unicodedata

from tokenizers import Regex, __version__, pre_tokenizers

CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, CODES))
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn Cs".split()
BLOCK = 256


def members(contiguous):
    """Code points that a pre-tokenizer with behavior "contiguous" calls a match."""
    found = set()
    for piece, (begin, end) in contiguous.pre_tokenize_str(TEXT):
        if len(contiguous.pre_tokenize_str("\u0001" + piece[0])) == 2:  # U+0001 is in none of the classes
            found.update(CODES[begin:end])
    return found


def regex_members(pattern):
    return members(pre_tokenizers.Split(Regex(pattern), "contiguous"))


def categories():
    """By code point.  U+0001 is of Cc, so that is what remains."""
    category = {c: "Cs" for c in range(0xD800, 0xE000)}
    for name in CATEGORIES:
        if name not in ("Cc", "Cs"):
            for c in regex_members(r"\p{%s}" % name):
                category[c] = name
    return [category.get(c, "Cc") for c in range(0x110000)]


def classes(category):
    """[(category, *flags)] by code point; the flags in the order of plim_class_flag."""
    space = regex_members(r"\s")
    whitespace = pre_tokenizers.Whitespace().pre_tokenize_str
    split = pre_tokenizers.WhitespaceSplit().pre_tokenize_str
    assert space == {c for c in CODES if not split(chr(c))} == {c for c in CODES if not whitespace(chr(c))}
    numeric = members(pre_tokenizers.Digits(False))
    punctuation = members(pre_tokenizers.Punctuation("contiguous"))
    word = {c for c in CODES if c not in space and len(whitespace("a" + chr(c))) == 1}
    onig_word = regex_members(r"\w")
    assert regex_members(r"\d") == {c for c in CODES if category[c] == "Nd"}
    alphabetic, upper, lower = (regex_members(r"\p{%s}" % name) for name in ("Alpha", "Upper", "Lower"))
    return [(category[c], c in space, c in numeric, c in punctuation, c in word, c in onig_word, c in alphabetic, c in upper,
             c in lower) for c in range(0x110000)]


def split_bits(kind):
    """The bits of split_scan.h, in their order; a newline is told apart by its byte."""
    name = kind[0]
    mark = name[0] == "M"
    bits = [name[0] == "L", name[0] == "N", kind[1], False, mark or name in ("Lu", "Lt", "Lm", "Lo"),
            mark or name in ("Ll", "Lm", "Lo"), mark, name[0] in "PS"]
    return sum(bit << i for i, bit in enumerate(bits))


def scripts():
    """[(first code point, number of its script)], 0: of no script."""
    cut = pre_tokenizers.UnicodeScripts().pre_tokenize_str
    runs, representatives = [], []
    previous = None
    for c in range(0x110000):
        ch = chr(c) if c in range(0xD800) or c >= 0xE000 else None
        if ch is None or not cut(ch):
            number = 0
        elif previous and len(cut(chr(previous[0]) + ch)) == 1:
            number = previous[1]
        else:
            number = next((i for i, r in enumerate(representatives) if len(cut(r + ch)) == 1), None)
            if number is None:
                number = len(representatives)
                representatives.append(ch)
            number += 1
        if not runs or runs[-1][1] != number:
            runs.append((c, number))
        previous = (c, number) if number else None
    assert len(representatives) < 256
    return runs


NAMED_SCRIPTS = ("Arabic Armenian Bengali Bopomofo Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew "
                 "Hiragana Kannada Katakana Khmer Lao Latin Malayalam Mongolian Myanmar Sinhala Tamil Telugu Thai Tibetan").split()


def runs_of(items):
    """[(code, value)] ascending -> [(first, last, value)]"""
    out = []
    for code, value in items:
        if out and out[-1][1] == code - 1 and out[-1][2] == value:
            out[-1][1] = code
        else:
            out.append([code, code, value])
    return out


def emit(declaration, items, per_line):
    print(f"const {declaration} = {{")
    for i in range(0, len(items), per_line):
        print("    " + " ".join(str(x) + "," for x in items[i:i + per_line]))
    print("};\n")


def main():
    assert unicodedata.unidata_version == "14.0.0", "some tables are differences to Unicode 14.0"
    category = categories()
    kinds = {}
    by_code = [kinds.setdefault(kind, len(kinds)) for kind in classes(category)]
    blocks = {}
    index = [blocks.setdefault(tuple(by_code[i:i + BLOCK]), len(blocks)) for i in range(0, 0x110000, BLOCK)]
    assert len(blocks) <= 256 and len(kinds) <= 64
    bits = [1 << CATEGORIES.index(kind[0]) | sum(flag << (32 + i) for i, flag in enumerate(kind[1:])) for kind in kinds]
    old = [c for c in CODES if unicodedata.category(chr(c)) not in ("Cn", category[c])]
    print("changed categories, not told to PCRE2:", [hex(c) for c in old], file=sys.stderr)
    added = runs_of((c, category[c]) for c in CODES if unicodedata.category(chr(c)) == "Cn" and category[c] != "Cn")
    script = scripts()
    named = [(first, last, i) for i, name in enumerate(NAMED_SCRIPTS)
             for first, last, _ in runs_of((c, 0) for c in sorted(regex_members(r"\p{%s}" % name)))]
    print("/* SPDX-License-Identifier: Apache-2.0\n *\n * Over 600 lines because it is a table.  Written by "
          "tools/tokenizer/class_tables.py\n * from tokenizers %s; not to be edited. */" % __version__)
    print("/* clang-format off */")
    print('#include "tokenizer/classes.h"\n#include "tokenizer/split_scan.h"\n')
    emit("uint64_t plim_class_bits[]", ["0x%X" % b for b in bits], 8)
    print(f"const unsigned plim_class_count = {len(kinds)};\n")
    emit("uint8_t plim_split_bits[]", [hex(split_bits(kind)) for kind in kinds], 20)
    kind_of = list(kinds)
    emit("uint8_t plim_split_ascii[128]",
         ["0x%X" % (split_bits(kind_of[by_code[c]]) | (c in (10, 13)) << 3) for c in range(128)], 20)
    emit(f"uint8_t plim_class_index[{len(index)}]", index, 30)
    print(f"const uint8_t plim_class_blocks[{len(blocks)}][{BLOCK}] = {{")
    for block in blocks:
        rows = [",".join(map(str, block[i:i + 32])) for i in range(0, BLOCK, 32)]
        print("    {" + ",\n     ".join(rows) + "},")
    print("};\n")
    emit("plim_class_run plim_class_added[]", ['{0x%X, 0x%X, "%s"}' % tuple(a) for a in added], 4)
    print(f"const unsigned plim_class_added_count = {len(added)};\n")
    emit("char *const plim_script_names[]", ['"%s"' % name.lower() for name in NAMED_SCRIPTS], 10)
    print(f"const unsigned plim_script_name_count = {len(NAMED_SCRIPTS)};\n")
    emit("plim_script_range plim_script_ranges[]", ["{0x%X, 0x%X, %d}" % n for n in named], 6)
    print(f"const unsigned plim_script_range_count = {len(named)};\n")
    emit("uint32_t plim_script_runs[]", ["0x%X" % (c << 8 | number) for c, number in script], 10)
    print(f"const unsigned plim_script_run_count = {len(script)};")


main()
