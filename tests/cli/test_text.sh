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
expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 20 --seed 5 --stats
says 'prompt 5 tokens .*first token after .* generated 20 tokens .*tokens/s.*seed 5$'
one_line
cp "$T/out" "$T/seed5"
expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 20 --seed 5 -t 1
is "a seed gives the same text again" "$(cat "$T/seed5")" = "$(cat "$T/out")"
expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 20 --seed 6
is "another seed gives another text" "$(cat "$T/seed5")" != "$(cat "$T/out")"
expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 200 --temp 0 --stop ' the ' --stop nowhere --stats
is "the text ends before the stop text" -z "$(grep ' the ' "$T/out")"
says 'ended by stop text'
for how in "--temp 0 --repeat-penalty 1" "--seed 3 --temp 0.6" "--seed 4 --stop she"; do
    # shellcheck disable=SC2086
    "$PITH" run "$TALE" -p 'Once upon a time' -n 200 $how >"$T/plain"
    # shellcheck disable=SC2086
    expect 0 "$PITH" run "$TALE" -p 'Once upon a time' -n 200 $how --speculate 8 --stats
    says 'guessed [0-9]+ tokens ahead, [0-9]+ of them right'
    is "run $how --speculate 8 gives the same text" "$(cat "$T/plain")" = "$(cat "$T/out")"
done
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
        --stats "$@"
}
infill
cp "$T/out" "$T/infilled"
infill --suffix-first
is "the order of prefix and suffix matters" "$(cat "$T/infilled")" != "$(cat "$T/out")"
fails 1 'tale.session: was saved with another model' "$PITH" run "$T/infill.pith" -p x --session "$T/tale.session"
fails 1 'No such file' "$PITH" run "$T/infill.pith" --prefix "$T/prefix" --suffix "$T/no-such"

# A reader that goes away.
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
