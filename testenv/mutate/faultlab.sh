#!/bin/bash
# faultlab.sh FAULTLAB TEST_BINARY FIRST-LAST OUT: the mutations of those seeds on
# the fault lab's host with a real dockerd, one after another. Each is taken back;
# where that fails, the lab is made anew and the next seed goes on.
set -euo pipefail
lab=$(realpath "$1")/lab.sh bin=$(realpath "$2") out=$4
first=${3%-*} last=${3#*-}
mkdir -p "$out"
out=$(realpath "$out")
cd "$(dirname "$0")"
trap '"$lab" down >/dev/null' EXIT
"$lab" up >/dev/null
for _ in $(seq $((last - first + 1))); do
  [ "$first" -le "$last" ] || break
  rm -f "$out/next"
  timeout 1800 "$lab" exec env ND_LAB_INSIDE=1 "$bin" -test.run '^TestMutations$' -test.timeout 29m -here -seeds "$first-$last" -out "$out" >"$out/log" 2>&1 || true
  next=$(cat "$out/next" 2>/dev/null || echo 0)
  if [ "$next" -le "$last" ]; then
    [ "$next" -gt "$first" ] || { tail -5 "$out/log" >&2; next=$((first + 1)); }
    "$lab" reset >/dev/null
  fi
  first=$next
done
"$bin" -test.run '^TestReport$' -test.v -seeds "$3" -out "$out"
