# SPDX-License-Identifier: Apache-2.0
"""The table of goldens: which checkpoints there are, and what each one is for.

A golden is a config.json, a way of writing the tensors, and (mostly) a switch: config keys that
Transformers honours, with the values that flip them.  checkpoint.py writes it, oracle.py records
what Transformers gives for it.
"""

from dataclasses import dataclass, field

from checkpoint import (base_model_file, drop, duplicate_head, extra_tensors, head_only,
                        old_gpt2_file, old_llama_file, reshape, without_head)

REMOVED = object()  # in a flip: the key is taken out of config.json


@dataclass
class Golden:
    name: str
    config: dict                      # config.json, exactly as written
    flip: dict | None = None          # keys to change: the logits must move
    ignored: dict | None = None       # keys to change: the logits must stay as they are
    dtype: str = "float32"            # of the stored tensors
    mixed: bool = False               # norms and biases stored in float32 all the same
    file: object = None               # how the names (or tensors) in the file differ from the model's
    flip_file: object = None          # the same for the flipped model, where it differs too
    shard_bytes: int | None = None    # several files with an index
    saved: bool = False               # written by save_pretrained instead of by hand
    gains: dict = field(default_factory=dict)  # see checkpoint.draw
    eos: str | None = None            # "generation" or "config": an eos that greedy really meets
    generation: dict | None = None    # generation_config.json
    expect: str = "ok"                # ok, missing, mismatch, refused
    reason: str | None = None         # of a refusal
    diverse: int = 10                 # how many different tokens greedy must give
    note: str | None = None
    seed: int | None = None           # the one recorded


def gpt2(**keys):
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 48,
        "n_positions": 340, "n_embd": 24, "n_layer": 2, "n_head": 4,
        "bos_token_id": 0, "eos_token_id": None, "torch_dtype": "float32",
    }
    return {**config, **keys}


def llama(**keys):
    """The newer form: rope_parameters and dtype."""
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 48,
        "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu",
        "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
        "bos_token_id": 0, "eos_token_id": None, "dtype": "float32",
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
    return lambda **keys: llama(model_type=name, architectures=[architecture], **{**defaults, **keys})


mistral = family("mistral", "MistralForCausalLM", sliding_window=None)
qwen2 = family("qwen2", "Qwen2ForCausalLM", rms_norm_eps=1e-6)
qwen3 = family("qwen3", "Qwen3ForCausalLM", rms_norm_eps=1e-6, head_dim=10)


def rope(**keys):
    return {"rope_theta": 10000.0, **keys}


llama_family = llama


# ---- gpt2 ----------------------------------------------------------------------------------------

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


