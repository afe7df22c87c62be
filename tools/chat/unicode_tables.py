#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/chat/unicode_table.c: what Python's str knows of each character, asked of Python itself.

The version is pinned: Unicode 14 (Python 3.11).  usage: unicode_tables.py > src/chat/unicode_table.c
"""
import sys
import unicodedata

assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version

CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def cased(ch):
    return ch.lower() != ch or ch.upper() != ch or ch.title() != ch or ch.islower() or ch.isupper() or ch.istitle()


def titlecase(ch):
    return unicodedata.category(ch) == "Lt"


def ignorable(ch):
    """Whether a final sigma looks through this character: 'A' + ch + sigma ends in a final one, ch + sigma not."""
    return ("A" + ch + "\u03a3").lower()[-1] == "\u03c2" and (ch + "\u03a3").lower()[-1] != "\u03c2"


def sigma_cased(ch):
    return (ch + "\u03a3").lower()[-1] == "\u03c2"


FLAGS = [
    ("PLIM_CHAR_ALPHA", str.isalpha), ("PLIM_CHAR_DECIMAL", str.isdecimal), ("PLIM_CHAR_DIGIT", str.isdigit),
    ("PLIM_CHAR_NUMERIC", str.isnumeric), ("PLIM_CHAR_SPACE", str.isspace), ("PLIM_CHAR_PRINTABLE", str.isprintable),
    ("PLIM_CHAR_LOWER", str.islower), ("PLIM_CHAR_UPPER", lambda c: c.isupper() and not titlecase(c)),
    ("PLIM_CHAR_TITLE", titlecase), ("PLIM_CHAR_CASED", sigma_cased), ("PLIM_CHAR_IGNORABLE", ignorable),
    ("PLIM_CHAR_NAME", str.isidentifier), ("PLIM_CHAR_NAME_MORE", lambda c: ("a" + c).isidentifier()),
]


def ranges():
    out = []
    for c in CODES:
        ch = chr(c)
        flags = sum(1 << i for i, (_, test) in enumerate(FLAGS) if test(ch))
        if out and out[-1][1] == c - 1 and out[-1][2] == flags:
            out[-1][1] = c
        else:
            out.append([c, c, flags])
    return [r for r in out if r[2]]


def mapping(function):
    """Runs (first, last, step, delta) of single mappings, and the mappings to several characters."""
    runs, several = [], []
    for c in CODES:
        to = function(chr(c))
        if len(to) > 1:
            several.append((c, to))
        elif ord(to) != c:
            delta = ord(to) - c
            last = runs[-1] if runs else None
            if last and last[3] == delta and (c - last[1] == last[2] or (last[0] == last[1] and c - last[1] in (1, 2))):
                last[2] = c - last[1]
                last[1] = c
            else:
                runs.append([c, c, 1, delta])
    return runs, several


def digits():
    """The zeros of each set of decimal digits."""
    return [c for c in CODES if unicodedata.decimal(chr(c), None) == 0]


def rows(items, width=100):
    line = "   "
    for item in items:
        if len(line) + len(item) + 2 > width:
            print(line)
            line = "   "
        line += " " + item + ","
    print(line)


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    print("""/* SPDX-License-Identifier: Apache-2.0
 *
 * Over 600 lines because it is a table.  Written by tools/chat/unicode_tables.py from Python 3.11
 * (Unicode 14); not to be edited. */
/* clang-format off */
#include "chat/unicode.h"
""")
    print("const plim_char_range plim_char_ranges[] = {")
    table = ranges()
    rows("{0x%X,0x%X,0x%X}" % tuple(r) for r in table)
    print("};\nconst size_t plim_char_range_count = %d;\n" % len(table))
    several_rows = []
    for kind, function in enumerate((str.lower, str.upper, str.title, str.casefold)):
        runs, several = mapping(function)
        name = ("lower", "upper", "title", "fold")[kind]
        print("static const plim_char_run %s_runs[] = {" % name)
        rows("{0x%X,0x%X,%d,%d}" % tuple(r) for r in runs)
        print("};")
        several_rows += [(kind, c, to) for c, to in several]
    print("\nconst plim_char_map plim_char_maps[4] = {")
    for name in ("lower", "upper", "title", "fold"):
        print("    {%s_runs, sizeof %s_runs / sizeof *%s_runs}," % (name, name, name))
    print("};\n\n/* Mappings to several characters, by kind and code. */")
    print("const plim_char_several plim_char_severals[] = {")
    rows("{%d,0x%X,{%s}}" % (k, c, ",".join("0x%X" % ord(x) for x in to)) for k, c, to in several_rows)
    print("};\nconst size_t plim_char_several_count = %d;\n" % len(several_rows))
    print("const uint32_t plim_char_zeros[] = {")
    zeros = digits()
    rows("0x%X" % z for z in zeros)
    print("};\nconst size_t plim_char_zero_count = %d;" % len(zeros))


main()
