# SPDX-License-Identifier: Apache-2.0
"""Records what Transformers makes of logits and generation configs, for the tests of src/generate:

    python tools/sampling/record.py            writes tests/generate/data anew
    python tools/sampling/record.py --check    compares it with what this machine gives

processors.bin   processed scores at the edges: vocabularies of 1, 2, 50, 1000, 5000, ties, equal logits,
                 infinities, NaN, huge logits.  Layout: see write_processors.
draws.bin        distributions to draw from, with the critical value of the chi-square test at p = 0.001.
defaults/        generation_config.json and config.json files; defaults.txt: what generate() would use.

Equal scores at the edge of top-p: torch.sort does not promise an order and with vector instructions has none that
could be named, so it is asked for a stable sort here; that the plain one keeps the same values is checked.  torch's
softmax depends on the instruction set (exponential, order of the sum); a combination for which its levels disagree
is left out, and counted.
"""

import argparse
import filecmp
import io
import itertools
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig
from transformers.generation import LogitsProcessorList

HERE = Path(__file__).resolve()
DATA = HERE.parents[2] / "tests/generate/data"
INF = float("inf")

FULL = {"repetition_penalty": [1.0, 1.3, 0.8], "temperature": [1.0, 0.7, 1.5], "top_k": [0, 1, 5, 50, 5000],
        "top_p": [1.0, 0.9, 0.5, 0.0], "min_p": [None, 0.05, 0.5]}
LESS = {"repetition_penalty": [1.0, 1.3], "temperature": [1.0, 0.7], "top_k": [0, 5, 50, 200],
        "top_p": [1.0, 0.9, 0.1], "min_p": [None, 0.05, 0.3]}
FEW = {"repetition_penalty": [1.1], "temperature": [0.8], "top_k": [0, 50, 3000], "top_p": [1.0, 0.95, 0.5],
       "min_p": [None, 0.02]}


def make_rows():
    """(grid, previous tokens, logits) of each row."""
    random = np.random.RandomState(11)

    def normal(n, scale):
        return scale * random.standard_normal(n)

    holes = normal(50, 3)
    holes[random.permutation(50)[:30]] = -INF
    zeros = normal(50, 1).round() * 0.0  # zeros of both signs
    zeros[7] = 1e-30
    nan = normal(50, 3)
    nan[[13, 40]] = np.nan
    above = normal(50, 3)
    above[[5, 33]] = INF
    steps = -np.log(2.0) * random.randint(0, 12, 50)  # probabilities are powers of two
    head = normal(1000, 1)
    head[[400, 17, 999]] += 14
    return [
        (FULL, [0], [0.5]),
        (FULL, [], [-3e38]),
        (FULL, [1], [1.0, 1.0]),
        (FULL, [0, 0], [2.0, -1.0]),
        (FULL, [1], [-INF, -2.0]),
        (FULL, [0, 1], [-INF, -INF]),
        (FULL, [3], np.zeros(10)),
        (FULL, [3, 4, 3], np.full(50, -7.25)),
        (FULL, [49, 0, 49], normal(50, 3)),
        (FULL, [1, 2, 3, 4], normal(50, 2).round()),
        (FULL, [10, 20, 30], steps),
        (FULL, [0, 1, 2, 3, 4], holes),
        (FULL, [6, 7], zeros),
        (FULL, [1], normal(50, 1e38)),
        (FULL, [1], normal(50, 1e-38)),
        (LESS, [12, 13], nan),
        (LESS, [4, 5], above),
        (LESS, list(range(0, 1000, 7)), normal(1000, 3)),
        (LESS, [5, 6, 7], normal(1000, 1).round()),
        (LESS, [999], np.zeros(1000)),
        (LESS, [400], head),
        (FEW, list(range(100)), normal(5000, 2.5)),
        (FEW, list(range(0, 5000, 5)), (normal(5000, 1.5) * 4).round() / 4),
    ]


