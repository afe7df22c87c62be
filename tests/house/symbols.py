# SPDX-License-Identifier: Apache-2.0
"""What the built library holds and asks for: no mutable globals, plim_* symbols only, exactly the functions of
plimsoll.h exported, and no call that a guest must not make.

usage: symbols.py ROOT libplimsoll.a libplimsoll.so PROGRAM_OBJECT...
"""
import re
import subprocess
import sys
from pathlib import Path

# The program's: a signal handler can reach nothing else.
PROGRAM_GLOBALS = {"interrupt.c.o": {"seen", "lost_page_json", "spared", "watched", "watched_load"}}

# Printing, exiting, the environment, the locale, signals, the floating-point mode.
FORBIDDEN = """printf vprintf puts putchar fprintf vfprintf fputs fputc putc fwrite perror stdout stderr
    exit _exit _Exit abort atexit getenv secure_getenv setenv setlocale uselocale localeconv strtod strtof strtold atof
    signal sigaction bsd_signal fesetround fesetenv feenableexcept system popen fork rand srand gmtime localtime
    strtok""".split()
# num.c takes the C locale for one call and puts the thread's own back.
EXCEPTED = {("num.c.o", "uselocale")}
# Who may ask the system for memory.
ALLOCATING = {"malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc", "memalign", "mmap", "mmap64",
              "munmap"}
ALLOCATORS = {"alloc.c.o", "ledger.c.o", "region.c.o"}


def nm(*arguments):
    out = subprocess.run(["nm", *arguments], capture_output=True, text=True, check=True)
    return out.stdout.splitlines()


def symbols(path):
    """(object, name, class, section) of every symbol of an archive or object file."""
    member = Path(path).name
    for line in nm("--format=sysv", path):
        found = re.match(r"^(?:Symbols|Undefined symbols) from .*?([^/\[\]]+\.o)\]?:$", line)
        if found:
            member = found[1]
        cells = [c.strip() for c in line.split("|")]
        if len(cells) == 7 and cells[0] != "Name":
            yield member, cells[0], cells[2], cells[6]


def mutable(section):
    return section.startswith((".data", ".bss", ".tdata", ".tbss", "*COM*")) and not section.startswith(".data.rel.ro")


def check_globals(path, allowed):
    for member, name, _, section in symbols(path):
        if mutable(section) and name not in allowed.get(member, ()):
            yield f"{member}: '{name}' in {section}: no mutable globals"


def check_calls(archive):
    for member, name, kind, _ in symbols(archive):
        if kind != "U":
            if kind in "TDBRVW" and not name.startswith("plim_"):
                yield f"{member}: global symbol '{name}' does not begin with plim_"
            continue
        plain = name.removeprefix("__").removesuffix("_chk").removeprefix("isoc99_")
        if plain in FORBIDDEN and (member, plain) not in EXCEPTED:
            yield f"{member}: calls {name}: the library is a guest"
        if name in ALLOCATING and member not in ALLOCATORS:
            yield f"{member}: calls {name}: memory goes through plim_alloc"


def declared(header):
    text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.S)
    return set(re.findall(r"PLIM_API\b[^;(]*?\b(plim_\w+)\s*\(", text))


def check_exports(shared, header):
    exported = {line.split()[-1] for line in nm("-D", "--defined-only", shared)}
    names = declared(header)
    yield from (f"{name} is exported, and not in plimsoll.h" for name in sorted(exported - names))
    yield from (f"{name} is in plimsoll.h, and not exported" for name in sorted(names - exported))


def main():
    root, archive, shared, *program = sys.argv[1:]
    wrong = [*check_globals(archive, {}), *check_calls(archive),
             *check_exports(shared, Path(root) / "include" / "plimsoll.h")]
    for path in program:
        for one in path.split(";"):
            wrong += check_globals(one, PROGRAM_GLOBALS)
    print("\n".join(dict.fromkeys(wrong)) or "no mutable globals; plim_* only; exactly plimsoll.h is exported")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
