#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the small language model that the repository carries.

    python3 tools/train/train.py TEXT OUT [--steps N] [--seed N]

TEXT is one plain text file (tinyshakespeare).  Its last tenth is held out: neither the
tokenizer nor the weights see it, and no choice is made by it.  Of the other nine tenths the
last twentieth (the "dev" part) picks the best step.  OUT becomes an ordinary checkpoint
folder: config.json, generation_config.json, model.safetensors (bfloat16), tokenizer.json,
tokenizer_config.json and README.md with the figures measured.

Needs torch, transformers and tokenizers.  Two cores, about a quarter of an hour.
"""

import argparse
import math
import os
import random
import time
from pathlib import Path

import tokenizers
import torch
import torch.nn.functional as F
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"
VOCABULARY = 2048
CONTEXT = 512
MAX_BYTES = 4_000_000
MAX_NATS_PER_CHARACTER = 1.75


def split_text(text):
    """The three parts of the text: (train, dev, held out)."""
    held_out = len(text) * 9 // 10
    dev = held_out * 19 // 20
    return text[:dev], text[dev:held_out], text[held_out:]


def train_tokenizer(text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # Line by line: a word never spans two of them, and the trainer counts words only.
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    return tokenizer


def make_model(end_of_text):
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=416,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config)


def add_dropout(model, p):
    """Dropout on what each block adds to the residual stream.

    Llama has none of its own.  Hooks leave no trace in what is saved, and do nothing in eval
    mode.
    """

    def hook(module, inputs, output):
        return F.dropout(output, p, module.training)

    for layer in model.model.layers:
        layer.self_attn.o_proj.register_forward_hook(hook)
        layer.mlp.down_proj.register_forward_hook(hook)
    model.model.embed_tokens.register_forward_hook(hook)


class Windows:
    """Random training windows, each with a tokenization of its own.

    The text is encoded anew from time to time with BPE dropout: merges are left out at random,
    so that the model sees the same words in other pieces.  It is the best cure for a text as
    short as this one.  Every other window begins where a speaker begins, behind the
    end-of-text token, so that an empty prompt means something to the model.
    """

    def __init__(self, tokenizer, text, end_of_text, seed):
        self.tokenizer, self.text, self.end_of_text = tokenizer, text, end_of_text
        self.random = random.Random(seed)
        self.encodings = []

    def encode(self, dropout):
        self.tokenizer.model.dropout = dropout
        encoding = self.tokenizer.encode(self.text)
        self.tokenizer.model.dropout = None
        ids = torch.tensor(encoding.ids)
        starts = [
            i + 1
            for i, (_, end) in enumerate(encoding.offsets)
            if self.text[max(0, end - 2) : end] == "\n\n"
        ]
        return ids, [s for s in starts if s + CONTEXT < len(ids)]

    def refresh(self, dropout):
        self.encodings = [self.encode(dropout)]

    def batch(self, size):
        ids, starts = self.encodings[0]
        rows = []
        for i in range(size):
            if i % 2:
                at = self.random.choice(starts)
                rows.append(torch.cat([torch.tensor([self.end_of_text]), ids[at : at + CONTEXT]]))
            else:
                at = self.random.randrange(len(ids) - CONTEXT)
                rows.append(ids[at : at + CONTEXT + 1])
        rows = torch.stack(rows)
        return rows[:, :-1], rows[:, 1:]


@torch.no_grad()
def nats(model, ids, end_of_text, stride):
    """Sum of -log p over all ids, each with at least CONTEXT - stride ids before it (as far as
    there are any): a window slides over them, and only its last `stride` predictions count."""
    model.eval()
    ids = torch.cat([torch.tensor([end_of_text]), ids])
    total, done = 0.0, 1
    while done < len(ids):
        end = min(len(ids), done + (stride if done > 1 else CONTEXT))
        begin = max(0, end - CONTEXT - 1)
        window = ids[begin:end]
        logits = model(window[None, :-1]).logits[0].float()
        losses = F.cross_entropy(logits, window[1:], reduction="none")
        total += losses[done - begin - 1 :].double().sum().item()
        done = end
    return total


def learning_rate(step, steps, peak):
    warmup = 100
    if step < warmup:
        return peak * (step + 1) / warmup
    t = (step - warmup) / max(1, steps - warmup)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * t)))


def optimizer_of(model, weight_decay):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=0.0,
        betas=(0.9, 0.95),
    )


def train(model, windows, dev, args):
    """Runs args.steps steps and leaves the model with the weights that did best on dev."""
    dev_ids, dev_characters, end_of_text = dev
    optimizer = optimizer_of(model, args.weight_decay)
    best, best_state, best_step = math.inf, None, 0
    started = time.monotonic()
    for step in range(args.steps):
        if step % args.refresh == 0:
            # The last third sees the text as the tokenizer really cuts it, nearly always.
            windows.refresh(args.bpe_dropout if step < args.steps * 2 // 3 else 0.02)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr)
        model.train()
        inputs, targets = windows.batch(args.batch)
        logits = model(inputs, use_cache=False).logits
        loss = F.cross_entropy(logits.reshape(-1, VOCABULARY), targets.reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % args.every == 0 or step + 1 == args.steps:
            value = nats(model, dev_ids, end_of_text, CONTEXT // 2) / dev_characters
            if value < best:
                best, best_step = value, step + 1
                best_state = {k: v.clone() for k, v in model.state_dict().items()}
            print(
                f"step {step + 1:5d}  train {loss.item():.3f} nats/token  "
                f"dev {value:.4f} nats/character  {time.monotonic() - started:.0f} s",
                flush=True,
            )
    model.load_state_dict(best_state)
    return best, best_step, time.monotonic() - started


def save(model, tokenizer, out):
    out.mkdir(parents=True, exist_ok=True)
    model.config.dtype = torch.bfloat16
    end_of_text = tokenizer.token_to_id(END_OF_TEXT)
    model.generation_config = GenerationConfig(bos_token_id=end_of_text, eos_token_id=end_of_text)
    model.to(torch.bfloat16).save_pretrained(out)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=None,
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    ).save_pretrained(out)
    tokenizer.save(str(out / "tokenizer.json"))  # without the empty post-processor that it adds
    for path in out.iterdir():
        path.chmod(0o644)


README = """# A small Shakespeare model

