#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Over 600 lines because it is a list: every part with every setting.
"""Makes tokenizer.json files of every model type, normalizer, pre-tokenizer, post-processor and decoder, and
combinations as real families have them, each in a folder of its own with what Hugging Face makes of some texts.

usage: synthetic.py FOLDER [--only PART] [--large] [--bytes N] [--corpus FILE]
--large adds what is too large for a repository (whole character maps).  --bytes: of the cases of each tokenizer.

A line of cases.jsonl is {"text", "ids", "plain", "decoded", "decoded_skip", "offsets"[, "id_offsets"]}: `ids` with
special tokens and `plain` without, `decoded` from `ids`; `offsets` are begin and end of each of `plain` in bytes of the
text, flat; `id_offsets` those of `ids` where the two differ.  Needs tokenizers and sentencepiece.  The trainers of the
package settle some ties at random, so vocabularies of Unigram, WordPiece and BPE with affixes are new with each run.
"""
import argparse
import base64
import io
import itertools
import json
import os
import random
import shutil
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from texts import CODE, EDGES, SAMPLES, texts

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data/text/tinyshakespeare.txt")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
C3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
      r"\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
          r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
            r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
FLAGS = ["single_word", "lstrip", "rstrip", "normalized", "special"]


# ---- parts ----------------------------------------------------------------------------------------------------------

def part(kind, **fields):
    return {"type": kind, **fields}


def sequence(name, *parts):
    return {"type": "Sequence", name: list(parts)}


def normalizers_of(*parts):
    return sequence("normalizers", *parts)


def pretokenizers_of(*parts):
    return sequence("pretokenizers", *parts)


def decoders_of(*parts):
    return sequence("decoders", *parts)


def processors_of(*parts):
    return sequence("processors", *parts)


def regex(text):
    return {"Regex": text}


def string(text):
    return {"String": text}


def split(pattern, behavior="Isolated", invert=False):
    return part("Split", pattern=regex(pattern) if isinstance(pattern, str) else pattern, behavior=behavior,
        invert=invert)


def replace(pattern, content):
    return part("Replace", pattern=string(pattern) if isinstance(pattern, str) else pattern, content=content)


def byte_level(prefix=False, use_regex=False, trim=True):
    return part("ByteLevel", add_prefix_space=prefix, trim_offsets=trim, use_regex=use_regex)


def metaspace(scheme="always", cut=True, replacement="▁"):
    return part("Metaspace", replacement=replacement, prepend_scheme=scheme, split=cut)


def bert(clean=True, chinese=True, accents=None, lower=True):
    return part("BertNormalizer", clean_text=clean, handle_chinese_chars=chinese, strip_accents=accents,
        lowercase=lower)


def template(single, pair=None, **tokens):
    """`single` as in Hugging Face's own notation; tokens: name -> id or [ids]."""
    def pieces(text, other):
        out = []
        for word in text.split():
            name, _, kind = word.partition(":")
            if name in ("$A", "$B"):
                out.append({"Sequence": {"id": name[1], "type_id": int(kind or other)}})
            else:
                out.append({"SpecialToken": {"id": name, "type_id": int(kind or 0)}})
        return out
    special = {}
    for name, ids in tokens.items():
        ids = ids if isinstance(ids, list) else [ids]
        special[name] = {"id": name, "ids": ids, "tokens": [name] * len(ids)}
    return part("TemplateProcessing", single=pieces(single, 0), pair=pieces(pair or single + " $B:1", 1),
                special_tokens=special)


def added(content, i=0, **flags):
    return {"id": i, "content": content, **{f: bool(flags.get(f, False)) for f in FLAGS}}


def special(*contents, first=0, **flags):
    return [added(c, first + i, special=True, **flags) for i, c in enumerate(contents)]


def file(model, normalizer=None, pre=None, post=None, decoder=None, tokens=(), **rest):
    if not decoder and len(model["vocab"]) < 300 and "<0x00>" in model["vocab"]:
        decoder = part("ByteFallback")  # shorter texts in the cases
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(tokens),
        "normalizer": normalizer,
            "pre_tokenizer": pre, "post_processor": post, "decoder": decoder, "model": model, **rest}


# ---- models ---------------------------------------------------------------------------------------------------------

class Models:
    """Trained on the corpus, each once."""

    def __init__(self, corpus):
        with open(corpus, encoding="utf-8") as f:
            play = f.read(120000)
        self.lines = SAMPLES * 12 + CODE * 8 + play.split("\n\n")
        self.made = {}

    def common(self, lines, size):
        """Only the `size` most frequent characters (the trainers' own limit chooses at random among equals)."""
        count = {}
        for line in lines:
            for c in line:
                count[c] = count.get(c, 0) + 1
        keep = set(sorted(count, key=lambda c: (-count[c], c))[:size]) | {" ", "\n"}
        return ["".join(c for c in line if c in keep) for line in lines]

    def train(self, key, model, trainer, pre=None, normalizer=None, alphabet=0):
        if key not in self.made:
            t = Tokenizer(model)
            lines = self.lines
            if alphabet:
                lines = [normalizer.normalize_str(line) for line in lines] if normalizer else lines
                lines = self.common(lines, alphabet)
            if pre:
                t.pre_tokenizer = pre
            if normalizer:
                t.normalizer = normalizer
            t.train_from_iterator(lines, trainer)
            self.made[key] = json.loads(t.to_str())["model"]
        return json.loads(json.dumps(self.made[key]))

    def byte_bpe(self, size=420, pattern=GPT2, names=(), **fields):
        """Byte-level BPE; `names` come first in the vocabulary."""
        pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        model = self.train(("bytes", size, pattern, tuple(names)), models.BPE(), trainers.BpeTrainer(
            vocab_size=size, show_progress=False, special_tokens=list(names),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())), pre)
        return {**model, **fields}

    def char_bpe(self, size=700, names=("<unk>",), prefix=None, suffix=None, space="▁", fallback=False, **fields):
        """Character BPE over words that begin with ▁, or over bare words with a prefix or suffix."""
        pre = (pre_tokenizers.WhitespaceSplit() if prefix is not None or suffix is not None
               else pre_tokenizers.Metaspace(space, "always", True))
        names = list(names) + ([f"<0x{b:02X}>" for b in range(256)] if fallback else [])
        options = {}
        if prefix:
            options["continuing_subword_prefix"] = prefix
        if suffix:
            options["end_of_word_suffix"] = suffix
        model = self.train(("chars", size, tuple(names), prefix, suffix, space),
            models.BPE(unk_token="<unk>", **options),
                           trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=names,
                                               **options), pre, alphabet=150)
        model.update(continuing_subword_prefix=prefix, end_of_word_suffix=suffix, byte_fallback=fallback, **fields)
        return model

    def unigram(self, size=500, names=("<unk>",), fallback=False, unk=0, **fields):
        model = self.train(("unigram", size, tuple(names)), models.Unigram(), trainers.UnigramTrainer(
            vocab_size=size, show_progress=False, special_tokens=list(names), unk_token="<unk>", max_piece_length=12),
            pre_tokenizers.Metaspace())
        for entry in model["vocab"]:
            entry[1] = round(entry[1], 6)
        model["vocab"][len(names):] = sorted(model["vocab"][len(names):], key=lambda x: (-x[1], x[0]))
        if fallback:
            model["vocab"] += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
        return {**model, "unk_id": unk, "byte_fallback": fallback, **fields}

    def wordpiece(self, size=600, names=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), prefix="##", lower=True,
        **fields):
        model = self.train(("wordpiece", size, tuple(names), prefix, lower), models.WordPiece(unk_token="[UNK]"),
                           trainers.WordPieceTrainer(vocab_size=size, show_progress=False, special_tokens=list(names),
                                                     continuing_subword_prefix=prefix),
                           pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer(lowercase=lower), 180)
        return {**model, **fields}

    def wordlevel(self, size=150, unk="<unk>", **fields):
        model = self.train(("wordlevel", size), models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(
            vocab_size=size, show_progress=False, special_tokens=["<unk>"]), pre_tokenizers.WhitespaceSplit())
        return {**model, "unk_token": unk, **fields}


def all_bytes(*extra, merges=(), **fields):
    """Every character becomes its bytes: the ids spell out the normalized text."""
    vocab = {f"<0x{b:02X}>": b for b in range(256)}
    for t in list(extra) + [a + b for a, b in merges]:
        vocab.setdefault(t, len(vocab))
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": True, "ignore_merges": False,
            "vocab": vocab, "merges": [list(m) for m in merges], **fields}


