#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions of one decode step, counted by callgrind at the AVX2 level (it knows no AVX-512) on one thread, beside
those that were recorded in bench/instructions.json.  A count is the same on every machine, unlike a time; another
compiler gives other counts.

    bench/instructions.py [--decode-step build/release/bench/decode_step] [--record] [--allowed PERCENT]

One step is a run of two new tokens less a run of one.  Exit 1 where a count went up by more than is allowed, 77 where
valgrind is missing or the compiler is not the one of the record."""
import argparse, json, os, re, shutil, subprocess, sys, tempfile

from common import table

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "instructions.json")
DTYPES = ["float32", "bfloat16", "int8", "int4"]
SYNTH = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 2048, "hidden_size": 256,
         "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
         "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "max_position_embeddings": 2048,
         "bos_token_id": 1, "eos_token_id": 2}


def models(plimsoll, folder):
    yield "shakespeare-1.7m", os.path.join(HERE, "..", "models", "shakespeare-1.7m")
    config = os.path.join(folder, "config.json")
    with open(config, "w") as f:
        json.dump(SYNTH, f)
    out = os.path.join(folder, "model")
    subprocess.run([plimsoll, "synth", config, out, "--dtype", "bfloat16", "--quiet"], check=True,
                   stdout=subprocess.DEVNULL)
    yield "llama-3m", out


def count(program, folder, dtype, steps):
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, folder, dtype,
                           str(steps)], capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise SystemExit(f"{program} {folder} {dtype}: {done.stderr.strip().splitlines()[-1:]}")
    if not done.stdout.startswith("avx2"):
        raise SystemExit(f"the kernels were {done.stdout.split()[0]}, want avx2")
    return int(found[1])


def compiler(program):
    """As the program's own notes name it."""
    out = subprocess.run(["readelf", "-p", ".comment", program], capture_output=True, text=True).stdout
    found = re.findall(r"(GCC: .*|clang version .*|Debian clang .*)", out)
    return found[0].strip() if found else "?"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plimsoll", default="build/release/plimsoll")
    parser.add_argument("--decode-step", default="build/release/bench/decode_step")
    parser.add_argument("--record", action="store_true", help="write bench/instructions.json")
    parser.add_argument("--allowed", type=float, default=3.0, help="percent more than recorded (3)")
    args = parser.parse_args()
    if not shutil.which("valgrind"):
        print("skipped: valgrind is not installed")
        return 77
    recorded = json.load(open(RECORD)) if os.path.exists(RECORD) else {"compiler": None, "steps": {}}
    now, rows, worse = {"compiler": compiler(args.decode_step), "steps": {}}, [], 0
    with tempfile.TemporaryDirectory() as folder:
        for name, path in models(args.plimsoll, folder):
            for dtype in DTYPES:
                step = count(args.decode_step, path, dtype, 2) - count(args.decode_step, path, dtype, 1)
                key = f"{name} {dtype}"
                now["steps"][key] = step
                before = recorded["steps"].get(key)
                change = None if before is None else 100 * (step / before - 1)
                worse += change is not None and change > args.allowed
                rows.append([key, step, "-" if before is None else before, "-" if change is None else f"{change:+.2f} %"])
    table(["instructions of one step", "now", "recorded", ""], rows)
    if args.record:
        with open(RECORD, "w") as f:
            json.dump(now, f, indent=1)
            f.write("\n")
        return 0
    if now["compiler"] != recorded["compiler"]:
        print(f"built by {now['compiler']}, recorded with {recorded['compiler']}: nothing to compare")
        return 77
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
