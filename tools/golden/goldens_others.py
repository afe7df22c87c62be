# SPDX-License-Identifier: Apache-2.0
"""The goldens of mistral, qwen2 and qwen3."""

from golden import REMOVED, YARN, Golden, mistral, older, qwen2, qwen3, rope, without


def mistral_goldens():
    yield Golden("mistral-base", mistral(vocab_size=101), saved=True)
    yield Golden("mistral-window", mistral(sliding_window=8), flip={"sliding_window": None})
    yield Golden("mistral-window-two", mistral(sliding_window=2), flip={"sliding_window": 3})
    yield Golden(
        "mistral-window-wide",
        mistral(sliding_window=290),
        flip={"sliding_window": 291},
        note="begins to count near the end of the longest prompt",
    )
    yield Golden(
        "mistral-defaults",
        without(
            mistral(num_attention_heads=8, hidden_size=48),
            "num_key_value_heads",
            "sliding_window",
            "rms_norm_eps",
            "rope_parameters",
        ),
        flip={"rms_norm_eps": 0.05},
        note="8 key/value heads and a window of 4096 where nothing is said",
    )
    yield Golden(
        "mistral-head-dim",
        mistral(head_dim=16, sliding_window=8),
        flip={"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8},
    )
    yield Golden(
        "mistral-layer-types",
        mistral(sliding_window=8, head_dim=6, layer_types=["full_attention", "sliding_attention"]),
        flip={"layer_types": REMOVED},
        note="AutoModel makes this a Ministral, which slides where layer_types says so",
    )
    yield Golden(
        "mistral-yarn-old",
        older(mistral(sliding_window=32), rope_scaling={**YARN, "type": "yarn"}),
        flip={"rope_scaling": None},
    )
    yield Golden("mistral-tied", mistral(tie_word_embeddings=True, sliding_window=8))
    yield Golden("mistral-bf16", mistral(dtype="bfloat16", sliding_window=8), dtype="bfloat16")


def qwen2_goldens():
    slide = dict(use_sliding_window=True, sliding_window=8, num_hidden_layers=3)
    yield Golden("qwen2-base", qwen2(vocab_size=101), saved=True)
    yield Golden(
        "qwen2-window", qwen2(**slide, max_window_layers=1), flip={"use_sliding_window": False}
    )
    yield Golden(
        "qwen2-max-window-layers",
        qwen2(**slide, max_window_layers=2),
        flip={"max_window_layers": 1},
    )
    yield Golden(
        "qwen2-max-window-layers-default",
        qwen2(**slide),
        flip={"max_window_layers": 0},
        note="28 where nothing is said: none of these layers slides",
    )
    yield Golden(
        "qwen2-window-off",
        qwen2(use_sliding_window=False, sliding_window=8, max_window_layers=0),
        flip={"use_sliding_window": True},
        note="sliding_window counts only with use_sliding_window",
    )
    yield Golden(
        "qwen2-window-null",
        qwen2(use_sliding_window=True, sliding_window=None, max_window_layers=0),
        flip={"sliding_window": 8},
    )
    yield Golden(
        "qwen2-layer-types",
        qwen2(
            **slide,
            max_window_layers=0,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
        flip={"layer_types": ["full_attention", "sliding_attention", "sliding_attention"]},
    )
    yield Golden(
        "qwen2-layer-types-old-name",
        qwen2(
            **slide,
            max_window_layers=0,
            layer_types=["sliding_attention", "attention", "attention"],
        ),
        flip={"layer_types": ["sliding_attention", "sliding_attention", "attention"]},
        note="'attention' is the older name of 'full_attention'",
    )
    yield Golden(
        "qwen2-head-dim",
        qwen2(head_dim=16),
        flip={"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8},
        note="not in Qwen2Config, honoured all the same",
    )
    yield Golden(
        "qwen2-tied-old",
        older(qwen2(tie_word_embeddings=True, num_key_value_heads=1)),
        flip={"rope_theta": 500.0},
    )
    yield Golden("qwen2-bf16", qwen2(dtype="bfloat16"), dtype="bfloat16")
    yield Golden(
        "qwen2-refused-window",
        qwen2(use_sliding_window=False, num_hidden_layers=1, layer_types=["sliding_attention"]),
        expect="refused",
        reason="a sliding layer without a window; Transformers fails too",
        error="MISMATCH",
        mentions="layer_types[0]",
    )
    yield Golden(
        "qwen2-refused-layer-types",
        qwen2(num_hidden_layers=1, layer_types=["full_attention", "full_attention"]),
        expect="refused",
        reason="more layer types than layers; Transformers fails too",
        error="MISMATCH",
        mentions="layer_types",
    )
    yield Golden(
        "qwen2-refused-layer-type",
        qwen2(num_hidden_layers=1, layer_types=["linear_attention"]),
        expect="refused",
        reason="a kind of layer that this family does not have; Transformers fails too",
        error="UNSUP",
        mentions="linear_attention",
    )


def qwen3_goldens():
    slide = dict(use_sliding_window=True, sliding_window=8, num_hidden_layers=3)
    yield Golden("qwen3-base", qwen3(vocab_size=101), saved=True)
    yield Golden(
        "qwen3-epsilon",
        qwen3(rms_norm_eps=0.05),
        flip={"rms_norm_eps": 1e-6},
        note="the norms of q and k use it too",
    )
    yield Golden(
        "qwen3-attention-bias",
        qwen3(attention_bias=True),
        flip={"attention_bias": False},
        gains={"bias": 0.2},
    )
    yield Golden(
        "qwen3-head-dim",
        qwen3(head_dim=16),
        flip={"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8},
        flip_file=halve_qk_norm,
    )
    yield Golden(
        "qwen3-head-dim-default",
        without(
            qwen3(
                hidden_size=24, num_attention_heads=1, num_key_value_heads=1, num_hidden_layers=1
            ),
            "head_dim",
        ),
        flip={"rope_parameters": rope(rope_type="default", rope_theta=500.0)},
        note="128 where nothing is said",
    )
    yield Golden(
        "qwen3-window", qwen3(**slide, max_window_layers=1), flip={"use_sliding_window": False}
    )
    yield Golden(
        "qwen3-layer-types",
        qwen3(**slide, layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
        flip={"layer_types": ["full_attention", "sliding_attention", "sliding_attention"]},
    )
    yield Golden(
        "qwen3-tied-old", older(qwen3(tie_word_embeddings=True)), flip={"rope_theta": 500.0}
    )
    yield Golden("qwen3-bf16", qwen3(dtype="bfloat16"), dtype="bfloat16")
    yield Golden(
        "qwen3-f16-sharded", qwen3(dtype="float16"), dtype="float16", saved=True, shard_bytes=9_000
    )


def halve_qk_norm(state, config):
    n = config["head_dim"]
    return {
        k: (v[:n].contiguous() if k.endswith(("q_norm.weight", "k_norm.weight")) else v)
        for k, v in state.items()
    }