def processors_of(model, settings):
    """Those that generate() itself would build, in its order."""
    config = GenerationConfig(do_sample=True, **{k: v for k, v in settings.items() if v is not None})
    config, _ = model._prepare_generation_config(config)
    return model._get_logits_processor(
        generation_config=config, input_ids_seq_length=1, encoder_input_ids=None, prefix_allowed_tokens_fn=None,
        logits_processor=LogitsProcessorList(), device="cpu", model_kwargs={})


def tiny_model():
    return AutoModelForCausalLM.from_config(LlamaConfig(
        vocab_size=8, hidden_size=4, intermediate_size=4, num_hidden_layers=1, num_attention_heads=1,
        bos_token_id=None, eos_token_id=None))


def process(model, settings, previous, logits):
    ids = torch.tensor([previous], dtype=torch.long)
    return processors_of(model, settings)(ids, torch.from_numpy(logits)[None].clone())[0].numpy()


def stable_sort(*args, _sort=torch.sort, **kwargs):
    return _sort(*args, stable=True, **kwargs)


def process_all():
    """For each row the processed scores of each combination, with the stable sort and with the plain one."""
    model, plain_sort, results = tiny_model(), torch.sort, []
    for grid, previous, logits in make_rows():
        logits = np.asarray(logits, np.float32)
        row = []
        for values in itertools.product(*grid.values()):
            settings = dict(zip(grid, values))
            plain = process(model, settings, previous, logits)
            torch.sort = stable_sort
            stable = process(model, settings, previous, logits)
            torch.sort = plain_sort
            same = np.array_equal(np.sort(plain), np.sort(stable), equal_nan=True)
            assert same or not np.isfinite(plain).any(), (settings, "a stable sort keeps other values")
            row.append((settings, stable))
        results.append((previous, logits, row))
    return results


def levels():
    """process_all at each instruction set level of torch."""
    found = {}
    for level in ("default", "avx2", "avx512"):
        run = subprocess.run([sys.executable, str(HERE), "--dump"], env=dict(os.environ, ATEN_CPU_CAPABILITY=level),
                             stdout=subprocess.PIPE, check=True)
        found[level] = pickle.loads(run.stdout)
    return list(found.values())


def write_processors(path):
    """u32 rows; a row: u32 vocab, u32 previous count, i32 previous[], f32 logits[vocab], then the grid: for each of
    repetition_penalty, temperature, top_k, top_p, min_p u32 count, f64 values[] (0 for None).  Then for each pair of
    the first two f32 scores[vocab] without the filters, i32 torch.argmax of each of those, and for each combination,
    the last option varying fastest, u8 known (0: torch's levels disagree) and u8 kept[(vocab + 7) / 8]
    (bit i % 8 of byte i / 8; the rest is -inf)."""
    first, *others = levels()
    rows, out, left_out, total, model = make_rows(), io.BytesIO(), 0, 0, tiny_model()
    out.write(struct.pack("<I", len(first)))
    for r, (previous, logits, row) in enumerate(first):
        out.write(struct.pack("<II", len(logits), len(previous)))
        out.write(np.asarray(previous, np.int32).tobytes() + logits.tobytes())
        for values in rows[r][0].values():
            out.write(struct.pack(f"<I{len(values)}d", len(values), *(v or 0 for v in values)))
        bases, masks = {}, []
        for c, (settings, scores) in enumerate(row):
            pair = (settings["repetition_penalty"], settings["temperature"])
            if pair not in bases:
                bases[pair] = process(model, dict(settings, top_k=0, top_p=1.0, min_p=None), previous, logits)
            known = all(np.array_equal(other[r][2][c][1], scores, equal_nan=True) for other in others)
            total, left_out = total + 1, left_out + (not known)
            kept = ~np.isneginf(scores) | np.isneginf(bases[pair])
            assert np.array_equal(np.where(kept, bases[pair], np.float32(-INF)), scores, equal_nan=True)
            masks.append(struct.pack("B", known) + np.packbits(kept, bitorder="little").tobytes())
        out.write(b"".join(base.astype(np.float32).tobytes() for base in bases.values()))
        out.write(b"".join(struct.pack("<i", torch.from_numpy(base).argmax()) for base in bases.values()))
        out.write(b"".join(masks))
    path.write_bytes(out.getvalue())
    print(f"processors.bin: {total - left_out} combinations; {left_out} left out (torch's levels disagree)")


