# bench --tune, the files it saves, --tuning, and perf/sweep.

FILE_OK='{"pith_tuning": 1, "cpu": "", "isa": "",
    "few": {"hint": "nta", "distance": 2048}, "more": {"hint": "t1", "distance": 12288}}'
echo "$FILE_OK" >"$T/tuning.json"
expect 0 "$PITH" run "$TALE" -p 'Once upon' -n 8 --temp 0
cp "$T/out" "$T/plain"
expect 0 "$PITH" run "$TALE" -p 'Once upon' -n 8 --temp 0 --tuning "$T/tuning.json" -v
says 'tuning: weights are fetched ahead by nta 2 KB for one and two tokens, t1 12 KB for more'
is "a tuning changes no text" "$(cat "$T/out")" = "$(cat "$T/plain")"
expect 0 "$PITH" logits "$TALE" --text 'Once upon a time' --out "$T/plain.npy"
for hint in none nta t1 t0; do
    sed "s/nta/$hint/" "$T/tuning.json" >"$T/other.json"
    expect 0 "$PITH" logits "$TALE" --text 'Once upon a time' --out "$T/$hint.npy" \
        --tuning "$T/other.json"
    is "--tuning with $hint changes no logit" "$(cmp "$T/$hint.npy" "$T/plain.npy" 2>&1)" = ""
done
sed 's/"cpu": ""/"cpu": "Z80"/' "$T/tuning.json" >"$T/other.json"
expect 0 "$PITH" run "$TALE" -p 'Once upon' -n 1 --tuning "$T/other.json"
says 'warning: the tuning was measured on another machine: Z80, unknown; here it is '
expect 0 "$PITH" bench --kernels softmax -r 1 -t 1 --tuning "$T/other.json"
says 'warning: the tuning was measured on another machine: Z80, unknown; here it is '
"$PITH" convert golden/minilm "$T/tuned.pith" --type int8 2>/dev/null
expect 0 "$PITH" embed "$T/tuned.pith" --tuning "$T/tuning.json" <<<'a stone'
expect 0 "$PITH" tokenize "$TALE" --tuning "$T/tuning.json" 'a stone'
expect 0 "$PITH" bench "$TALE" -p 0 -n 2 -r 1 -t 1 --tuning "$T/tuning.json" -o json
expect 0 "$PITH" bench --kernels softmax -r 1 -t 1 --tuning "$T/tuning.json"
is "a tuning of no machine is used without a warning" "$(grep -c 'tuning' "$T/err")" = 0
expect 0 "$PITH" bench --kernels softmax -r 1 -t 1 --isa scalar --tuning "$T/tuning.json"
says 'warning: the scalar kernels have one way to fetch weights: the tuning changes nothing'
expect 0 "$PITH" help run
prints '--tuning FILE'

# The environment is not asked.
expect 0 env PITH_TUNING="$T/no-such.json" "$PITH" run "$TALE" -p 'Once upon' -n 1 -v
is "PITH_TUNING is not read" "$(grep -c -i tuning "$T/err")" = 0

fails 1 'no-such.json' "$PITH" run "$TALE" -p a --tuning "$T/no-such.json"
fails 1 'no-such.json' "$PITH" bench --shape stories-15m --type int4 --tuning "$T/no-such.json"
fails 1 'no-such.json' "$PITH" bench --kernels softmax --tuning "$T/no-such.json"
fails 1 'no-such.json' "$PITH" serve --port 0 --tuning "$T/no-such.json"
sed 's/2048/100/' "$T/tuning.json" >"$T/bad.json"
fails 1 'bad.json: few.distance is 100; it is a multiple of 64 bytes, at most 1048576' \
    "$PITH" run "$TALE" -p a --tuning "$T/bad.json"
sed 's/t1/nta/' "$T/tuning.json" >"$T/bad.json"
fails 1 'bad.json: more.hint is "nta"; of more than two tokens it is t1 or t0' \
    "$PITH" run "$TALE" -p a --tuning "$T/bad.json"
fails 1 'tale.pith: [0-9]+ bytes; a tuning file has at most 4096' "$PITH" run "$TALE" -p a --tuning "$TALE"
fails 2 'save needs --tune' "$PITH" bench --save "$T/x.json" --limits
fails 2 'finds out what a file' "$PITH" bench --tune --tuning "$T/tuning.json"
fails 2 'limits fetches no weights: --tuning does not apply' \
    "$PITH" bench --limits --tuning "$T/tuning.json"
fails 2 'search fetches no weights: --tuning does not apply' \
    "$PITH" bench --search 100 --tuning "$T/tuning.json"
fails 2 'limits and --tune are two' "$PITH" bench --tune --limits
fails 2 'tune needs no model' "$PITH" bench "$TALE" --tune
fails 2 'tune times no model' "$PITH" bench --tune -p 8
fails 1 'the scalar kernels have one way to fetch weights' "$PITH" bench --tune --isa scalar
fails 1 'no-such' "$PITH" bench --tune --isa no-such

# The service's models take it: one that was measured elsewhere is in the log.
cat >"$T/serve.py" <<'END_PY'
import http.client, json, re, subprocess, sys
service = subprocess.Popen([sys.argv[1], "serve", "--port", "0", "--tuning", sys.argv[2]],
                           stderr=subprocess.PIPE, text=True)
