#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What quantised weights cost: perplexity, and the divergence from the model in float32, beside llama.cpp's formats.

    bench/quality.py [--plimsoll build/release/plimsoll] [--text FILE] [--model DIR ...] [--windows N] [--json FILE]

Weights are quantised by Plimsoll (`convert`) and by gguf-py (Q8_0, Q4_0: the same bits as llama-quantize), turned back
into float32 checkpoints, and all of them run by Plimsoll in float32, so that nothing but the weights' error counts.
`run int8` and `run int4` are the real thing: `--dtype` while loading, activations quantised too.  Embeddings and the
output head take 8 bits in all of them, as Plimsoll's --dtype has them and llama.cpp where rows are no multiple of 256.

As llama.cpp's perplexity does it: windows of 512 tokens that don't overlap, of which the second half counts.  Of a
model whose folder is models/shakespeare-1.7m only the last tenth of the text is read: it was trained on the rest.
Then the error of normally distributed weights.  Without a text that is all.  Needs numpy and gguf."""
import argparse, json, os, shutil, struct, subprocess, sys, tempfile

try:
    import gguf.quants
    import numpy as np
    from gguf import GGMLQuantizationType
except ImportError as why:
    print(f"skipped: {why} (pip install numpy gguf)")
    sys.exit(77)

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHAKESPEARE = os.path.join(ROOT, "models", "shakespeare-1.7m")
WINDOW = 512
TYPES = {"F32": "<f4", "F16": "<f2", "I32": "<i4", "I64": "<i8"}
FORMATS = ("int8", "Q8_0", "int4", "Q4_0")  # beside each other
REAL = ("run int8", "run int4")


# ---- safetensors ----------------------------------------------------------------------------------------------------

def read_tensors(folder):
    """name -> array, bfloat16 widened; of a folder with one file."""
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
    data = np.memmap(os.path.join(folder, "model.safetensors"), np.uint8, "r", 8 + length)
    header.pop("__metadata__", None)
    tensors = {}
    for name, t in header.items():
        raw = np.array(data[slice(*t["data_offsets"])])
        if t["dtype"] == "BF16":
            value = (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            value = raw.view(TYPES[t["dtype"]])
        tensors[name] = value.reshape(t["shape"])
    return tensors


def write_tensors(folder, tensors):
    header, at = {}, 0
    for name, value in tensors.items():
        value = tensors[name] = np.ascontiguousarray(value, np.float32)
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            value.tofile(f)


def write_checkpoint(folder, config, tensors):
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({**config, "dtype": "float32"}, f)
    write_tensors(folder, tensors)


# ---- formats --------------------------------------------------------------------------------------------------------

def unpack(tensors):
    """The values of what `plimsoll convert` wrote."""
    out = {}
    for name, value in tensors.items():
        if not name.endswith(".weight_packed"):
            if not name.endswith((".weight_scale", ".weight_shape")):
                out[name] = value.astype(np.float32)
            continue
        base = name[:-len("_packed")]
        rows, inputs = tensors[base + "_shape"]
        quants = value.view(np.uint8)
        if quants.shape[1] == inputs:
            levels = quants.astype(np.float32) - 128
        else:
            levels = np.stack([quants & 15, quants >> 4], -1).reshape(rows, inputs).astype(np.float32) - 8
        scales = tensors[base + "_scale"].astype(np.float32)
        out[base] = (levels.reshape(rows, -1, 32) * scales[..., None]).reshape(rows, inputs)
    return out


def by_plimsoll(args, source, dtype, work):
    """As loading with --dtype has it.  The source has a head of its own, so that it is among what is quantised."""
    out = os.path.join(work, "converted")
    subprocess.run([args.plimsoll, "convert", source, out, "--dtype", dtype, "--quiet"], check=True,
                   stdout=subprocess.DEVNULL)
    tensors = unpack(read_tensors(out))
    shutil.rmtree(out)
    return tensors


def by_gguf(tensors, kind):
    out = {}
    for name, value in tensors.items():
        if value.ndim == 2 and value.shape[1] % 32 == 0:
            is_head = name in ("lm_head.weight", "model.embed_tokens.weight")
            type_ = GGMLQuantizationType.Q8_0 if is_head else GGMLQuantizationType[kind]
            value = gguf.quants.dequantize(gguf.quants.quantize(value, type_), type_).reshape(value.shape)
        out[name] = value
    return out


def make_formats(args, model, work):
    """name of a format -> folder, float32 checkpoints."""
    with open(os.path.join(model, "config.json")) as f:
        config = json.load(f)
    tensors = {k: v.astype(np.float32) for k, v in read_tensors(model).items()}
    tied = "lm_head.weight" not in tensors
    with_head = {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"]} if tied else tensors
    source = os.path.join(work, "source")
    write_checkpoint(source, {**config, "tie_word_embeddings": False}, dict(with_head))
    folders = {"float32": os.path.join(work, "float32")}
    write_checkpoint(folders["float32"], config, dict(tensors))
    for name in FORMATS:
        made = by_plimsoll(args, source, name, work) if name.startswith("int") else by_gguf(with_head, name)
        head = made.pop("lm_head.weight")
        if tied:
            made["model.embed_tokens.weight"] = head
        else:
            made["lm_head.weight"] = head
        folders[name] = os.path.join(work, name)
        write_checkpoint(folders[name], config, made)
        del made
    shutil.rmtree(source)
    return folders


# ---- perplexity and divergence --------------------------------------------------------------------------------------

def logits(args, folder, tokens, work, *options):
    """Log-probabilities of the second half of a window, float64, and the ids that they are about."""
    out = os.path.join(work, "logits.safetensors")
    subprocess.run([args.plimsoll, "logits", folder, "--tokens", ",".join(map(str, tokens)), "-o", out, "--quiet",
                    *options], check=True, stdout=subprocess.DEVNULL)
    with open(out, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        shape = json.loads(f.read(length))["logits"]["shape"]
        f.seek(len(tokens) // 2 * shape[1] * 4, os.SEEK_CUR)
        rows = np.fromfile(f, np.float32).reshape(-1, shape[1])[:-1].astype(np.float64)
    rows -= rows.max(1, keepdims=True)
    rows -= np.log(np.exp(rows).sum(1, keepdims=True))
    return rows


def text_tokens(args, model, text):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as f:
        f.write(text)
        f.flush()
        done = subprocess.run([args.plimsoll, "tokenize", model, "--prompt-file", f.name, "--no-special", "--json"],
                              check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)["ids"]


class Seen:
    """Per arm and token: nats, divergence from float32, whether the likeliest token is the same."""

    def __init__(self):
        self.windows, self.nats, self.divergence, self.same = 0, {}, {}, {}


def measure_window(args, arms, tokens, seen, work):
    follow = np.array(tokens[WINDOW // 2 + 1:])
    rows = {name: logits(args, folder, tokens, work, *options) for name, (folder, *options) in arms.items()}
    base = rows["float32"]
    for name, own in rows.items():
        seen.nats.setdefault(name, []).append(-own[np.arange(len(follow)), follow])
        seen.divergence.setdefault(name, []).append((np.exp(base) * (base - own)).sum(1))
        seen.same.setdefault(name, []).append(base.argmax(1) == own.argmax(1))
    seen.windows += 1


def measure(args, model, text, work):
    folders = make_formats(args, model, work)
    arms = {name: (folder,) for name, folder in folders.items()}
    arms.update({name: (model, "--dtype", name.split()[1]) for name in REAL})
    ids = text_tokens(args, model, text)
    windows = [ids[i:i + WINDOW] for i in range(0, len(ids) - WINDOW + 1, WINDOW)][:args.windows]
    seen = Seen()
    try:
        for tokens in windows:
            measure_window(args, arms, tokens, seen, work)
    except KeyboardInterrupt:  # what was measured until then counts
        if not seen.windows:
            raise
    return summary(model, list(arms), seen)


def summary(model, arms, seen):
    exact = np.concatenate(seen.nats["float32"])
    count = len(exact)
    result = {"model": model, "windows": seen.windows, "tokens": count,
              "float32": {"perplexity": float(np.exp(exact.mean()))}}
    for name in arms:
        if name == "float32":
            continue
        own = np.concatenate(seen.nats[name])
        result[name] = {"perplexity": float(np.exp(own.mean())), "change": float(np.expm1((own - exact).mean())),
                        "change_error": float((own - exact).std() / np.sqrt(count)),
                        "divergence": float(np.concatenate(seen.divergence[name]).mean()),
                        "same_token": float(np.concatenate(seen.same[name]).mean())}
    return result


def show(result):
    print(f"{result['model']}: {result['tokens']} tokens of {result['windows']} windows")
    print(f"  {'':10} {'perplexity':>11} {'change':>9} {'+-':>7} {'KL divergence':>14} {'same token':>11}")
    for name, row in result.items():
        if not isinstance(row, dict):
            continue
        line = f"  {name:10} {row['perplexity']:11.4f}"
        if "change" in row:
            line += (f" {100 * row['change']:8.3f}% {100 * row['change_error']:6.3f}% {row['divergence']:14.6f}"
                     f" {100 * row['same_token']:10.2f}%")
        print(line)


# ---- normally distributed weights -----------------------------------------------------------------------------------

def gaussian(args, work):
    """Relative error (root mean square) of each format."""
    rng = np.random.default_rng(1)
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 1024,
              "intermediate_size": 1024, "num_hidden_layers": 1, "num_attention_heads": 16, "num_key_value_heads": 16,
              "vocab_size": 32, "tie_word_embeddings": True}
    names = [f"model.layers.0.{m}_proj.weight" for m in
             ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down")]
    tensors = {name: rng.standard_normal((1024, 1024), np.float32) * 0.02 for name in names}
    others = {"model.embed_tokens.weight": np.ones((32, 1024), np.float32)}
    for name in ("model.norm", "model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm"):
        others[name + ".weight"] = np.ones(1024, np.float32)
    source = os.path.join(work, "gaussian")
    write_checkpoint(source, config, {**tensors, **others})
    errors = {}
    for name in FORMATS:
        made = by_plimsoll(args, source, name, work) if name.startswith("int") else by_gguf(tensors, name)
        error = sum(float(((made[n] - w).astype(np.float64) ** 2).sum()) for n, w in tensors.items())
        errors[name] = float(np.sqrt(error / sum(float((w.astype(np.float64) ** 2).sum()) for w in tensors.values())))
    return errors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plimsoll", default=os.path.join(ROOT, "build", "release", "plimsoll"))
    parser.add_argument("--text", help="plain text (tinyshakespeare)")
    parser.add_argument("--model", action="append", help="folder; default: the one that the repository carries")
    parser.add_argument("--windows", type=int, default=1 << 30, help="of each model; default: all of the text")
    parser.add_argument("--folder", help="for temporary checkpoints: five times the model in float32")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    results = {"models": []}
    with tempfile.TemporaryDirectory(dir=args.folder) as work:
        results["gaussian"] = gaussian(args, work)
        print("relative error of normally distributed weights: " +
              ", ".join(f"{name} {100 * error:.3f} %" for name, error in results["gaussian"].items()))
    if not args.text:
        print("no --text: no perplexity")
    for model in (args.model or [SHAKESPEARE]) if args.text else []:
        with open(args.text, encoding="utf-8", newline="") as f:
            text = f.read()
        if os.path.basename(os.path.normpath(model)) == os.path.basename(SHAKESPEARE):
            text = text[len(text) * 9 // 10:]
        with tempfile.TemporaryDirectory(dir=args.folder) as work:
            results["models"].append(measure(args, model, text, work))
        show(results["models"][-1])
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
