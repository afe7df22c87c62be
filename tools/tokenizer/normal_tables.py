#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/tokenizer/normal_table.c: what the normalizers of the `tokenizers` package know of Unicode, asked of the
package itself, so that ids do not depend on the Unicode version of a system library.

Needs Python with unicodedata 14.0 (3.11; it suggests combining classes, which the package then confirms) and
tokenizers.  usage: normal_tables.py > src/tokenizer/normal_table.c
"""
import sys
import unicodedata

from tokenizers import __version__, normalizers

from charsmap import charsmap

CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
nfc, nfd, nfkc, nfkd = (getattr(normalizers, n)().normalize_str for n in ("NFC", "NFD", "NFKC", "NFKD"))
BLOCK = 128

# As normal_table.h has them.
FLAGS = ("STOP_C STOP_D STOP_KC STOP_KD EDGE_C EDGE_K MARK NONSPACING OTHER SPACE CHINESE LOWER NMT_DROP "
         "NMT_SPACE").split()
GRAPHEMES = "OTHER CONTROL EXTEND EXTEND_INCB LINKER ZWJ SPACING PREPEND PICTURE CONSONANT L V T LV LVT".split()


def known_class(c):
    """The combining class, 0 where the package (whose normalizer is older) knows none."""
    ch = chr(c)
    k = unicodedata.combining(ch)
    if k and all(nfd(t) == unicodedata.normalize("NFD", t) for t in ("a\u0345" + ch, "a" + ch + "\u0334")):
        return k
    return 0


def known_pair(c):
    """(c, first, second): what c is made of, where it is made of two."""
    ch = chr(c)
    d = unicodedata.decomposition(ch)
    if not d or d.startswith("<") or nfd(ch) == ch:
        return None
    assert nfd(ch) == unicodedata.normalize("NFD", ch)
    parts = [int(x, 16) for x in d.split()]
    return (c, parts[0], parts[1]) if len(parts) == 2 else None


def by_lines(normalize, make):
    """{c: result} of a text for each code point, in one call."""
    codes = [c for c in CODES if c not in (0, 10)]
    lines = normalize("\n".join(make(chr(c)) for c in codes)).split("\n")
    assert len(lines) == len(codes)
    return dict(zip(codes, lines))


def where_not_broken(key, make, sign):
    """Code points whose text, in the normalizer that makes "b" of `key`, shows the sign of one cluster.  (A cluster of
    less than 6 bytes is replaced whole where `key` is a prefix of it.)"""
    normalize = normalizers.Precompiled(charsmap({key: "b"})).normalize_str
    return {c for c, line in by_lines(normalize, make).items() if sign(line)}


def grapheme_of_each():
    acute, zwj, copyright_, ka, virama, ta = "\u0301", "\u200d", "\u00a9", "\u0915", "\u094d", "\u0924"
    joins = where_not_broken("a", lambda x: "a" + x, lambda s: s == "b")
    keeps = lambda s: s.endswith(acute)
    sets = {
        "PREPEND": where_not_broken("a", lambda x: x + "a" + acute, keeps),
        "CONTROL": where_not_broken(acute, lambda x: x + acute + "\u0300", lambda s: s.endswith("b")),
        "PICTURE": where_not_broken(copyright_, lambda x: copyright_ + zwj + x, lambda s: s.startswith("b" + zwj)) -
        joins,
        "CONSONANT": where_not_broken(ta, lambda x: x + virama + ta + acute, keeps),
    }
    extends = where_not_broken(copyright_, lambda x: copyright_ + x + zwj + copyright_ + acute, keeps) & joins
    links = where_not_broken(ta, lambda x: ka + x + ta + acute, keeps) & joins
    passes = where_not_broken(ta, lambda x: ka + virama + x + ta + acute, keeps) & joins
    before_v = where_not_broken("\u1161", lambda x: x + "\u1161" + acute, keeps)
    before_t = where_not_broken("\u11a8", lambda x: x + "\u11a8" + acute, keeps)
    # A PREPEND joins whatever follows it.
    before_v -= sets["PREPEND"]
    before_t -= sets["PREPEND"]
    sets["CONSONANT"] -= joins | sets["PREPEND"]
    sets["PICTURE"] -= sets["PREPEND"]
    print({n: len(s) for n, s in sets.items()}, len(joins), len(extends), len(links), len(passes), len(before_v),
          len(before_t), file=sys.stderr)
    out = {0: "CONTROL", 10: "CONTROL"}
    for name, members in sets.items():
        for c in members - {0, 10}:
            assert c not in out and c not in joins, (name, hex(c))
            out[c] = name
    for c in joins:
        out[c] = ("ZWJ" if c == 0x200D else "LINKER" if c in links else "EXTEND_INCB" if c in passes else
                  "EXTEND" if c in extends else "SPACING")
        assert c in extends or out[c] in ("SPACING", "ZWJ"), hex(c)
    assert 0x200D in passes
    for c in before_v | before_t:
        syllable = 0xAC00 <= c < 0xD7A4
        assert out.get(c, "SPACING") == "SPACING", hex(c)
        out[c] = ("L" if c not in before_t else "T" if c not in before_v and not syllable else "LVT" if c not in before_v
                  else "LV" if syllable else "V")
    return out


def flags_of_each(seconds, combining):
    bert = lambda **on: normalizers.BertNormalizer(**{
        "clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False, **on}).normalize_str
    first_of = lambda d: combining.get(ord(d[0]), 0) == 0 and ord(d[0]) not in seconds
    clean, chinese, bare = bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True)
    lower, accents = normalizers.Lowercase().normalize_str, normalizers.StripAccents().normalize_str
    nmt, strip = normalizers.Nmt().normalize_str, normalizers.Strip().normalize_str
    out = {}
    for c in CODES:
        ch, found = chr(c), set()
        found |= {"STOP_C"} if nfc(ch) != ch or c in seconds else set()
        found |= {"STOP_D"} if nfd(ch) != ch else set()
        found |= {"STOP_KC"} if nfkc(ch) != ch or c in seconds else set()
        found |= {"STOP_KD"} if nfkd(ch) != ch else set()
        found |= {"EDGE_C"} if first_of(nfd(ch)) else set()
        found |= {"EDGE_K"} if first_of(nfkd(ch)) else set()
        found |= {"MARK"} if accents(ch) == "" else set()
        found |= {"NONSPACING"} if nfd(ch) == ch and bare(ch) == "" else set()
        found |= {"OTHER"} if clean(ch) == "" else set()
        found |= {"SPACE"} if strip(ch) == "" else set()
        assert (clean(ch) == " ") == (strip(ch) == "" and clean(ch) != ""), hex(c)
        found |= {"CHINESE"} if chinese(ch) != ch else set()
        found |= {"LOWER"} if lower(ch) != ch else set()
        found |= {"NMT_DROP"} if nmt(ch) == "" else set()
        found |= {"NMT_SPACE"} if nmt(ch) == " " and c != 32 else set()
        out[c] = frozenset(found)
    return out


def lower_runs():
    """[first, last, step, delta] of what lowercase makes one character of another."""
    lower, runs = normalizers.Lowercase().normalize_str, []
    for c in CODES:
        to = lower(chr(c))
        if to == chr(c):
            continue
        if len(to) != 1:
            assert c == 0x130 and to == "i\u0307"
            continue
        delta = ord(to) - c
        for run in reversed(runs[-2:]):
            step = c - run[1]
            if run[3] == delta and step in (1, 2) and (run[2] == step or run[0] == run[1]) and (
                    step == 1 or all(lower(chr(x)) == chr(x) for x in range(run[1] + 1, c))):
                run[1], run[2] = c, step
                break
        else:
            runs.append([c, c, 1, delta])
    assert all(a[1] < b[0] for a, b in zip(runs, runs[1:]))
    return runs


def emit(declaration, items, width=118):
    print(f"const {declaration} = {{")
    line = ""
    for item in items:
        if len(line) + len(item) + 1 > width:
            print(line)
            line = ""
        line += item + ","
    print(line + "\n};\n")


def main():
    combining = {c: k for c in CODES for k in [known_class(c)] if k}
    composing = sorted((p[1], p[2], p[0]) for p in filter(None, map(known_pair, CODES))
                       if nfc(chr(p[1]) + chr(p[2])) == chr(p[0]))
    seconds = {p[1] for p in composing} | set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    flags, graphemes = flags_of_each(seconds, combining), grapheme_of_each()
    records, blocks, stage1, stage2 = {}, {}, [], []
    plain = (0, "OTHER", flags[0x10FFFF])
    for start in range(0, 0x110000, BLOCK):
        block = []
        for c in range(start, start + BLOCK):
            record = (combining.get(c, 0), graphemes.get(c, "OTHER"), flags[c]) if c in flags else plain
            block.append(records.setdefault(record, len(records)))
        key = tuple(block)
        if key not in blocks:
            blocks[key] = len(blocks)
            stage2 += block
        stage1.append(blocks[key])
    assert len(records) <= 256 and len(blocks) <= 256, (len(records), len(blocks))

    pool, where, maps = [], {}, []
    for form, name in ((nfd, 0), (nfkd, 1)):
        for c in CODES:
            to = form(chr(c))
            if to == chr(c) or 0xAC00 <= c < 0xD7A4 or (name and to == nfd(chr(c))):
                continue
            units = tuple(memoryview(to.encode("utf-16-le")).cast("H"))
            if units not in where:
                where[units] = len(pool)
                pool += units
            maps.append((c, name, len(units), where[units]))
    maps.sort()
    assert len(pool) < 1 << 16
    print("records %d, blocks %d, maps %d, pool %d, composing %d" % (len(records), len(blocks), len(maps), len(pool),
                                                                    len(composing)), file=sys.stderr)

    print("/* SPDX-License-Identifier: Apache-2.0\n *\n * Over 600 lines because it is a table.  Written by "
          "tools/tokenizer/normal_tables.py\n * from tokenizers %s; not to be edited. */" % __version__)
    print("/* clang-format off */")
    print('#include "tokenizer/normal_table.h"\n')
    emit("plim_normal_record plim_normal_records[]",
         ["{%d,%d,0x%X}" % (k, GRAPHEMES.index(g), sum(1 << FLAGS.index(x) for x in f)) for k, g, f in records])
    emit("uint8_t plim_normal_stage1[]", map(str, stage1))
    emit("uint8_t plim_normal_stage2[]", map(str, stage2))
    emit("plim_normal_map plim_normal_maps[]", ["{0x%X,%d,%d,%d}" % m for m in maps])
    print(f"const unsigned plim_normal_map_count = {len(maps)};\n")
    emit("uint16_t plim_normal_pool[]", map(hex, pool))
    emit("plim_normal_pair plim_normal_pairs[]", ["{0x%X,0x%X,0x%X}" % p for p in composing])
    print(f"const unsigned plim_normal_pair_count = {len(composing)};\n")
    runs = lower_runs()
    emit("plim_normal_lower plim_normal_lowers[]", ["{0x%X,%d,%d,%d}" % (a, b - a + 1, s, d) for a, b, s, d in runs])
    print(f"const unsigned plim_normal_lower_count = {len(runs)};")


main()
