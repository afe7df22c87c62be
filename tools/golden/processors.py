# SPDX-License-Identifier: Apache-2.0
"""Records what Transformers' own logits processors make of a few rows of logits, for every
combination of their settings, in the order in which generate() applies them.

One row has many equal scores. Which of them fall out at the edge of top-p is up to torch.sort, and
differs from processor to processor; here it is made stable, so that those of lower index fall out
first.

tests/golden/processors/expected.safetensors:
    logits    F32 [rows, vocabulary]
    scores    F32 [combinations, rows, vocabulary]; -inf where a token is filtered
expected.json: the grid (combination i is grid[i]) and the tokens that came before each row.
"""

import itertools
import json
from pathlib import Path

import numpy
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig
from transformers.generation import LogitsProcessorList

VOCABULARY = 199
GRID = {
    "repetition_penalty": [1.0, 1.3],
    "temperature": [1.0, 0.7, 1.5],
    "top_k": [0, 1, 5, 50],
    "top_p": [1.0, 0.9, 0.3],
    "min_p": [None, 0.05, 0.3],
}


def make_rows():
    """Logits and previous tokens: an ordinary row, one with ties, a sharp and a flat one."""
    random = numpy.random.RandomState(7)
    normal = random.standard_normal((4, VOCABULARY)).astype(numpy.float32)
    rows = numpy.stack([3 * normal[0], numpy.round(2 * normal[1]), 9 * normal[2], 0.4 * normal[3]])
    previous = [[int(t) for t in random.randint(0, VOCABULARY, n)] for n in (1, 12, 40, 300)]
    # The likeliest tokens are among the previous ones, or the penalty would hardly show.
    for row, tokens in zip(rows, previous):
        tokens[0] = int(row.argmax())
    return torch.from_numpy(rows), previous


def processors_of(model, settings):
    """Those that generate() itself would build, in its order."""
    given = {k: v for k, v in settings.items() if v is not None}
    config = GenerationConfig(do_sample=True, **given)
    config, _ = model._prepare_generation_config(config)
    return model._get_logits_processor(
        generation_config=config,
        input_ids_seq_length=1,
        encoder_input_ids=None,
        prefix_allowed_tokens_fn=None,
        logits_processor=LogitsProcessorList(),
        device="cpu",
        model_kwargs={},
    )


class StableSort:
    """torch.sort, stable while this lasts."""

    def __enter__(self):
        self.sort = torch.sort
        torch.sort = lambda *args, **keys: self.sort(*args, **{**keys, "stable": True})

    def __exit__(self, *exception):
        torch.sort = self.sort


def record(folder):
    with StableSort():
        record_grid(folder)


def record_grid(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = AutoModelForCausalLM.from_config(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=4,
            intermediate_size=4,
            num_hidden_layers=1,
            num_attention_heads=1,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    rows, previous = make_rows()
    grid = [dict(zip(GRID, values)) for values in itertools.product(*GRID.values())]
    scores = torch.empty(len(grid), len(rows), VOCABULARY)
    order = []
    for i, settings in enumerate(grid):
        processors = processors_of(model, settings)
        order = max(order, [type(p).__name__ for p in processors], key=len)
        for j, row in enumerate(rows):
            scores[i, j] = processors(torch.tensor([previous[j]]), row[None].clone())[0]
    save_file({"logits": rows, "scores": scores}, folder / "expected.safetensors")
    lines = ",\n    ".join(json.dumps(settings) for settings in grid)
    (folder / "expected.json").write_text(
        "{\n"
        f'  "transformers": "{transformers.__version__}",\n'
        f'  "order": {json.dumps(order)},\n'
        f'  "previous": {json.dumps(previous)},\n'
        f'  "grid": [\n    {lines}\n  ]\n'
        "}\n",
        encoding="utf-8",
    )
