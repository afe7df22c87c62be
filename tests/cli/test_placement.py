# SPDX-License-Identifier: Apache-2.0
"""Device maps, streaming and measured speeds from outside: options, JSON, words, and a disk that fails in the middle."""
import json
import os
import subprocess
import time
from pathlib import Path

from program import MODEL, PROGRAM, SANITIZED, Case, environment, main

SPEEDS = {"disk", "buffered", "cached", "commit", "out_in_float32", "out_in_float16", "out_in_bfloat16", "in_out_float32",
          "in_out_float16", "in_out_bfloat16", "int8", "int4"}


class Placement(Case):
    def setUp(self):
        super().setUp()
        self.env = environment(XDG_CACHE_HOME=str(self.folder / "cache"))
        self.speeds = self.folder / "cache" / "plimsoll" / "speeds.json"

    def go(self, *args, **more):
        return self.run_program(*args, env=self.env, **more)

    # ---- device maps

    def test_the_same_tokens(self):
        want = self.go("run", MODEL, "-p", "ROMEO:", "-n", "12", "--json").json
        self.assertEqual(want["stream"], {"passes": 0, "used": 0, "read": 0, "wait_seconds": 0})
        path = self.folder / "map.json"
        path.write_text('{"": "cpu", "model.layers.1": "disk", "model.layers.2.mlp": "disk"}')
        for place in ("disk", '{"": "disk"}', '{"": "cpu", "model.layers.3": "disk"}', f"@{path}"):
            done = self.go("run", MODEL, "-p", "ROMEO:", "-n", "12", "--json", "--device-map", place)
            self.assertEqual(done.code, 0, done.err)
            self.assertEqual(done.json["tokens"], want["tokens"])
            stream = done.json["stream"]
            self.assertEqual(set(stream), {"passes", "used", "read", "wait_seconds"})
            self.assertEqual(stream["passes"], 12)
            self.assertGreater(stream["used"], 0)
            self.assertGreaterEqual(stream["read"], stream["used"])
            if "disk" in place[:10]:  # the matrices are most of the model, and each pass read them
                self.assertGreater(stream["used"], 12 * 0.4 * want["load"]["stored"])
        self.assertIn("12 passes read", self.go("run", MODEL, "-p", "ROMEO:", "-n", "12", "--device-map", "disk").err)

    def test_maps_that_are_none(self):
        for bad in ("gpu", '{"": "gpu"}', '{"": "cpu", "": "disk"}', '{"model": null}', "{}", "{", ""):
            self.fails(2, "USAGE", "plan", MODEL, "--device-map", bad)
        error = self.fails(2, "USAGE", "load", MODEL, "--device-map", '{"model.layers": "cpu"}')
        self.assertIn("model.embed_tokens", error["message"])
        self.fails(1, "IO", "load", MODEL, "--device-map", f"@{self.folder}/none")
        done = self.go("load", MODEL, "--device-map", '{"": "cpu", "model.layers.99": "disk"}')
        self.assertEqual(done.code, 0)
        self.assertIn("warning: device_map: 'model.layers.99' matches no module", done.err)

    def test_plan_of_a_stream(self):
        plan = self.go("plan", MODEL, "--json", "--device-map", "disk").json
        self.assertEqual(plan["seconds"], {"load": None, "token": None})
        self.assertEqual(set(plan["stream"]), {"pinned", "bytes_per_token", "ring"})
        own = [t for t in plan["tensors"] if "tied_to" not in t]
        self.assertEqual({(t["form"] == "streamed", t["device"]) for t in own}, {(True, "disk"), (False, "cpu")})
        self.assertTrue(all(t["pinned_bytes"] <= t["bytes"] for t in own))
        self.assertEqual(sum(t["pinned_bytes"] for t in own), plan["stream"]["pinned"])
        self.assertEqual(plan["devices"], {"cpu": plan["stream"]["pinned"], "disk": sum(t["bytes"] - t["pinned_bytes"] for t in own)})
        self.assertGreater(plan["stream"]["bytes_per_token"], 2 << 20)
        self.assertGreater(plan["stream"]["ring"], 0)
        text = self.go("plan", MODEL, "--device-map", "disk").out
        self.assertRegex(text, r"(?m)^model\.layers\.0\.mlp\.up_proj\.weight +bfloat16 +streamed ")
        self.assertRegex(text, r"(?m)^streams \d.* per token from disk, through a ring of ")
        self.assertRegex(text, r"(?m)^seconds: not known .*--probe")
        kept = self.go("plan", MODEL, "--json").json
        self.assertEqual(kept["stream"], {"pinned": kept["stored"], "bytes_per_token": 0, "ring": 0})

    def test_a_part_stays(self):
        """Below a line between the least and all, some tensors are partly in memory, and the table says how much."""
        if SANITIZED:
            self.skipTest("the sanitizer's own memory is in every figure")
        model = self.synth(dtype="float32", n_layer=2)
        options = ["--context", "32", "--memory", "50MiB"]
        plan = self.go("plan", model, "--json", *options).json
        self.assertTrue(plan["fits"])
        parts = [t for t in plan["tensors"] if 0 < t["pinned_bytes"] < t["bytes"]]
        self.assertTrue(parts)
        self.assertEqual({(t["form"], t["device"]) for t in parts}, {("streamed", "disk")})
        self.assertRegex(self.go("plan", model, *options).out, r"(?m) streamed .* \d+ % stays$")
        load = self.go("load", model, *options)
        self.assertEqual(load.code, 0)
        self.assertIn("stay on disk and stream", load.out)

    def test_readers(self):
        want = self.go("run", MODEL, "-p", "ROMEO:", "-n", "5").out
        for reader in ("auto", "map", "buffered", "direct"):
            for place in ("cpu", "disk"):
                done = self.go("run", MODEL, "-p", "ROMEO:", "-n", "5", "--reader", reader, "--device-map", place)
                self.assertEqual((done.code, done.out), (0, want), (reader, place, done.err))
        self.assertEqual(self.go("load", MODEL, "--reader", "direct", "--json").json["load"]["reader"], "direct")

    def test_mlock(self):
        done = self.go("load", MODEL, "--mlock")
        self.assertEqual(done.code, 0)
        if os.geteuid() == 0:
            self.assertNotIn("locked", done.err)
        self.assertLessEqual(done.err.count("warning"), 1)

    # ---- what was generated is kept

    def change_in_the_middle(self, *options):
        """A run that streams, and whose file gets another date once it is at work."""
        model = self.synth(n_layer=2, n_embd=256, n_head=4, n_positions=16384)
        run = subprocess.Popen([PROGRAM, "run", str(model), "--prompt-tokens", "1,2,3", "-n", "16000", "--ignore-eos",
                                "--device-map", "disk", *options], env=self.env, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        time.sleep(2 if SANITIZED else 0.7)
        self.assertIsNone(run.poll(), "the run was over before its file changed")
        os.utime(model / "model.safetensors", (1, 1))
        out, err = run.communicate(timeout=60)
        return run.returncode, out.decode(), err.decode()

    def test_changed_in_the_middle(self):
        code, out, err = self.change_in_the_middle()
        self.assertEqual(code, 1, err)
        self.assertRegex(err, r"(?m)^plimsoll run: CHANGED: .*model\.safetensors")
        self.assertRegex(out, r"^1,2,3(,\d+)+\n$")
        self.assertRegex(err, r"new tokens \(error\)")

    def test_changed_in_the_middle_json(self):
        code, out, err = self.change_in_the_middle("--json", "--quiet")
        self.assertEqual(code, 1, err)
        self.assertEqual(out.count("\n"), 1)
        run = json.loads(out)
        self.assertEqual((run["finish_reason"], run["error"]["code"]), ("error", "CHANGED"))
        self.assertGreater(len(run["tokens"]), 0)
        self.assertEqual(run["stream"]["passes"] >= len(run["tokens"]), True)
        self.assertIn("model.safetensors", run["error"]["file"])

    # ---- measured speeds

    def test_probe_is_kept(self):
        self.assertFalse(self.speeds.exists())
        done = self.go("plan", MODEL, "--probe", "--json")
        self.assertEqual((done.code, done.err), (0, ""))
        self.assertGreaterEqual(done.json["seconds"]["load"], 0)
        self.assertGreater(done.json["seconds"]["token"], 0)
        kept = json.loads(self.speeds.read_text())
        (key, entry), = kept.items()
        self.assertEqual(set(entry), SPEEDS)
        self.assertTrue(all(v > 0 for v in entry.values()))
        self.assertIn("threads", key)
        self.assertEqual([p.name for p in self.speeds.parent.iterdir()], ["speeds.json"])
        # a plan without --probe has them now, but not one with other threads
        self.assertGreater(self.go("plan", MODEL, "--json").json["seconds"]["token"], 0)
        self.assertRegex(self.go("plan", MODEL).out, r"(?m)^seconds: load .* s, then .* s per token$")
        self.assertRegex(self.go("plan", MODEL, "--device-map", "disk").out,
                         r"(?m)^streams .* per token from disk, .* s, through a ring of ")
        self.assertIsNone(self.go("plan", MODEL, "--json", "--threads", "7").json["seconds"]["token"])
        # a second entry stands beside the first; a new measurement takes the place of the old one
        self.go("plan", MODEL, "--probe", "--threads", "7")
        self.go("plan", MODEL, "--probe")
        both = json.loads(self.speeds.read_text())
        self.assertEqual(len(both), 2)
        self.assertNotEqual(both[key], entry)

    def test_what_measuring_takes_is_not_planned(self):
        plain = self.go("plan", MODEL, "--json").json["memory"]["predicted_peak"]
        probed = self.go("plan", MODEL, "--probe", "--json").json["memory"]["predicted_peak"]
        if not SANITIZED:
            self.assertLess(abs(plain - probed), 2 << 20)

    def test_broken_speeds(self):
        self.speeds.parent.mkdir(parents=True)
        for text in ("", "{", "[]", '{"a": 1}', '{"a": {"disk": "fast"}}', '{"a": {"disk": -1}}', '{"a": {}} x', "\0",
                     '{"a": {"disk": 1e999}}', "{" * 100000, '{"a": {"disk": 1}', '{"a\\'):
            self.speeds.write_text(text)
            for command in (["plan", MODEL], ["load", MODEL], ["run", MODEL, "-p", "x", "-n", "1"]):
                done = self.go(*command, "--json")
                self.assertEqual(done.code, 0, done.err)
                self.assertRegex(done.err, r"plimsoll: warning: measured speeds are not used: .*speeds\.json")
                if command[0] == "plan":
                    self.assertEqual(done.json["seconds"], {"load": None, "token": None})
            self.assertNotIn("speeds", self.go("load", MODEL, "--quiet").err)
        self.assertEqual(self.go("plan", MODEL, "--probe").code, 0)
        self.assertEqual(len(json.loads(self.speeds.read_text())), 1)
        self.assertEqual(self.go("plan", MODEL).err, "")

    def test_speeds_of_others_are_kept(self):
        self.speeds.parent.mkdir(parents=True)
        self.speeds.write_text('{"other \\u0041": {"disk": 1e9, "tape": 3}}')
        self.go("plan", MODEL, "--probe")
        kept = json.loads(self.speeds.read_text())
        self.assertEqual(len(kept), 2)
        self.assertEqual(kept["other A"]["disk"], 1e9)

    def test_nowhere_to_keep_them(self):
        (self.folder / "cache").write_text("a file where a folder should be")
        done = self.go("plan", MODEL, "--probe", "--json")
        self.assertEqual(done.code, 0)
        self.assertIn("warning: measured speeds are not kept", done.err)
        self.assertGreater(done.json["seconds"]["token"], 0)
        self.env = environment(XDG_CACHE_HOME="relative/path", HOME=str(self.folder / "home"))
        self.assertEqual(self.go("plan", MODEL, "--probe").code, 0)
        self.assertTrue((self.folder / "home" / ".cache" / "plimsoll" / "speeds.json").exists())
        self.assertFalse(Path("relative").exists())

    def test_probe_below_a_low_line(self):
        done = self.go("plan", MODEL, "--probe", "--memory", "30MiB", "--json")
        if SANITIZED:
            self.skipTest("the sanitizer's own memory is in every figure")
        self.assertEqual(done.code, 0, done.err)
        self.assertIn("warning: speeds are not measured", done.err)
        self.assertIsNone(done.json["seconds"]["token"])
        self.fails(1, "IO", "plan", f"{self.folder}/none", "--probe")


if __name__ == "__main__":
    main()
