# SPDX-License-Identifier: Apache-2.0
"""What plan and load say of memory, on a model of a few hundred megabytes: the prediction, and the three ways to load."""
from program import SANITIZED, Case, main

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
