# SPDX-License-Identifier: Apache-2.0
"""What a golden is, and the configs of the families that they start from.

A golden is a config.json, a way of writing the tensors, and (mostly) a switch: config keys that
Transformers honours, with the values that flip them.  checkpoint.py writes it, oracle.py records
what Transformers gives for it, goldens.py lists them all.
"""

from dataclasses import dataclass, field

REMOVED = object()  # in a flip: the key is taken out of config.json


@dataclass
class Golden:
    name: str
    config: dict  # config.json, exactly as written
    flip: dict | None = None  # keys to change: the logits must move
    ignored: dict | None = None  # keys to change: the logits must stay as they are
    dtype: str = "float32"  # of the stored tensors
    mixed: bool = False  # norms and biases stored in float32 all the same
    file: object = None  # how the names (or tensors) in the file differ from the model's
    flip_file: object = None  # the same for the flipped model, where it differs too
    shard_bytes: int | None = None  # several files with an index
    saved: bool = False  # written by save_pretrained instead of by hand
    gains: dict = field(default_factory=dict)  # see checkpoint.draw
    eos: str | None = None  # "generation" or "config": an eos that greedy really meets
    generation: dict | None = None  # generation_config.json
    expect: str = "ok"  # ok, missing, mismatch, refused
    reason: str | None = None  # of a refusal
    error: str | None = None  # its code here
    mentions: str | None = None  # what the message must name
    diverse: int = 10  # how many different tokens greedy must give
    note: str | None = None
    seed: int | None = None  # the one recorded


def gpt2(**keys):
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": 48,
        "n_positions": 340,
        "n_embd": 24,
        "n_layer": 2,
        "n_head": 4,
        "bos_token_id": 0,
        "eos_token_id": None,
        "torch_dtype": "float32",
    }
    return {**config, **keys}


def llama(**keys):
    """The newer form: rope_parameters and dtype."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 48,
        "hidden_size": 24,
        "intermediate_size": 36,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": None,
        "dtype": "float32",
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    }
    return {**config, **keys}


def older(config, **keys):
    """The older form of the same: rope_theta and rope_scaling, torch_dtype."""
    config = dict(config)
    rope = config.pop("rope_parameters", {"rope_theta": 10000.0, "rope_type": "default"})
    theta = rope.get("rope_theta", 10000.0)
    scaling = {k: v for k, v in rope.items() if k != "rope_theta"}
    config["rope_theta"] = theta
    config["rope_scaling"] = None if scaling.get("rope_type") == "default" else scaling
    config["torch_dtype"] = config.pop("dtype")
    return {**config, **keys}


def family(name, architecture, **defaults):
    return lambda **keys: llama(
        model_type=name, architectures=[architecture], **{**defaults, **keys}
    )


mistral = family("mistral", "MistralForCausalLM", sliding_window=None)
qwen2 = family("qwen2", "Qwen2ForCausalLM", rms_norm_eps=1e-6)
qwen3 = family("qwen3", "Qwen3ForCausalLM", rms_norm_eps=1e-6, head_dim=10)


def rope(**keys):
    return {"rope_theta": 10000.0, **keys}


def without(config, *keys):
    return {k: v for k, v in config.items() if k not in keys}


YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)

# Activation -> (the one it is told from, mean and spread of what goes in, gain of what comes out).
# Where two differ a little in a narrow place only, the inputs are put there.
NEAR_MINUS_TWO = dict(bias=-2.4, spread=0.5, out=8.0)
WIDE = dict(bias=0.0, spread=4.0, out=1.0)
ACTIVATIONS = {
    "gelu": ("gelu_new", NEAR_MINUS_TWO),
    "gelu_10": ("gelu", dict(bias=4.0, spread=6.0, out=1.0)),
    "gelu_fast": ("gelu", NEAR_MINUS_TWO),
    "gelu_new": ("gelu", NEAR_MINUS_TWO),
    "gelu_python": ("gelu_new", NEAR_MINUS_TWO),
    "gelu_pytorch_tanh": ("gelu", NEAR_MINUS_TWO),
    "gelu_python_tanh": ("gelu", NEAR_MINUS_TWO),
    "gelu_accurate": ("gelu", NEAR_MINUS_TWO),
    "hardswish": ("silu", WIDE),
    "laplace": ("sigmoid", WIDE),
    "leaky_relu": ("relu", WIDE),
    "linear": ("leaky_relu", WIDE),
    "mish": ("silu", WIDE),
    "quick_gelu": ("gelu", WIDE),
    "relu": ("leaky_relu", WIDE),
    "relu2": ("relu", dict(bias=0.0, spread=1.5, out=1.0)),
    "relu6": ("relu", WIDE),
    "sigmoid": ("tanh", WIDE),
    "silu": ("quick_gelu", WIDE),
    "sqrtsoftplus": ("sigmoid", WIDE),
    "swish": ("quick_gelu", WIDE),
    "tanh": ("sigmoid", WIDE),
}
