#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write odd but valid safetensors files, and what the safetensors library says of them.

    record.py FOLDER     (tests/checkpoint/data)

FOLDER/NAME.safetensors are the files; FOLDER/expected.txt has a line per tensor, in order of the
tensors' names, tab-separated: file, name (as JSON), dtype, shape (as JSON), bytes (hexadecimal).
FOLDER/auto.txt has a line per file: what torch_dtype="auto" takes from it in Transformers where the
config says nothing, or "none" where no tensor of it can be a model's default type.
Nothing in these lists comes from this project: names, types, shapes and bytes are those that
safetensors.deserialize gives.  Recorded with safetensors 0.8.0, Transformers 5.23.0.
"""
import json
import math
import struct
import sys
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save
from transformers.modeling_utils import get_state_dict_dtype, load_state_dict

DTYPES = {  # bits of each of the 22
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}


def pack(header, data, pad=0):
    """A file by hand: header is text, bytes, or something for json.dumps."""
    if not isinstance(header, (str, bytes)):
        header = json.dumps(header)
    if isinstance(header, str):
        header = header.encode()
    header += b" " * pad
    return struct.pack("<Q", len(header)) + header + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def count(n):
    return bytes(i % 251 for i in range(n))


def all_dtypes():
    header, at = {}, 0
    for i, (dtype, bits) in enumerate(DTYPES.items()):
        shape = [2, i % 5 + 1, 2]
        size = math.prod(shape) * bits // 8
        header[f"t.{dtype}"] = entry(dtype, shape, at, at + size)
        at += size
    return pack(header, count(at))


def files():
    yield "scalar", pack({"s": entry("F32", [], 0, 4)}, count(4))
    yield "zero-dim", pack({"a": entry("F32", [0], 0, 0), "b": entry("I16", [3, 0, 2], 0, 0),
                            "c": entry("U8", [3], 0, 3), "d": entry("F64", [0, 9], 3, 3)}, count(3))
    yield "zero-dim-huge", pack({"a": entry("F32", [0, 2**40, 2**40], 0, 0)}, b"")
    yield "no-tensors", pack({}, b"")
    yield "only-metadata", pack({"__metadata__": {"format": "pt", "": ""}}, b"")
    yield "null-metadata", pack({"__metadata__": None, "a": entry("U8", [1], 0, 1)}, count(1))
    yield "space-pad", pack({"a": entry("U8", [5], 0, 5)}, count(5), pad=77)
    yield "space-around", pack(" \n\t\r" + json.dumps({"a": entry("U8", [2], 0, 2)}) + "\r\n\t ", count(2))
    yield "unaligned-data", pack({"x": entry("U8", [3], 0, 3), "y": entry("F64", [2], 3, 19),
                                  "z": entry("F16", [1], 19, 21)}, count(21), pad=1)
    yield "shuffled", pack({"b": entry("U8", [2], 4, 6), "c": entry("U8", [1], 6, 7),
                            "a": entry("F32", [1], 0, 4)}, count(7))
    yield "unknown-fields", pack({"a": dict(entry("U8", [1], 0, 1), x=[1, {"y": None}], z="w")}, count(1))
    yield "field-order", pack('{"a":{"data_offsets":[0,4],"shape":[2,2],"dtype":"U8"}}', count(4))
    yield "names", pack(r'{"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                        r'"\u00e9\ud83d\ude00\n\"":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},'
                        '"\u00fc.\U0001f600":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},'
                        r'"a/../b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}', count(4))
    yield "rank-8", pack({"a": entry("U8", [1, 2, 1, 3, 1, 1, 2, 1], 0, 12)}, count(12))
    yield "sub-byte", pack({"f4": entry("F4", [3, 2], 0, 3), "f6": entry("F6_E3M2", [4], 3, 6)}, count(6))
    yield "all-dtypes", all_dtypes()
    yield "first-float", pack({"z": entry("F32", [1], 0, 4), "a": entry("I64", [1], 4, 12),
                               "b": entry("F8_E4M3", [1], 12, 13), "c": entry("BF16", [1], 13, 15),
                               "d": entry("F16", [1], 15, 17)}, count(17))
    yield "no-float", pack({"a": entry("I64", [1], 0, 8), "b": entry("F8_E5M2", [1], 8, 9)}, count(9))
    torch.manual_seed(0)
    yield "torch", save({"w": torch.randn(3, 5), "b": torch.randn(5).to(torch.bfloat16),
                         "ids": torch.arange(4), "mask": torch.tensor([True, False]),
                         "half": torch.randn(2, 2).half(), "s": torch.tensor(2.5)}, {"format": "pt"})


def auto_dtype(path):
    """get_state_dict_dtype takes the first tensor's type where there is no float; None for that."""
    tensors = load_state_dict(str(path), map_location="meta")
    dtype = get_state_dict_dtype(tensors) if tensors else None
    usable = dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    return str(dtype).removeprefix("torch.") if usable else "none"


def main(folder):
    lines, auto = [], []
    for name, data in files():
        path = folder / f"{name}.safetensors"
        path.write_bytes(data)
        if name not in ("all-dtypes", "sub-byte", "zero-dim-huge"):  # which PyTorch cannot hold
            auto.append(f"{name}\t{auto_dtype(path)}\n")
        tensors = sorted(safetensors.deserialize(data), key=lambda t: t[0].encode())
        if not tensors:
            lines.append(f"{name}\n")
        for tensor, info in tensors:
            lines.append("\t".join([name, json.dumps(tensor), info["dtype"], json.dumps(info["shape"]),
                                    bytes(info["data"]).hex()]) + "\n")
    (folder / "expected.txt").write_text("".join(lines), encoding="ascii")
    (folder / "auto.txt").write_text("".join(auto), encoding="ascii")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
