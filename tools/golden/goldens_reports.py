# SPDX-License-Identifier: Apache-2.0
"""Goldens of what is missing, unexpected or of another shape."""

from checkpoint import drop, extra_tensors, reshape
from golden import Golden, gpt2, llama


def report_goldens():
    layers = dict(num_hidden_layers=3)
    yield Golden(
        "report-missing",
        llama(**layers),
        expect="missing",
        file=drop(
            "model.layers.0.mlp.up_proj.weight",
            "model.layers.2.mlp.up_proj.weight",
            "model.norm.weight",
        ),
    )
    many = dict(num_hidden_layers=13, hidden_size=8, intermediate_size=8)
    yield Golden(
        "report-missing-many",
        llama(**many),
        expect="missing",
        file=drop(
            *[f"model.layers.{i}.mlp.up_proj.weight" for i in range(12)],
            *[f"model.layers.{i}.mlp.down_proj.weight" for i in range(2, 12)],
            *[f"model.layers.{i}.self_attn.q_proj.weight" for i in (9, 10, 11)],
        ),
        note="more than ten indices are shown as first...last",
    )
    yield Golden("report-missing-head", llama(), expect="missing", file=drop("lm_head.weight"))
    yield Golden(
        "report-missing-gpt2",
        gpt2(),
        expect="missing",
        file=drop("transformer.h.1.ln_2.bias", "transformer.h.1.attn.c_attn.weight"),
    )
    yield Golden(
        "report-unexpected",
        llama(**layers),
        file=extra_tensors(
            {
                "model.layers.0.self_attn.extra.weight": (3, 5),
                "model.layers.1.self_attn.extra.weight": (3, 5),
                "model.layers.2.self_attn.q_proj.lora_A.weight": (2, 24),
                "vision.blocks.0.mlp.4.weight": (2,),
                "vision.blocks.1.mlp.7.weight": (2,),
                "score.weight": (1, 24),
            }
        ),
    )
    yield Golden(
        "report-unexpected-layer",
        llama(num_hidden_layers=2),
        file=extra_layer,
        note="a third layer in the file of a model of two",
    )
    yield Golden(
        "report-mismatch",
        llama(**layers),
        expect="mismatch",
        file=reshape(
            {"model.layers.1.mlp.down_proj.weight": (24, 35), "model.embed_tokens.weight": (49, 24)}
        ),
    )
    yield Golden(
        "report-mismatch-transposed",
        gpt2(),
        expect="mismatch",
        file=reshape({"transformer.h.0.mlp.c_fc.weight": (96, 24)}),
        note="an ordinary linear layer where GPT-2 has the transposed one",
    )
    yield Golden(
        "report-all",
        llama(**layers),
        expect="mismatch",
        file=drop(
            "model.layers.0.input_layernorm.weight",
            "model.layers.1.input_layernorm.weight",
            then=reshape(
                {"model.layers.2.self_attn.k_proj.weight": (12, 25)},
                then=extra_tensors({"model.layers.11.odd": (1,)}),
            ),
        ),
        note="all three at once",
    )


def extra_layer(state, config):
    more = {
        k.replace("layers.1.", "layers.2."): v.clone() for k, v in state.items() if "layers.1." in k
    }
    return {**state, **more}
