#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Encoding, decoding and loading beside Hugging Face tokenizers, on one thread, in the same run: first one, then the
other, medians of rounds.

Text: what corpus.py finds on this system, 10 MB of prose and of source code that does not repeat (Chinese and Japanese
besides), cut into documents of 64 KB; and the first megabyte of the prose as one document.  Seconds are those of the
thread's processor time; the program is timed inside C, and begins each pass with an empty scratch.  The package gets
the better of encode and encode_batch_fast, and keeps its cache of words.  Ids and decoded texts are compared first.

Load: tokenizer.json of a vocabulary of 150,000 and a synthetic one of Gemma's kind (tools/tokenizer/gemma_like.py), in
fresh processes: seconds of opening, memory that stays (RssAnon) and peak (VmHWM), both over the process before.
(Not called tokenize.py: Python has a module of that name, which the other scripts here would find in this folder.)"""
import argparse, array, json, os, subprocess, sys, tempfile, time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../tools/tokenizer"))
import corpus
from common import MiB, machine, median, mib, number, proc_field, run_json, table

SHARED = os.path.join(HERE, "../../shared/data/tokenizers")
DOCUMENT = 64 * 1024


class Driver:
    """tok_driver FOLDER --bench"""

    def __init__(self, program, folder):
        self.child = subprocess.Popen([program, folder, "--bench"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)

    def ask(self, command):
        """(processor seconds, seconds, count)"""
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line or line.startswith("error"):
            raise RuntimeError(f"{command}: {line.strip() or 'the program ended'}")
        cpu, wall, count = line.split()
        return float(cpu), float(wall), int(count)

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def timed(call, items):
    cpu, wall = time.thread_time(), time.perf_counter()
    for item in items:
        call(item)
    return time.thread_time() - cpu, time.perf_counter() - wall


class Text:
    """Documents in memory, and in files for the driver."""

    def __init__(self, name, documents, folder, share):
        self.name, self.share = name, share
        self.bytes = sum(map(len, documents))
        self.strings = [d.decode() for d in documents]
        self.file, self.lengths = os.path.join(folder, name + ".txt"), os.path.join(folder, name + ".lengths")
        with open(self.file, "wb") as f:
            f.write(b"".join(documents))
        with open(self.lengths, "w") as f:
            f.write("\n".join(str(len(d)) for d in documents) + "\n")


def texts(args, folder):
    out = []
    for kind in args.texts.split(","):
        if kind == "whole":
            continue
        data, share = corpus.gather(kind, args.bytes)
        if len(data) < min(args.bytes, 1 << 20) // 2:
            print(f"{kind}: only {len(data)} bytes on this system; the packages are named in bench/corpus.py")
            continue
        out.append(Text(kind, corpus.documents(data, DOCUMENT), folder, share))
        if kind == "prose" and "whole" in args.texts:
            whole = corpus.documents(data[:2 * MiB], MiB)[0]
            out.append(Text("whole", [whole], folder, share))
        print(f"{kind}: {len(data) / 1e6:.1f} MB; {share:.2%} of its windows of 1 KiB came before")
    return out


def compare_ids(driver, tokenizer, text, folder):
    """Both sides' ids and decoded texts; the ids for decoding.  Tells the first document that differs."""
    path = os.path.join(folder, "out")
    driver.ask(f"ids {path}")
    have = array.array("i")
    with open(path, "rb") as f:
        have.frombytes(f.read())
    want = [tokenizer.encode(s, add_special_tokens=False).ids for s in text.strings]
    at, wrong = 0, 0
    for ids in want:
        wrong += have[at:at + len(ids)].tolist() != ids
        at += len(ids)
    wrong += at != len(have)
    driver.ask(f"decoded {path}")
    with open(path, "rb") as f:
        decoded = f.read()
    same = decoded == "".join(tokenizer.decode(ids, skip_special_tokens=False) for ids in want).encode()
    return want, wrong, same


