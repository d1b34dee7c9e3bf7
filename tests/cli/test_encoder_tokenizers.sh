# shellcheck shell=bash disable=SC2154
# XLM-R's Unigram vocabulary in a tokenizer.json, a sentencepiece.bpe.model or a GGUF file, and the
# other encoders of GGUF files: ids and vectors are those of the directory that transformers reads.

encoder=$T/encoder-tokenizers
mkdir "$encoder"

# Two texts that are read together.
pairs='{"text": "who knocked", "pair": "the wolf at the door"}'

# One line for each text of the tokenizers' tests that is not empty.
"$PYTHON" -c '
import json
for line in open("golden/tokenizers/xlm_roberta.jsonl"):
    text = json.loads(line)["text"]
    if text:
        print(json.dumps({"text": text}))' >"$encoder/texts"

# same_as_directory MODEL.pith DIRECTORY: all texts are the same ids, and the same vectors.
same_as_directory() {
    expect 0 "$PITH" convert "$2" "$encoder/directory.pith" --type f32
    for command in "tokenize --bos=auto --special" "embed --blas off"; do
        # shellcheck disable=SC2086
        expect 0 "$PITH" $command "$1" --json <"$encoder/texts"
        cp "$T/out" "$encoder/a"
        # shellcheck disable=SC2086
        expect 0 "$PITH" $command "$encoder/directory.pith" --json <"$encoder/texts"
        cp "$T/out" "$encoder/b"
        is "$command: lines" "$(wc -l <"$encoder/a")" = "$(wc -l <"$encoder/texts")"
        expect 0 cmp "$encoder/a" "$encoder/b"
    done
    for model in "$1" "$encoder/directory.pith"; do
        expect 0 "$PITH" embed "$model" --json <<<"$pairs"
        prints '^."embedding": .*"tokens": [1-9]'
        cp "$T/out" "$encoder/pair-$(basename "$model")"
    done
    expect 0 cmp "$encoder/pair-$(basename "$1")" "$encoder/pair-directory.pith"
}

# A sentencepiece.bpe.model in place of the tokenizer.json, whose model it is.
files() { expect 0 "$PYTHON" tests/cli/unigram_files.py "$@"; }
files directory "$encoder/json"
cp -r "$encoder/json" "$encoder/spm"
chmod -R u+w "$encoder/spm"
files model "$encoder/json/tokenizer.json" "$encoder/spm/sentencepiece.bpe.model"
rm "$encoder/spm/tokenizer.json"
expect 0 "$PITH" convert "$encoder/spm" "$encoder/spm.pith" --type f32
silent
same_as_directory "$encoder/spm.pith" "$encoder/json"
expect 0 "$PITH" inspect "$encoder/spm.pith" --verify
prints '^tokenizer +Unigram, 320 pieces'
prints ' sentencepiece.bpe.model$'

# Classes that number the pieces in another way.
echo '{"tokenizer_class": "CamembertTokenizer"}' >"$encoder/spm/tokenizer_config.json"
fails 1 'tokenizer_class CamembertTokenizer with sentencepiece.bpe.model is not supported' \
    "$PITH" convert "$encoder/spm" "$encoder/a.pith" --type f32
# A path names the file as well.
expect 0 "$PITH" tokenize "$encoder/spm/sentencepiece.bpe.model" --bos=auto 'the wolf'
is "a file's own ids" "$(cat "$T/out")" = \
    "$("$PITH" tokenize "$encoder/json" --bos=auto 'the wolf')"

# ---- GGUF files ------------------------------------------------------------------------------------

# gguf DIRECTORY CHANGE...: writes "$encoder/a.gguf" and converts it.
write() { expect 0 "$PYTHON" tests/cli/write_encoder_gguf.py "$1" "$encoder/a.gguf" "${@:2}"; }
gguf() {
    write "$@"
    expect 0 "$PITH" convert "$encoder/a.gguf" "$encoder/a.pith" --type f32
}
refuses() { # WORDS DIRECTORY CHANGE...: the file with these keys is refused
    write "${@:2}"
    fails 1 "$1" "$PITH" convert "$encoder/a.gguf" "$encoder/a.pith" --type f32
}

# XLM-R in the architecture of BERT, whose positions its converter has cut.
gguf "$encoder/json"
silent
same_as_directory "$encoder/a.pith" "$encoder/json"
gguf "$encoder/json" tokenizer.ggml.bos_token_id=null tokenizer.ggml.eos_token_id=null
same_as_directory "$encoder/a.pith" "$encoder/json"
gguf golden/encoders/xlm-roberta tokenizer.ggml.remove_extra_whitespaces=false
expect 0 "$PITH" tokenize "$encoder/a.pith" 'the  wolf '
is "spaces that stay" "$(cat "$T/out")" = \
    "$("$PITH" tokenize golden/encoders/xlm-roberta --bos=auto 'the  wolf ')"
