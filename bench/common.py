# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: the two checkpoints, the state of cache and memory before an arm, children that are
measured, the disk's own limit, control groups, tables.  Standard library only."""
import ctypes, json, mmap, os, random, shutil, statistics, subprocess, sys, tempfile, time

from beside_transformers import MODELS, warm_cache

MiB = 1 << 20
PAGE = mmap.PAGESIZE


# ---- checkpoints ----------------------------------------------------------------------------------------------------

def checkpoint(plimsoll, top, name):
    """The folder of the checkpoint `name` (of MODELS, or a path), made by `plimsoll synth` when it is missing."""
    if os.path.isdir(name):
        return name
    folder = os.path.join(top, name)
    if not os.path.exists(os.path.join(folder, "config.json")):
        dtype, config = MODELS[name]
        os.makedirs(top, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(config, f)
            f.flush()
            subprocess.run([plimsoll, "synth", f.name, folder, "--dtype", dtype, "--quiet"], check=True)
            os.sync()
    return folder


def weight_files(folder):
    return sorted(os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(".safetensors"))


def largest_file(folder):
    return max(weight_files(folder), key=os.path.getsize)


def stored_dtype(folder):
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    return config.get("torch_dtype") or config.get("dtype") or MODELS[os.path.basename(folder)][0]


# ---- the state before an arm ----------------------------------------------------------------------------------------

def resident_bytes(path):
    """Of the file, in the page cache."""
    size = os.path.getsize(path)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    fd = os.open(path, os.O_RDONLY)
    try:
        base = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
        if base == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "mmap")
        pages = (size + PAGE - 1) // PAGE
        vector = (ctypes.c_ubyte * pages)()
        libc.mincore(ctypes.c_void_p(base), ctypes.c_size_t(size), vector)
        libc.munmap(ctypes.c_void_p(base), ctypes.c_size_t(size))
        return PAGE * sum(map((1).__and__, bytes(vector)))
    finally:
        os.close(fd)


def make_cold(paths, tries=20):
    """Out of the page cache, and made sure of; with drop_caches where root must."""
    for attempt in range(tries):
        for path in paths:
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
        left = sum(map(resident_bytes, paths))
        if left <= 0.001 * sum(map(os.path.getsize, paths)):
            return
        if os.geteuid() == 0:
            with open("/proc/sys/vm/drop_caches", "w") as f:
                f.write("1")
        if attempt:
            time.sleep(0.5)
    raise RuntimeError(f"{left} bytes stay in the page cache: somebody maps the files")


def make_warm(folder):
    warm_cache(folder)