def pieces_model(*words):
    """Every piece is one token: ids and offsets spell out where a text was split."""
    vocab = {"<unk>": 0}
    for w in words:
        vocab.setdefault(w, len(vocab))
    return {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}


def charsmap(rules):
    """A compiled character map of {from: to}, as SentencePiece makes it."""
    import sentencepiece
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.tsv")
        with open(path, "w", encoding="utf-8") as f:
            for a, b in rules.items():
                f.write(" ".join("%X" % ord(c) for c in a) + "\t" + " ".join("%X" % ord(c) for c in b) + "\n")
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a b c d e f g"] * 20), model_writer=out,
                                                 vocab_size=12, normalization_rule_tsv=path, minloglevel=2,
                                                 hard_vocab_limit=False)
        return precompiled(field(field(out.getvalue(), 3), 2))


def field(message, wanted):
    """The last field of that number and of wire type 2 in a protobuf message."""
    at, found = 0, None

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = number()
        size = {0: lambda: number() * 0, 1: lambda: 8, 2: number, 5: lambda: 4}[tag & 7]()
        if tag == wanted << 3 | 2:
            found = message[at:at + size]
        at += size
    return found


def known_charsmap(name):
    import sentencepiece
    with open(os.path.join(os.path.dirname(sentencepiece.__file__), "package_data", name + ".bin"), "rb") as f:
        return precompiled(f.read())


def precompiled(blob):
    return part("Precompiled", precompiled_charsmap=base64.b64encode(blob).decode())


def small_rules():
    """Of nmt_nfkc, what fits: widths, ligatures, controls, spaces, a few compositions, prefixes of each other."""
    rules = {"\u00a0": " ", "\u3000": " ", "\u2003": " ", "\t": " ", "\n": " ", "\r": " ", "\u200b": " ",
        "\ufeff": "",
             "\u0001": "", "\u007f": "", "\u00ad": "", "ﬁ": "fi", "ﬃ": "ffi", "①": "1", "½": "1⁄2", "™": "TM",
             "㎒": "MHz", "…": "...", "²": "2", "Ⅵ": "VI", "\u212b": "\u00c5", "\u2126": "\u03a9", "ﾊﾟ": "パ", "ｱ": "ア",
             "ﾊ": "ハ", "㍿": "株式会社",
             "e\u0301": "é", "E\u0301": "É", "a\u0301": "á", "a\u0323": "ạ", "a\u0323\u0302": "ậ", "カ\u3099": "ガ",
             "か\u3099": "が",
             "\u1112\u1161": "하", "\u1112\u1161\u11ab": "한", "\u1100\u116e\u11a8": "국", "नमस्": "x", "\ufdfa": "صلى",
             "\U0001f468\u200d\U0001f469": "<2>", "\u0915\u094d": "k", "ab": "AB", "abc": "<3>", "  ": " "}
    for i in range(26):
        rules[chr(0xFF21 + i)] = chr(65 + i)
        rules[chr(0xFF41 + i)] = chr(97 + i)
    for i in range(10):
        rules[chr(0xFF10 + i)] = chr(48 + i)
    return rules


# ---- one kind after the other ---------------------------------------------------------------------------------------
# Each yields (name, value of the file, texts of its own[, options]).

MARKED = ["Ⓐ Ａ ﬁ e\u0301 é É İ ß ǅ", "Héllo WÖRLD ", "  both  sides \u3000", "\tx\u00a0", "A\u0300\u0301B",
    "中a文b 한국 ᄒ\u1161",
          "\u0000\ufffda\u200bb\u00adc\ufeff", "x\u0091y\u008f\u2028z", "ΑΣ ΑΣΑ σ", "½ ² ㎒ ㍿ ﷺ", "a b  c   d",
          "aaa bab abcab",
          "ffi ﬃ", "ŻÓŁĆ żółć", "q\u0307\u0323", "\u1e9b\u0323", "कि\u093c", "ﾊﾟﾊ", "\r\n\t \x7f",
          "\U0001f468\u200d\U0001f469"]


