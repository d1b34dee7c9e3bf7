# tokenize, detokenize, run: the text that goes in and comes out.

printf 'Once upon a time\n\nthe end' >"$T/lines"
expect 0 "$PITH" tokenize "$TALE" <"$T/lines"
is "one result per line" "$(wc -l <"$T/out")" = 3
is "an empty line has no tokens" "$(sed -n 2p "$T/out")" = '{"ids": []}'
expect 0 "$PITH" tokenize "$TALE" --bos <"$T/lines"
is "--bos adds the token" "$(sed -n 2p "$T/out")" = '{"ids": [1]}'
# Lines longer than any buffer, between short ones, the last without a newline.
python3 -c 'print("a", "once upon a time " * 20000, "b", sep="\n", end="")' >"$T/long"
expect 0 "$PITH" tokenize "$TALE" <"$T/long"
cp "$T/out" "$T/ids"
expect 0 "$PITH" detokenize "$TALE" <"$T/ids"
is "long lines survive the round trip" "$(python3 -c '
import json, sys
print([json.loads(l)["text"] for l in open(sys.argv[1])] == open(sys.argv[2]).read().split("\n"))' \
    "$T/out" "$T/long")" = True
expect 0 "$PITH" tokenize "$TALE" </dev/null
no_output
silent
expect 0 sh -c "echo 'a</s>' | '$PITH' tokenize '$TALE' --special"
prints ', 2\]'
expect 0 sh -c "echo 'a</s>' | '$PITH' tokenize '$TALE'"
is "special tokens in a text are plain by default" -z "$(grep -E ', 2\]' "$T/out")"
printf '{"text": "Once upon a time"}\n{"text": "\\u00e9\\n\\ud83d\\ude00"}\n{"text": "a\\u0000b"}\n' >"$T/jsonl"
expect 0 "$PITH" tokenize "$TALE" --json <"$T/jsonl"
cp "$T/out" "$T/ids"
expect 0 "$PITH" detokenize "$TALE" <"$T/ids"
is "text survives the round trip" "$(python3 -c '
import json, sys
print([json.loads(l)["text"] for l in open(sys.argv[1])] == [json.loads(l)["text"] for l in open(sys.argv[2])])' \
    "$T/jsonl" "$T/out")" = True

# Pieces: the vocabulary's spelling, as a table and as JSON, of each kind of tokenizer.
expect 0 "$PITH" tokenize "$TALE" --pieces --bos <"$T/lines"
silent
is "a table of pieces" "$(cat "$T/out" && echo .)" = "1	<s>
2113	▁Once
621	▁upon
261	▁a
521	▁time

1	<s>

1	<s>
262	▁the
961	▁end

."
expect 0 "$PITH" tokenize "$TALE" --pieces --json <"$T/jsonl"
is "pieces as JSON" "$(head -1 "$T/out")" = \
    '{"ids": [2113, 621, 261, 521], "pieces": ["▁Once", "▁upon", "▁a", "▁time"]}'
python3 -c '
import json, sys
for line in open(sys.argv[1]):
    print(json.dumps({"ids": json.loads(line)["ids"]}))' "$T/out" >"$T/ids"
expect 0 "$PITH" detokenize "$TALE" <"$T/ids"
is "ids beside pieces are those of the text" "$(python3 -c '
import json, sys
print([json.loads(l)["text"] for l in open(sys.argv[1])] == [json.loads(l)["text"] for l in open(sys.argv[2])])' \
    "$T/jsonl" "$T/out")" = True