def warm_memory(size):
    """Touch and free memory, so that what the arm is given next was in use a moment ago: in a guest, memory that the
    host has taken back costs more than the disk.  In a child, which leaves no trace in this process's peak."""
    pid = os.fork()
    if pid == 0:
        try:
            with open("/proc/meminfo") as f:
                available = next(int(line.split()[1]) << 10 for line in f if line.startswith("MemAvailable"))
            size = min(size, available // 2)
            memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            memory.madvise(mmap.MADV_HUGEPAGE)
            for offset in range(0, size, PAGE):
                memory[offset] = 1
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


# ---- children -------------------------------------------------------------------------------------------------------

class Result:
    """rc, out, err, seconds of the whole process, peak (ru_maxrss), read (bytes from block devices)."""


def run(argv, group=None, env=None, timeout=None):
    """Run a child, in a control group where one is given.  A child that a signal ended has a negative rc."""
    if group:
        argv = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', group.procs] + argv
    r = Result()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.monotonic()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 env={**os.environ, "HF_HUB_OFFLINE": "1", **(env or {})})
        deadline = start + timeout if timeout else None
        while deadline and time.monotonic() < deadline and not os.waitid(
                os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            time.sleep(0.02)
        if deadline and time.monotonic() >= deadline:
            child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but still there to be asked
        r.seconds = time.monotonic() - start
        r.read = proc_field(f"/proc/{child.pid}/io", "read_bytes")
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = r.rc = os.waitstatus_to_exitcode(status)
        r.peak = usage.ru_maxrss << 10
        out.seek(0)
        err.seek(0)
        r.out, r.err = out.read(), err.read()
    return r


def proc_field(path, name):
    try:
        with open(path) as f:
            for line in f:
                if line.startswith(name + ":"):
                    value = line.split()[1:]
                    return int(value[0]) << (10 if value[-1] == "kB" else 0)
    except OSError:
        pass
    return 0


def run_json(argv, **how):
    """The one JSON object that a child prints; None and the reason where it fails."""
    r = run(argv, **how)
    try:
        r.json = json.loads(r.out.strip().splitlines()[-1])
    except (IndexError, ValueError):
        r.json = None
    if r.rc != 0 or r.json is None:
        error = (r.json or {}).get("error") or {}
        lines = [line for line in r.err.strip().splitlines() if line.strip()]
        r.why = error.get("message") or (lines[-1] if lines else f"exit {r.rc}")
        if r.rc < 0:
            r.why = f"killed by signal {-r.rc}"
        elif r.rc == 3:
            r.why = "refused: " + r.why
        if r.rc == 0:
            r.rc = 1
    return r


def find_program(*candidates):
    for c in candidates:
        if c and (shutil.which(c) or os.path.exists(c)):
            return shutil.which(c) or c
    return None


# ---- the disk -------------------------------------------------------------------------------------------------------

class Disk:
    """The limit of bare O_DIRECT reads of a file: bench_disk where it is built, else fio; None where neither is."""

    def __init__(self, bench_disk, file):
        self.file = file
        self.program = find_program(bench_disk)
        self.fio_program = find_program("fio")
        self.kind = "bench_disk" if self.program else "fio" if self.fio_program else None
        self.block, self.depth, self.engine, self.sweep = 4 * MiB, 4, "io_uring", None
        make_cold([file])
        self.warm_memory()
        if self.program:
            self.sweep = json.loads(run([self.program, file, "--bytes", str(512 * MiB)]).out)
            best = self.sweep["best"]
            self.block, self.depth, self.engine = best["block"], best["depth"], best["engine"]
        elif self.fio_program:
            self.sweep = {"runs": [{"block": b * MiB, "depth": d, "bytes_per_second": self.fio(b * MiB, d)}
                                   for b in (1, 2, 4, 8) for d in (1, 2, 4, 8)]}
            best = max(self.sweep["runs"], key=lambda s: s["bytes_per_second"])
            self.block, self.depth = best["block"], best["depth"]

    def warm_memory(self):
        warm_memory(os.path.getsize(self.file) + 128 * MiB)

    def fio(self, block=None, depth=None):
        """Bytes per second.  Its buffers are reused, not fresh; huge pages through glibc's tunable."""
        r = run_json([self.fio_program, "--name=read", f"--filename={self.file}", "--readonly", "--rw=read",
                      "--direct=1", "--ioengine=io_uring", f"--bs={block or self.block}",
                      f"--iodepth={depth or self.depth}", "--invalidate=0", "--output-format=json"],
                     env={"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"})
        try:
            return json.loads(r.out[r.out.index("{"):])["jobs"][0]["read"]["bw_bytes"]
        except (ValueError, LookupError):
            raise RuntimeError("fio: " + r.err.strip()[-200:])

    def once(self):
        """Bytes per second of one read of the whole file with the best configuration of the sweep."""
        if not self.program:
            return self.fio()
        r = run([self.program, self.file, "--once", str(self.block), str(self.depth), self.engine])
        if r.rc != 0:
            raise RuntimeError(r.err.strip())
        return os.path.getsize(self.file) / float(r.out)

    def describe(self):
        if not self.kind:
            return "none (neither bench_disk nor fio is here)"
        return f"{self.kind}, blocks of {self.block / MiB:g} MiB, {self.depth} in flight ({self.engine})"


# ---- control groups -------------------------------------------------------------------------------------------------

class Group:
    """A memory control group of exactly `limit` bytes, swap included where that is counted.  v1 or v2.
    Raises OSError where none can be made."""

    def __init__(self, limit):
        self.v2, parent = memory_hierarchy()
        self.path = os.path.join(parent, f"plimsoll-bench-{os.getpid()}-{random.getrandbits(32):08x}")
        os.mkdir(self.path)
        self.procs = os.path.join(self.path, "cgroup.procs")
        limit -= limit % PAGE
        try:
            if self.v2:
                self.write("memory.max", limit)
                self.write("memory.swap.max", 0, optional=True)
            else:
                self.write("memory.limit_in_bytes", limit)
                self.write("memory.memsw.limit_in_bytes", limit, optional=True)
                self.write("memory.swappiness", 0, optional=True)
        except OSError:
            self.remove()
            raise

    def write(self, name, value, optional=False):
        path = os.path.join(self.path, name)
        if optional and not os.path.exists(path):
            return
        with open(path, "w") as f:
            f.write(str(value))

    def read(self, name):
        try:
            with open(os.path.join(self.path, name)) as f:
                return f.read()
        except OSError:
            return ""

    def report(self):
        """How often the kernel killed in it, hit the limit, and the most that it held (file cache included)."""
        events = "memory.events" if self.v2 else "memory.oom_control"
        fields = dict(line.split() for line in self.read(events).splitlines())
        peak = self.read("memory.peak" if self.v2 else "memory.max_usage_in_bytes")
        hits = fields.get("max", 0) if self.v2 else sum(
            int(self.read(name) or 0) for name in ("memory.failcnt", "memory.memsw.failcnt"))
        swap = self.read("memory.swap.peak") if self.v2 else next(
            (line.split()[1] for line in self.read("memory.stat").splitlines() if line.startswith("swap ")), 0)
        return {"oom_kill": int(fields.get("oom_kill", 0)), "limit_hits": int(hits),
                "group_peak": int(peak or 0), "swap": int(swap or 0)}

    def remove(self):
        for _ in range(50):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.05)


