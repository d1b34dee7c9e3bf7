# Two ranks of a 13B model hold at most 53 % of its weights each, and half of the KV cache.
. tests/mpi/ranks.sh

if [ "$(awk '/MemAvailable/ {print int($2 / 1e6)}' /proc/meminfo)" -lt 14 ]; then
    skip "14 GB of free memory"
else
    ranks 2 "$PITH_MPI" bench --shape llama2-13b --type int4 -p 0 -n 2 -d 64 -r 1 -t 1 -o jsonl \
        >"$T/out" 2>"$T/err" &
    child=$!
    # The resident memory of rank 1, as often as it can be read.
    while kill -0 $child 2>/dev/null; do
        pid=$(rank_process 1)
        [ -z "$pid" ] || awk '/VmRSS/ && $2 > 1e6 {print $2 * 1024}' "/proc/$pid/status" 2>/dev/null
        sleep 0.5
    done >"$T/memory"
    what="13B over two ranks"
    wait $child
    is "$what: exit code" $? = 0
    is "$what: memory" "$(python3 - "$T/out" "$T/memory" <<'END'
import json, sys
row = json.loads(open(sys.argv[1]).readline())
cache = 2 * 66 * 40 * 5120 * 2 / 2  # keys and values, f16, half of the heads
most = 0.53 * row["weight_bytes"] + cache
second = max(map(float, open(sys.argv[2]).read().split()))
print("good" if max(row["rss_bytes"], second) <= most else f"{row['rss_bytes']} {second} {most}")
END
    )" = good
fi
