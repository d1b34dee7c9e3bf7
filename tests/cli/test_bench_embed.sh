# bench on encoders: tests, formats, the sentences of a text, comparison and plots.

expect 0 "$PITH" convert golden/minilm "$T/minilm.pith" --type int8
MINILM=$T/minilm.pith
cat >"$T/text.txt" <<'END'
Once upon a time
there  was a king. He slept! Did anybody in the castle know? No. "The cat did," they
say, "and it told nobody.
END
expect 0 "$PITH" bench "$MINILM" -r 1 -t 1 --tokens 8 --per-call 1,3 --text "$T/text.txt"
prints '^\| embed8x1 .*\|  +- \| +[0-9.]+ \|( busy)?$'
prints '^\| embed8x3 '
prints '^\| text3 .*\| +- \| +- \| +- \|'
prints '^p50, p90, p99: of a call; -: '
prints '^int8: share of the operations .* at best [0-9]+ Gop/s$|^none: '
prints '^f32: -, the limit of int8 weights is that of int8 operations$'
prints '^[^|]+, [0-9]+ CPUs?, '

cat >"$T/check_embed.py" <<'END'
import csv, json, sys
path, kind = sys.argv[1:]
if kind == "csv":
    rows = list(csv.DictReader(open(path)))
    print(*[r["test"] for r in rows], all(None not in r and None not in r.values() for r in rows),
          rows[-1]["p50_seconds"] == "", float(rows[0]["sentences_per_second"]) > 0,
          rows[0]["failed"])
    sys.exit()
rows = json.load(open(path))
print(*[(t["test"], t["tokens"], t["sentences"], t["call_tokens"]) for t in rows])
keys = """model type isa threads test tokens sentences call_tokens repeats calls sentences_per_second
    sentences_per_second_min sentences_per_second_max tps tps_min tps_max first_seconds p50_seconds
    p90_seconds p99_seconds share_of_stream share_of_int8 share_of_kind share_of_f32 int8_gops f32_gflops
    int8_gops_before int8_gops_after f32_gflops_before f32_gflops_after linear_gops attention_gops
    failed rss_bytes rss_peak_bytes load_seconds load_gbps params weight_bytes cpu n_cpus
    memory_bytes system version date load limits_moved steal others busy""".split()
documented = open("perf/results/README.md").read()
counts, other = ("f32", "int8") if kind == "f32" else ("int8", "f32")
limit = {"int8": "int8_gops", "f32": "f32_gflops"}
for t in rows:
    share, most = t["share_of_" + counts], t[limit[counts]]
    ok = (sorted(t) == sorted(keys) and all("`%s`" % k in documented for k in keys)
          and t["threads"] == 1 and t["repeats"] == 2 and t["calls"] >= 1
          and 0 < t["sentences_per_second_min"] <= t["sentences_per_second"]
          <= t["sentences_per_second_max"]
          and abs(t["tps"] * t["sentences"] / t["sentences_per_second"] / t["call_tokens"] - 1) < 1e-4
          and (t["p50_seconds"] is None) == (t["test"][:4] == "text")
          and t["share_of_stream"] is None and t["share_of_" + other] is None
          and t[limit[other]] is None and t["failed"] is False
          and most == max(t[limit[counts] + "_before"], t[limit[counts] + "_after"])
          and (most == 0 if share is None else abs(share - t["linear_gops"] / most) < 1e-5)
          # two operations per weight of the three layers: 4 of 48 x 48, 2 of 48 x 192
          and abs(t["linear_gops"] * 1e9 / t["tps"] / (2 * 3 * (4 * 48 * 48 + 2 * 48 * 192)) - 1) < 1e-4
          and 1e6 < t["rss_bytes"] <= t["rss_peak_bytes"] < 3e8)
    if not ok:
        print("wrong:", t)
END
# The sentences have 8, 6 and 9 words and 1, 1 and 6 other characters; each adds [CLS] and [SEP].
expected="('embed8x2', 8, 2, 16) ('text3', None, 3, 37)"
expect 0 "$PITH" bench "$MINILM" -r 2 -t 1 --tokens 8 --per-call 2 --text "$T/text.txt" -o json
cp "$T/out" "$T/embed.json"
is "bench -o json of an encoder" "$(python3 "$T/check_embed.py" "$T/embed.json" int8)" = "$expected"
expect 0 "$PITH" convert golden/minilm "$T/minilm-f32.pith" --type f32
expect 0 "$PITH" bench "$T/minilm-f32.pith" -r 2 -t 1 --tokens 8 --per-call 2 -o json
cp "$T/out" "$T/embed-f32.json"
is "bench -o json of an encoder in f32" "$(python3 "$T/check_embed.py" "$T/embed-f32.json" f32)" = \
    "('embed8x2', 8, 2, 16)"
