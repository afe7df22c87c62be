# SPDX-License-Identifier: Apache-2.0
"""What every source file keeps to: the SPDX line, at most 600 lines (or the reason in the first lines), functions of
at most 70 lines, no tabs, no blanks at line ends, a newline at the end.

usage: files.py ROOT
"""
import re
import sys
from pathlib import Path

FOLDERS = ["include", "src", "cli", "server", "tests", "bench", "fuzz", "examples", "tools", "bindings"]
SUFFIXES = {".c", ".h", ".py", ".sh", ".cu"}
MAX_LINES = 600
MAX_FUNCTION = 70
# Where functions are counted; the tests' are tables more often than not.
COUNTED = ("src/", "cli/", "server/", "examples/")
LONG_FUNCTIONS = {
    ("src/generate/forward.c", None),  # the forward pass reads from top to bottom like the paper
    ("src/model/skeleton.c", "role_shape"),  # a table: one switch, one case per role
}
# Files that are data, written by a script.
DATA = re.compile(r"/(golden|corpus|expected)[^/]*/|/expected_[^/]*[.]h$")
TITLE = re.compile(r"^[A-Za-z_].*\(")


def files(root):
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            name = "/" + path.relative_to(root).as_posix()
            if path.suffix in SUFFIXES and path.is_file() and not DATA.search(name) and "__pycache__" not in name:
                yield path
    yield from (root / name for name in ("run", ".ci/run", "CMakeLists.txt", "src/CMakeLists.txt"))


def long_functions(lines):
    """(first line number, its title, length) of functions that are too long: from the title to the closing brace."""
    title = None
    for number, line in enumerate(lines, 1):
        if line == "}" and title:
            if number - title + 1 > MAX_FUNCTION:
                yield title, lines[title - 1], number - title + 1
            title = None
        elif line == "{" and title is None:
            title = number  # a title that was not seen
        elif TITLE.match(line) and not line.rstrip().endswith(";") and not line.startswith(("typedef", "#")):
            title = number
        elif line.endswith(";") and line[:1].isspace() is False and line[:1] not in "{}":
            title = None


def check_file(path, name):
    text = path.read_bytes().decode("utf-8")
    lines = text.splitlines()
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
        yield f"{name}: no SPDX line"
    if len(lines) > MAX_LINES and "lines because" not in " ".join(lines[:3]):
        yield f"{name}: {len(lines)} lines; over {MAX_LINES} it begins with 'Over 600 lines because ...'"
    if not text.endswith("\n"):
        yield f"{name}: no newline at the end"
    for number, line in enumerate(lines, 1):
        if "\t" in line:
            yield f"{name}:{number}: a tab"
        if line != line.rstrip():
            yield f"{name}:{number}: blanks at the end of the line"
    if path.suffix in (".c", ".h") and name.startswith(COUNTED) and (name, None) not in LONG_FUNCTIONS:
        for number, title, length in long_functions(lines):
            if not any(name == file and f"{function}(" in title for file, function in LONG_FUNCTIONS):
                yield f"{name}:{number}: a function of {length} lines, at most {MAX_FUNCTION} are allowed"


def check(root):
    for path in files(root):
        yield from check_file(path, path.relative_to(root).as_posix())


def main():
    wrong = list(check(Path(sys.argv[1])))
    print("\n".join(wrong) or "all files keep to the rules")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