def write_draws(path, draws=100000):
    """u32 rows; a row: u32 vocab, u32 bins, f64 temperature, top_p, min_p, u64 top_k, f64 critical,
    f32 logits[vocab], u32 bin[vocab], f64 probability[bins].  Tokens expected fewer than 10 times share bins; bin 0
    holds those that cannot be drawn and has probability 0."""
    from scipy.stats import chi2
    random = np.random.RandomState(5)
    rows = [
        (np.log([0.9, 0.1]), {}),
        (np.zeros(7), {}),
        (2 * random.standard_normal(50), {"temperature": 1.5}),
        (3 * random.standard_normal(1000), {"top_k": 50, "top_p": 0.9}),
        (random.standard_normal(1000), {}),
        (3 * random.standard_normal(1000), {"temperature": 2.0, "min_p": 0.02}),
        (1.5 * random.standard_normal(2000), {"top_p": 0.8}),
    ]
    model, out = tiny_model(), io.BytesIO()
    out.write(struct.pack("<I", len(rows)))
    for logits, given in rows:
        logits = np.asarray(logits, np.float32)
        settings = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": None} | given
        scores = process(model, settings, [], logits).astype(np.float64)
        p = np.exp(scores - scores.max())
        p /= p.sum()
        bins, probability = np.zeros(len(p), np.uint32), [0.0]
        pending = 0.0
        for token in np.argsort(p):
            if p[token] == 0:
                continue
            if pending == 0 or pending * draws >= 10:
                probability.append(0.0)
                pending = 0.0
            bins[token] = len(probability) - 1
            pending += p[token]
            probability[-1] += p[token]
        critical = chi2.ppf(0.999, len(probability) - 2)
        out.write(struct.pack("<IIdddQd", len(p), len(probability), settings["temperature"], settings["top_p"],
                              settings["min_p"] or 0, settings["top_k"], critical))
        out.write(logits.tobytes() + bins.tobytes() + np.asarray(probability).tobytes())
    path.write_bytes(out.getvalue())


DUMP = {  # what save_pretrained of 2021 put into config.json
    "max_length": 20, "min_length": 0, "do_sample": False, "early_stopping": False, "num_beams": 1,
    "num_beam_groups": 1, "diversity_penalty": 0.0, "temperature": 1.0, "top_k": 50, "top_p": 1.0, "typical_p": 1.0,
    "repetition_penalty": 1.0, "length_penalty": 1.0, "no_repeat_ngram_size": 0, "encoder_no_repeat_ngram_size": 0,
    "bad_words_ids": None, "num_return_sequences": 1, "forced_bos_token_id": None, "forced_eos_token_id": None,
    "remove_invalid_values": False, "suppress_tokens": None, "exponential_decay_length_penalty": None,
}

