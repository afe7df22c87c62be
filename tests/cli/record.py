# SPDX-License-Identifier: Apache-2.0
"""Records what Hugging Face's own software says, for the tests of the program: texts that Transformers generates,
ids that its tokenizer gives, where huggingface_hub puts its cache.

usage: record.py > tests/cli/expected.json   (with transformers 5.23; the model is the repository's own)
"""
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "shakespeare-1.7m"

PROMPTS = [
    ("ROMEO:", {"max_length": 20}),
    ("The future of AI is", {"max_length": 20}),
    ("The future of AI is", {}),
    ("First Citizen:\nBefore we proceed", {"max_new_tokens": 48}),
    ("O Romeo, Romeo! wherefore art thou ", {"max_new_tokens": 32, "repetition_penalty": 1.3}),
    ("caf\u00e9 \U0001f600 na\u00efve", {"max_new_tokens": 16}),
]

# environment, without HOME; HOME is /home/ann in all of them
CACHES = [
    {},
    {"HF_HUB_CACHE": "/c/hub"},
    {"HUGGINGFACE_HUB_CACHE": "/old/hub"},
    {"HUGGINGFACE_HUB_CACHE": "~/old", "HF_HOME": "/hf"},
    {"HF_HOME": "/hf"},
    {"HF_HOME": "/hf/"},
    {"HF_HOME": "~/hf"},
    {"HF_HOME": "~"},
    {"HF_HOME": "$BASE/hf", "BASE": "/b"},
    {"HF_HOME": "${BASE}x/$NOT_SET/hf$", "BASE": "/b"},
    {"HF_HOME": "${BASE/hf", "BASE": "/b"},
    {"HF_HOME": ""},
    {"XDG_CACHE_HOME": "/xdg"},
    {"XDG_CACHE_HOME": "~/xdg/"},
    {"XDG_CACHE_HOME": "/xdg", "HF_HOME": "/hf"},
    {"HF_HUB_CACHE": "~/c", "HF_HOME": "/hf", "XDG_CACHE_HOME": "/xdg"},
    {"HF_HUB_CACHE": "~nobody-at-all/c"},
    {"HF_HUB_CACHE": "~root/c"},
    {"HF_HUB_CACHE": "rel/ative"},
]


def record_texts():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32, attn_implementation="eager")
    for prompt, options in PROMPTS:
        inputs = tokenizer(prompt, return_tensors="pt")
        given = inputs["input_ids"].shape[1]
        ids = model.generate(**inputs, do_sample=False, **options)[0].tolist()
        yield {"prompt": prompt, "options": options, "prompt_tokens": ids[:given], "tokens": ids[given:],
               "text": tokenizer.decode(ids, skip_special_tokens=True),
               "new_text": tokenizer.decode(ids[given:], skip_special_tokens=True)}


def record_logits():
    """The largest logit of each position, and three sums that any wrong row would move."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32, attn_implementation="eager")
    ids = [258, 274, 79, 12, 896, 199, 0, 2047]
    rows = model(torch.tensor([ids])).logits[0].double()
    return {"ids": ids, "shape": list(rows.shape), "argmax": rows.argmax(-1).tolist(),
            "max": rows.max(-1).values.tolist(), "sum": rows.sum(-1).tolist(), "squares": (rows**2).sum(-1).tolist()}


def record_tokens():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    for text in ["hello, world\n", "", "caf\u00e9", "<|endoftext|>To be", "a\u0000b", "\u00a0\u2003x  y", "\U0001f600"]:
        ids = tokenizer(text)["input_ids"]
        yield {"text": text, "ids": ids, "plain": tokenizer(text, add_special_tokens=False)["input_ids"],
               "tokens": tokenizer.convert_ids_to_tokens(ids),
               "decoded": tokenizer.decode(ids, skip_special_tokens=False),
               "skipped": tokenizer.decode(ids, skip_special_tokens=True)}


def record_caches():
    code = "import huggingface_hub.constants as c; print(c.HF_HUB_CACHE)"
    for env in CACHES:
        whole = {"HOME": "/home/ann", "PATH": os.environ["PATH"], **env}
        path = subprocess.run([sys.executable, "-c", code], env=whole, capture_output=True, text=True, check=True)
        yield {"env": env, "cache": path.stdout.rstrip("\n")}


def main():
    json.dump({"texts": list(record_texts()), "logits": record_logits(), "tokens": list(record_tokens()),
               "caches": list(record_caches())}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
