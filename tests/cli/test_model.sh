# convert, inspect, importance, logits, eval.

expect 0 "$PITH" convert "$SOURCE" "$T/int4.pith" --type int4 --report
prints '^model.layers.0.self_attn.qkv_proj.weight +int4 +512 x 256 +4\.[0-9]+ +0\.0[0-9]+'
prints '^total: 25 matrices, [0-9]+ weights'
silent
expect 0 "$PITH" convert "$SOURCE" "$T/int4-t1.pith" --type int4 -t 1
is "any number of threads converts to the same bytes" \
    "$(sha256sum <"$T/int4.pith")" = "$(sha256sum <"$T/int4-t1.pith")"
expect 0 "$PITH" convert "$SOURCE" "$T/f32.pith" --type f32
expect 0 "$PITH" convert golden/llama-bias "$T/fallback.pith" --type int4 --report
prints 'int8 .*columns are not a multiple of 32'

expect 0 "$PITH" inspect "$T/int4.pith" --verify
prints '^architecture +llama$'
prints '^types +linear layers int4, embedding and head int8$'
prints '^tokenizer +SentencePiece BPE, 4096 pieces'
prints '^all int4 .* 4\.3722$'
prints '^[0-9a-f]{64} +[0-9]+ +model.safetensors$'
prints 'all checksums are right'
expect 0 "$PITH" inspect "$T/int4.pith" --verify --json
is "inspect --json is JSON and says so" "$(python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
print(d["architecture"], d["type"], round(d["int4_bits_per_weight"], 3), d["verified"], d["config"]["hidden_size"])' \
    "$T/out")" = "llama int4 4.372 True 256"

head -c 20000 golden/tale-valid.txt >"$T/text"
expect 0 "$PITH" importance "$T/f32.pith" "$T/text" --out "$T/importance"
silent
is "every matrix has an importance" "$(python3 -c '
import json, struct, sys
f = open(sys.argv[1], "rb")
n, = struct.unpack("<Q", f.read(8))
h = {k: v for k, v in json.loads(f.read(n)).items() if k != "__metadata__"}
print(len(h), h["model.layers.5.mlp.down_proj.weight"]["shape"], h["lm_head.weight"]["shape"])' \
    "$T/importance")" = "25 [704] [256]"
# Every position feeds the head, not only the last of a window: n x mean is the sum of squares over
# n positions, which one more position can only raise.
for n in 15 16; do
    "$PITH" importance "$T/f32.pith" "$T/text" --out "$T/importance-$n" -c $n -w 1 --blas off
