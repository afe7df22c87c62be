# SPDX-License-Identifier: Apache-2.0
"""plimsoll bench: what it tells, as a table and as JSON, and how it ends.  Figures are only held to be possible: the
speed of a machine is nobody's promise."""
import signal
import subprocess
import time

from program import MODEL, PROGRAM, SANITIZED, Case, environment, main

FIELDS = {"model", "model_type", "parameters", "dtype", "kv_dtype", "context", "prefill_chunk", "threads", "kernels",
          "memory_footprint", "limits", "page_cache", "load_share_of_disk", "prefill", "decode", "load", "stream", "memory"}
CELL = {"seconds", "tokens_per_s", "weight_bytes", "kv_bytes", "float_operations", "int8_operations", "streamed_bytes",
        "bound", "rate", "limit", "share", "rounds"}
SMALL = ("--rounds", "3", "--prompt", "8,40", "--contexts", "0,60", "-n", "6")


class Bench(Case):
    def check_cell(self, cell, key, tokens, threads=2):
        self.assertEqual(set(cell), CELL | {key})
        self.assertEqual(cell[key], tokens)
        self.assertEqual(len(cell["rounds"]), 3)
        for r in cell["rounds"]:
            self.assertTrue(0 < r["seconds"] < 60 and 0 < r["least_seconds"] < 60)
        seconds = sorted(r["seconds"] for r in cell["rounds"])[1]
        self.assertEqual(cell["seconds"], seconds)
        new = 1 if key == "context" else tokens
        self.assertAlmostEqual(cell["tokens_per_s"] * seconds / new, 1)
        self.assertTrue(0 < cell["share"] < 10)
        amount = {"memory": cell["weight_bytes"] + cell["kv_bytes"], "disk": cell["streamed_bytes"],
                  "arithmetic": cell["float_operations"] + cell["int8_operations"]}[cell["bound"]]
        self.assertAlmostEqual(cell["rate"] * seconds / amount, 1)
        shares = sorted(r["least_seconds"] / r["seconds"] for r in cell["rounds"])
        self.assertAlmostEqual(cell["share"], shares[1])

    def test_json(self):
        done = self.run_program("bench", MODEL, "--json", "--quiet", *SMALL)
        self.assertEqual((done.code, done.err), (0, ""))
        answer = done.json
        self.assertEqual(set(answer), FIELDS)
        self.assertEqual((answer["model_type"], answer["dtype"], answer["kv_dtype"]), ("llama", "bfloat16", "float16"))
        self.assertEqual(answer["context"], 62)  # 60, and two new tokens in each of three rounds
        limits = answer["limits"]
        self.assertEqual(set(limits), {"memory", "float32", "int8", "disk", "region", "ways"})
        self.assertTrue(limits["memory"] > 1e7 and limits["float32"] > 1e6)
        self.assertIsNone(limits["int8"])  # nothing needs it
        self.assertTrue(limits["disk"] is None or limits["disk"] > 0)
        self.assertEqual(sum(way["chosen"] for way in limits["ways"]), 1)
        self.assertTrue(all(way["bytes_per_s"] > 0 for way in limits["ways"]))
        self.assertTrue(0 <= answer["page_cache"]["cached"] <= answer["page_cache"]["files"])
        self.assertGreaterEqual(answer["page_cache"]["files"], answer["load"]["stored"])
        self.assertEqual([c["tokens"] for c in answer["prefill"]], [8, 40])
        self.assertEqual([c["context"] for c in answer["decode"]], [0, 60])
        for cell in answer["prefill"]:
            self.check_cell(cell, "tokens", cell["tokens"])
            self.assertEqual((cell["bound"], cell["streamed_bytes"]), ("arithmetic", 0))
        for cell in answer["decode"]:
            self.check_cell(cell, "context", cell["context"])
            self.assertEqual((cell["bound"], cell["streamed_bytes"]), ("memory", 0))

    def test_what_is_counted(self):
        """By hand: 4 layers of 192, 6 heads of 32 on 2 KV heads, inner size 416, 2048 tokens tied."""
        answer = self.run_program("bench", MODEL, "--json", "--quiet", *SMALL).json
        matrices, head, norms = 4 * 192 * (192 + 64 + 64 + 192 + 3 * 416), 2048 * 192, 9 * 192
        for cell, seen in zip(answer["decode"], (1, 61)):
            self.assertEqual(cell["weight_bytes"], 2 * (matrices + head + norms + 192))
            self.assertEqual(cell["kv_bytes"], 4 * 2 * 2 * 32 * 2 * seen)
            self.assertEqual(cell["float_operations"], 2 * (matrices + head) + 4 * 4 * 6 * 32 * seen)
        for cell, n in zip(answer["prefill"], (8, 40)):
            self.assertEqual(cell["float_operations"],
                             2 * (matrices * n + head) + 4 * 4 * 6 * 32 * n * (n + 1) // 2)

    def test_table(self):
        done = self.run_program("bench", MODEL, *SMALL)
        self.assertEqual(done.code, 0, done.err)
        lines = done.out.splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertRegex(done.out, r"(?m)^limits +memory [\d.]+ GB/s  float32 [\d.]+ GFLOP/s")
        self.assertRegex(done.out, r"(?m)^load +\d.* was cached$")
        for tokens in (8, 40):
            self.assertRegex(done.out, rf"(?m)^ +{tokens} +[\d.]+ +[\d.]+ +[\d.]+ GFLOP/s +[\d.]+ GFLOP/s +[\d.]+ arithmetic$")
        for context in (0, 60):
            self.assertRegex(done.out, rf"(?m)^ +{context} +[\d.]+ +[\d.]+ +[\d.]+ GB/s +[\d.]+ GB/s +[\d.]+ memory$")
        self.assertIn("memory  before", done.err)

    def test_defaults_fit_the_model(self):
        answer = self.run_program("bench", MODEL, "--json", "--quiet", "--rounds", "1", "-n", "4").json
        self.assertEqual([c["tokens"] for c in answer["prefill"]], [128, 512])
        self.assertEqual([c["context"] for c in answer["decode"]], [0, 508])
        self.assertEqual(answer["context"], 512)
        answer = self.run_program("bench", MODEL, "--json", "--quiet", "--rounds", "1", "-n", "4", "--context", "100").json
        self.assertEqual([c["tokens"] for c in answer["prefill"]], [100])
        self.assertEqual([c["context"] for c in answer["decode"]], [0, 96])

    def test_types(self):
        for dtype, size in (("float32", 4), ("float16", 2)):
            answer = self.run_program("bench", MODEL, "--json", "--quiet", "--dtype", dtype, *SMALL).json
            self.assertEqual(answer["dtype"], dtype)
            self.assertEqual(answer["memory_footprint"], size * answer["parameters"])
            self.assertTrue(all(c["int8_operations"] == 0 for c in answer["prefill"] + answer["decode"]))

    def test_streaming(self):
        """Everything from disk: every pass reads it, and the disk may be what bounds it."""
        model = self.synth(n_layer=4)
        answer = self.run_program("bench", model, "--json", "--quiet", "--device-map", "disk", *SMALL).json
        for cell in answer["prefill"] + answer["decode"]:
            self.assertGreater(cell["streamed_bytes"], 0.5 * cell["weight_bytes"])
            self.assertIn(cell["bound"], ("disk", "memory", "arithmetic"))
        self.assertTrue(answer["limits"]["disk"] is None or "disk" in {c["bound"] for c in answer["decode"]})
        self.assertGreater(answer["stream"]["used"], 0)

    def test_wrong_usage(self):
        for option in ("--prompt", "--contexts"):
            for bad in ("", ",", "1,", "1,,2", "x", "-1", "1 2", "4294967296", ",".join(["1"] * 17)):
                error = self.fails(2, "USAGE", "bench", "/nowhere/at/all", f"{option}={bad}")
                self.assertIn(f"{option}: want up to 16 whole numbers between commas", error["message"])
        self.fails(2, "USAGE", "bench", "/nowhere/at/all", "--rounds", "0")
        self.fails(2, "USAGE", "bench", "/nowhere/at/all", "-n", "0")
        self.assertIn("MODEL is missing", self.fails(2, "USAGE", "bench")["message"])
        self.assertIn("at least one token", self.fails(2, "USAGE", "bench", MODEL, "--prompt", "0")["message"])
        self.fails(1, "IO", "bench", "/nowhere/at/all")
        help_text = self.run_program("help", "bench").out
        self.assertIn("--contexts N,N", help_text)
        self.assertIn("-p, --prompt N,N", help_text)
        self.assertNotIn("--prompt TEXT", help_text)
        self.assertIn("--prompt TEXT", self.run_program("help", "run").out)

    def test_context_too_long(self):
        error = self.fails(2, "USAGE", "bench", MODEL, "--context", "64", "--contexts", "64")
        self.assertIn("--context is 64", error["message"])
        self.fails(2, "USAGE", "bench", MODEL, "--context", "64", "--prompt", "65")
        model = self.synth(n_layer=1)  # learned positions: there are no more than 1024
        done = self.run_program("bench", model, "--json", "--quiet", "--contexts", "1024")
        self.assertNotEqual(done.code, 0)
        self.assertIn("1024", done.json["error"]["message"])

    def test_too_little_memory(self):
        error = self.fails(3, "BUDGET", "bench", MODEL, "--memory", "1MiB")
        self.assertIn("does not fit", error["message"])
        model = self.synth(n_layer=4)
        error = self.fails(3, "BUDGET", "bench", model, "--memory", "24MiB", "--device-map", "cpu")
        self.assertIn("what would fit", error["message"])

    def test_interrupted(self):
        child = subprocess.Popen([PROGRAM, "bench", MODEL, "--rounds", "99", "--json"], env=environment(),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(6 if SANITIZED else 3)
        child.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, err = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130, err)
        self.assertIn(b'"code":"CANCELLED"', out)
        self.assertLess(time.monotonic() - start, 20 if SANITIZED else 3)


if __name__ == "__main__":
    main()
