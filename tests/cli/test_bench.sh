# bench: its tests, formats and limits, comparison and plots.

expect 0 "$PITH" bench "$TALE" -p 8,16 -n 4 -r 2 -t 1
prints '^\| pp8 '
prints '^\| pp16 '
prints '^\| tg4 '
prints '^[^|]+, [0-9]+ CPUs?, [0-9.]+ [MGT]B, .*Linux '
prints '^pith [0-9.]+, 20[0-9-]+T[0-9:]+Z(, load [0-9.]+)?$'
prints '^\| pp8 .*\| +- \| +- \| +- \| cached \|'
prints '^int8: share of the int8 operations .* [0-9]+ Gop/s$|^none: '
prints '^cached: a pass reads less than [0-9]+ MB \(4 x the last-level cache of [0-9.]+ MB\)'
prints '^-: a prompt has no steps$'
prints '^peak memory: [0-9.]+ MB$'
is "bench says nothing of a share that is not there" -z "$(grep '^stream: ' "$T/out")"
expect 0 "$PITH" bench "$TALE" -p 0 -n 4 -r 1 -t 1 --isa scalar
is "bench without prompts explains no dash" -z "$(grep '^-: ' "$T/out")"
expect 0 "$PITH" bench "$TALE" -p 8 -n 0,4 -d 0,20 -s 1,3 -r 2 -t 1 -o json
cp "$T/out" "$T/bench.json"
cat >"$T/check.py" <<'END'
import json, sys
rows = json.load(open(sys.argv[1]))
print(*[t["test"] for t in rows])
keys = """model type isa threads test tokens depth sessions repeats tps tps_min tps_max first_seconds
    p50_seconds p90_seconds p99_seconds share_of_stream share_of_int8 share_of_kind stream_gbps int8_gops
    stream_gbps_before stream_gbps_after int8_gops_before int8_gops_after read_gbps linear_gops
    attention_gops failed rss_bytes rss_peak_bytes load_seconds load_gbps params weight_bytes
    share_of_best best_gbps pass_bytes cache_bytes cpu n_cpus memory_bytes system version date load
    limits_moved steal others busy""".split()
documented = open("perf/results/README.md").read()
reach = {"avx2": 0.5, "avx512": 0.5} # of the int8 operations by int8 products
for t in rows:
    ok = (sorted(t) == sorted(keys) and all("`%s`" % k in documented for k in keys)
          and t["threads"] == 1 and t["tps_min"] <= t["tps"] <= t["tps_max"]
          and (t["p50_seconds"] is None) == (t["test"] == "pp8")
          and t["best_gbps"] * 1.000001 >= t["stream_gbps"] > 0
          and min(t["stream_gbps_before"], t["stream_gbps_after"]) > 0
          and abs(t["load_gbps"] * t["load_seconds"] * 1e9 / t["weight_bytes"] - 1) < 1e-4
          and (t["test"] != "pp8" or t["best_gbps"] == t["stream_gbps"])
          and 0 < t["pass_bytes"] < 4 * t["cache_bytes"] and t["cpu"] and t["system"]
          and t["n_cpus"] > 0 and t["memory_bytes"] > 1 << 24 and t["limits_moved"] >= 1
          and t["busy"] == (t["limits_moved"] > 1.3 or (t["steal"] or 0) > 0.02
                            or (t["others"] or 0) > 0.1)
          and t["date"][:2] == "20" and t["date"][10] == "T" and t["version"] == sys.argv[2]
          and t["share_of_stream"] is None and t["share_of_best"] is None and t["failed"] is False
          and (t["int8_gops"] == 0 or
               0 < t["share_of_int8"] <= 1.02 and t["linear_gops"] > 0
               and abs(t["share_of_kind"] * reach.get(t["isa"], 1) - t["share_of_int8"]) < 1e-4)
          and 1e6 < t["rss_bytes"] <= t["rss_peak_bytes"] < 3e8)
    if not ok:
        print("wrong:", t)