address = re.fullmatch(r"listening on http://(.*)\n", service.stderr.readline())[1]
connection = http.client.HTTPConnection(address)
connection.request("POST", "/v1/completions", json.dumps(
    {"model": "story-int4", "prompt": "Once", "max_tokens": 2}))
print(connection.getresponse().status)
service.terminate()
print("measured on another machine: Z80" in service.communicate()[1], service.returncode)
END_PY
expect 0 python3 "$T/serve.py" "$PITH" "$T/other.json"
is "pith serve --tuning reaches its models" "$(tr '\n' ' ' <"$T/out")" = '200 True 0 '

# Kernels that fetch ahead are those of x86 alone.
if "$PITH" bench --kernels softmax -r 1 --isa avx2 >"$T/out" 2>&1; then
    expect 0 "$PITH" bench --tune -r 2 -t 1 --save "$T/saved.json"
    prints '^\| none +\| +[0-9.]+ \| +[0-9.]+ \| +[0-9.]+ \| +[0-9.]+ \| +[01]\.[0-9]{3} \|'
    prints '^\| t1 16 KB +\| +[0-9.]+ \| +[0-9.]+ \| +[0-9.]+ \| +[0-9.]+ \| +[01]\.[0-9]{3} \|'
    is "bench --tune marks two choices" "$(grep -c 'CHOSEN$' "$T/out")" = 2
    is "bench --tune saves what it marks" "$(python3 - "$T/saved.json" "$T/out" <<'END_PY'
import json, sys
saved = json.load(open(sys.argv[1]))
marked = [line.split("|")[1].strip() for line in open(sys.argv[2]) if line.endswith("CHOSEN\n")]
def name(f):
    return f["hint"] if f["hint"] == "none" else f"{f['hint']} {f['distance'] // 1024} KB"
print(marked == [name(saved["few"]), name(saved["more"])], saved["cpu"] != "", saved["isa"] != "")
END_PY
    )" = 'True True True'
    "$PITH" bench --tune -r 1 -t 1 --save "$T/kept.json" >/dev/full 2>"$T/err"
    is "the choice is kept though nobody reads the table" -s "$T/kept.json"
    expect 0 "$PITH" run "$TALE" -p 'Once upon' -n 8 --temp 0 --tuning "$T/saved.json"
    silent
    is "a saved tuning changes no text" "$(cat "$T/out")" = "$(cat "$T/plain")"
    for format in json jsonl csv; do
        expect 0 "$PITH" bench --tune -r 2 -t 1 --isa avx2 -o $format
        cp "$T/out" "$T/rows.$format"
    done
    is "bench --tune -o json, jsonl and csv are rows" "$(python3 - "$T" <<'END_PY'
import csv, json, sys
documented = open("perf/results/README.md").read()
documented = documented[documented.index("## A row of `--tune`"):] + documented[
    documented.index("## What every row says"):documented.index("## A row of a test")]
rows = json.load(open(sys.argv[1] + "/rows.json"))
lines = [json.loads(line) for line in open(sys.argv[1] + "/rows.jsonl")]
table = list(csv.DictReader(open(sys.argv[1] + "/rows.csv")))
for r in rows + lines:
    few = r["tokens"] == "1-2"
    ok = (all("`%s`" % k in documented for k in r) and r["test"] == "tune" and r["repeats"] >= 8
          and (r["int4_1_gbps"] is None) != few and (r["int8_4_gbps"] is None) == few
          and 0 < r["score"] <= 1 and (not r["chosen"] or r["score"] >= 0.985))
    if not ok:
        print("wrong:", r)
print(len(rows), len(lines), len(table), *[sum(r[k] for r in rows)
                                           for k in ("table", "fastest", "chosen")])
END_PY
    )" = '26 26 26 2 2 2'
    interrupt "an interrupted bench --tune" "test -s '$T/out'" \
        "$PITH" bench --tune -t 1 --save "$T/never.json"
    is "an interrupted bench --tune saves nothing" ! -e "$T/never.json"
    fails 1 'cannot' "$PITH" bench --tune -r 1 -t 1 --save "$T/no-such/tuning.json"
    expect 0 perf/sweep "$PITH" "$TALE" --pairs 2 --tokens 2 --threads 1 --hints none,t1 \
        --distances 2048,6144 --tuning "$T/saved.json"
    is "perf/sweep has a row for each candidate" "$(grep -c '^| \(none\|t1 [26] KB\) ' "$T/out")" = 3
    prints '^best: .*, [0-9.]+ of the choice; the choice is [0-9.]+% behind'
    expect 0 perf/sweep "$PITH" "$TALE" --pairs 1 --tokens 2 --threads 1 --more --distances 2048
    is "perf/sweep --more tries t1 and t0" "$(grep -c '^| t[01] 2 KB ' "$T/out")" = 2
else
    skip "bench --tune: this CPU has no kernels that fetch ahead"
fi
expect 2 perf/sweep "$PITH" "$TALE" --shape llama2-7b
says 'give either MODEL.pith, or --shape NAME and --type TYPE'
for text in '{"more": {"hint": "t1", "distance": 64}}' '[1]'; do
    echo "$text" >"$T/bad.json"
    expect 1 perf/sweep "$PITH" "$TALE" --pairs 1 --tuning "$T/bad.json"
    says 'sweep: .*bad.json: no tuning file: it needs "few" and "more"'
done
