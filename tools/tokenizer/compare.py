#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random texts through this tokenizer and through Hugging Face's: the first differences, and their number.

usage: compare.py DRIVER FOLDER... [--texts N] [--seed S]
DRIVER is the program tok_driver of the tests; FOLDER holds tokenizer.json, or vocab.json and merges.txt.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import unicodedata

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

ALPHABETS = [
    "".join(map(chr, range(32, 127))),
    " \t\n\r\u000b\u000c\u0085\u00a0\u1680\u2003\u2028\u2029\u202f\u3000\u180e\u200b\ufeff",
    "'sStTrRvVmMlLdDeE\u017f\u2019 ",
    "0123456789\u0661\u0663\u00b2\u00bd\u2166\uff11\u3007\U0001d7ce",
    "éèüñçßÅøłŐ\u0301\u0300\u0323\u0327\u0328\u0345\u0308aeiouAEIOU",
    "가각갂한국\u1100\u1161\u11a8\u1112\u1175\u11ab",
    "中文漢字かなカナ\u3099\u309a龥一〇",
    "नमस्ते\u094d\u0915\u093c\u0958কিো\u09be\u09c7",
    "\U0001f468\u200d\U0001f469\U0001f467\U0001f1fa\U0001f1f8\ufe0f\U0001f636\U0001f32b\U0001f999",
    "العربية ١٢٣ \u064b\u0650\u0651",
    "ĠĊĉ▁Ã©âĢĶ<|endoftext|>",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡§«¶·»¿",
]
WORDS = ("the of and to in is you that it he was for on are as with his they I at be this have from or one had by "
         "word but not what all were we when your can said there use an each which she do how their if will up other "
         "about out many then them these so some her would make like him into time has look two more write go see "
         "Number No way could People my than first water been call who oil its now find long down day did get come "
         "made may part I'm you're we'll they've don't it's He'd cannot induces downsampling").split()


def code_point(r):
    while True:
        c = r.choice([r.randrange(0x250), r.randrange(0x3000), r.randrange(0x10000), r.randrange(0x20000),
                      r.randrange(0x110000)])
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def random_text(r, corpus, tokens):
    kind = r.randrange(9)
    n = r.choice([1, 2, 3, 5, 8, 13, 30, 80])
    if kind == 0:
        return "".join(r.choice(r.choice(ALPHABETS)) for _ in range(n))
    if kind == 1:
        alphabet = r.choice(ALPHABETS)
        return "".join(r.choice(alphabet) for _ in range(n))
    if kind == 2:
        return r.choice(["", " "]) + " ".join(r.choice(WORDS) for _ in range(n))
    if kind == 3:
        at = r.randrange(len(corpus))
        return corpus[at:at + r.randrange(400)]
    if kind == 4:
        return "".join(code_point(r) for _ in range(n))
    if kind == 5:
        return "".join(r.choice([r.choice(tokens), r.choice(tokens), " ", "\n", "a", r.choice(WORDS)])
                       for _ in range(n // 2 + 1))
    if kind == 6:
        return r.choice(" \n\t\rab1=中-'") * r.randrange(1, 300) + r.choice(["", "x", " x", "\n"])
    if kind == 7:
        text = random_text(r, corpus, tokens)
        return unicodedata.normalize(r.choice(["NFD", "NFC", "NFKD"]), text)
    at = r.randrange(len(corpus))
    text = list(corpus[at:at + 120])
    for _ in range(6):
        text.insert(r.randrange(len(text) + 1), r.choice([code_point(r), r.choice(r.choice(ALPHABETS)),
                                                          r.choice(tokens)]))
    return "".join(text)


def open_folder(folder):
    path = os.path.join(folder, "tokenizer.json")
    if os.path.exists(path):
        return Tokenizer.from_file(path)
    model = models.BPE.from_file(os.path.join(folder, "vocab.json"), os.path.join(folder, "merges.txt"))
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    return tokenizer


def expected(tokenizer, item):
    if isinstance(item, str):
        ids = tokenizer.encode(item).ids
        plain = tokenizer.encode(item, add_special_tokens=False).ids
        out = {"ids": ids, "plain": plain}
    else:
        ids, out = item, {"ids": item}
    out["decoded"] = tokenizer.decode(ids, skip_special_tokens=False)
    out["decoded_skip"] = tokenizer.decode(ids, skip_special_tokens=True)
    return out


def compare(driver, folder, count, seed):
    r = random.Random(seed)
    tokenizer = open_folder(folder)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    vocabulary = list(tokenizer.get_vocab(with_added_tokens=False))
    added = [t.content for t in tokenizer.get_added_tokens_decoder().values()] or ["<s>"]
    tokens = added * (1 + len(vocabulary) // len(added) // 8) + r.sample(vocabulary, min(len(vocabulary), 4000))
    corpus = open(os.path.abspath(__file__), encoding="utf-8").read() * 2
    size = tokenizer.get_vocab_size() + 40
    items = []
    for i in range(count):
        if i % 4 == 3:
            items.append([r.randrange(size) for _ in range(r.choice([1, 2, 3, 8, 30]))])
        else:
            items.append(random_text(r, corpus, tokens))
    lines = "".join(json.dumps(x) + "\n" for x in items)
    done = subprocess.run([driver, folder], input=lines.encode(), stdout=subprocess.PIPE, check=False)
    have = done.stdout.decode().split("\n")[:-1]
    if done.returncode or len(have) != len(items):
        print(f"{folder}: the driver exited {done.returncode} after {len(have)} of {len(items)} lines: {have[-1:]}")
        return 1
    wrong = 0
    for item, line in zip(items, have):
        got, want = json.loads(line), expected(tokenizer, item)
        if got != want:
            wrong += 1
            if wrong <= 5:
                print("  item", json.dumps(item)[:300])
                for key in want:
                    if got.get(key) != want[key]:
                        print("   ", key, "want", json.dumps(want[key])[:300])
                        print("   ", key, "have", json.dumps(got.get(key, got.get("error")))[:300])
    print(f"{folder}: {len(items)} items, {wrong} differ")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    sys.exit(1 if sum(compare(args.driver, f, args.texts, args.seed) for f in args.folders) else 0)


main()
