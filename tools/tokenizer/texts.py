#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Texts to compare tokenizers with: edge strings, then random ones of many kinds.  The same for the same seed,
tokenizer and Python.

usage: texts.py TOKENIZER.JSON [--texts N] [--seed S]     prints one JSON string a line
"""
import argparse
import json
import random
import sys
import unicodedata

EDGES = [
    "", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\t\n", " \n ", "\n \n", "a \n b", "a  b", " a", "a ", "'s",
    "'S", "'\u017f", "we'LL'd", "'''", "\u2019s", "3", "33", "333", "3333", "33333", "333333", "3333333", "33333333",
    "333333333", "1234567890", "\uff11\uff12\uff13", "\u00bc-a", "\u2165", "\u00b2", "a \u3007b", "\u00e9", "e\u0301",
    "C\u1eeda Vi\u1ec7t", "Cu\u031b\u0309a Vie\u0323\u0302t", "नमस्ते", "កាន់តែ", "한국어 中文かな",
    "\u1112\u1161\u11ab\u1100\u116e\u11a8", "عربي ١٢٣", "İstanbul ß", "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    "\u200d\U0001f466", "\U0001f636\u200d\U0001f32b\ufe0f \U0001f1fa\U0001f1f8", "\U0001f999.cpp", "\ufeff//",
    "\u180e", "\u00a0\u3000x", "\u2028\u2029", "\u200b\u200d", "\u0000", "\u001f-a", "\ufffd", "\u2581", "a\u2581b",
    "<0x41>", "<s>", "<s>a", "<s> <s>", "a </s> b", "a <mask> b", "<|im_start|>user\n", "<|im_star",
    "<<|endoftext|>>", "\u1c89", "\U00031350", "\U000ac517", "a" * 200, " " * 70, "中" * 40, "\n" * 33,
    '{"k": [1,2]}', "foo_bar::baz()//", "!\"#$%&'()*+", "x" * 99, "x" * 100, "x" * 101, "é" * 100, "é" * 101,
    "q\u0323\u0307", "q\u0307\u0323", "\u0344\u0385", "\u212b\u2126", "\u0958", "\u1e9b\u0323", "\u09c7\u09be",
    "\u0b47\u0b3e", "a\u0301\u0323\u0328b", "induces downsampling",
    "\ufb01 \ufb03 \u2460 \u3392 \uff21 \u00bd \u2122",
    "ＡＢＣ　ｱｲｳ ﾊﾟ", "\u0130\u0131\u1e9e\u03a3\u03c3\u03c2 ΑΣ ΑΣ.", "\u01c5\u01c4",
    "can't won't I'm you'll they've he'd",
    "CAN'T WON'T I'M YOU'LL THEY'VE HE'D", "Hello, world! How are you? (fine)", "a.b,c;d:e", "don ' t . , ! ?",
    "\u1f88\u0345", "\u0fb3\u0f71", "\uac00\u11a8", "\u1100\uac00", "\u11a8", "\u1160", "\u0e01\u0e33",
    "\u0dd9\u0dca\u0dcf",
    "\u2126m", "x\u0338", "\u2adc", "\U0001d15f", "\U0001d7d8", "\u0300", "\u0300a", " \u0301", "\u200d", "\u00ad",
    "\u0085", "\u000b\u000c", "\u001c\u001d\u001e\u001f", "\u1680\u2000\u205f\u202f", "\r", "a\rb", "\r\r\n", "\n\r",
    "##ing ##", "</w>", "a</w>", "Ġa", "Ċ", "|", "a|b||c", "<pad>", "<pad>|<pad>", "[CLS] a [SEP]", "[UNK]", "[unk]",
    "_", "__init__", "a_b", "-1", "+1.5e-10", "0x1F", "1,000,000.00", "50%", "$5", "£3 €4", "ͰΑ\u037e",
    "\ue000\uf8ff",
    "\U0010ffff", "\U000e0001", "\ufdd0", "\u0378", "\U0001f1e6", "\U0001f1e6\U0001f1e7\U0001f1e8",
    "\U0001f44d\U0001f3fd",
    "1\ufe0f\u20e3", "\u0915\u094d\u0937", "\u0ba8\u0bbf", "\u1019\u103c\u1014\u103a",
    "\u05e9\u05c1\u05dc\u05d5\u05b9\u05dd",
    "\u202e\u202dabc\u202c", "\u2066a\u2069", "\u061c\u200f\u200e", "カ\u3099ハ\u309a", "々〆ヶー", "𠀀𪛖", "ǅungla",
]

ALPHABETS = [
    "".join(map(chr, range(32, 127))),
    " \t\n\r\u000b\u000c\u0085\u00a0\u1680\u2003\u2028\u2029\u202f\u3000\u180e\u200b\ufeff",
    "'sStTrRvVmMlLdDeE\u017f\u2019 ",
    "0123456789\u0661\u0663\u00b2\u00bd\u2166\uff11\u3007\U0001d7ce",
    "éèüñçßÅøłŐ\u0301\u0300\u0323\u0327\u0328\u0345\u0308aeiouAEIOU",
    "가각갂한국힣\u1100\u1161\u11a8\u1112\u1175\u11ab\u115f\u1160\u11c2\ua960\ud7b0",
    "中文漢字かなカナ\u3099\u309a龥一〇々ー、。「」",
    "नमस्ते\u094d\u0915\u093c\u0958কিো\u09be\u09c7தமிழ்",
    "\U0001f468\u200d\U0001f469\U0001f467\U0001f1fa\U0001f1f8\ufe0f\U0001f636\U0001f32b\U0001f999\U0001f3fd\u20e3",
    "العربية ١٢٣ \u064b\u0650\u0651שלום\u05c1\u05b9\u200f\u200e",
    "ĠĊĉ▁Ã©âĢĶ<|endoftext|>#|_",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡§«¶·»¿“”‘’…—–",
    "\u0000\u0001\u0007\u0008\u001b\u001f\u007f\u0080\u009f\u00ad\u200b\u200c\u200d\u2060\ufeff\ufffd\ufffe",
    "ΑΒΓαβγσςΣίϊΐ ЖЩЫжщыё İıſẞß ǅǆ",
    "ﬁﬃ①㎒Ａ½™ｱﾊﾟ㍿\ufdfa…‥²₂ªº℃ΩÅ",
    "ไทยก็ำ\u0e33\u0e49 ລາວ ខ្មែរ မြန်မာ བོད\u0f71\u0f72\u0f80",
    "\u0300\u0301\u0315\u031b\u0321\u0323\u0334\u0345\u0360\u05b0\u0651\u0e38\u302a\u1dce\U0001d165\U0001d16d",
]
WORDS = ("the of and to in is you that it he was for on are as with his they I at be this have from or one had by "
         "word but not what all were we when your can said there use an each which she do how their if will up other "
         "about out many then them these so some her would make like him into time has look two more write go see "
         "Number No way could People my than first water been call who oil its now find long down day did get come "
         "made may part I'm you're we'll they've don't it's He'd cannot induces downsampling internationalisation "
         "naïve Zürich Straße São ship ships shipping loaded unloaded reloading re-load O'Neill U.S.A. e.g.").split()
SAMPLES = [
    "The ship is loaded to the line and the line is drawn by the hand that pays for the ship.",
    "I'm sure you're right: they've said we'll see, he'd gone, it's done. DON'T SHOUT, it isn't polite.",
    "In 1876 there were 300 ships, 12 of them new; 1,024 men and 65,536 sacks of grain; pi is 3.14159.",
    "Grüße aus Köln: die Straße ist naß, das Café ist zu, el niño está aquí, ça va très bien, naïve coöperation.",
    "Москва и море, корабль и вода; весь груз лежит ниже черты, и никто не грузит больше.",
    "καλημέρα κόσμε, το πλοίο είναι φορτωμένο μέχρι τη γραμμή.", "שלום עולם, הספינה עמוסה עד הקו.",
    "مرحبا بالعالم ١٢٣، السفينة محملة حتى الخط.", "नमस्ते दुनिया, जहाज रेखा तक लदा हुआ है।",
    "สวัสดีชาวโลก เรือบรรทุกถึงเส้น", "船は海の上にある。荷は線まで積まれている。漢字とかなとカナ。",
    "中文的词语没有空格。船装到线为止，谁也不许再装。", "한국어 문장은 띄어쓰기가 있다. 배는 선까지 실려 있다.",
    "Tàu được chất hàng đến vạch, không ai được chất thêm.", "Gemi çizgiye kadar yüklendi, İstanbul ılık.",
    "Łódź żółć gęśl jaźń; Příliš žluťoučký kůň; Õunapuu öö; Þórður ð æ.",
]
CODE = [
    "def load(path, bytes):\n    return [path[i] for i in range(0, len(bytes), 16)]\n\n\n",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i] * b[i]; // dot\n}\r\n",
    "#include <stdio.h>\nint main(void)\n{\n    printf(\"%d\\n\", 1 << 10);\n    return 0;\n}\n",
    "SELECT id, name FROM t WHERE x >= 10 AND y <> 'it''s';", "<div class=\"a b\">&nbsp;x</div><!-- end -->",
    "if [ \"$x\" != 1 ]; then echo ${HOME:-/root}; fi", "const f = async (x) => await g(`${x}!`) ?? null;",
    "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\\n\"}]}", "x=1;y=2\t\t\tz = x+++y--;",
    "    \n        \n\t\t\n",
    "https://example.org/a/b?c=d&e=%20#f user@example.org C:\\dir\\file.txt", "lambda x: x**2 // 3 % 5 @ y",
    "std::vector<std::pair<int, char*>> v{{1, nullptr}};", "^(?:[a-z]+|\\d{1,3})$",
    "| a | b |\n|---|--:|\n| 1 | 2 |\n",
]
NEWLINES = ["\n", "\r\n", "\r", "\n\n", "\u2028", "\u2029", "\u0085", "\u000b", "\u000c", " \n", "\n ", "\t\n",
    "\n\t"]
CONTRACTIONS = "'s 't 're 've 'm 'll 'd 'S 'T 'RE 'Re 'rE 'VE 'Ve 'M 'LL 'Ll 'lL 'D '\u017f \u2019s \u2019ll 'x 'r 'v 'l".split()
CATEGORY = {}


def by_category():
    """Category -> its code points."""
    if not CATEGORY:
        for c in range(0x110000):
            if not 0xD800 <= c < 0xE000:
                CATEGORY.setdefault(unicodedata.category(chr(c)), []).append(c)
    return CATEGORY


def code_point(r):
    while True:
        c = r.choice([r.randrange(0x250), r.randrange(0x3000), r.randrange(0x10000), r.randrange(0x20000),
                      r.randrange(0x110000)])
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def of_category(r):
    table = by_category()
    return chr(r.choice(table[r.choice(sorted(table))]))


def few(r):
    return r.choice([1, 1, 2, 3, 4, 5, 8, 13, 21, 40])


class Source:
    """Makes texts for one tokenizer.  `decode` turns ids into a text; ids are below `size`."""

    def __init__(self, r, tokens, added, size, decode):
        self.r, self.tokens, self.added, self.size, self.decode = r, tokens or ["a"], added or ["<s>"], size, decode
        self.made = list(EDGES)
        self.kinds = [(f, w) for f, w in (
            (self.mixed, 5), (self.one_alphabet, 6), (self.words, 6), (self.any_points, 3), (self.categories, 5),
            (self.around_added, 10), (self.cut_added, 3), (self.run, 5), (self.forms, 6), (self.code, 5),
            (self.numbers, 3), (self.contractions, 3), (self.newlines, 3), (self.controls, 2), (self.long_word, 2),
            (self.decoded, 6), (self.pieces, 6), (self.mutated, 10), (self.prose, 6), (self.marks, 3),
            (self.cases, 3))]

    def next(self):
        kind = self.r.choices([k for k, _ in self.kinds], [w for _, w in self.kinds])[0]
        text = kind()
        if len(text) < 2000:
            self.made.append(text)
        return text

    def mixed(self):
        return "".join(self.r.choice(self.r.choice(ALPHABETS)) for _ in range(few(self.r) * 2))

    def one_alphabet(self):
        alphabet = self.r.choice(ALPHABETS)
        return "".join(self.r.choice(alphabet) for _ in range(few(self.r) * 2))

    def words(self):
        return self.r.choice(["", " "]) + self.r.choice([" ", " ", "  ", ", ", "-", ""]).join(
            self.r.choice(WORDS) for _ in range(few(self.r)))

    def any_points(self):
        return "".join(code_point(self.r) for _ in range(few(self.r)))

    def categories(self):
        return "".join(self.r.choice([of_category(self.r), of_category(self.r), self.r.choice("aé 1.中")])
                       for _ in range(few(self.r)))

    def around_added(self):
        """Added tokens with neighbours that their flags look at."""
        near = ["", "", " ", "  ", "\n", "\t ", "\u00a0", "\u3000", "a", "_", "1", "é", ".", "中", "\u0301", "\u200d"]
        return "".join(self.r.choice(near) + self.r.choice(self.added) + self.r.choice(near)
                       + self.r.choice(["", "", self.r.choice(WORDS), self.r.choice(self.tokens)])
                       for _ in range(self.r.choice([1, 1, 2, 3, 6])))

    def cut_added(self):
        t = self.r.choice(self.added)
        at = self.r.randrange(len(t) + 1)
        return self.r.choice([t[:at], t[at:], t[:at] + t, t + t[at:], t[:at] + " " + t[at:], t.upper(), t.lower(),
                              t.title(), unicodedata.normalize("NFD", t), t[::-1]])

    def run(self):
        c = self.r.choice([" ", "\n", "\t", "\r", "a", "b", "1", "=", "中", "-", "'", ".", "é", "e\u0301", "▁", "_",
            "\u0301",
                           "\U0001f600", "#", "가", code_point(self.r), of_category(self.r)])
        return self.r.choice(["", "", "x", " ", "\n"]) + c * self.r.randrange(1,
            301) + self.r.choice(["", "x", " x", "\n"])

    def forms(self):
        return unicodedata.normalize(self.r.choice(["NFD", "NFC", "NFKD", "NFKC"]),
            self.r.choice(self.made + SAMPLES * 8))

    def code(self):
        return "".join(self.r.choice(CODE) for _ in range(self.r.choice([1, 1, 2, 3])))

    def numbers(self):
        digits = self.r.choice(["0123456789", "0123456789", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "०१२३४५६७८९", "²½ⅥⅣ〇零"])
        return self.r.choice([" ", ",", ".", "", "a", "\n"]).join(
            "".join(self.r.choice(digits) for _ in range(self.r.randrange(1, 12)))
            for _ in range(self.r.randrange(1, 8)))

    def contractions(self):
        return "".join(self.r.choice(["", " "]) + self.r.choice(["I", "we", "it", "WE", "É", "1", "", "don", "'"])
                       + self.r.choice(CONTRACTIONS) + self.r.choice(["", " ", "x", "'"])
                       for _ in range(self.r.randrange(1, 7)))

    def newlines(self):
        return "".join(self.r.choice(["", "a", " b", "c ", "。", "1", "//"])
            + self.r.choice(NEWLINES) * self.r.choice([1, 1, 2, 5])
                       for _ in range(self.r.randrange(1, 8)))

    def controls(self):
        return "".join(self.r.choice([chr(self.r.randrange(32)), chr(self.r.randrange(127, 160)), "a", " ", "\u0000"])
                       for _ in range(few(self.r)))

    def long_word(self):
        alphabet = self.r.choice(["abcdefghijklmnopqrstuvwxyz", "ab", "éèü", "中文字", "аб", "e\u0301", "aA1_", "ſßİ",
            "가나"])
        return "".join(self.r.choice(alphabet) for _ in range(self.r.choice([99, 100, 101, 130, 300, 1000, 1025,
            3000])))

    def decoded(self):
        return self.decode([self.r.randrange(self.size) for _ in range(few(self.r))])

    def pieces(self):
        return self.r.choice(["", " "]).join(self.r.choice(self.tokens) for _ in range(few(self.r)))

    def prose(self):
        return self.r.choice(["", " ", "\n"]).join(self.r.choice(SAMPLES) for _ in range(self.r.choice([1, 1, 2, 4])))

    def marks(self):
        """Bases with combining marks in any order: what the normal forms sort and join."""
        marks = ALPHABETS[-1] + "".join(chr(self.r.choice(by_category()["Mn"])) for _ in range(3))
        return "".join(self.r.choice("aeoAEOẽạǖカक가ᄀ q1 ") + "".join(self.r.choice(marks)
            for _ in range(self.r.randrange(4)))
                       for _ in range(self.r.randrange(1, 8)))

    def cases(self):
        text = self.r.choice(SAMPLES + WORDS + self.added + self.made)
        return self.r.choice([text.upper(), text.lower(), text.title(), text.swapcase()])

    def mutated(self):
        text = list(self.r.choice(self.made)[:400])
        for _ in range(self.r.randrange(1, 7)):
            at = self.r.randrange(len(text) + 1)
            what = self.r.randrange(6)
            if what == 0 and text:
                del text[at - 1:at + self.r.randrange(3)]
            elif what == 1:
                text.insert(at, self.r.choice([code_point(self.r), of_category(self.r)]))
            elif what == 2:
                text[at:at] = self.r.choice(self.added)
            elif what == 3:
                text[at:at] = self.r.choice(self.tokens)
            elif what == 4:
                text.insert(at, self.r.choice(self.r.choice(ALPHABETS)))
            else:
                other = self.r.choice(self.made)
                text[at:] = other[self.r.randrange(len(other) + 1):][:400]
        return "".join(text)


def clean(text):
    return "".join(c for c in text if not 0xD800 <= ord(c) < 0xE000)


def vocabulary(tokenizer):
    """(tokens in the order of their ids, added tokens likewise, one past the largest id)"""
    vocab = sorted(tokenizer.get_vocab(with_added_tokens=False).items(), key=lambda x: (x[1], x[0]))
    added = [t.content for _, t in sorted(tokenizer.get_added_tokens_decoder().items())]
    top = max([i for _, i in vocab] + list(tokenizer.get_added_tokens_decoder()) + [0])
    return [t for t, _ in vocab], added, min(top + 1, 1 << 31)


def texts(tokenizer, count=2000, seed=1, edges=True):
    """`count` texts for a tokenizers.Tokenizer: the edge strings first, each added token (up to a tenth), the rest at
    random."""
    tokens, added, size = vocabulary(tokenizer)
    r = random.Random(f"plimsoll texts {seed}")
    alive = added + [t for t in tokens if len(t) > 3 and t.startswith("<")][:20]

    def decode(ids):
        try:
            return tokenizer.decode(ids, skip_special_tokens=r.randrange(4) == 0)
        except KeyboardInterrupt:
            raise
        except BaseException:  # a panic of the package is no Exception
            return ""

    source = Source(r, tokens, alive, size + 3, decode)
    out = list(EDGES) if edges else []
    for t in added[:max(4, count // 60)] if edges else []:
        out += [t, "x" + t + "y", " \u3000" + t + " \n " + t + "\u00a0z"]
    out = list(dict.fromkeys(out))[:count]
    seen = set(out)
    tries = 0
    while len(out) < count and tries < 20 * count:
        text = clean(source.next())
        tries += 1
        if text not in seen:
            seen.add(text)
            out.append(text)
    return out


def ids_lists(tokenizer, count, seed=1):
    """Lists of ids to decode: random ones, ids beyond the vocabulary, runs of single bytes."""
    tokens, added, size = vocabulary(tokenizer)
    r = random.Random(f"plimsoll ids {seed}")
    names = dict(tokenizer.get_vocab(with_added_tokens=True))
    short = sorted(i for t, i in names.items() if len(t) <= 2 or (t.startswith("<0x") and len(t) == 6)) or [0]
    special = sorted(names[t] for t in added if t in names) or [0]
    out = []
    for _ in range(count):
        kind = r.randrange(4)
        n = r.choice([0, 1, 2, 3, 8, 30])
        choose = {0: lambda: r.randrange(size), 1: lambda: r.choice(short), 2: lambda: r.randrange(size + 40),
                  3: lambda: r.choice([r.choice(special), r.choice(short), r.randrange(size)])}[kind]
        out.append([choose() for _ in range(n)])
    return out


BROKEN = ["e4b8", "eda080", "edb080", "eda080edb080", "c0af", "c080", "e08080", "f0808080", "f4908080", "f8888080",
    "80", "bfbf", "c3", "c328",
          "e282", "e28261", "f09f", "f09f98", "f09f9861", "ff", "fefe", "61ff62", "f0288cbc", "ed9fbfee8080",
          "e4b8e4b8ad", "20c3c3a9"]


def byte_strings(count, seed=1):
    """Bytes that are not all UTF-8: cut characters, surrogates, overlong forms, in the midst of text."""
    r = random.Random(f"plimsoll bytes {seed}")
    out = [bytes.fromhex(h) for h in BROKEN]
    while len(out) < count:
        data = bytearray(r.choice(SAMPLES + EDGES + CODE).encode()[:200])
        for _ in range(r.randrange(1, 5)):
            at = r.randrange(len(data) + 1)
            what = r.randrange(4)
            if what == 0:
                data[at:at] = bytes.fromhex(r.choice(BROKEN))
            elif what == 1:
                del data[at - 1:at + r.randrange(3)]
            elif what == 2:
                data[at:at] = bytes(r.randrange(256) for _ in range(r.randrange(1, 4)))
            else:
                del data[at:]
        out.append(bytes(data))
    return out[:count]


def long_texts(size=100000):
    """A few long ones, of which nothing may take more than linear time."""
    units = ["a", " ", "\n", "中", "=", "é", "e\u0301", "ab", "the ", "\u0301", "1", "a\n", "\U0001f600", "'", "<|x",
        " \t", "x" * 300 + " "]
    return [(u * (size // len(u) + 1))[:size] for u in units]


def main():
    from tokenizers import Tokenizer
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for text in texts(Tokenizer.from_file(args.file), args.texts, args.seed):
        sys.stdout.write(json.dumps(text) + "\n")


if __name__ == "__main__":
    main()
