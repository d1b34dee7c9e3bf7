# shellcheck shell=bash disable=SC2154
# GGUF files by llama.cpp's own converter and quantiser: converted to what the same checkpoint in
# Hugging Face's form becomes, read in every container, refused when broken, run by way of the cache.

gguf=$T/gguf
mkdir "$gguf"
check() { expect 0 "$PYTHON" tests/cli/check_gguf.py "$@"; }
# The last message holds this text as it is.
says_text() { if grep -Fq -- "$1" "$T/err"; then ok; else bad "standard error lacks: $1"; fi; }
check expand "$gguf"

# The same weights as the directory's, in a float type and in a packed one, and llama.cpp's ids.
for file in "$gguf"/*.gguf; do
    name=$(basename "$file" .gguf)
    for type in f32 int4; do
        expect 0 "$PITH" convert "$file" "$gguf/a.pith" --type $type
        expect 0 "$PITH" convert "golden/${name%-json}" "$gguf/b.pith" --type $type
        check same "$gguf/a.pith" "$gguf/b.pith"
    done
    check tokens "$PITH" "$gguf/a.pith" "$name"
done
expect 0 "$PITH" convert "$gguf/llama-tied-json.gguf" "$gguf/a.pith" --type f32
says 'all scores of the tokenizer are the same'

# Embeddings, too.
expect 0 "$PITH" convert "$gguf/minilm.gguf" "$gguf/a.pith" --type f32
expect 0 "$PITH" convert golden/minilm "$gguf/b.pith" --type f32
for text in 'A man is eating food.' 'Türkçe'; do
    "$PITH" embed "$gguf/a.pith" "$text" | sed 's/.*"embedding"//' >"$gguf/a"
    "$PITH" embed "$gguf/b.pith" "$text" | sed 's/.*"embedding"//' >"$gguf/b"
    is "embedding of '$text'" -s "$gguf/a"
    expect 0 cmp "$gguf/a" "$gguf/b"
done

# Versions, alignments and parts: one model.
expect 0 "$PITH" convert "$gguf/containers/micro.gguf" "$gguf/micro.pith" --type int8
check tokens "$PITH" "$gguf/micro.pith" micro
for name in v2 align8 align64 split-00001-of-00002 convsplit-00001-of-00002; do
    expect 0 "$PITH" convert "$gguf/containers/micro-$name.gguf" "$gguf/a.pith" --type int8
    check same "$gguf/a.pith" "$gguf/micro.pith"
done
fails 1 'big-endian GGUF file is not supported' \
    "$PITH" convert "$gguf/containers/micro-big-endian.gguf" "$gguf/a.pith" --type int8
fails 1 'is part 2 of 2; give the first one, .*/micro-split-00001-of-00002.gguf' \
    "$PITH" convert "$gguf/containers/micro-split-00002-of-00002.gguf" "$gguf/a.pith" --type int8
mkdir "$gguf/alone"
cp "$gguf/containers/micro-split-00001-of-00002.gguf" "$gguf/alone"
fails 1 'micro-split-00002-of-00002.gguf: cannot open' \
    "$PITH" convert "$gguf/alone/micro-split-00001-of-00002.gguf" "$gguf/a.pith" --type int8
cp "$gguf/containers/micro-convsplit-00001-of-00002.gguf" \
    "$gguf/alone/micro-split-00002-of-00002.gguf"
fails 1 'it is part 1 of 2, its name says part 2 of 2' \
    "$PITH" convert "$gguf/alone/micro-split-00001-of-00002.gguf" "$gguf/a.pith" --type int8

# 84 files, each broken in one place: every one has its own message.
n=0
while IFS=$'\t' read -r name words; do
    rm -f "$gguf/a.pith"
    file=$gguf/broken/broken/$name
    n=$((n + 1))
    if [ "$name" = bos-too-large.gguf ]; then
        expect 0 "$PITH" convert "$file" "$gguf/a.pith" --type f32
    else
        expect 1 "$PITH" convert "$file" "$gguf/a.pith" --type f32
        one_line
        is "$name publishes nothing" ! -e "$gguf/a.pith"
    fi
    says_text "$words"
done <golden/gguf/broken.txt
is "broken files" $n = 84

# Quantised weights: their values in f32, int8 without --type, a type asked of others.
quantised=golden/gguf/k256-Q4_K_M.gguf
expect 0 "$PITH" convert "$quantised" "$gguf/q.pith" --type f32
check logits "$PITH" "$gguf/q.pith"
check tokens "$PITH" "$gguf/q.pith" k256
expect 0 "$PITH" convert "$quantised" "$gguf/q.pith"
expect 0 "$PITH" inspect "$gguf/q.pith"
prints 'linear layers int8, embedding and head int8'
fails 1 'the weights are not quantised, so --type must say what they become' \
    "$PITH" convert "$gguf/llama3.gguf" "$gguf/a.pith"

# Every command opens one by way of the cache, where it is converted once.
export XDG_CACHE_HOME=$gguf/cache
expect 0 "$PITH" run "$quantised" -p Once -n 4 --temp 0
says "k256-Q4_K_M.gguf: converting it once, to $gguf/cache/pith/k256-Q4_K_M-"
cp "$T/out" "$gguf/first"
expect 0 "$PITH" run "$quantised" -p Once -n 4 --temp 0
silent
cp "$T/out" "$gguf/again"
expect 0 cmp "$gguf/again" "$gguf/first"
expect 0 "$PITH" run "$gguf/q.pith" -p Once -n 4 --temp 0
cp "$T/out" "$gguf/again"
expect 0 cmp "$gguf/again" "$gguf/first"
expect 0 "$PITH" inspect "$quantised"
silent
is "one file in the cache" "$(find "$gguf/cache/pith" -type f | wc -l)" = 1
cp "$quantised" "$gguf/changes.gguf"
expect 0 "$PITH" inspect "$gguf/changes.gguf"
touch -d '2001-01-01' "$gguf/changes.gguf"
expect 0 "$PITH" inspect "$gguf/changes.gguf"
says 'changes.gguf: converting it once'
is "the older state is removed" "$(find "$gguf/cache/pith" -type f | wc -l)" = 2
touch "$gguf/changes.gguf"
fails 1 "is a GGUF file, which has to be converted first; .* by 'pith convert .*changes.gguf OUT" \
    "$PITH" run "$gguf/changes.gguf" -p x --no-cache
fails 1 "its weights are not quantised; 'pith convert .*llama3.gguf OUT.pith --type int8'" \
    "$PITH" run "$gguf/llama3.gguf" -p x
(
    unset XDG_CACHE_HOME HOME
    "$PITH" inspect "$gguf/changes.gguf" >"$T/out" 2>"$T/err"
)
says 'changes.gguf has to be converted, and there is no cache directory'
export XDG_CACHE_HOME=$T/xdg-cache
