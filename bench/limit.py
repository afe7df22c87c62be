#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generating under real memory limits: seconds per token in control groups smaller than the model.

For each limit (a share of the model's files) a round measures, one after the other: the disk's own limit, Plimsoll
with everything in memory and no limit (its arithmetic), Plimsoll with --memory LIMIT in a group of exactly LIMIT,
llama.cpp (llama-bench, mmap) and Transformers + accelerate (disk offload) in a group of the same size.  Nothing of
the model is in the page cache before an arm.  Of Plimsoll and llama.cpp the first token does not count.

The bound is max(compute, (W - (L - 64 MiB - KV)) / disk): W the weights, L the limit.  Where reading takes more than
1.25 times as long as computing, `by` says "reading"; "equal" down to 0.8; else "compute".

    bench/limit.py --python VENV/bin/python --llama-bench PROGRAM [--gguf-folder DIR] [--json FILE]

Needs a memory control group that may be written (root).  Exit 1 where Plimsoll was killed, swapped, crossed its line
or failed; 77 where no group can be made."""
import argparse, json, os, sys, tempfile, time

from common import (Disk, Group, MiB, checkpoint, find_program, largest_file, machine, make_cold, median,
                    memory_hierarchy, number, run, run_json, standard_options, stored_dtype, table, warm_memory,
                    weight_files, write_json)

MARGIN = 64 * MiB
HERE = os.path.dirname(os.path.abspath(__file__))


# ---- Transformers + accelerate, in a child --------------------------------------------------------------------------

def accelerate_child(args):
    import torch
    import transformers
    from transformers import AutoModelForCausalLM
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(dir=args.offload) as offload:
        model = AutoModelForCausalLM.from_pretrained(args.models, dtype="auto", device_map="auto",
                                                     max_memory={"cpu": args.child}, offload_folder=offload)
        ids, stamps = torch.tensor([[464, 2003, 286, 955, 318]]), []

        class Stamper:
            def put(self, value):
                stamps.append(time.perf_counter())

            def end(self):
                pass

        with torch.inference_mode():
            model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=args.tokens,
                           min_new_tokens=args.tokens, do_sample=False, pad_token_id=0, streamer=Stamper())
        devices = sorted(map(str, set(getattr(model, "hf_device_map", {"": "cpu"}).values())))
    stamps = stamps[1:]  # the first is the prompt's
    print(json.dumps({"token": (stamps[-1] - stamps[0]) / (len(stamps) - 1), "devices": devices}))


# ---- arms -----------------------------------------------------------------------------------------------------------

def in_group(limit, argv, timeout):
    """The child's result in a group of its own, with what the group says; `why` where it failed."""
    group = Group(limit) if limit else None
    try:
        r = run_json(argv, group=group, timeout=timeout)
        row = {"exit": r.rc, "device_read": r.read}
        if group:
            row.update(group.report())
    finally:
        if group:
            group.remove()
    if row.get("oom_kill"):
        row["why"] = "killed: out of memory"
    elif r.rc != 0:
        row["why"] = r.why
    return r.json, row


def plimsoll(args, folder, limit):
    argv = [args.plimsoll, "run", folder, "--json", "--quiet", "--ignore-eos", "--prompt-tokens",
            "464,2003,286,955,318", "-n", str(args.tokens), "--threads", str(args.threads), "--memory",
            str(limit) if limit else "none"]
    report, row = in_group(limit, argv, args.timeout)
    if "why" in row:
        return row
    rate, memory, stream = report["timing"]["decode_tokens_per_s"], report["memory"], report.get("stream", {})
    row.update(token=1 / rate, peak=memory["peak"], predicted_peak=memory["predicted_peak"],
               kv=memory["categories"]["kv"]["peak"], weights=report["load"]["stored"],
               load=report["timing"]["load"], first_token=report["timing"]["first_token"], stream=stream,
               bytes_per_token=stream.get("used", 0) / max(1, stream.get("passes", 0)))
    row["crossed"] = bool(limit) and row["peak"] > limit
    return row


def llama_cpp(args, folder, limit):
    file = os.path.join(args.gguf_folder, os.path.basename(folder.rstrip("/")) + ".gguf")
    make_cold([file])
    argv = [args.llama_bench, "-m", file, "-p", "0", "-n", str(args.tokens), "-r", "1", "-t", str(args.threads), "-lm",
            "mmap", "-o", "jsonl"]
    report, row = in_group(limit, argv, args.timeout)
    if "why" not in row:
        row["token"] = 1 / report["avg_ts"]
        row["bytes_per_token"] = row["device_read"] / (args.tokens + 2)  # the load and the warm-up read it too
    return row


def accelerate(args, folder, limit):
    room = limit - args.accelerate_room
    if room <= 0:
        return {"why": f"the process alone needs {args.accelerate_room / MiB:.0f} MiB"}
    argv = [args.python, os.path.abspath(__file__), "--child", str(room), "--models", folder, "--tokens",
            str(args.tokens), "--threads", str(args.threads), "--offload", args.folder]
    report, row = in_group(limit, argv, args.timeout)
    if "why" not in row:
        row.update(report)
    return row


ARMS = {"plimsoll": plimsoll, "llama.cpp": llama_cpp, "accelerate": accelerate}


def one_round(args, folder, disk, share, arms, flip, failed):
    """One measurement of each arm and of the two speeds that the bound is made of."""
    files = weight_files(folder)
    size = sum(map(os.path.getsize, files))
    limit = int(share * size)
    row = {"limit": limit, "share": share}
    make_cold(files)
    if disk.kind:
        disk.warm_memory()
        row["disk"] = disk.once()
    warm_memory(size + 256 * MiB)
    row["in memory"] = plimsoll(args, folder, 0)
    for arm in arms[::-1] if flip else arms:
        if (arm, share) in failed:
            continue
        make_cold(files)
        warm_memory(min(limit, size) + 256 * MiB)
        row[arm] = ARMS[arm](args, folder, limit)
        if "why" in row[arm] and arm != "plimsoll":
            failed.add((arm, share))  # once is enough for a peer; ours is tried each time
    mine, compute = row.get("plimsoll", {}), row["in memory"].get("token")
    if disk.kind and compute and "token" in mine:
        reading = max(0, mine["weights"] - (limit - MARGIN - mine["kv"])) / row["disk"]
        row["compute"], row["reading"] = compute, reading
        row["bound"] = max(compute, reading)
        row["of_bound"] = row["bound"] / mine["token"]
    return row


# ---- telling --------------------------------------------------------------------------------------------------------

def summary(share, rounds):
    def m(get):
        return median([v for v in map(get, rounds) if v is not None])

    s = {"share": share, "limit": rounds[0]["limit"]}
    for key in ("disk", "compute", "reading", "bound", "of_bound"):
        s[key] = m(lambda r: r.get(key))
    for arm in ARMS:
        s[arm] = m(lambda r: r.get(arm, {}).get("token"))
        s[arm + " bytes"] = m(lambda r: r.get(arm, {}).get("bytes_per_token"))
        s[arm + " why"] = next((r[arm]["why"] for r in rounds if "why" in r.get(arm, {})), None)
        if arm != "plimsoll":
            s["x " + arm] = m(lambda r: r[arm]["token"] / r["plimsoll"]["token"]
                              if "token" in r.get(arm, {}) and "token" in r.get("plimsoll", {}) else None)
    mine = [r["plimsoll"] for r in rounds if "plimsoll" in r]
    s["peak"] = max((r.get("peak", 0) for r in mine), default=0)
    s["swap"] = max((r.get("swap", 0) for r in mine), default=0)
    s["killed"] = sum(1 for r in mine if r.get("oom_kill") or r.get("exit", 0) < 0)
    s["crossed"] = sum(1 for r in mine if r.get("crossed"))
    s["refused"] = sum(1 for r in mine if r.get("exit") == 3)
    s["failed"] = sum(1 for r in mine if r.get("exit") not in (0, 3) and not r.get("oom_kill"))
    s["limit_hits"] = m(lambda r: r.get("plimsoll", {}).get("limit_hits"))
    s["by"] = None
    if s["bound"]:
        balance = s["reading"] / s["compute"]
        s["by"] = "reading" if balance > 1.25 else "equal" if balance >= 0.8 else "compute"
    return s


def report(name, sums, runs):
    print(f"\n{name}: medians of {runs}; s/token; limits and peaks in MiB; MB read per token; disk in GB/s")
    rows = []
    for s in sums:
        state = "; ".join([f"{s[k]} {k}" for k in ("killed", "crossed", "refused", "failed") if s[k]] +
                          ([f"swapped {s['swap']}"] if s["swap"] else [])) or "held"
        rows.append([f"{s['share']:.2f}", f"{s['limit'] / MiB:.0f}", number(s["peak"] / MiB, "{:.0f}"), state,
                     number(s["plimsoll"]), number((s["plimsoll bytes"] or 0) / 1e6, "{:.0f}"),
                     number(s["disk"] and s["disk"] / 1e9, "{:.2f}"), number(s["compute"]), number(s["bound"]),
                     s["by"] or "-", number(s["of_bound"], "{:.2f}"), number(s["llama.cpp"]),
                     number(s["x llama.cpp"], "{:.2f}"), number(s["accelerate"]), number(s["x accelerate"], "{:.2f}")])
    table(["share", "limit", "peak", "line", "plimsoll", "MB", "disk", "compute", "bound", "by", "of bound",
           "llama.cpp", "times", "accelerate", "times"], rows)
    for arm in ARMS:
        for s in sums:
            if s[arm + " why"]:
                print(f"  {arm} at {s['share']:.2f}: {s[arm + ' why'][:160]}")
    sys.stdout.flush()


def arms_here(args, folder):
    arms = ["plimsoll"]
    file = os.path.join(args.gguf_folder, os.path.basename(folder.rstrip("/")) + ".gguf")
    if not find_program(args.llama_bench):
        print("missing: llama.cpp (--llama-bench PROGRAM)")
    elif not os.path.exists(file) and not run([args.python, os.path.join(HERE, "make_gguf.py"), folder, file]).out:
        print(f"missing: {file}, and bench/make_gguf.py could not write it (numpy and gguf in {args.python}?)")
    else:
        arms.append("llama.cpp")
    check = run_json([args.python, "-c", "import accelerate, transformers; print(1)"])
    if check.rc == 0:
        arms.append("accelerate")
    else:
        print(f"missing: accelerate, transformers in {args.python}")
    return arms


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    standard_options(parser)
    parser.add_argument("--llama-bench", default="llama-bench", help="llama.cpp's program")
    parser.add_argument("--gguf-folder", help="where NAME.gguf are, or are written (default: --folder)")
    parser.add_argument("--limits", default="1.05,1.0,0.75,0.5,0.25", help="shares of the size of the model's files")
    parser.add_argument("--tokens", type=int, default=9, help="new tokens, the first uncounted")
    parser.add_argument("--arms", help="only these, separated by commas (plimsoll, llama.cpp, accelerate)")
    parser.add_argument("--accelerate-room", type=int, default=700 * MiB,
                        help="bytes of the limit that max_memory leaves to Python, torch and a layer")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one child")
    parser.add_argument("--offload", help=argparse.SUPPRESS)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return accelerate_child(args)
    args.gguf_folder = args.gguf_folder or args.folder
    try:
        Group(1 << 30).remove()
    except OSError as error:
        print(f"SKIPPED: no memory control group can be made here ({error}); nothing was measured", file=sys.stderr)
        return 77
    result = {"machine": machine(), "runs": args.runs, "group": "v2" if memory_hierarchy()[0] else "v1", "results": []}
    bad = 0
    for name in args.models.split(","):
        folder = checkpoint(args.plimsoll, args.folder, name)
        arms = [a for a in arms_here(args, folder) if not args.arms or a in args.arms.split(",")]
        disk = Disk(args.bench_disk, largest_file(folder))
        print(f"{name} ({stored_dtype(folder)}): disk limit by {disk.describe()}", flush=True)
        shares, failed = [float(s) for s in args.limits.split(",")], set()
        rounds = {share: [] for share in shares}
        for i in range(args.runs):
            for share in shares:
                rounds[share].append(one_round(args, folder, disk, share, arms, i % 2, failed))
            print(f"  round {i + 1} of {args.runs}", file=sys.stderr, flush=True)
        sums = [summary(share, rounds[share]) for share in shares]
        report(os.path.basename(folder.rstrip("/")), sums, args.runs)
        bad += sum(bool(s["killed"] or s["crossed"] or s["failed"] or s["refused"] or s["swap"]) for s in sums)
        result["results"].append({"model": name, "disk": disk.describe(), "sweep": disk.sweep, "summary": sums,
                                  "rounds": [r for share in shares for r in rounds[share]]})
        write_json(args.json, result)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
