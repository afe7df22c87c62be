#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prefill and decode beside llama.cpp, cell by cell: the same shapes, types and threads, interleaved, medians, ratios.

    bench/compute.py [--peers DIR] [--only decode,int4,...] [--quick] [--json FILE]

Plimsoll's figures are `plimsoll bench`'s (tokens per second of the whole pass, and its share of this machine's own limit
in the same run), llama.cpp's are llama-bench's.  llama.cpp runs as it is fastest: release build for this processor,
repacking on, and the better of flash attention on and off and of mmap on and off, which a sweep of each cell finds first
(kept in the JSON).  --only chooses cells by words of their names: models, types, decode, prefill, context, numbers of tokens.
--folder holds the checkpoints (made when missing), --peers the peer: built there, with its GGUFs, when missing; a
folder with llama/bin/llama-bench and gguf/ is used as it is.  Have the machine to yourself: nothing else may run."""
import argparse, glob, json, os, statistics, subprocess, sys, tarfile

from common import checkpoint, find_program, machine, make_warm, number, run, run_json, standard_options, table, write_json

PEER = "llama-cpp-python==0.3.36"
# model, its checkpoint's own type first: type -> what llama.cpp calls the same; int8 and int4 as its users get them
TYPES = {"gpt2-medium": {"float32": None},
         "llama-1b": {"bfloat16": None, "float16": "f16", "int8": "q8_0", "int4": "q4_0"}}
PROMPTS = (128, 512)
CONTEXTS = (16384, 32768)
SWEEP = [(fa, mmap) for fa in ("off", "on") for mmap in ("mmap", "none")]
GOALS = {("decode", "int8"): 1.2, ("decode", "int4"): 1.2, ("decode", None): 1.1, ("context", None): 1.1,
         ("prefill", "int8"): 2.2, ("prefill", "int4"): 1.4, ("prefill", None): 1.4}


# ---- the peer -------------------------------------------------------------------------------------------------------

class Peer:
    def __init__(self, args):
        self.args, self.top = args, args.peers
        self.bin = os.path.join(self.top, "llama", "bin")
        os.makedirs(os.path.join(self.top, "gguf"), exist_ok=True)
        self.bench = self.program("llama-bench")
        self.version = run([self.bench, "--version"]).err.strip().splitlines()[:1]

    def program(self, name):
        """Built when it is missing: minutes, once."""
        path = find_program(os.path.join(self.bin, name))
        if path:
            return path
        sources = glob.glob(os.path.join(self.top, "llama_cpp_python-*", "vendor", "llama.cpp"))
        if not sources:
            print(f"fetching {PEER}", file=sys.stderr)
            subprocess.run([self.args.python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
                            "--no-build-isolation", "-d", self.top, PEER], check=True)
            archive = glob.glob(os.path.join(self.top, "llama_cpp_python-*.tar.gz"))[0]
            with tarfile.open(archive) as t:
                t.extractall(self.top, filter="data")
            sources = glob.glob(os.path.join(self.top, "llama_cpp_python-*", "vendor", "llama.cpp"))
        build = os.path.join(self.top, "llama")
        print(f"building {name}", file=sys.stderr)
        if not os.path.exists(os.path.join(build, "build.ninja")):
            subprocess.run(["cmake", "-S", sources[0], "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                            "-DGGML_NATIVE=ON", "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF",
                            "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_SERVER=OFF",
                            "-DLLAMA_BUILD_TOOLS=ON"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ninja", "-C", build, name], check=True, stdout=subprocess.DEVNULL)
        return os.path.join(self.bin, name)

    def gguf(self, model, folder, kind):
        """The checkpoint as a GGUF of that kind (None: as stored)."""
        stored = os.path.join(self.top, "gguf", f"{model}.gguf")
        if not os.path.exists(stored):
            maker = os.path.join(os.path.dirname(os.path.abspath(__file__)), "make_gguf.py")
            subprocess.run([self.args.python, maker, folder, stored], check=True, stdout=sys.stderr)
        if kind is None:
            return stored
        path = os.path.join(self.top, "gguf", f"{model}-{kind}.gguf")
        if not os.path.exists(path):
            subprocess.run([self.program("llama-quantize"), stored, path + ".part", kind], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            os.replace(path + ".part", path)
        return path

    def speed(self, gguf, cell, how):
        """Tokens per second."""
        fa, mmap = how
        test = (["-p", str(cell.tokens), "-n", "0"] if cell.kind == "prefill" else
                ["-p", "0", "-n", str(self.args.tokens), "-d", str(cell.tokens)])
        r = run([self.bench, "-m", gguf, "-t", str(self.args.threads), "-r", "1", "-o", "json", "-fa", fa, "-lm", mmap]
                + test, timeout=self.args.timeout)
        if r.rc != 0:
            print(f"    llama-bench: {r.err.strip().splitlines()[-1:]}", file=sys.stderr)
            return None
        return json.loads(r.out)[0]["avg_ts"]


# ---- cells ----------------------------------------------------------------------------------------------------------

class Cell:
    def __init__(self, model, dtype, kind, tokens):
        self.model, self.dtype, self.kind, self.tokens = model, dtype, kind, tokens
        self.name = f"{model} {dtype} {kind}" + (f" {tokens}" if tokens else "")
        self.goal = GOALS.get((kind, dtype)) or GOALS[(kind, None)]

    def wanted(self, only):
        """Words about the same thing are alternatives: llama-1b,int8,int4,decode is two cells."""
        only = set(only.split(",")) if only else set()
        values = {"model": set(TYPES), "dtype": {d for types in TYPES.values() for d in types},
                  "kind": {"decode", "prefill", "context"}, "tokens": set(map(str, PROMPTS + CONTEXTS))}
        unknown = only - set().union(*values.values(), {"first"})
        if unknown:
            raise SystemExit(f"--only: {', '.join(sorted(unknown))} is in no cell's name")
        return all(not only & of or str(getattr(self, what)) in only for what, of in values.items())


def cells(only):
    every = []
    for model, types in TYPES.items():
        for dtype in types:
            every += [Cell(model, dtype, "decode", 0)] + [Cell(model, dtype, "prefill", p) for p in PROMPTS]
    every += [Cell("llama-1b", dtype, "context", c) for dtype in TYPES["llama-1b"] for c in CONTEXTS]
    return [c for c in every if c.wanted(only)]


def plimsoll_speed(args, folder, cell):
    """(tokens per second, share of the limit, the cell as it was told)"""
    prefill = cell.kind == "prefill"
    r = run_json([args.plimsoll, "bench", folder, "--json", "--quiet", "--dtype", cell.dtype, "--threads",
                  str(args.threads), "--rounds", str(1 if prefill else 3), "-n", str(args.tokens),
                  "--prompt", str(cell.tokens if prefill else 16), "--contexts", str(0 if prefill else cell.tokens)],
                 timeout=args.timeout)
    if r.rc != 0:
        print(f"    plimsoll bench: {r.why}", file=sys.stderr)
        return None, None, None
    told = r.json["prefill" if prefill else "decode"][0]
    return told["tokens_per_s"], told["share"], told


def measure(args, peer, cell):
    folder = checkpoint(args.plimsoll, args.folder, cell.model)
    gguf = peer.gguf(cell.model, folder, TYPES[cell.model][cell.dtype])
    make_warm(folder)
    with open(gguf, "rb") as f:
        while f.read(1 << 24):
            pass
    sweep = [{"flash_attention": fa, "mmap": mmap, "tokens_per_s": peer.speed(gguf, cell, (fa, mmap))}
             for fa, mmap in SWEEP]
    best = max(sweep, key=lambda s: s["tokens_per_s"] or 0)
    rounds = []
    for i in range(args.runs):
        first = plimsoll_speed(args, folder, cell) if i % 2 == 0 else None
        theirs = peer.speed(gguf, cell, (best["flash_attention"], best["mmap"]))
        ours, share, told = first or plimsoll_speed(args, folder, cell)
        if ours and theirs:
            rounds.append({"plimsoll": ours, "llama.cpp": theirs, "share": share, "told": told})
    middle = lambda values: statistics.median(values) if rounds else None
    return {"cell": cell.name, "sweep": sweep, "rounds": rounds, "goal": cell.goal,
            "plimsoll": middle(r["plimsoll"] for r in rounds), "llama.cpp": middle(r["llama.cpp"] for r in rounds),
            "share": middle(r["share"] for r in rounds),
            "ratio": middle(r["plimsoll"] / r["llama.cpp"] for r in rounds)}


# ---- the first token ------------------------------------------------------------------------------------------------

def first_token(args, peer):
    """Seconds of a whole process that loads SmolLM2-135M (bfloat16, in the page cache), reads a prompt and makes one
    token: the folder of the checkpoint is PLIM_SMOLLM2, the GGUF with its vocabulary PLIM_SMOLLM2_GGUF."""
    folder, gguf = os.environ.get("PLIM_SMOLLM2"), os.environ.get("PLIM_SMOLLM2_GGUF")
    if not folder or not gguf:
        print("first token: skipped; PLIM_SMOLLM2 and PLIM_SMOLLM2_GGUF say where the model is")
        return None
    prompt, threads = "Once upon a time there was a ship that", str(args.threads)
    ours = [args.plimsoll, "run", folder, "-p", prompt, "-n", "1", "--quiet", "--threads", threads]
    theirs = [peer.program("llama-completion"), "-m", gguf, "-p", prompt, "-n", "1", "-t", threads, "-no-cnv",
              "--no-warmup", "-c", "64"]
    rounds = []
    run(ours), run(theirs)
    for _ in range(args.runs):
        a, b = run(ours), run(theirs)
        if a.rc or b.rc:
            print(f"first token: failed: {(a.err if a.rc else b.err).strip()[-200:]}")
            return None
        rounds.append({"plimsoll": a.seconds, "llama.cpp": b.seconds})
    return {"rounds": rounds, **{k: statistics.median(r[k] for r in rounds) for k in ("plimsoll", "llama.cpp")},
            "ratio": statistics.median(r["llama.cpp"] / r["plimsoll"] for r in rounds)}


# ---- telling --------------------------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    standard_options(parser)
    parser.add_argument("--peers", default=None, help="folder of llama.cpp and its GGUFs (default: peers in --folder)")
    parser.add_argument("--only", help="words of a cell's name, e.g. decode,int4; 'first' is the first token")
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--tokens", type=int, default=16, help="new tokens of a decode")
    parser.add_argument("--timeout", type=float, default=1800)
    args = parser.parse_args()
    args.peers = args.peers or os.path.join(args.folder, "peers")
    args.runs = 3 if args.quick else args.runs
    if os.getloadavg()[0] > 0.5:
        print(f"the load of this machine is {os.getloadavg()[0]:.1f}: what else runs on it disturbs every figure",
              file=sys.stderr)
    peer = Peer(args)
    result, rows = {"machine": machine(), "peer": peer.version, "threads": args.threads, "cells": []}, []
    for cell in [] if args.only == "first" else cells(args.only):
        print(cell.name, file=sys.stderr, flush=True)
        r = measure(args, peer, cell)
        result["cells"].append(r)
        rows.append([r["cell"], number(r["plimsoll"], "{:.2f}"), number(r["llama.cpp"], "{:.2f}"),
                     number(r["ratio"], "{:.2f}"), f"{r['goal']:.1f}", number(r["share"], "{:.2f}"), len(r["rounds"])])
        write_json(args.json, result)
    table(["tokens per second", "Plimsoll", "llama.cpp", "ratio", "goal", "of limit", "rounds"], rows)
    if not args.only or args.only == "first":
        result["first_token"] = first_token(args, peer)
        if result["first_token"]:
            t = result["first_token"]
            print(f"first token of SmolLM2-135M: {t['plimsoll']:.3f} s, llama.cpp {t['llama.cpp']:.3f} s, "
                  f"{t['ratio']:.2f} times as fast")
        write_json(args.json, result)
    return 1 if any(not r["rounds"] for r in result["cells"]) else 0


if __name__ == "__main__":
    sys.exit(main())
