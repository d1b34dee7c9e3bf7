# convert --shape: random weights of a known shape with a tokenizer.

expect 0 "$PITH" convert --shape stories-15m --type int4 --tokenizer "$SOURCE/tokenizer.model" \
    "$T/shape.pith"
is "another vocabulary than the shape's is named" \
    "$(grep -c "warning: the vocabulary has the tokenizer's 4096 tokens, not the 32000 of stories-15m" "$T/err")" = 1
expect 0 "$PITH" inspect "$T/shape.pith" --verify
prints '^types +linear layers int4, embedding and head int8$'
prints '^parameters +7155360$'
prints '^tokenizer +SentencePiece BPE, 4096 pieces'
prints '^special tokens +beginning 1 .*, end 2$'
prints 'all checksums are right'
(cd "$SOURCE" && "$PITH" convert "$T/shape-t1.pith" --type int4 -t 1 --tokenizer tokenizer.model \
    --shape stories-15m 2>/dev/null)
is "any number of threads writes the same random weights" \
    "$(cmp "$T/shape.pith" "$T/shape-t1.pith" 2>&1)" = ""
expect 0 "$PITH" run "$T/shape.pith" -p 'Once upon a time' -n 20 --ignore-eos --temp 1 --seed 1
expect 0 "$PITH" convert --shape=minilm-l6 --type int8 --tokenizer golden/minilm "$T/shape-encoder.pith"
expect 0 "$PITH" embed "$T/shape-encoder.pith" 'a stone'
prints '"embedding": '

fails 1 'unknown shape "gpt5"; known: llama2-7b, .*minilm-l6' \
    "$PITH" convert --shape gpt5 --type int4 --tokenizer "$SOURCE" "$T/x.pith"
fails 1 'WordPiece tokenizer is for encoders, and llama2-7b is a decoder' \
    "$PITH" convert --shape llama2-7b --type int4 --tokenizer golden/minilm "$T/x.pith"
fails 1 'no tokenizer.json, tokenizer.model or vocab.txt' \
    "$PITH" convert --shape llama2-7b --type int4 --tokenizer golden "$T/x.pith"
fails 2 'shape needs --tokenizer FILE' "$PITH" convert --shape llama2-7b --type int4 "$T/x.pith"
fails 2 'either SRC or --shape NAME' \
    "$PITH" convert "$SOURCE" "$T/x.pith" --shape llama2-7b --type int4 --tokenizer "$SOURCE"
fails 2 'shape and --importance exclude each other' "$PITH" convert "$T/x.pith" --shape llama2-7b \
    --type int4 --tokenizer "$SOURCE" --importance "$T/text"
fails 2 'shape and --report exclude each other' \
    "$PITH" convert "$T/x.pith" --shape llama2-7b --type int4 --tokenizer "$SOURCE" --report
fails 2 'OUT.pith is missing' "$PITH" convert --shape llama2-7b --type int4 --tokenizer "$SOURCE"
is "a refused shape writes nothing" ! -e "$T/x.pith"
mkdir "$T/shape-source"
cp "$SOURCE"/tokenizer* "$T/shape-source"
fails 1 'tokenizer' "$PITH" convert --shape stories-15m --type int4 \
    --tokenizer "$T/shape-source/tokenizer.model" "$T/shape-source/tokenizer.model"

interrupt "an interrupted file of random weights" \
    'compgen -G "$T/shape-large.pith.tmp-*" >/dev/null' "$PITH" convert --shape llama2-7b --type int4 \
    --tokenizer "$SOURCE" "$T/shape-large.pith" -t 1
is "an interrupted file of random weights is gone" \
    "$(find "$T" -maxdepth 1 -name 'shape-large*' | wc -l)" = 0
