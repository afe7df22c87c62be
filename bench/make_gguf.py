#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint (gpt2 or llama, safetensors) as a GGUF without a vocabulary: enough for llama-bench, which runs the
same shapes and types.  Needs numpy and gguf.

    bench/make_gguf.py FOLDER OUT.gguf [--dtype auto|float32]

Matrices keep the stored type (bfloat16 or float32) or become float32; vectors are float32, as llama.cpp wants them."""
import argparse, json, os

import gguf
import numpy as np

NAMES = {
    "gpt2": {"transformer.wte.weight": "token_embd.weight", "transformer.wpe.weight": "position_embd.weight",
             "transformer.ln_f": "output_norm", "ln_1": "attn_norm", "attn.c_attn": "attn_qkv",
             "attn.c_proj": "attn_output", "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"},
    "llama": {"model.embed_tokens.weight": "token_embd.weight", "lm_head.weight": "output.weight",
              "model.norm": "output_norm", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
              "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
              "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
              "mlp.down_proj": "ffn_down"},
}
TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def stored_tensors(folder):
    """(name, dtype, array) of every tensor; bfloat16 as its bits."""
    for file in sorted(f for f in os.listdir(folder) if f.endswith(".safetensors")):
        path = os.path.join(folder, file)
        with open(path, "rb") as f:
            length = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(length))
        for name, t in header.items():
            if name == "__metadata__":
                continue
            kind = {"F32": np.float32, "BF16": np.uint16}[t["dtype"]]
            begin, end = t["data_offsets"]
            yield name, t["dtype"], np.memmap(path, kind, "r", 8 + length + begin, tuple(t["shape"]))


def gguf_name(arch, name):
    names = NAMES[arch]
    if name in names:
        return names[name]
    body, _, kind = name.rpartition(".")
    if body in names:
        return names[body] + "." + kind
    parts = body.split(".")  # transformer.h.3.attn.c_attn, model.layers.3.mlp.up_proj
    role = names.get(".".join(parts[3:]))
    return f"blk.{parts[2]}.{role}.{kind}" if role else None


def interleave(a, heads):
    """Rows of each head from Hugging Face's two halves to llama.cpp's pairs."""
    return np.asarray(a).reshape(heads, 2, a.shape[0] // heads // 2, *a.shape[1:]).swapaxes(1, 2).reshape(a.shape)


def settings(writer, arch, c):
    if arch == "gpt2":
        width, layers, heads = c.get("n_embd", 768), c.get("n_layer", 12), c.get("n_head", 12)
        writer.add_context_length(c.get("n_positions", 1024))
        writer.add_feed_forward_length(c.get("n_inner") or 4 * width)
        writer.add_head_count(heads)
        writer.add_layer_norm_eps(c.get("layer_norm_epsilon", 1e-5))
    else:
        width, layers, heads = c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"]
        head_dim = c.get("head_dim") or width // heads
        writer.add_context_length(c["max_position_embeddings"])
        writer.add_feed_forward_length(c["intermediate_size"])
        writer.add_head_count(heads)
        writer.add_head_count_kv(c.get("num_key_value_heads", heads))
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
        writer.add_rope_dimension_count(head_dim)
        writer.add_rope_freq_base(c.get("rope_theta", 10000.0))
        writer.add_layer_norm_rms_eps(c.get("rms_norm_eps", 1e-6))
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_vocab_size(c["vocab_size"])
    writer.add_tokenizer_model("none")
    return heads, c.get("num_key_value_heads", heads)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--dtype", choices=["auto", "float32"], default="auto")
    args = parser.parse_args()
    with open(os.path.join(args.folder, "config.json")) as f:
        config = json.load(f)
    arch = config["model_type"]
    if arch not in NAMES:
        parser.error(f"{arch}: only gpt2 and llama")
    part = args.out + ".part"
    writer = gguf.GGUFWriter(part, arch)
    heads, kv_heads = settings(writer, arch, config)
    parameters = 0
    for name, dtype, a in stored_tensors(args.folder):
        target = gguf_name(arch, name)
        if target is None:
            continue  # masks and the like
        if arch == "gpt2" and name.endswith(TRANSPOSED):
            a = np.ascontiguousarray(a.T)
        if target.endswith(("attn_q.weight", "attn_k.weight")):
            a = interleave(a, heads if "attn_q" in target else kv_heads)
        parameters += a.size
        if dtype == "BF16" and (a.ndim == 1 or args.dtype == "float32"):
            a = (a.astype(np.uint32) << 16).view(np.float32)
        if a.dtype == np.uint16:
            writer.add_tensor(target, np.ascontiguousarray(a).view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            writer.add_tensor(target, np.ascontiguousarray(a))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(part, args.out)
    print(f"{args.out}: {parameters} parameters, {os.path.getsize(args.out)} bytes")


if __name__ == "__main__":
    main()