DEFAULTS = {
    "none": (None, None),
    "empty": ({}, {"eos_token_id": 7, "temperature": 0.5}),
    "gpt2": ({"_from_model_config": True, "bos_token_id": 50256, "eos_token_id": 50256,
              "transformers_version": "4.26.0.dev0"},
             {"model_type": "gpt2", "bos_token_id": 1, "eos_token_id": 2,
              "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}}),
    "llama3": ({"bos_token_id": 128000, "do_sample": True, "eos_token_id": [128001, 128008, 128009],
                "temperature": 0.6, "top_p": 0.9, "transformers_version": "4.42.3"}, {"model_type": "llama"}),
    "qwen2": ({"bos_token_id": 151643, "pad_token_id": 151643, "do_sample": True, "eos_token_id": [151645, 151643],
               "repetition_penalty": 1.05, "temperature": 0.7, "top_p": 0.8, "top_k": 20}, None),
    "gemma": ({"bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": [1, 107], "pad_token_id": 0}, None),
    "nulls": ({"do_sample": None, "temperature": None, "top_k": None, "top_p": None, "min_p": None,
               "repetition_penalty": None, "max_length": None, "max_new_tokens": None, "eos_token_id": None,
               "bos_token_id": None, "num_beams": None, "bad_words_ids": None}, None),
    "lengths": ({"max_length": 4096, "max_new_tokens": 17, "min_p": 0.1, "top_k": 0}, None),
    "integers": ({"temperature": 1, "top_p": 1, "repetition_penalty": 1}, None),
    "old": (None, DUMP | {"model_type": "gpt2", "eos_token_id": 50256, "bos_token_id": 50256}),
    "old-set": (None, DUMP | {"do_sample": True, "top_k": 10, "max_length": 77, "eos_token_id": [3, 4]}),
    "nested": (None, {"eos_token_id": None, "top_p": 0.75,
                      "text_config": {"eos_token_id": 11, "bos_token_id": 10, "top_p": 0.25, "num_beams": 1}}),
    "nested-two": (None, {"text_config": {"eos_token_id": 1, "max_length": 9}, "bos_token_id": 5,
                          "decoder": {"eos_token_id": 2}, "generator": {}}),
    "nested-empty": (None, {"decoder": {}, "text_config": {"eos_token_id": 6, "text_config": {"bos_token_id": 8}}}),
}


def effective(folder):
    """What a model loaded from the folder generates with: PreTrainedModel's way to its generation config, then
    generate()'s way to its defaults."""
    if (folder / "generation_config.json").exists():
        own = GenerationConfig.from_pretrained(folder)
    elif (folder / "config.json").exists():
        own = GenerationConfig.from_pretrained(folder, config_file_name="config.json", _from_model_config=True)
    else:
        own = GenerationConfig()
    used = GenerationConfig()
    used.update(**own.to_dict(), defaults_only=True, allow_custom_entries=True)
    used.update(**own._get_default_generation_params(), defaults_only=True)
    eos = used.eos_token_id
    eos = [] if eos is None else [eos] if isinstance(eos, int) else eos
    numbers = [int(used.do_sample), used.repetition_penalty, used.temperature, used.top_k, used.top_p,
               used.min_p or 0, -1 if own.max_length is None else own.max_length,
               -1 if own.max_new_tokens is None else own.max_new_tokens,
               -1 if used.bos_token_id is None else used.bos_token_id, len(eos), *eos]
    return " ".join(repr(n) for n in numbers)


def write_defaults(folder):
    lines = ["# name do_sample repetition_penalty temperature top_k top_p min_p max_length max_new_tokens bos eos...\n"]
    for name, (own, config) in DEFAULTS.items():
        here = folder / "defaults" / name
        for file, document in (("generation_config.json", own), ("config.json", config)):
            if document is not None:
                here.mkdir(parents=True, exist_ok=True)
                (here / file).write_text(json.dumps(document, indent=2) + "\n")
        lines.append(f"{name} {effective(here)}\n")
    (folder / "defaults.txt").write_text("".join(lines))


def record(folder):
    folder.mkdir(parents=True, exist_ok=True)
    write_defaults(folder)
    write_draws(folder / "draws.bin")
    write_processors(folder / "processors.bin")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments.add_argument("--dump", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    if options.dump:
        sys.stdout.buffer.write(pickle.dumps(process_all()))
    elif not options.check:
        record(DATA)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            record(Path(temporary))
            files = [str(f.relative_to(temporary)) for f in Path(temporary).rglob("*") if f.is_file()]
            same, different, missing = filecmp.cmpfiles(temporary, DATA, files, shallow=False)
        for file in different + missing:
            print(f"differs: {file}")
        sys.exit(1 if different or missing else 0)


if __name__ == "__main__":
    main()