expect 0 "$PITH" bench "$MINILM" -r 1 --tokens 0,4 --per-call 1 --text "$T/text.txt" -o csv
is "bench -o csv of an encoder" "$(python3 "$T/check_embed.py" "$T/out" csv)" = \
    'embed4x1 text3 True True True false'
expect 0 "$PITH" bench "$MINILM" -r 1 --tokens 0 --text "$T/text.txt" --sentences 2 -o jsonl
is "bench --sentences cuts the text" "$(python3 -c '
import json, sys
print(*[json.loads(line)["test"] for line in open(sys.argv[1])])' "$T/out")" = text2
# Without a tokenizer: 8, 6 and 9 words, 1.3 each rounded up, and 2.
expect 0 "$PITH" bench --shape minilm-l6 --type int8 -r 1 --tokens 0 --text "$T/text.txt" -o json
is "a shape counts tokens by words" "$(python3 -c '
import json, sys
print(json.load(open(sys.argv[1]))[0]["call_tokens"])' "$T/out")" = $((11 + 2 + 8 + 2 + 12 + 2))

fails 1 'for encoders; .*tale.pith is none' "$PITH" bench "$TALE" --tokens 8
fails 1 'for encoders' "$PITH" bench "$TALE" -p 0 -n 0 --text "$T/text.txt"
for option in '-p 512' '-n 4' '-d 0' '-s 1' '-b 8' '-c 9'; do
    # shellcheck disable=SC2086
    fails 1 'for decoders; .*minilm.pith is an encoder' "$PITH" bench "$MINILM" $option
done
fails 1 'for encoders' "$PITH" bench "$TALE" --per-call 2
fails 1 'for encoders' "$PITH" bench "$TALE" --sentences 2
fails 1 'at most 256 tokens' "$PITH" bench "$MINILM" --tokens 257
fails 1 'nothing to time' "$PITH" bench "$MINILM" --tokens 0
fails 1 'at most 64 tests' "$PITH" bench "$MINILM" --tokens 1,2,3,4,5,6,7,8,9 --per-call 1,2,3,4,5,6,7,8
fails 1 'absent' "$PITH" bench "$MINILM" --text "$T/absent"
echo 'Two words. Go!' >"$T/short.txt"
fails 1 'short.txt: no sentence' "$PITH" bench "$MINILM" --text "$T/short.txt"
printf 'one two three. four \377five six.' >"$T/bytes.txt"
fails 1 'bytes.txt, sentence 2' "$PITH" bench "$MINILM" --tokens 0 --text "$T/bytes.txt"
fails 2 "not '0'" "$PITH" bench "$MINILM" --per-call 0

python3 - "$T/embed.json" "$T/embed-other.json" <<'END'
import json, sys
rows = json.load(open(sys.argv[1]))
for row in rows:
    row["tps"] *= 1.25
    row["share_of_int8"] = None if row["share_of_int8"] is None else row["share_of_int8"] * 1.5
    row["share_of_f32"] = 0.5 if row["share_of_int8"] is None else None
json.dump(rows, open(sys.argv[2], "w"))
END
expect 0 perf/compare "$T/embed.json" "$T/embed-other.json"
prints '^\| minilm\.pith +\| int8 +\| +1 \| embed8x2 \| .*\| +1\.250 \| +(1\.500|-) \|$'
expect 0 perf/compare "$T/embed-f32.json"
prints '^\| model .*\| stream \| int8 \| +f32 \|$'
prints '^\| minilm-f32\.pith \| f32 .*\| +- \| +- \| 0\.[0-9]+ \|$'
if command -v gnuplot >/dev/null; then
    sed 's/"threads":1/"threads":2/' "$T/embed.json" >"$T/embed-2.json"
    expect 0 perf/plot "$T/embed-plots" "$T/embed.json" "$T/embed-2.json"
    is "threads.svg of an encoder" "$(grep -c '</svg>' "$T/embed-plots/threads.svg")" = 1
else
    skip "plots: no gnuplot"
fi