def normalizer_files(m):
    forms = [part(n) for n in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")]
    for p in forms:
        yield "norm_" + p["type"].lower(), file(all_bytes(), p), MARKED
    for left, right in itertools.product((False, True), repeat=2):
        yield f"norm_strip_{int(left)}{int(right)}", file(all_bytes(), part("Strip", strip_left=left,
            strip_right=right)), MARKED
    for i, (pattern, content) in enumerate([
            (string(" "), "▁"), (string("ab"), "x"), (string("a"), ""), (string("é"), "e\u0301"),
            (regex(" {2,}"), " "),
            (regex(r"\s+"), "_"), (regex("[^a-z]"), ""), (regex("(a)(b)"), "$2\\1"), (regex("$"), "!"),
            (regex("^"), "> "),
            (regex(r"\p{Mn}"), ""), (regex("x*"), "-"), (string("."), ", "), (regex(r"(?<=a)b"), "BB"),
            (string(""), "z")]):
        yield f"norm_replace_{i:02}", file(all_bytes(), part("Replace", pattern=pattern,
            content=content)), MARKED + ["xxaxx a.b"]
    for i, p in enumerate(["▁", "ab ", ""]):
        yield f"norm_prepend_{i}", file(all_bytes(), part("Prepend", prepend=p),
            tokens=special("<s>")), ["<s>a<s> b<s>", "<s><s>"]
    for clean, chinese, accents, lower in itertools.product((False, True), (False, True), (None, False, True),
        (False, True)):
        name = f"norm_bert_{int(clean)}{int(chinese)}{'n' if accents is None else int(accents)}{int(lower)}"
        yield name, file(all_bytes(), bert(clean, chinese, accents, lower)), MARKED
    yield "norm_precompiled", file(all_bytes(), charsmap(small_rules())), MARKED + ["abab abc", "नमस्ते",
        "ａｂ\u3000１２"]
    chain = [("nfd_strip", [part("NFD"), part("StripAccents")]), ("nfd_lower_accents",
        [part("NFD"), part("Lowercase"), part("StripAccents")]),
             ("empty", []), ("strip_prepend", [part("Strip", strip_left=True, strip_right=True),
             part("Prepend", prepend="▁"),
                                               replace(" ", "▁")]),
             ("prepend_replace", [part("Prepend", prepend="▁"), replace(" ", "▁")]),
             ("charsmap_lower", [charsmap(small_rules()), part("Lowercase"), replace(regex(" {2,}"), " ")]),
             ("nested", [normalizers_of(part("NFKC"), normalizers_of(part("Lowercase"))), replace("a", "aa"),
             part("NFD")]),
             ("nmt_nfkc", [part("Nmt"), part("NFKC"), replace(regex(" {2,}"), " ")]),
             ("removes", [replace("a", ""), replace(regex("[bc]+"), ""), part("Prepend", prepend="^")]),
             ("grows", [replace("a", "éa"), replace("é", "中"), part("NFKD"), replace("中", "")]),
             ("bytes_twice", [part("NFC"), part("ByteLevel")])]
    for name, parts in chain:
        yield "norm_seq_" + name, file(all_bytes(), normalizers_of(*parts),
            tokens=special("<s>")), MARKED + ["<s> a<s>b c"]
    yield "norm_bytelevel_bpe", file(m.byte_bpe(), part("ByteLevel"), split("Ġ?[A-Za-z]+"),
        decoder=byte_level()), MARKED
    for name in ("nmt_nfkc", "nmt_nfkc_cf", "nfkc", "nfkc_cf"):
        yield "large_norm_" + name, file(all_bytes(), known_charsmap(name)), MARKED


PRE_TEXTS = ["a b  c", " a", "a ", "a-b--c", "Hello, world! (it's)", "1a22b333", "été 中文かな한국 abc", "x\n\ny\r\nz",
    "...a...", "-",
             "--", "don't ١٢٣ Ⅵ ²", "a_b c-d", "漢字カナー・かな", "мир world", "$5 + 3 = 8 ^_^ `x`",
             "a\u00a0b\u3000c\u200bd", "▁a ▁▁b",
             "\u0301a \u200d", "。、！a", "¿q?", "\U0001f468\u200d\U0001f469 x"]


def pre_tokenizer_files(m):
    words = ["a", "b", "c", " ", "-", "--", "é", "中文", "it", "'", "the", "▁a", "▁", "Ġa", "Ġ", "Hello", "1", "22",
        " a", "Ċ"]
    model = pieces_model(*words)
    for behavior, invert in itertools.product(BEHAVIORS, (False, True)):
        tail = f"{behavior.lower()}_{int(invert)}"
        yield "pre_split_s_" + tail, file(model, pre=split(string("-"), behavior, invert)), PRE_TEXTS
        yield "pre_split_r_" + tail, file(model, pre=split(r"\s+|[a-c]{2}|\d", behavior, invert)), PRE_TEXTS
    for i, p in enumerate([r"x*", r"(?=b)", "", r"$", r"\b", r"^", r"\w+|[^\w\s]+", r"(?i)[A-C]",
        r"\p{Han}|\p{Hiragana}+", r"a|ab|abc",
                           r"[[a-c][^\s]&&[^x]]+", r"\h+|\H", r".", r"(\w)\1", r"\d+(?=\D)|\S", r"[^\S\n]+", r"(?m:^a)", r"\R",
                           r"[[:alpha:]]+"]):
        yield f"pre_regex_{i:02}", file(model, pre=split(p)), PRE_TEXTS + ["xxaxxb", "aabbcc", "abcabc"]
    yield "pre_split_string_regex", file(model, pre=split(string(".+"), "Removed")), PRE_TEXTS + ["a.+b.+", ".+"]
    yield "pre_split_string_empty", file(model, pre=split(string(""), "Isolated")), PRE_TEXTS
    for prefix, use_regex in itertools.product((False, True), repeat=2):
        yield f"pre_bytelevel_{int(prefix)}{int(use_regex)}", file(model,
            pre=byte_level(prefix, use_regex)), PRE_TEXTS
    for scheme, cut in itertools.product(("always", "first", "never"), (True, False)):
        yield f"pre_metaspace_{scheme}_{int(cut)}", file(model, pre=metaspace(scheme, cut), tokens=special("<s>")), \
            PRE_TEXTS + ["<s>a", " <s> a", "a<s>b <s>"]
    yield "pre_metaspace_other", file(model, pre=metaspace("always", True, "_")), PRE_TEXTS
    yield "pre_metaspace_old", file(model, pre=part("Metaspace", replacement="▁", add_prefix_space=True)), PRE_TEXTS
    yield "pre_metaspace_old_never", file(model, pre=part("Metaspace", replacement="▁", str_rep="▁",
        add_prefix_space=False,
                                                          prepend_scheme="never")), PRE_TEXTS
    for single in (False, True):
        yield f"pre_digits_{int(single)}", file(model, pre=part("Digits", individual_digits=single)), PRE_TEXTS
    for behavior in BEHAVIORS:
        yield "pre_punctuation_" + behavior.lower(), file(model, pre=part("Punctuation",
            behavior=behavior)), PRE_TEXTS
    for kind in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts"):
        yield "pre_" + kind.lower(), file(model, pre=part(kind)), PRE_TEXTS
    yield "pre_delimiter", file(model, pre=part("CharDelimiterSplit", delimiter="-")), PRE_TEXTS
    yield "pre_delimiter_han", file(model, pre=part("CharDelimiterSplit", delimiter="中")), PRE_TEXTS
    for n in (1, 3, 5):
        yield f"pre_fixed_{n}", file(model, pre=part("FixedLength", length=n)), PRE_TEXTS
    chains = [("digits_bytes", [part("Digits", individual_digits=True), byte_level(False, True)]),
              ("whitespace_punct", [part("WhitespaceSplit"), part("Punctuation", behavior="Isolated")]),
              ("split_metaspace", [part("WhitespaceSplit"), metaspace()]),
              ("metaspace_first_twice", [split(string("-"), "Isolated"), metaspace("first", False)]),
              ("scripts_fixed", [part("UnicodeScripts"), part("FixedLength", length=2)]), ("empty", []),
              ("nested", [pretokenizers_of(part("Whitespace")), pretokenizers_of(split(string("a"), "MergedWithNext"),
                                                                                byte_level(True, False))]),
              ("bytes_twice", [byte_level(True, True), byte_level(False, False)]),
              ("punct_digits_prefix", [part("Punctuation", behavior="Contiguous"), byte_level(True, True),
                                       part("Digits", individual_digits=False), split("[0-9][0-9][0-9]")])]
    for name, parts in chains:
        yield "pre_seq_" + name, file(model, pre=pretokenizers_of(*parts)), PRE_TEXTS


def model_files(m):
    meta = metaspace()
    yield "bpe_bytes", file(m.byte_bpe(), pre=byte_level(False, True), decoder=byte_level()), []
    yield "bpe_bytes_ignore_merges", file(ignoring(m.byte_bpe()), pre=byte_level(False, True),
        decoder=byte_level()), []
    yield "bpe_bytes_whole", file(m.byte_bpe(names=["<unk>"]), pre=byte_level(True, False), decoder=byte_level()), []
    yield "bpe_old_merges", file(old_merges(m.byte_bpe()), pre=byte_level(False, True), decoder=byte_level()), []
    yield "bpe_dropout_0", file(m.byte_bpe(dropout=0.0), pre=byte_level(False, True), decoder=byte_level()), []
    yield "bpe_byte_fallback_bytes", file(m.byte_bpe(byte_fallback=True, unk_token="!"), pre=byte_level(False, True),
        decoder=byte_level()), []
    for fuse, unk in itertools.product((False, True), ("<unk>", None)):
        for fallback in (False, True):
            name = f"bpe_char_{'unk' if unk else 'drop'}_{int(fuse)}{'_fallback' if fallback else ''}"
            model = m.char_bpe(600 if fallback else 400, fallback=fallback, fuse_unk=fuse)
            model["unk_token"] = unk
            yield name, file(model, pre=meta, decoder=decoders_of(replace("▁", " "), part("ByteFallback"),
                part("Fuse"))), \
                ["☃☃ ☃a☃☃b", "a☃", "☃", "\U0001f999☃x"]
    lacking = m.char_bpe(600, fallback=True, fuse_unk=True)
    lacking["vocab"]["<0xzz>"] = lacking["vocab"].pop("<0xE2>")
    yield "bpe_fallback_lacks_one", file(lacking, pre=meta, decoder=part("ByteFallback")), ["☃☃ é \u0001a☃"]
    mixed = m.char_bpe(600, fallback=True, fuse_unk=False)
    yield "bpe_fallback_whole", file(mixed, normalizers_of(part("Prepend", prepend="▁"), replace(" ", "▁")),
                                     decoder=decoders_of(replace("▁", " "), part("ByteFallback"), part("Fuse"),
                                                         part("Strip", content=" ", start=1, stop=0))), ["☃ a",
                                                         "  a  b"]
    for i, (prefix, suffix) in enumerate([("##", None), (None, "</w>"), ("##", "</w>"), ("", ""), ("_", "")]):
        model = m.char_bpe(420, prefix=prefix, suffix=suffix)
        yield f"bpe_affix_{i}", file(model, pre=part("WhitespaceSplit"), decoder=part("BPEDecoder", suffix="</w>")), \
            ["a", "the the", "I am", "é", "☃a", "a☃"]
        yield f"bpe_affix_{i}_ignore", file(dict(ignoring(model), fuse_unk=True), pre=part("WhitespaceSplit"),
                                            decoder=part("WordPiece", prefix="##", cleanup=False)), ["a", "the</w>",
                                            "##e"]
    spaces = {"<unk>": 0, "a": 1, " ": 2, "b": 3, "a ": 4, " b": 5, "a b": 6, "a  b": 7, "  ": 8, "\n": 9, "a\n": 10}
    yield "bpe_merges_with_spaces", file(dict(all_bytes(), byte_fallback=False, unk_token="<unk>", vocab=spaces,
                                              merges=[["a", " "], [" ", " "], [" ", "b"], ["a ", "b"], ["a ", " b"],
                                              ["a", "\n"]])), \
        ["a b", "a  b", "a   b", "b a b", "a\nb", "c a b"]
    twice = dict(all_bytes(), byte_fallback=False, vocab={c: i for i, c in enumerate(
        ["a", "b", "c", "ab", "bc", "abc", "aa", "aaa", "aaaa"])})
    yield "bpe_same_merge_twice", file(dict(twice, merges=[["a", "b"], ["b", "c"], ["a", "b"], ["ab", "c"],
        ["a", "bc"], ["a", "a"],
                                                           ["aa", "a"], ["aa", "aa"], ["a", "aa"]])), \
        ["abc", "ababc", "aabcc", "a" * 17, "a" * 300, "abcabcaab"]
    yield "bpe_no_merges", file(dict(twice, merges=[])), ["abc", "abcd"]
    yield "bpe_empty", file(dict(twice, vocab={}, merges=[])), ["abc"]
    yield "bpe_unk_absent", file(dict(m.byte_bpe(), unk_token="<nothing>")), ["☃", "a b"]
    yield "bpe_holes", file(holes(m.byte_bpe()), pre=byte_level(False, True), decoder=byte_level(),
                            tokens=[added("<new>", 3), added("the", 900, special=True)]), ["the<new>", "<new>"]
    yield "bpe_cache", file(m.byte_bpe(1200), pre=byte_level(False, True), decoder=byte_level()), []
    yield "unigram", file(m.unigram(), pre=meta, decoder=meta), ["☃☃ ☃a", "aaaaaaaaaaaa", "zzz"]
    yield "unigram_fallback", file(m.unigram(350, fallback=True), pre=meta,
        decoder=decoders_of(part("ByteFallback"), meta)), ["☃☃ ☃a", "\u0000"]
    yield "unigram_unk_null", file(m.unigram(400, unk=None), pre=meta, decoder=meta), ["☃☃ ☃a"]
    yield "unigram_unk_late", file(m.unigram(400, unk=7), pre=meta, decoder=meta), ["☃☃ ☃a"]
    yield "unigram_whole", file(m.unigram(400), normalizers_of(replace(" ", "▁")), decoder=replace("▁", " ")), []
    ties = [["<unk>", 0.0], ["a", -1.0], ["aa", -2.0], ["aaa", -3.0], ["b", -1.5], ["ab", -2.5], ["ba", -2.5],
        ["c", -30.0],
            ["bc", -31.5], ["a", -1.25], ["é", -3.0], ["\u0301", -3.0], ["aab", 0.5], [" ", -2.0], ["", -9.0]]
    yield "unigram_ties", file({"type": "Unigram", "unk_id": 0, "vocab": ties, "byte_fallback": False}), \
        ["a" * n for n in range(1, 9)] + ["abab", "aabab", "abc", "bcbc", "xbcx", "xx", "axxb", "é e\u0301", "aabaab"]
    yield "unigram_short", file({"type": "Unigram", "unk_id": 0, "vocab": ties[:3]}), ["a", "aab", "bbb", "ab"]
    yield "wordpiece", file(m.wordpiece(), bert(), part("BertPreTokenizer"),
        decoder=part("WordPiece", prefix="##", cleanup=True)), \
        ["x" * 100, "x" * 101, "é" * 101, "the" * 40]
    yield "wordpiece_prefix", file(m.wordpiece(400, prefix="@@", max_input_chars_per_word=10,
        continuing_subword_prefix="@@"), None,
                                   part("WhitespaceSplit"), decoder=part("WordPiece", prefix="@@", cleanup=False)), \
        ["abcdefghij", "abcdefghijk", "éééééééééé"]
    yield "wordpiece_no_prefix", file(m.wordpiece(400, prefix="", continuing_subword_prefix=""), None,
        part("Whitespace"),
                                      decoder=part("WordPiece", prefix="", cleanup=True)), []
    yield "wordpiece_no_unk", file(m.wordpiece(400, unk_token="[NONE]"), None, part("Whitespace")), ["☃", "the",
        "a ☃"]
    yield "wordlevel", file(m.wordlevel(), pre=part("Whitespace")), ["the ship", "ship ship ☃"]
    yield "wordlevel_unk_absent", file(m.wordlevel(unk="<none>"), pre=part("WhitespaceSplit")), ["the ship", "☃",
        "the of"]
    wide = {"<unk>": 0, "a": 5, "b": 100, "c": 70000, "d": 7, "the": 6}
    yield "wordlevel_holes", file({"type": "WordLevel", "vocab": wide, "unk_token": "<unk>"},
        pre=part("WhitespaceSplit"),
                                  tokens=[added("e", 1), added("c", 2),
                                  added("f", 9, special=True)]), ["a b c d e f the", "e e", "f"]
    yield "duplicate_ids", file({"type": "WordLevel", "vocab": {"<unk>": 0, "a": 1, "b": 1, "c": 2, "d": 2, "e": 3},
                                 "unk_token": "<unk>"}, pre=part("WhitespaceSplit"),
                                 tokens=[added("f", 3)]), ["a b c d e f", "e"]
    yield "duplicate_ids_bpe", file(dict(twice, vocab={**twice["vocab"], "bc": 3, "x": 0},
        merges=[["a", "b"], ["b", "c"]])), \
        ["abc", "abbc", "x", "a"]


def ignoring(model):
    """Words that no merges reach, found whole with ignore_merges."""
    model = json.loads(json.dumps(model))
    top = 1 + max(model["vocab"].values())
    for i, w in enumerate(["ship", "Ġship", "ĠROMEO", "ĠĠĠĠ", "xyz", "中", "ship</w>", "the</w>"]):
        model["vocab"].setdefault(w, top + i)
    return dict(model, ignore_merges=True)


def old_merges(model):
    return dict(model, merges=[" ".join(pair) for pair in model["merges"]])


def holes(model):
    vocab = {k: v * 2 for k, v in model["vocab"].items()}
    vocab["<unk>"] = 1
    merges = model["merges"]
    for lost in "qQ~\u0100":
        merges = [p for p in merges if lost not in p[0] + p[1]]
        vocab = {k: v for k, v in vocab.items() if lost not in k}
    return dict(model, vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True)


def processor_files(m):
    names = ["<s>", "</s>", "<unk>", "<sep>"]
    model = m.byte_bpe(380, names=names)
    marks = special(*names)
    shapes = [("template_bos", template("<s> $A", **{"<s>": 0})), ("template_both",
        template("<s> $A </s>", **{"<s>": 0, "</s>": 1})),
              ("template_many", template("two:0 $A:0 two:0 two:0", two=[3, 2, 3])), ("template_none", template("$A")),
              ("template_only", template("<s>", pair="<s> $A $B", **{"<s>": 0})),
              ("template_twice", template("$A <s> $A:1", **{"<s>": 0})),
              ("bert", part("BertProcessing", sep=["</s>", 1], cls=["<s>", 0]))]
    for name, post in shapes:
        yield "post_" + name, file(model, pre=byte_level(False, True), post=post, decoder=byte_level(),
            tokens=marks), ["a b", "<s>a</s>"]
    tight = ["  a  b ", " \t a\n", "   ", "a", " é  中 ", "\u00a0a\u3000", " a<s> b"]
    for trim, prefix in itertools.product((False, True), repeat=2):
        yield f"post_roberta_{int(trim)}{int(prefix)}", file(
            model, pre=byte_level(prefix, True), decoder=byte_level(), tokens=marks,
            post=part("RobertaProcessing", sep=["</s>", 1], cls=["<s>", 0], trim_offsets=trim,
            add_prefix_space=prefix)), tight
        yield f"post_bytelevel_{int(trim)}{int(prefix)}", file(
            model, pre=byte_level(False, False), decoder=byte_level(), tokens=marks,
            post=byte_level(prefix, True, trim)), tight
    yield "post_sequence", file(model, pre=byte_level(True, True), decoder=byte_level(), tokens=marks,
        post=processors_of(
        byte_level(True, True, True), template("<s> $A <sep>", **{"<s>": 0, "<sep>": 3}))), tight
    # the second template is given two encodings and takes them for a pair; with three the package stops
    yield "post_sequence_templates", file(model, pre=byte_level(True, True), decoder=byte_level(), tokens=marks,
        post=processors_of(
        template("<s> $A", **{"<s>": 0}), template("$A <sep>", "$A </s> $B </s>", **{"</s>": 1, "<sep>": 3}))), tight
    yield "post_sequence_roberta", file(model, pre=byte_level(True, True), decoder=byte_level(), tokens=marks,
        post=processors_of(
        part("RobertaProcessing", sep=["</s>", 1], cls=["<s>", 0], trim_offsets=True, add_prefix_space=True),
        processors_of(byte_level(False, True, True)), part("BertProcessing", sep=["</s>", 1], cls=["<s>", 0]))), tight
    yield "post_sequence_empty", file(model, pre=byte_level(False, True), decoder=byte_level(), tokens=marks,
        post=processors_of()), tight
    yield "post_truncation", file(model, pre=byte_level(False, True), decoder=byte_level(), tokens=marks,
        post=template("<s> $A", **{"<s>": 0}),
                                  truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst",
                                  "stride": 0},
                                  padding={"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": None,
                                  "pad_id": 2,
                                           "pad_type_id": 0, "pad_token": "<unk>"}), tight


