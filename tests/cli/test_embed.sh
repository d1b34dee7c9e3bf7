# embed: texts to vectors, as JSON Lines and as a NumPy file.

expect 0 "$PITH" convert "$ROOT/golden/minilm" "$T/minilm.pith" --type f32
M="$T/minilm.pith"
printf 'a stone\n\nthe wolf' >"$T/texts"
expect 0 "$PITH" embed "$M" <"$T/texts"
silent
is "one result per line" "$(wc -l <"$T/out")" = 3
is "an empty text has two tokens" "$(sed -n 2p "$T/out" | grep -c '"tokens": 2, "truncated": false')" = 1
cp "$T/out" "$T/vectors"
expect 0 "$PITH" embed "$M" --out "$T/v.npy" <"$T/texts"
no_output
is "both outputs hold the same floats" "$(python3 -c '
import json, struct, sys
data = open(sys.argv[2], "rb").read()[128:]
rows = [json.loads(line)["embedding"] for line in open(sys.argv[1])]
print(struct.pack("<%df" % sum(map(len, rows)), *sum(rows, [])) == data and len(data) == 3 * 48 * 4)' \
    "$T/vectors" "$T/v.npy")" = True
printf '{"text": "a"}\n{"text": "a", "pair": "b"}\n' >"$T/jsonl"
expect 0 "$PITH" embed "$M" --json <"$T/jsonl"
prints '"tokens": 5, "truncated": false'
expect 0 "$PITH" embed "$M" </dev/null
no_output
silent
python3 -c 'print("short"); print("word " * 400)' >"$T/long"
expect 0 "$PITH" embed "$M" <"$T/long"
prints '"tokens": 256, "truncated": true'
says '1 of 2 texts were longer than 256 tokens'
fails 1 'standard input, line 2: the text has more than 256 tokens' "$PITH" embed "$M" --no-truncate <"$T/long"
printf 'a\n\377\n' >"$T/bad"
fails 1 'standard input, line 2: invalid UTF-8 at byte 0' "$PITH" embed "$M" <"$T/bad"
printf '\xef\xbb\xbf{"text": "a"}\n\n{"text": "a"}\n' >"$T/jsonl"
expect 0 "$PITH" embed "$M" --json <"$T/jsonl"
is "blank lines and a byte order mark are skipped" "$(sort -u "$T/out" | wc -l)$(wc -l <"$T/out")" = 12
printf '\n{"text": "a"}\n{"text": "\\u0000"}\n{"text": "a\xff"}\n' >"$T/jsonl"
fails 1 'line 4: not valid JSON: column 12: invalid UTF-8' "$PITH" embed "$M" --json <"$T/jsonl"
printf '{"text": "a"}\n{"txt": "a"}\n' >"$T/jsonl"
fails 1 'line 2: not a JSON object with a string "text"' "$PITH" embed "$M" --json <"$T/jsonl"
fails 1 'no encoder' "$PITH" embed "$TALE" <"$T/texts"

# A text as an operand.
expect 0 "$PITH" embed "$M" 'a stone'
silent
cp "$T/out" "$T/operand"
echo 'a stone' >"$T/texts"
expect 0 "$PITH" embed "$M" <"$T/texts"
is "it is embedded like a line" "$(cat "$T/out")" = "$(cat "$T/operand")"
fails 2 'TEXT is empty' "$PITH" embed "$M" ''
fails 1 '^pith embed: invalid UTF-8 at byte 1' "$PITH" embed "$M" "$(printf 'a\377')"
fails 1 '^pith embed: the text has more than 256 tokens' "$PITH" embed "$M" --no-truncate \
    "$(cat "$T/long")"
fails 2 'TEXT and --json exclude each other' "$PITH" embed "$M" --json 'a stone'

# Prompts: the model's default, one of its others, any text, none.
cp -r golden/minilm "$T/prompted"
echo '{"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}' \
    >"$T/prompted/config_sentence_transformers.json"
expect 0 "$PITH" convert "$T/prompted" "$T/prompted.pith" --type f32 -v
says 'prompt query .the default.: "query: "'
P="$T/prompted.pith"
vector_of() { "$PITH" embed "$M" "$1" | sed 's/, "tokens".*//'; }
with() { "$PITH" embed "$P" 'the wolf' "$@" | sed 's/, "tokens".*//'; }
is "the default prompt" "$(with)" = "$(vector_of 'query: the wolf')"
is "a prompt by name" "$(with --prompt-name passage)" = "$(vector_of 'passage: the wolf')"
is "a prompt as a text" "$(with --prompt 'see: ')" = "$(vector_of 'see: the wolf')"
is "no prompt" "$(with --prompt '')" = "$(vector_of 'the wolf')"
fails 1 'no prompt "document"; it has query, passage' "$PITH" embed "$P" --prompt-name document a
fails 1 'no prompt "query"; it has none' "$PITH" embed "$M" --prompt-name query a
fails 2 'exclude each other' "$PITH" embed "$P" --prompt-name query --prompt x a
expect 0 "$PITH" inspect "$P"
prints 'prompts +query \(default\): "query: "'
prints 'passage: "passage: "'

# The first dimensions, of length 1 again.
expect 0 "$PITH" embed "$M" --dimensions 8 'a stone'
is "eight elements, normalised" "$(python3 -c '
import json, sys
short, long = (json.load(open(p))["embedding"] for p in sys.argv[1:])
norm = sum(x * x for x in long[:8]) ** 0.5
print(len(short) == 8 and max(abs(a - b / norm) for a, b in zip(short, long)) < 1e-6)' \
    "$T/out" "$T/operand")" = True
fails 1 '49 dimensions are asked for, the model.s embeddings have 48' \
    "$PITH" embed "$M" --dimensions 49 'a stone'