done
is "every position of a window feeds the head" "$(python3 -c '
import json, struct, sys
def sums(n):
    data = open("%s-%d" % (sys.argv[1], n), "rb").read()
    size, = struct.unpack("<Q", data[:8])
    begin, end = json.loads(data[8:8 + size])["lm_head.weight"]["data_offsets"]
    return [n * x for x in struct.unpack("<%df" % ((end - begin) // 4), data[8 + size:][begin:end])]
pairs = list(zip(sums(15), sums(16)))
print(len(pairs), sum(b < a * (1 - 1e-5) for a, b in pairs), sum(b > a for a, b in pairs) > 200)' \
    "$T/importance")" = "256 0 True"
expect 0 "$PITH" convert "$SOURCE" "$T/weighed.pith" --type int4 --importance "$T/importance"
is "importance changes the quantised weights" \
    "$(sha256sum <"$T/int4.pith")" != "$(sha256sum <"$T/weighed.pith")"
fails 1 'text' "$PITH" convert "$SOURCE" "$T/x.pith" --type int4 --importance "$T/text"

expect 0 "$PITH" logits "$TALE" --tokens 1,403,407,3,9,27 --out "$T/a.npy"
expect 0 "$PITH" logits "$TALE" --tokens 1,403,407,3,9,27 --out "$T/b.npy" --chunk 1 -t 1
expect 0 "$PITH" logits "$TALE" --tokens 1,403,407,3,9,27 --out "$T/c.npy" --chunk 4
is "logits do not depend on chunks" \
    "$(sha256sum <"$T/a.npy")" = "$(sha256sum <"$T/b.npy")" -a \
    "$(sha256sum <"$T/a.npy")" = "$(sha256sum <"$T/c.npy")"
is "NumPy reads the file" "$(python3 -c '
import ast, struct, sys
d = open(sys.argv[1], "rb").read()
n, = struct.unpack("<H", d[8:10])
h = ast.literal_eval(d[10:10 + n].decode())
v = struct.unpack("<%df" % (6 * 4096), d[10 + n:])
print(d[:8] == b"\x93NUMPY\x01\x00", (10 + n) % 64, h["descr"], h["fortran_order"], h["shape"],
      max(range(4096), key=lambda i: v[5 * 4096 + i]) >= 0)' "$T/a.npy")" = \
    "True 0 <f4 False (6, 4096) True"
fails 1 'token 4096 .*outside the vocabulary' "$PITH" logits "$TALE" --tokens 1,4096 --out "$T/x.npy"
fails 1 '600 tokens do not fit the context of 512' "$PITH" logits "$TALE" --out "$T/x.npy" \
    --tokens "$(seq -s, 1 600)"
# With longrope a context beyond the original one, here 64, has other factors.
expect 0 "$PITH" convert golden/extra/phi3-longrope "$T/long.pith" --type f32
expect 0 "$PITH" inspect "$T/long.pith"
prints 'longrope .short factors in a context of at most 64, long ones beyond'
for context in none 64 65 512; do
    option=(-c $context)
    [ $context = none ] && option=()
    expect 0 "$PITH" logits "$T/long.pith" --tokens 1,40,43,3,9,27 --out "$T/long-$context.npy" \
        --blas off "${option[@]}"
done
expect 0 cmp "$T/long-none.npy" "$T/long-64.npy"
expect 0 cmp "$T/long-65.npy" "$T/long-512.npy"
is "longrope's lists differ" "$(cmp -s "$T/long-64.npy" "$T/long-65.npy"; echo $?)" = 1

# A text, with the token in front that run puts there; the layers under the logits.
expect 0 "$PITH" logits "$TALE" --text 'Once upon a time' --out "$T/text.npy"
silent
ids=$(echo 'Once upon a time' | "$PITH" tokenize "$TALE" --bos | tr -dc '0-9,')
expect 0 "$PITH" logits "$TALE" --tokens "$ids" --out "$T/ids.npy"
is "a text gives the logits of its tokens" "$(cmp "$T/text.npy" "$T/ids.npy" 2>&1)" = ""
expect 0 "$PITH" logits "$TALE" --text '' --out "$T/text.npy"
"$PITH" logits "$TALE" --tokens 1 --out "$T/ids.npy"
is "an empty text is the token in front" "$(cmp "$T/text.npy" "$T/ids.npy" 2>&1)" = ""
fails 1 'byte 1' "$PITH" logits "$TALE" --text "$(printf 'a\377')" --out "$T/x.npy"
for type in "$TALE" "$T/int4.pith" "$T/f32.pith" "$T/fallback.pith"; do
    last=$("$PITH" inspect "$type" --json | python3 -c '
import json, sys
print(json.load(sys.stdin)["config"]["num_hidden_layers"])')
    "$PITH" logits "$type" --tokens 1,403,407,3,9,27 --out "$T/all.npy"
    for how in '' '--chunk 4' '--chunk 1 -t 1 --blas off'; do
        # shellcheck disable=SC2086
        "$PITH" logits "$type" --tokens 1,403,407,3,9,27 --out "$T/all.npy" $how
        # shellcheck disable=SC2086
        expect 0 "$PITH" logits "$type" --tokens 1,403,407,3,9,27 --layer "$last" --out "$T/last.npy" $how
        is "the last layer of $(basename "$type") gives the logits ($how)" \
            "$(cmp "$T/all.npy" "$T/last.npy" 2>&1)" = ""
    done
done
expect 0 "$PITH" logits "$TALE" --text 'Once upon a time' --layer 0 --out "$T/0.npy"
expect 0 "$PITH" logits "$TALE" --text 'Once upon a time' --layer 5 --out "$T/5.npy"
"$PITH" logits "$TALE" --text 'Once upon a time' --out "$T/6.npy"
is "layers differ, and come closer to the logits" "$(python3 -c '
import math, struct, sys
def rows(path):
    data = open(path, "rb").read()[128:]
    v = struct.unpack("<%df" % (len(data) // 4), data)
    return [v[i:i + 4096] for i in range(0, len(v), 4096)]
def log_softmax(row):
    total = math.log(sum(math.exp(x - max(row)) for x in row)) + max(row)
    return [x - total for x in row]
def kl(p, q):
    return sum(math.exp(a) * (a - b) for a, b in zip(log_softmax(p), log_softmax(q)))
first, fifth, all = (rows(path) for path in sys.argv[1:])
far, near = (sum(kl(p, q) for p, q in zip(all, some)) for some in (first, fifth))
print(len(first), len(fifth), 0 < near < far / 2)' "$T/0.npy" "$T/5.npy" "$T/6.npy")" = "5 5 True"
fails 1 "layer 7 is beyond the model's 6 layers" "$PITH" logits "$TALE" --text a --layer 7 --out "$T/x.npy"
"$PITH" convert "$ROOT/golden/minilm" "$T/bert.pith" --type int8
fails 1 'an encoder' "$PITH" logits "$T/bert.pith" --text a --layer 1 --out "$T/x.npy"
is "a failure writes nothing" ! -e "$T/x.npy"

expect 0 "$PITH" eval "$TALE" "$T/text" --json
cp "$T/out" "$T/eval"
expect 0 "$PITH" eval "$TALE" "$T/text"
prints '^perplexity +[0-9.]+ \+- [0-9.]+$'
expect 0 "$PITH" eval "$T/int4.pith" "$T/text" --reference "$T/f32.pith" --json --blas off
is "eval agrees with itself and int4 is near f32" "$(python3 -c '
import json, math, sys
a, b = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
print(a["bytes"] == 20000, 20 < a["perplexity"] < 60,
      abs(math.exp(a["nats_per_token"]) - a["perplexity"]) < 1e-9,
      abs(a["nats_per_token"] * a["tokens"] / math.log(2) / a["bytes"] - a["bits_per_byte"]) < 1e-9,
      0 < b["kl"] < 0.02, 0.9 < b["top1_agreement"] < 1, a["tokens"] == b["tokens"])' \
    "$T/eval" "$T/out")" = "True True True True True True True"
expect 0 "$PITH" eval "$T/f32.pith" "$T/text" --reference "$T/f32.pith" --json -w 2 -c 100
is "a model is at no distance from itself" "$(python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
print(abs(d["kl"]) < 1e-12, d["top1_agreement"], d["tokens"])' "$T/out")" = "True 1.0 200"
expect 0 "$PITH" eval "$T/int4.pith" "$T/text" --reference "$T/int4.pith" --json -w 2 --kv int8 \
    --reference-kv f16
cp "$T/out" "$T/eval"
expect 0 "$PITH" eval "$T/int4.pith" "$T/text" --reference "$T/int4.pith" --json -w 2 --kv int8
is "the reference has a cache of its own type" "$(python3 -c '
import json, sys
a, b = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
print(1e-9 < a["kl"] < 0.01, abs(b["kl"]) < 1e-12,
      a["perplexity"] == b["perplexity"])' "$T/eval" "$T/out")" = "True True True"
fails 2 'reference-kv needs --reference' "$PITH" eval "$TALE" "$T/text" --reference-kv f32
fails 1 'not comparable' "$PITH" eval "$TALE" "$T/text" --reference "$T/fallback.pith"
: >"$T/nothing"
fails 1 'nothing to predict' "$PITH" eval "$TALE" "$T/nothing"
