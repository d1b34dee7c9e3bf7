#!/bin/bash
# Every test, part after part, then one line that says what passed, or which parts failed.
# Usage: tests/all.sh (NAME COMMAND)...
# A part ends in Criterion's summary or in "N passed, N failed"; one that ran no test has failed.
# Its lines that begin with "skipped:" are counted.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
counts=
failed=
skipped=0

while [ $# -ge 2 ]; do
    printf '\n==== %s: %s (minutes may pass without output)\n' "$1" "$2"
    bash -c "$2" 2>&1 | tee "$log"
    status=$?
    n=$(sed -nE 's/.*Synthesis: .*Passing: ([0-9]+).*/\1/p; s/^([0-9]+) passed, [0-9]+ failed.*/\1/p' \
        "$log" | tail -1)
    skipped=$((skipped + $(grep -c '^skipped:' "$log")))
    if [ $status = 0 ] && [ "${n:-0}" -gt 0 ]; then
        counts="$counts${counts:+, }$n $1"
    else
        failed="$failed${failed:+, }$1"
    fi
    shift 2
done

echo
if [ -n "$failed" ]; then
    echo "FAILED: $failed"
    exit 1
fi
[ $skipped = 0 ] || counts="$counts; $skipped skipped"
echo "all tests passed: $counts"
