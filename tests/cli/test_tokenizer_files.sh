# tokenize and detokenize with a tokenizer's own files in place of a model.

printf 'Once upon a time\n  two  spaces\ncaf\303\251 \346\227\245\346\234\254 \360\237\216\211 <s>x</s>\n' >"$T/files-text"

# same WHAT A B OPTIONS...: both give the same ids, and those become the same text.
same() {
    local name=$1 a=$2 b=$3
    shift 3
    expect 0 "$PITH" tokenize "$a" "$@" <"$T/files-text"
    silent
    cp "$T/out" "$T/files-ids"
    is "$name $*: ids" "$(cat "$T/out")" = "$("$PITH" tokenize "$b" "$@" <"$T/files-text")"
    expect 0 "$PITH" detokenize "$a" <"$T/files-ids"
    is "$name $*: text" "$(cat "$T/out")" = "$("$PITH" detokenize "$b" <"$T/files-ids")"
}

for options in "" --special --bos --bos=auto; do
    same "a directory" "$SOURCE" "$TALE" $options
done
same "a tokenizer.model" "$SOURCE/tokenizer.model" "$SOURCE" --bos
expect 0 "$PITH" tokenize "$SOURCE" --pieces <"$T/files-text"
is "pieces" "$(cat "$T/out")" = \
    "$("$PITH" tokenize "$TALE" --pieces <"$T/files-text")"

# A file is read as it stands: settings of its directory about the beginning of a text do not count.
mkdir -p "$T/files/alone"
cp golden/llama3/tokenizer.json "$T/files/alone"
echo '{"bos_token": "<|eot_id|>", "add_bos_token": true}' >"$T/files/alone/tokenizer_config.json"
first() { "$PITH" tokenize "$1" --bos=auto 'x' | tr -dc '0-9,' | cut -d, -f1; }
is "a file alone" "$(first "$T/files/alone/tokenizer.json")" = 756
is "its directory" "$(first "$T/files/alone")" = 765

# Several tokens in front of a text, as GLM-4 has "[gMASK]<sop>".
python3 - golden/llama3/tokenizer.json "$T/files/several.json" <<'END'
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    tokenizer = json.load(file)
ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
names = list(ids)[:2]
tokenizer["post_processor"] = {
    "type": "TemplateProcessing", "pair": [],
    "single": [{"SpecialToken": {"id": name, "type_id": 0}} for name in names] +
              [{"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in names}}
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump(tokenizer, file)
END
several=$(python3 -c "
import json
ids = [t['id'] for t in json.load(open('golden/llama3/tokenizer.json'))['added_tokens'][:2]]
print(str(ids)[1:-1])")
x=$("$PITH" tokenize golden/llama3/tokenizer.json --bos=off x | sed "s/.*\[\(.*\)\].*/\1/")
is "several tokens in front" "$("$PITH" tokenize "$T/files/several.json" --bos=auto x)" = \
    "{\"ids\": [$several, $x]}"

# Encoders: [CLS] and [SEP] stand around every text.
is "a vocab.txt" "$("$PITH" tokenize golden/minilm/vocab.txt 'Hello, World')" = \
    '{"ids": [101, 7592, 1010, 2088, 102]}'
is "a WordPiece directory" "$("$PITH" tokenize golden/minilm 'Hello, World')" = \
    '{"ids": [101, 7592, 1010, 2088, 102]}'

fails 1 'token 99999999 is outside the vocabulary' "$PITH" detokenize "$SOURCE" \
    <<<'{"ids": [99999999]}'
mkdir -p "$T/files/empty"
fails 1 'a directory without tokenizer.json, tokenizer.model or vocab.txt' \
    "$PITH" tokenize "$T/files/empty" x
echo 'not JSON' >"$T/files/tokenizer.json"
fails 1 'tokenizer.json: bad JSON at line 1' "$PITH" tokenize "$T/files/tokenizer.json" x
fails 1 'nowhere.json: cannot open' "$PITH" tokenize "$T/files/nowhere.json" x

# A model with a tokenizer of many steps does what the tokenizer's file does.
cp -r golden/llama-gqa "$T/files/steps"
chmod -R u+w "$T/files/steps"
rm "$T/files/steps/tokenizer.model"
cp golden/tokenizers/unigram/tokenizer.json "$T/files/steps"
expect 0 "$PITH" convert "$T/files/steps" "$T/files/steps.pith" --type int8
expect 0 "$PITH" inspect "$T/files/steps.pith" --verify
prints '^tokenizer +Unigram, 900 pieces'
same "a converted tokenizer" "$T/files/steps.pith" "$T/files/steps" --special --bos=auto
is "the file's version" "$(head -c 100000 "$T/files/steps.pith" | grep -c 'format_version\\":2')" = 1
is "other files' version" "$(head -c 100000 "$TALE" | grep -c 'format_version\\":1')" = 1
