# SPDX-License-Identifier: Apache-2.0
"""Talks to tests/chat/chat_driver: a template file as argument, a context per line in, a JSON object per line out."""
import json
import subprocess


class Driver:
    def __init__(self, program, template):
        self.program, self.template = program, template

    def run(self, contexts):
        """An answer per context: {"text", "spans"} or {"error", "code"}; a death of the driver is {"died": ...}."""
        out = []
        while len(out) < len(contexts):
            lines = "".join(json.dumps(c) + "\n" for c in contexts[len(out):])
            done = subprocess.run([self.program, self.template], input=lines.encode(), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, check=False)
            answers = done.stdout.split(b"\n")[:-1]
            out += [json.loads(a) for a in answers]
            if len(out) < len(contexts):
                # what asked for this answer killed it; the rest is asked anew
                out.append({"died": f"exit {done.returncode}: {done.stderr[-2000:].decode(errors='replace')}"})
        return out
