#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Transformers reads what `plimsoll convert` writes: the same weights, bit for bit, and the same greedy text.

    tools/quality/converted.py [--plimsoll build/release/plimsoll] [--model DIR ...] [--tokens 64]
    tools/quality/converted.py --write      records it for the repository's model (tests/cli/converted.json)

For int8 and int4: converts, loads the folder with AutoModelForCausalLM (compressed-tensors unpacks it, in float32),
compares each weight with scale * q, and the new tokens after each of the prompts of the goldens with those of
`plimsoll run` on the same folder.  With --dtype float32 both must agree; by default packed weights are multiplied with
activations that are quantised to 8 bits, so that where two tokens are nearly as likely, the other one may win: then it
tells how far they are apart in Transformers' logits, as a share of the largest |logit|.
What is recorded has for each text which of its tokens are `close`, leading by less than NEAR; all others must come
out wherever Transformers' own text up to them is given.  Exit 1 where weights differ, where texts part in float32, or before a near tie."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
import transformers
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "shakespeare-1.7m"
RECORDED = ROOT / "tests" / "cli" / "converted.json"
TEXTS = ["The future of AI is", "KING RICHARD III:\nMy lords,", "First", "ROMEO:", "Hello",
         "def fibonacci(n):\n", "Ünïcödé: 你好, \U0001f600!\n", "1 + 1 ="]
NEAR = 0.005  # of the largest |logit|: what quantised activations may decide
TIE = 1e-5  # the same for float32


def dequantised(file, name, shape):
    packed = torch.from_numpy(file.get_tensor(name + "_packed").numpy().view("uint8").copy())
    scale = file.get_tensor(name + "_scale").float()
    if packed.shape[1] == shape[1]:
        levels = packed.float() - 128
    else:
        levels = torch.stack([packed & 15, packed >> 4], -1).reshape(shape).float() - 8
    return (levels.reshape(*scale.shape, 32) * scale[..., None]).reshape(shape)


def check_weights(model, folder):
    """How many weights were packed; each as Transformers has it must be scale * q exactly."""
    state, packed = model.state_dict(), 0
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
        for name, value in state.items():
            if name + "_packed" in names:
                want = dequantised(file, name, tuple(value.shape))
                packed += 1
            elif name in names:
                want = file.get_tensor(name).float()
            else:
                continue  # tied
            assert torch.equal(value, want), f"{folder}: {name} differs"
    return packed


@torch.no_grad()
def greedy(model, prompt, count):
    """The new tokens, and the logits that each was chosen by."""
    out = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                         max_new_tokens=count, min_new_tokens=count, do_sample=False, return_dict_in_generate=True,
                         output_logits=True, eos_token_id=None, pad_token_id=0)
    return out.sequences[0, len(prompt):].tolist(), [row[0] for row in out.logits]


def by_plimsoll(program, folder, dtype, prompt, count):
    done = subprocess.run([program, "run", folder, "--prompt-tokens", ",".join(map(str, prompt)), "-n", str(count),
                           "--ignore-eos", "--do-sample=false", "--json", "--quiet", "--kv-dtype", "float32", "--dtype", dtype],
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["tokens"]


def lead(row, token=None):
    """Of the likeliest token over `token` (else over the next), as a share of the largest |logit|."""
    top = row.topk(2).values
    other = top[1] if token is None else row[token]
    return ((top[0] - other) / row.abs().max()).item()


def first_difference(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), None)


def compare_text(args, folder, model, tokenizer, text):
    """What there is to record, whether the tokens are the same, and whether all was as it should be."""
    prompt = tokenizer(text)["input_ids"]
    tokens, logits = greedy(model, prompt, args.tokens)
    row = {"prompt": prompt, "tokens": tokens, "close": [i for i, r in enumerate(logits) if lead(r) < NEAR]}
    good, same = True, {}
    for name, least in (("float32", TIE), ("auto", NEAR)):
        ours = by_plimsoll(args.plimsoll, folder, name, prompt, args.tokens)
        at = first_difference(ours, tokens)
        same[name] = at is None
        if at is not None:
            apart = lead(logits[at], ours[at])
            good = good and apart < least
            print(f"  {text!r}, {name}: the texts part at token {at}, where the two tokens are {100 * apart:.4f} % apart")
    return row, same, good


def compare(args, source, dtype, tokenizer):
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / dtype
        subprocess.run([args.plimsoll, "convert", source, folder, "--dtype", dtype, "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        assert model.dtype == torch.float32
        model(torch.zeros(1, 1, dtype=torch.long))  # unpacks the weights
        packed = check_weights(model, folder)
        found = [compare_text(args, folder, model, tokenizer, text) for text in TEXTS]
        rows = [row for row, _, _ in found]
        counts = {name: sum(same[name] for _, same, _ in found) for name in ("float32", "auto")}
        print(f"{source}, {dtype}: {packed} matrices packed, weights equal; of {len(TEXTS)} texts of {args.tokens} "
              f"tokens {counts['float32']} are the same in float32, {counts['auto']} with 8-bit activations; "
              f"{sum(len(r['close']) for r in rows)} tokens are near ties")
        return rows, all(good for _, _, good in found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plimsoll", default=str(ROOT / "build" / "release" / "plimsoll"))
    parser.add_argument("--model", action="append", type=Path)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(2)
    transformers.utils.logging.disable_progress_bar()
    good = True
    for source in args.model or [MODEL]:
        tokenizer = AutoTokenizer.from_pretrained(source)
        recorded = {"transformers": transformers.__version__}
        for dtype in ("int8", "int4"):
            recorded[dtype], fine = compare(args, source, dtype, tokenizer)
            good = good and fine
        if args.write and source == MODEL:
            RECORDED.write_text(json.dumps(recorded, indent=None, separators=(",", ":")) + "\n")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
