#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz/run.sh TARGET [SECONDS]: fuzz one target (NAME.c beside this) in build/fuzz, starting from its corpus.
# What is found new goes to build/fuzz/found/TARGET; `fuzz/run.sh TARGET merge` takes into the corpus what adds to it.
# An input that breaks something is left as build/fuzz/crash-*; put it into the corpus once it is mended.
set -eu
cd "$(dirname "$0")/.."
target=${1:?usage: fuzz/run.sh TARGET [SECONDS | merge]}
seconds=${2:-60}
cmake --preset fuzz > /dev/null
cmake --build build/fuzz --target "fuzz_$target"
program=$(find build/fuzz -type f -name "fuzz_$target" -perm -u+x)
mkdir -p "build/fuzz/found/$target"
if [ "$seconds" = merge ]; then
    exec "$program" -merge=1 -use_counters=0 "fuzz/corpus/$target" "build/fuzz/found/$target"
fi
# A small quarantine: otherwise freed blocks, which the sanitizer keeps, are most of what -rss_limit_mb sees.
export ASAN_OPTIONS="quarantine_size_mb=16${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
exec nice "$program" -max_total_time="$seconds" -rss_limit_mb=256 -timeout=5 -max_len=4096 -dict="fuzz/$target.dict" \
    -artifact_prefix=build/fuzz/ -print_final_stats=1 "build/fuzz/found/$target" "fuzz/corpus/$target"