DECODED = ["a", "b", "the", "##ing", "ing", "▁a", "▁▁b", "a▁b", "▁", "Ġa", "Ãī", "Ã", "ī", "é", "ä¸Ń", "中", "<0xE4>",
    "<0xB8>", "<0xAD>",
           "<0x41>", "<0x0a>", "<0x4>", "<0xZZ>", "<0xC3>", "a</w>", "</w>b</w>", "</w>", "<pad>", "|", "h", "hh",
           ".", ",", "!", "?", "'", "n't",
           "'m", "'s", "'ve", "'re", "do", "not", "don't", "aa", "aXa", "Xx", "XX", "X", "##", "####a", "-", "Ċ", "Ł",
           "☃", "xxaxx", "\u00a0", "<s>"]


def decoder_files(_):
    vocab = {t: i for i, t in enumerate(DECODED)}
    model = {"type": "WordLevel", "vocab": vocab, "unk_token": "<s>"}
    r = random.Random("decoders")
    own = [" ".join(r.choice(DECODED) for _ in range(n)) for n in [1] * 6 + [2] * 12 + [4] * 24 + [12] * 20] + [
        "<0xE4> <0xB8> <0xAD>", "<0xE4> <0xB8> <0x41>", "<0xE4>", "a <0xE4> <0xB8> <0xAD> <0xC3> b",
        "h h <pad> h | | <pad> a",
        "<pad> <pad> |", "X X a XX XXX", "▁a ▁a", "▁ ▁", "##ing a ##ing", "do not n't", "a . b , c ! ? ' m"]
    ways = [("none", None), ("bytelevel", byte_level()), ("wordpiece", part("WordPiece", prefix="##", cleanup=True)),
            ("wordpiece_raw", part("WordPiece", prefix="##", cleanup=False)),
            ("wordpiece_empty", part("WordPiece", prefix="", cleanup=True)),
            ("bpe", part("BPEDecoder", suffix="</w>")), ("bpe_empty", part("BPEDecoder", suffix="")),
            ("ctc", part("CTC", pad_token="<pad>", word_delimiter_token="|", cleanup=True)),
            ("ctc_raw", part("CTC", pad_token="<pad>", word_delimiter_token="|", cleanup=False)),
            ("ctc_other", part("CTC", pad_token="a", word_delimiter_token="h", cleanup=True)),
            ("fallback", part("ByteFallback")), ("fuse", part("Fuse")), ("metaspace", metaspace()),
            ("metaspace_first", metaspace("first")),
            ("metaspace_never", metaspace("never", False)), ("metaspace_other", metaspace("always", True, "X")),
            ("replace", replace("a", "<A>")), ("replace_regex", replace(regex("x*"), "-")),
            ("replace_away", replace("▁", "")),
            ("replace_regex_2", replace(regex("[▁Ġ]"), " ")), ("replace_anchor", replace(regex("^a"), "!")),
            ("strip_10", part("Strip", content="X", start=1, stop=0)), ("strip_01",
            part("Strip", content="X", start=0, stop=1)),
            ("strip_22", part("Strip", content="X", start=2, stop=2)), ("strip_aa",
            part("Strip", content="a", start=1, stop=1)),
            ("seq_llama", decoders_of(replace("▁", " "), part("ByteFallback"), part("Fuse"),
            part("Strip", content=" ", start=1, stop=0))),
            ("seq_strip_first", decoders_of(replace("▁", " "), part("Strip", content=" ", start=1, stop=0),
            part("ByteFallback"))),
            ("seq_fallback_replace", decoders_of(part("ByteFallback"), replace("中", "a"), part("Fuse"),
            replace("aa", "b"))),
            ("seq_bytes_fuse", decoders_of(byte_level(), part("Fuse"), replace("é", "E"))),
            ("seq_empty", decoders_of()),
            ("seq_fallback_bytes", decoders_of(part("ByteFallback"), byte_level())),
            ("seq_meta_fallback", decoders_of(part("ByteFallback"), metaspace())),
            ("seq_meta_last", decoders_of(part("Fuse"), metaspace())),
            ("seq_wordpiece_fuse", decoders_of(part("WordPiece", prefix="##", cleanup=True), part("Fuse"),
            part("Strip", content="a", start=1, stop=1))),
            ("seq_ctc_replace", decoders_of(part("CTC", pad_token="<pad>", word_delimiter_token="|", cleanup=True),
            replace("h", "H"))),
            ("seq_bpe_strip", decoders_of(part("BPEDecoder", suffix="</w>"),
            part("Strip", content=" ", start=0, stop=1))),
            ("seq_nested", decoders_of(decoders_of(replace("a", "XX"), decoders_of(part("Strip", content="X", start=1,
            stop=0))), part("Fuse"),
                                       part("Strip", content="X", start=0, stop=3)))]
    for name, decoder in ways:
        yield "dec_" + name, file(model, pre=part("WhitespaceSplit"), decoder=decoder, tokens=[
            added("<s>", vocab["<s>"], special=True), added(" Xadded ", 500), added("<0xAD>Z", 501, special=True)]), \
            own + ["a Xadded  b", "<s> a<s>", "<0xE4> <0xB8><0xAD>Z a"], {"only": True}


