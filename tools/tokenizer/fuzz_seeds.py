#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what the fuzz targets of the tokenizer start from: fuzz/tokenize_json.h (small tokenizers of every kind),
fuzz/corpus/tokenizer_load (tokenizer.json files with every part), fuzz/corpus/tokenize (texts for each kind) and the
dictionaries.  Every file is one that the `tokenizers` package opens.  Files that are there already stay.

usage: fuzz_seeds.py FUZZ_FOLDER
"""
import base64
import hashlib
import json
import os
import sys

from tokenizers import Tokenizer

from charsmap import charsmap
from record_normal import EDGES, bert, normalizers, precompiled, prepend, replace, sequence, simple, strip

SPACE = "▁"
G = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"


def alphabet():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(0x100 + i) for i, b in enumerate(rest)}


def bpe(tokens, merges, **on):
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {t: i for i, t in enumerate([*tokens, *("".join(m) for m in merges)])},
            "merges": [list(m) for m in merges], **on}


def added(ident, content, **on):
    return {"id": ident, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **on}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def byte_level(prefix=False, regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def metaspace(scheme="always", cut=True):
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": cut}


def pre(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def chain(*parts):
    return {"type": "Sequence", "decoders": list(parts)}


def whole(model, normalizer=None, pre_tokenizer=None, post=None, decoder=None, tokens=()):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(tokens), "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": post, "decoder": decoder, "model": model}


def template(*names):
    tokens = {n: {"id": n, "ids": [i], "tokens": [n]} for n, i in names}
    first = [{"SpecialToken": {"id": names[0][0], "type_id": 0}}]
    last = [{"SpecialToken": {"id": n, "type_id": 0}} for n, _ in names[1:]]
    one, two = ({"Sequence": {"id": s, "type_id": 0}} for s in "AB")
    return {"type": "TemplateProcessing", "single": first + [one] + last, "pair": first + [one, two] + last,
            "special_tokens": tokens}


BYTES = alphabet()
TYPED = [("a", "b"), ("e", "r"), ("Ġ", "t"), ("t", "h"), ("th", "e"), ("Ġ", "Ġ"), ("i", "n"), ("Ã", "©"), ("æ", "ĸ"), ("ab", "ab")]
FLAGS = [added(0, "<s>", lstrip=True), added(0, "</s>", rstrip=True), added(0, "<mask>", lstrip=True, rstrip=True),
         added(0, "word", single_word=True, special=False), added(0, "É b", normalized=True, special=False),
         added(0, "  ", normalized=True, special=False)]
FALLBACK = ["<unk>", "<s>", "</s>", *("<0x%02X>" % b for b in range(256))]
SPM = [(SPACE, "a"), (SPACE, "t"), (SPACE + "t", "h"), ("e", "r"), (SPACE, SPACE), ("a", "b")]
PIECES = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0], *([c, -8.0] for c in SPACE + "abcdehilnorst'.é中"), [SPACE + "the", -3.0],
          ["er", -4.0], ["in", -4.5], [SPACE + "a", -3.5], ["ab", -5.0], ["aba", -6.5], [SPACE + SPACE, -7.0]]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdehilnorst'.中文", *("##" + c for c in "abcdehinrst"), "the", "##er", "in"]


def kinds():
    spm = FALLBACK + list(SPACE + "abehrt.é")
    llama = chain(replace("String", SPACE, " "), simple("ByteFallback"), simple("Fuse"),
                  {"type": "Strip", "content": " ", "start": 1, "stop": 0})
    pieces = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 20,
              "vocab": {t: i for i, t in enumerate(WORDS)}}
    small = charsmap({"ﬁ": "fi", "\t": " ", "\n": " ", "\x1f": "", "é": "e\u0301", "e\u0301": "é", "™": "TM", "Ａ": "A"})
    letters = [*"abcdehilnorstx0123456789 .,-'", "<unk>"]
    return [
        whole(bpe(BYTES.values(), TYPED), simple("NFC"), byte_level(), template(("<s>", 266), ("</s>", 267)), byte_level(),
              FLAGS),
        whole(bpe(spm, SPM, unk_token="<unk>", byte_fallback=True, fuse_unk=True),
              sequence(prepend(SPACE), replace("String", " ", SPACE)), None, template(("<s>", 1)), llama,
              [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>", normalized=True)]),
        whole({"type": "Unigram", "unk_id": 0, "vocab": PIECES, "byte_fallback": False},
              {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(small).decode()},
              pre(simple("WhitespaceSplit"), metaspace()), template(("<s>", 1), ("</s>", 2)), metaspace(), FLAGS[:2]),
        whole(pieces, bert(True, True, None, True), simple("BertPreTokenizer"),
              {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
              {"type": "WordPiece", "prefix": "##", "cleanup": True}, [added(i, WORDS[i]) for i in range(5)]),
        whole({"type": "WordLevel", "vocab": {"<unk>": 0, "a": 1, "the": 2, ".": 3, "é": 4}, "unk_token": "<unk>"},
              sequence(simple("Lowercase"), strip(True, False)), simple("Whitespace"), None, None, FLAGS[:5] + [added(0, "<unk>")]),
        whole(bpe(BYTES.values(), TYPED, ignore_merges=True), None,
              pre(split("\\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"),
                  split("[!-/:-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
                  byte_level(False, False)), byte_level(), byte_level(), FLAGS[:3]),
        whole(bpe(letters, [("a", "b"), ("e", "r")], unk_token="<unk>"),
              sequence(simple("NFKD"), simple("StripAccents"), replace("Regex", "\\s+", " "), simple("Nmt")),
              pre({"type": "Digits", "individual_digits": True}, {"type": "Punctuation", "behavior": "MergedWithNext"}), None,
              {"type": "CTC", "pad_token": "a", "word_delimiter_token": "-", "cleanup": True}, FLAGS),
        whole(bpe(BYTES.values(), TYPED), simple("ByteLevel"), split(G, "MergedWithPrevious", True), None, byte_level(), FLAGS[3:]),
        whole(bpe(spm, SPM, unk_token="<unk>", byte_fallback=True), replace("String", " ", SPACE), metaspace("first", False),
              None, llama, [added(1, "<s>"), added(0, "x y", normalized=True, special=False)]),
    ]


def parts():
    """Files that are small, each with one part to look at."""
    level = {"type": "WordLevel", "vocab": {"<unk>": 0, "a": 1, "b": 2, "A": 3}, "unk_token": "<unk>"}
    out = [whole(level, n) for n in normalizers() if len(json.dumps(n)) < 2500]
    out.append(whole(level, precompiled({"a": "b", "\t": " ", "é": ""})))
    pres = [simple(n) for n in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts")]
    pres += [metaspace(s, c) for s in ("always", "first", "never") for c in (True, False)]
    pres += [byte_level(), byte_level(True), {"type": "CharDelimiterSplit", "delimiter": "b"}, {"type": "FixedLength", "length": 3}]
    pres += [{"type": "Digits", "individual_digits": d} for d in (True, False)]
    pres += [split("b+|\\s", b, i) for b in ("Removed", "Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext")
             for i in (True, False)]
    pres += [split(p) for p in (G, "(?i:'s|[a-z&&[^b]])++", "\\X|\\h{2,}", "[\\p{Lu}\\p{Lt}]+(?=b)|(?<!a).{,3}")]
    pres += [pre(simple("Whitespace"), pre(byte_level(False, False)))]
    out += [whole(level, None, p) for p in pres]
    two = [["<unk>", 0], ["a", 1]]
    posts = [template(("<unk>", 0), ("a", 1)), {"type": "BertProcessing", "sep": two[0], "cls": two[1]},
             {"type": "RobertaProcessing", "sep": two[0], "cls": two[1], "trim_offsets": True, "add_prefix_space": True},
             byte_level(), {"type": "Sequence", "processors": [byte_level(), template(("a", 1))]}]
    out += [whole(level, None, simple("Whitespace"), p) for p in posts]
    decoders = [byte_level(), metaspace(), simple("ByteFallback"), simple("Fuse"), replace("String", "a", "x"),
                replace("Regex", "a?", "x"), {"type": "Strip", "content": "a", "start": 1, "stop": 1},
                {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "BPEDecoder", "suffix": "</w>"},
                {"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": True}]
    out += [whole(level, None, simple("Whitespace"), None, d) for d in [*decoders, chain(*decoders[2:7])]]
    old = bpe(["a", "b"], [("a", "b")])
    models = [old, {**old, "merges": ["a b"]}, bpe(["a", "b</w>"], [("a", "b</w>")], end_of_word_suffix="</w>"),
              {**bpe(["a", "##b"], []), "continuing_subword_prefix": "##", "vocab": {"a": 0, "##b": 1, "ab": 7},
               "merges": ["a ##b"]},
              {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1.5], ["ab", -2]], "byte_fallback": False},
              {"type": "WordPiece", "unk_token": "a", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9,
               "vocab": {"a": 0, "##b": 1}}]
    out += [whole(m) for m in models]
    out += [whole(level, None, None, None, None, [t]) for t in FLAGS]
    out.append(whole(level, simple("Lowercase"), None, None, None, FLAGS))
    return out


def c_string(text):
    out = []
    for byte in text.encode():
        c = chr(byte)
        out.append("\\" + c if c in '"\\' else c if " " <= c <= "~" and c != "?" else "\\%03o" % byte)
    return out


def write_header(path, files):
    with open(path, "w", encoding="ascii") as f:
        f.write("/* SPDX-License-Identifier: Apache-2.0\n *\n * Tokenizers for tokenize.c; written by "
                "tools/tokenizer/fuzz_seeds.py, not to be edited. */\n/* clang-format off */\n")
        f.write("static const char *const tokenizer_json[] = {\n")
        for text in files:
            line = ""
            for unit in c_string(text):
                if len(line) + len(unit) > 98:
                    f.write(f'"{line}"\n')
                    line = ""
                line += unit
            f.write(f'"{line}",\n')
        f.write("};\n")


def write_seeds(folder, seeds):
    os.makedirs(folder, exist_ok=True)
    for seed in seeds:
        with open(os.path.join(folder, hashlib.sha1(seed).hexdigest()[:12]), "wb") as f:
            f.write(seed)


def words_of(value, out):
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in ("vocab", "special_tokens"):
                out.add(key)
                if key in ("type", "behavior", "prepend_scheme"):
                    out.add(item)
                words_of(item, out)
    elif isinstance(value, list):
        for item in value:
            words_of(item, out)


def dictionary(words):
    lines = ["# SPDX-License-Identifier: Apache-2.0"]
    for word in words:
        lines.append('"' + "".join(c if " " <= c <= "~" and c not in '"\\' else "\\x%02X" % b
                                   for c, b in ((chr(b), b) for b in word)) + '"')
    return "\n".join(lines) + "\n"


def main():
    fuzz = sys.argv[1]
    dump = lambda v: json.dumps(v, ensure_ascii=False, separators=(",", ":"))
    large, small = [dump(k) for k in kinds()], [dump(p) for p in parts()]
    for text in large + small:
        Tokenizer.from_str(text)
    write_header(os.path.join(fuzz, "tokenize_json.h"), large)
    write_seeds(os.path.join(fuzz, "corpus", "tokenizer_load"), [t.encode() for t in small])
    joined = ["\0\ufeff" .join(EDGES[i::8]) for i in range(8)] + ["ab" * 40, "<s> a </s>b<mask>  word Éb É b x y<unk>", "aaaaaaaa  " * 9]
    texts = [t.encode() for t in joined + EDGES[::5]] + [b"a\xff\xe4\xb8 b\xf0\x9f", b"\xed\xa0\x80\xc0\x80"]
    write_seeds(os.path.join(fuzz, "corpus", "tokenize"),
                [bytes([(i + k) % len(large), i % 4]) + t for k in range(3) for i, t in enumerate(texts)])
    words = set()
    for text in large + small:
        words_of(json.loads(text), words)
    with open(os.path.join(fuzz, "tokenizer_load.dict"), "w", encoding="ascii") as f:
        f.write(dictionary([b'"' + w.encode() + b'"' for w in sorted(words)] +
                           [b"null", b"true", b"false", b'{"Regex":"', b'{"String":"', b'{"type":"', b"<0x00>", b"\\\\p{L}"]))
    with open(os.path.join(fuzz, "tokenize.dict"), "w", encoding="ascii") as f:
        f.write(dictionary([t.encode() for t in ("<s>", "</s>", "<mask>", "<unk>", "[CLS]", "[MASK]", "word", "É b", "x y", SPACE,
                                                 "\u0301", "\u1161", "\u200d", "\u0600", "\u3000", "ﬁ", "\ufdfa", "\r\n", "  ", "'ll",
                                                 "中", "\U0001f999", "the", "<0x41>")] + [b"\xe4\xb8", b"\xf0\x9f", b"\xff"]))


if __name__ == "__main__":
    main()
