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
    source=golden/${name%-json}
    if [ -d "$gguf/$name" ]; then source=$gguf/$name; fi
    for type in f32 int4; do
        expect 0 "$PITH" convert "$file" "$gguf/a.pith" --type $type
        expect 0 "$PITH" convert "$source" "$gguf/b.pith" --type $type
        check same "$gguf/a.pith" "$gguf/b.pith"
    done
    check tokens "$PITH" "$gguf/a.pith" "$name"
done
expect 0 "$PITH" convert "$gguf/llama-tied-json.gguf" "$gguf/a.pith" --type f32
says 'all scores of the tokenizer are the same'

# A file that is not quantised is planned in the type that inspect chooses for it.
expect 0 "$PITH" inspect --plan "$gguf/llama-gqa.gguf"
prints '^  weights +[0-9]+ bytes .* int8$'

# Families whose checkpoints here have no file of llama.cpp: files by the rules of its converter.
family() { expect 0 "$PYTHON" tests/cli/write_gguf.py "$@"; }
mkdir "$gguf/families"
for name in gemma2 gemma3 granite olmo2 phi3 phi3-longrope ministral3 olmo3 mixtral qwen3-moe olmoe \
    granitemoe gpt_oss; do
    case $name in # of the published models the shares are a softmax among the chosen experts
    qwen3-moe) family $name "$gguf/families" expert_weights_norm=false ;;
    *) family $name "$gguf/families" ;;
    esac
    for type in f32 int4; do
        expect 0 "$PITH" convert "$gguf/families/$name.gguf" "$gguf/a.pith" --type $type
        expect 0 "$PITH" convert "$gguf/families/$name" "$gguf/b.pith" --type $type
        check same "$gguf/a.pith" "$gguf/b.pith"
    done
done

# The 27B models of Gemma, known by their layers, divide scores by another root: of hidden / heads.
family gemma2 "$gguf/families" block_count=46
expect 0 "$PITH" convert "$gguf/families/gemma2.gguf" "$gguf/a.pith" --type f32
is "Gemma's scores" "$(grep -ac 'attention_scale[^,]*:0.288675' "$gguf/a.pith")" = 1
family gemma2 "$gguf/families" block_count=45
expect 0 "$PITH" convert "$gguf/families/gemma2.gguf" "$gguf/a.pith" --type f32
is "Gemma's scores" "$(grep -ac 'attention_scale[^,]*:0.25' "$gguf/a.pith")" = 1

# What else a file of a family may say, or must.
refuses() { # WORDS FAMILY CHANGE: the file with this key is refused
    family "$2" "$gguf/families" "$3"
    fails 1 "$1" "$PITH" convert "$gguf/families/$2.gguf" "$gguf/a.pith" --type f32
}
refuses 'sliding_window_pattern of 3 is not supported, only 6' gemma3 \
    attention.sliding_window_pattern=3
refuses 'there is no key gemma2.attention.sliding_window' gemma2 attention.sliding_window=null
refuses 'there is no key granite.attention.scale' granite attention.scale=null
refuses 'key granite.logit_scale is -1, not 0 or more' granite logit_scale=-1.0
refuses 'granite.rope.scaling.finetuned false .no RoPE. is not supported' granite \
    rope.scaling.finetuned=false
refuses 'key granite.attention.sliding_window of 8 is not supported' granite \
    attention.sliding_window=8
refuses 'layer_types: expected one string for each layer' olmo3 \
    'attention.sliding_window_pattern=[true]'
refuses 'sliding_window_pattern has 1025 elements, the limit is 1024' olmo3 \
    "attention.sliding_window_pattern=[true$(printf ', true%.0s' {1..1024})]"
refuses 'key olmo2.rope.freq_base of 10000 with a window is not supported' olmo3 \
    rope.freq_base=10000.0
refuses 'key olmo2.logit_scale of 2 is not supported' olmo2 logit_scale=2.0
refuses 'there is no key phi3.rope.scaling.original_context_length' phi3 rope_factors_long.weight=6
refuses 'tensor rope_factors_short.weight is missing: it is .6. of F32' phi3-longrope \
    rope_factors_short.weight=null
refuses 'tensor rope_factors_long.weight is not .6. of F32' phi3-longrope rope_factors_long.weight=5
refuses 'rope_long_factors.0. is 0, not in 0.001' phi3-longrope rope_factors_long.weight=6
refuses 'scaling.type: yarn together with tensors rope_factors_long.weight' phi3-longrope \
    'rope.scaling.type="yarn"'
refuses 'there is no key llama.expert_used_count' mixtral expert_used_count=null
refuses 'key qwen3moe.expert_feed_forward_length is 0, not 1' qwen3-moe expert_feed_forward_length=0
refuses 'key olmoe.expert_count is 0, not 1' olmoe expert_count=0
refuses 'key olmoe.expert_gating_func of 2 is not supported' olmoe expert_gating_func=2
refuses 'key llama.expert_weights_norm false is not supported' mixtral expert_weights_norm=false
refuses 'key granitemoe.expert_weights_norm false is not supported' granitemoe \
    expert_weights_norm=false
refuses 'key olmoe.moe_every_n_layers of 2 is not supported' olmoe moe_every_n_layers=2
for norm in true false; do
    family olmoe "$gguf/families" expert_weights_norm=$norm
    expect 0 "$PITH" convert "$gguf/families/olmoe.gguf" "$gguf/a.pith" --type f32
    is "shares among the chosen: $norm" "$(grep -ac 'norm_experts[^,]*true' "$gguf/a.pith")" = \
        $([ $norm = true ] && echo 1 || echo 0)
done
refuses 'tensor blk.0.ffn_gate_shexp.weight .* is not supported' olmoe \
    blk.0.ffn_gate_shexp.weight=4
refuses 'tensor blk.1.exp_probs_b.weight .* is not supported' olmoe blk.1.exp_probs_b.weight=6
refuses 'key granitemoe.expert_shared_count of 1 is not supported' granitemoe expert_shared_count=1
refuses 'there is no key gpt-oss.rope.scaling.type' gpt_oss rope.scaling.type=null
refuses 'key gpt-oss.rope.scaling.type none is not supported' gpt_oss rope.scaling.type='"none"'
refuses 'sliding_window_pattern of 3 is not supported, only 2' gpt_oss \
    attention.sliding_window_pattern=3
refuses 'there is no key gpt-oss.attention.sliding_window' gpt_oss attention.sliding_window=null
family gpt_oss "$gguf/families" blk.1.attn_sinks.weight=null
expect 1 "$PITH" convert "$gguf/families/gpt_oss.gguf" "$gguf/a.pith" --type f32
says 'no tensor blk.1.attn_sinks.weight in the checkpoint'
refuses 'key gemma2.expert_count of 8 is not supported' gemma2 expert_count=8
family mixtral "$gguf/families" feed_forward_length=54
expect 1 "$PITH" convert "$gguf/families/mixtral.gguf" "$gguf/a.pith" --type f32
says 'tensor blk.0.ffn_gate_exps.weight has shape .4, 56, 48., the keys ask for .4, 54, 48.'
refuses 'rope_original_context is 0' phi3-longrope rope.scaling.original_context_length=0

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
cached=$(find "$gguf/cache/pith" -type f)
head -c 5000 "$cached" >"$gguf/part" && cp "$gguf/part" "$cached"
expect 0 "$PITH" run "$quantised" -p x -n 2
says 'converting it once'
is "a damaged file in the cache is made again" "$(find "$gguf/cache/pith" -type f | wc -l)" = 1
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
