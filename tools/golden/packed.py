# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that are quantised as compressed-tensors packs them, and what Transformers gives.

Transformers unpacks their weights and computes in float32; Plimsoll rounds activations to 8 bits
too, so that logits agree less closely than elsewhere (tests/golden/test_packed.c says how closely).
"""

import json
import os
import shutil

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy
import torch
from compressed_tensors.compressors import pack_to_int32
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from checkpoint import draw
from golden import Golden, llama, qwen2, qwen3

GROUP = 32
SIZES = dict(
    vocab_size=96,
    hidden_size=64,
    intermediate_size=96,
    num_attention_heads=4,
    num_key_value_heads=2,
)
PROMPTS = {"1": 1, "2": 2, "17": 17, "100": 100}


def pack(weight, bits, dtype):
    """[rows, columns] float32 → packed int32, scales [rows, columns / 32]."""
    top = 2 ** (bits - 1)
    groups = weight.reshape(weight.shape[0], -1, GROUP)
    scale = (groups.abs().amax(-1) / (top - 1)).to(dtype)
    quants = (groups / scale.float().unsqueeze(-1)).round().clamp(-top, top - 1)
    quants = quants.reshape(weight.shape).to(torch.int8)
    return pack_to_int32(quants, bits), scale


def scheme(bits, targets):
    return {
        "targets": targets,
        "weights": {
            "num_bits": bits,
            "type": "int",
            "symmetric": True,
            "strategy": "group",
            "group_size": GROUP,
        },
        "input_activations": None,
        "output_activations": None,
        "format": "pack-quantized",
    }


def quantization(groups, ignore):
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": groups,
        "ignore": ignore,
        "kv_cache_scheme": None,
    }


LINEAR4 = {"group_0": scheme(4, ["Linear"])}
LINEAR8 = {"group_0": scheme(8, ["Linear"])}
# The output head with 8 bits, the layers with 4.
MIXED = {
    "group_0": scheme(8, ["lm_head"]),
    "group_1": scheme(4, ["re:.*(q|k|v|o|gate|up|down)_proj"]),
}

# name: config, quantization_config, bits of a tensor by its name, type of scales, shards
CASES = {
    "llama-int4": (
        llama(**SIZES),
        quantization(LINEAR4, ["lm_head"]),
        lambda name: 4 if "proj" in name else 0,
        torch.float16,
        1,
    ),
    "llama-int8": (
        llama(**SIZES, mlp_bias=True),
        quantization(LINEAR8, []),
        lambda name: 8 if "proj" in name or "lm_head" in name else 0,
        torch.bfloat16,
        1,
    ),
    "qwen2-int4-tied": (
        qwen2(**SIZES, tie_word_embeddings=True),
        quantization(LINEAR4, ["lm_head"]),
        lambda name: 4 if "proj" in name else 0,
        torch.float32,
        1,
    ),
    "qwen3-mixed-sharded": (
        qwen3(**SIZES, head_dim=16),
        quantization(MIXED, []),
        lambda name: 4 if "proj" in name else 8 if "lm_head" in name else 0,
        torch.float16,
        2,
    ),
}


def packed_state(config, bits_of, scale_dtype):
    with torch.no_grad():
        state = draw(config, Golden("", {}), 11)
    out = {}
    for name, tensor in state.items():
        bits = bits_of(name) if name.endswith("weight") and tensor.dim() == 2 else 0
        if not bits:
            out[name] = tensor
            continue
        out[name + "_packed"], out[name + "_scale"] = pack(tensor, bits, scale_dtype)
        out[name + "_shape"] = torch.tensor(tensor.shape, dtype=torch.int64)
    return out


def write(folder, config, state, shards):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    if shards == 1:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return
    # Quants and their scales lie in different files.
    index = {}
    for n in range(shards):
        file = f"model-{n + 1:05d}-of-{shards:05d}.safetensors"
        part = {k: t for i, (k, t) in enumerate(sorted(state.items())) if i % shards == n}
        save_file(part, folder / file, metadata={"format": "pt"})
        index |= {name: file for name in part}
    text = json.dumps({"metadata": {}, "weight_map": dict(sorted(index.items()))}, indent=1)
    (folder / "model.safetensors.index.json").write_text(text + "\n")


def record(name, out):
    config, quantized, bits_of, scale_dtype, shards = CASES[name]
    plain = AutoConfig.for_model(**{k: v for k, v in config.items() if k != "dtype"})
    write(
        out,
        {**config, "quantization_config": quantized},
        packed_state(plain, bits_of, scale_dtype),
        shards,
    )
    model = AutoModelForCausalLM.from_pretrained(
        out, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    random = numpy.random.RandomState(3)
    expected = {"prompts": {}}
    logits = {}
    for key, length in PROMPTS.items():
        ids = random.randint(0, config["vocab_size"], length).tolist()
        expected["prompts"][key] = ids
        with torch.no_grad():
            logits[f"logits_{key}"] = model(torch.tensor([ids])).logits[0].float().contiguous()
    (out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    save_file(logits, out / "expected.safetensors")


def recorders():
    """{path below tests/golden: what writes it}, as make.py wants them."""
    return {f"packed/{name}": lambda out, name=name: record(name, out) for name in CASES}
