#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that the goldens under tests/golden are what Transformers gives, or write them.

    python3 tools/golden/make.py [--only WORD]
    python3 tools/golden/make.py --write [--out DIR] [--only WORD] [--fresh]

The first makes them anew in a temporary folder and compares. Needs the versions in
requirements.txt. Seeds that are recorded already are kept, unless --fresh.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
import transformers
from safetensors.torch import load_file

import packed
import processors
import shakespeare
from goldens import all_goldens
from oracle import TOLERANCE, record

HOME = Path(__file__).resolve().parents[2] / "tests" / "golden"
MAX_GOLDEN_BYTES = 1_000_000
OTHERS = {
    "processors": processors.record,
    "shakespeare": shakespeare.record,
    **packed.recorders(),
}


def seed_of(name):
    path = HOME / name / "expected.json"
    return json.loads(path.read_text()).get("seed") if path.exists() else None


def folder_bytes(folder):
    return sum(f.stat().st_size for f in folder.iterdir())


def make(goldens, out, fresh):
    for golden in goldens:
        folder = out / golden.name
        if folder.exists():
            shutil.rmtree(folder)
        record(golden, folder, None if fresh else golden.seed)
        size = folder_bytes(folder)
        assert size < MAX_GOLDEN_BYTES, f"{golden.name} takes {size} bytes"
        switch = json.loads((folder / "expected.json").read_text()).get("switch")
        proof = f"moves {switch['tolerances']:.3g} tolerances" if switch else ""
        print(f"{golden.name:36s} {size:8,d} bytes  {proof}", flush=True)


def differences(want, got, path=""):
    """Where two values of expected.json differ; measured figures may, a little."""
    if isinstance(want, float) and isinstance(got, float):
        close = (
            abs(want - got) <= 1e-3 * max(abs(want), abs(got))
            or "rounding" in path
            or "moves" in path
            or "tolerances" in path
        )
        return [] if close else [f"{path}: {want} became {got}"]
    if isinstance(want, dict) and isinstance(got, dict):
        return [
            d
            for k in sorted(want.keys() | got.keys())
            for d in differences(want.get(k), got.get(k), f"{path}.{k}")
        ]
    return [] if want == got else [f"{path}: {want} became {got}"]


def compare_expected(old, new):
    old, new = load_file(old), load_file(new)
    if old.keys() != new.keys():
        return [f"expected.safetensors: {sorted(old)} became {sorted(new)}"]
    wrong = []
    for name, want in old.items():
        if want.shape != new[name].shape or want.dtype != new[name].dtype:
            wrong.append(
                f"{name}: {tuple(want.shape)} {want.dtype} became {tuple(new[name].shape)} {new[name].dtype}"
            )
            continue
        if not torch.equal(want.isinf(), new[name].isinf()):
            wrong.append(f"{name}: other scores are filtered")
            continue
        finite = want.isfinite()
        apart = (want[finite].double() - new[name][finite].double()).abs().max() / want[
            finite
        ].abs().max()
        if apart > TOLERANCE / 10:
            wrong.append(f"{name}: apart by {apart:.2g} of the largest")
    return wrong


def compare_folder(old, new):
    names = {f.name for f in old.iterdir()}, {f.name for f in new.iterdir()}
    if names[0] != names[1]:
        return [f"files: {sorted(names[0])} became {sorted(names[1])}"]
    wrong = []
    for name in sorted(names[0]):
        if name == "expected.json":
            wrong += differences(
                json.loads((old / name).read_text()), json.loads((new / name).read_text())
            )
        elif name == "expected.safetensors":
            wrong += compare_expected(old / name, new / name)
        elif (old / name).read_bytes() != (new / name).read_bytes():
            wrong.append(f"{name}: other bytes")
    return wrong


def check(goldens, others):
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        for name, make_it in [
            (g.name, lambda out, g=g: record(g, out, g.seed)) for g in goldens
        ] + others:
            new = Path(temporary) / name
            make_it(new)
            old = HOME / name
            failed += report(
                name, compare_folder(old, new) if old.exists() else ["it is not there"]
            )
            shutil.rmtree(new)
    known = {g.name for g in all_goldens()} | {name.split("/")[0] for name in OTHERS}
    for name in sorted({f.name for f in HOME.iterdir() if f.is_dir()} - known):
        failed += report(name, ["no golden of this name"])
    count = len(goldens) + len(others)
    print(
        f"{failed} of {count} goldens differ"
        if failed
        else f"all {count} goldens are what Transformers {transformers.__version__} gives"
    )
    return failed


def report(name, wrong):
    print(f"{name:36s} {'DIFFERS' if wrong else 'same'}", flush=True)
    for line in wrong[:5]:
        print(f"    {line[:200]}")
    return bool(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--check", action="store_true", help="compare with what is committed (the default)"
    )
    mode.add_argument("--write", action="store_true", help="write them")
    parser.add_argument("--out", type=Path, default=HOME, help="where to")
    parser.add_argument("--fresh", action="store_true", help="look for seeds anew")
    parser.add_argument("--only", default="", help="goldens with this in their name")
    args = parser.parse_args()

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)

    goldens = [g for g in all_goldens() if args.only in g.name]
    others = [(name, make_it) for name, make_it in OTHERS.items() if args.only in name]
    for golden in goldens:
        golden.seed = seed_of(golden.name)
    if not args.write:
        sys.exit(1 if check(goldens, others) else 0)
    make(goldens, args.out, args.fresh)
    for name, make_it in others:
        make_it(args.out / name)
    total = sum(f.stat().st_size for f in args.out.rglob("*") if f.is_file())
    print(f"{len(goldens) + len(others)} goldens, {total:,} bytes in {args.out}")


if __name__ == "__main__":
    main()
