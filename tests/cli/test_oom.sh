# A failed allocation, wherever in the process, is an error or makes no difference: a sample of
# `make oom`.

library=$(dirname "$PITH")/failm.so
if [ -e "$library" ]; then
    expect 0 python3 tests/oom/sweep.py "$PITH" "$library" --runs 12
    prints ' 0 wrong$'
    grep -E '^ |fails' "$T/out" | head -20
else
    skip "failed allocations: $library is not built"
fi
