# SPDX-License-Identifier: Apache-2.0
"""Inputs that cannot be used: the class of each error, its file, its exit code."""
import json
import os
import shutil
import socket
from pathlib import Path

from program import MODEL, PROGRAM, SANITIZED, Case, main, write_safetensors

NOBODY = 65534


def drop_rights():
    """Root may read everything; nobody may not."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


class BadInputs(Case):
    def test_path_is_folder(self):
        folder = str(self.folder)
        self.assertEqual(self.fails(2, "USAGE", "run", MODEL, "--prompt-file", folder)["message"],
                         f"{folder}: is a folder, a file is wanted")
        self.assertEqual(self.fails(2, "USAGE", "logits", MODEL, "-p", "x", "-o", folder)["file"], folder)
        self.assertEqual(self.fails(2, "USAGE", "synth", folder, folder + "/out")["file"], folder)
        self.assertEqual(self.fails(2, "USAGE", "load", MODEL, "--max-memory", "@" + folder)["file"], folder)

    def test_nothing_there(self):
        error = self.fails(1, "IO", "load", "no-such-org/no-such-model")
        self.assertIn("hf download no-such-org/no-such-model", error["message"])
        error = self.fails(1, "IO", "load", str(self.folder))
        self.assertIn("model.safetensors", error["message"])
        error = self.fails(1, "IO", "run", MODEL, "--prompt-file", "/nowhere/prompt")
        self.assertEqual(error["file"], "/nowhere/prompt")
        self.fails(1, "IO", "synth", "/nowhere/config.json", str(self.folder / "out"))
        self.fails(1, "IO", "tokenize", str(self.folder))

    def test_no_permission(self):
        if os.geteuid() == 0 and not os.access(PROGRAM, os.X_OK):
            self.skipTest("the program cannot be run")
        shutil.copytree(MODEL, self.folder / "model")
        os.chmod(self.folder, 0o755)
        target = self.folder / "model" / "model.safetensors"
        target.chmod(0)
        try:
            error = self.fails(1, "IO", "load", str(self.folder / "model"), preexec_fn=drop_rights)
        except PermissionError:
            self.skipTest("user 'nobody' cannot reach the program here")
        self.assertEqual(error["file"], str(target))
        self.assertIn("Permission denied", error["message"])
        target.chmod(0o644)
        (self.folder / "model").chmod(0)
        error = self.fails(1, "IO", "load", str(self.folder / "model"), preexec_fn=drop_rights)
        self.assertIn("Permission denied", error["message"])
        (self.folder / "model").chmod(0o755)
        out = str(self.folder / "logits.safetensors")
        self.assertEqual(self.fails(1, "IO", "logits", MODEL, "-p", "x", "-o", out, preexec_fn=drop_rights)["file"], out)

    def test_model_is_no_file(self):
        fifo = str(self.folder / "fifo")
        os.mkfifo(fifo)
        for command in (["run", fifo, "-p", "x"], ["plan", fifo], ["load", fifo], ["info", fifo],
                        ["tokenize", fifo, "-p", "x"], ["logits", fifo, "-p", "x", "-o", str(self.folder / "o")]):
            error = self.fails(1, "IO", *command)
            self.assertEqual(error["file"], fifo)
            self.assertEqual(error["message"], f"{fifo}: is a fifo, want a folder or a .safetensors file")
        self.assertIn("is a device", self.fails(1, "IO", "load", "/dev/zero")["message"])
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(self.folder / "socket"))
            self.assertIn("is a socket", self.fails(1, "IO", "load", str(self.folder / "socket"))["message"])

    def test_fifo_inside(self):
        (self.folder / "config.json").write_text("{}")
        os.mkfifo(self.folder / "model.safetensors")
        done = self.run_program("load", str(self.folder), "--json")
        self.assertEqual(done.code, 1)
        self.assertIn(done.json["error"]["code"], ("IO", "UNSAFE"))

    def test_broken_files_are_named(self):
        shutil.copytree(MODEL, self.folder / "model")
        weights = self.folder / "model" / "model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1])
        error = self.fails(1, "TRUNC", "load", str(self.folder / "model"))
        self.assertEqual(error["file"], str(weights))
        weights.write_bytes(whole[:5])
        self.assertEqual(self.fails(1, "TRUNC", "info", str(self.folder / "model"))["file"], str(weights))
        weights.write_bytes(whole)
        config = self.folder / "model" / "config.json"
        config.write_text('{"model_type": "llama",}')
        error = self.fails(1, "FORMAT", "run", str(self.folder / "model"), "-p", "x")
        self.assertEqual((error["file"], error["offset"]), (str(config), 23))
        config.write_text(json.dumps({**json.loads((Path(MODEL) / "config.json").read_text()), "hidden_size": 96}))
        self.assertEqual(self.fails(1, "MISMATCH", "load", str(self.folder / "model"))["code"], "MISMATCH")

    def test_unknown_model_type(self):
        write_safetensors(self.folder / "m" / "model.safetensors", {"w": ("F32", [2, 3], bytes(24))})
        (self.folder / "m" / "config.json").write_text('{"model_type": "novelty"}')
        for command in (["run", self.folder / "m", "--prompt-tokens", "1"],
                        ["logits", self.folder / "m", "--tokens", "1", "-o", self.folder / "o"]):
            error = self.fails(1, "UNSUP", *command)
            self.assertIn("novelty", error["message"])
            self.assertIn("llama", error["message"])
        for command in ("info", "plan", "load"):
            self.assertEqual(self.run_program(command, self.folder / "m").code, 0)
        self.assertFalse((self.folder / "o").exists())

    def test_memory_too_small(self):
        for memory, place in (("1", "auto"), ("1MiB", "auto"), ("3MiB", "disk"), ("6MiB", "cpu")):
            for command in (["run", MODEL, "-p", "x"], ["load", MODEL],
                            ["logits", MODEL, "-p", "x", "-o", str(self.folder / "o")]):
                error = self.fails(3, "BUDGET", *command, "--memory", memory, "--device-map", place)
                self.assertIn("does not fit", error["message"])
                self.assertIn("what would fit: ", error["message"])
        self.assertEqual(list(self.folder.iterdir()), [])
        plan = self.run_program("plan", MODEL, "--memory", "6MiB", "--device-map", "cpu", "--json")
        self.assertEqual((plan.code, plan.json["fits"], plan.json["error"]["code"]), (3, False, "BUDGET"))
        self.assertEqual(plan.json["limit"], 6 << 20)
        self.assertEqual(self.run_program("plan", MODEL, "--memory", "6MiB", "--device-map", "cpu").code, 3)

    def test_what_would_fit_fits(self):
        for command in (["load", MODEL], ["run", MODEL, "-p", "ROMEO:"],
                        ["logits", MODEL, "-p", "ROMEO:", "-o", str(self.folder / "o")]):
            lines = (("1MiB", "auto"), ("5MiB", "auto"), ("5MiB", "cpu"), ("7MiB", "cpu"))
            for line, place in lines[:1] if SANITIZED else lines:
                advice = self.fails(3, "BUDGET", *command, "--memory", line, "--device-map", place)["message"]
                for size in (part.split()[0] for part in advice.split("--memory ")[1:]):
                    self.assertEqual(self.run_program(*command, "--memory", size).code, 0, advice)

    def test_a_refusal_speaks_of_this_run(self):
        """The peak that is named is that of the prompt and the new tokens, not of a context of another length."""
        def peak(memory, *options):
            message = self.fails(3, "BUDGET", *options, "--memory", memory,
                                 "--device-map", "cpu")["message"]
            return float(message.split("the peak would be ")[1].split(" MiB,")[0])
        if SANITIZED:
            self.skipTest("the sanitizer's own memory is in every figure")
        command = ["run", MODEL, "-p", "ROMEO:", "-n", "5"]
        fitting = self.run_program(*command, "--json").json["memory"]["predicted_peak"] / (1 << 20)
        for memory in ("1MiB", "5MiB", "7MiB"):
            self.assertLess(abs(peak(memory, *command) - fitting), 0.4, memory)
        fitting = self.run_program("load", MODEL, "--json").json["memory"]["predicted_peak"] / (1 << 20)
        for memory in ("1MiB", "5MiB"):
            self.assertLess(abs(peak(memory, "load", MODEL) - fitting), 0.4, memory)

    def test_neither_model_nor_tokenizer(self):
        (self.folder / "text.md").write_text("x")
        (self.folder / "empty").mkdir()
        self.assertIn("model.safetensors", self.fails(1, "IO", "run", self.folder / "empty", "-p", "x")["message"])
        self.assertIn("text.md", self.fails(1, "UNSUP", "run", self.folder / "text.md", "-p", "x")["message"])

    def test_prompts(self):
        self.assertIn("empty", self.fails(2, "USAGE", "run", MODEL, "-p", "")["message"])
        self.assertIn("empty", self.fails(2, "USAGE", "run", MODEL, "--prompt-tokens", "[]")["message"])
        error = self.fails(2, "USAGE", "run", MODEL, "-p", "The future of AI is", "--max-length", "8")
        self.assertIn("max_length", error["message"])
        error = self.fails(2, "USAGE", "run", MODEL, "-p", "The future of AI is", "--context", "10")
        self.assertEqual(error["message"],
                         "a prompt of 8 tokens and 20 new ones need 28 positions, --context is 10")
        error = self.fails(2, "USAGE", "logits", MODEL, "-p", "The future of AI is", "--context", "7",
                           "-o", str(self.folder / "o"))
        self.assertEqual(error["message"], "the prompt has 8 tokens, --context is 7")
        self.assertEqual(self.fails(2, "USAGE", "run", MODEL, "--prompt-tokens", "1,2048")["message"],
                         "token 2048 is beyond the vocabulary of 2048")
        self.fails(2, "USAGE", "logits", MODEL, "--tokens", "1,2048", "-o", str(self.folder / "o"))
        self.assertEqual(list(self.folder.iterdir()), [])
        # max_new_tokens wins over max_length
        done = self.run_program("run", MODEL, "-p", "The future of AI is", "--max-length", "8", "-n", "3", "--json")
        self.assertEqual(len(done.json["tokens"]), 3)

    def test_stop_without_tokenizer(self):
        shutil.copy(Path(MODEL) / "model.safetensors", self.folder)
        shutil.copy(Path(MODEL) / "config.json", self.folder)
        self.fails(2, "USAGE", "run", str(self.folder), "--prompt-tokens", "1,2", "--stop", "x")
        self.fails(1, "IO", "run", str(self.folder), "-p", "x")

    def test_name_that_is_no_text(self):
        done = self.run_program("load", b"/nowhere/\xff\x1b[31m\n\xe2\x82", "--json")
        self.assertEqual(done.code, 1)
        self.assertIn("\ufffd", done.json["error"]["message"])
        self.assertNotIn("\x1b", done.out + done.err)

    def test_at_file(self):
        path = self.folder / "memory.json"
        path.write_text('{"cpu": "1KiB"}')
        error = self.fails(3, "BUDGET", "load", MODEL, "--max-memory", f"@{path}")
        self.assertIn("does not fit below the --max-memory", error["message"])
        path.write_text('{"cpu": "1GiB"}')
        self.assertEqual(self.run_program("load", MODEL, "--max-memory", f"@{path}").code, 0)
        path.write_bytes(b'{"cpu": "1GiB"}\0')
        self.assertEqual(self.fails(1, "FORMAT", "load", MODEL, "--max-memory", f"@{path}")["offset"], 15)


if __name__ == "__main__":
    main()