def memory_hierarchy():
    """(True for v2, the folder below which a group can be made)"""
    with open("/proc/self/cgroup") as f:
        lines = [line.strip().split(":", 2) for line in f]
    mounts = [line.split() for line in open("/proc/mounts")]
    v1 = next((path for _, controllers, path in lines if "memory" in controllers.split(",")), None)
    for _, where, kind, options, *_ in mounts:
        if v1 is not None and kind == "cgroup" and "memory" in options.split(","):
            own = where + v1
            return False, own if os.access(own, os.W_OK) else where
    for _, where, kind, *_ in mounts:
        if kind == "cgroup2" and v1 is None:
            own = where + next((path for number, _, path in lines if number == "0"), "")
            while len(own) >= len(where):  # the nearest that hands the controller on to its children
                try:
                    with open(os.path.join(own, "cgroup.subtree_control")) as f:
                        if "memory" in f.read().split() and os.access(own, os.W_OK):
                            return True, own
                except OSError:
                    pass
                own = os.path.dirname(own.rstrip("/"))
    raise OSError("no memory control group can be made here")


# ---- telling --------------------------------------------------------------------------------------------------------

def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def table(head, rows):
    cells = [[str(c) for c in row] for row in [head] + rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip())
    sys.stdout.flush()


def number(value, form="{:.3f}"):
    return "-" if value is None else form.format(value)


def mib(value):
    return number(None if value is None else value / MiB, "{:.0f}" if value and abs(value) >= 100 * MiB else "{:.1f}")


def machine():
    model, memory = "", proc_field("/proc/meminfo", "MemTotal")
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "memory": memory, "kernel": os.uname().release,
            "load": os.getloadavg()[0]}


def standard_options(parser):
    parser.add_argument("--plimsoll", default="build/release/plimsoll", help="the program")
    parser.add_argument("--bench-disk", default="build/release/bench/bench_disk",
                        help="the program of bench/disk.c; fio stands in where it is not built")
    parser.add_argument("--python", default=sys.executable, help="the Python in which the peers are installed")
    parser.add_argument("--models", default=",".join(MODELS), help="names, or folders of checkpoints")
    parser.add_argument("--folder", default=os.path.join(tempfile.gettempdir(), "plimsoll-bench"),
                        help="where the checkpoints are, or are written when missing (4 GB)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", metavar="FILE", help="every single figure")


def write_json(path, value):
    if path:
        with open(path, "w") as f:
            json.dump(value, f, indent=1)
            f.write("\n")
