# SPDX-License-Identifier: Apache-2.0
"""Load and generate below real memory limits, from more than the model down to a quarter of it: never killed, never
swapped, the peak below the line, the same tokens, and the peak as predicted.  Exit 77 where no group can be made."""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
import program  # noqa: E402
from group import Group  # noqa: E402

MIB = 1 << 20
SHAPES = {
    "gpt2": {"model_type": "gpt2", "vocab_size": 20000, "n_embd": 768, "n_layer": 6, "n_head": 12, "n_positions": 512},
    "llama": {"model_type": "llama", "vocab_size": 24000, "hidden_size": 1024, "num_hidden_layers": 8,
              "num_attention_heads": 16, "num_key_value_heads": 4, "intermediate_size": 3072,
              "max_position_embeddings": 1024, "tie_word_embeddings": True},
}
FACTORS = (1.05, 1.0, 0.75, 0.5, 0.25)


class Limits(program.Case):
    def setUp(self):
        super().setUp()
        try:
            with Group(64 * MIB):
                pass
        except OSError as error:
            self.skipTest(f"no control group with a memory limit can be made here: {error}")

    def make(self, shape, dtype):
        config = self.folder / "shape.json"
        config.write_text(json.dumps(SHAPES[shape]))
        done = self.run_program("synth", config, self.folder / "model", "--dtype", dtype)
        self.assertEqual(done.code, 0, done.err)
        return self.folder / "model"

    def generate(self, model, group, *options):
        command = [program.PROGRAM, "run", str(model), "--prompt-tokens", "5,6,7,8", "-n", "12", "--ignore-eos",
                   "--json", "--threads", "2", *options]
        done = group.run(command, timeout=250, env=program.environment(XDG_CACHE_HOME=str(self.folder)))
        self.assertEqual(group.kills(), 0, f"killed: {done.stderr.decode()}")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(group.swapped(), 0)
        return json.loads(done.stdout)

    def check(self, shape, dtype, *options, size=1.0):
        """`size`: bytes in memory per byte stored."""
        model = self.make(shape, dtype)
        stored = sum(f.stat().st_size for f in model.glob("*.safetensors"))
        whole = self.run_program("run", model, "--prompt-tokens", "5,6,7,8", "-n", "12", "--ignore-eos", "--json",
                                 "--threads", "2", *options).json
        for factor in FACTORS:
            limit = int(stored * size * factor) // 4096 * 4096
            for line in ("auto", str(limit)):
                with self.subTest(factor=factor, line=line), Group(limit) as group:
                    if line == "auto" and limit < 120 * MIB:
                        continue  # less than its margin of 64 MiB leaves
                    result = self.generate(model, group, "--memory", line, *options)
                    memory = result["memory"]
                    self.assertEqual(result["tokens"], whole["tokens"])
                    self.assertLessEqual(memory["limit"], limit)
                    self.assertLessEqual(memory["peak"], memory["limit"])
                    off = abs(memory["peak"] - memory["predicted_peak"])
                    self.assertLessEqual(off, max(memory["predicted_peak"] // 50, 8 * MIB), memory)
                    if factor <= 0.75:
                        self.assertGreater(result["stream"]["used"], 0)

    def test_as_stored(self):
        self.check("gpt2", "float32")

    def test_other_reader(self):
        self.check("llama", "bfloat16", "--reader", "buffered")

    def test_mapped(self):
        self.check("llama", "bfloat16", "--reader", "map")

    def test_narrowed(self):
        self.check("llama", "float32", "--dtype", "bfloat16", size=0.5)


if __name__ == "__main__":
    program.main()
