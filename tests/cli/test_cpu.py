# SPDX-License-Identifier: Apache-2.0
"""info --cpu and PLIMSOLL_CPU: which kernels run and why, cores and threads."""
import os
import platform
import subprocess

from program import MODEL, PROGRAM, Case, environment, main

KINDS = {"float products", "int8 products", "int4 products", "attention", "norms", "casts", "quantising"}


def plain(**changes):
    return environment(**{"PLIMSOLL_CPU": None, **changes})


class Cpu(Case):
    def cpu(self, **changes):
        return self.run_program("info", "--cpu", "--json", env=plain(**changes)).json

    def test_json(self):
        cpu = self.cpu()
        self.assertEqual(set(cpu), {"processor", "kernels", "levels", "cores", "threads", "threads_because"})
        self.assertEqual(set(cpu["kernels"]), KINDS)
        names = [level["name"] for level in cpu["levels"]]
        self.assertEqual(names[0], "scalar")
        if platform.machine() == "x86_64":
            self.assertEqual(names, ["scalar", "avx2", "avx2-vnni", "avx512", "avx512-vnni"])
        for level in cpu["levels"]:
            self.assertTrue(level["allowed"])
            self.assertEqual(level["used"], level["name"] in cpu["kernels"].values())
            self.assertFalse(level["used"] and not level["available"])
        cores = cpu["cores"]
        allowed = len(os.sched_getaffinity(0))
        self.assertEqual(cores["allowed_logical"], allowed)
        self.assertTrue(1 <= cores["allowed_physical"] <= allowed)
        self.assertTrue(cores["physical"] <= cores["logical"])
        self.assertEqual(cpu["threads"], min(cores["allowed_physical"], cores["quota"] or 256, 256))

    def test_affinity(self):
        one = min(os.sched_getaffinity(0))
        done = subprocess.run([PROGRAM, "info", "--cpu"], env=plain(), stdout=subprocess.PIPE, check=True,
                              preexec_fn=lambda: os.sched_setaffinity(0, {one}))
        self.assertRegex(done.stdout.decode(), r"(?m)^threads +1: ")
        self.assertRegex(done.stdout.decode(), r"(?m)^cores .* in the affinity mask 1, with 1$")

    def test_a_level_is_forced(self):
        for level in self.cpu()["levels"]:
            name = level["name"]
            if not level["available"]:
                error = self.fails(2, "USAGE", "info", "--cpu", env=plain(PLIMSOLL_CPU=name))
                self.assertEqual(error["message"],
                                 f"PLIMSOLL_CPU={name}: this processor lacks {level['instructions']}")
                continue
            forced = self.cpu(PLIMSOLL_CPU=name)
            self.assertIn(name, forced["kernels"].values())
            names = [entry["name"] for entry in forced["levels"] if entry["used"]]
            self.assertLessEqual(set(names), {entry["name"] for entry in forced["levels"] if entry["allowed"]})
            if name == "scalar":
                self.assertEqual(set(forced["kernels"].values()), {"scalar"})
            run = self.run_program("run", MODEL, "-p", "ROMEO:", "-n", "3", "--json", env=plain(PLIMSOLL_CPU=name))
            self.assertEqual(run.json["kernels"], name)

    def test_unknown_level(self):
        for args in (["info", "--cpu"], ["load", MODEL]):
            message = self.fails(2, "USAGE", *args, env=plain(PLIMSOLL_CPU="mmx"))["message"]
            self.assertRegex(message, r"^PLIMSOLL_CPU: want one of scalar, .*, found 'mmx'$")

    def test_text(self):
        text = self.run_program("info", "--cpu", env=plain(PLIMSOLL_CPU="scalar")).out
        self.assertRegex(text, r"\Aprocessor +\S")
        self.assertRegex(text, r"(?m)^  scalar +none: plain C +everything$")
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        for level in self.cpu()["levels"]:
            if level["name"] != "scalar":
                reason = "left out by PLIMSOLL_CPU" if level["available"] else "NOT here: "
                self.assertRegex(text, rf"(?m)^  {level['name']} +{level['instructions']} +{reason}")

    def test_no_model(self):
        self.assertEqual(self.fails(2, "USAGE", "info", "--cpu", MODEL)["message"],
                         f"one argument too many: '{MODEL[:80]}'")
        self.assertEqual(self.fails(2, "USAGE", "load", "--cpu", MODEL)["message"],
                         "--cpu is no option of this command")
        self.assertEqual(self.fails(2, "USAGE", "info")["message"], "MODEL is missing")


if __name__ == "__main__":
    main()
