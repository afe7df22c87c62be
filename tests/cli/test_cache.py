# SPDX-License-Identifier: Apache-2.0
"""Names of the Hub, looked up in the Hugging Face cache that lies on the disk; and where that is (expected.json has
what huggingface_hub says)."""
import os
import shutil
from pathlib import Path

from program import EXPECTED, MODEL, Case, environment, main

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Cache(Case):
    def test_where_it_is(self):
        for case in EXPECTED["caches"]:
            if case["cache"] == "/root/c" and os.path.expanduser("~root") != "/root":
                continue
            env = environment(HOME="/home/ann", BASE=None, NOT_SET=None)
            env.update(case["env"])
            text = self.run_program("help", "environment", env=env).out
            self.assertEqual(text.splitlines()[-1], f"The cache folder is {case['cache']}", case["env"])

    def fill(self, hub):
        model = hub / "models--org--small"
        (model / "refs").mkdir(parents=True)
        (model / "refs" / "main").write_text(COMMIT)
        (model / "blobs").mkdir()
        snapshot = model / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        for number, path in enumerate(sorted(Path(MODEL).iterdir())):
            shutil.copy(path, model / "blobs" / f"{number:040x}")
            (snapshot / path.name).symlink_to(f"../../blobs/{number:040x}")

    def test_by_name(self):
        hub = self.folder / "hf" / "hub"
        self.fill(hub)
        want = self.run_program("run", MODEL, "-p", "ROMEO:", "-n", "5").out
        for env in ({"HF_HOME": str(self.folder / "hf")}, {"HF_HUB_CACHE": str(hub)},
                    {"HOME": str(self.folder), "HF_HOME": "~/hf"}):
            for name in ("org/small", "org/small@main", f"org/small@{COMMIT}"):
                done = self.run_program("run", name, "-p", "ROMEO:", "-n", "5", env=environment(**env))
                self.assertEqual((done.code, done.out), (0, want), done.err)
        done = self.run_program("run", "org/small", "-p", "ROMEO:", "-n", "5", "--cache-dir", hub, "--revision", COMMIT)
        self.assertEqual(done.out, want)
        empty = environment(HF_HOME=str(self.folder / "other"))
        for command in (["run", "org/small", "-p", "x"], ["info", "org/small"], ["tokenize", "org/small", "-p", "x"]):
            error = self.fails(1, "IO", *command, env=empty)
            self.assertIn("hf download org/small", error["message"])
        error = self.fails(1, "IO", "info", "org/small", "--revision", "v2", "--cache-dir", str(hub))
        self.assertIn("hf download org/small --revision v2", error["message"])
        self.fails(1, "UNSAFE", "info", "org/small@../../x", "--cache-dir", str(hub))


if __name__ == "__main__":
    main()
