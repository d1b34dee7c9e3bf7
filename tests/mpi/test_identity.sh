# One model over 1 to 4 ranks gives what one process gives, byte for byte.
. tests/mpi/ranks.sh

# A text of 130 tokens.
text=$("$PITH" run "$TALE" -p 'Once upon a time' -n 120 --temp 0)
for type in int4 int8 f16 f32; do
    "$PITH" convert "$SOURCE" "$T/$type.pith" --type $type
    for kv in '' f32 int8; do
        "$PITH" logits "$T/$type.pith" --text "$text" --blas off ${kv:+--kv $kv} --out "$T/alone.npy"
        for n in 1 2 3 4; do
            chunk=$((1 + n * n * n)) # 2, 9, 28, 65
            rm -f "$T/together.npy"
            expect 0 ranks $n "$PITH_MPI" logits "$T/$type.pith" --text "$text" --chunk $chunk \
                --blas off ${kv:+--kv $kv} --out "$T/together.npy"
            silent
            expect 0 cmp "$T/alone.npy" "$T/together.npy"
        done
    done
done
rm -f "$T"/int4.pith "$T"/f16.pith "$T"/f32.pith

# Texts: sampled with a seed, speculated, to the end of the context; a conversation; JSON.
write() { "$@" run "$TALE" -p 'Once upon a time' -n 60 --seed 7; }
is "run" "$(write ranks 2 "$PITH_MPI" 2>&1)" = "$(write "$PITH")"
speculate() { "$@" run "$TALE" -p 'the king the king the king' -n 60 --temp 0 --speculate 8; }
is "run --speculate" "$(speculate ranks 3 "$PITH_MPI" 2>&1)" = "$(speculate "$PITH")"
json() { "$@" run "$TALE" -p 'A list:' -n 60 --temp 0 --json; }
is "run --json" "$(json ranks 2 "$PITH_MPI" 2>&1)" = "$(json "$PITH")"
talk() { printf 'Who are you?\nAnd why?\n' | "$@" chat "$CHAT" -n 20 --temp 0; }
is "chat" "$(talk ranks 2 "$PITH_MPI" 2>&1)" = "$(talk "$PITH")"
printf 'Once upon a time there was a king.\n' >"$T/text"
measure() { "$@" eval "$TALE" "$T/text" | grep -v seconds; }
is "eval" "$(measure ranks 2 "$PITH_MPI" 2>&1)" = "$(measure "$PITH")"

# What opens no model, or one that is not split, is done by rank 0 alone.
expect 0 ranks 3 "$PITH_MPI" tokenize "$TALE" 'Once upon'
is "tokenize" "$(cat "$T/out")" = "$("$PITH" tokenize "$TALE" 'Once upon')"
is "version" "$(ranks 2 "$PITH_MPI" --version)" = "$("$PITH" --version)"
fails 2 "unknown command 'frob'" ranks 2 "$PITH_MPI" frob
fails 2 'deadline takes seconds' "$PITH_MPI" --deadline 0 version
fails 2 'deadline takes seconds' "$PITH_MPI" --deadline=1x version

# bench: the lines on the exchange; JSON; the share of the weights.
expect 0 ranks 2 "$PITH_MPI" bench "$TALE" -p 16 -n 8 -r 2 -t 1
prints '^2 ranks: latency [0-9.]+ us, [0-9.]+ GB/s; a token: [1-9][0-9]* gathers'
prints '^pp16: [0-9.]+% of the time in exchange$'
prints '^tg8: [0-9.]+% of the time in exchange, the formula predicts [0-9.]+ tokens/s$'
expect 0 ranks 2 "$PITH_MPI" bench "$TALE" -p 0 -n 8 -r 2 -t 1 -o jsonl
is "fields of the exchange" "$(python3 -c '
import json, sys
row = json.load(open(sys.argv[1]))
print(row["ranks"], 0 < row["exchange_share"] < 1, 0 < row["predicted_tps"],
      row["rank_bytes"] < 0.6 * row["weight_bytes"])' "$T/out")" = "2 True True True"
