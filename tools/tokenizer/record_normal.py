#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/tokenizer/fixtures/normalize.jsonl: what the normalizers of the `tokenizers` package make of edge strings,
of random ones, and of every code point, with the position of each character.

Lines: {"texts": [...]}; then for each normalizer {"normalizer", "results": [[text, positions], ...]}, one for each text
(null for a text that stays as it is; positions "b,e;" for each character, in bytes of the text, null where each has its
own; both null where the package panics, "panic": true); then {"normalizer", "template", "text", "positions"}: checksums
(CRC-32) over all code points, see crcs().

usage: record_normal.py > tests/tokenizer/fixtures/normalize.jsonl
"""
import base64
import json
import os
import random
import sys
import unicodedata
import zlib

from tokenizers import Tokenizer

from charsmap import charsmap

CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CHUNK = 4096
EDGES = ["", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\t\n", " \n ", "\n \n", "a \n b", "a  b", " a", "a ", "'s", "'ſ",
         "we'LL'd", "’s", "3", "１２３", "¼-a", "Ⅵ", "²", "a 〇b", "é", "e\u0301", "Cửa Việt", "Cửa Việt Nam\u0323\u0302",
         "नमस्ते", "កាន់តែ", "한국어 中文かな", "\u1112\u1161\u11ab\u1100\u1161", "عربي ١٢٣", "İstanbul ß ΣΑΣ Σ", "👨\u200d👩\u200d👧\u200d👦",
         "😶\u200d🌫\ufe0f 🇺🇸", "🦙.cpp", "\ufeff//", "\u180e", "\u00a0\u3000x", "\u2028\u2029", "\u200b\u200d", "\0", "a\0b",
         "\x1f-a", "\ufffd", "▁", "a▁b", "<s> <s>", "a </s> b", "\u1c89", "\U00031350", "foo_bar::baz()//",
         "\u0301", "\u0301a", "a\u0315\u0300b", "\u0315\u0344\u0301b", "\u0f73\u0f71\u0f74", "\u0958\u09cb\u09c7\u09be",
         "ﬁ\ufdfa①ｶﾞ㍿", "\u2126\u212b\u0374", "\r\r\n\n\u0301", "\u0600a\u0301", "©\u200d©\u0301", "क्त\u0301", "x\u20dd\u20de",
         "\U0001d15e\U0001d1bc", "\U0002f800", "\u1e9e\u1f88", "\x8f\x9f\x7f\x0c", "A\u030a\u0301", "ab" * 20, "aab" * 9]
SAMPLES = ["abc XYZ  \t\n", "éèüñçßÅøłŐİſǅ", "e\u0301\u0327\u0323\u0302a\u0308\u0315\u0344\u0340\u0f73\u0f71",
           "가각갂\u1100\u1161\u11a8\u11a7\u1176\ua960\ud7b0\ud7cb", "中文漢字かなガ\u3099ｶﾞ", "नमस्ते\u0958\u093cক\u09cb\u09c7",
           "ﬁ\ufdfa①Ⅷ½㎏Ａ", "\u00a0\u2003\u3000\u200b\u200d\ufeff\u2028\x85\x01\x1f\x7f\ufffd",
           "👨\u200d👩🇺🇸\ufe0f©\u200d❤", "\u0600\u06dda\u110b", "\r\n\r", "▁ ab", "\U0001d15e\U0002f800\u212b"]

PROBES = {"a": "b", "\u0301": "c", "©": "d", "त": "e", "\u1161": "f", "\u11a8": "g"}


def sample_map(r):
    out = {}
    for _ in range(90):
        key = "".join(r.choice(r.choice(SAMPLES) + "ab\u0301") for _ in range(r.choice([1, 1, 1, 2, 3])))
        out[key] = "".join(r.choice(r.choice(SAMPLES)) for _ in range(r.choice([0, 1, 1, 2, 3])))
    return {"\x1f": "", "™": "TM", "\t": " ", "ﬁ": "fi", **out}


def precompiled(mapping):
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap(mapping)).decode()}


def replace(kind, pattern, content):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def bert(clean, chinese, accents, lower):
    return {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": accents,
            "lowercase": lower}


def sequence(*parts):
    return {"type": "Sequence", "normalizers": list(parts)}


def simple(name):
    return {"type": name}


def strip(left, right):
    return {"type": "Strip", "strip_left": left, "strip_right": right}


def prepend(text):
    return {"type": "Prepend", "prepend": text}


SIMPLE = ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel"]


def normalizers():
    out = [simple(n) for n in SIMPLE]
    out += [strip(*x) for x in ((True, True), (True, False), (False, True), (False, False))]
    out += [prepend("▁"), prepend("xy"), prepend("")]
    out += [replace("String", *x) for x in ((" ", "▁"), (" ", ""), ("ab", "xyz"), ("", "-"), ("a", "more than eight"))]
    out += [replace("Regex", *x) for x in (("\\s+", " "), ("a*", "-"), ("$", "!"), ("^", "▁"), ("[a-c]|é", ""),
                                           (" {2,}", "▁"))]
    out += [bert(True, True, None, True), bert(True, True, None, False), bert(False, True, True, False),
            bert(True, False, False, True)]
    out += [precompiled(sample_map(random.Random(5))), sequence()]
    out += [sequence(prepend("▁"), replace("String", " ", "▁")), sequence(replace("String", " ", "▁"), prepend("▁")),
            sequence(prepend(" "), replace("String", " ", "▁")),
            sequence(simple("NFKD"), simple("StripAccents"), simple("Lowercase"), strip(True, True)),
            sequence(simple("Nmt"), sequence(simple("NFKC"), replace("Regex", " {2,}", " ")), prepend("▁")),
            sequence(strip(True, False), simple("NFD"), simple("ByteLevel"), simple("NFC"))]
    return out


def random_texts(r, count):
    out = []
    for i in range(count):
        n = r.choice([2, 3, 5, 8, 13])
        pick = [lambda: r.choice(r.choice(SAMPLES)), lambda: chr(r.choice(CODES[1:0x3000])),
                lambda: chr(r.choice(CODES))][r.choice([0, 0, 1, 2])]
        text = "".join(pick() for _ in range(n))
        out.append(unicodedata.normalize("NFD", text) if i % 5 == 4 else text)
    return out


class Silence:
    """The package reports a panic on stderr before Python hears of it."""
    def __enter__(self):
        self.null, self.kept = os.open(os.devnull, os.O_WRONLY), os.dup(2)
        os.dup2(self.null, 2)

    def __exit__(self, *_):
        os.dup2(self.kept, 2)
        os.close(self.null)
        os.close(self.kept)


def tokenizer_of(normalizer):
    """Each character is a token."""
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": {"<unk>": 0}, "merges": []}
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": normalizer,
        "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model}))


def byte_positions(text, offsets):
    at = [0]
    for ch in text:
        at.append(at[-1] + len(ch.encode()))
    return "".join("%d,%d;" % (at[a], at[b]) for a, b in offsets)


def result(tokenizer, text):
    try:
        with Silence():
            normal = tokenizer.normalizer.normalize_str(text)
            positions = byte_positions(text, tokenizer.encode(text).offsets)
    except BaseException as e:  # pyo3's PanicException is no Exception
        if "Panic" not in type(e).__name__:
            raise
        return None
    own = byte_positions(text, [(i, i + 1) for i in range(len(text))])
    return [None if normal == text else normal, None if normal == text and positions == own else positions]


def crcs(normalizer, template, positions):
    """Over the lines template.replace("%", c) + "\\n" of 4,096 code points at once (NUL and "\\n" left out)."""
    tokenizer, text_crc, position_crc = tokenizer_of(normalizer), 0, 0
    codes = [c for c in CODES if c not in (0, 10)]
    for i in range(0, len(codes), CHUNK):
        text = "".join(template.replace("%", chr(c)) + "\n" for c in codes[i:i + CHUNK])
        text_crc = zlib.crc32(tokenizer.normalizer.normalize_str(text).encode(), text_crc)
        if positions:
            position_crc = zlib.crc32(byte_positions(text, tokenizer.encode(text).offsets).encode(), position_crc)
    return {"normalizer": normalizer, "template": template, "text": text_crc,
            "positions": position_crc if positions else None}


def line(value):
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("\x7f", "\\u007f"))


def main():
    sys.stdout.reconfigure(encoding="utf-8")
    texts = EDGES + random_texts(random.Random(7), 60)
    line({"texts": texts})
    for normalizer in normalizers():
        tokenizer = tokenizer_of(normalizer)
        line({"normalizer": normalizer, "results": [result(tokenizer, t) for t in texts]})
    for name in SIMPLE:
        line(crcs(simple(name), "%", False))
    for name in SIMPLE[:4]:
        line(crcs(simple(name), "a\u0345%\u0301\u0334", name in ("NFC", "NFKD")))
    line(crcs(bert(True, True, True, True), "%", True))
    line(crcs(bert(True, True, True, False), "A%", False))
    line(crcs(strip(True, True), "%", False))
    probes = precompiled(PROBES)
    for template in ("a%", "%a\u0301", "%\u0301\u0302", "©\u200d%", "%्त\u0301", "क%त\u0301", "क्%त\u0301", "%\u1161\u0301",
                     "%\u11a8\u0301", "©%\u200d©\u0301"):
        line(crcs(probes, template, template == "a%"))


if __name__ == "__main__":
    main()