gguf "$encoder/json" 'tokenizer.ggml.precompiled_charsmap:i8=[4,0,0,0,0,0,0,0,0]'

refuses 'precompiled_charsmap: expected an array of u8, found' "$encoder/json" \
    'tokenizer.ggml.precompiled_charsmap:f32=[1]'
refuses 'the map of characters is damaged' "$encoder/json" \
    'tokenizer.ggml.precompiled_charsmap:u8=[1,2,3]'
refuses 'add_space_prefix false with a tokenizer of kind t5' "$encoder/json" \
    tokenizer.ggml.add_space_prefix=false
refuses 'key tokenizer.ggml.scores' "$encoder/json" tokenizer.ggml.scores=null
refuses 'tokenizer.ggml.scores has 1 elements for 320 tokens' "$encoder/json" \
    'tokenizer.ggml.scores:f32=[1]'
refuses 'tokenizer.ggml.bos_token_id nor the encoder' "$encoder/json" \
    tokenizer.ggml.bos_token_id=null tokenizer.ggml.cls_token_id=null
refuses 'type_vocab_size' "$encoder/json" token_types.weight=null

# RoBERTa, Nomic's BERT and ModernBERT: the weights, the hyper-parameters and the vectors.
like_modernbert() { # FILE: form C, and one token between two texts, as the published models have it
    "$PYTHON" - "$1" <<'END'
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    tokenizer = json.load(file)
tokenizer["normalizer"] = {"type": "NFC"}
pair = tokenizer["post_processor"]["pair"]
assert pair[2] == pair[3]
del pair[3]
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(tokenizer, file)
END
}
for name in roberta nomic modernbert; do
    cp -r golden/encoders/$name "$encoder/$name"
    chmod -R u+w "$encoder/$name"
    rm "$encoder/$name/tokenizer_config.json" # its length, which a GGUF file does not know
    if [ $name = modernbert ]; then like_modernbert "$encoder/$name/tokenizer.json"; fi
    gguf "$encoder/$name"
    silent
    same_as_directory "$encoder/a.pith" "$encoder/$name"
done
for name in nomic modernbert; do # a table of positions is cut, and its family's name is BERT's
    gguf golden/encoders/$name
    expect 0 "$PITH" convert golden/encoders/$name "$encoder/b.pith" --type f32
    expect 0 "$PYTHON" tests/cli/check_gguf.py same "$encoder/a.pith" "$encoder/b.pith"
done
gguf golden/encoders/roberta tokenizer.ggml.add_bos_token=null tokenizer.ggml.add_eos_token=null
same_as_directory "$encoder/a.pith" "$encoder/roberta"
gguf golden/encoders/modernbert modern-bert.attention.sliding_window=null
is "one kind of layers" "$("$PITH" inspect "$encoder/a.pith" --json | grep -c layer_kinds)" = 0
gguf golden/encoders/modernbert
is "two kinds of layers" "$("$PITH" inspect "$encoder/a.pith" --json | grep -c layer_kinds)" = 1
refuses 'there is no key nomic-bert.rope.freq_base' golden/encoders/nomic \
    nomic-bert.rope.freq_base=null
refuses 'key nomic-bert.expert_count of 8 is not supported' golden/encoders/nomic \
    nomic-bert.expert_count=8
refuses 'architecture nomic-bert-moe is not supported' golden/encoders/nomic \
    'general.architecture="nomic-bert-moe"'
refuses 'there is no key modern-bert.rope.freq_base_swa' golden/encoders/modernbert \
    modern-bert.rope.freq_base_swa=null
refuses 'modern-bert.rope.scaling.type: only none is supported' golden/encoders/modernbert \
    'modern-bert.rope.scaling.type="yarn"'
refuses 'modern-bert.rope.scale_linear: only none is supported, not linear' \
    golden/encoders/modernbert modern-bert.rope.scale_linear=2.0
refuses 'hidden_activation "relu"' golden/encoders/modernbert \
    'modern-bert.hidden_activation="relu"'
refuses 'hidden_activation "a word that is too long for one of those" is not supported' \
    golden/encoders/modernbert \
    'modern-bert.hidden_activation="a word that is too long for one of those"'
refuses 'hidden_activation: expected a string, found a string with U.0000' \
    golden/encoders/modernbert 'modern-bert.hidden_activation="gelu\u0000"'
write golden/encoders/modernbert 'modern-bert.hidden_activation="gelu-of-many"'
LC_ALL=C sed -i 's/gelu-of-many/gelu-\xFF\xFF-many/' "$encoder/a.gguf"
fails 1 'its keys as config.json: hidden_activation is not UTF-8' \
    "$PITH" convert "$encoder/a.gguf" "$encoder/a.pith" --type f32
refuses 'attention.sliding_window and _pattern are 12 and 0' golden/encoders/modernbert \
    modern-bert.attention.sliding_window_pattern=0
