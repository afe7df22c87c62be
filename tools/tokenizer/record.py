#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/tokenizer/fixtures/: tiny byte-level BPE tokenizers in both file forms, and what Hugging Face makes of
texts with them (cases.jsonl).  Trained on this repository's words only; needs tokenizers and transformers.

usage: record.py FOLDER
"""
import json
import os
import random
import shutil
import sys
import unicodedata

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

C3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
      r"\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
            r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"

CORPUS = [
    "The ship is loaded to the line and the line is drawn by the hand that pays for the ship.",
    "the water stands at the mark, the mark stands at the hull, and nobody is to load her deeper.",
    "I'm sure you're right: they've said we'll see, he'd gone, it's done. DON'T SHOUT, it isn't polite.",
    "In 1876 there were 300 ships, 12 of them new; 1,024 men and 65,536 sacks of grain; pi is 3.14159.",
    "def load(path, bytes):\n    return [path[i] for i in range(0, len(bytes), 16)]\n\n\n",
    "Grüße aus Köln: die Straße ist naß, das Café ist zu, el niño está aquí, ça va très bien, naïve coöperation.",
    "Москва и море, корабль и вода; καλημέρα κόσμε; שלום עולם; مرحبا بالعالم ١٢٣; नमस्ते दुनिया; สวัสดี.",
    "船は海の上にある。中文的词语没有空格。한국어 문장은 띄어쓰기가 있다. 漢字とかなとカナ。",
    "\t\ttabs and  double   triple    spaces\r\nand lines\n \n of   nothing \n",
]

EDGES = ["", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\t\n", " \n ", "\n \n", "a \n b", "a  b", " a", "a ", "'s",
         "'S", "'\u017f", "we'LL'd", "'''", "\u2019s", "3", "33", "333", "3333", "333333333", "1234567890",
         "\uff11\uff12\uff13", "\u00bc-a", "\u2165", "\u00b2", "a \u3007b", "\u00e9", "e\u0301",
         "C\u01b0\u0309a Vi\u00ea\u0323t", "Cửa Việt", "नमस्ते", "កាន់តែ", "한국어 中文かな",
         "\u1112\u1161\u11ab\u1100\u116e\u11a8", "عربي ١٢٣", "İstanbul ß", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
         "\U0001f636\u200d\U0001f32b\ufe0f \U0001f1fa\U0001f1f8", "\U0001f999.cpp", "\ufeff//", "\u180e",
         "\u00a0\u3000x", "\u2028\u2029", "\u200b\u200d", "\u0000", "\u001f-a", "\ufffd", "\u2581", "a\u2581b", "<0x41>",
         "<s>", "<s>a", "<s> <s>", "a </s> b", "a <mask> b", "<|im_start|>user\n", "<|im_star", "<<|endoftext|>>",
         "\u1c89", "\U00031350", "\U000ac517", "a" * 200, " " * 70, "中" * 40, "\n" * 33, '{"k": [1,2]}', "foo_bar::baz()//",
         "!\"#$%&'()*+", "x" * 101, "q\u0323\u0307", "q\u0307\u0323", "\u0344\u0385", "\u212b\u2126", "\u0958", "\u1e9b\u0323",
         "\u09c7\u09be", "\u0b47\u0b3e", "a\u0301\u0323\u0328b", "induces downsampling"]


def train(pre_tokenizer, size=420, normalizer=None, special=()):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=list(special),
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=1)
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    return tokenizer


def texts(name, tokens, count=60):
    r = random.Random(name)
    words = " ".join(CORPUS).split(" ")
    out = list(EDGES)
    out += CORPUS
    out += [t for t in tokens] + ["x" + t + "y" for t in tokens] + [" \u3000" + t + " \n " + t + "\u00a0z" for t in tokens]
    for _ in range(count):
        parts = [r.choice([r.choice(words), r.choice(EDGES[:60]), r.choice(tokens or ["-"]), " ", " "])
                 for _ in range(r.randrange(1, 9))]
        out.append(r.choice(["", " "]).join(parts))
        if r.randrange(3) == 0:
            out.append(unicodedata.normalize("NFD", out[-1]))
    return list(dict.fromkeys(out))


def write_cases(folder, tokens, encode, decode):
    with open(os.path.join(folder, "cases.jsonl"), "w", encoding="utf-8") as f:
        for text in texts(os.path.basename(folder), tokens):
            ids = encode(text, True)
            f.write(json.dumps({"text": text, "ids": ids, "plain": encode(text, False), "decoded": decode(ids, False),
                                "decoded_skip": decode(ids, True)}) + "\n")


def save_json(root, name, tokenizer, change=None, old_merges=False):
    """tokenizer.json and its cases; `change` edits the file's value before Hugging Face reads it again."""
    folder = os.path.join(root, name)
    os.makedirs(folder)
    value = json.loads(tokenizer.to_str())
    if old_merges:
        value["model"]["merges"] = [" ".join(m) for m in value["model"]["merges"]]
    if change:
        change(value)
    path = os.path.join(folder, "tokenizer.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=name == "digits", separators=(",", ":"))
        f.write("\n")
    read = Tokenizer.from_file(path)
    write_cases(folder, [t.content for t in read.get_added_tokens_decoder().values()],
                lambda text, special: read.encode(text, add_special_tokens=special).ids,
                lambda ids, skip: read.decode(ids, skip_special_tokens=skip))
    return folder


def save_pair(root, name, tokenizer, class_name, config, newline="\n"):
    import transformers
    folder = os.path.join(root, name)
    os.makedirs(folder)
    tokenizer.model.save(folder)
    path = os.path.join(folder, "merges.txt")
    text = open(path, encoding="utf-8").read()
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text.replace("\n", newline))
    if config is not None:
        with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f, indent=1)
            f.write("\n")
    record_transformers(folder, getattr(transformers, class_name))