expect 0 "$PITH" tokenize "$TALE" --pieces </dev/null
no_output
"$PITH" convert golden/llama3 "$T/bytes.pith" --type f32
printf 'x \303\251\t' >"$T/input"
expect 0 "$PITH" tokenize "$T/bytes.pith" --pieces <"$T/input"
prints '^[0-9]+	x$'
prints '^[0-9]+	 $'
prints '^[0-9]+	<0xC3>$'
prints '^[0-9]+	<0x09>$'
is "every line is an id and a piece" "$(grep -Evc '^[0-9]+	.+$' "$T/out")" = 1
printf '{"text": "\\u00e9\\t"}' >"$T/input"
expect 0 "$PITH" tokenize "$T/bytes.pith" --pieces --json <"$T/input"
prints '"pieces": \["<0xC3>", "<0xA9>", "\\t"\]'
"$PITH" convert golden/minilm "$T/wordpiece.pith" --type f32
expect 0 sh -c "echo 'Once unbelievably' | '$PITH' tokenize '$T/wordpiece.pith' --pieces"
is "an encoder's pieces" "$(cut -f2 "$T/out" | tr '\n' ' ')" = '[CLS] once un ##bel ##ie ##va ##bly [SEP]  '
fails 2 'unknown option --pieces' "$PITH" detokenize "$TALE" --pieces
fails 2 'takes no value' "$PITH" tokenize "$TALE" --pieces=yes
# What Python reads is read, blank lines and a byte order mark are skipped, and lines are counted.
printf '\xef\xbb\xbf{"text": "b", "text": "Once", "n": [NaN, 1e999, 18446744073709551616]}\n\n \t\r\n{"text": "Once"}\r\n' \
    >"$T/jsonl"
expect 0 "$PITH" tokenize "$TALE" --json <"$T/jsonl"
is "blank lines and a mark give no result" "$(wc -l <"$T/out")" = 2
is "the last of equal keys counts" "$(sed -n 1p "$T/out")" = "$(sed -n 2p "$T/out")"
printf '\xef\xbb\xbfOnce\nOnce\n' >"$T/lines"
expect 0 "$PITH" tokenize "$TALE" <"$T/lines"
is "a byte order mark is no text" "$(sed -n 1p "$T/out")" = "$(sed -n 2p "$T/out")"
{ printf '\xef\xbb\xbf\n'; cat "$T/out"; } >"$T/ids"
expect 0 "$PITH" detokenize "$TALE" <"$T/ids"
is "a blank line has no ids" "$(cat "$T/out")" = "$(printf '{"text": "Once"}\n{"text": "Once"}')"

bad_line() { # PATTERN COMMAND INPUT...
    printf "$3" >"$T/input"
    expect 1 "$PITH" $2 <"$T/input"
    says "$1"
    one_line
}
bad_line 'line 2: not valid JSON' "tokenize $TALE --json" '{"text": "a"}\n{"text": \n'
bad_line 'line 3: not valid JSON: column 10: ' "tokenize $TALE --json" '{"text": "a"}\n\n{"text": \n'
bad_line 'line 1: not valid JSON: column 1: neither' "tokenize $TALE --json" '3\n'
bad_line 'line 1: not a JSON object with the key "text"' "tokenize $TALE --json" '{"txt": "a"}\n'
bad_line 'line 1: not a JSON object' "tokenize $TALE --json" '["text"]\n'
bad_line 'line 1: "text" is not a string' "tokenize $TALE --json" '{"text": 1}\n'
bad_line 'line 2: .*byte 1' "tokenize $TALE" 'fine\na\xff\n'
bad_line 'line 1: .*byte 1' "tokenize $TALE --pieces" 'a\xff\n'
bad_line 'line 1: not valid JSON' "tokenize $TALE --pieces --json" 'a\n'
bad_line 'line 1: not valid JSON' "detokenize $TALE" '1 2 3\n'
bad_line 'line 1: "ids" is not an array' "detokenize $TALE" '{"ids": 1}\n'
bad_line 'line 1: "ids"\[1\] is not a token id' "detokenize $TALE" '{"ids": [1, 1.5]}\n'
bad_line 'line 1: "ids"\[0\] is not a token id' "detokenize $TALE" '{"ids": [2147483648]}\n'
bad_line 'line 3: .*token 4096' "detokenize $TALE" '{"ids": []}\n{"ids": [3]}\n{"ids": [4096]}\n'
bad_line 'line 1: .*token -1' "detokenize $TALE" '{"ids": [-1]}\n'