def flags_of(bits):
    return {f: bool(bits >> i & 1) for i, f in enumerate(FLAGS)}


def added_files(m):
    tokens, own = [], []
    for bits in range(32):
        word = f"Tök{bits:02}"
        tokens.append(added(word, 0, **flags_of(bits)))
        own += [f"  {word}  ", f"a{word}b", f"{word}{word} {word}\n", f"_{word}.", word.lower(),
            word.replace("ö", "o\u0308") + " " + word]
    r = random.Random("added")
    own += [r.choice(["", " ", "a"]).join(r.choice([t["content"], " ", "\u00a0", "b", "."])
        for t in r.sample(tokens, 5)) for _ in range(60)]
    chains = [("plain", None), ("lower", part("Lowercase")), ("nfkd", part("NFKD")), ("nfc", part("NFC")),
        ("bert", bert()),
              ("strip", part("Strip", strip_left=True, strip_right=True)),
              ("llama", normalizers_of(part("Prepend", prepend="▁"), replace(" ", "▁"))),
              ("removes", replace(regex("[köo0]"), "")), ("bytes", part("ByteLevel"))]
    for name, normalizer in chains:
        yield "added_flags_" + name, file(all_bytes(), normalizer, tokens=tokens), own, {"only": True}
    nested = [added(c, 0, special=i % 3 == 0, normalized=i % 2 == 1) for i, c in enumerate(
        ["<a>", "<a><b>", "<", "<a", "aa", "aaa", "a", "ab", "abc", "abcd", "bcde", " ", "  ", "   ", "\n", "\n\n",
        "e\u0301", "é", "\u0301", "中", "中文",
         "<|x|>", "<|x|>y", "x|", "|>", "ſ", "İ", "ß", "\ufb01", ""])]
    texts_of = ["<a><b>", "<a", "<a><", "aaaa", "aaaaa", "abcde", "abcdef", "     ", "\n\n\n", "e\u0301 é \u0301",
        "中文中", "<|x|>y<|x|>", "x|>", "ſs İi ßss ﬁ fi"]
    for name, normalizer in (("plain", None), ("nfc", part("NFC")), ("lower", part("Lowercase")),
        ("nfkc", part("NFKC"))):
        yield "added_nested_" + name, file(all_bytes(), normalizer, tokens=nested), texts_of
    words = [added("the", 0, single_word=True), added("ship", 0, single_word=True, lstrip=True),
        added("line", 0, lstrip=True, rstrip=True),
             added("a b", 0, single_word=True, normalized=True), added(" lead", 0), added("trail ", 0, rstrip=True),
             added("_x_", 0, single_word=True),
             added("\u0301m", 0, single_word=True), added("²", 0, single_word=True),
             added("-", 0, single_word=True, lstrip=True)]
    own = ["the ship", "theship", "the_ship", "the-ship the", "line line line", "  line \n ship  ", "a b c", "xa b",
        "a bc a b", " lead lead", "trail  trail",
           "_x_ a_x_", "a\u0301m \u0301m", "²² x² ²", "- - a-b", "the\u0301 the\u200d the中 the١", "étheé the.the"]
    yield "added_words", file(m.byte_bpe(), pre=byte_level(False, True), decoder=byte_level(), tokens=words), own
    yield "added_words_meta", file(m.char_bpe(400), pre=metaspace("first"), decoder=metaspace("first"),
        tokens=words), own
    yield "added_words_prefix", file(m.byte_bpe(), pre=byte_level(True, True), decoder=byte_level(),
        tokens=words), own
    model = m.byte_bpe(names=["<s>", "</s>"])
    yield "added_ids_ignored", file(model, pre=byte_level(False, True), decoder=byte_level(), tokens=[
        added("</s>", 0, special=True), added("<s>", 77, special=True), added("<new>", 3),
        added("<new2>", 100000, special=True), added("the", 5),
        added("Ġthe", 6, special=True), added("<new>", 9, special=True), added("é", 419),
        added("é", 12, normalized=True)]), \
        ["<s></s><new><new2>", "the the Ġthe", "é<new>é", " <new2> "]
    yield "added_same_normalized", file(all_bytes(), part("Lowercase"), tokens=[
        added("AB", 0, normalized=True), added("ab", 0, normalized=True), added("Ab", 0),
        added("aB", 0, special=True, normalized=True),
        added("É", 0, normalized=True), added("é", 0)]), ["AB ab Ab aB É é", "ABab"]