def measure(args, tokenizer, driver, text, folder):
    driver.ask(f"text {text.file} {text.lengths}")
    ids, wrong, same = compare_ids(driver, tokenizer, text, folder)
    result = {"text": text.name, "bytes": text.bytes, "ids": sum(map(len, ids)), "documents_that_differ": wrong,
              "decoded_same": same, "rounds": []}
    ways = {"encode": lambda s: tokenizer.encode(s, add_special_tokens=False),
            "encode_batch_fast": lambda s: tokenizer.encode_batch_fast([s], add_special_tokens=False)}
    best = min(ways, key=lambda w: timed(ways[w], text.strings[:max(1, len(text.strings) // 4)])[0])
    result["package_call"] = best
    for i in range(args.rounds):
        r = {}

        def ours():
            r["encode"], r["encode_wall"], _ = driver.ask("encode")
            r["decode"], r["decode_wall"], r["decoded_bytes"] = driver.ask("decode")

        def theirs():
            r["package_encode"], r["package_encode_wall"] = timed(ways[best], text.strings)
            r["package_decode"], r["package_decode_wall"] = timed(
                lambda x: tokenizer.decode(x, skip_special_tokens=False), ids)

        for side in ((ours, theirs) if i % 2 else (theirs, ours)):
            side()
        result["rounds"].append(r)
    for what in ("encode", "decode"):
        result[what] = median([text.bytes / 1e6 / r[what] for r in result["rounds"]])
        result["package_" + what] = median([text.bytes / 1e6 / r["package_" + what] for r in result["rounds"]])
        result[what + "_ratio"] = median([r["package_" + what] / r[what] for r in result["rounds"]])
    return result


def speeds(args, folder):
    from compare import open_folder
    results = []
    material = texts(args, folder)
    head = ["tokenizer", "text", "encode MB/s", "package", "ratio", "decode MB/s", "package", "ratio", ""]
    for path in args.tokenizers.split(","):
        where = path if os.path.isdir(path) else os.path.join(args.shared, path)
        name = os.path.basename(os.path.normpath(where))
        try:
            tokenizer, driver = open_folder(where), Driver(args.driver, where)
            rows = []
            for text in material:
                r = measure(args, tokenizer, driver, text, folder)
                results.append({"tokenizer": name, **r})
                note = ("" if not r["documents_that_differ"] else f"{r['documents_that_differ']} documents DIFFER ") + (
                    "" if r["decoded_same"] else "decoded DIFFERS")
                rows.append([name, text.name] + [f"{r[k]:.1f}" for k in (
                    "encode", "package_encode", "encode_ratio", "decode", "package_decode", "decode_ratio")] + [note])
            driver.close()
            table(head, rows)
        except (RuntimeError, BrokenPipeError, OSError) as e:
            print(f"{name}: {e}")
            results.append({"tokenizer": name, "error": str(e)})
    counted = [r for r in results if r.get("text") in ("prose", "source")]
    for what in ("encode", "decode"):
        if counted:
            worst = min(counted, key=lambda r: r[what + "_ratio"])
            slowest = min(counted, key=lambda r: r[what])
            print(f"{what}: worst ratio {worst[what + '_ratio']:.1f} ({worst['tokenizer']}, {worst['text']}), slowest "
                  f"{slowest[what]:.1f} MB/s ({slowest['tokenizer']}, {slowest['text']})")
    return results


# ---- loading --------------------------------------------------------------------------------------------------------

def child_open(path):
    """Runs in a process of its own: how long the package takes, and its memory."""
    from tokenizers import Tokenizer
    status = "/proc/self/status"
    before, anon = proc_field(status, "VmRSS"), proc_field(status, "RssAnon")
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    cpu, wall = time.process_time(), time.perf_counter()
    tokenizer = Tokenizer.from_file(path)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"cpu": cpu, "wall": wall, "rss_before": before, "anon_before": anon,
        "rss": proc_field(status, "VmRSS"),
                      "anon": proc_field(status, "RssAnon"), "peak": proc_field(status, "VmHWM"),
                      "size": tokenizer.get_vocab_size()}))


def loads(args, folder):
    gemma = os.path.join(args.folder or folder, "gemma-like")
    if not os.path.exists(os.path.join(gemma, "tokenizer.json")):
        os.makedirs(gemma, exist_ok=True)
        subprocess.run([sys.executable, os.path.join(HERE, "../tools/tokenizer/gemma_like.py"),
                        os.path.join(gemma, "tokenizer.json")], check=True)
    results, rows = [], []
    for where in (os.path.join(args.shared, "qwen2"), gemma):
        path = os.path.join(where, "tokenizer.json")
        if not os.path.exists(path):
            print(f"{path} is not there")
            continue
        runs = {"ours": [], "package": []}
        for i in range(args.rounds):
            for side in (("ours", "package") if i % 2 else ("package", "ours")):
                argv = ([args.driver, where, "--open"] if side == "ours" else
                        [sys.executable, os.path.abspath(__file__), "--child-open", path])
                r = run_json(argv)
                if r.rc:
                    print(f"{where}: {side}: {r.why}")
                else:
                    runs[side].append(r.json)
        if not runs["ours"] or not runs["package"]:
            results.append({"file": path, "error": "does not open"})
            continue
        of = {side: {"seconds": median([r["cpu"] for r in rs]), "wall": median([r["wall"] for r in rs]),
                     "stays": median([r["anon"] - r["anon_before"] for r in rs]),
                     "peak": median([r["peak"] - r["rss_before"] for r in rs]),
                     "process_peak": median([r["peak"] for r in rs]), "held": median([r.get("held") for r in rs])}
              for side, rs in runs.items()}
        ratio = of["package"]["seconds"] / of["ours"]["seconds"]
        results.append({"file": path, "bytes": os.path.getsize(path), "runs": runs, "medians": of, "ratio": ratio})
        for side, label in (("ours", "plimsoll"), ("package", "tokenizers")):
            m = of[side]
            rows.append([os.path.basename(where), label, f"{1e3 * m['seconds']:.1f}", f"{1e3 * m['wall']:.1f}",
                mib(m["stays"]),
                         mib(m["peak"]), mib(m["process_peak"]), mib(m["held"]),
                         number(ratio if side == "ours" else None, "{:.1f}")])
    table(["load", "", "ms (cpu)", "ms", "stays MiB", "peak MiB", "process MiB", "allocated MiB", "ratio"], rows)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", default="build/release/tests/tokenizer/tok_driver")
    parser.add_argument("--shared", default=SHARED, help="folder of real tokenizers")
    parser.add_argument("--tokenizers", default="gpt2,qwen2,phi2,phi3,falcon,whisper,smollm2",
        help="names in it, or folders")
    parser.add_argument("--texts", default="prose,source,chinese,japanese,whole")
    parser.add_argument("--bytes", type=int, default=10500000, help="of each text")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="2 MB, 3 rounds")
    parser.add_argument("--only", choices=["speed", "load"])
    parser.add_argument("--folder", help="keeps the synthetic file")
    parser.add_argument("--json")
    parser.add_argument("--child-open", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child_open:
        return child_open(args.child_open)
    if args.quick:
        args.bytes, args.rounds = min(args.bytes, 2000000), min(args.rounds, 3)
    import tokenizers
    result = {"machine": machine(), "tokenizers": tokenizers.__version__, "rounds": args.rounds}
    print(f"tokenizers {tokenizers.__version__}, one thread, processor time, medians of {args.rounds}")
    with tempfile.TemporaryDirectory(prefix="plimsoll-bench-") as folder:
        if args.only != "load":
            result["speed"] = speeds(args, folder)
        if args.only != "speed":
            result["load"] = loads(args, folder)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(result, f, indent=1)


if __name__ == "__main__":
    main()
