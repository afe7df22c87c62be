#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Predicted against measured: peaks of memory, and seconds per token, over types, readers, limits and contexts.

Each cell is one `plimsoll run` whose prompt and new tokens fill the context to its end.  Its peak (VmHWM) must be
within 2 % or 8 MiB, the larger, of what was predicted before the load; its seconds per token (the first not counted)
within 20 % of what `plimsoll plan` says after `plan --probe`.  A refusal (exit 3) counts as such, and must come
before anything is loaded: the process stays small.  Limits are shares of the weights in the type of the run.

    bench/predict.py [--plimsoll build/release/plimsoll] [--folder DIR] [--json FILE]
    bench/predict.py --quick MODEL [--no-refusals]    a small model, for the test suite: peaks only, within 2 % or
                                                      2 MiB; limits are shares of the weights plus what else a run
                                                      of it takes

Cells are as many as the lists below multiply to; a context of 4096 is long work: choose with --contexts and the like.
Exit 1 where a cell misses (seconds are told, and count only with --strict-seconds)."""
import argparse, json, os, random, sys

from common import (MiB, checkpoint, machine, make_cold, number, run_json, standard_options, table, warm_memory,
                    weight_files, write_json)

DTYPES = "auto,bfloat16,float32"
READERS = "auto,map,buffered,direct"
LIMITS = "none,1.05,0.75,0.5,0.25"
CONTEXTS = "64,4096"
SMALL_REFUSAL = 64 * MiB


def planned(args, folder, options):
    """What the plan says; a plan that does not fit says it all the same."""
    return run_json([args.plimsoll, "plan", folder, "--json", "--quiet"] + options).json or {}


def weights_in(args, folder, dtype, context):
    """In the type of the run, and the peak when all of them stay."""
    plan = planned(args, folder, ["--dtype", dtype, "--memory", "none", "--context", str(context)])
    if not plan.get("tensors"):
        raise SystemExit(f"{folder}: plimsoll plan failed")
    return sum(t["bytes"] for t in plan["tensors"] if "tied_to" not in t), plan["memory"]["predicted_peak"]


def tolerance(args, predicted):
    return max(0.02 * predicted, (2 if args.quick else 8) * MiB)


def cell(args, folder, vocabulary, dtype, reader, limit, context, new):
    """One row: what was predicted, what was measured, and what is wrong with it."""
    options = ["--dtype", dtype, "--reader", reader, "--memory", "none" if limit is None else str(limit), "--context",
               str(context), "--threads", str(args.threads)]
    plan = planned(args, folder, options)
    ids = random.Random(1)
    prompt = ",".join(str(ids.randrange(3, vocabulary)) for _ in range(context - new))
    r = run_json([args.plimsoll, "run", folder, "--json", "--quiet", "--ignore-eos", "--prompt-tokens", prompt, "-n",
                  str(new)] + options, timeout=args.timeout)
    row = {"dtype": dtype, "reader": reader, "limit": limit, "context": context, "exit": r.rc,
           "plan_fits": plan.get("fits"), "seconds": r.seconds, "wrong": []}
    if r.rc == 3:
        row["result"] = "refused"
        if r.peak > SMALL_REFUSAL:
            row["wrong"].append(f"refused, but only after {r.peak / MiB:.0f} MiB were in memory")
        if plan.get("fits"):
            row["wrong"].append("refused, but the plan said that it fits")
        if args.no_refusals:
            row["wrong"].append(r.why)
        return row
    if r.rc != 0:
        row["result"] = "failed"
        row["wrong"].append(r.why)
        return row
    memory, timing = r.json["memory"], r.json["timing"]
    row.update(result="ran", predicted=memory["predicted_peak"], peak=memory["peak"],
               used_reader=r.json["load"]["reader"], planned=plan.get("memory", {}).get("predicted_peak"),
               token_measured=1 / timing["decode_tokens_per_s"] if timing["decode_tokens_per_s"] else None,
               token_predicted=(plan.get("seconds") or {}).get("token"), load_measured=timing["load"],
               load_predicted=(plan.get("seconds") or {}).get("load"))
    if len(r.json["prompt_tokens"]) + len(r.json["tokens"]) != context:
        row["wrong"].append("the context was not filled")
    if plan.get("fits") is False:
        row["wrong"].append("ran, but the plan said that it does not fit")
    if abs(row["peak"] - row["predicted"]) > tolerance(args, row["predicted"]):
        row["wrong"].append(f"peak {(row['peak'] - row['predicted']) / MiB:+.1f} MiB from the prediction")
    if limit is not None and row["peak"] > limit:
        row["wrong"].append("crossed its line")
    if row["planned"] and abs(row["planned"] - row["predicted"]) > tolerance(args, row["predicted"]):
        row["wrong"].append("plan and run predict differently")
    if row["token_predicted"] and row["token_measured"]:
        row["token_error"] = row["token_predicted"] / row["token_measured"] - 1
        if args.strict_seconds and abs(row["token_error"]) > 0.2:
            row["wrong"].append("seconds per token")
    return row


def line_of(row):
    error = row["peak"] - row["predicted"] if "peak" in row else None
    return [row["dtype"], row["reader"] + (f" ({row['used_reader']})" if row.get("used_reader") else ""),
            row["share"], row["context"], row["result"],
            number(row.get("predicted") and row["predicted"] / MiB, "{:.1f}"),
            number(row.get("peak") and row["peak"] / MiB, "{:.1f}"),
            number(error if error is None else error / MiB, "{:+.2f}"),
            number(row.get("token_predicted")), number(row.get("token_measured")),
            number(row["token_error"] * 100 if "token_error" in row else None, "{:+.0f} %"),
            "; ".join(row["wrong"])[:70]]


HEAD = ["dtype", "reader", "limit", "context", "result", "predicted", "peak", "off", "s/token pred.", "measured", "off",
        ""]


def matrix(args, name, folder):
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    vocabulary = config.get("vocab_size", 50257)  # GPT-2's, where it goes without saying
    most = config.get("n_positions") or config.get("max_position_embeddings") or 1024
    if args.probe:
        probe = run_json([args.plimsoll, "plan", folder, "--probe", "--json", "--quiet"])
        if probe.rc not in (0, 3):
            print(f"  plan --probe: {probe.why} (seconds are not predicted)")
    rows, size = [], sum(map(os.path.getsize, weight_files(folder)))
    for context in sorted({min(int(c), most) for c in args.contexts.split(",")}):
        new = args.tokens if context < 1024 else max(2, args.tokens // 2)
        for dtype in args.dtypes.split(","):
            weights, whole = weights_in(args, folder, dtype, context)
            for share in args.limits.split(","):
                limit = None if share == "none" else int(float(share) * weights) + (whole - weights) * bool(args.quick)
                for reader in args.readers.split(","):
                    if not args.quick:
                        make_cold(weight_files(folder))
                        warm_memory(max(size, weights) + 256 * MiB)
                    row = cell(args, folder, vocabulary, dtype, reader, limit, context, new)
                    row.update(model=name, share=share)
                    rows.append(row)
                    if not args.quick:
                        print("  " + " ".join(map(str, line_of(row))), file=sys.stderr, flush=True)
    return rows


def report(args, name, rows):
    print(f"\n{name}: MiB, seconds per token")
    table(HEAD, [line_of(r) for r in rows])
    ran = [r for r in rows if r["result"] == "ran"]
    if ran:
        worst = max(ran, key=lambda r: abs(r["peak"] - r["predicted"]) / tolerance(args, r["predicted"]))
        off = worst["peak"] - worst["predicted"]
        print(f"worst peak: {off / MiB:+.2f} MiB of {worst['predicted'] / MiB:.1f} ({off / worst['predicted']:+.2%}), "
              f"{abs(off) / tolerance(args, worst['predicted']):.2f} of what is allowed: {worst['dtype']}, "
              f"{worst['reader']}, limit {worst['share']}, context {worst['context']}")
    timed = [r for r in ran if r.get("token_error") is not None]
    if timed:
        worst = max(timed, key=lambda r: abs(r["token_error"]))
        print(f"worst seconds per token: {worst['token_error']:+.0%} (20 % allowed): {worst['dtype']}, "
              f"{worst['reader']}, limit {worst['share']}, context {worst['context']}; beyond 20 %: "
              f"{sum(abs(r['token_error']) > 0.2 for r in timed)} of {len(timed)}")
    else:
        print("seconds per token: not predicted")
    print(f"{len(rows)} cells: {len(ran)} ran, {sum(r['result'] == 'refused' for r in rows)} refused, "
          f"{sum(bool(r['wrong']) for r in rows)} wrong", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    standard_options(parser)
    parser.add_argument("--dtypes", default=DTYPES)
    parser.add_argument("--readers", default=READERS)
    parser.add_argument("--limits", default=LIMITS, help="shares of the weights, or none")
    parser.add_argument("--contexts", default=CONTEXTS, help="cut to what the model has")
    parser.add_argument("--tokens", type=int, default=8, help="new tokens (half as many for a long context)")
    parser.add_argument("--timeout", type=float, default=1800)
    parser.add_argument("--no-probe", dest="probe", action="store_false")
    parser.add_argument("--strict-seconds", action="store_true", help="seconds beyond 20 %% count as wrong")
    parser.add_argument("--no-refusals", action="store_true", help="a refusal is wrong")
    parser.add_argument("--quick", metavar="MODEL", help="this folder only, contexts of 64, no probe")
    args = parser.parse_args()
    if args.quick:
        args.models, args.probe, args.contexts = args.quick, False, "64"
    result, bad = {"machine": machine(), "cells": []}, 0
    for name in args.models.split(","):
        rows = matrix(args, name, checkpoint(args.plimsoll, args.folder, name))
        report(args, os.path.basename(name.rstrip("/")), rows)
        bad += sum(bool(r["wrong"]) for r in rows)
        result["cells"] += rows
        write_json(args.json, result)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