def family_files(m):
    """As real families combine the parts."""
    bert_names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    bert_added = special(*bert_names)
    bert_post = template("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", **{"[CLS]": 2, "[SEP]": 3})
    wordpiece = part("WordPiece", prefix="##", cleanup=True)
    yield "bert_uncased", file(m.wordpiece(), bert(), part("BertPreTokenizer"), bert_post, wordpiece,
        bert_added), ["[CLS]a[MASK] b", "[unk]"]
    yield "bert_cased", file(m.wordpiece(lower=False), bert(lower=False), part("BertPreTokenizer"), bert_post,
        wordpiece, bert_added), []
    yield "roberta", file(m.byte_bpe(names=["<s>", "<pad>", "</s>", "<unk>"]), None, byte_level(False, True),
                          part("RobertaProcessing", sep=["</s>", 2], cls=["<s>", 0], trim_offsets=True,
                          add_prefix_space=False), byte_level(),
                          special("<s>", "<pad>", "</s>", "<unk>", normalized=True)
                          + [added("<mask>", 420, special=True, lstrip=True)]), \
        ["a <mask> b", " <mask>", "<s> a</s>"]
    small = charsmap(small_rules())
    t5 = ("<pad>", "</s>", "<unk>")
    extra = special(*t5) + special(*[f"<extra_id_{i}>" for i in range(9, -1, -1)], first=503)
    yield "t5", file(m.unigram(500, t5, unk=2), small, pretokenizers_of(part("WhitespaceSplit"), metaspace()),
                     template("$A </s>", "$A </s> $B </s>", **{"</s>": 1}), metaspace(),
                     extra), ["a <extra_id_0> b <extra_id_1>.", "  a  b "]
    yield "mt5", file(m.unigram(500, t5, unk=2, fallback=True), normalizers_of(small, replace(regex(" {2,}"), "▁")),
        metaspace("always", True),
                      template("$A </s>", **{"</s>": 1}), metaspace(), special(*t5)), ["a  b   c"]
    albert = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
    yield "albert", file(m.unigram(500, albert, unk=1), normalizers_of(replace("``", '"'), replace("''", '"'),
        part("NFKD"), part("StripAccents"),
                                                                      part("Lowercase"), small), metaspace(),
                         template("[CLS] $A [SEP]", **{"[CLS]": 2, "[SEP]": 3}), metaspace(),
                         special(*albert[:4]) + [added("[MASK]", 4, special=True, lstrip=True)]), ["``a''",
                         "Café [MASK]"]
    xlnet = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")
    yield "xlnet", file(m.unigram(500, xlnet), normalizers_of(replace("``", '"'), replace("''", '"'), small,
        replace(regex(" {2,}"), " ")), metaspace(),
                        template("$A:0 <sep>:0 <cls>:2", **{"<sep>": 4, "<cls>": 3}), metaspace(),
                        special(*xlnet)), ["a <mask>"]
    llama = ("<unk>", "<s>", "</s>")
    spm_decoder = decoders_of(replace("▁", " "), part("ByteFallback"), part("Fuse"),
        part("Strip", content=" ", start=1, stop=0))
    yield "llama2", file(m.char_bpe(800, llama, fallback=True, fuse_unk=True),
        normalizers_of(part("Prepend", prepend="▁"), replace(" ", "▁")), None,
                         template("<s> $A", "<s> $A <s>:1 $B:1", **{"<s>": 1}), spm_decoder,
                         special(*llama, normalized=True)), ["<s>a</s> b", "  a", "[INST] hi [/INST]"]
    yield "llama2_plain_added", file(m.char_bpe(800, llama, fallback=True, fuse_unk=True),
        normalizers_of(part("Prepend", prepend="▁"), replace(" ", "▁")),
                                     None, template("<s> $A", **{"<s>": 1}), spm_decoder,
                                     special(*llama) + [added("<|x|>", 5, rstrip=True)]), \
        ["<s>a</s> b", "<|x|> \n a", " <|x|>"]
    yield "mistral_v03", file(m.char_bpe(800, llama, fallback=True, fuse_unk=True), None, metaspace("first", False),
        template("<s> $A", **{"<s>": 1}),
                              spm_decoder, special(*llama) + special("[INST]", "[/INST]",
                              first=3)), ["[INST] a [/INST] b", "[INST]a"]
    gemma = ("<pad>", "<eos>", "<bos>", "<unk>")
    yield "gemma", file(m.char_bpe(800, gemma, fallback=True, fuse_unk=True), replace(" ", "▁"),
        split(string(" "), "MergedWithPrevious"),
                        template("<bos> $A", **{"<bos>": 2}), decoders_of(replace("▁", " "), part("ByteFallback"),
                        part("Fuse")),
                        special(*gemma) + [added("\n\n", 4), added("▁▁", 5),
                        added("<start_of_turn>", 6, special=True)]), \
        ["<start_of_turn>user\nhi", "a  b   c", "\n\n\na"]
    yield "gpt_neox", file(m.byte_bpe(names=["<|endoftext|>", "<|padding|>"]), part("NFC"), byte_level(False, True),
        byte_level(False, True),
                           byte_level(False, True), special("<|endoftext|>", "<|padding|>")
                           + [added(" " * n, 420 + n, normalized=True) for n in range(24, 1, -1)]), \
        [" " * n + "x" for n in (1, 2, 3, 24, 25, 49)] + ["a  b   c", "def f():\n    return  1"]
    clip = ("<|startoftext|>", "<|endoftext|>")
    pre = pretokenizers_of(split(CLIP, "Removed", True), byte_level())
    yield "clip", file(clip_model(m), normalizers_of(part("NFC"), replace(regex(r"\s+"), " "), part("Lowercase")),
        pre,
                       part("RobertaProcessing", sep=["<|endoftext|>", 1], cls=["<|startoftext|>", 0],
                       trim_offsets=False, add_prefix_space=False),
                       byte_level(False, True), special(*clip, normalized=True)), ["A photo of a cat",
                       "the ship's LINE", "é É"]
    marian = ("</s>", "<unk>", "<pad>")
    yield "marian", file(m.unigram(500, marian, unk=1), small, metaspace("always"),
        template("$A </s>", **{"</s>": 0}), metaspace(), special(*marian)), \
        [">>fra<< a b"]
    whisper = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    yield "whisper", file(m.byte_bpe(names=[]), None, byte_level(False, True),
                          template("start $A <|endoftext|>", start=[421, 422, 423, 424], **{"<|endoftext|>": 420}),
                          byte_level(), special(*whisper, first=420) +
                          [added(f"<|{i / 50:.2f}|>", 425 + i) for i in range(6)]), ["<|0.00|> a<|0.02|>", "<|en|>a"]
    deepseek = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"]
    yield "deepseek", file(m.byte_bpe(names=deepseek), normalizers_of(),
        pretokenizers_of(*[split(p) for p in DEEPSEEK], byte_level()),
                           template("b $A", b=0), byte_level(), special(*deepseek)
                           + [added("<｜User｜>", 420), added("<think>", 421, normalized=True)]), \
        ["<｜User｜>中文かな123456 a.b", "<think>"]
    yield "o200k", file(m.byte_bpe(pattern=O200K), None, pretokenizers_of(split(O200K, "Removed", True),
        byte_level()), None, byte_level(),
                        special("<|endoftext|>", "<|call|>", first=420)), []
    yield "llama3", file(ignoring(m.byte_bpe(pattern=C3)), None, pretokenizers_of(split(C3), byte_level()),
        processors_of(
        byte_level(True, True, False), template("b $A", b=420)), byte_level(True, True, True),
        special("<|begin_of_text|>", "<|eot_id|>", first=420)), \
        ["<|begin_of_text|>ship ship xyz"]
    yield "qwen35", file(m.byte_bpe(pattern=QWEN35), part("NFC"), pretokenizers_of(split(QWEN35), byte_level()),
        byte_level(False, False, False),
                         byte_level(), special("<|endoftext|>", "<|im_start|>", first=420)), ["<|im_start|>"]
    yield "tekken", file(ignoring(m.byte_bpe(pattern=TEKKEN)), None, pretokenizers_of(split(TEKKEN), byte_level()),
        template("<s> $A", **{"<s>": 420}),
                         byte_level(), special("<s>", "</s>", first=420)), []
    yield "bloom", file(m.byte_bpe(pattern=r" ?[^\s.,!?]+"), None, pretokenizers_of(split(BLOOM), byte_level()),
        byte_level(False, False), byte_level(),
                        special("<unk>", "<s>", first=420)), ["a,b (c) [d] |", "…。，、।۔،"]
    yield "command_r", file(m.byte_bpe(), part("NFC"), pretokenizers_of(part("Digits", individual_digits=True),
        byte_level(False, True)),
                            template("<s> $A", **{"<s>": 420}), byte_level(), special("<s>", first=420)), []
    yield "phi3", file(m.char_bpe(800, llama, fallback=True, fuse_unk=True),
        normalizers_of(part("Prepend", prepend="▁"), replace(" ", "▁")), None,
                       template("<s> $A", **{"<s>": 1}), spm_decoder, special("<unk>", "<s>")
                       + [added("</s>", 2, rstrip=True)] + [
                           added(c, 900, special=True, rstrip=True) for c in ("<|end|>", "<|user|>",
                           "<|assistant|>")]), ["<|user|>\n hi <|end|> \n <|assistant|>"]
    yield "xlm_roberta", file(m.unigram(500, ("<s>", "<pad>", "</s>", "<unk>"), unk=3), small,
        pretokenizers_of(part("WhitespaceSplit"), metaspace()),
                              template("<s> $A </s>", **{"<s>": 0, "</s>": 2}), metaspace(),
                              special("<s>", "<pad>", "</s>", "<unk>") + [
                                  added("<mask>", 500, special=True, lstrip=True)]), ["a <mask> b"]
    ctc = {c: i for i, c in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|"] + list("ETAOINHSRDLUMWCFGYPBVKXJQZ'"))}
    yield "wav2vec2", file({"type": "WordLevel", "vocab": ctc, "unk_token": "<unk>"}, replace(" ", "|"),
        split(regex("."), "Isolated"),
                           None, part("CTC", pad_token="<pad>", word_delimiter_token="|", cleanup=True),
                           special("<s>", "</s>")), ["HELLO THE BOOK", "A  B"]
    t5_large = m.unigram(3000, t5, unk=2)
    yield "large_t5", file(t5_large, known_charsmap("nmt_nfkc"), pretokenizers_of(part("WhitespaceSplit"),
        metaspace()),
                           template("$A </s>", **{"</s>": 1}), metaspace(), extra), ["a <extra_id_0> b"]
    yield "large_llama2", file(m.char_bpe(3000, llama, fallback=True, fuse_unk=True),
        normalizers_of(part("Prepend", prepend="▁"), replace(" ", "▁")), None,
                               template("<s> $A", **{"<s>": 1}), spm_decoder, special(*llama)), []
    yield "large_bytes", file(m.byte_bpe(3000, C3), None, pretokenizers_of(split(C3), byte_level()), None,
        byte_level()), []
    yield "large_bert", file(m.wordpiece(3000), bert(), part("BertPreTokenizer"), bert_post, wordpiece,
        bert_added), []


def rare_files(_):
    """Small tokenizers of what no family does and files may say: each once came out otherwise than the package."""
    words = ["<unk>", "a", "b", "x", " ", "<", "/", "s", ">", "▁", "[sep]", "[pad]"]
    llama = normalizers_of(part("Prepend", prepend="▁"), replace(" ", "▁"))
    spm_decoder = decoders_of(replace("▁", " "), part("ByteFallback"), part("Fuse"),
        part("Strip", content=" ", start=1, stop=0))
    eos = ["a</s>", "</s>", "a </s> b", "z", "a z", "</s></s>", "<s/>", "azza"]

    # special tokens that the normalizer changes
    yield "rare_special_prepend", file(all_bytes("<unk>", "<s>", "</s>", *words, unk_token="<unk>", fuse_unk=True), llama,
        decoder=spm_decoder, tokens=special("<unk>", "<s>", "</s>", first=256, normalized=True)), \
        eos + ["<s>", "a <s>", "<s> a", "<s></s>", "▁</s>", "x</s>x"]
    cased = {"[pad]": 0, "[unk]": 1, "[SEP]": 2, "a": 3, "[cls]": 4}
    yield "rare_special_lower", file({"type": "WordLevel", "vocab": cased, "unk_token": "[unk]"}, part("Lowercase"),
        part("WhitespaceSplit"), tokens=[added("[SEP]", 2, special=True, normalized=True)]), \
        ["a [SEP]", "a [sep] a", "[Sep][SEP]", "a[SEP]a", "[cls]", "[CLS] [pad]"]

    # the unknown token is special too
    yield "rare_unk_wordlevel", file({"type": "WordLevel", "vocab": {"</s>": 0, "a": 1}, "unk_token": "</s>"},
        pre=part("WhitespaceSplit"), tokens=special("</s>")), eos
    scored = [[t, -5.0 if len(t) == 1 and t != "a" else -1.0] for t in ("a", "</s>", "<", "/", "s", ">")]
    yield "rare_unk_unigram", file({"type": "Unigram", "unk_id": 1, "vocab": scored}, tokens=special("</s>", first=1)), eos
    letters = numbered("</s>", "a", "<", "/", "s", ">")
    yield "rare_unk_bpe", file(chars(letters, unk_token="</s>", ignore_merges=True), tokens=special("</s>")), eos

    # an added token whose id is a hole of the vocabulary
    bytes_and = dict(pre=byte_level(), decoder=byte_level(), tokens=special("<x>", first=2))
    lines = ["ab<x>", "<x>", "aé<x>b", "<x><x>a", "c", "a <x> b"]
    yield "rare_hole_ignore", file(chars({"a": 0, "b": 5}, ignore_merges=True), **bytes_and), lines
    yield "rare_hole_bytes", file(chars({"a": 0, "b": 5}), **bytes_and), lines
    yield "rare_hole_long", file(chars({"a": 0, "a" * 34: 7}, ignore_merges=True), **bytes_and), lines + ["a" * 34]
    yield "rare_hole_words", file({"type": "WordLevel", "vocab": {"a": 0, "b": 5}, "unk_token": "b"},
        tokens=special("<x>", first=2)), lines

    # tokens of bytes that no ByteFallback decodes
    meta = metaspace("always", False)
    yield "rare_metaspace_bytes", file(all_bytes("▁", "a", "<unk>", unk_token="<unk>"), pre=meta, decoder=metaspace()), \
        ["aé", "z", " a é", "<0x41>"]
    yield "rare_metaspace_lacks", file(chars({"<0xC3>": 3, "<0xA9>": 6, "▁": 1, "a": 9, "<0xE6>": 0, "a<0xC3>": 7},
        [["a", "<0xC3>"]], byte_fallback=True), decoder=metaspace()), ["aé", "é", "漢", "▁a▁", "aéa"]
    yield "rare_metaspace_case", file(all_bytes("▁", "b", "<0x3a>", "<0x3A", unk_token="<0x95>", fuse_unk=True), llama,
        decoder=meta, tokens=[added("  ", 0, rstrip=True, normalized=True), added("<x>")]), \
        [" é<x>", "é", "bé", "é<x>", " é", "<0x3a>", "  b", "<x>  :"]
    yield "rare_metaspace_spaces", file(all_bytes("▁", "<", "x", "<▁", merges=[("<", "▁")]), replace(" ", "▁"),
        part("Whitespace"), decoder=meta), ["z", "<x>", ".", "zé", "z漢", "< x", "< <"]

    # byte_fallback where pieces are spelled in the byte-level alphabet
    both = dict(pre=byte_level(), decoder=byte_level())
    names = [f"<0x{b:02X}>" for b in range(256)]
    yield "rare_bytes_fallback", file(chars(numbered("a", "b", *names), byte_fallback=True), **both), \
        ["a b", "<x>a", "ab<x>", "abab", "é", "a漢b", "\n\u0000", "ÿĀ"]
    lacking = numbered("a", "b", *[n for n in names if n != "<0x20>"], "<unk>")
    lacking.pop("<0xC4>")
    yield "rare_bytes_fallback_unk", file(chars(lacking, byte_fallback=True, unk_token="<unk>"), **both), \
        ["a b", "<x>a", "ab  <x>", "é é", "Ġ", "a\nb"]

    # added tokens of spaces that take the spaces around them
    spaced = ["x      ", "x      a", "a  x    x  a", "    ", "  a   x     ", " x x x ", "x  x  x", "   ", "     ", "x"]
    four = list(itertools.product((False, True), repeat=2))
    for (l1, r1), (l2, r2) in itertools.product(four, four):
        tokens = [added("  ", 4, lstrip=l1, rstrip=r1), added("x", 3, lstrip=l2, rstrip=r2)]
        yield f"rare_strip_{l1:d}{r1:d}_{l2:d}{r2:d}", file(chars(numbered("<unk>", "a", " ", "x"), unk_token="<unk>"),
            tokens=tokens), spaced, {"few": True}
    yield "rare_strip_both", file(all_bytes("x", ",", "▁", "<unk>", "▁▁", "x▁▁", merges=[("▁", "▁"), ("x", "▁▁")],
        unk_token="<unk>", ignore_merges=True), replace(" ", "▁"), meta, decoder=spm_decoder,
        tokens=[added("<0xEF>", normalized=True), added("  ", lstrip=True, rstrip=True)]), \
        spaced + [",  x", ",   x   ,", "ñ  é    z", "<x>  ▁  é"]

    # Unigram without an unknown token: what no piece reaches matters only where nothing else gets past it
    yield "rare_unigram_null", file({"type": "Unigram", "unk_id": None, "vocab": [["▁", -1.0], ["▁a", 0.0]]},
        pre=metaspace("never")), [" a", " ", " a a", "   ", "a"]
    yield "rare_unigram_null_long", file({"type": "Unigram", "unk_id": None, "vocab": [["ab", -1.0], ["a", -30.0],
        ["abc", -2.0], ["cab", -9.0]]}), ["ab", "abc", "aab", "abcab", "abcabc", "cab", "aabcab", "b", "acab"]


def chars(vocab, merges=(), **fields):
    """A BPE of few characters."""
    return dict(all_bytes(), **{"byte_fallback": False, "vocab": vocab, "merges": [list(m) for m in merges], **fields})


def numbered(*tokens):
    return {t: i for i, t in enumerate(tokens)}


def clip_model(m):
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(CLIP), "removed", True),
                                   pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    model = m.train("clip", models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"), trainers.BpeTrainer(
        vocab_size=650, show_progress=False, special_tokens=["<|startoftext|>", "<|endoftext|>"] + letters
        + [c + "</w>" for c in letters],
        end_of_word_suffix="</w>"), pre, normalizers.Lowercase())
    return dict(model, continuing_subword_prefix="", end_of_word_suffix="</w>", fuse_unk=False,
        unk_token="<|endoftext|>")


