#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Record what PyTorch's activation functions give: tests/kernels/data/activations.txt.

One line per input: the bits of a float32, then the bits of the float64 result of each function, computed by
PyTorch in float64 from that float32.  Before that, PyTorch's own float32 results are held against the same
bounds as the kernels (it leaves them where an intermediate result overflows), so that a kernel within them is as near to PyTorch as PyTorch is to itself.
Functions that Transformers defines by itself are taken from there.

    python tools/kernels/record.py tests/kernels/data/activations.txt
"""
import math
import struct
import sys

import torch
from transformers.activations import ACT2FN

# The order of plim_activation.
FUNCTIONS = [
    ("gelu", ACT2FN["gelu"]),
    ("gelu_tanh", ACT2FN["gelu_new"]),
    ("quick_gelu", ACT2FN["quick_gelu"]),
    ("relu", ACT2FN["relu"]),
    ("relu2", ACT2FN["relu2"]),
    ("silu", ACT2FN["silu"]),
    ("tanh", ACT2FN["tanh"]),
    ("sigmoid", ACT2FN["sigmoid"]),
    ("identity", ACT2FN["linear"]),
    ("leaky_relu", ACT2FN["leaky_relu"]),
    ("relu6", ACT2FN["relu6"]),
    ("mish", ACT2FN["mish"]),
    ("gelu_10", ACT2FN["gelu_10"]),
    ("hardswish", torch.nn.functional.hardswish),
    ("laplace", ACT2FN["laplace"]),
    ("sqrtsoftplus", ACT2FN["sqrtsoftplus"]),
]

EDGES = [0.0, 1e-45, 1e-39, 1.1754944e-38, 1e-20, 1e-7, 1e-4, 0.1, 0.3, 0.5, 0.54999, 0.55, 0.6, 0.707, 1.0]
EDGES += [1.41421, 1.41422, 1.5, 2.0, 3.0, 4.0, 5.0, 5.99, 6.0, 6.01, 8.0, 8.48, 8.49, 9.0, 10.0, 12.0, 13.0]
EDGES += [15.0, 19.99, 20.0, 20.01, 30.0, 44.0, 60.0, 80.0, 87.0, 88.0, 88.8, 89.0, 100.0, 104.0, 120.0, 1e3]
EDGES += [1e6, 1e18, 3e19, 3e38, math.inf]


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def main():
    torch.manual_seed(0)
    x = torch.tensor(EDGES, dtype=torch.float32)
    x = torch.cat([x, -x, torch.tensor([math.nan]), torch.randn(60) * 3, torch.randn(40) * 0.3])
    columns = []
    for name, function in FUNCTIONS:
        want, seen = function(x.double()), function(x).double()
        room = 2**-23 * (4 * x.double().abs() + 4 * want.abs() + (name == "laplace")) + 2**-126
        fine = (seen == want) | (seen.isnan() & want.isnan()) | ((seen - want).abs() <= room)
        fine |= want.abs() > 3.4e38  # float32 ends here
        if not fine.all():
            print(f"{name}: PyTorch in float32 is farther off at {x[~fine].tolist()}: {seen[~fine].tolist()}")
        columns.append(want)
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write("# tools/kernels/record.py, PyTorch " + torch.__version__.split("+")[0] + "\n")
        out.write("# x " + " ".join(name for name, _ in FUNCTIONS) + "\n")
        for i, value in enumerate(x.tolist()):
            word = struct.unpack("<I", struct.pack("<f", value))[0]
            out.write(f"{word:08x} " + " ".join(f"{bits(c[i].item()):016x}" for c in columns) + "\n")


main()
