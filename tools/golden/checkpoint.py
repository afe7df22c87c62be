# SPDX-License-Identifier: Apache-2.0
"""Draws the weights of a golden and writes its checkpoint folder.

A "file" function changes what is stored: it takes the state dict of the model and the config and
returns another state dict.  The ones here are named after the kind of file they make.
"""

import copy
import json
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

EMPTY = AutoModelForCausalLM.from_config  # a model of a config, its weights as they come


# ---- weights -------------------------------------------------------------------------------------


def draw(config, golden, seed):
    """Random weights under the names of the model: {name: float32 tensor}.  Tied tensors once.

    They are much larger than those of a fresh model, so that attention is sharp, activations
    leave their linear range and every switch shows in the logits.  `golden.gains` changes that:
    attn (a factor on queries and keys), bias (spread of biases), mlp: {bias, spread, out} (mean and
    spread of what goes into the activation, gain of what comes out of the MLP).

    RandomState is frozen: the same seed gives the same numbers with every version of numpy.
    """
    with torch.device("meta"):
        model = EMPTY(config)
    random = numpy.random.RandomState(seed)
    state = {}
    for name, parameter in model.named_parameters():
        shape = tuple(parameter.shape)
        normal = torch.from_numpy(random.standard_normal(shape).astype(numpy.float32))
        state[name] = shift(name, shape, normal, golden.gains, conv1d=config.model_type == "gpt2")
    return state


def shift(name, shape, normal, gains, conv1d):
    """From a standard normal tensor to the one of this name."""
    mlp = gains.get("mlp")
    if "norm" in name or "ln_" in name:
        return 0.25 * normal + (0.0 if name.endswith("bias") else 1.0)
    if name.endswith("bias"):
        if mlp and ("c_fc" in name or "gate_proj" in name):
            return 0.3 * normal + mlp["bias"]
        return gains.get("bias", 0.5) * normal
    if "wpe" in name:
        return normal
    if "wte" in name or "embed_tokens" in name:
        # Small beside what the layers add: where the embedding is the head too, the model would
        # otherwise say each token again for ever.
        return 0.2 * normal
    scale = (shape[0] if conv1d else shape[1]) ** -0.5
    if mlp and ("c_fc" in name or "gate_proj" in name):
        return mlp["spread"] * scale * normal
    if mlp and ("mlp.c_proj" in name or "down_proj" in name):
        return mlp["out"] * scale * normal
    if "q_proj" in name or "k_proj" in name:
        return gains.get("attn", 1.0) * 1.4 * scale * normal
    if "c_attn" in name:
        factor = torch.ones(shape)
        factor[:, : 2 * shape[0]] *= gains.get("attn", 1.0)
        return 1.4 * scale * factor * normal
    return 1.4 * scale * normal


# ---- kinds of files ------------------------------------------------------------------------------

PREFIXES = ("transformer.", "model.")


def without_prefix(name):
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def base_model_file(state, config):
    """What save_pretrained of the model without a head writes."""
    return {without_prefix(k): v for k, v in state.items() if not k.startswith("lm_head")}


def old_gpt2_file(state, config):
    """The masks were buffers of the model, and no prefix was saved."""
    state = base_model_file(state, config)
    n = config["n_positions"]
    for layer in range(config["n_layer"]):
        mask = torch.tril(torch.ones(n, n, dtype=torch.uint8))
        state[f"h.{layer}.attn.bias"] = mask.view(1, 1, n, n)
        state[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return state


def old_llama_file(state, config):
    """The frequencies of the rope were a buffer of every layer."""
    dim = config["hidden_size"] // config["num_attention_heads"]
    frequencies = 1.0 / config["rope_theta"] ** (torch.arange(0, dim, 2).float() / dim)
    more = {
        f"model.layers.{i}.self_attn.rotary_emb.inv_freq": frequencies.clone()
        for i in range(config["num_hidden_layers"])
    }
    return {**state, **more}


def embedding_name(state):
    return next(k for k in state if k.endswith(("wte.weight", "embed_tokens.weight")))


def duplicate_head(state, config):
    return {**state, "lm_head.weight": state[embedding_name(state)].clone()}


def without_head(state, config):
    return {k: v for k, v in state.items() if not k.startswith("lm_head")}


def head_only(state, config):
    state = duplicate_head(state, config)
    del state[embedding_name(state)]
    return state


def drop(*names, then=None):
    def file(state, config):
        assert all(n in state for n in names)
        state = {k: v for k, v in state.items() if k not in names}
        return then(state, config) if then else state

    return file


def extra_tensors(shapes, then=None):
    def file(state, config):
        more = {
            name: torch.arange(float(numpy.prod(shape))).reshape(shape)
            for name, shape in shapes.items()
        }
        state = {**state, **more}
        return then(state, config) if then else state

    return file


def reshape(shapes, then=None):
    """Other shapes under the same names; what is in them does not matter."""

    def file(state, config):
        state = dict(state)
        for name, shape in shapes.items():
            assert name in state and tuple(state[name].shape) != shape
            state[name] = torch.full(shape, 0.125)
        return then(state, config) if then else state

    return file


# ---- writing -------------------------------------------------------------------------------------


def stored_dtype(name, tensor, golden):
    if not tensor.is_floating_point() or (golden.mixed and tensor.dim() < 2):
        return tensor.dtype
    return getattr(torch, golden.dtype)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def write_by_hand(folder, config, state, golden, file):
    """config.json exactly as the golden has it, the tensors in one file."""
    write_json(folder / "config.json", config)
    stored = file(state, config) if file else state
    stored = {k: v.to(stored_dtype(k, v, golden)).contiguous() for k, v in stored.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})


def write_saved(folder, config, state, golden):
    """As Transformers itself writes it: what config.json looks like, and how files are cut."""
    loaded = AutoConfig.for_model(**copy.deepcopy(config))
    model = EMPTY(loaded).to(getattr(torch, golden.dtype))
    report = model.load_state_dict(state, strict=False)
    assert not report.unexpected_keys and report.missing_keys in ([], ["lm_head.weight"])
    model.generation_config.eos_token_id = None
    size = golden.shard_bytes or "1GB"
    model.save_pretrained(folder, max_shard_size=size)
    (folder / "generation_config.json").unlink()


def write_checkpoint(folder, golden, config, state, file=None):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if golden.saved:
        write_saved(folder, config, state, golden)
    else:
        write_by_hand(folder, config, state, golden, file)
    if golden.generation:
        write_json(folder / "generation_config.json", golden.generation)