PARTS = {"models": model_files, "normalizers": normalizer_files, "pre_tokenizers": pre_tokenizer_files,
         "processors": processor_files, "decoders": decoder_files, "added": added_files, "families": family_files, "rare": rare_files}


def all_files(corpus=CORPUS, only=None, large=False):
    """Yields (name, value, own texts, options)."""
    m = Models(corpus)
    for key, make in PARTS.items():
        if only and key not in only.split(","):
            continue
        for name, value, own, *options in make(m):
            if large or not name.startswith("large_"):
                yield name, value, own, (options[0] if options else {})


# ---- cases ----------------------------------------------------------------------------------------------------------

def byte_offsets(text, offsets):
    """Pairs of characters of the text as a flat list of bytes."""
    if text.isascii():
        return [x for pair in offsets for x in pair]
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode("utf-8")))
    return [at[min(x, len(text))] for pair in offsets for x in pair]


def case_of(tokenizer, text):
    """What the package makes of a text; None where it raises."""
    try:
        full = tokenizer.encode(text)
        plain = tokenizer.encode(text, add_special_tokens=False)
        out = {"text": text, "ids": full.ids, "plain": plain.ids,
               "decoded": tokenizer.decode(full.ids, skip_special_tokens=False),
               "decoded_skip": tokenizer.decode(full.ids, skip_special_tokens=True),
               "offsets": byte_offsets(text, plain.offsets)}
        if full.ids != plain.ids or full.offsets != plain.offsets:
            out["id_offsets"] = byte_offsets(text, full.offsets)
        return out
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None


