#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loading beside the disk's own limit and beside other loaders: seconds cold and warm, and the peak of memory.

Every arm is a fresh process; imports don't count; at the end every byte is readable (what is mapped is touched).
Rounds are interleaved, the first is not counted, and each figure is the median of the rounds; the share of the disk's
limit is taken within its round.  Peaks are VmHWM: over the start, and over what stays when the load is done.

    bench/load.py --python VENV/bin/python [--plimsoll build/release/plimsoll] [--folder DIR] [--json FILE]

Other loaders need torch, transformers, safetensors, fastsafetensors, runai-model-streamer in that Python; those that
are missing are said to be missing.  As root a cold cache is certain; else it is left to posix_fadvise, and checked.
"""
import argparse, json, os, sys, time

from common import (Disk, checkpoint, largest_file, machine, make_cold, make_warm, median, mib, number,
                    proc_field, run_json, standard_options, stored_dtype, table, warm_memory, weight_files, write_json)

# name: (kind, how); a kind is compared within itself
ARMS = {
    "plimsoll map": ("mapped", ["--reader", "map"]),
    "plimsoll auto": ("mapped", ["--reader", "auto"]),
    "safetensors mapped": ("mapped", "safetensors-mapped"),
    "Transformers": ("mapped", "transformers"),
    "plimsoll direct": ("own", ["--reader", "direct"]),
    "plimsoll buffered": ("own", ["--reader", "buffered"]),
    "safetensors own": ("own", "safetensors-own"),
    "fastsafetensors": ("own", "fastsafetensors"),
    "Run:ai streamer": ("own", "runai"),
    "plimsoll direct, cast": ("cast", ["--reader", "direct", "--dtype", "OTHER"]),
    "plimsoll buffered, cast": ("cast", ["--reader", "buffered", "--dtype", "OTHER"]),
    "plimsoll auto, cast": ("cast", ["--reader", "auto", "--dtype", "OTHER"]),
    "Transformers, cast": ("cast", "transformers-cast"),
    "plimsoll int8": ("quantised", ["--dtype", "int8"]),
    "plimsoll int4": ("quantised", ["--dtype", "int4"]),
}
PEER_MODULES = {"safetensors-mapped": "safetensors", "safetensors-own": "safetensors", "transformers": "transformers",
                "transformers-cast": "transformers", "fastsafetensors": "fastsafetensors",
                "runai": "runai_model_streamer"}


# ---- the other loaders, each in a child -----------------------------------------------------------------------------

def prepare(peer, dtype):
    """Imports and first uses; gives the function that loads and returns what must be kept."""
    import torch
    if peer.startswith("transformers"):
        import transformers
        from transformers import AutoModelForCausalLM
        from beside_transformers import warm_up
        transformers.logging.set_verbosity_error()

        def load(folder, files):
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), device_map="cpu",
                                                         low_cpu_mem_usage=True)
            return model, {str(i): p.detach() for i, p in enumerate(model.parameters())}
        return load, warm_up
    if peer.startswith("safetensors"):
        from safetensors.torch import load as load_bytes, load_file

        def load(folder, files):
            tensors = {}
            for file in files:
                if peer == "safetensors-mapped":
                    tensors.update(load_file(file))
                else:
                    with open(file, "rb") as f:
                        tensors.update(load_bytes(f.read()))
            return None, tensors
        return load, None
    if peer == "fastsafetensors":
        from fastsafetensors import SafeTensorsFileLoader

        def load(folder, files):
            loader = SafeTensorsFileLoader(None, device="cpu", nogds=True)
            loader.add_filenames({0: files})
            buffers = loader.copy_files_to_device()
            return (loader, buffers), {key: buffers.get_tensor(key) for key in loader.get_keys()}
        return load, None
    from runai_model_streamer import SafetensorsStreamer

    def load(folder, files):
        streamer = SafetensorsStreamer()
        streamer.__enter__()
        streamer.stream_files(files)
        return streamer, dict(streamer.get_tensors())
    return load, None


def child(peer, folder, dtype, threads):
    os.environ.setdefault("RUNAI_STREAMER_LOG_LEVEL", "ERROR")
    import torch
    torch.set_num_threads(threads)
    load, first_use = prepare(peer, dtype)
    if first_use:
        first_use(folder)
    files = weight_files(folder)
    warm_memory(warm_bytes(folder, peer.endswith("-cast")))
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # the peak so far is that of imports
    before = proc_field("/proc/self/status", "VmRSS")
    start = time.perf_counter()
    keep, tensors = load(folder, files)
    check = 0
    for tensor in tensors.values():
        if peer in ("safetensors-mapped", "transformers"):  # the others hold what they have read
            check += int(tensor.reshape(-1).view(torch.uint8)[::4096].sum(dtype=torch.int64))
    seconds = time.perf_counter() - start
    after, peak = (proc_field("/proc/self/status", name) for name in ("VmRSS", "VmHWM"))
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    print(json.dumps({"seconds": seconds, "over_start": peak - before, "over_stays": peak - after, "weights": total,
                      "peak": peak, "check": check, "kept": keep is not None}))
    sys.stdout.flush()
    os._exit(0)  # no tidying up: some of the loaders print while they do


# ---- arms -----------------------------------------------------------------------------------------------------------

def warm_bytes(folder, cast=False):
    """What the greediest loader takes: the file in the cache and in memory, and the cast besides."""
    return int((3 if cast else 2.2) * sum(map(os.path.getsize, weight_files(folder)))) + (128 << 20)


def measure(args, folder, arm):
    """{seconds, over_start, over_stays, peak, weights} of one load, or {why}."""
    how = ARMS[arm][1]
    other = "float32" if stored_dtype(folder) == "bfloat16" else "bfloat16"
    if isinstance(how, list):
        warm_memory(warm_bytes(folder, "OTHER" in how))
        r = run_json([args.plimsoll, "load", folder, "--json", "--quiet", "--memory", "none", "--threads",
                      str(args.threads)] + [other if word == "OTHER" else word for word in how])
        if r.rc != 0:
            return {"why": r.why}
        memory = r.json["memory"]
        return {"seconds": r.json["load"]["seconds"] + r.json.get("open_seconds", 0),
                "over_start": memory["peak"] - memory["rss_before"],
                "over_stays": memory["peak"] - memory["rss_after_load"], "peak": memory["peak"],
                "weights": r.json["memory_footprint"], "reader": r.json["load"]["reader"]}
    dtype = other if how.endswith("-cast") else stored_dtype(folder)
    r = run_json([args.python, os.path.abspath(__file__), "--child", how, "--folder", folder, "--dtype", dtype,
                  "--threads", str(args.threads)], timeout=600)
    return r.json if r.rc == 0 else {"why": r.why}


def measure_rounds(args, folder, arms, disk, cold):
    files = weight_files(folder)
    rounds = []
    for number_of_round in range(args.runs + 1):
        row = {}
        order = arms if number_of_round % 2 else arms[::-1]
        for arm in order:
            if rounds and "why" in rounds[0].get(arm, {}):
                continue  # it could not do it the first time
            make_cold(files) if cold else make_warm(folder)
            if arm in ("disk", "fio"):
                disk.warm_memory()
                rate = disk.once() if arm == "disk" else disk.fio()
                row[arm] = {"seconds": os.path.getsize(disk.file) / rate, "rate": rate}
            else:
                row[arm] = measure(args, folder, arm)
        rounds.append(row)
        print(f"  {'cold' if cold else 'warm'} round {number_of_round} of {args.runs}", file=sys.stderr, flush=True)
    return rounds


def summary(rounds, arm):
    counted = [r[arm] for r in rounds[1:] if arm in r]
    why = next((r[arm]["why"] for r in rounds if "why" in r.get(arm, {})), None)
    counted = [c for c in counted if "why" not in c]
    row = {"arm": arm, "why": why, "runs": len(counted)}
    for key in ("seconds", "over_start", "over_stays", "peak", "weights"):
        row[key] = median([c.get(key) for c in counted])
    row["of_disk"] = median([r["disk"]["seconds"] / r[arm]["seconds"] for r in rounds[1:]
                             if "disk" in r and "seconds" in r.get(arm, {})])
    row["all_seconds"] = [c["seconds"] for c in counted]
    return row


def report(title, rows):
    print(f"\n{title}")
    best = {}
    for row in rows:
        kind = ARMS.get(row["arm"], ("disk",))[0]
        if row["seconds"] and not row["arm"].startswith("plimsoll") and kind != "disk":
            best[kind] = min(best.get(kind, 1e9), row["seconds"])
    lines = []
    for row in rows:
        kind = ARMS.get(row["arm"], ("disk",))[0]
        if row["seconds"] is None:
            lines.append([row["arm"], kind, "-", "-", "-", "-", "-", "-", (row["why"] or "")[:60]])
            continue
        ours = row["arm"].startswith("plimsoll") and kind in best
        over_weights = row["peak"] - row["weights"] if row["peak"] else None
        lines.append([row["arm"], kind, number(row["seconds"]), number(row["of_disk"], "{:.2f}"),
                      number(best[kind] / row["seconds"], "{:.2f}") if ours else "-", mib(row["over_start"]),
                      mib(row["over_stays"]), mib(over_weights), ""])
    table(["arm", "kind", "seconds", "of disk", "x best peer", "over start", "over stays", "over weights", ""], lines)


def missing_peers(python):
    names = sorted(set(PEER_MODULES.values()) | {"torch"})
    r = run_json([python, "-c", "import importlib.util, json; print(json.dumps("
                                f"{{n: importlib.util.find_spec(n) is not None for n in {names!r}}}))"])
    have = r.json or {}
    return {peer for peer, module in PEER_MODULES.items() if not (have.get(module) and have.get("torch"))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    standard_options(parser)
    parser.add_argument("--states", default="cold,warm")
    parser.add_argument("--arms", help="only those whose name contains one of these words, separated by commas")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child, args.folder, args.dtype, args.threads)
    wanted = args.arms.split(",") if args.arms else [""]
    gone = missing_peers(args.python)
    chosen = [a for a in ARMS if any(w.lower() in a.lower() for w in wanted)]
    for arm in [a for a in chosen if isinstance(ARMS[a][1], str) and ARMS[a][1] in gone]:
        print(f"missing: {arm} ({PEER_MODULES[ARMS[arm][1]]} is not installed for {args.python})")
        chosen.remove(arm)
    result = {"machine": machine(), "runs": args.runs, "threads": args.threads, "results": []}
    for name in args.models.split(","):
        folder = checkpoint(args.plimsoll, args.folder, name)
        disk = Disk(args.bench_disk, largest_file(folder))
        extra = (["disk"] if disk.kind else []) + (["fio"] if disk.fio_program and disk.kind == "bench_disk" else [])
        print(f"{name}: disk limit by {disk.describe()}" + (
            " (bench_disk is not built: fio stands in)" if disk.kind == "fio" else ""), flush=True)
        for state in args.states.split(","):
            arms = (extra if state == "cold" else []) + chosen
            rounds = measure_rounds(args, folder, arms, disk, state == "cold")
            rows = [summary(rounds, arm) for arm in arms]
            report(f"{os.path.basename(name)}, {state}: medians of {args.runs}, sizes in MiB, {args.threads} threads",
                   rows)
            result["results"].append({"model": name, "state": state, "disk": {
                "kind": disk.kind, "block": disk.block, "depth": disk.depth, "sweep": disk.sweep}, "rows": rows})
            write_json(args.json, result)


if __name__ == "__main__":
    main()