# run
expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 20 --temp 0
silent
is "the prompt is not repeated" -z "$(grep 'Once upon' "$T/out")"
is "there is text" -s "$T/out"
cp "$T/out" "$T/greedy"
printf 'Once upon a time' >"$T/prompt"
for how in "-f $T/prompt" "-f -" "-f /dev/stdin" "-f $T/prompt -t 1" "-f $T/prompt --mmap" "-f $T/prompt --isa scalar" \
    "-f $T/prompt -b 1" "-f $T/prompt --top-k 1 --temp 2" "-f $T/prompt --seed 9"; do
    # shellcheck disable=SC2086
    expect 0 "$PITH" run "$TALE" $how -n 20 --temp 0 <"$T/prompt"
    is "run $how gives the same text" "$(cat "$T/greedy")" = "$(cat "$T/out")"
done
expect 0 "$PITH" run "$TALE" 'Once upon a time' -n 20 --temp 0
is "an operand is the prompt" "$(cat "$T/greedy")" = "$(cat "$T/out")"
expect 0 "$PITH" run "$TALE" '' -n 5 --temp 0
cp "$T/out" "$T/begun"
expect 0 "$PITH" run "$TALE" -p '' -n 5 --temp 0
is "an empty operand lets the model begin" "$(cat "$T/begun")" = "$(cat "$T/out")"
for end in '' '\n' '\r\n'; do
    # shellcheck disable=SC2059
    printf "Once upon a time$end" | "$PITH" run "$TALE" -n 20 --temp 0 >"$T/out" 2>"$T/err"
    is "standard input is the prompt" "$(cat "$T/greedy")" = "$(cat "$T/out")"
    silent
done
echo 'not read' | "$PITH" run "$TALE" -p 'Once upon a time' -n 20 --temp 0 >"$T/out"
is "standard input is left alone when there is a prompt" "$(cat "$T/greedy")" = "$(cat "$T/out")"
fails 2 "exclude each other" "$PITH" run "$TALE" 'Once' -p 'upon'
fails 2 "exclude each other" "$PITH" run "$TALE" 'Once' -f "$T/prompt"
expect 0 "$PITH" run "$TALE" -e 'Once\x20upon \u0061 time' -n 20 --temp 0
is "escapes are read with -e" "$(cat "$T/greedy")" = "$(cat "$T/out")"
fails 2 "'.q' is no escape" "$PITH" run "$TALE" -e 'a\q'
fails 2 "'.x0' is no escape" "$PITH" run "$TALE" -e 'a\x0'
fails 2 "is no escape" "$PITH" run "$TALE" -e 'a\x00'
fails 2 "is no escape" "$PITH" run "$TALE" -e 'a\ud800'
expect 0 "$PITH" run "$TALE" -e 'Once upon a time' -n 100 --temp 0 --stop '\x20who\x20' --stats
says 'ended by stop text'
printf 'Once upon\r\na time' >"$T/crlf"
for how in "run $TALE -n 2 -f $T/crlf" "eval $TALE $T/crlf" \
    "importance $TALE $T/crlf --out $T/crlf.importance"; do
    # shellcheck disable=SC2086
    expect 0 "$PITH" $how
    says 'crlf has Windows line endings'
    one_line
done

printf 'Once\r\nupon\r\n' >"$T/crlf"
expect 0 "$PITH" tokenize "$TALE" <"$T/crlf"
says 'standard input has Windows line endings'
one_line

# Temperature 0 is the most likely token, whatever stands before it: no penalty unless asked for.
expect 0 "$PITH" run "$TALE" -p 'the the the the' -n 60 --temp 0
cp "$T/out" "$T/greedy-repeats"
expect 0 "$PITH" run "$TALE" -p 'the the the the' -n 60 --temp 0 --repeat-penalty 1
is "no repeat penalty by default" "$(cat "$T/greedy-repeats")" = "$(cat "$T/out")"
expect 0 "$PITH" run "$TALE" -p 'the the the the' -n 60 --temp 0 --repeat-penalty 1.1
is "a repeat penalty changes it" "$(cat "$T/greedy-repeats")" != "$(cat "$T/out")"

expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 20 --seed 5 --stats
says 'prompt 5 tokens .*first token after .* generated 20 tokens .*tokens/s.*seed 5$'
one_line
cp "$T/out" "$T/seed5"
expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 20 --seed 5 -t 1
is "a seed gives the same text again" "$(cat "$T/seed5")" = "$(cat "$T/out")"
expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 20 --seed 6
is "another seed gives another text" "$(cat "$T/seed5")" != "$(cat "$T/out")"
expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 200 --temp 0 --stop ' who ' --stop nowhere --stats
is "the text ends before the stop text" -z "$(grep ' who ' "$T/out")"
says 'ended by stop text'
for how in "--temp 0 --repeat-penalty 1" "--seed 3 --temp 0.6" "--seed 4 --stop she"; do
    # shellcheck disable=SC2086
    "$PITH" run "$TALE" -p 'Once upon a time' -n 200 $how >"$T/plain"
    # shellcheck disable=SC2086
    expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 200 $how --speculate 8 --stats
    says 'guessed [0-9]+ tokens ahead, [0-9]+ of them right'
    is "run $how --speculate 8 gives the same text" "$(cat "$T/plain")" = "$(cat "$T/out")"
done
"$PITH" run "$TALE" -p 'Once upon a time' -n 120 --temp 0 >"$T/plain"
expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 120 --temp 0 --draft "$TALE" --stats
is 'run --draft gives the same text' "$(cat "$T/plain")" = "$(cat "$T/out")"
fails 1 'nowhere.pith' "$PITH" run "$TALE" -p x --draft nowhere.pith
fails 2 'speculate takes a whole number from 0 to 16' "$PITH" run "$TALE" -p x --speculate 17

# A saved session gives the same text and evaluates only what is new.
once="Once upon a time there was"
"$PITH" run "$TALE" -p "$once a bear" -n 20 --seed 5 >"$T/plain"
expect 0 "$PITH" run "$TALE" -p "$once" -n 20 --seed 5 --session "$T/tale.session"
is "a session is saved" -s "$T/tale.session"
expect 0 "$PITH" run "$TALE" -p "$once a bear" -n 20 --seed 5 --session "$T/tale.session" --stats
says 'prompt [12] tokens'
is "a session changes no text" "$(cat "$T/plain")" = "$(cat "$T/out")"
"$PITH" run "$TALE" -p "He ran" -n 20 --seed 5 >"$T/plain"
expect 0 "$PITH" run "$TALE" -p "He ran" -n 20 --seed 5 --session "$T/tale.session"
is "another prompt gives its own text" "$(cat "$T/plain")" = "$(cat "$T/out")"
cp "$T/tale.session" "$T/before.session"
fails 1 'tale.session: was saved with a KV cache of f16' "$PITH" run "$TALE" -p x --kv f32 --session "$T/tale.session"
fails 1 'not a session file' "$PITH" run "$TALE" -p x --session "$CHAT"
# One that cannot be saved is refused before anything is generated or a model is opened.
fails 1 'no-such/x.session.*No such file' "$PITH" run "$TALE" -p x -n 4 --session "$T/no-such/x.session"
fails 1 'no-such/x.session' "$PITH" run "$T/no-such.pith" -p x -n 4 --session "$T/no-such/x.session"
fails 1 '/proc/x.session' "$PITH" run "$TALE" -p x -n 4 --session /proc/x.session
fails 1 'not a regular file' "$PITH" run "$TALE" -p x -n 4 --session "$T"
is "a refused session leaves no temporary" "$(find "$T" -name '*.session.tmp-*' | wc -l)" = 0
head -c 5000 "$T/before.session" >"$T/cut.session"
fails 1 'cut.session' "$PITH" run "$TALE" -p x --session "$T/cut.session"
is "a refused session is left alone" "$(cmp "$T/before.session" "$T/tale.session" 2>&1)" = ""

expect 0 "$PITH" run "$TALE" -p '' -n 5 --temp 0
expect 0 "$PITH" run "$TALE" -n 5 --temp 0
expect 0 "$PITH" run "$TALE" -p x -c 8 --ignore-eos --stats
says 'ended by context full'
# A model without a beginning-of-text token has nothing to begin an empty text with.
cp -r golden/llama3 "$T/no-bos"
python3 - "$T/no-bos" <<'END'
import json, os, sys
for name in "config.json", "generation_config.json", "tokenizer_config.json":
    path = os.path.join(sys.argv[1], name)
    keys = json.load(open(path))
    json.dump({k: None if k.startswith("bos_token") else v for k, v in keys.items()}, open(path, "w"))
