#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Record what compressed-tensors makes of groups of 32: tests/kernels/data/quant.txt.

One line per group: bits of a weight, the scale as float16, the words that `pack_to_int32` packs the quants
into, and the bits of the float32 weights that `dequantize` gives for what `unpack_from_int32` reads back.

    python tools/kernels/record_quant.py tests/kernels/data/quant.txt
"""
import sys

import compressed_tensors
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import dequantize

GROUP, GROUPS = 32, 12


def record(bits):
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    q = torch.randint(low, high + 1, (GROUPS, GROUP), dtype=torch.int8)
    q[0, :4] = torch.tensor([low, high, 0, -1], dtype=torch.int8)
    q[1], q[2] = low, high
    scale = (torch.randn(GROUPS, 1) * 0.05).half()
    scale[3], scale[4], scale[5], scale[6] = 0.0, 6e-8, 65504.0, 5e-5  # 6e-8: the least denormal
    packed = pack_to_int32(q, bits)
    read_back = unpack_from_int32(packed, bits, q.shape)
    assert torch.equal(read_back, q)
    args = QuantizationArgs(num_bits=bits, type="int", symmetric=True, strategy="group", group_size=GROUP)
    weights = dequantize(read_back, scale.float(), args=args, dtype=torch.float32)
    for i in range(GROUPS):
        words = " ".join(f"{w & 0xFFFFFFFF:08x}" for w in packed[i].tolist())
        half = scale[i].view(torch.int16).item() & 0xFFFF
        floats = " ".join(f"{w & 0xFFFFFFFF:08x}" for w in weights[i].view(torch.int32).tolist())
        yield f"{bits} {half:04x} {words} {floats}\n"


def main():
    torch.manual_seed(0)
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write(f"# tools/kernels/record_quant.py, compressed-tensors {compressed_tensors.__version__}\n")
        for bits in (8, 4):
            out.writelines(record(bits))


main()
