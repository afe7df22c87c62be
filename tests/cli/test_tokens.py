# SPDX-License-Identifier: Apache-2.0
"""tokenize and detokenize, plain, --json and --jsonl, against Hugging Face's ids (expected.json)."""
import json
import shutil
from pathlib import Path

from program import EXPECTED, MODEL, Case, main


class Tokens(Case):
    def test_each_way_in(self):
        for case in EXPECTED["tokens"]:
            text, ids = case["text"], case["ids"]
            line = ",".join(map(str, ids)) + "\n"
            self.assertEqual(self.run_program("tokenize", MODEL, stdin=text).out, line)
            self.assertEqual(self.run_program("tokenize", MODEL, "--no-special", stdin=text).out,
                             ",".join(map(str, case["plain"])) + "\n")
            if "\0" not in text:
                self.assertEqual(self.run_program("tokenize", MODEL, "-p", text).out, line)
            path = self.folder / "text"
            path.write_bytes(text.encode("utf-8"))
            self.assertEqual(self.run_program("tokenize", MODEL, "--prompt-file", path, "--json").json,
                             {"ids": ids, "tokens": case["tokens"]})

    def test_each_way_back(self):
        for case in EXPECTED["tokens"]:
            ids = ",".join(map(str, case["ids"]))
            self.assertEqual(self.run_program("detokenize", MODEL, stdin=ids).out, case["decoded"])
            self.assertEqual(self.run_program("detokenize", MODEL, "--skip-special", stdin=ids).out, case["skipped"])
            self.assertEqual(self.run_program("detokenize", MODEL, "--tokens", ids).out, case["decoded"])
            self.assertEqual(self.run_program("detokenize", MODEL, "--json", stdin=f" [{ids}]\n").json,
                             {"text": case["decoded"]})

    def test_lines(self):
        cases = EXPECTED["tokens"] * 3
        for ascii_only in (True, False):
            text = "\n".join(json.dumps(c["text"], ensure_ascii=ascii_only) for c in cases)
            done = self.run_program("tokenize", MODEL, "--jsonl", stdin=text)
            self.assertEqual([json.loads(line) for line in done.out.splitlines()],
                             [{"ids": c["ids"], "tokens": c["tokens"]} for c in cases])
        done = self.run_program("detokenize", MODEL, "--jsonl", stdin="\n".join(json.dumps(c["ids"]) for c in cases) + "\n")
        self.assertEqual([json.loads(line) for line in done.out.splitlines()], [{"text": c["decoded"]} for c in cases])
        self.assertEqual(self.run_program("tokenize", MODEL, "--jsonl", stdin="").raw, b"")
        done = self.run_program("tokenize", MODEL, "--jsonl", stdin=' "a" \r\n\t"b"\n')
        self.assertEqual(len(done.out.splitlines()), 2)

    def test_offsets(self):
        """The bytes behind each id, in order and without a gap; ids that share a character have the same ones."""
        for text in ("To be, or not", "Grüße, 世界 😀", "", "a\0b"):
            raw = text.encode("utf-8")
            for command in (["--json"], ["--jsonl"]):
                done = self.run_program("tokenize", MODEL, *command, "--offsets",
                                        stdin=json.dumps(text) if command == ["--jsonl"] else text)
                found = json.loads(done.out)
                self.assertEqual(len(found["offsets"]), len(found["ids"]))
                at = 0, 0
                for span in map(tuple, found["offsets"]):
                    self.assertTrue(span == at or span[0] == at[1], found)
                    raw[span[0]:span[1]].decode("utf-8")  # whole characters
                    at = span
                self.assertEqual(at[1], len(raw))
                plain = json.loads(self.run_program("tokenize", MODEL, "--json", stdin=text).out)
                self.assertEqual((plain["ids"], "offsets" in plain), (found["ids"], False))
        self.assertEqual(self.fails(2, "USAGE", "detokenize", MODEL, "--tokens", "1", "--offsets")["message"],
                         "--offsets is no option of this command")
        done = self.run_program("tokenize", MODEL, "-p", "a", "--offsets")
        self.assertEqual((done.code, done.raw), (2, b""))
        self.assertIn("--offsets goes with --json or --jsonl", done.err)

    def test_a_long_line(self):
        text = "To be, or not to be " * 20000
        done = self.run_program("tokenize", MODEL, "--jsonl", stdin=json.dumps(text) + "\n" + json.dumps("x"))
        first, second = map(json.loads, done.out.splitlines())
        self.assertGreater(len(first["ids"]), 100000)
        back = self.run_program("detokenize", MODEL, "--jsonl", stdin=json.dumps(first["ids"]))
        self.assertEqual(json.loads(back.out)["text"], text)
        self.assertEqual(len(second["ids"]), 1)

    def test_bad_lines(self):
        """The lines before are answered; then the line and the byte are named."""
        for line, byte, what in [
                ("", 0, "want a JSON string"), ("x", 0, "want a JSON string"), ('["a"]', 0, "want a JSON string"),
                ('"a', 2, "the string is not closed"), ('"a\\', 2, "the string is not closed"),
                ('"a" "b"', 4, "something follows the value"), ('"\\x"', 1, "unknown escape"),
                ('"\\u12g4"', 1, "\\u wants four hexadecimal digits"), ('"\\ud83d"', 1, "a lone surrogate"),
                ('"a\\ude00"', 2, "a lone surrogate"), ('"\\ud83d\\u0041"', 1, "a lone surrogate"),
                ('"a\tb"', 2, "a control character must be escaped"), (b'"\xff"', 1, "the string is not UTF-8"),
                (b'"\xed\xa0\x80"', 1, "the string is not UTF-8"), ("'a'", 0, "want a JSON string")]:
            line = line if isinstance(line, bytes) else line.encode("utf-8")
            done = self.run_program("tokenize", MODEL, "--jsonl", "--json", stdin=b'"ok"\n' + line + b"\n")
            self.assertEqual(done.code, 1, line)
            first, error = map(json.loads, done.out.splitlines())
            self.assertEqual(first["tokens"], ["o", "k"])
            self.assertEqual(error["error"]["code"], "FORMAT")
            self.assertEqual(error["error"]["message"], f"standard input: line 2, byte {byte}: {what}")
            self.assertEqual(error["error"]["offset"], 5 + byte)
        for line, byte, what in [
                ("1", 0, "want a JSON array of token ids"), ("[1", 2, "want ',' or ']'"), ("[1,]", 3, "want a token id, an integer from 0"),
                ("[1 2]", 3, "want ',' or ']'"), ("[-1]", 1, "want a token id, an integer from 0"),
                ("[1.0]", 1, "a token id is a whole number"), ("[1e2]", 1, "a token id is a whole number"),
                ("[01]", 1, "a number must not begin with 0"), ("[2147483648]", 1, "a token id is at most 2147483647"),
                ("[99999999999999999999999]", 1, "a token id is at most 2147483647"), ("[1] x", 4, "something follows the value"),
                ('["1"]', 1, "want a token id, an integer from 0")]:
            done = self.run_program("detokenize", MODEL, "--jsonl", stdin=line)
            self.assertEqual((done.code, done.raw), (1, b""), line)
            self.assertEqual(done.err, f"plimsoll detokenize: FORMAT: standard input: line 1, byte {byte}: {what}\n")

    def test_not_utf8(self):
        for raw in (b"a\xffb", b"\xf0\x9f\x98", b"\xed\xa0\x80"):
            want = raw.decode("utf-8", "replace")
            ids = self.run_program("tokenize", MODEL, stdin=raw)
            self.assertEqual(ids.code, 0, ids.err)
            self.assertEqual(self.run_program("detokenize", MODEL, stdin=ids.raw).out, want)

    def test_ids_that_do_not_exist(self):
        self.assertEqual(self.run_program("detokenize", MODEL, "--tokens", "65,99999,66").out, "ab")
        for bad in ("1,,2", "x", "1.5", "-1", "[1", "1]"):
            self.fails(2, "USAGE", "detokenize", MODEL, stdin=bad)

    def test_tokenizer_files_alone_will_do(self):
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(Path(MODEL) / name, self.folder)
        self.assertEqual(self.run_program("tokenize", self.folder, "-p", "hello, world\n").out, "258,274,79,12,896,199\n")
        self.assertEqual(self.run_program("tokenize", MODEL, "-p", "x", "--jsonl").code, 2)
        self.assertEqual(self.run_program("detokenize", MODEL, "--tokens", "1", "--jsonl").code, 2)


if __name__ == "__main__":
    main()
