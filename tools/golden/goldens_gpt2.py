# SPDX-License-Identifier: Apache-2.0
"""The goldens of gpt2."""

from checkpoint import base_model_file, duplicate_head, old_gpt2_file, without_head
from golden import ACTIVATIONS, Golden, gpt2


def gpt2_goldens():
    yield Golden("gpt2-base", gpt2(vocab_size=101, n_embd=48), saved=True)
    yield Golden(
        "gpt2-scale-off",
        gpt2(scale_attn_weights=False),
        flip={"scale_attn_weights": True},
        gains={"attn": 0.6},
    )
    yield Golden(
        "gpt2-scale-by-layer",
        gpt2(scale_attn_by_inverse_layer_idx=True, n_layer=3),
        flip={"scale_attn_by_inverse_layer_idx": False},
    )
    yield Golden(
        "gpt2-scale-by-layer-alone",
        gpt2(scale_attn_by_inverse_layer_idx=True, scale_attn_weights=False, n_layer=3),
        flip={"scale_attn_weights": True},
        gains={"attn": 0.6},
    )
    yield Golden(
        "gpt2-reorder-upcast",
        gpt2(reorder_and_upcast_attn=True),
        ignored={"reorder_and_upcast_attn": False},
        note="the same sum in float32; it matters in half precision only",
    )
    yield Golden(
        "gpt2-inner",
        gpt2(n_inner=40),
        flip={"n_inner": 39},
        flip_file=reshape_inner,
        note="flipped: the last unit of each MLP is cut off",
    )
    yield Golden("gpt2-epsilon", gpt2(layer_norm_epsilon=0.05), flip={"layer_norm_epsilon": 1e-5})
    yield Golden(
        "gpt2-untied",
        gpt2(tie_word_embeddings=False),
        flip={"tie_word_embeddings": True},
        flip_file=without_head,
    )
    yield Golden(
        "gpt2-head-stored",
        gpt2(),
        file=duplicate_head,
        note="tied, and lm_head.weight stored as an equal copy all the same",
    )
    yield Golden(
        "gpt2-generic-names",
        generic_names(gpt2()),
        flip={"num_attention_heads": 8},
        note="hidden_size for n_embd and so on, as Transformers allows",
    )
    yield Golden(
        "gpt2-old-file",
        gpt2(n_ctx=340),
        file=old_gpt2_file,
        note="no 'transformer.', attn.bias and attn.masked_bias buffers",
    )
    yield Golden("gpt2-base-model-file", gpt2(), file=base_model_file)
    yield Golden("gpt2-sharded", gpt2(n_layer=3), saved=True, shard_bytes=40_000)
    yield Golden("gpt2-f16", gpt2(torch_dtype="float16"), dtype="float16")
    yield Golden("gpt2-bf16", gpt2(torch_dtype="bfloat16"), dtype="bfloat16")
    yield Golden("gpt2-eos", gpt2(), eos="config", note="eos_token_id in config.json only")
    for name, (other, shape) in ACTIVATIONS.items():
        yield Golden(
            f"gpt2-act-{name.replace('_', '-')}",
            gpt2(activation_function=name, n_head=2, n_inner=40),
            flip={"activation_function": other},
            gains={"mlp": shape},
        )
    for name in ("prelu", "xielu"):
        yield Golden(
            f"gpt2-act-{name}",
            gpt2(activation_function=name, n_layer=1),
            expect="refused",
            reason=f"activation {name} has parameters of its own",
            error="UNSUP",
            mentions=name,
        )


def generic_names(config):
    names = {
        "n_embd": "hidden_size",
        "n_positions": "max_position_embeddings",
        "n_head": "num_attention_heads",
        "n_layer": "num_hidden_layers",
    }
    return {names.get(k, k): v for k, v in config.items()}


def reshape_inner(state, config):
    """Cuts each MLP of a GPT-2 down to config["n_inner"] units."""
    n = config["n_inner"]
    cut = {
        "mlp.c_fc.weight": lambda t: t[:, :n],
        "mlp.c_fc.bias": lambda t: t[:n],
        "mlp.c_proj.weight": lambda t: t[:n],
    }
    return {
        k: next((f(v) for tail, f in cut.items() if k.endswith(tail)), v).contiguous()
        for k, v in state.items()
    }
