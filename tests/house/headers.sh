#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every header compiles alone: plimsoll.h as C99, C17 and C++17, the others as C17.
# usage: headers.sh ROOT CC
set -eu
root=$1
cc=$2
strict="-Wall -Wextra -Werror -pedantic -fsyntax-only"
bad=0

# compile LINE COMMAND...: the line alone; what is wrong, cut short
compile() {
    line=$1
    shift
    # $strict is a list of options
    # shellcheck disable=SC2086
    if ! printf '%s\n' "$line" | "$@" $strict - 2>"$log"; then
        echo "failed: $line with $*"
        head -n 5 "$log"
        bad=1
    fi
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for standard in c99 c17; do
    compile '#include <plimsoll.h>' "$cc" -std=$standard -x c "-I$root/include"
done
cxx=$(command -v g++ || command -v clang++ || true)
if [ -n "$cxx" ]; then
    compile '#include <plimsoll.h>' "$cxx" -std=c++17 -x c++ "-I$root/include"
fi
for header in "$root"/src/*/*.h; do
    case $header in
    # bodies that each instruction set compiles with its own types and flags
    */kernels/*simd*.h | */kernels/peak_read.h | */kernels/quant_*_avx2.h | */kernels/quant_lanes_*.h) continue ;;
    esac
    compile "#include \"${header#"$root"/src/}\"" "$cc" -std=c17 -x c -D_GNU_SOURCE "-I$root/include" "-I$root/src" \
        -Wno-unused-function
done
for header in "$root"/cli/*.h; do
    compile "#include \"${header##*/}\"" "$cc" -std=c17 -x c -D_GNU_SOURCE "-I$root/include" "-I$root/cli"
done
[ "$bad" -eq 0 ] || exit 1
if [ -z "$cxx" ]; then
    echo "skipped: no C++ compiler, so plimsoll.h was not tried as C++17; the rest compiles"
    exit 77
fi
echo "every header compiles alone"
