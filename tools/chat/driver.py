# SPDX-License-Identifier: Apache-2.0
"""Talks to tests/chat/chat_driver: a context per line in, a JSON object per line out."""
import json
import os
import re
import subprocess

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "include", "plimsoll.h")


def code_names():
    """{-2: "FORMAT", ...}"""
    with open(HEADER, encoding="utf-8") as f:
        return {int(n): name for name, n in re.findall(r"PLIM_E_([A-Z]+) *= *(-\d+)", f.read())}


CODES = code_names()


class Driver:
    """`template`: a file; "-": each context is {"template": its text, "context": ...}."""

    def __init__(self, program, template):
        self.program, self.template = program, template

    def run(self, contexts):
        """An answer per context: {"text", "spans"} or {"error", "code"}; a death of the driver is {"died": ...}."""
        out = []
        while len(out) < len(contexts):
            lines = "".join(json.dumps(c) + "\n" for c in contexts[len(out):])
            done = subprocess.run([self.program, self.template], input=lines.encode(), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, check=False)
            answers = [json.loads(a) for a in done.stdout.split(b"\n")[:-1]]
            for a in answers:
                if "code" in a:
                    a["code"] = CODES.get(a["code"], a["code"])
            out += answers
            if len(out) < len(contexts):
                # what asked for this answer killed it; the rest is asked anew
                out.append({"died": f"exit {done.returncode}: {done.stderr[-2000:].decode(errors='replace')}"})
        return out
