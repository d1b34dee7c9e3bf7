# Every family over 2, 3 and 4 ranks: the logits of a small model of each are those of one process.
. tests/mpi/ranks.sh

n=2
tokens=$(seq -s, 3 42)
compare() { # DIRECTORY TYPE
    "$PITH" convert "$1" "$T/family.pith" --type "$2" 2>"$T/err" || {
        grep -q 'int4\|importance' "$T/err" || bad "$1 as $2 was not converted"
        return
    }
    "$PITH" logits "$T/family.pith" --tokens "$tokens" --blas off --out "$T/alone.npy" 2>/dev/null
    rm -f "$T/together.npy"
    expect 0 ranks $n "$PITH_MPI" logits "$T/family.pith" --tokens "$tokens" --chunk 7 \
        --out "$T/together.npy"
    what="${1#golden/}, $2, $n ranks"
    if cmp -s "$T/alone.npy" "$T/together.npy"; then ok; else bad "other logits"; fi
    n=$((n == 4 ? 2 : n + 1))
}
for family in llama-gqa llama-mha qwen3 extra/gemma3 extra/mixtral; do
    for type in int4 int8 f16 f32; do
        compare golden/$family $type
    done
done
for directory in golden/smollm3 golden/llama-* golden/qwen2-window golden/extra/*/; do
    compare "${directory%/}" int8
done
rm -f "$T/family.pith"