def record_transformers(folder, cls):
    read = cls.from_pretrained(folder)
    backend = read.backend_tokenizer
    write_cases(folder, [t.content for t in backend.get_added_tokens_decoder().values()],
                lambda text, special: read(text, add_special_tokens=special)["input_ids"],
                lambda ids, skip: read.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False))


def split(pattern, behavior, invert=False):
    return pre_tokenizers.Split(pattern, behavior, invert)


def byte_level(prefix=False, regex=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def record_long_runs(root):
    """Pieces of up to a quarter of a million characters: how many ids, and their FNV-1a hash."""
    out = []
    for folder, unit, repeat in (("gpt2_json", "a", 1 << 18), ("gpt2_json", "the", 100001), ("llama3", " ", 1 << 18),
                                 ("llama3", "\n", 100003), ("o200k", "中", 50001), ("digits", "=", 1 << 18),
                                 ("odd_added", "e\u0301", 50001)):
        ids = Tokenizer.from_file(os.path.join(root, folder, "tokenizer.json")).encode(
            unit * repeat, add_special_tokens=False).ids
        value = 14695981039346656037
        for i in ids:
            value = ((value ^ i) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
        out.append([folder, unit, repeat, len(ids), "%016x" % value])
    with open(os.path.join(root, "long_runs.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(x) for x in out) + "\n]\n")


def odd_added():
    tokenizer = train(byte_level(regex=True), normalizer=normalizers.Sequence([normalizers.NFC()]))
    tokenizer.add_tokens([
        AddedToken("ship", single_word=True), AddedToken("line", lstrip=True), AddedToken("mark", rstrip=True),
        AddedToken("hull", lstrip=True, rstrip=True, normalized=False), AddedToken("  ", normalized=False),
        AddedToken("   "), AddedToken("\n\n"), AddedToken("Cafe\u0301"), AddedToken("e\u0301", normalized=False),
        AddedToken("the"), AddedToken("the water", normalized=False), AddedToken("中文"), AddedToken("_a_", single_word=True),
        AddedToken("\u00b2", single_word=True, normalized=False)])
    tokenizer.add_special_tokens([
        AddedToken("<s>", lstrip=True), AddedToken("</s>", rstrip=True), AddedToken("<mask>", lstrip=True, rstrip=True),
        AddedToken("<|im_start|>", normalized=True), AddedToken("<|im_start|>user"), AddedToken("A\u030a", normalized=True)])
    return tokenizer


def holes():
    def change(value):
        model = value["model"]
        model["unk_token"], model["fuse_unk"] = "<unk>", True
        vocab = {k: v * 2 for k, v in model["vocab"].items()}
        vocab["<unk>"] = 1
        for lost in "qQ~\u0100":
            model["merges"] = [m for m in model["merges"] if lost not in m[0] + m[1]]
            vocab = {k: v for k, v in vocab.items() if lost not in k}
        model["vocab"] = vocab
        value["added_tokens"] += [dict(id=7, content=c, single_word=False, lstrip=False, rstrip=False, normalized=False,
                                       special=s) for c, s in (("<unk>", True), ("<new>", False), ("the", True))]
    return change


def main():
    root = sys.argv[1]
    shutil.rmtree(root, ignore_errors=True)
    gpt2 = train(byte_level(prefix=True, regex=True), special=["<|endoftext|>"])
    save_json(root, "gpt2_json", gpt2, old_merges=True)
    save_pair(root, "gpt2_pair", train(byte_level(regex=True), special=["<|endoftext|>"]), "GPT2Tokenizer", None, "\r\n")
    flags = dict(single_word=False, lstrip=False, rstrip=False)
    save_pair(root, "gpt2_bos", train(byte_level(regex=True)), "GPT2Tokenizer", {
        "tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "add_bos_token": True, "bos_token": "<s>",
        "pad_token": None, "eos_token": {"content": "</s>", "normalized": True, "rstrip": True, "lstrip": False,
                                        "single_word": False, "__type": "AddedToken"}})
    folder = save_json(root, "gpt2_prefix", train(byte_level(regex=True), special=["<|endoftext|>"]))
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
        json.dump({"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "eos_token": "<|endoftext|>",
                   "bos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}, f)
        f.write("\n")
    import transformers
    record_transformers(folder, transformers.GPT2Tokenizer)
    save_pair(root, "qwen2_pair", train(pre_tokenizers.Sequence([split(Regex(C3.replace("{1,3}", "")), "isolated"),
                                                               byte_level()]), normalizer=normalizers.NFC()),
              "Qwen2Tokenizer", {
                  "tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": False,
                  "added_tokens_decoder": {
                      "422": dict(content="<|im_end|>", normalized=False, special=True, **flags),
                      "421": dict(content="<|im_start|>", normalized=False, special=True, **flags),
                      "420": dict(content="<|endoftext|>", normalized=False, special=True, **flags),
                      "423": dict(content="<tool>", normalized=True, special=False, **flags)},
                  "additional_special_tokens": ["<|im_start|>", "<|im_end|>", "<|extra|>"], "bos_token": None,
                  "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"})
    llama3 = train(pre_tokenizers.Sequence([split(Regex(C3), "isolated"), byte_level()]),
                   special=["<|begin|>", "<|end|>"])
    llama3.model.ignore_merges = True
    llama3.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin|> $A <|end|> two", pair="$A $B",
                                      special_tokens=[("<|begin|>", 0), ("<|end|>", 1),
                                                      {"id": "two", "ids": [5, 6], "tokens": ["x", "y"]}])])
    folder = save_json(root, "llama3", llama3)
    with_config = os.path.join(root, "with_config")
    os.makedirs(with_config)
    shutil.copy(os.path.join(folder, "tokenizer.json"), with_config)
    with open(os.path.join(with_config, "tokenizer_config.json"), "w", encoding="utf-8") as f:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|end|>",
                   "pad_token": "<pad>", "add_bos_token": False, "add_prefix_space": True,
                   "additional_special_tokens": ["<extra>", "ship"], "mask_token": {
                       "content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False,
                       "__type": "AddedToken"},
                   "added_tokens_decoder": {
                       "0": dict(content="<|begin|>", normalized=False, special=True, single_word=False, lstrip=False,
                                 rstrip=True),
                       "9": dict(content="line", normalized=True, special=False, **flags)}}, f, indent=1)
        f.write("\n")
    record_transformers(with_config, transformers.PreTrainedTokenizerFast)
    save_json(root, "odd_added", odd_added())
    save_json(root, "digits", train(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                            byte_level(regex=True)])))
    falcon = train(pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), byte_level(regex=True),
                                           pre_tokenizers.Digits(individual_digits=False),
                                           split(Regex("[0-9][0-9][0-9]"), "isolated")]))
    falcon.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Fuse()])
    save_json(root, "falcon", falcon)
    save_json(root, "o200k", train(pre_tokenizers.Sequence([split(Regex(O200K), "removed", True), byte_level()])))
    save_json(root, "deepseek", train(pre_tokenizers.Sequence([split(Regex(p), "isolated") for p in DEEPSEEK]
                                                             + [byte_level()])))
    save_json(root, "bloom", train(pre_tokenizers.Sequence([split(Regex(BLOOM), "isolated"), byte_level()])))
    save_json(root, "merged_next", train(pre_tokenizers.Sequence([
        split(" ", "merged_with_next"), split(Regex(r"[aeiou]|\d"), "merged_with_previous"),
        pre_tokenizers.Punctuation("removed"), byte_level(prefix=True)])))
    save_json(root, "inverted", train(pre_tokenizers.Sequence([
        split(Regex(r"\w+|\s{2,}"), "merged_with_next", True), split(Regex(r"(?i)s$|^t|\h{2}|x*"), "contiguous"),
        split(Regex(r"[^\S\n]"), "merged_with_previous", True), byte_level()])))
    roberta = train(byte_level(prefix=True, regex=True), special=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    roberta.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    save_json(root, "roberta", roberta)
    save_json(root, "holes", train(byte_level(regex=True)), holes())
    plain = train(byte_level(regex=True), special=["<s>"])
    plain.decoder = None
    save_json(root, "no_decoder", plain)
    plain.decoder = decoders.Fuse()
    save_json(root, "fuse", plain)
    record_long_runs(root)


main()
