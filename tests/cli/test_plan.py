# SPDX-License-Identifier: Apache-2.0
"""What plan and load say of memory, on a model of a few hundred megabytes: the prediction, and the three ways to load."""
from program import MODEL, SANITIZED, Case, main

MIB = 1 << 20


class Plan(Case):
    @classmethod
    def setUpClass(cls):
        if SANITIZED:
            cls.skipTest(cls, "the sanitizer's own memory is in every figure")

    def setUp(self):
        super().setUp()
        if SANITIZED:
            self.skipTest("the sanitizer's own memory is in every figure")

    def test_three_ways(self):
        model = self.synth(dtype="float32", n_layer=12)
        info = self.run_program("info", model, "--json").json
        weights = info["stored"]
        self.assertGreater(weights, 300 * MIB)
        for options, stays, peak in [(["--low-cpu-mem-usage", "false"], weights, 2 * weights),
                                     (["--dtype", "bfloat16"], weights // 2, weights // 2), ([], weights, weights)]:
            predicted = self.run_program("plan", model, "--json", "--context", "64", *options).json["memory"]["predicted_peak"]
            memory = self.run_program("load", model, "--json", "--context", "64", *options).json["memory"]
            self.assertLessEqual(memory["peak"], peak + 16 * MIB, options)
            self.assertGreater(memory["peak"], peak - 2 * MIB, options)
            self.assertLess(abs(memory["rss_after_load"] - stays), 16 * MIB, options)
            self.assertLess(abs(memory["peak"] - predicted), 8 * MIB, options)
            self.assertFalse(memory["prediction_missed"])

    def test_groups(self):
        """int8 and int4: the quantised weights and at most 8 MiB, while the model is four times as large."""
        model = self.synth(dtype="float32", n_layer=8, vocab_size=5000)
        parameters = self.run_program("info", model, "--json").json["parameters"]
        for dtype, bits in (("int8", 8.5), ("int4", 4.5)):
            plan = self.run_program("plan", model, "--json", "--dtype", dtype, "--context", "64").json
            self.assertEqual((plan["dtype"], plan["kv_dtype"]), (dtype, "float16"))
            types = {t["name"]: t["dtype"] for t in plan["tensors"]}
            self.assertEqual(types["transformer.h.3.mlp.c_fc.weight"], dtype)
            self.assertEqual(types["transformer.wte.weight"], "int8")
            self.assertEqual(types["transformer.wpe.weight"], "F32")
            self.assertEqual(types["transformer.h.3.mlp.c_fc.bias"], "F32")
            done = self.run_program("load", model, "--json", "--dtype", dtype).json
            memory, weights = done["memory"], done["memory_footprint"]
            self.assertEqual(done["dtype"], dtype)
            self.assertEqual(weights, sum(t["bytes"] for t in plan["tensors"] if not t.get("tied_to")))
            self.assertLess(weights, parameters * bits / 8 + 8 * MIB)
            self.assertLess(memory["peak"] - memory["rss_before"], weights + 8 * MIB)
            self.assertFalse(memory["prediction_missed"])
        self.fails(2, "USAGE", "plan", model, "--kv-dtype", "int8")

    def test_packed(self):
        """What convert wrote: read in its own type, the embeddings as they were; a line below it streams a quarter."""
        out = self.folder / "packed"
        self.assertEqual(self.run_program("convert", MODEL, out, "--dtype", "int4").code, 0)
        plan = self.run_program("plan", out, "--json", "--context", "64", "--device-map", "disk").json
        types = {t["name"]: t["dtype"] for t in plan["tensors"]}
        self.assertEqual(plan["dtype"], "int4")
        self.assertEqual(types["model.layers.1.mlp.up_proj.weight"], "int4")
        prompt = ["-p", "ROMEO:", "--max-new-tokens", "12"]
        whole = self.run_program("run", out, *prompt)
        self.assertEqual(whole.code, 0, whole.err)
        self.assertEqual(self.run_program("run", out, *prompt, "--device-map", "disk").out, whole.out)
        self.assertIn("int4 already", self.fails(1, "UNSUP", "load", out, "--dtype", "int8")["message"])
        # asked for in floats: quants stay, and where that is too much, so much is said
        place = [out, "--context", "64", "--device-map", "cpu"]
        need = self.run_program("plan", *place, "--json").json["memory"]["predicted_peak"]
        floats = self.run_program("plan", *place, "--json", "--dtype", "float32").json
        types = {t["name"]: t["dtype"] for t in floats["tensors"]}
        self.assertEqual((types["model.layers.1.mlp.up_proj.weight"], types["model.embed_tokens.weight"]), ("int4", "F32"))
        line = (need + floats["memory"]["predicted_peak"]) // 2
        error = self.fails(3, "BUDGET", "load", *place, "--dtype", "float32", "--memory", str(line))
        self.assertIn("--dtype auto", error["message"])

    def test_the_line_holds(self):
        """Whatever fits stays below its line; what does not is refused before anything is loaded."""
        model = self.synth(dtype="float32", n_layer=4)
        need = self.run_program("plan", model, "--json", "--context", "64").json["memory"]["predicted_peak"]
        for place in ("cpu", "auto"):
            fitted = refused = 0
            for line in range(need - 6 * MIB, need + 3 * MIB, MIB // 2):
                done = self.run_program("load", model, "--json", "--context", "64", "--memory", str(line),
                                        "--device-map", place)
                if done.code == 0:
                    fitted += 1
                    self.assertLessEqual(done.json["memory"]["peak"], line + 256 * 1024)  # the kernel counts in batches
                else:
                    refused += 1
                    self.assertEqual((done.code, done.json["error"]["code"]), (3, "BUDGET"))
            self.assertGreater(fitted, 2)
            if place == "cpu":
                self.assertGreater(refused, 2)
            else:
                self.assertEqual(refused, 0)


if __name__ == "__main__":
    main()
