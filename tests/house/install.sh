#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs into a temporary prefix, builds examples/ against it by pkg-config, shared and static, and runs them.
# usage: install.sh ROOT BUILD CC
set -eu
root=$1
build=$2
cc=$3
work=$(mktemp -d "${TMPDIR:-/tmp}/plimsoll-install.XXXXXX")
trap 'rm -rf "$work"' EXIT
model=$root/models/shakespeare-1.7m
prompt="The future of AI is"

cmake --install "$build" --prefix "$work/prefix" >"$work/log" || {
    cat "$work/log"
    exit 1
}
pc=$(find "$work/prefix" -name plimsoll.pc)
[ -n "$pc" ] || {
    echo "no plimsoll.pc"
    exit 1
}
# moved after the installation: the .pc file must still be right
mv "$work/prefix" "$work/moved"
pc=$work/moved/${pc#"$work/prefix/"}
export PKG_CONFIG_PATH="${pc%/*}"
libdir=${pc%/*/*}

expected=$("$work/moved/bin/plimsoll" run "$model" -p "$prompt" --max-length 20 --quiet)

messages='[{"role":"user","content":"Who are you?"}]'
echo '{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}' >"$work/plain.jinja"
answer=$("$work/moved/bin/plimsoll" run "$model" --chat -p "Who are you?" --template "$work/plain.jinja" -n 64 --quiet)

# link NAME SED [FLAG]: generate-NAME and chat-NAME
link() {
    for example in generate chat; do
        # the flags are lists of words
        # shellcheck disable=SC2046
        "$cc" -std=c99 -Wall -Wextra -Werror "$root/examples/$example.c" -o "$work/$example-$1" \
            $(pkg-config ${3:+"$3"} --cflags --libs plimsoll | sed "$2")
    done
}

# check NAME: what the examples printed
check() {
    check_generate "generate-$1"
    check_chat "chat-$1"
}

check_chat() {
    echo "$messages" | "$work/$1" "$model" "$work/plain.jinja" >"$work/out" || exit 1
    cat "$work/out"
    tail -n 1 "$work/out" | grep -q '^[0-9]* tokens of prompt, [0-9]* of answer$'
    [ "$(sed '$d' "$work/out")" = "$answer" ] || {
        printf 'want: %s\n' "$answer"
        exit 1
    }
    if echo "$messages" | "$work/$1" "$model" 2>"$work/err"; then
        echo "a model without a template was no error"
        exit 1
    fi
    grep -q '^IO: .*no chat template' "$work/err"
    if echo 'nothing' | "$work/$1" "$model" "$work/plain.jinja" 2>"$work/err"; then
        echo "messages that are no JSON were no error"
        exit 1
    fi
    grep -q '^FORMAT: ' "$work/err"
}

check_generate() {
    "$work/$1" "$model" "$prompt" >"$work/out" || exit 1
    cat "$work/out"
    grep -q '^RSS before [0-9.]* MB, after [0-9.]* MB, increase [0-9.]* MB$' "$work/out"
    grep -q '^1746624 parameters$' "$work/out"
    [ "$(tail -n +3 "$work/out")" = "$expected" ] || {
        printf 'want: %s\n' "$expected"
        exit 1
    }
    if "$work/$1" "$work/nothing" 2>"$work/err"; then
        echo "a model that is not there was no error"
        exit 1
    fi
    grep -q '^IO: ' "$work/err"
}

link shared ""
export LD_LIBRARY_PATH="$libdir"
check shared
unset LD_LIBRARY_PATH

link static 's/-lplimsoll/-l:libplimsoll.a/' --static
check static
for example in generate chat; do
    if ldd "$work/$example-static" | grep plimsoll; then
        echo "the static example needs the shared library"
        exit 1
    fi
done
[ "$("$work/moved/bin/plimsoll" version)" = "plimsoll $(pkg-config --modversion plimsoll)" ]
echo "installed, found by pkg-config, built and run: shared and static"
