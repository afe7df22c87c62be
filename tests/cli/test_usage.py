# SPDX-License-Identifier: Apache-2.0
"""Help, version, and command lines that cannot be meant: exit 2, before any file is opened."""
from program import MODEL, Case, main

MISSING = "/nowhere/at/all"  # never opened: usage is judged first
COMMANDS = ["run", "plan", "load", "info", "logits", "tokenize", "detokenize", "synth", "bench", "convert",
            "chat", "template"]
LATER = ["pull", "serve"]


class Usage(Case):
    def usage(self, message, *args):
        """Exactly this message, and where to look."""
        error = self.fails(2, "USAGE", *args)
        self.assertEqual(error["message"], message)
        self.assertEqual((error["file"], error["tensor"], error["offset"]), (None, None, None))

    def test_unknown_flag(self):
        self.usage("unknown option '--frobnicate'", "run", MISSING, "--frobnicate")
        self.usage("unknown option '--frobnicate=3'", "load", MISSING, "--frobnicate=3")
        self.usage("unknown option '-x'", "run", MISSING, "-x")
        self.usage("unknown option '-qx'", "run", MISSING, "-qx")
        self.usage("unknown option '--Temperature'", "run", MISSING, "--Temperature", "1")
        self.usage("--temperature is no option of this command", "plan", MISSING, "--temperature", "1")

    def test_exact_text(self):
        done = self.run_program("run", MISSING, "--frobnicate")
        self.assertEqual(done.err, "plimsoll run: USAGE: unknown option '--frobnicate'\nsee: plimsoll help run\n")

    def test_missing_value(self):
        self.usage("--prompt wants a value (TEXT); write --name=--value for one that begins with dashes",
                   "run", MISSING, "-p")  # --json follows
        done = self.run_program("run", MISSING, "-p")
        self.assertEqual((done.code, done.err.splitlines()[0]),
                         (2, "plimsoll run: USAGE: --prompt wants a value (TEXT)"))
        done = self.run_program("run", MISSING, "--max-length", "--json")
        self.assertEqual(done.code, 2)
        self.assertIn("--max-length wants a value (N)", done.json["error"]["message"])

    def test_numbers(self):
        whole = "--max-length: want a whole number from 1 to 4294967295, found '%s'"
        for bad in ["99999999999999999999", "4294967296", "0", "-1", "1.5", "1e3", "0x10", "ten", "", " 1", "1 ", "+1"]:
            self.usage(whole % bad, "run", MISSING, "-p", "x", "--max-length", bad)
        self.usage("--seed: want a whole number from 0 to 18446744073709551615, found '18446744073709551616'",
                   "run", MISSING, "-p", "x", "--seed", "18446744073709551616")
        for bad in ["nan", "NaN", "inf", "-inf", "0", "-1", "1e999", "0x1p3", "", "1,5", "one", "1.0.0"]:
            self.usage(f"--temperature: want a number above 0, found '{bad}'",
                       "run", MISSING, "-p", "x", "--temperature", bad)
        for bad in ["1.01", "-0.1", "nan"]:
            self.usage(f"--top-p: want a number from 0 to 1, found '{bad}'",
                       "run", MISSING, "-p", "x", "--top-p", bad)
            self.usage(f"--min-p: want a number from 0 to 1, found '{bad}'",
                       "run", MISSING, "-p", "x", "--min-p", bad)
        self.usage("--repetition-penalty: want a number above 0, found '0'",
                   "run", MISSING, "-p", "x", "--repetition-penalty", "0")
        self.usage("--threads: want a whole number from 1 to 256, found '257'", "load", MISSING, "--threads", "257")
        self.usage("--context: want a whole number from 1 to 4294967295, found '4294967296'",
                   "load", MISSING, "--context=4294967296")

    def test_sizes(self):
        message = "--memory: want auto, none, or a size as 512MiB, 8GiB, 8GB or plain bytes, found '%s'"
        for bad in ["0", "-1", "8 GiB", "8gib", "GiB", "1.GiB", "1.5", "99999999999GiB", "18446744073709551616", ""]:
            self.usage(message % bad, "load", MISSING, "--memory", bad)

    def test_words(self):
        self.usage("--low-cpu-mem-usage: want true or false, found 'maybe'",
                   "load", MISSING, "--low-cpu-mem-usage", "maybe")
        self.usage("--dtype: want one of auto, float32, bfloat16, float16, int8, int4, found 'int64'",
                   "load", MISSING, "--dtype", "int64")
        self.usage("--reader: want one of auto, map, buffered, direct, found 'slow'",
                   "load", MISSING, "--reader", "slow")
        self.usage("--kv-dtype: want one of auto, float32, float16, bfloat16, found 'int8'",
                   "load", MISSING, "--kv-dtype", "int8")
        for bad in ["1,,2", "a", "1,2,", ",1", "-1", "2147483648", "1.5", "[1,2"]:
            self.assertIn("want token ids as in 1,2,3",
                          self.fails(2, "USAGE", "run", MISSING, "--prompt-tokens", bad)["message"])

    def test_arguments(self):
        self.usage("MODEL is missing", "run")
        self.usage("one argument too many: 'b'", "load", "a", "b")
        self.usage("CONFIG and OUT are wanted", "synth", "a")
        self.usage("MODEL and OUT are wanted", "convert", "a", "--dtype", "int8")
        self.usage("want one of --prompt, --prompt-file and --prompt-tokens", "run", MISSING)
        self.usage("want one of --prompt, --prompt-file and --prompt-tokens, found more",
                   "run", MISSING, "-p", "x", "--prompt-tokens", "1")
        self.usage("-o FILE is missing", "logits", MISSING, "-p", "x")
        self.usage("--stop: want at most 64 texts, none of them empty", "run", MISSING, "-p", "x", "--stop", "")
        self.usage("unknown command 'frobnicate'", "frobnicate", MISSING)
        done = self.run_program()
        self.assertEqual((done.code, done.raw), (2, b""))

    def test_not_yet(self):
        for command in LATER:
            error = self.fails(1, "UNSUP", command, MODEL)
            self.assertEqual(error["message"], f"'{command}' is not there yet")
        for device_map in ("cuda", "cuda:1", "0", '{"": 0}', '{"model": "cuda:0"}', '{"": "mps"}', '{"": "meta"}'):
            self.assertIn("device_map", self.fails(1, "UNSUP", "load", MODEL, "--device-map", device_map)["message"])

    def test_forms_of_options(self):
        want = self.run_program("run", MODEL, "--prompt", "ROMEO:", "--max-new-tokens", "5").raw
        self.assertTrue(want.startswith(b"ROMEO:"))
        for form in [["-p", "ROMEO:", "-n", "5"], ["-pROMEO:", "-n5"], ["--prompt=ROMEO:", "--max-new-tokens=5"],
                     ["-n", "9", "-n", "5", "-p", "ROMEO:"], ["-p", "ROMEO:", "-n5", "--do-sample=false", "-q"]]:
            self.assertEqual(self.run_program("run", MODEL, *form).raw, want, form)
        self.assertEqual(self.run_program("run", "-p", "ROMEO:", "-n5", "--", MODEL).raw, want)
        dashes = self.run_program("run", MODEL, "--prompt=--seed", "-n1")
        self.assertTrue(dashes.out.startswith("--seed"), dashes.err)

    def test_sizes_that_are_right(self):
        for text, size in [("64MiB", 64 << 20), ("1GB", 10**9), ("1.5GiB", 3 << 29), ("100000000", 10**8), ("70MB", 70 * 10**6)]:
            done = self.run_program("plan", MODEL, "--memory", text, "--json")
            self.assertEqual(done.json["limit"], size)
        self.assertIsNone(self.run_program("plan", MODEL, "--memory", "none", "--json").json["limit"])
        self.assertGreater(self.run_program("plan", MODEL, "--json").json["limit"], 1 << 20)

    def test_help(self):
        done = self.run_program("help")
        self.assertEqual((done.code, done.err), (0, ""))
        for command in COMMANDS:
            self.assertRegex(done.out, rf"(?m)^  {command} ")
            text = self.run_program("help", command).out
            self.assertTrue(text.startswith(f"usage: plimsoll {command} "), text)
            self.assertEqual(self.run_program(command, "--help").out, text)
            self.assertLessEqual(max(map(len, text.splitlines())), 90)
        lines = self.run_program("help", "environment").out.splitlines()
        self.assertLessEqual(max(map(len, lines)), 110)
        for name in ["HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "HOME", "XDG_STATE_HOME", "NO_COLOR", "TERM", "TZ"]:
            self.assertIn(f"  {name} ", self.run_program("help", "environment").out)
        self.fails(2, "USAGE", "help", "frobnicate")

    def test_version(self):
        self.assertRegex(self.run_program("version").out, r"^plimsoll \d+\.\d+\.\d+\n$")
        self.assertEqual(self.run_program("--version").out, self.run_program("version").out)


if __name__ == "__main__":
    main()
