#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plimsoll beside Transformers on this machine: load (cold and warm), time to first token, decode speed.

Both arms run as fresh processes with the same number of threads, interleaved; medians and their ratio are printed.
A load is timed from the call to every byte resident, imports excluded: Plimsoll populates what it maps; for
Transformers every page of every parameter is touched after from_pretrained, and mincore confirms both.

    bench/beside_transformers.py --plimsoll build/release/plimsoll [--runs 7] [--models gpt2-medium,llama-1b] [--folder DIR]

Needs torch and transformers (5.23 was used) in the Python that runs it.
"""
import argparse, json, os, shutil, statistics, subprocess, sys, tempfile

MODELS = {
    "gpt2-medium": ("float32", {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 1024,
                                "n_layer": 24, "n_head": 16, "vocab_size": 50257, "n_positions": 1024}),
    "llama-1b": ("bfloat16", {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 128256,
                              "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                              "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
                              "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": True,
                              "max_position_embeddings": 131072, "bos_token_id": 1, "eos_token_id": 2}),
}
PROMPT = [464, 2003, 286, 955, 318]  # any five ids will do
NEW_TOKENS = 33


def warm_up(folder):
    """Load and run a tiny model of the same type, so that no lazy import or first use counts."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    config = AutoConfig.from_pretrained(folder)
    sizes = {"n_embd": 64, "n_layer": 1, "n_head": 2, "hidden_size": 64, "intermediate_size": 64,
             "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32,
             "vocab_size": 3000}
    for key, value in sizes.items():
        if hasattr(config, key):
            setattr(config, key, value)
    with tempfile.TemporaryDirectory() as tiny:
        AutoModelForCausalLM.from_config(config).save_pretrained(tiny)
        model = AutoModelForCausalLM.from_pretrained(tiny, dtype="auto", device_map="cpu", low_cpu_mem_usage=True)
        ids = torch.tensor([PROMPT])
        with torch.inference_mode():
            model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=2, pad_token_id=0)


def transformers_arm(folder, threads, what):
    """Runs in a child of its own; prints one JSON object."""
    import ctypes, mmap, time
    import numpy as np
    import torch
    import transformers
    from transformers import AutoModelForCausalLM
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(threads)
    warm_up(folder)
    start = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", device_map="cpu", low_cpu_mem_usage=True)
    if what == "load":
        page, checksum = mmap.PAGESIZE, 0
        for parameter in model.parameters():
            flat = parameter.detach().view(-1).view(torch.uint8).numpy()
            checksum += int(flat[::page].sum(dtype=np.int64))
        seconds = time.perf_counter() - start
        libc, resident, total = ctypes.CDLL(None, use_errno=True), 0, 0
        for parameter in model.parameters():
            base, size = parameter.data_ptr() & ~(page - 1), parameter.numel() * parameter.element_size()
            pages = (parameter.data_ptr() + size - base + page - 1) // page
            vec = (ctypes.c_ubyte * pages)()
            if libc.mincore(ctypes.c_void_p(base), ctypes.c_size_t(pages * page), vec) == 0:
                resident += sum(v & 1 for v in vec)
                total += pages
        assert resident == total, f"{total - resident} pages are not resident"
        print(json.dumps({"seconds": seconds}))
        return
    stamps = []

    class Stamper:
        def put(self, value):
            stamps.append(time.perf_counter())

        def end(self):
            pass

    new = 1 if what == "first" else NEW_TOKENS
    ids = torch.tensor([PROMPT])
    with torch.inference_mode():
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new,
                       do_sample=False, pad_token_id=0, streamer=Stamper())
    stamps = stamps[1:]  # the first is the prompt's
    assert len(stamps) == new
    if what == "first":
        print(json.dumps({"seconds": stamps[0] - start}))
    else:
        print(json.dumps({"seconds": (stamps[-1] - stamps[0]) / (len(stamps) - 1)}))


def plimsoll_arm(program, folder, threads, what):
    if what == "load":
        out = subprocess.run([program, "load", folder, "--json", "--quiet", "--threads", str(threads)],
                             check=True, capture_output=True, text=True).stdout
        report = json.loads(out)
        assert report["memory"]["rss_after_load"] >= report["load"]["stored"], "not every byte is resident"
        return report["load"]["seconds"] + report.get("timing", {}).get("open", 0)
    new = 1 if what == "first" else NEW_TOKENS
    out = subprocess.run([program, "run", folder, "--json", "--quiet", "--threads", str(threads), "--ignore-eos",
                          "--prompt-tokens", ",".join(map(str, PROMPT)), "-n", str(new)],
                         check=True, capture_output=True, text=True).stdout
    timing = json.loads(out)["timing"]
    if what == "first":
        return timing["open"] + timing["load"] + timing["first_token"]
    return 1 / timing["decode_tokens_per_s"]


def drop_cache(folder):
    os.sync()
    for name in os.listdir(folder):
        fd = os.open(os.path.join(folder, name), os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def warm_cache(folder):
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            while f.read(1 << 24):
                pass


def measure(args, folder, what, cold):
    arms = {"plimsoll": [], "transformers": []}
    for run in range(args.runs + 1):  # the first is not counted
        order = list(arms) if run % 2 else list(arms)[::-1]
        for arm in order:
            (drop_cache if cold else warm_cache)(folder)
            if arm == "plimsoll":
                seconds = plimsoll_arm(args.plimsoll, folder, args.threads, what)
            else:
                child = [sys.executable, os.path.abspath(__file__), "--child", what, "--folder", folder, "--threads",
                         str(args.threads)]
                seconds = json.loads(subprocess.run(child, check=True, capture_output=True, text=True,
                                                    env={**os.environ, "HF_HUB_OFFLINE": "1"}).stdout)["seconds"]
            if run:
                arms[arm].append(seconds)
    return {arm: statistics.median(seconds) for arm, seconds in arms.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plimsoll", default="build/release/plimsoll")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--what", default="load-cold,load-warm,first-warm,decode-warm")
    parser.add_argument("--folder", help="where the checkpoints are written (4 GB); default: a temporary folder")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return transformers_arm(args.folder, args.threads, args.child)
    top = args.folder or tempfile.mkdtemp(prefix="plimsoll-bench-")
    print(f"{args.threads} threads, medians of {args.runs}, seconds (decode: per token)")
    print(f"{'model':14}{'what':14}{'plimsoll':>10}{'transformers':>14}{'times faster':>14}")
    try:
        for name in args.models.split(","):
            dtype, config = MODELS[name]
            folder = os.path.join(top, name)
            if not os.path.exists(os.path.join(folder, "config.json")):
                path = os.path.join(top, name + ".json")
                os.makedirs(top, exist_ok=True)
                with open(path, "w") as f:
                    json.dump(config, f)
                subprocess.run([args.plimsoll, "synth", path, folder, "--dtype", dtype, "--quiet"], check=True)
            for item in args.what.split(","):
                what, _, state = item.partition("-")
                r = measure(args, folder, what, state == "cold")
                print(f"{name:14}{item:14}{r['plimsoll']:10.4f}{r['transformers']:14.4f}"
                      f"{r['transformers'] / r['plimsoll']:14.2f}", flush=True)
    finally:
        if not args.folder:
            shutil.rmtree(top)


if __name__ == "__main__":
    main()