def cases(name, tokenizers, own, budget, only, few=False):
    """Lines of at most `budget` bytes: the texts of its own, then others.  A text about which two loads of the same
    file disagree (two tokens of one id) is left out."""
    pool = texts(tokenizers[0], 500, name)
    r = random.Random(name)
    edges = [t for t in EDGES if len(t) < 60]
    rest = [t for t in pool if len(t) < 70]
    r.shuffle(edges)
    r.shuffle(rest)
    mixed = [t for pair in zip(edges, rest) for t in pair]
    if only:
        r.shuffle(own)
        mixed = mixed[:30]
    elif few:
        mixed = mixed[:10]
    out, used = [], 0
    for i, text in enumerate(dict.fromkeys(list(own) + mixed)):
        case = case_of(tokenizers[0], text)
        if case is None or any(case_of(t, text) != case for t in tokenizers[1:]):
            continue
        line = json.dumps(case, ensure_ascii=False, separators=(",", ":"))
        line = "".join(c if c >= " " and c not in "\x7f\u0085\u2028\u2029" else "\\u%04x" % ord(c) for c in line)
        size = len(line.encode("utf-8"))
        if used + size > budget:
            if i > 200:
                break
            continue
        used += size
        out.append(line)
    return out


def load(value):
    t = Tokenizer.from_str(json.dumps(value))
    t.no_truncation()
    t.no_padding()
    return t


def write(root, name, value, own, options, budget):
    folder = os.path.join(root, name)
    try:
        tokenizers = [load(value) for _ in range(3)]
    except Exception as e:
        print(f"{name}: the package refuses it: {e}", file=sys.stderr)
        return 0
    os.makedirs(folder)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
        f.write(text + "\n")
    lines = cases(name, tokenizers, list(own), budget, options.get("only"), options.get("few"))
    with open(os.path.join(folder, "cases.jsonl"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    if not lines:
        print(f"{name}: no cases", file=sys.stderr)
    return sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--only", help="parts, of " + ",".join(PARTS))
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--bytes", type=int, default=5500)
    parser.add_argument("--corpus", default=CORPUS)
    args = parser.parse_args()
    total = count = 0
    for name, value, own, options in all_files(args.corpus, args.only, args.large):
        shutil.rmtree(os.path.join(args.folder, name), ignore_errors=True)
        size = write(args.folder, name, value, own, options, args.bytes)
        if size > 60000 and not name.startswith("large_"):
            print(f"{name}: {size} bytes", file=sys.stderr)
        total += size
        count += size > 0
    print(f"{count} tokenizers, {total} bytes")


if __name__ == "__main__":
    main()
