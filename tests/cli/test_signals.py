# SPDX-License-Identifier: Apache-2.0
"""Interrupted: stops cleanly, exit 130, whatever it was doing."""
import json
import os
import signal
import subprocess
import time

from program import MODEL, PROGRAM, SANITIZED, Case, environment, main

SOON = 5 if SANITIZED else 1  # seconds, with the start of other processes on two cores


class Signals(Case):
    def start(self, *args, **more):
        return subprocess.Popen([PROGRAM, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=environment(), **more)

    def interrupt(self, process, number=signal.SIGINT):
        """The exit code, stdout, stderr after the signal; it must come soon."""
        started = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        self.assertLess(time.monotonic() - started, SOON)
        return process.returncode, out.decode("utf-8"), err.decode("utf-8")

    def wait_for(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.002)

    def resident(self, process):
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            return sum(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def wait_until_computing(self, process):
        """Memory has grown, and grows no more: the model is loaded."""
        self.wait_for(lambda: self.resident(process) > 150000)
        before, steady = 0, 0
        while steady < 3:
            time.sleep(0.1)
            now = self.resident(process)
            steady = steady + 1 if abs(now - before) < 1000 else 0
            before = now

    def test_mapped_file_is_cut_short(self):
        """SIGBUS is the program's affair: an error, not a core dump; own memory does not mind."""
        for reader, code in (("map", 1), ("buffered", 130)):
            with self.subTest(reader=reader):
                model = self.synth(name=reader)
                run = self.start("run", model, "--prompt-tokens", "5", "-n", "1000", "--ignore-eos",
                                 "--reader", reader)
                os.read(run.stdout.fileno(), 64)
                os.truncate(model / "model.safetensors", 4096)
                if reader == "map":
                    err = run.communicate(timeout=60)[1].decode("utf-8")
                else:
                    err = self.interrupt(run)[2]
                self.assertEqual(run.returncode, code, err)
                self.assertEqual("cut short" in err, reader == "map", err)

    def test_in_the_middle_of_a_text(self):
        model = self.synth()
        for number in (signal.SIGINT, signal.SIGTERM):
            run = self.start("run", model, "--prompt-tokens", "5", "-n", "1000", "--ignore-eos")
            first = os.read(run.stdout.fileno(), 64)
            code, out, err = self.interrupt(run, number)
            self.assertEqual(code, 130)
            ids = (first.decode() + out).rstrip("\n").split(",")
            self.assertTrue(all(i.isdigit() for i in ids))
            self.assertLess(len(ids), 1000)
            self.assertTrue(out.endswith("\n"))
            self.assertIn("plimsoll run: CANCELLED: interrupted\n", err)
            self.assertIn("peak", err)

    def test_json_is_whole(self):
        model = self.synth()
        run = self.start("run", model, "--prompt-tokens", "5", "-n", "1000", "--ignore-eos", "--json")
        self.wait_for(lambda: self.resident(run) > 100000)
        time.sleep(0.3)
        code, out, _ = self.interrupt(run)
        self.assertEqual(code, 130)
        answer = json.loads(out)
        self.assertEqual(answer["error"]["code"], "CANCELLED")
        if "tokens" in answer:
            self.assertEqual(answer["finish_reason"], "interrupted")
            self.assertLess(len(answer["tokens"]), 1000)

    def test_in_the_middle_of_a_prompt(self):
        model = self.synth(n_layer=16, n_positions=10000)
        prompt = ",".join(["7"] * 9000)
        run = self.start("run", model, "--prompt-tokens", prompt, "--json", "-q", "--no-prompt")
        self.wait_until_computing(run)
        self.assertIsNone(run.poll(), "the prompt was done too soon to be interrupted")
        code, out, _ = self.interrupt(run)
        self.assertEqual(code, 130)
        answer = json.loads(out)
        self.assertEqual((answer["error"]["code"], answer["tokens"]), ("CANCELLED", []))
        self.assertEqual(answer["timing"]["prefill_tokens_per_s"], 0)  # nobody counted the rows
        run = self.start("run", model, "--prompt-tokens", prompt)
        self.wait_until_computing(run)
        code, _, err = self.interrupt(run)
        self.assertEqual(code, 130)
        self.assertIn("prompt of 9000 (interrupted) after", err)
        self.assertNotIn("first token", err)
        out = self.folder / "logits.safetensors"
        run = self.start("logits", model, "--tokens", prompt, "-o", out)
        self.wait_for(lambda: list(self.folder.glob("logits*")))
        self.wait_until_computing(run)
        self.assertEqual(self.interrupt(run)[0], 130)
        self.assertEqual(list(self.folder.glob("logits*")), [])

    def test_while_writing(self):
        config = self.folder / "config.json"
        config.write_text(json.dumps({"model_type": "gpt2", "n_embd": 2048, "n_head": 16, "n_layer": 16,
                                      "n_positions": 64, "vocab_size": 1000}))  # 3.2 GB, of which little is written
        run = self.start("synth", config, self.folder / "out", "--dtype", "float32", "--json")
        self.wait_for(lambda: any(p.stat().st_size > 1 << 20 for p in self.folder.glob("out/*") if p.exists()))
        code, out, _ = self.interrupt(run)
        self.assertEqual((code, json.loads(out)["error"]["code"]), (130, "CANCELLED"))
        self.assertEqual([p for p in self.folder.glob("out/*") if ".safetensors" in p.name], [])

    def test_while_waiting_for_input(self):
        for command in (["tokenize", MODEL], ["tokenize", MODEL, "--jsonl"], ["detokenize", MODEL, "--jsonl"]):
            run = self.start(*command)
            time.sleep(0.3 if not SANITIZED else 1)
            self.assertIsNone(run.poll())
            code, out, err = self.interrupt(run)
            self.assertEqual((code, out), (130, ""), err)

    def test_twice(self):
        """A second signal ends it on the spot."""
        run = self.start("tokenize", MODEL)
        time.sleep(0.3 if not SANITIZED else 1)
        run.send_signal(signal.SIGINT)
        run.send_signal(signal.SIGINT)
        run.stdin.close()
        self.assertEqual(run.wait(10), 130)
        run.stdout.close()
        run.stderr.close()


if __name__ == "__main__":
    main()
