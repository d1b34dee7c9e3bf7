# bench: its tests, formats and limits, comparison and plots.

expect 0 "$PITH" bench "$TALE" -p 8,16 -n 4 -r 2 -t 1
prints '^\| pp8 '
prints '^\| pp16 '
prints '^\| tg4 '
prints '^stream, int8: share of the limits .* [0-9.]+ GB/s and [0-9]+ Gop/s$'
expect 0 "$PITH" bench "$TALE" -p 8 -n 0,4 -d 0,20 -s 1,3 -r 2 -t 1 -o json
cp "$T/out" "$T/bench.json"
cat >"$T/check.py" <<'END'
import json, sys
rows = json.load(open(sys.argv[1]))
print(*[t["test"] for t in rows])
keys = """model type isa threads test tokens depth sessions repeats tps tps_min tps_max first_seconds
    p50_seconds p90_seconds p99_seconds share_of_stream share_of_int8 stream_gbps int8_gops
    stream_gbps_before stream_gbps_after int8_gops_before int8_gops_after read_gbps linear_gops
    attention_gops failed rss_bytes rss_peak_bytes load_seconds load_gbps params weight_bytes
    share_of_best best_gbps""".split()
documented = open("perf/results/README.md").read()
for t in rows:
    ok = (sorted(t) == sorted(keys) and all("`%s`" % k in documented for k in keys)
          and t["threads"] == 1 and t["tps_min"] <= t["tps"] <= t["tps_max"]
          and (t["p50_seconds"] is None) == (t["test"] == "pp8")
          and t["best_gbps"] * 1.000001 >= t["stream_gbps"] > 0
          and min(t["stream_gbps_before"], t["stream_gbps_after"]) > 0
          and abs(t["load_gbps"] * t["load_seconds"] * 1e9 / t["weight_bytes"] - 1) < 1e-4
          and (t["test"] != "pp8" or t["best_gbps"] == t["stream_gbps"])
          and t["share_of_stream"] is None and t["share_of_best"] is None and t["failed"] is False
          and (t["int8_gops"] == 0 or
               0 < t["share_of_int8"] <= 1.02 and t["linear_gops"] > 0)
          and 1e6 < t["rss_bytes"] <= t["rss_peak_bytes"] < 3e8)
    if not ok:
        print("wrong:", t)
END
is "bench -o json is an array of tests" "$(python3 "$T/check.py" "$T/bench.json")" = \
    'pp8 tg4 tg4x3 tg4@d20 tg4@d20x3'
# A context of more tokens than the test needs is really in memory.
resident() {
    "$PITH" bench "$TALE" -p 8 -n 0 -r 1 -t 1 "$@" -o jsonl 2>"$T/err" | python3 -c '
import json, sys
row = json.loads(sys.stdin.readline())
print(row["rss_bytes"] >> 20, row["load_gbps"])'
}
what="bench --context"
small=$(resident --mmap)
large=$(resident --mmap -c 100000)
says "a context of 100000 is more than"
is "bench --context touches the cache ($small, $large)" "${large% *}" -gt $((${small% *} + 250))
is "bench --mmap reports no load rate" "${small#* }" = None
expect 0 "$PITH" bench "$TALE" -p 8 -n 4 -r 1 -o jsonl
cp "$T/out" "$T/bench.jsonl"
is "bench -o jsonl is a row per line" "$(python3 -c '
import json, sys
print(*[json.loads(line)["test"] for line in open(sys.argv[1])])' "$T/bench.jsonl")" = 'pp8 tg4'
expect 0 "$PITH" bench "$TALE" -p 8 -n 2 -r 1 -o csv
is "bench -o csv has a header and rows of as many fields" "$(python3 -c '
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
print(*[r["test"] for r in rows], all(None not in r and None not in r.values() for r in rows),
      rows[0]["p50_seconds"] == "", float(rows[1]["p50_seconds"]) > 0)' "$T/out")" = \
    'pp8 tg2 True True True'

expect 0 "$PITH" bench --limits -t 2 -o json
is "bench --limits measures one and two threads" "$(python3 -c '
import json, sys
rows = json.load(open(sys.argv[1]))
documented = open("perf/results/README.md").read()
print([(r["test"], r["threads"]) for r in rows],
      all(r[k] > 0 for r in rows for k in ("stream_gbps", "stream_4k_gbps", "clock_ghz",
                                           "dispatch_us")),
      all("`%s`" % k in documented for r in rows for k in r))' "$T/out")" = \
    "[('limits', 1), ('limits', 2)] True True"
expect 0 "$PITH" bench --limits -t 1 --isa scalar
prints '^scalar, [0-9.]+ GHz$'
prints '^\| +1 \| +[0-9.]+ \|'

