# SPDX-License-Identifier: Apache-2.0
"""The order of the folders: a file of src/ includes only from its own folder and from those above it; the
program, the examples and whatever stands beside them know plimsoll.h and nothing else of the library.

usage: include_order.py ROOT
"""
import re
import sys
from pathlib import Path

# As the design lists them; "plimsoll.h" stands above all.
ORDER = ["base", "memory", "tensor", "kernels", "checkpoint", "model", "plan", "load", "tokenizer", "chat",
         "generate", "hub", "api"]
OUTSIDE = ["cli", "examples", "server"]  # plimsoll.h only
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>|(.+))')


def includes(path):
    """(line number, name, quoted) of every #include."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found[1] or found[2] or found[3], found[1] is not None


def sources(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".c", ".h", ".cu"))


def check_library(src):
    for path in sources(src):
        own = path.relative_to(src).parts[0]
        if own not in ORDER:
            yield f"{path}: folder '{own}' is not in the order"
            continue
        for number, name, quoted in includes(path):
            if not quoted or name == "plimsoll.h":
                if name.startswith("plimsoll") and not quoted:
                    yield f"{path}:{number}: write \"plimsoll.h\" inside the library"
                continue
            folder = name.split("/")[0]
            if "/" not in name or ".." in name:
                yield f"{path}:{number}: \"{name}\": write the folder, as in \"{own}/{name}\""
            elif folder not in ORDER:
                yield f"{path}:{number}: \"{name}\": no folder of the library"
            elif ORDER.index(folder) > ORDER.index(own):
                yield f"{path}:{number}: {own}/ must not include \"{name}\": {folder}/ stands below it"


def check_outside(root, name):
    folder = root / name
    own = {p.name for p in sources(folder)}
    for path in sources(folder):
        for number, header, quoted in includes(path):
            if header == "plimsoll.h" or (quoted and header in own):
                continue
            if quoted or header.split("/")[0] in ORDER or "plimsoll" in header:
                yield f"{path}:{number}: \"{header}\": {name}/ uses plimsoll.h only"


def check(root):
    yield from check_library(root / "src")
    for name in OUTSIDE:
        yield from check_outside(root, name)


def check_cmake(root):
    """The build's list is this order too."""
    text = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    listed = re.search(r"set\(PLIM_FOLDERS ([^)]*)\)", text)[1].split()
    if listed != [f for f in ORDER if f in listed]:
        yield f"CMakeLists.txt: PLIM_FOLDERS is not in the order: {' '.join(listed)}"


def main():
    root = Path(sys.argv[1])
    wrong = [*check(root), *check_cmake(root)]
    print("\n".join(wrong) or "every include goes upwards")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
