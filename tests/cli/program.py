# SPDX-License-Identifier: Apache-2.0
"""Runs the program for the tests of this folder; PLIMSOLL is its path."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = str(ROOT / "models" / "shakespeare-1.7m")
PROGRAM = os.environ.get("PLIMSOLL", str(ROOT / "build" / "release" / "plimsoll"))
SANITIZED = bool(os.environ.get("PLIM_SANITIZE"))
EXPECTED = json.loads((Path(__file__).parent / "expected.json").read_text(encoding="utf-8"))


def environment(**changes):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE_", "XDG_"))}
    env.update(changes)
    return {k: v for k, v in env.items() if v is not None}


class Result:
    def __init__(self, code, out, err):
        self.code, self.raw, self.err = code, out, err.decode("utf-8", "replace")

    @property
    def out(self):
        return self.raw.decode("utf-8")

    @property
    def json(self):
        """Exactly one object, on one line."""
        text = self.out
        assert text.endswith("\n") and text.count("\n") == 1, text
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)


def unique(pairs):
    assert len(pairs) == len(dict(pairs)), "a key stands twice"
    return dict(pairs)


def refuse(word):
    raise ValueError(word)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="plimsoll-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_program(self, *args, stdin=b"", env=None, **more):
        if isinstance(stdin, str):
            stdin = stdin.encode("utf-8")
        done = subprocess.run([PROGRAM, *map(os.fsencode, args)], input=stdin, env=env or environment(),
                              stdout=more.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, timeout=120, **more)
        return Result(done.returncode, done.stdout or b"", done.stderr)

    def fails(self, code, name, *args, **more):
        """The exit code, the error's code and nothing on stdout; the same as JSON.  Returns the error object."""
        plain = self.run_program(*args, **more)
        self.assertEqual((plain.code, plain.raw), (code, b""), plain.err)
        self.assertRegex(plain.err, rf"(?m)^plimsoll( \w+)?: {name}: .+")
        self.assertNotIn("AddressSanitizer", plain.err)
        quiet = self.run_program(*args, "--json", "--quiet", **more)
        self.assertEqual(quiet.code, code, quiet.err)
        error = quiet.json["error"]
        self.assertEqual(set(error), {"code", "message", "file", "tensor", "offset"})
        self.assertEqual(error["code"], name)
        self.assertIn(error["message"], quiet.err)
        return error

    def synth(self, name="model", dtype="bfloat16", **config):
        """A checkpoint of random weights; by default one whose tokens take a few milliseconds each."""
        base = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 768, "n_head": 12, "n_layer": 10,
                "n_positions": 1024, "vocab_size": 1000}
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({**base, **config}))
        done = self.run_program("synth", path, self.folder / name, "--dtype", dtype)
        self.assertEqual(done.code, 0, done.err)
        return self.folder / name


def write_safetensors(path, tensors):
    """tensors: name -> (dtype, shape, bytes)"""
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t[2] for t in tensors.values()))


def read_safetensors(path):
    raw = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    return json.loads(raw[8:8 + length]), raw[8 + length:]


def main():
    """As unittest.main, but exit 77 where not a single test could run, and every skipped one is named."""
    program = unittest.main(exit=False)
    result = program.result
    for test, reason in result.skipped:
        print(f"skipped: {test}: {reason}")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.testsRun and len(result.skipped) == result.testsRun else 0)
