# shellcheck shell=bash disable=SC2154
# Disk and memory before anything is written: pith convert --dry-run and pith inspect --plan.

plans=$T/plans
mkdir "$plans"
export TMPDIR=$plans

# The size of the file that would be written, to the byte, and nothing left behind. llama-yarn has
# no tokenizer: its file ends with a weight.
for case in 'llama-gqa int4' 'llama-gqa f16' 'llama-yarn int8'; do
    # shellcheck disable=SC2086
    set -- $case
    checkpoint=golden/$1
    type=$2
    expect 0 "$PITH" convert "$checkpoint" "$T/dry.pith" --type "$type" --dry-run
    cp "$T/out" "$T/dry-$type"
    is "nothing is written" ! -e "$T/dry.pith"
    is "nothing is left" -z "$(ls "$plans")"
    expect 0 "$PITH" convert "$checkpoint" "$T/wet.pith" --type "$type"
    is "$type: bytes on disk" "$(awk '$1 == "disk" { print $2 }' "$T/dry-$type")" = \
        "$(stat -c %s "$T/wet.pith")"
    expect 0 "$PITH" inspect --plan "$T/wet.pith"
    sed '/tables/d; /buffers/d; /program/d; /^memory/d' "$T/out" >"$T/wet-plan"
    sed '/tables/d; /buffers/d; /program/d; /^memory/d' "$T/dry-$type" >"$T/dry-plan"
    expect 0 cmp "$T/wet-plan" "$T/dry-plan"
    expect 0 "$PITH" inspect --json "$T/wet.pith"
    is "$type: bytes of weights" "$(awk '$1 == "weights" { print $2 }' "$T/dry-$type")" = \
        "$(sed -n 's/^ *"weight_bytes": \([0-9]*\),/\1/p' "$T/out")"
done
grep -Eq '^KV cache f16 +[0-9]+ bytes +[0-9.]+ [kM]?B +for 1,000 tokens \(the default\)' "$T/dry-f16"
is "KV cache of f16 weights" $? = 0

# A GGUF file's plan is that of its conversion.
expect 0 "$PITH" inspect --plan golden/gguf/k256-Q4_K_M.gguf
prints '^disk +[0-9]+ bytes'
prints '^  weights +[0-9]+ bytes .* int8$'
is "nothing is left" -z "$(ls "$plans")"
is "nothing is in the cache" ! -e "$XDG_CACHE_HOME/pith"

# An encoder has neither a cache nor a session.
expect 0 "$PITH" convert golden/minilm "$T/encoder.pith" --type int8 --dry-run
prints '^memory'
is "no KV cache" "$(grep -c KV "$T/out")" = 0

# What a process takes in fact, with a KV cache that is more than the tolerance.
mkdir "$T/tale-long"
cp "$SOURCE"/*.json "$SOURCE"/tokenizer.model "$SOURCE"/model.safetensors "$T/tale-long"
sed -i 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 4096/' "$T/tale-long/config.json"
expect 0 "$PITH" convert "$T/tale-long" "$T/tale-f32.pith" --type f32
expect 0 "$PYTHON" tests/cli/check_plan.py "$PITH" "$T/tale-f32.pith"

fails 1 'no such file|cannot open' "$PITH" inspect --plan "$T/nowhere.pith"
fails 1 'no-such-place' env TMPDIR="$T/no-such-place" "$PITH" convert golden/llama-gqa "$T/dry.pith" \
    --type int4 --dry-run
fails 1 'config.json' "$PITH" convert "$plans" "$T/dry.pith" --type int4 --dry-run
unset TMPDIR
fails 2 'does not go with --json' "$PITH" inspect "$TALE" --plan --json
