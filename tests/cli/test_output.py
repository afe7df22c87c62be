# SPDX-License-Identifier: Apache-2.0
"""Where output goes: a full disk is an error, a closed pipe is none, nothing half-written under a final name; progress
on a terminal only; the report fits 80 columns."""
import json
import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

from program import MODEL, PROGRAM, SANITIZED, Case, environment, main

ANSWERS = [["run", MODEL, "-p", "ROMEO:"], ["run", MODEL, "-p", "ROMEO:", "--json"], ["info", MODEL],
           ["info", MODEL, "--json"], ["plan", MODEL], ["load", MODEL], ["load", MODEL, "--json"],
           ["tokenize", MODEL, "-p", "x"], ["detokenize", MODEL, "--tokens", "65"], ["help"], ["version"],
           ["help", "environment"]]


class Output(Case):
    def test_full_disk(self):
        for command in ANSWERS:
            with open("/dev/full", "wb") as full:
                done = self.run_program(*command, stdout=full)
            self.assertEqual(done.code, 1, command)
            self.assertIn("IO: standard output: write failed: No space left on device\n", done.err)
        with open("/dev/full", "wb") as full:
            self.assertEqual(self.run_program("run", MODEL, stdout=full).code, 2)  # the first error counts
        error = self.fails(1, "IO", "logits", MODEL, "-p", "x", "-o", "/dev/full")
        self.assertEqual(error["file"], "/dev/full")
        self.assertIn("No space left", error["message"])

    def test_closed_pipe(self):
        for command in ANSWERS + [["tokenize", MODEL, "--jsonl"]]:
            read, write = os.pipe()
            os.close(read)
            done = self.run_program(*command, stdout=write, stdin='"a"\n' * 5000)
            os.close(write)
            self.assertEqual(done.code, 0, (command, done.err))
            self.assertNotIn("plimsoll:", done.err)

    def test_pipe_closed_in_the_middle(self):
        done = subprocess.run(f'"{PROGRAM}" info "{MODEL}" | head -n 1; exit ${{PIPESTATUS[0]}}', shell=True,
                              executable=shutil.which("bash") or "/bin/bash", capture_output=True, timeout=60, env=environment())
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        model = self.synth()
        run = subprocess.Popen([PROGRAM, "run", model, "--prompt-tokens", "1", "-n", "1000", "--ignore-eos"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        run.stdout.read(4)
        run.stdout.close()
        started = time.monotonic()
        self.assertEqual((run.wait(60), run.stderr.read().count(b"error")), (0, 0))
        run.stderr.close()
        self.assertLess(time.monotonic() - started, 3)

    def test_closed_descriptors(self):
        """A closed standard output must not let the text flow into a file of the model."""
        shutil.copytree(MODEL, self.folder / "model")
        before = {p.name: p.read_bytes() for p in (self.folder / "model").iterdir()}
        for closed in (">&-", "2>&-", "<&-", "<&- >&- 2>&-"):
            done = subprocess.run(f'"{PROGRAM}" run "{self.folder}/model" -p ROMEO: -n 3 {closed}', shell=True,
                                  capture_output=True, timeout=60, env=environment())
            self.assertEqual(done.returncode, 1 if ">&-" in closed.replace("2>&-", "") else 0, closed)
        self.assertEqual(before, {p.name: p.read_bytes() for p in (self.folder / "model").iterdir()})

    def test_nothing_half_written(self):
        out = self.folder / "logits.safetensors"
        out.write_text("what was there")
        self.fails(2, "USAGE", "logits", MODEL, "--tokens", "1,999999", "-o", str(out))
        self.fails(3, "BUDGET", "logits", MODEL, "--tokens", "1", "-o", str(out), "--memory", "1MiB")
        self.assertEqual([p.name for p in self.folder.iterdir()], ["logits.safetensors"])
        self.assertEqual(out.read_text(), "what was there")
        self.assertEqual(self.run_program("logits", MODEL, "--tokens", "1", "-o", out).code, 0)
        self.assertEqual(len(out.read_bytes()) % 4, 0)
        self.assertEqual(self.run_program("logits", MODEL, "--tokens", "1", "-o", "/dev/null").code, 0)

    def test_small_disk(self):
        """A real full disk, where one can be made (as root)."""
        mount = self.folder / "disk"
        mount.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], capture_output=True)
        if made.returncode:
            self.skipTest("no rights to mount a small disk")
        try:
            error = self.fails(1, "IO", "synth", MODEL + "/config.json", str(mount / "model"))
            self.assertIn("No space left", error["message"])
            self.assertEqual([p for p in mount.rglob("*") if p.is_file() and p.suffix == ".safetensors"], [])
            error = self.fails(1, "IO", "logits", MODEL, "--prompt-file", MODEL + "/config.json", "--max-memory",
                               '{"cpu": "1GiB"}', "-o", str(mount / "logits"))
            self.assertIn("No space left", error["message"])
            self.assertEqual([p for p in mount.iterdir() if "logits" in p.name], [])
        finally:
            subprocess.run(["umount", mount], check=True)

    def terminal(self, *command):
        """stderr as a terminal sees it."""
        try:
            leader, follower = pty.openpty()
        except OSError as why:
            self.skipTest(f"SKIPPED: there are no pseudo-terminals here: {why}")
        done = subprocess.Popen([PROGRAM, *map(str, command)], stdout=subprocess.DEVNULL, stderr=follower, env=environment())
        os.close(follower)
        text = b""
        while select.select([leader], [], [], 60)[0]:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            text += part
        os.close(leader)
        self.assertEqual(done.wait(60), 0)
        return text.decode("utf-8")

    def test_progress(self):
        config = self.folder / "config.json"
        config.write_text(json.dumps({**json.loads(Path(MODEL, "config.json").read_text()), "num_hidden_layers": 30}))
        seen = self.terminal("synth", config, self.folder / "out")
        lines = [line for line in seen.split("\r") if line.strip()]
        self.assertRegex(lines[-1], r"^writing [0-9.]+ [KM]iB of [0-9.]+ MiB  100 %  [0-9.]+ \w+/s")
        self.assertTrue(all(len(line.rstrip("\n")) < 80 for line in lines))
        self.assertTrue(seen.endswith("\r"), "the line is wiped at the end")
        self.assertNotIn("\x1b", seen)
        self.assertRegex(self.terminal("load", self.folder / "out", "--reader", "buffered"), r"\rloading .*100 %")
        self.assertEqual(self.terminal("synth", config, self.folder / "out2", "--quiet"), "")
        self.assertEqual(self.run_program("synth", config, self.folder / "out3").err, "")

    def test_columns(self):
        """Every shape of plan and info begins in the column that the head line says."""
        for command in ("plan", "info"):
            lines = self.run_program(command, MODEL).out.split("\n\n")[0].splitlines()
            column = lines[0].index("shape")
            shapes = [line for line in lines[1:] if "[" in line]
            self.assertGreater(len(shapes), 30)
            self.assertEqual({line.index("[") for line in shapes}, {column}, command)

    def test_report(self):
        done = self.run_program("load", MODEL, "--memory", "64MiB")
        lines = done.err.splitlines()
        self.assertTrue(all(len(line) <= 80 for line in lines), done.err)
        self.assertRegex(lines[0], r"^memory  before [\d.]+ MiB, after [\d.]+ MiB, peak [\d.]+ MiB, line 64\.0 MiB$")
        self.assertRegex(lines[1], r"^  \[[#=.| ]{56}\] 64\.0 MiB$")
        self.assertTrue(all(32 <= ord(c) < 127 for c in "".join(lines)))
        plan = self.run_program("plan", MODEL, "--memory", "64MiB").out
        self.assertRegex(plan, r"(?m)^  \[[#=| ]{56}\] 64\.0 MiB$")
        bar = next(line for line in plan.splitlines() if line.startswith("  ["))[3:59]
        if not SANITIZED:
            self.assertLess(bar.index("|"), 20)  # a peak of about 10 MiB below a line of 64


if __name__ == "__main__":
    main()
