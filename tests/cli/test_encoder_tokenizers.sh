# shellcheck shell=bash disable=SC2154
# Encoders whose Unigram vocabulary is not in a tokenizer.json: the vectors are those of the
# directory that has one.

encoder=$T/encoder-tokenizers
mkdir "$encoder"

# A sentencepiece.bpe.model in place of the tokenizer.json, whose model it is.
cp -r golden/encoders/xlm-roberta "$encoder/spm"
chmod -R u+w "$encoder/spm"
expect 0 "$PYTHON" tests/cli/write_spm.py "$encoder/spm/tokenizer.json" \
    "$encoder/spm/sentencepiece.bpe.model"
rm "$encoder/spm/tokenizer.json"
expect 0 "$PITH" convert "$encoder/spm" "$encoder/spm.pith" --type f32
silent
expect 0 "$PITH" convert golden/encoders/xlm-roberta "$encoder/json.pith" --type f32
expect 0 "$PITH" inspect "$encoder/spm.pith" --verify
prints '^tokenizer +Unigram, 96 pieces'
prints ' sentencepiece.bpe.model$'

# vectors_are_those_of A.pith B.pith: of all texts of golden/encoders.
vectors_are_those_of() {
    "$PYTHON" -c '
import json
for name in "xlm-roberta", "nomic", "modernbert":
    for text in json.load(open(f"golden/encoders/{name}/expected.json"))["texts"]:
        print(json.dumps({"text": text}))' >"$encoder/texts"
    expect 0 "$PITH" embed "$1" --json <"$encoder/texts"
    cp "$T/out" "$encoder/a"
    expect 0 "$PITH" embed "$2" --json <"$encoder/texts"
    cp "$T/out" "$encoder/b"
    is "vectors of $(basename "$1")" "$(wc -l <"$encoder/a")" = "$(wc -l <"$encoder/texts")"
    expect 0 cmp "$encoder/a" "$encoder/b"
}
vectors_are_those_of "$encoder/spm.pith" "$encoder/json.pith"

# Classes that number the pieces in another way.
echo '{"tokenizer_class": "CamembertTokenizer"}' >"$encoder/spm/tokenizer_config.json"
fails 1 'tokenizer_class CamembertTokenizer with sentencepiece.bpe.model is not supported' \
    "$PITH" convert "$encoder/spm" "$encoder/a.pith" --type f32
# A path names the file as well.
expect 0 "$PITH" tokenize "$encoder/spm/sentencepiece.bpe.model" --bos=auto 'the wolf'
is "a file's own ids" "$(cat "$T/out")" = \
    "$("$PITH" tokenize golden/encoders/xlm-roberta --bos=auto 'the wolf')"
