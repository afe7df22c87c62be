#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what pre-tokenizers of the `tokenizers` package make of texts, one line of JSON for each pre-tokenizer:
{"pre": ..., "cases": [[text, [[piece, begin, end], ...]], ...]}, positions in bytes of the text.

tests/tokenizer/test_split.c compares; its fixture is  record_splits.py > tests/tokenizer/fixtures/splits.jsonl
For a live comparison: record_splits.py --texts 2000 --seed 7 > FILE; tokenizer_split FILE
"""
import argparse
import json
import random
import re

from tokenizers import Tokenizer

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
PREFIX = r"[^\r\n\p{L}\p{N}]?"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
G = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
C = CONTRACTIONS + "|" + PREFIX + r"\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL
O = (f"{PREFIX}{UPPER}*{LOWER}+{CONTRACTIONS}?|{PREFIX}{UPPER}+{LOWER}*{CONTRACTIONS}?|" +
     r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + TAIL)
KNOWN = [
    G,
    C % r"\p{N}{1,3}",
    C % r"\p{N}",
    C % r"\p{N}{1,3}+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    CONTRACTIONS + "|" + PREFIX + r"[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + TAIL,
    CONTRACTIONS + "|" + PREFIX + r"[\p{L}\p{M}]+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL,
    O,
    O.replace(CONTRACTIONS + "?", "").replace(r"\p{N}{1,3}", r"\p{N}"),
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|".replace(
        '\\"', '"') + TAIL,
    "[0-9][0-9][0-9]",
    " ?[^(\\s|[.,!?…。，、।۔،])]+",
]
OTHERS = [r"\s+", r"\w+|[^\w\s]+", r"\d", "", "a*", r"(?<=a)b", r"^.", r"\p{Lu}", r"[\p{L}&&[^a-z]]", r"[^\S\n]+", r"\p{Han}+",
          r"a{,2}b", r"(?:ab){1,2}+", r"[[:alpha:]]+", r"\h+", r"[\P{L}a]+", r"(?i:abc)", r"\bx", r".$", "(?m:a.)", r"\S+\n?",
          r"[^\p{L}\d]", r"[a-c[x-z]]+", r"\x{3042}|[あ-ん]", r"\D+", r"[\W_]+", r"\R", r"(a|b)\1", r"(\w)(\w)\2\1", r"(?i:(a))\1+", r"(.)\1{1,2}+", r"\p{^L}+", r"\p{Letter}",
          r"[\p{^L}]", r"\p{Alpha}+", r"\p{Hiragana}+", r"x*?", r"a??b", r"\p{Punct}", "[ab", r"(?<n>a)", r"[[:^space:]]+", r"\Ga", r"\p{Cn}",
          r"[\p{Han}]+|" + O.replace("\\p{M}]", "\\p{M}&&[^\\p{Han}]]"), r"\p{Graph}+", r"[[:punct:]\s]", r"[^[:alnum:]]", r"[\p{L}--]", r"a{2}?b",
          r"[a-z&&[^aeiou]&&[^x]]+", r"[^a-z&&\w]+", r"(?:a|b){1,3}+c?", r"[\D&&\S]+", r"\P{Han}+", r"\p{Uppercase_Letter}+", r"[[:print:]]+",
          r"[\p{Latin}&&\p{Lu}]", r"[[:blank:]]", r"[\p{Word}]+", r"\N+", r"a\Ob", r"(?i)[k-s]+", r"(?i:K)", r"\w+\b", r"[^\W\d]+", r"[\x{1F300}-\x{1FAFF}]",
          r"(?i:ss)", r"[\s\S]{1,4}", r"(?>a+)b|a", r"[^\x00-\x7F]+", r"\u3042", r"\B."]


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_level(prefix=False, regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def metaspace(replacement="▁", scheme="always", **rest):
    return {"type": "Metaspace", "replacement": replacement, "prepend_scheme": scheme, **rest}


BEHAVIORS = ["Removed", "Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext"]
DIGITS, DIGIT = {"type": "Digits", "individual_digits": False}, {"type": "Digits", "individual_digits": True}
WHITESPACE, WHITESPACE_SPLIT = {"type": "Whitespace"}, {"type": "WhitespaceSplit"}
BERT, SCRIPTS = {"type": "BertPreTokenizer"}, {"type": "UnicodeScripts"}


def punctuation(behavior):
    return {"type": "Punctuation", "behavior": behavior}


def delimiter(character):
    return {"type": "CharDelimiterSplit", "delimiter": character}


def pre_tokenizers():
    for pattern in KNOWN + OTHERS:
        yield split(pattern)
    for behavior in BEHAVIORS:
        for invert in (False, True):
            yield split(r"\s+", behavior, invert)
            yield split(" ", behavior, invert, "String")
            yield split("aa", behavior, invert, "String")
            yield split(r"a*", behavior, invert)
            yield split("", behavior, invert, "String")
            yield split(KNOWN[1], behavior, invert)
            yield split(KNOWN[11], behavior, invert)
        yield punctuation(behavior)
    yield {"type": "Punctuation"}
    yield from (DIGITS, DIGIT, WHITESPACE, WHITESPACE_SPLIT, BERT, SCRIPTS, delimiter("-"), delimiter("▁"), delimiter(" "))
    yield from ({"type": "FixedLength"}, {"type": "FixedLength", "length": 1}, {"type": "FixedLength", "length": 7})
    for prefix in (False, True):
        for regex in (False, True):
            yield byte_level(prefix, regex)
    for scheme in ("always", "first", "never"):
        yield metaspace(scheme=scheme)
        yield metaspace("_", scheme, split=False)
        yield sequence(WHITESPACE_SPLIT, metaspace(scheme=scheme))
        yield sequence(metaspace(), metaspace("x", scheme))
        yield sequence(byte_level(), metaspace(scheme=scheme))
    yield {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    yield sequence(punctuation("Contiguous"), byte_level(), DIGITS, split("[0-9][0-9][0-9]"))
    for part in (DIGIT, punctuation("Isolated"), punctuation("MergedWithNext"), WHITESPACE, WHITESPACE_SPLIT, BERT, SCRIPTS,
                 delimiter("-"), delimiter("Ġ"), delimiter("▁"), {"type": "FixedLength", "length": 3}, split(G), byte_level(),
                 byte_level(True, False), split("Ġ", "MergedWithPrevious", kind="String"), split("Ġ", "MergedWithNext", kind="String"),
                 split("", kind="String"), split("Â", "Contiguous", kind="String")):
        yield sequence(byte_level(), part)
        yield sequence(byte_level(True, False), part, DIGITS)
    yield sequence(DIGIT, byte_level())
    yield sequence(split(KNOWN[9]), split(KNOWN[10]), split(KNOWN[11]), byte_level(regex=False))
    yield sequence(sequence(DIGITS, sequence()), sequence(split(KNOWN[1], "Removed", True), byte_level(regex=False)))
    yield sequence()
    yield sequence(split(" ", "MergedWithPrevious", kind="String"), DIGIT)
    yield sequence(WHITESPACE, punctuation("Removed"), SCRIPTS)


ALPHABET = (
    list("aaabcstmdlLVErevSxyzABZ") * 2 + list("0123456789") + list("      \n\n\r\t\x0b\x0c") + list("'''\".,-!?/(){}[]|_+=<>$^`~\\@#%&*;:") +
    ["'s", "'LL", "'re", "'\u017f", "\r\n", "  ", " '", "a's", "aa", "ab"] +
    list("éÉßẞıİǅʰªºµÀàЖжΣς") + list("中文字一龥龦かなカナー゠ヿ\u3040、。，〇") + list("한국어ไทยที่नमस्ते") +
    list("\u0301\u0308\u0345\u0903\u20dd\u05b0") + list("²³¹½Ⅵ٣१𝟙①㊿") +
    list("\u0085\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u180e\ufeff\u00ad\u0000\u0001\u007f") +
    list("…—“”’«»§¶·×÷€±°©®™←⇒≠▁_Ġ") + list("😀👨🏽🇺\ufe0f") + list("\u1c89\u1c8a\U00031350\U00016d70\ue000\u0378\U00011de0\U00010400\u2e52\u061d"))


def texts(count, rng):
    yield from (" ", "Hello, y'all! It's 12345 o'clock.\n\n\tWHAT'S up?  ", "def f(x):\n    return x**2  # ok\n\n\n", "ab  cd\n \n ef",
                "¿Qué? Дом 中文かな１２３ ½ don'T", "camelCaseABCdef's HTTPServer'LL /path//\n/x", "a b", "   lead", "trail   ")
    for _ in range(count):
        out = []
        for _ in range(rng.randint(1, 12)):
            out.append(rng.choice(ALPHABET) * rng.choice((1, 1, 1, 2, 3, rng.randint(1, 20))))
        yield "".join(out)


def open_pre(pre):
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": pre,
        "post_processor": None, "decoder": None, "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}})).pre_tokenizer


def record(pre, some):
    try:
        cut = open_pre(pre).pre_tokenize_str
    except Exception:  # a pattern that Oniguruma refuses: nothing to compare with
        return None
    cases = []
    for text in some:
        at = [0]
        for c in text:
            at.append(at[-1] + len(c.encode()))
        try:
            cases.append([text, [[piece, at[b], at[e]] for piece, (b, e) in cut(text)]])
        except BaseException as problem:  # a Rust panic
            assert re.search("panic|Exception|bad split", repr(problem)), problem
    return {"pre": pre, "cases": cases}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--texts", type=int, default=6)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    for pre in pre_tokenizers():
        line = record(pre, texts(options.texts, rng))
        if line:
            print(json.dumps(line, ensure_ascii=False, separators=(",", ":")))


main()
