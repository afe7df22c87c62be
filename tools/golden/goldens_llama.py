# SPDX-License-Identifier: Apache-2.0
"""The goldens of llama, and of every kind of rope."""

from checkpoint import base_model_file, duplicate_head, head_only, old_llama_file, without_head
from golden import ACTIVATIONS, REMOVED, YARN, Golden, llama, older, rope, without

LLAMA3 = dict(
    rope_type="llama3",
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=64,
)
PLAIN = {"rope_parameters": rope(rope_type="default")}


plain_llama = llama


def llama_goldens():
    yield Golden(
        "llama-base",
        llama(
            vocab_size=101,
            hidden_size=64,
            num_attention_heads=8,
            num_key_value_heads=2,
            intermediate_size=88,
        ),
        saved=True,
    )
    yield Golden(
        "llama-defaults",
        minimal(llama()),
        flip={"rms_norm_eps": 0.05},
        note="every key that has a default is left out",
    )
    yield Golden(
        "llama-mha", llama(num_key_value_heads=None), note="as many key/value heads as heads"
    )
    yield Golden("llama-mqa", llama(num_key_value_heads=1))
    yield Golden(
        "llama-gqa",
        llama(hidden_size=48, num_attention_heads=6, num_key_value_heads=2, head_dim=8),
        flip={"num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 4},
    )
    yield from llama_rope_goldens()
    yield Golden(
        "llama-attention-bias",
        llama(attention_bias=True),
        flip={"attention_bias": False},
        gains={"bias": 0.2},
    )
    yield Golden(
        "llama-mlp-bias", llama(mlp_bias=True), flip={"mlp_bias": False}, gains={"bias": 0.2}
    )
    yield Golden(
        "llama-head-dim",
        llama(head_dim=16, num_key_value_heads=2),
        flip={"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8},
        note="4 heads of 16 in a model of 24",
    )
    yield Golden("llama-tied", llama(tie_word_embeddings=True))
    yield Golden("llama-tied-head-equal", llama(tie_word_embeddings=True), file=duplicate_head)
    yield Golden(
        "llama-tied-head-differs",
        llama(tie_word_embeddings=True),
        file=duplicate_head_differently,
        flip={"tie_word_embeddings": True},
        flip_file=without_head,
        note="tied, but another lm_head.weight is stored: Transformers keeps both",
    )
    yield Golden(
        "llama-tied-head-only",
        llama(tie_word_embeddings=True),
        file=head_only,
        note="tied, and only lm_head.weight is stored: it becomes the embedding too",
    )
    yield Golden("llama-epsilon", llama(rms_norm_eps=0.05), flip={"rms_norm_eps": 1e-6})
    for name in ("gelu", "gelu_pytorch_tanh", "relu", "relu2"):
        other, shape = ACTIVATIONS[name]
        yield Golden(
            f"llama-act-{name.replace('_', '-')}",
            llama(hidden_act=name, mlp_bias=True),
            flip={"hidden_act": other},
            gains={"mlp": shape},
        )
    yield Golden(
        "llama-base-model-file",
        llama(tie_word_embeddings=True),
        file=base_model_file,
        note="as LlamaModel.save_pretrained writes it: no 'model.', no lm_head",
    )
    yield Golden(
        "llama-old-file",
        older(llama()),
        file=old_llama_file,
        note="with the rotary_emb.inv_freq buffers of old checkpoints",
    )
    yield Golden("llama-sharded", llama(num_hidden_layers=3), saved=True, shard_bytes=20_000)
    yield Golden("llama-f16", llama(dtype="float16"), dtype="float16")
    yield Golden("llama-bf16", llama(dtype="bfloat16"), dtype="bfloat16")
    yield Golden(
        "llama-mixed",
        llama(dtype="bfloat16"),
        dtype="bfloat16",
        mixed=True,
        note="matrices in bfloat16, norms in float32",
    )
    yield Golden(
        "llama-no-dtype",
        without(llama(), "dtype"),
        dtype="bfloat16",
        note="no dtype in config.json: auto is what is stored",
    )
    yield Golden(
        "llama-eos-list",
        llama(),
        eos="generation",
        note="a list of eos ids in generation_config.json, and another one in config.json",
    )
    yield Golden(
        "llama-generation-penalty",
        llama(),
        generation={"repetition_penalty": 1.3, "max_new_tokens": 24, "eos_token_id": None},
    )
    yield Golden(
        "llama-generation-length",
        llama(),
        generation={"max_length": 29, "eos_token_id": None, "bos_token_id": 0},
    )


def llama_rope_goldens():
    def llama(**keys):  # with more frequencies
        return plain_llama(num_attention_heads=2, num_key_value_heads=1, **keys)

    yield Golden(
        "llama-theta",
        llama(rope_parameters=rope(rope_type="default", rope_theta=500.0)),
        flip=PLAIN,
    )
    yield Golden("llama-theta-old", older(llama(), rope_theta=500.0), flip={"rope_theta": 10000.0})
    yield Golden(
        "llama-theta-beside",
        llama(rope_parameters={"rope_type": "default"}, rope_theta=500.0),
        flip={"rope_theta": 10000.0},
        note="rope_theta beside rope_parameters",
    )
    yield Golden(
        "llama-theta-both",
        llama(rope_parameters=rope(rope_type="default", rope_theta=500.0), rope_theta=77.0),
        flip=PLAIN,
        note="rope_theta in both places: rope_parameters wins",
    )
    linear = llama(rope_parameters=rope(rope_type="linear", factor=4.0))
    yield Golden("llama-linear", linear, flip=PLAIN)
    yield Golden(
        "llama-linear-old",
        older(linear, rope_scaling={"type": "linear", "factor": 4.0}),
        flip={"rope_scaling": None},
    )
    yield Golden(
        "llama-scaling-wins",
        dict(older(linear), rope_parameters=rope(rope_type="default")),
        flip={"rope_scaling": None},
        note="rope_scaling and rope_parameters: rope_scaling wins",
    )
    llama3 = llama(rope_parameters=rope(**LLAMA3))
    yield Golden("llama-llama3", llama3, flip=PLAIN)
    yield Golden("llama-llama3-old", older(llama3), flip={"rope_scaling": None})
    yield Golden(
        "llama-llama3-frequencies",
        llama(rope_parameters=rope(**{**LLAMA3, "low_freq_factor": 2.0, "high_freq_factor": 16.0})),
        flip={"rope_parameters": rope(**LLAMA3)},
    )
    yield Golden("llama-yarn", llama(rope_parameters=rope(**YARN)), flip=PLAIN)
    yield Golden(
        "llama-yarn-old",
        older(llama(), rope_scaling={**YARN, "type": "yarn"}),
        flip={"rope_scaling": None},
        note="both 'type' and 'rope_type'",
    )
    yield Golden(
        "llama-yarn-old-original",
        older(
            llama(),
            rope_scaling={"type": "yarn", "factor": 4.0},
            original_max_position_embeddings=64,
        ),
        flip={"original_max_position_embeddings": REMOVED},
        note="original_max_position_embeddings beside rope_scaling",
    )
    variants = {
        "attention-factor": {"attention_factor": 0.7},
        "betas": {"beta_fast": 2.0, "beta_slow": 0.1},
        "mscale": {"mscale": 0.707, "mscale_all_dim": 1.9},
        "no-truncate": {"truncate": False},
        "factor-null": {"factor": None},
    }
    for name, keys in variants.items():
        yield Golden(
            f"llama-yarn-{name}",
            llama(rope_parameters=rope(**{**YARN, **keys})),
            flip={"rope_parameters": rope(**YARN)},
        )
    yield Golden(
        "llama-yarn-mscale-alone",
        llama(rope_parameters=rope(**YARN, mscale=0.707)),
        ignored={"rope_parameters": rope(**YARN)},
        note="mscale counts together with mscale_all_dim only",
    )
    yield Golden(
        "llama-partial-ignored",
        llama(partial_rotary_factor=0.5),
        ignored={"partial_rotary_factor": REMOVED},
        note="the default rope of these families rotates the whole head all the same",
    )
    yield Golden(
        "llama-proportional",
        llama(
            rope_parameters=rope(rope_type="proportional", partial_rotary_factor=0.4, factor=2.0)
        ),
        flip=PLAIN,
        note="the first 0.4 of the frequencies, the others do not turn",
    )
    cut = "its result depends on how the text was cut into calls"
    for name, error, mentions, keys, reason in (
        ("dynamic", "UNSUP", "dynamic", dict(rope_type="dynamic", factor=4.0), cut),
        (
            "longrope",
            "UNSUP",
            "longrope",
            dict(
                rope_type="longrope",
                factor=4.0,
                short_factor=[1.0] * 6,
                long_factor=[2.0] * 6,
                original_max_position_embeddings=64,
            ),
            cut,
        ),
        (
            "unknown",
            "FORMAT",
            "spiral",
            dict(rope_type="spiral", factor=4.0),
            "Transformers knows no such rope_type",
        ),
        (
            "partial-linear",
            "UNSUP",
            "partial_rotary_factor",
            dict(rope_type="linear", factor=2.0, partial_rotary_factor=0.5),
            "Transformers fails: it rotates the whole head with the frequencies of a half",
        ),
    ):
        yield Golden(
            f"llama-refused-{name}",
            llama(rope_parameters=rope(**keys), num_hidden_layers=1),
            expect="refused",
            reason=reason,
            error=error,
            mentions=mentions,
        )
    yield Golden(
        "llama-refused-dynamic-old",
        older(llama(num_hidden_layers=1), rope_scaling={"type": "dynamic", "factor": 4.0}),
        expect="refused",
        reason=cut,
        error="UNSUP",
        mentions="dynamic",
    )
    yield Golden(
        "llama-refused-bidirectional",
        llama(num_hidden_layers=1, is_causal=False),
        expect="refused",
        reason="not a model that generates",
        error="UNSUP",
        mentions="is_causal",
    )


def minimal(config):
    keep = (
        "architectures",
        "model_type",
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "eos_token_id",
    )
    return {k: config[k] for k in keep}


def duplicate_head_differently(state, config):
    state = duplicate_head(state, config)
    state["lm_head.weight"] = state["lm_head.weight"].flip(0).contiguous()
    return state
