# bench --kernels: its rows, formats and refusals.

expect 0 "$PITH" bench --kernels softmax -r 2 -t 1
prints '^[^|]+, [0-9]+ CPUs?, [0-9.]+ [MGT]B, .*Linux '
prints '^[a-z0-9-]+, 1 thread$'
prints '^\| softmax +\| 256 +\| cached +\| +[0-9.]+ \| +[0-9.]+ \| +- \| - +\| +[0-9.]+ \|'
prints '^shape: tokens x rows x k of products'
is "bench --kernels softmax has one row" "$(grep -c '^| [a-z]' "$T/out")" = 2
expect 0 "$PITH" bench --kernels rope -r 1 -t 2 --isa scalar
prints '^scalar, 2 threads at once, each with operands of its own$'
prints '^\| rope +\| 32 x 64 +\| cached '
prints '^\| rope +\| 32 x 128 +\| cached '

cat >"$T/check.py" <<'END'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
threads = int(sys.argv[2])
print(*sorted({r["kernel"] for r in rows}), len(rows))
keys = """test kernel isa threads shape operands tokens rows n repeats calls seconds seconds_min
    seconds_max bytes ops gbps gops scalar_seconds times_scalar failed stream_gbps share_of_stream
    int8_gops share_of_int8 f32_gflops share_of_f32 cpu n_cpus memory_bytes system version date load
    limits_moved steal others busy""".split()
documented = open("perf/results/README.md").read()
documented = documented[documented.index("## A row of `--kernels`"):] + documented[
    documented.index("## What every row says"):documented.index("## A row of a test")]

def near(a, b):
    return abs(a - b) <= 1e-5 * abs(b)

def one_limit(r):
    """The limit that there is and its share; a share above 1.02 has failed."""
    found = [(r[limit], r[share]) for limit, share in (
        ("stream_gbps", "share_of_stream"), ("int8_gops", "share_of_int8"),
        ("f32_gflops", "share_of_f32")) if r[limit] is not None or r[share] is not None]
    return (len(found) <= 1 and all(a > 0 and b > 0 for a, b in found)
            and r["failed"] == any(b > 1.02 for a, b in found)
            and (r["operands"] == "cached" or r["tokens"] == 512 or r["stream_gbps"] is not None))

for r in rows:
    sizes = [r[k] for k in ("tokens", "rows", "n") if r[k] is not None]
    ok = (sorted(r) == sorted(keys) and all("`%s`" % k in documented for k in keys)
          and r["test"] == "kernel" and r["threads"] == threads and r["repeats"] == 2
          and r["shape"] == " x ".join(map(str, sizes)) and r["calls"] >= 1
          and 0 < r["seconds_min"] <= r["seconds"] <= r["seconds_max"]
          and near(r["gbps"], 1e-9 * threads * r["bytes"] / r["seconds"])
          and (r["ops"] is None) == (r["gops"] is None)
          and (r["ops"] is None or near(r["gops"], 1e-9 * threads * r["ops"] / r["seconds"]))
          and near(r["times_scalar"], r["scalar_seconds"] / r["seconds"]) and one_limit(r))
    if not ok:
        print("wrong:", r)
END
expect 0 "$PITH" bench --kernels rmsnorm -r 2 -t 1 -o jsonl
is "bench --kernels rmsnorm: those whose names begin so" \
    "$(python3 "$T/check.py" "$T/out" 1)" = 'rmsnorm rmsnorm_quantize 4'
expect 0 "$PITH" bench --kernels product_f32 -r 2 -t 2 -o jsonl
is "bench --kernels product_f32: cached and from memory" \
    "$(python3 "$T/check.py" "$T/out" 2)" = 'product_f32 7'
expect 0 "$PITH" bench --kernels scores_f16 -r 2 -t 1 -o jsonl
is "bench --kernels scores_f16: cached and from memory" \
    "$(python3 "$T/check.py" "$T/out" 1)" = 'scores_f16 9'
expect 0 "$PITH" bench --kernels exp -r 1 -t 1 -o json
is "bench --kernels -o json is an array of rows" "$(python3 -c '
import json, sys
print(*[(r["kernel"], r["shape"]) for r in json.load(open(sys.argv[1]))])' "$T/out")" = \
    "('exp', '128') ('exp', '4096')"
expect 0 "$PITH" bench --kernels exp -r 1 -t 1 -o csv
is "bench --kernels -o csv has a header and rows of as many fields" "$(python3 -c '
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
print(*[r["shape"] for r in rows], all(None not in r and None not in r.values() for r in rows),
      rows[0]["share_of_int8"] == "", float(rows[1]["seconds"]) > 0)' "$T/out")" = \
    '128 4096 True True True'

# The figures of docs/kernels.md.
expect 0 "$PITH" bench --kernels -r 1 -t 1 -o jsonl
is "bench --kernels prints every figure of docs/kernels.md" \
    "$(python3 tests/cli/check_kernels_page.py "$T/out")" = '19 3 5'

# Rows come while others are timed, and what is there stays a whole document.
for format in md csv json jsonl; do
    interrupt "an interrupted bench --kernels -o $format" "grep -q product_int4 '$T/out'" \
        "$PITH" bench --kernels product_int4 -r 200 -t 1 -o $format
    is "an interrupted bench --kernels -o $format keeps its rows" "$(python3 - "$T/out" $format <<'END'
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
    rows = [dict(kernel="product_int4") for line in text.splitlines() if line.startswith("| prod")]
    rows = rows if "\nshape: tokens" in text else []
print({row["kernel"] for row in rows}, 1 <= len(rows) < 27)
END
)" = "{'product_int4'} True"
done
what="bench --kernels on a full device"
"$PITH" bench --kernels product_int4 -r 200 -t 1 -o jsonl >/dev/full 2>"$T/err"
is "bench --kernels ends when its rows go nowhere" $? = 1

# Rows of kernels beside those of tests are passed over.
expect 0 "$PITH" bench "$TALE" -p 8 -n 2 -r 1 -t 1 -o jsonl
cp "$T/out" "$T/tests.jsonl"
expect 0 "$PITH" bench --kernels exp -r 1 -t 1 -o jsonl
is "there are rows of kernels" -s "$T/out"
cat "$T/tests.jsonl" "$T/out" >"$T/mixed.jsonl"
expect 0 python3 perf/compare "$T/mixed.jsonl"
is "perf/compare passes kernels over" \
    "$(python3 perf/compare "$T/mixed.jsonl" 2>&1 | sed 's/mixed/tests/')" = \
    "$(python3 perf/compare "$T/tests.jsonl" 2>&1)"

fails 1 'no kernel.s name begins with "no-such": there are product_int4, .*, dot_f32$' \
    "$PITH" bench --kernels no-such
fails 1 'no-such' "$PITH" bench --kernels exp --isa no-such
fails 2 "kernels needs no model" "$PITH" bench --kernels --shape llama2-7b --type int4
fails 2 "kernels times no model" "$PITH" bench --kernels -p 8
fails 2 "kernels times no model" "$PITH" bench --kernels --per-call 1
fails 2 "limits and --kernels are two benchmarks" "$PITH" bench --kernels --limits
fails 2 "search and --kernels are two benchmarks" "$PITH" bench --search 10 --kernels