def gpt2_goldens():
    yield Golden("gpt2-base", gpt2(vocab_size=101, n_embd=48), saved=True)
    yield Golden("gpt2-scale-off", gpt2(scale_attn_weights=False),
                 flip={"scale_attn_weights": True}, gains={"attn": 0.6})
    yield Golden("gpt2-scale-by-layer", gpt2(scale_attn_by_inverse_layer_idx=True, n_layer=3),
                 flip={"scale_attn_by_inverse_layer_idx": False})
    yield Golden("gpt2-scale-by-layer-alone",
                 gpt2(scale_attn_by_inverse_layer_idx=True, scale_attn_weights=False, n_layer=3),
                 flip={"scale_attn_weights": True}, gains={"attn": 0.6})
    yield Golden("gpt2-reorder-upcast", gpt2(reorder_and_upcast_attn=True),
                 ignored={"reorder_and_upcast_attn": False},
                 note="the same sum in float32; it matters in half precision only")
    yield Golden("gpt2-inner", gpt2(n_inner=40), flip={"n_inner": 39}, flip_file=reshape_inner,
                 note="flipped: the last unit of each MLP is cut off")
    yield Golden("gpt2-epsilon", gpt2(layer_norm_epsilon=0.05), flip={"layer_norm_epsilon": 1e-5})
    yield Golden("gpt2-untied", gpt2(tie_word_embeddings=False), flip={"tie_word_embeddings": True},
                 flip_file=without_head)
    yield Golden("gpt2-head-stored", gpt2(), file=duplicate_head,
                 note="tied, and lm_head.weight stored as an equal copy all the same")
    yield Golden("gpt2-generic-names", generic_names(gpt2()), flip={"num_attention_heads": 8},
                 note="hidden_size for n_embd and so on, as Transformers allows")
    yield Golden("gpt2-old-file", gpt2(n_ctx=340), file=old_gpt2_file,
                 note="no 'transformer.', attn.bias and attn.masked_bias buffers")
    yield Golden("gpt2-base-model-file", gpt2(), file=base_model_file)
    yield Golden("gpt2-sharded", gpt2(n_layer=3), saved=True, shard_bytes=40_000)
    yield Golden("gpt2-f16", gpt2(torch_dtype="float16"), dtype="float16")
    yield Golden("gpt2-bf16", gpt2(torch_dtype="bfloat16"), dtype="bfloat16")
    yield Golden("gpt2-eos", gpt2(), eos="config", note="eos_token_id in config.json only")
    for name, (other, shape) in ACTIVATIONS.items():
        yield Golden(f"gpt2-act-{name.replace('_', '-')}",
                     gpt2(activation_function=name, n_head=2, n_inner=40),
                     flip={"activation_function": other}, gains={"mlp": shape})
    for name in ("prelu", "xielu"):
        yield Golden(f"gpt2-act-{name}", gpt2(activation_function=name, n_layer=1),
                     expect="refused", reason=f"activation {name} has parameters of its own")


def generic_names(config):
    names = {"n_embd": "hidden_size", "n_positions": "max_position_embeddings",
             "n_head": "num_attention_heads", "n_layer": "num_hidden_layers"}
    return {names.get(k, k): v for k, v in config.items()}


def reshape_inner(state, config):
    """Cuts each MLP of a GPT-2 down to config["n_inner"] units."""
    n = config["n_inner"]
    cut = {"mlp.c_fc.weight": lambda t: t[:, :n], "mlp.c_fc.bias": lambda t: t[:n],
           "mlp.c_proj.weight": lambda t: t[:n]}
    return {k: next((f(v) for tail, f in cut.items() if k.endswith(tail)), v).contiguous()
            for k, v in state.items()}


# ---- llama ---------------------------------------------------------------------------------------

LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)
PLAIN = {"rope_parameters": rope(rope_type="default")}