fails 1 'unknown shape "no-such".*llama2-7b' "$PITH" bench --shape no-such --type int4
fails 1 'no-such' "$PITH" bench --limits --isa no-such
fails 2 "needs no model" "$PITH" bench "$TALE" --limits
fails 2 "md, json or jsonl" "$PITH" bench --limits -o csv
fails 2 "either MODEL.pith or --shape" "$PITH" bench
fails 2 "either MODEL.pith or --shape" "$PITH" bench "$TALE" --shape llama2-7b --type int4
fails 2 "go together" "$PITH" bench --shape llama2-7b
fails 2 "nothing to time" "$PITH" bench "$TALE" -p 0 -n 0
fails 2 "at most 64 tests" "$PITH" bench "$TALE" -p 0 -n 1,2,3,4,5 -d 1,2,3,4,5 -s 1,2,3
fails 2 "not 'xml'" "$PITH" bench "$TALE" -o xml
fails 2 "not '0'" "$PITH" bench "$TALE" -s 0
fails 2 "not '1,,2'" "$PITH" bench "$TALE" -d 1,,2

# Scripts. Speeds are set by hand, so that ratios are known.
python3 - "$T/bench.json" "$T/other.json" <<'END'
import json, sys
rows = json.load(open(sys.argv[1]))
for row in rows:
    row["tps"] *= 1.25
    row["share_of_int8"] = (row["share_of_int8"] or 0) * 1.5
rows[1]["failed"] = True
json.dump(rows[:4], open(sys.argv[2], "w"))
END
expect 0 perf/compare "$T/bench.json" "$T/other.json"
prints '^\| tale\.pith +\| int8 +\| +1 \| pp8 +\| .*\| +1\.250 \|'
prints '^\| tale\.pith +\| int8 +\| +1 \| tg4 +\| .*[0-9]! \| +1\.250 \| +- \|$'
prints '\| tg4@d20x3 +\| .*\| +- \| +- \| +- \|$'
# Rows from before memory was read between the tokens hold the share of the best stretch: ratios
# are those of the best stretch then, else of the stream.
python3 - "$T/bench.json" "$T" <<'END'
import json, sys
row = json.load(open(sys.argv[1]))[1]
def write(name, stream, best):
    row.update(share_of_stream=stream, share_of_best=best)
    kept = {k: v for k, v in row.items() if v != "absent"}
    json.dump([kept], open(f"{sys.argv[2]}/{name}.json", "w"))
write("new", 0.9, 0.8)
write("newer", 0.45, 0.2)
write("old", 0.4, "absent")
write("older", 0.8, "absent")
END
expect 0 perf/compare "$T/new.json" "$T/newer.json" "$T/old.json"
prints '\| tg4 .*\| +0\.90 \| .*\| +0\.500 \| .*\| +0\.500 \|$'
expect 0 perf/compare "$T/old.json" "$T/older.json" "$T/new.json"
prints '\| tg4 .*\| +0\.40 \| .*\| +2\.000 \| .*\| +2\.000 \|$'
for results in perf/results/*.jsonl; do
    expect 0 perf/compare "$results" "$results"
done
expect 0 perf/compare "$T/bench.jsonl"
prints '^\| model +\| type +\| threads \| test +\| tokens/s \| stream \| int8 \|$'
expect 2 perf/compare
says 'usage'
# fails_script PATTERN COMMAND... : one line that matches, no output.
fails_script() {
    local pattern=$1
    shift
    expect 1 "$@"
    says "$pattern"
    no_output
}
echo '{"a": 1}' >"$T/strange.json"
fails_script 'not a result' perf/compare "$T/strange.json"
echo nothing >"$T/words"
fails_script 'not JSON' perf/compare "$T/words"
fails_script 'No such file' perf/compare "$T/absent"
if command -v gnuplot >/dev/null; then
    python3 - "$T/bench.json" "$T/threads.json" <<'END'
import json, sys
rows = json.load(open(sys.argv[1]))
for row in rows:
    row["threads"] = 2
    row["tps"] *= 2
json.dump(rows, open(sys.argv[2], "w"))
END
    expect 0 perf/plot "$T/plots" "$T/bench.json" "$T/threads.json"
    for plot in depth threads roofline; do
        is "$plot.svg is a drawing" "$(grep -c '</svg>' "$T/plots/$plot.svg")" = 1
    done
    expect 0 perf/plot "$T/plots" "$T/old.json" perf/results/*.jsonl
    fails_script 'not a result' perf/plot "$T/plots" "$T/strange.json"
else
    skip "plots: no gnuplot"
fi
