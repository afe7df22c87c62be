# SPDX-License-Identifier: Apache-2.0
"""What Transformers gives for a checkpoint folder: logits, greedy tokens, the loading report, and
the proof that a switch shows. Everything in float32 with eager attention, from the folder as it
lies on disk."""

import copy
import json
import tempfile
from pathlib import Path

import numpy
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils.loading_report import update_key_name

from checkpoint import draw, write_checkpoint, write_json
from golden import REMOVED

PROMPT_LENGTHS = (1, 2, 17, 300)
GREEDY_PROMPTS = ("17", "300")
NEW_TOKENS = 32
TOLERANCE = 1e-4  # of the largest |logit| of a prompt
MUST_MOVE = 10  # tolerances, for a switch that is flipped
MARGIN = 1e-3  # between the best and the second logit of a greedy step, of the largest |logit|
ROUNDING = 1e-5  # float32 against float64, of the largest |logit|
SEEDS = 400


class Unsuitable(Exception):
    """These weights do not show what they are there for: draw others."""


def load(folder, dtype=torch.float32, **options):
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", **options
    )


def make_prompts(vocabulary, seed):
    random = numpy.random.RandomState(seed + 100_000)
    return {str(n): [int(i) for i in random.randint(1, vocabulary, n)] for n in PROMPT_LENGTHS}


@torch.no_grad()
def logits_of(model, prompts):
    """{prompt: [tokens, vocabulary]}, one pass each."""
    return {name: model(torch.tensor([ids])).logits[0] for name, ids in prompts.items()}


def moved(one, other):
    """The largest difference over all prompts, as a fraction of the prompt's largest |logit|."""
    return max(
        ((one[n].double() - other[n].double()).abs().max() / one[n].abs().max()).item() for n in one
    )


@torch.no_grad()
def greedy(model, prompt):
    """32 new tokens by generate(), and the smallest margin met."""
    ids = torch.tensor([prompt])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
        max_new_tokens=NEW_TOKENS,
        max_length=None,
        repetition_penalty=1.0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    tokens = out.sequences[0, len(prompt) :].tolist()
    steps = torch.cat(out.logits)
    top = steps.topk(2, dim=-1).values
    margin = ((top[:, 0] - top[:, 1]) / steps.abs().max()).min().item()
    # The cache must not have changed anything: one pass over it all chooses the same tokens.
    again = (
        model(torch.tensor([prompt + tokens[:-1]])).logits[0, len(prompt) - 1 :].argmax(-1).tolist()
    )
    if again != tokens:
        raise Unsuitable("generate() and a plain pass do not agree")
    return tokens, margin


@torch.no_grad()
def generate_as_configured(model, prompt, eos, **options):
    """generate() with what the folder itself says about generation."""
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=0, **options)
    tokens = out[0, len(prompt) :].tolist()
    return {
        "tokens": tokens,
        "options": options,
        "finish": "eos" if tokens[-1] in eos else "length",
    }


def report_of(info):
    """What from_pretrained(output_loading_info=True) says, and how its table abbreviates it."""
    mismatched = sorted(
        [name, list(stored), list(wanted)] for name, stored, wanted in info["mismatched_keys"]
    )
    return {
        "missing": sorted(info["missing_keys"]),
        "unexpected": sorted(info["unexpected_keys"]),
        "mismatched": mismatched,
        "collapsed": {
            "missing": sorted(update_key_name(info["missing_keys"])),
            "unexpected": sorted(update_key_name(info["unexpected_keys"])),
            "mismatched": sorted(update_key_name({m[0]: 0 for m in mismatched})),
        },
    }


def changed(config, keys):
    config = {**config, **keys}
    return {k: v for k, v in config.items() if v is not REMOVED}


def flipped_logits(golden, state, prompts, keys):
    """The logits of the same weights under another config."""
    with tempfile.TemporaryDirectory() as folder:
        by_hand = type(golden)(**{**golden.__dict__, "saved": False, "shard_bytes": None})
        write_checkpoint(
            folder, by_hand, changed(golden.config, keys), state, golden.flip_file or golden.file
        )
        model, info = load(folder, output_loading_info=True)
        assert not info["missing_keys"] and not info["mismatched_keys"], (golden.name, info)
        return logits_of(model.eval(), prompts)


def readable(keys):
    return {k: ("(removed)" if v is REMOVED else v) for k, v in keys.items()}


def prove(golden, state, prompts, logits):
    """The figure that the switch shows (or that the key is ignored), for expected.json."""
    keys = golden.flip if golden.flip is not None else golden.ignored
    if keys is None:
        return None
    value = moved(logits, flipped_logits(golden, state, prompts, keys))
    here = {k: golden.config.get(k, "(missing)") for k in keys}
    switch = {
        "here": here,
        "flipped": readable(keys),
        "moves": value,
        "tolerances": value / TOLERANCE,
        "ignored": golden.ignored is not None,
    }
    if golden.ignored is not None:
        assert value < ROUNDING, f"{golden.name}: an ignored key moves the logits by {value}"
    elif value < MUST_MOVE * TOLERANCE:
        raise Unsuitable(f"the switch moves the logits by {value:.2g} only")
    return switch


def rounding_of(folder, prompts, logits):
    """How far float32 itself is from float64: far less than the tolerance, or others are drawn."""
    model = load(folder, torch.float64).eval()
    for module in model.modules():
        if hasattr(module, "reorder_and_upcast_attn"):
            module.reorder_and_upcast_attn = False  # it insists on float32
    value = moved(logits, logits_of(model, prompts))
    if value > ROUNDING:
        raise Unsuitable(f"float32 rounds by {value:.2g}")
    return value


