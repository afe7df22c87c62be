# SPDX-License-Identifier: Apache-2.0
"""Records what Transformers gives for a whole model with its tokenizer: text to ids, logits, greedy
ids, text.

The folder that it writes holds expected.json (texts, their prompts, greedy tokens and the text
these make) and expected.safetensors (logits of every position), in float32 on the weights as they
are stored.
"""

from pathlib import Path

import transformers
from safetensors.torch import save_file
from transformers import AutoTokenizer

from oracle import TOLERANCE, greedy, load, logits_of, write_json_compact


def record_real(model_folder, out, texts, logits_up_to):
    """`texts`: {name: text}.  Logits are kept for prompts of up to `logits_up_to` tokens."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = load(model_folder).eval()
    prompts = {name: tokenizer(text)["input_ids"] for name, text in texts.items()}
    logits = logits_of(model, {n: p for n, p in prompts.items() if len(p) <= logits_up_to})
    tokens, margins = {}, {}
    for name, prompt in prompts.items():
        tokens[name], margins[name] = greedy(model, prompt)
    write_json_compact(
        Path(out),
        {
            "transformers": transformers.__version__,
            "tolerance": TOLERANCE,
            "names": list(texts),
            "texts": texts,
            "prompts": prompts,
            "greedy": tokens,
            "greedy_margin": margins,
            "continuations": {
                n: tokenizer.decode(t, skip_special_tokens=True) for n, t in tokens.items()
            },
            "max_abs_logit": {n: v.abs().max().item() for n, v in logits.items()},
        },
    )
    path = Path(out) / "expected.safetensors"
    save_file({f"logits_{n}": v.contiguous() for n, v in logits.items()}, path)
    path.chmod(0o644)
