#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Record what PyTorch's casts give: tests/kernels/data/casts.txt.

For each type the file has a line `source TYPE` with the bits of edge values, and for each pair a line
`cast TO FROM DIGEST` with what PyTorch makes of them: bits, `n` for NaN (whatever its payload), `-` where
PyTorch leaves the result open (NaN or a number out of range to an integer).  DIGEST is FNV-1a over the
results of 4096 more values, drawn with splitmix64 as tests/kernels/test_casts.c draws them.

    python tools/casts/record.py tests/kernels/data/casts.txt
"""
import sys

import numpy as np
import torch

TYPES = {
    "F64": (torch.float64, np.uint64),
    "F32": (torch.float32, np.uint32),
    "F16": (torch.float16, np.uint16),
    "BF16": (torch.bfloat16, np.uint16),
    "I8": (torch.int8, np.uint8),
    "U8": (torch.uint8, np.uint8),
    "I16": (torch.int16, np.uint16),
    "U16": (torch.uint16, np.uint16),
    "I32": (torch.int32, np.uint32),
    "U32": (torch.uint32, np.uint32),
    "I64": (torch.int64, np.uint64),
    "U64": (torch.uint64, np.uint64),
    "BOOL": (torch.bool, np.uint8),
}
FLOATS = ("F64", "F32", "F16", "BF16")
DRAWN = 4096


def tensor(raw, name):
    """A tensor of type `name` with these bits."""
    raw = np.ascontiguousarray(raw.astype(TYPES[name][1]))
    return torch.frombuffer(bytearray(raw.tobytes()), dtype=TYPES[name][0])


def bits(t, name):
    signed = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[t.element_size()]
    return t.contiguous().view(signed).numpy().view(TYPES[name][1]).astype(np.uint64)


def splitmix64(seed, count):
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def drawn(name):
    """Even places: random bits.  Odd places: numbers of all sizes, whole ones and with a fraction."""
    width = TYPES[name][0].itemsize * 8
    r = splitmix64(list(TYPES).index(name), DRAWN)
    i = np.arange(DRAWN)
    if name == "BOOL":
        return r & np.uint64(1)
    odd = r.copy()
    if name in ("F64", "F32"):
        value = r.view(np.int64).astype(np.float64) * 2.0 ** -(i // 2 % 64)
        odd = value.view(np.uint64) if name == "F64" else value.astype(np.float32).view(np.uint32).astype(np.uint64)
    elif name not in FLOATS:
        odd = (r.view(np.int64) >> (i // 2 % 64)).view(np.uint64)
    mask = np.uint64((1 << width) - 1)
    return np.where(i % 2 == 0, r, odd) & mask


def float_edges():
    one = [0.0, 1.0, 1.5, 2.5, 3.5, 0.1, 0.5, 0.49999, 0.99999, 1.99999, 100.7, 2.0**-8, 3e-5]
    powers = [7, 8, 15, 16, 23, 24, 31, 32, 52, 53, 62, 63, 64]
    one += [2.0**p + d for p in powers for d in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    one += [2.0**p * (1 - 2.0**-20) for p in (31, 32, 63, 64, 128)]
    # Ties and their neighbours: half precision, then bfloat16, then where rounding twice differs from once.
    one += [1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-11 + 2.0**-23, 1 + 2.0**-11 - 2.0**-23]
    one += [1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-23, 1 + 2.0**-8 - 2.0**-23]
    one += [1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-11 + 2.0**-40, 1 + 3 * 2.0**-8 - 2.0**-40, 1 + 2.0**-24, 1 + 3 * 2.0**-24]
    one += [65503.0, 65504.0, 65519.0, 65519.996, 65520.0, 65535.9, 65536.0]
    one += [2.0**-14, 2.0**-14 - 2.0**-25, 2.0**-15, 2.0**-24, 2.0**-25, 2.0**-25 * (1 + 2.0**-20), 3 * 2.0**-26, 2.0**-26]
    one += [2.0**-126, 2.0**-126 - 2.0**-149, 2.0**-133, 2.0**-134, 3 * 2.0**-135, 2.0**-149, 2.0**-150, 3 * 2.0**-151]
    one += [3.3895313892515355e38, 3.3961775292304957e38, 3.4e38, 3.4028234663852886e38, 3.4028235677973366e38, 3.5e38]
    one += [2.0**-1022, 5e-324, 1.7976931348623157e308, float("inf"), float("nan")]
    return torch.tensor([x * s for x in one for s in (1.0, -1.0)], dtype=torch.float64)


def edges(name):
    if name in FLOATS:
        return np.unique(bits(float_edges().to(TYPES[name][0]), name))
    if name == "BOOL":
        return np.array([0, 1], dtype=np.uint64)
    width = TYPES[name][0].itemsize * 8
    some = {0, 1, 2, 3, 100, 2**width - 1, 2**width - 2}
    for p in (7, 8, 10, 11, 12, 15, 16, 17, 23, 24, 25, 26, 31, 32, 33, 52, 53, 54, 62, 63, 64):
        some |= {2**p - 1, 2**p, 2**p + 1, 2**p + 2**max(p - 8, 0), 2**p + 2**max(p - 24, 0), 3 * 2**p + 1}
        some |= {2**width - 2**p, 2**width - 2**p - 1, 2**width - 2**p + 1}
    return np.array(sorted(x for x in some if 0 <= x < 2**width), dtype=np.uint64)


def is_open(source, to):
    """Where the result is not defined: from float `source` to the integer type `to`."""
    if to in FLOATS or to == "BOOL" or not source.dtype.is_floating_point:
        return np.zeros(len(source), dtype=bool)
    info = torch.iinfo(TYPES[to][0])
    whole = source.double().numpy()
    whole = np.trunc(np.where(np.isfinite(whole), whole, 0))
    outside = (whole < float(info.min)) | (whole >= float(info.max + 1))
    return outside | ~np.isfinite(source.double().numpy())


def cast(raw, to, source):
    t = tensor(raw, source)
    result = t.to(TYPES[to][0])
    nan = result.isnan().numpy() if to in FLOATS else np.zeros(len(t), dtype=bool)
    return bits(result, to), nan, is_open(t, to)


def digest(values, nan, left_open, width):
    """FNV-1a, byte by byte; NaN as all ones, open results as zeros."""
    h = 0xCBF29CE484222325
    for value, is_nan, skip in zip(values.tolist(), nan.tolist(), left_open.tolist()):
        value = 0 if skip else (1 << width) - 1 if is_nan else value
        for byte in value.to_bytes(width // 8, "little"):
            h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def main():
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write("# tools/casts/record.py, PyTorch " + torch.__version__.split("+")[0] + "\n")
        for source in TYPES:
            raw = edges(source)
            out.write(f"source {source} " + " ".join(f"{x:x}" for x in raw.tolist()) + "\n")
            for to in TYPES:
                if to == source:
                    continue
                values, nan, left_open = cast(raw, to, source)
                words = [
                    "-" if o else "n" if n else f"{v:x}"
                    for v, n, o in zip(values.tolist(), nan.tolist(), left_open.tolist())
                ]
                more = digest(*cast(drawn(source), to, source), TYPES[to][0].itemsize * 8)
                out.write(f"cast {to} {source} {more:016x} " + " ".join(words) + "\n")


main()
