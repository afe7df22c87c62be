#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a tokenizer.json of Gemma's kind and size: 262,144 entries, about half a million merges, 30 MB, laid out as
Hugging Face saves it.  The words are made up of syllables of many scripts; merges are all splits of a piece whose parts
are both in the vocabulary, as the conversion of a SentencePiece model makes them.  Deterministic.

usage: gemma_like.py FILE [--check]      --check: load it with the tokenizers package and encode a text
"""
import argparse
import json
import random
import sys
import time

SIZE = 262144
WHOLE = 8  # of a hundred words are made letter by letter: so that there are half a million merges
SYLLABLES = {
    "latin": (70, ["bl br ch cl cr dr fl fr gl gr pl pr qu sc sh sk sl sm sn sp st str sw th tr tw wh wr b c d f g h j k l m n p r s t v w y z",
                   "a e i o u ai ea ee ie io oo ou au a e i o",
                   "b ck ct d f ft g l ld ll lt m n nd ng nt p r rd rs s ss st t th x"]),
    "accents": (8, ["b c d f g h l m n p r s t v z ß ç ñ ł ž š č đ", "á é í ó ú à è ö ü ä å ø ã õ ê ô ı ý",
    "n r s l m t"]),
    "cyrillic": (7, ["б в г д ж з к л м н п р с т ф х ц ч ш щ", "а е и о у ы э ю я ё", "й л м н р с т ь"]),
    "greek": (2, ["β γ δ θ κ λ μ ν π ρ σ τ φ χ ψ", "α ε η ι ο υ ω ά έ ή", "ς ν ρ"]),
    "arabic": (3, ["ا ب ت ث ج ح خ د ر ز س ش ص ط ع غ ف ق ك ل م ن ه و ي", "ا و ي ى ة"]),
    "hebrew": (1, ["א ב ג ד ה ו ז ח ט י כ ל מ נ ס ע פ צ ק ר ש ת", "ה ו י"]),
    "devanagari": (3, ["क ख ग घ च ज ट ड त द न प ब भ म य र ल व श स ह", "ा ि ी ु ू े ै ो ् ं"]),
    "thai": (2, ["ก ข ค ง จ ช ด ต ท น บ ป พ ม ย ร ล ว ส ห", "า ิ ี ุ ู เ แ โ ั ่ ้"]),
}


def syllable(r, parts):
    return "".join(r.choice(p) for p in parts)


class Vocabulary:
    """Pieces in the order in which they came; a piece of several characters comes after both parts of one split."""

    def __init__(self):
        self.pieces, self.has = [], set()

    def add(self, piece):
        if piece in self.has:
            return False
        self.has.add(piece)
        self.pieces.append(piece)
        return True

    def word(self, parts, start, whole):
        """Beginnings and ends of the parts, and the word part by part; with `whole` letter by letter, and all rows of
        parts, behind a space and not."""
        for part in parts:
            for c in part:
                self.add(c)
            for k in range(2, len(part) + 1):
                self.add(part[:k])
            for k in range(len(part) - 2, 0, -1):
                self.add(part[k:])
        if whole:
            for first in range(len(parts)):
                at = parts[first]
                for part in parts[first + 1:]:
                    at += part
                    self.add(at)
                    if start:
                        self.add(start + at)
        at = start
        for part in parts:
            for k in range(1, len(part) if whole else 1):
                self.add(at + part[:k])
            at += part
            self.add(at)


def words(r, vocabulary, wanted):
    names = list(SYLLABLES)
    weights = [SYLLABLES[n][0] for n in names]
    tables = {n: [p.split(" ") for p in SYLLABLES[n][1]] for n in names}
    han = [chr(c) for c in range(0x4E00, 0x4E00 + 9000)]
    kana = [chr(c) for c in list(range(0x3041, 0x3094)) + list(range(0x30A1, 0x30F7))]
    hangul = [chr(c) for c in range(0xAC00, 0xD7A4, 3)]
    for c in ["▁"] + han + kana + hangul:
        vocabulary.add(c)
    while len(vocabulary.pieces) < wanted:
        kind = r.randrange(100)
        start = "▁" if r.randrange(100) < 62 else ""
        if kind < 78:
            table = tables[r.choices(names, weights)[0]]
            parts = [syllable(r, table) for _ in range(r.choice([1, 1, 2, 2, 2, 3, 3, 4]))]
            if table is tables["latin"] and r.randrange(5) == 0:
                parts[0] = parts[0].capitalize()
            vocabulary.word(parts, start, r.randrange(100) < WHOLE)
        elif kind < 88:
            vocabulary.word([r.choice(han) for _ in range(r.choice([2, 2, 2, 3, 4]))], "", True)
        elif kind < 92:
            vocabulary.word([r.choice(kana) for _ in range(r.choice([2, 3, 4]))], "", True)
        elif kind < 96:
            vocabulary.word([r.choice(hangul) for _ in range(r.choice([2, 2, 3]))], start, True)
        elif kind < 98:
            vocabulary.word([r.choice("()[]{}<>;:,.=+-*/\"'_#$%&!?") for _ in range(r.choice([2, 2, 3, 4]))], start,
                True)
        else:
            vocabulary.word([r.choice(["get", "set", "is", "to", "From", "Of", "Value", "Name", "Index", "_", "Type",
                "List"])
                             for _ in range(r.choice([2, 3]))], start, True)
    del vocabulary.pieces[wanted:]
    vocabulary.has = set(vocabulary.pieces)


def splits(pieces):
    """All splits of each piece into two of the vocabulary, by the piece, then by the parts' ids."""
    ids = {p: i for i, p in enumerate(pieces)}
    out = []
    for piece in pieces:
        if len(piece) > 1:
            found = [(ids[piece[:k]], ids[piece[k:]]) for k in range(1, len(piece)) if piece[:k] in ids
                and piece[k:] in ids]
            out += [(pieces[a], pieces[b]) for a, b in sorted(found)]
    return out