def llama_goldens():
    yield Golden("llama-base", llama(vocab_size=101, hidden_size=64, num_attention_heads=8,
                                     num_key_value_heads=2, intermediate_size=88), saved=True)
    yield Golden("llama-defaults", minimal(llama()), flip={"rms_norm_eps": 0.05},
                 note="every key that has a default is left out")
    yield Golden("llama-mha", llama(num_key_value_heads=None), note="as many key/value heads as heads")
    yield Golden("llama-mqa", llama(num_key_value_heads=1))
    yield Golden("llama-gqa", llama(hidden_size=48, num_attention_heads=6, num_key_value_heads=2, head_dim=8),
                 flip={"num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 4})
    yield from llama_rope_goldens()
    yield Golden("llama-attention-bias", llama(attention_bias=True), flip={"attention_bias": False}, gains={"bias": 0.2})
    yield Golden("llama-mlp-bias", llama(mlp_bias=True), flip={"mlp_bias": False}, gains={"bias": 0.2})
    yield Golden("llama-head-dim", llama(head_dim=16, num_key_value_heads=2),
                 flip={"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8},
                 note="4 heads of 16 in a model of 24")
    yield Golden("llama-tied", llama(tie_word_embeddings=True))
    yield Golden("llama-tied-head-equal", llama(tie_word_embeddings=True), file=duplicate_head)
    yield Golden("llama-tied-head-differs", llama(tie_word_embeddings=True),
                 file=duplicate_head_differently, flip={"tie_word_embeddings": True}, flip_file=without_head,
                 note="tied, but another lm_head.weight is stored: Transformers keeps both")
    yield Golden("llama-tied-head-only", llama(tie_word_embeddings=True), file=head_only,
                 note="tied, and only lm_head.weight is stored: it becomes the embedding too")
    yield Golden("llama-epsilon", llama(rms_norm_eps=0.05), flip={"rms_norm_eps": 1e-6})
    for name in ("gelu", "gelu_pytorch_tanh", "relu", "relu2"):
        other, shape = ACTIVATIONS[name]
        yield Golden(f"llama-act-{name.replace('_', '-')}", llama(hidden_act=name, mlp_bias=True),
                     flip={"hidden_act": other}, gains={"mlp": shape})
    yield Golden("llama-base-model-file", llama(tie_word_embeddings=True), file=base_model_file,
                 note="as LlamaModel.save_pretrained writes it: no 'model.', no lm_head")
    yield Golden("llama-old-file", older(llama()), file=old_llama_file,
                 note="with the rotary_emb.inv_freq buffers of old checkpoints")
    yield Golden("llama-sharded", llama(num_hidden_layers=3), saved=True, shard_bytes=20_000)
    yield Golden("llama-f16", llama(dtype="float16"), dtype="float16")
    yield Golden("llama-bf16", llama(dtype="bfloat16"), dtype="bfloat16")
    yield Golden("llama-mixed", llama(dtype="bfloat16"), dtype="bfloat16", mixed=True,
                 note="matrices in bfloat16, norms in float32")
    yield Golden("llama-no-dtype", without(llama(), "dtype"), dtype="bfloat16",
                 note="no dtype in config.json: auto is what is stored")
    yield Golden("llama-eos-list", llama(), eos="generation",
                 note="a list of eos ids in generation_config.json, and another one in config.json")
    yield Golden("llama-generation-penalty", llama(),
                 generation={"repetition_penalty": 1.3, "max_new_tokens": 24, "eos_token_id": None})
    yield Golden("llama-generation-length", llama(),
                 generation={"max_length": 29, "eos_token_id": None, "bos_token_id": 0})


def llama_rope_goldens():
    def llama(**keys):  # more frequencies
        return llama_family(num_attention_heads=2, num_key_value_heads=1, **keys)

    yield Golden("llama-theta", llama(rope_parameters=rope(rope_type="default", rope_theta=500.0)), flip=PLAIN)
    yield Golden("llama-theta-old", older(llama(), rope_theta=500.0), flip={"rope_theta": 10000.0})
    yield Golden("llama-theta-beside", llama(rope_parameters={"rope_type": "default"}, rope_theta=500.0),
                 flip={"rope_theta": 10000.0}, note="rope_theta beside rope_parameters")
    yield Golden("llama-theta-both", llama(rope_parameters=rope(rope_type="default", rope_theta=500.0), rope_theta=77.0),
                 flip=PLAIN, note="rope_theta in both places: rope_parameters wins")
    linear = llama(rope_parameters=rope(rope_type="linear", factor=4.0))
    yield Golden("llama-linear", linear, flip=PLAIN)
    yield Golden("llama-linear-old", older(linear, rope_scaling={"type": "linear", "factor": 4.0}),
                 flip={"rope_scaling": None})
    yield Golden("llama-scaling-wins", dict(older(linear), rope_parameters=rope(rope_type="default")),
                 flip={"rope_scaling": None}, note="rope_scaling and rope_parameters: rope_scaling wins")
    llama3 = llama(rope_parameters=rope(**LLAMA3))
    yield Golden("llama-llama3", llama3, flip=PLAIN)
    yield Golden("llama-llama3-old", older(llama3), flip={"rope_scaling": None})
    yield Golden("llama-llama3-frequencies",
                 llama(rope_parameters=rope(**{**LLAMA3, "low_freq_factor": 2.0, "high_freq_factor": 16.0})),
                 flip={"rope_parameters": rope(**LLAMA3)})
    yield Golden("llama-yarn", llama(rope_parameters=rope(**YARN)), flip=PLAIN)
    yield Golden("llama-yarn-old", older(llama(), rope_scaling={**YARN, "type": "yarn"}),
                 flip={"rope_scaling": None}, note="both 'type' and 'rope_type'")
    yield Golden("llama-yarn-old-original",
                 older(llama(), rope_scaling={"type": "yarn", "factor": 4.0}, original_max_position_embeddings=64),
                 flip={"original_max_position_embeddings": REMOVED},
                 note="original_max_position_embeddings beside rope_scaling; without it: max_position_embeddings")
    variants = {
        "attention-factor": {"attention_factor": 0.7},
        "betas": {"beta_fast": 2.0, "beta_slow": 0.1},
        "mscale": {"mscale": 0.707, "mscale_all_dim": 1.9},
        "no-truncate": {"truncate": False},
        "factor-null": {"factor": None},
    }
    for name, keys in variants.items():
        yield Golden(f"llama-yarn-{name}", llama(rope_parameters=rope(**{**YARN, **keys})),
                     flip={"rope_parameters": rope(**YARN)})
    yield Golden("llama-yarn-mscale-alone", llama(rope_parameters=rope(**YARN, mscale=0.707)),
                 ignored={"rope_parameters": rope(**YARN)}, note="mscale counts together with mscale_all_dim only")
    yield Golden("llama-partial-ignored", llama(partial_rotary_factor=0.5),
                 ignored={"partial_rotary_factor": REMOVED},
                 note="the default rope of these families rotates the whole head all the same")
    yield Golden("llama-proportional",
                 llama(rope_parameters=rope(rope_type="proportional", partial_rotary_factor=0.4, factor=2.0)),
                 flip=PLAIN, note="the first 0.4 of the frequencies, the others do not turn")
    for name, keys, reason in (
            ("dynamic", dict(rope_type="dynamic", factor=4.0),
             "the result of dynamic rope depends on how the text was cut into calls"),
            ("longrope", dict(rope_type="longrope", factor=4.0, short_factor=[1.0] * 6, long_factor=[2.0] * 6,
                              original_max_position_embeddings=64),
             "the result of longrope depends on how the text was cut into calls"),
            ("unknown", dict(rope_type="spiral", factor=4.0), "Transformers knows no such rope_type"),
            ("partial-linear", dict(rope_type="linear", factor=2.0, partial_rotary_factor=0.5),
             "Transformers fails: it rotates the whole head with the frequencies of a half")):
        yield Golden(f"llama-refused-{name}",
                     llama(rope_parameters=rope(**keys), num_hidden_layers=1), expect="refused", reason=reason)
    yield Golden("llama-refused-dynamic-old",
                 older(llama(num_hidden_layers=1), rope_scaling={"type": "dynamic", "factor": 4.0}),
                 expect="refused", reason="the result of dynamic rope depends on how the text was cut into calls")
    yield Golden("llama-refused-bidirectional", llama(num_hidden_layers=1, is_causal=False),
                 expect="refused", reason="is_causal false: not a model that generates")


def minimal(config):
    keep = ("architectures", "model_type", "vocab_size", "hidden_size", "intermediate_size",
            "num_hidden_layers", "num_attention_heads", "eos_token_id")
    return {k: config[k] for k in keep}


def without(config, *keys):
    return {k: v for k, v in config.items() if k not in keys}


def duplicate_head_differently(state, config):
    state = duplicate_head(state, config)
    state["lm_head.weight"] = state["lm_head.weight"].flip(0).contiguous()
    return state


# ---- mistral, qwen2, qwen3 -----------------------------------------------------------------------

def mistral_goldens():
    yield Golden("mistral-base", mistral(vocab_size=101), saved=True)
    yield Golden("mistral-window", mistral(sliding_window=8), flip={"sliding_window": None})
    yield Golden("mistral-window-two", mistral(sliding_window=2), flip={"sliding_window": 3})
    yield Golden("mistral-window-wide", mistral(sliding_window=290), flip={"sliding_window": 291},
                 note="begins to count near the end of the longest prompt")
    yield Golden("mistral-defaults", without(mistral(num_attention_heads=8, hidden_size=48), "num_key_value_heads",
                                             "sliding_window", "rms_norm_eps", "rope_parameters"),
                 flip={"rms_norm_eps": 0.05}, note="8 key/value heads and a window of 4096 where nothing is said")
    yield Golden("mistral-head-dim", mistral(head_dim=16, sliding_window=8),
                 flip={"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8})
    yield Golden("mistral-layer-types",
                 mistral(sliding_window=8, head_dim=6, layer_types=["full_attention", "sliding_attention"]),
                 flip={"layer_types": REMOVED},
                 note="AutoModel makes this a Ministral, which slides where layer_types says so")
    yield Golden("mistral-yarn-old", older(mistral(sliding_window=32),
                                           rope_scaling={**YARN, "type": "yarn"}), flip={"rope_scaling": None})
    yield Golden("mistral-tied", mistral(tie_word_embeddings=True, sliding_window=8))
    yield Golden("mistral-bf16", mistral(dtype="bfloat16", sliding_window=8), dtype="bfloat16")


def qwen2_goldens():
    slide = dict(use_sliding_window=True, sliding_window=8, num_hidden_layers=3)
    yield Golden("qwen2-base", qwen2(vocab_size=101), saved=True)
    yield Golden("qwen2-window", qwen2(**slide, max_window_layers=1), flip={"use_sliding_window": False})
    yield Golden("qwen2-max-window-layers", qwen2(**slide, max_window_layers=2), flip={"max_window_layers": 1})
    yield Golden("qwen2-max-window-layers-default", qwen2(**slide), flip={"max_window_layers": 0},
                 note="28 where nothing is said: none of these layers slides")
    yield Golden("qwen2-window-off", qwen2(use_sliding_window=False, sliding_window=8, max_window_layers=0),
                 flip={"use_sliding_window": True}, note="sliding_window counts only with use_sliding_window")
    yield Golden("qwen2-window-null", qwen2(use_sliding_window=True, sliding_window=None, max_window_layers=0),
                 flip={"sliding_window": 8})
    yield Golden("qwen2-layer-types",
                 qwen2(**slide, max_window_layers=0,
                       layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
                 flip={"layer_types": ["full_attention", "sliding_attention", "sliding_attention"]})
    yield Golden("qwen2-layer-types-old-name",
                 qwen2(**slide, max_window_layers=0, layer_types=["sliding_attention", "attention", "attention"]),
                 flip={"layer_types": ["sliding_attention", "sliding_attention", "attention"]},
                 note="'attention' is the older name of 'full_attention'")
    yield Golden("qwen2-head-dim", qwen2(head_dim=16),
                 flip={"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8},
                 note="not in Qwen2Config, honoured all the same")
    yield Golden("qwen2-tied-old", older(qwen2(tie_word_embeddings=True, num_key_value_heads=1)),
                 flip={"rope_theta": 500.0})
    yield Golden("qwen2-bf16", qwen2(dtype="bfloat16"), dtype="bfloat16")
    yield Golden("qwen2-refused-window",
                 qwen2(use_sliding_window=False, num_hidden_layers=1, layer_types=["sliding_attention"]),
                 expect="refused", reason="a sliding layer without a window; Transformers fails too")
    yield Golden("qwen2-refused-layer-types",
                 qwen2(num_hidden_layers=1, layer_types=["full_attention", "full_attention"]),
                 expect="refused", reason="more layer types than layers; Transformers fails too")
    yield Golden("qwen2-refused-layer-type",
                 qwen2(num_hidden_layers=1, layer_types=["linear_attention"]),
                 expect="refused", reason="a kind of layer that this family does not have; Transformers fails too")


def qwen3_goldens():
    slide = dict(use_sliding_window=True, sliding_window=8, num_hidden_layers=3)
    yield Golden("qwen3-base", qwen3(vocab_size=101), saved=True)
    yield Golden("qwen3-epsilon", qwen3(rms_norm_eps=0.05), flip={"rms_norm_eps": 1e-6},
                 note="the norms of q and k use it too")
    yield Golden("qwen3-attention-bias", qwen3(attention_bias=True), flip={"attention_bias": False}, gains={"bias": 0.2})
    yield Golden("qwen3-head-dim", qwen3(head_dim=16), flip={"num_attention_heads": 8, "num_key_value_heads": 4,
                                                            "head_dim": 8}, flip_file=halve_qk_norm)
    yield Golden("qwen3-head-dim-default",
                 without(qwen3(hidden_size=24, num_attention_heads=1, num_key_value_heads=1, num_hidden_layers=1),
                         "head_dim"),
                 flip={"rope_parameters": rope(rope_type="default", rope_theta=500.0)},
                 note="128 where nothing is said")
    yield Golden("qwen3-window", qwen3(**slide, max_window_layers=1), flip={"use_sliding_window": False})
    yield Golden("qwen3-layer-types",
                 qwen3(**slide, layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
                 flip={"layer_types": ["full_attention", "sliding_attention", "sliding_attention"]})
    yield Golden("qwen3-tied-old", older(qwen3(tie_word_embeddings=True)), flip={"rope_theta": 500.0})
    yield Golden("qwen3-bf16", qwen3(dtype="bfloat16"), dtype="bfloat16")
    yield Golden("qwen3-f16-sharded", qwen3(dtype="float16"), dtype="float16", saved=True, shard_bytes=9_000)


def halve_qk_norm(state, config):
    n = config["head_dim"]
    return {k: (v[:n].contiguous() if k.endswith(("q_norm.weight", "k_norm.weight")) else v)
            for k, v in state.items()}


# ---- what is missing, unexpected or of another shape ---------------------------------------------

def report_goldens():
    layers = dict(num_hidden_layers=3)
    yield Golden("report-missing", llama(**layers), expect="missing",
                 file=drop("model.layers.0.mlp.up_proj.weight", "model.layers.2.mlp.up_proj.weight",
                           "model.norm.weight"))
    yield Golden("report-missing-head", llama(), expect="missing", file=drop("lm_head.weight"))
    yield Golden("report-missing-gpt2", gpt2(), expect="missing",
                 file=drop("transformer.h.1.ln_2.bias", "transformer.h.1.attn.c_attn.weight"))
    yield Golden("report-unexpected", llama(**layers), file=extra_tensors(
        {"model.layers.0.self_attn.extra.weight": (3, 5), "model.layers.1.self_attn.extra.weight": (3, 5),
         "model.layers.2.self_attn.q_proj.lora_A.weight": (2, 24), "vision.blocks.0.mlp.4.weight": (2,),
         "vision.blocks.1.mlp.7.weight": (2,), "score.weight": (1, 24)}))
    yield Golden("report-unexpected-layer", llama(num_hidden_layers=2), file=extra_layer,
                 note="a third layer in the file of a model of two")
    yield Golden("report-mismatch", llama(**layers), expect="mismatch",
                 file=reshape({"model.layers.1.mlp.down_proj.weight": (24, 35),
                               "model.embed_tokens.weight": (49, 24)}))
    yield Golden("report-mismatch-transposed", gpt2(), expect="mismatch",
                 file=reshape({"transformer.h.0.mlp.c_fc.weight": (96, 24)}),
                 note="an ordinary linear layer where GPT-2 has the transposed one")
    yield Golden("report-all", llama(**layers), expect="mismatch",
                 file=drop("model.layers.0.input_layernorm.weight", "model.layers.1.input_layernorm.weight",
                           then=reshape({"model.layers.2.self_attn.k_proj.weight": (12, 25)},
                                        then=extra_tensors({"model.layers.11.odd": (1,)}))),
                 note="all three at once")


def extra_layer(state, config):
    more = {k.replace("layers.1.", "layers.2."): v.clone() for k, v in state.items() if "layers.1." in k}
    return {**state, **more}


def all_goldens():
    goldens = [*gpt2_goldens(), *llama_goldens(), *mistral_goldens(), *qwen2_goldens(), *qwen3_goldens(),
               *report_goldens()]
    assert len({g.name for g in goldens}) == len(goldens)
    return goldens