END
VERSION=$("$PITH" --version)
is "bench -o json is an array of tests" "$(python3 "$T/check.py" "$T/bench.json" "${VERSION#pith }")" = \
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
prints '^[^|]+, [0-9]+ CPUs?, '
prints '^scalar$'
prints '^\| +1 \| +[0-9.]+ \|.*\| +none \| +[0-9.]+ \| +[0-9.]+ \|'
prints '^none: there is no probe of these operations for scalar$'
expect 0 "$PITH" bench --limits -t 1 -o csv
is "bench --limits -o csv has a header and a row" "$(python3 -c '
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
print(len(rows), rows[0]["test"], float(rows[0]["stream_gbps"]) > 0, rows[0]["cpu"] != "",
      all(None not in r and None not in r.values() for r in rows))' "$T/out")" = \
    '1 limits True True True'

# Rows come while later tests run: an interrupt after the first keeps it, and the document is whole.
# The second test takes minutes.
for format in md csv json jsonl; do
    interrupt "an interrupted bench -o $format" "grep -q pp8 '$T/out'" \
        "$PITH" bench "$TALE" -p 8 -n 200000 -r 1 -t 1 -o $format
    is "an interrupted bench -o $format keeps the first row" "$(python3 - "$T/out" $format <<'END'
import csv, json, sys
path, kind = sys.argv[1:]
text = open(path).read()
if kind == "json":
    rows = json.loads(text)
elif kind == "jsonl":
    rows = [json.loads(line) for line in text.splitlines()]
elif kind == "csv":
    rows = list(csv.DictReader(text.splitlines()))
else:
    rows = [dict(test=line.split()[1]) for line in text.splitlines() if line.startswith("| pp")]
    rows += [] if "peak memory" in text and "-: a prompt" in text else ["no notes"]
print(*[row["test"] for row in rows])
END
)" = pp8
done
interrupt "an interrupted bench --limits" "grep -q threads '$T/out'" "$PITH" bench --limits -o json
is "an interrupted bench --limits is a document" "$(python3 -c '
import json, sys
print(type(json.load(open(sys.argv[1]))).__name__)' "$T/out")" = list
what="bench on a full device"
"$PITH" bench "$TALE" -p 8 -n 200000 -r 1 -t 1 -o jsonl >/dev/full 2>"$T/err"
is "bench ends when its rows go nowhere" $? = 1

# A suite that is interrupted leaves the files of the one before.
mkdir "$T/suite"
echo old | tee "$T/suite/limits.jsonl" >"$T/suite/tokens.jsonl"
cat >"$T/slow" <<END
#!/bin/sh
case \$* in *--limits*) exec "$PITH" "\$@" -t 1 ;; esac
exec "$PITH" bench "$TALE" -p 8 -n 200000 -r 1 -t 1 -o jsonl
END
chmod +x "$T/slow"
suite_writes() { grep -q pp8 "$T/suite.part/tokens.jsonl"; }
what="an interrupted suite"
setsid perf/suite "$T/slow" "$T/suite" "$TALE" >"$T/out" 2>"$T/err" &
child=$!
until suite_writes 2>/dev/null || ! kill -0 $child 2>/dev/null; do
    sleep 0.01
done
kill -INT -- -$child
wait $child
is "an interrupted suite fails" $? != 0
is "an interrupted suite changes no file" "$(cat "$T/suite/"*)" = "old
old"
is "an interrupted suite keeps what it has" "$(cat "$T/suite.part/"*.jsonl | grep -c '"test"')" = 2
cat >"$T/quick" <<END
#!/bin/sh
case \$* in *--limits*) exec "$PITH" "\$@" -t 1 ;; esac
exec "$PITH" bench "$TALE" -p 8 -n 2 -r 1 -t 1 -o jsonl
END
chmod +x "$T/quick"
if command -v gnuplot >/dev/null; then
    expect 0 perf/suite "$T/quick" "$T/suite" "$TALE"
    prints '^\| tale\.pith .* pp8 '
    is "a suite replaces all files" "$(ls "$T/suite")" = "limits.jsonl
tokens.jsonl"
    is "a suite leaves no part" ! -e "$T/suite.part"
else
    skip "suite: no gnuplot"
fi

fails 1 'unknown shape "no-such".*llama2-7b' "$PITH" bench --shape no-such --type int4
fails 1 'no-such' "$PITH" bench --limits --isa no-such
fails 2 "limits needs no model" "$PITH" bench "$TALE" --limits
fails 2 "search needs no model" "$PITH" bench --search 10 --type int4
fails 2 "two benchmarks" "$PITH" bench --limits --search 10
fails 2 "limits times no model" "$PITH" bench --limits -p 8
fails 2 "limits times no model" "$PITH" bench --limits --per-call 1
fails 2 "search times no model" "$PITH" bench --search 10 -n 8
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
    row["busy"] = False
    row["share_of_int8"] = (row["share_of_int8"] or 0) * 1.5
