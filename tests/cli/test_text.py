# SPDX-License-Identifier: Apache-2.0
"""run and logits against what Transformers gave (expected.json)."""
import shutil
import struct
from pathlib import Path

from program import EXPECTED, MODEL, ROOT, Case, main, read_safetensors

FLAGS = {"max_length": "--max-length", "max_new_tokens": "--max-new-tokens", "repetition_penalty": "--repetition-penalty"}


def arguments(case):
    return [part for key, value in case["options"].items() for part in (FLAGS[key], str(value))]


class Text(Case):
    def test_prints_what_transformers_prints(self):
        for case in EXPECTED["texts"]:
            for dtype in (["--dtype", "float32"], ["--kv-dtype", "float32"]):
                done = self.run_program("run", MODEL, "-p", case["prompt"], *arguments(case), *dtype)
                self.assertEqual((done.code, done.out), (0, case["text"] + "\n"), done.err)
                only = self.run_program("run", MODEL, "-p", case["prompt"], *arguments(case), *dtype, "--no-prompt")
                self.assertEqual(only.out, case["new_text"] + "\n")

    def test_json_has_the_same(self):
        for case in EXPECTED["texts"]:
            run = self.run_program("run", MODEL, "-p", case["prompt"], *arguments(case), "--dtype", "float32", "--json").json
            self.assertEqual((run["prompt_tokens"], run["tokens"], run["text"]),
                             (case["prompt_tokens"], case["tokens"], case["new_text"]))

    def test_other_ways_to_give_a_prompt(self):
        case = EXPECTED["texts"][3]
        path = self.folder / "prompt"
        path.write_text(case["prompt"], encoding="utf-8")
        common = [*arguments(case), "--dtype", "float32"]
        self.assertEqual(self.run_program("run", MODEL, "--prompt-file", path, *common).out, case["text"] + "\n")
        ids = ",".join(map(str, case["prompt_tokens"]))
        self.assertEqual(self.run_program("run", MODEL, "--prompt-tokens", ids, *common).out, case["text"] + "\n")

    def test_forms_of_the_weights_do_not_matter(self):
        case = EXPECTED["texts"][3]
        for options in (["--low-cpu-mem-usage", "false"], ["--reader", "buffered"], ["--threads", "1"],
                        ["--prefill-chunk", "1"], ["--context", "500"], ["--memory", "none"]):
            done = self.run_program("run", MODEL, "-p", case["prompt"], *arguments(case), "--kv-dtype", "float32", *options)
            self.assertEqual(done.out, case["text"] + "\n", options)

    def test_no_tokenizer(self):
        for name in ("model.safetensors", "config.json"):
            shutil.copy(Path(MODEL) / name, self.folder)
        case = EXPECTED["texts"][0]
        ids = ",".join(map(str, case["prompt_tokens"]))
        new = ",".join(map(str, case["tokens"]))
        common = ["run", self.folder, "--prompt-tokens", ids, *arguments(case), "--dtype", "float32"]
        self.assertEqual(self.run_program(*common).out, f"{ids},{new}\n")
        self.assertEqual(self.run_program(*common, "--no-prompt").out, f"{new}\n")
        run = self.run_program(*common, "--json").json
        self.assertEqual((run["tokens"], run["text"]), (case["tokens"], None))

    def test_stop_and_seed(self):
        case = EXPECTED["texts"][0]
        done = self.run_program("run", MODEL, "-p", "ROMEO:", "--dtype", "float32", "--stop", "bawd", "--json").json
        self.assertEqual(done["finish_reason"], "stop")
        self.assertEqual(done["text"], case["new_text"].split("bawd")[0] + "bawd")
        one, same, other = (self.run_program("run", MODEL, "-p", "ROMEO:", "--do-sample", "--seed", seed).out
                            for seed in ("7", "7", "8"))
        self.assertEqual(one, same)
        self.assertNotEqual(one, other)
        greedy = self.run_program("run", MODEL, "-p", "ROMEO:", "--do-sample", "--top-k", "1", "--max-length", "20",
                                  "--dtype", "float32").out
        self.assertEqual(greedy, case["text"] + "\n")

    def test_logits(self):
        want = EXPECTED["logits"]
        out = self.folder / "out.safetensors"
        for given in (["--tokens", ",".join(map(str, want["ids"]))],):
            done = self.run_program("logits", MODEL, *given, "-o", out, "--dtype", "float32")
            self.assertEqual(done.code, 0, done.err)
            header, data = read_safetensors(out)
            self.assertEqual(header["logits"]["shape"], want["shape"])
            self.assertEqual(header["logits"]["dtype"], "F32")
            rows, width = want["shape"]
            self.assertEqual(len(data), 4 * rows * width)
            largest = max(map(abs, want["max"]))
            for i in range(rows):
                row = struct.unpack_from(f"<{width}f", data, 4 * i * width)
                self.assertEqual(row.index(max(row)), want["argmax"][i])
                self.assertLess(abs(max(row) - want["max"][i]), 1e-4 * largest)
                self.assertLess(abs(sum(row) - want["sum"][i]), 1e-4 * largest * width)
                squares = sum(x * x for x in row)
                self.assertLess(abs(squares - want["squares"][i]), 1e-4 * want["squares"][i])
        # a prompt as text gives the file that its ids give
        case = EXPECTED["texts"][0]
        ids = ",".join(map(str, case["prompt_tokens"]))
        self.run_program("logits", MODEL, "--tokens", ids, "-o", out)
        first = out.read_bytes()
        self.run_program("logits", MODEL, "-p", case["prompt"], "-o", out)
        self.assertEqual(out.read_bytes(), first)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["out.safetensors"])

    def test_a_single_file_is_a_model_too(self):
        case = EXPECTED["texts"][0]
        done = self.run_program("run", MODEL + "/model.safetensors", "-p", case["prompt"], *arguments(case), "--dtype",
                                "float32")
        self.assertEqual(done.out, case["text"] + "\n")

    def test_configs_of_the_examples(self):
        for name, parameters in (("gpt2-medium", 354823168), ("gpt2", 124439808), ("distilgpt2", 81912576)):
            self.assertTrue((ROOT / "examples" / "configs" / f"{name}.json").exists())
            if name == "distilgpt2":
                config = ROOT / "examples" / "configs" / f"{name}.json"
                self.assertEqual(self.run_program("synth", config, self.folder / name, "--dtype", "bfloat16").code, 0)
                self.assertEqual(self.run_program("info", self.folder / name, "--json").json["parameters"], parameters)


if __name__ == "__main__":
    main()