def make():
    r = random.Random("plimsoll gemma-like")
    added = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]"] + [f"<unused{i}>" for i in range(99)] + [
        "<start_of_turn>", "<end_of_turn>"]
    runs = ["\n" * n for n in range(1, 32)] + ["▁" * n for n in range(2, 32)] + ["\t" * n for n in range(1, 32)]
    html = ["<table>", "<caption>", "<tr>", "<td>", "</td>", "</tr>", "</table>", "<b>", "</b>", "<i>", "</i>", "<p>",
        "</p>"]
    head = added + runs + html + [f"<0x{b:02X}>" for b in range(256)]
    vocabulary = Vocabulary()
    words(r, vocabulary, SIZE - len(head))
    body = [p for p in vocabulary.pieces if p not in set(head)]
    extra = ["<unused%d>" % i for i in range(99, 99 + SIZE - len(head) - len(body))]
    # as SentencePiece has them: what was merged first, then the single characters
    body = [p for p in body if len(p) > 1] + [p for p in body if len(p) == 1]
    pieces = head + body + extra
    assert len(pieces) == SIZE == len(set(pieces))
    merges = splits(runs[:31]) + splits(["▁"] + runs[31:62]) + splits(runs[62:]) + splits(body)
    return pieces, merges, added, runs, html


def write(path, pieces, merges, added, runs, html):
    quote = json.encoder.encode_basestring
    ids = {p: i for i, p in enumerate(pieces)}
    tokens = [{"id": ids[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": False,
               "special": t in added} for t in sorted(added + runs + html, key=ids.get)]
    replace = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    head = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens,
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
            "invert": False},
            "post_processor": {"type": "TemplateProcessing",
                               "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}},
                               {"Sequence": {"id": "A", "type_id": 0}}],
                               "pair": [{"SpecialToken": {"id": "<bos>", "type_id": 0}},
                               {"Sequence": {"id": "A", "type_id": 0}},
                                        {"SpecialToken": {"id": "<bos>", "type_id": 1}},
                                        {"Sequence": {"id": "B", "type_id": 1}}],
                               "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}}},
            "decoder": {"type": "Sequence", "decoders": [replace, {"type": "ByteFallback"}, {"type": "Fuse"}]}}
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
             "fuse_unk": True, "byte_fallback": True, "ignore_merges": False}
    with open(path, "w", encoding="utf-8") as f:
        f.write(json.dumps(head, ensure_ascii=False, indent=2)[:-2] + ",\n  \"model\": {\n")
        for name, value in model.items():
            f.write(f"    {json.dumps(name)}: {json.dumps(value)},\n")
        f.write("    \"vocab\": {\n" + ",\n".join(f"      {quote(p)}: {i}" for i, p in enumerate(pieces))
            + "\n    },\n")
        f.write("    \"merges\": [\n" + ",\n".join(f"      [\n        {quote(a)},\n        {quote(b)}\n      ]" for a,
            b in merges)
                + "\n    ]\n  }\n}")


def check(path):
    from tokenizers import Tokenizer
    start = time.perf_counter()
    tokenizer = Tokenizer.from_file(path)
    print(f"the package opens it in {time.perf_counter() - start:.2f} s, {tokenizer.get_vocab_size()} entries")
    text = "The ship <start_of_turn>  is loaded\n\n to the line; Корабль 船 배 \U0001f6a2."
    encoding = tokenizer.encode(text)
    print(encoding.tokens)
    assert tokenizer.decode(encoding.ids, skip_special_tokens=False) == "<bos>" + text
    saved = tokenizer.to_str(pretty=True)
    same = saved == open(path, encoding="utf-8").read()
    print("saved again it is", "the same, byte for byte" if same else "NOT the same")
    return 0 if same else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    pieces, merges, *rest = make()
    write(args.file, pieces, merges, *rest)
    print(f"{len(pieces)} entries, {len(merges)} merges")
    if args.check:
        sys.exit(check(args.file))


if __name__ == "__main__":
    main()