rows[1]["failed"] = True
json.dump(rows[:4], open(sys.argv[2], "w"))
END
expect 0 perf/compare "$T/bench.json" "$T/other.json"
prints '^bench: .*, [0-9]+ CPUs; 20[0-9-]+; pith [0-9.]+$'
prints '^\| tale\.pith +\| int8 +\| +1 \| pp8 +\| .*\| +1\.250 \|'
prints '^\| tale\.pith +\| int8 +\| +1 \| tg4 +\| .*[0-9]! \| +1\.250 \| +- \|$'
prints '\| tg4@d20x3 +\| .*\| +- \| +- \| +- \|$'
# Rows from before memory was read between the tokens hold the share of the best stretch: ratios
# are those of the best stretch then, else of the stream.
python3 - "$T/bench.json" "$T" <<'END'
import json, sys
row = json.load(open(sys.argv[1]))[1]
row["busy"] = False
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
# Rows of other machines and instruction sets stand side by side on purpose only.
python3 - "$T/bench.json" "$T" <<'END'
import json, sys
def write(name, **fields):
    rows = json.load(open(sys.argv[1]))
    for row in rows:
        row.update(fields)
        for field in [k for k, v in row.items() if v == "absent"]:
            del row[field]
    json.dump(rows, open(f"{sys.argv[2]}/{name}.json", "w"))
write("one", cpu="Processor A", n_cpus=2, isa="avx2", busy=True)
write("cpu", cpu="Processor B", n_cpus=2, isa="avx2")
write("cpus", cpu="Processor A", n_cpus=4, isa="avx2")
write("isa", cpu="Processor A", n_cpus=2, isa="scalar")
write("nowhere", cpu="absent", n_cpus="absent", date="absent", version="absent", isa="avx2")
END
refuses() {
    local pattern=$1
    shift
    expect 1 perf/compare "$@"
    says "$pattern"
    no_output
}
refuses 'cpu: Processor A in one, Processor B in cpu ' "$T/one.json" "$T/cpu.json"
refuses 'n_cpus: 2 in one, 4 in cpus ' "$T/one.json" "$T/cpus.json"
refuses 'isa: avx2 in one, scalar in isa .*--isa' "$T/one.json" "$T/isa.json"
refuses 'cpu: Processor A in one, Processor B in cpu .*--force' --isa "$T/one.json" "$T/one.json" "$T/cpu.json"
expect 0 perf/compare --isa "$T/one.json" "$T/isa.json"
prints '^\| tale.* pp8 .*[0-9]~ \|'
expect 0 perf/compare --force "$T/one.json" "$T/cpu.json" "$T/cpus.json" "$T/isa.json"
prints '^cpu: Processor B, 2 CPUs; '
expect 0 perf/compare "$T/one.json" "$T/nowhere.json"
prints '^nowhere: unknown machine$'
says 'nowhere: rows of an unknown machine'
for results in perf/results/*.jsonl; do
    expect 0 perf/compare "$results" "$results"
done
expect 0 perf/compare "$T/bench.jsonl"
prints '^\| model +\| type +\| threads \| test +\| +tokens/s \| stream \| int8 \|$'
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
    says 'roofline.svg leaves out models that fit the cache: tale.pith int8 pp8, '
    for plot in depth threads; do
        is "$plot.svg is a drawing" "$(grep -c '</svg>' "$T/plots/$plot.svg")" = 1
    done
    expect 0 perf/plot "$T/plots" "$T/old.json" perf/results/*.jsonl
    # Many models and tests: every model has its colour, every test its marker; a result that fits
    # the cache and a curve of one point are left out by name; the title has machine and day.
    python3 - "$T/many.json" <<'END'
import json, sys
rows = []
for model in range(9):
    for test in range(9 if model else 1):
        rows.append(dict(model=f"m{model}", type="int4", isa="avx2", threads=2, test=f"tg{test + 1}",
                         depth=100 * test, sessions=1, tps=10 + model, linear_gops=100 + model,
                         read_gbps=30, stream_gbps=40, best_gbps=80, int8_gops=1000,
                         share_of_stream=None if model == 8 else 0.75, cpu="Processor A", n_cpus=2,
                         date="2026-11-22T10:00:00Z", version="1"))
json.dump(rows, open(sys.argv[1], "w"))
END
    rm -r "$T/plots"
    expect 0 perf/plot "$T/plots" "$T/many.json"
    says 'depth.svg leaves out what has one point: m0 int4, 2 threads$'
    says 'roofline.svg leaves out models that fit the cache: m8 int4 tg1, '
    is "a plot names machine and day" "$(grep -c 'Processor A, 2 CPUs; 2026-11-22' \
        "$T/plots/depth.svg" "$T/plots/roofline.svg" | cut -d: -f2 | xargs)" = "1 1"
    is "every model has a colour of its own" "$(python3 - "$T/plots/roofline.svg" <<'END'
import re, sys
colours = {tuple(map(int, c)) for c in re.findall(r"stroke='rgb\( *(\d+), *(\d+), *(\d+)\)'",
                                                  open(sys.argv[1]).read())}
print(sum(len(set(c)) > 1 for c in colours))
END
)" = 8
    fails_script 'not a result' perf/plot "$T/plots" "$T/strange.json"
else
    skip "plots: no gnuplot"
fi
