# SPDX-License-Identifier: Apache-2.0
"""A real control group with a memory limit, v1 or v2, for one command at a time.  Needs the right to make one."""
import os
import subprocess
from pathlib import Path


def _v1_root():
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split()[:3]
        if kind == "cgroup" and "memory" in options.split(","):
            return Path(left.split()[4])
    return None


def _v2_root():
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] == "cgroup2":
            root = Path(left.split()[4])
            if "memory" in (root / "cgroup.controllers").read_text().split():
                return root
    return None


class Group:
    """with Group(bytes) as group: group.run([...]).  Raises OSError where no group can be made."""

    def __init__(self, limit, name="plimsoll-test"):
        v1, v2 = _v1_root(), _v2_root()
        if not v1 and not v2:
            raise OSError("no memory controller is mounted")
        self.v2 = not v1
        self.folder = (v1 or v2) / f"{name}-{os.getpid()}"
        if self.v2:
            (v2 / "cgroup.subtree_control").write_text("+memory")
        self.folder.mkdir()
        try:
            if self.v2:
                (self.folder / "memory.max").write_text(str(limit))
                self._maybe("memory.swap.max", 0)
            else:
                (self.folder / "memory.limit_in_bytes").write_text(str(limit))
                self._maybe("memory.memsw.limit_in_bytes", limit)
        except OSError:
            self.folder.rmdir()
            raise

    def _maybe(self, name, value):
        try:
            (self.folder / name).write_text(str(value))
        except OSError:
            pass  # no swap is accounted here

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.rmdir()

    def run(self, command, **more):
        """subprocess.run of a command that is inside before it begins; pipes for both outputs."""
        tasks = self.folder / "cgroup.procs"
        return subprocess.run(command, preexec_fn=lambda: tasks.write_text("0"), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def kills(self):
        """How many processes of the group the kernel has killed for want of memory."""
        text = (self.folder / ("memory.events" if self.v2 else "memory.oom_control")).read_text()
        return int(dict(line.split() for line in text.splitlines()).get("oom_kill", 0))

    def swapped(self):
        if self.v2:
            try:
                return int((self.folder / "memory.swap.current").read_text())
            except OSError:
                return 0
        fields = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        return int(fields.get("swap", 0))