def greedy_part(golden, model, prompts):
    tokens, margins = {}, {}
    for name in GREEDY_PROMPTS:
        tokens[name], margins[name] = greedy(model, prompts[name])
        if margins[name] < MARGIN:
            raise Unsuitable(f"a greedy step was won by {margins[name]:.2g} only")
    different = {name: len(set(t)) for name, t in tokens.items()}
    if min(different.values()) < golden.diverse:
        raise Unsuitable(f"greedy gives {different} different tokens")
    return {"greedy": tokens, "greedy_margin": margins, "greedy_different": different}


def settle_eos(golden, folder, tokens):
    """Makes a token that greedy gives for the first time somewhere in the middle an eos."""
    at = next((i for i in range(6, 20) if tokens.index(tokens[i]) == i), None)
    if at is None:
        raise Unsuitable("no token comes first in the middle")
    if golden.eos == "config":
        path, eos = Path(folder) / "config.json", tokens[at]
    else:
        path = Path(folder) / "generation_config.json"
        unused = next(i for i in range(1, 60) if i not in tokens)
        eos = [unused, tokens[at]]
        # What config.json says must not count where generation_config.json speaks.
        config = json.loads((Path(folder) / "config.json").read_text())
        write_json(Path(folder) / "config.json", {**config, "eos_token_id": tokens[2]})
        write_json(path, {"bos_token_id": 0})
    write_json(path, {**json.loads(path.read_text()), "eos_token_id": eos})
    return [eos] if isinstance(eos, int) else eos


def generation_part(golden, folder, prompts, tokens):
    """generate() with generation_config.json (or config.json) deciding."""
    if golden.eos:
        eos = settle_eos(golden, folder, tokens["17"])
        options = {"max_new_tokens": NEW_TOKENS}
    elif golden.generation:
        eos, options = [], {}
    else:
        return {}
    model = load(folder).eval()
    return {"generate": {"17": generate_as_configured(model, prompts["17"], eos, **options)}}


def attempt(golden, folder, seed):
    """Writes the folder with this seed and returns (what expected.json says, the logits)."""
    config = AutoConfig.for_model(**copy.deepcopy(golden.config))
    state = draw(config, golden, seed)
    write_checkpoint(folder, golden, golden.config, state, golden.file)
    expected = {"expect": golden.expect, "seed": seed}

    if golden.expect in ("missing", "mismatch"):
        _, info = load(folder, output_loading_info=True, ignore_mismatched_sizes=True)
        return {**expected, "report": report_of(info)}, None

    model, info = load(folder, output_loading_info=True)
    model.eval()
    prompts = make_prompts(config.vocab_size, seed)
    logits = logits_of(model, prompts)
    expected["report"] = report_of(info)
    expected["prompts"] = prompts
    expected |= greedy_part(golden, model, prompts)
    expected["switch"] = prove(golden, state, prompts, logits)
    expected["rounding"] = rounding_of(folder, prompts, logits)
    expected["max_abs_logit"] = {n: v.abs().max().item() for n, v in logits.items()}
    expected |= generation_part(golden, folder, prompts, expected["greedy"])
    return expected, logits


def refuse(golden, folder):
    """A folder whose config is refused; the weights are those of a plain model of that size."""
    plain = {
        k: v
        for k, v in golden.config.items()
        if k
        not in (
            "rope_parameters",
            "rope_scaling",
            "activation_function",
            "layer_types",
            "is_causal",
        )
    }
    state = draw(AutoConfig.for_model(**copy.deepcopy(plain)), golden, 1)
    write_checkpoint(folder, golden, golden.config, state)
    fails = None
    try:
        logits_of(load(folder).eval(), make_prompts(golden.config["vocab_size"], 1))
    except Exception as error:  # whatever it is, it is what users of Transformers get
        lines = str(error).strip().splitlines()
        fails = f"{type(error).__name__}: {lines[-1] if lines else ''}"
    return {
        "expect": "refused",
        "reason": golden.reason,
        "error": golden.error,
        "mentions": golden.mentions,
        "transformers_fails": fails,
    }


def record(golden, folder, seed=None):
    """Writes the folder of a golden, checkpoint and expectations.  With no seed, the first that is
    suitable is taken."""
    folder = Path(folder)
    head = {
        "name": golden.name,
        "note": golden.note,
        "transformers": transformers.__version__,
        "tolerance": TOLERANCE,
        "stored_dtype": golden.dtype,
    }
    if golden.expect == "refused":
        write_json_compact(folder, {**head, **refuse(golden, folder)})
        return
    reasons = []
    for candidate in [seed] if seed is not None else range(1, SEEDS + 1):
        try:
            expected, logits = attempt(golden, folder, candidate)
            break
        except Unsuitable as error:
            reasons.append(str(error))
    else:
        raise SystemExit(f"{golden.name}: no seed will do; the last reasons: {reasons[-5:]}")
    write_json_compact(folder, {**head, **expected})
    if logits is not None:
        save_file(
            {f"logits_{n}": v.contiguous() for n, v in logits.items()},
            folder / "expected.safetensors",
        )
    for path in folder.iterdir():
        path.chmod(0o644)


def write_json_compact(folder, value):
    """Lists of numbers on one line, the rest indented."""
    folder.mkdir(parents=True, exist_ok=True)
    lists = {}

    def mark(v):
        if isinstance(v, list) and all(isinstance(i, (int, float)) for i in v):
            key = f"@{len(lists)}@"
            lists[f'"{key}"'] = json.dumps(v)
            return key
        if isinstance(v, dict):
            return {k: mark(i) for k, i in v.items()}
        return [mark(i) for i in v] if isinstance(v, list) else v

    text = json.dumps(mark(value), indent=2)
    for key, line in lists.items():
        text = text.replace(key, line)
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")