path = os.path.join(sys.argv[1], "tokenizer.json")
keys = json.load(open(path))
json.dump({**keys, "post_processor": None}, open(path, "w"))
END
"$PITH" convert "$T/no-bos" "$T/no-bos.pith" --type f32
fails 1 'the text is empty, and no token begins it' "$PITH" run "$T/no-bos.pith" -p ''
fails 1 'the text is empty, and no token begins it' "$PITH" logits "$T/no-bos.pith" \
    --text '' --out "$T/x.npy"
long=$(printf 'word %.0s' {1..600})
fails 1 'the prompt has [0-9]+ tokens, the context only 512' "$PITH" run "$TALE" -p "$long"
fails 1 'the context only 4' "$PITH" run "$TALE" -p "$long" -c 4
fails 1 'byte 4' "$PITH" run "$TALE" -p "$(printf 'abcd\377')"
printf 'abc\300\200' >"$T/bad.txt"
fails 1 'byte 3' "$PITH" run "$TALE" -f "$T/bad.txt"
fails 1 'bad.txt: .*byte 3' "$PITH" eval "$TALE" "$T/bad.txt"
fails 1 'infilling' "$PITH" run "$TALE" --prefix "$T/prompt" --suffix "$T/prompt"
fails 1 'sse9' "$PITH" run "$TALE" --isa sse9

# Infilling, with the tokens that Code Llama's tokenizer has.
python3 tests/cli/make_model.py "$SOURCE" "$T/infill" 2 128 256 ▁\<{PRE,MID,SUF,EOT}\>
expect 0 "$PITH" convert "$T/infill" "$T/infill.pith" --type f32
printf 'int main(void) {\n' >"$T/prefix"
printf '}\n' >"$T/suffix"
infill() {
    expect 0 "$PITH" run "$T/infill.pith" --prefix "$T/prefix" --suffix "$T/suffix" -n 8 --temp 0 \
        --repeat-penalty 1.1 --stats "$@"
}
infill
cp "$T/out" "$T/infilled"
infill --suffix-first
is "the order of prefix and suffix matters" "$(cat "$T/infilled")" != "$(cat "$T/out")"
fails 1 'tale.session: was saved with another model' "$PITH" run "$T/infill.pith" -p x --session "$T/tale.session"
fails 1 'No such file' "$PITH" run "$T/infill.pith" --prefix "$T/prefix" --suffix "$T/no-such"

# The reader of the output goes away.
for command in "run $TALE -p Once --ignore-eos" "inspect $TALE --json" "help run"; do
    # shellcheck disable=SC2086
    { "$PITH" $command 2>"$T/err"; echo $? >"$T/code"; } | head -c 1 >"$T/out"
    what="$command | head -c 1"
    is "$command: a closed pipe is a quiet failure" "$(cat "$T/code")" = 1 -o "$(cat "$T/code")" = 0
    silent
done
what="run into a closed pipe"
{ sleep 0.2; "$PITH" run "$TALE" -p Once --ignore-eos 2>"$T/err"; echo $? >"$T/code"; } | true
is "$what is exit code 1" "$(cat "$T/code")" = 1
silent

# A text as an operand.
echo 'a stone' >"$T/stone"
for options in '' --bos --pieces --special; do
    expect 0 "$PITH" tokenize "$TALE" $options <"$T/stone"
    cp "$T/out" "$T/of-line"
    expect 0 "$PITH" tokenize "$TALE" $options 'a stone'
    is "TEXT is tokenized like a line${options:+, with $options}" "$(cat "$T/out")" = "$(cat "$T/of-line")"
done
fails 1 '^pith tokenize: invalid UTF-8 at byte 1' "$PITH" tokenize "$TALE" "$(printf 'a\377')"
fails 2 'TEXT and --json exclude each other' "$PITH" tokenize "$TALE" --json 'a stone'
fails 2 "unexpected argument 'a'" "$PITH" detokenize "$TALE" a </dev/null