{parameters:,} parameters: a Llama (4 layers, 192 wide, 6 heads sharing 2 key/value heads, tied
embeddings) with a byte-level BPE of {vocabulary:,} tokens, stored in bfloat16. It is here so that a
fresh clone has a real checkpoint to load and to run. It writes lines that look like a play; it knows
nothing.

| | |
|---|---|
| held-out loss | {held_out:.4f} nats per character (the limit is {limit}) |
| the same, per token | {per_token:.4f} nats; {characters_per_token:.3f} characters per token |
| files, together | {bytes:,} bytes |
| training | {steps} steps of {batch} x {context} tokens, {seconds:.0f} s on two cores; the best was step {best_step} |

Held out is the last tenth of the text: neither the tokenizer nor the weights saw it. The loss is the
sum of -log p over all of its tokens, divided by its characters, with the saved bfloat16 weights loaded
back and computed in float32, in a window that slides by 64 tokens over a context of {context}.

## How it was made
```
python3 tools/train/train.py tinyshakespeare.txt {out}
```
with torch {torch}, transformers {transformers}, tokenizers {tokenizers}, seed {seed}. Another version or another
number of threads rounds differently and ends with slightly different weights.

The text is tinyshakespeare: 40,000 lines of Shakespeare's plays, 1.1 MB, in the public domain. It is
not part of the repository. The weights and the tokenizer are under the licence of the repository
(Apache-2.0).
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--lr", type=float, default=2.5e-3)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--bpe-dropout", type=float, default=0.1)
    parser.add_argument("--refresh", type=int, default=100, help="steps between two encodings")
    parser.add_argument("--every", type=int, default=200, help="steps between two evaluations")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(2)
    torch.manual_seed(args.seed)

    train_text, dev_text, held_out_text = split_text(args.text.read_text(encoding="utf-8"))
    tokenizer = train_tokenizer(train_text)
    end_of_text = tokenizer.token_to_id(END_OF_TEXT)
    model = make_model(end_of_text)
    print(f"{model.num_parameters():,} parameters", flush=True)
    add_dropout(model, args.dropout)

    windows = Windows(tokenizer, train_text, end_of_text, args.seed)
    dev_ids = torch.tensor(tokenizer.encode(dev_text).ids)
    _, best_step, seconds = train(model, windows, (dev_ids, len(dev_text), end_of_text), args)
    save(model, tokenizer, args.out)

    loaded = LlamaForCausalLM.from_pretrained(args.out, dtype=torch.float32)
    held_out_ids = torch.tensor(tokenizer.encode(held_out_text).ids)
    total = nats(loaded, held_out_ids, end_of_text, 64)
    held_out = total / len(held_out_text)
    readme = dict(
        parameters=loaded.num_parameters(),
        vocabulary=VOCABULARY,
        held_out=held_out,
        limit=MAX_NATS_PER_CHARACTER,
        per_token=total / len(held_out_ids),
        characters_per_token=len(held_out_text) / len(held_out_ids),
        steps=args.steps,
        batch=args.batch,
        context=CONTEXT,
        seconds=seconds,
        best_step=best_step,
        seed=args.seed,
        torch=torch.__version__.split("+")[0],
        transformers=transformers.__version__,
        tokenizers=tokenizers.__version__,
        out=f"models/{args.out.resolve().name}",
    )
    files = [f for f in args.out.iterdir() if f.is_file() and f.name != "README.md"]
    size = sum(f.stat().st_size for f in files)
    (args.out / "README.md").write_text(README.format(bytes=size, **readme), encoding="utf-8")
    print(f"held out: {held_out:.4f} nats per character; {size:,} bytes")
    if held_out > MAX_NATS_PER_CHARACTER:
        raise SystemExit("the held-out loss is above the limit")
    if size > MAX_BYTES:
        raise SystemExit("the files are too big")


if __name__ == "__main__":
    main()
