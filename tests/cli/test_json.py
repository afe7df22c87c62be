# SPDX-License-Identifier: Apache-2.0
"""--json: exactly one object, with the fields that other programs rely on, and with figures that hang together."""
import json
import os
import shutil
from pathlib import Path

from program import MODEL, SANITIZED, Case, main, write_safetensors

CATEGORIES = {"weights", "staging", "kv", "activations", "tokenizer", "metadata", "other"}
RUN = {"model", "model_type", "parameters", "dtype", "prompt_tokens", "tokens", "text", "finish_reason", "timing", "load",
       "memory"}
TIMING = {"open", "load", "prefill", "decode", "first_token", "prefill_tokens_per_s", "decode_tokens_per_s"}
LOAD = {"stored", "read", "mapped", "seconds", "reader"}
MEMORY = {"limit", "predicted_peak", "peak", "rss_before", "rss_after_load", "anonymous", "mapped", "categories"}
WEIGHTS = 3493248  # 1,746,624 parameters of two bytes


class Json(Case):
    def has(self, value, fields):
        self.assertLessEqual(fields, set(value))

    def check_memory(self, memory):
        self.has(memory, MEMORY)
        self.assertEqual(set(memory["categories"]), CATEGORIES)
        for use in memory["categories"].values():
            self.assertEqual(set(use), {"now", "peak"})
            self.assertGreaterEqual(use["peak"], use["now"])
        self.assertGreaterEqual(memory["peak"], memory["rss_after_load"])
        self.assertGreater(memory["rss_before"], 0)

    def check_prediction(self, memory):
        if SANITIZED:
            return  # the sanitizer's own memory is in the measured peak
        off = abs(memory["peak"] - memory["predicted_peak"])
        self.assertLessEqual(off, max(0.02 * memory["predicted_peak"], 8 << 20))
        self.assertIs(memory["prediction_missed"], False)

    def test_run(self):
        done = self.run_program("run", MODEL, "-p", "ROMEO:", "-n", "9", "--json")
        self.assertEqual(done.code, 0)
        run = done.json
        self.has(run, RUN)
        self.assertEqual((run["model"], run["model_type"], run["parameters"], run["dtype"]),
                         (MODEL, "llama", 1746624, "bfloat16"))
        self.assertEqual((len(run["tokens"]), run["finish_reason"]), (9, "length"))
        self.has(run["timing"], TIMING)
        self.assertTrue(all(v >= 0 for v in run["timing"].values()))
        self.assertGreater(run["timing"]["decode_tokens_per_s"], 0)
        self.has(run["load"], LOAD)
        self.assertEqual((run["load"]["stored"], run["load"]["reader"]), (WEIGHTS, "map"))
        self.check_memory(run["memory"])
        self.check_prediction(run["memory"])
        self.assertGreater(run["memory"]["categories"]["tokenizer"]["now"], 0)

    def test_load(self):
        for options, read, mapped, footprint in [
                ([], 0, WEIGHTS, WEIGHTS),
                (["--reader", "buffered"], WEIGHTS, 0, WEIGHTS),
                (["--dtype", "float32"], WEIGHTS, 0, 2 * WEIGHTS),
                (["--low-cpu-mem-usage", "false"], WEIGHTS, 0, WEIGHTS)]:
            load = self.run_program("load", MODEL, "--json", *options).json
            self.has(load, {"load", "memory"})
            self.has(load["load"], LOAD)
            self.assertEqual((load["load"]["stored"], load["load"]["read"], load["load"]["mapped"]),
                             (WEIGHTS, read, mapped), options)
            self.assertEqual(load["memory_footprint"], footprint)
            self.check_memory(load["memory"])
            self.check_prediction(load["memory"])

    def test_plan(self):
        done = self.run_program("plan", MODEL, "--json", "--memory", "1GiB")
        self.assertEqual((done.code, done.err), (0, ""))
        plan = done.json
        self.has(plan, {"fits", "limit", "memory", "devices", "tensors", "steps", "reads", "advice"})
        self.assertIs(plan["fits"], True)
        self.assertEqual(plan["limit"], 1 << 30)
        self.has(plan["memory"], {"predicted_peak", "anonymous", "mapped", "categories"})
        self.assertEqual(set(plan["memory"]["categories"]), CATEGORIES)
        self.assertEqual(plan["devices"], {"cpu": WEIGHTS})
        self.assertEqual(len(plan["reads"]), plan["steps"])
        for tensor in plan["tensors"]:
            self.has(tensor, {"name", "dtype", "shape", "form", "device", "bytes"})
        own = [t for t in plan["tensors"] if "tied_to" not in t]
        self.assertEqual(sum(t["bytes"] for t in own), WEIGHTS)
        self.assertEqual({t["form"] for t in own}, {"mapped"})
        self.assertEqual([t["tied_to"] for t in plan["tensors"] if "tied_to" in t], ["model.embed_tokens.weight"])
        # the peak that plan tells is the peak that load has
        if not SANITIZED:
            for options, allowed in ([], 1 << 20), (["--dtype", "float32"], 3 << 20):
                plan = self.run_program("plan", MODEL, "--json", "--context", "512", *options).json["memory"]
                load = self.run_program("load", MODEL, "--json", "--context", "512", *options).json["memory"]
                self.assertLess(abs(load["peak"] - plan["predicted_peak"]), allowed)

    def test_info(self):
        info = self.run_program("info", MODEL, "--json").json
        self.has(info, {"model_type", "parameters", "tensors", "files", "stored", "tied"})
        self.assertEqual((info["model_type"], info["parameters"], info["stored"]), ("llama", 1746624, WEIGHTS))
        self.assertEqual(info["files"], [MODEL + "/model.safetensors"])
        self.assertEqual(info["tied"], [{"name": "lm_head.weight", "tied_to": "model.embed_tokens.weight"}])
        for tensor in info["tensors"]:
            self.has(tensor, {"name", "dtype", "shape", "file", "bytes"})
            self.assertEqual(tensor["file"], info["files"][0])
        embed = next(t for t in info["tensors"] if t["name"] == "model.embed_tokens.weight")
        self.assertEqual((embed["dtype"], embed["shape"], embed["bytes"]), ("BF16", [2048, 192], 786432))

    def test_info_of_anything(self):
        write_safetensors(self.folder / "m" / "model.safetensors",
                          {"b": ("I64", [], bytes(8)), "a \"quoted\" \u00e9": ("BOOL", [2, 0, 3], b"")})
        info = self.run_program("info", self.folder / "m", "--json").json
        self.assertEqual([(t["name"], t["dtype"], t["shape"], t["bytes"]) for t in info["tensors"]],
                         [("a \"quoted\" \u00e9", "BOOL", [2, 0, 3], 0), ("b", "I64", [], 8)])
        self.assertEqual(info["model_type"], "")
        one = self.run_program("info", self.folder / "m" / "model.safetensors", "--json").json
        self.assertEqual(one["tensors"], info["tensors"])
        # a config that the tensors do not fit: the headers are shown all the same
        shutil.copy(Path(MODEL) / "config.json", self.folder / "m")
        done = self.run_program("info", self.folder / "m", "--json")
        self.assertEqual(done.json["tensors"], info["tensors"])
        self.assertIn("warning", done.err)

    def test_logits(self):
        out = self.folder / "logits.safetensors"
        done = self.run_program("logits", MODEL, "--tokens", "1,2,3", "-o", out, "--json").json
        self.has(done, {"load", "memory"})
        self.assertEqual((done["tokens"], done["vocabulary"], done["output"]), ([1, 2, 3], 2048, str(out)))
        self.check_memory(done["memory"])

    def test_synth(self):
        config = self.folder / "config.json"
        config.write_text((Path(MODEL) / "config.json").read_text())
        done = self.run_program("synth", config, self.folder / "out", "--json", "--max-shard-size", "1MB").json
        self.has(done, {"directory", "bytes", "files", "seconds"})
        self.assertGreater(done["files"], 2)
        info = self.run_program("info", self.folder / "out", "--json").json
        self.assertEqual((info["parameters"], info["stored"], len(info["files"])), (1746624, WEIGHTS, done["files"]))
        self.assertEqual(done["bytes"], sum(os.path.getsize(f) for f in info["files"]))
        again = self.run_program("synth", config, self.folder / "again", "--max-shard-size", "1MB")
        self.assertEqual(again.code, 0)
        other = self.run_program("synth", config, self.folder / "other", "--max-shard-size", "1MB", "--seed", "1")
        self.assertEqual(other.code, 0)
        for name in sorted(p.name for p in (self.folder / "out").iterdir()):
            first = (self.folder / "out" / name).read_bytes()
            self.assertEqual(first, (self.folder / "again" / name).read_bytes(), name)
            self.assertEqual(first != (self.folder / "other" / name).read_bytes(), name.endswith(".safetensors"), name)

    def test_quiet(self):
        loud = self.run_program("run", MODEL, "-p", "ROMEO:", "-n", "2")
        for word in ("before", "after", "peak", "line", "predicted"):
            self.assertIn(word, loud.err)
        self.assertEqual(self.run_program("run", MODEL, "-p", "ROMEO:", "-n", "2", "--quiet").err, "")
        self.assertEqual(json.loads(self.run_program("run", MODEL, "-p", "ROMEO:", "--json", "-q").out)["finish_reason"],
                         "length")


if __name__ == "__main__":
    main()
