# chat: by a pipe, and on a terminal that Python makes.

fails 1 'tale.pith: it has no chat template' "$PITH" chat "$TALE" </dev/null

# Without a model it is the storyteller, found from the place of the binary.
mkdir -p "$T/prefix/bin" "$T/prefix/share/pith/models"
cp "$PITH" "$T/prefix/bin/pith"
fails 2 'MODEL.pith is missing, and the storyteller' "$T/prefix/bin/pith" chat </dev/null
cp "$CHAT" "$T/prefix/share/pith/models/story-int4.pith"
echo 'Who are you?' >"$T/input"
expect 0 "$PITH" chat "$CHAT" -n 12 --temp 0 <"$T/input"
cp "$T/out" "$T/given"
is "chat without a model" "$("$T/prefix/bin/pith" chat -n 12 --temp 0 <"$T/input")" = "$(cat "$T/given")"

# What was evaluated is kept between turns and given up where the conversation differs.
printf 'Tell me a tale.\nAnd then?\n\n/reset\nWho are you?\n/quit\nnever read\n' >"$T/input"
expect 0 "$PITH" chat "$CHAT" -n 12 --temp 0 --stats <"$T/input"
is "three answers were timed" "$(grep -c 'generated' "$T/err")" = 3
first=$(sed -n 's/.*prompt \([0-9]*\) tokens.*/\1/p' "$T/err" | sed -n 1p)
second=$(sed -n 's/.*prompt \([0-9]*\) tokens.*/\1/p' "$T/err" | sed -n 2p)
is "the first turn is not evaluated again ($first, $second)" "$second" -lt $((first + second / 2))
echo 'Who are you?' | "$PITH" chat "$CHAT" -n 12 --temp 0 >"$T/alone"
expect 0 "$PITH" chat "$CHAT" -n 12 --temp 0 <"$T/input"
is "the answer after /reset is that of a new conversation" \
    "$(tail -c "$(stat -c %s "$T/alone")" "$T/out")" = "$(cat "$T/alone")"
expect 0 "$PITH" chat "$CHAT" -n 12 --temp 0 <"$T/input"
silent
cp "$T/out" "$T/plain"
expect 0 "$PITH" chat "$CHAT" -n 12 --temp 0 --system 'Speak of bears.' <"$T/input"
is "the system message matters" "$(cat "$T/plain")" != "$(cat "$T/out")"
expect 0 "$PITH" chat "$CHAT" </dev/null
no_output
long=$(printf 'word %.0s' {1..600})
printf '%s\nshort\n' "$long" >"$T/input"
expect 1 "$PITH" chat "$CHAT" -n 4 <"$T/input"
says 'no room for an answer in the context of 512: /reset'
one_line
is "the next message is answered" -s "$T/out"
printf '/help\na\377\n' >"$T/input"
expect 1 "$PITH" chat "$CHAT" -n 4 <"$T/input"
says '^pith chat: standard input, line 2: invalid UTF-8 at byte 1$'
fails 1 '^pith chat: --system: invalid UTF-8 at byte 2$' "$PITH" chat "$CHAT" -n 4 \
    --system "$(printf 'ab\377')" </dev/null
printf 'hello\n' >"$T/input"
expect 0 "$PITH" chat "$CHAT" -c 24 --temp 0 <"$T/input"
says 'the context of 24 tokens is full: /reset'

printf '/rest\n/nonsense\n/help\nhello\n/bye\nnever read\n' >"$T/input"
expect 1 "$PITH" chat "$CHAT" -n 4 --temp 0 <"$T/input"
says 'unknown command /rest; did you mean /reset'
says 'unknown command /nonsense: /reset begins'
is "only hello is answered" "$(wc -l <"$T/out")" = 1

expect 0 python3 tests/cli/terminal.py "$PITH" "$CHAT" "$TALE"

# Other templates than Llama 2's: by name, from a file, with variables.
cat >"$T/lines.jinja" <<'END'
{{ bos_token }}{% for m in messages %}{{ m.role }}{{ mark }}: {{ m.content }}
{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}
END
fails 1 'tale.pith: it has no chat template.*--chat-template gives one \(chatml, llama2' \
    "$PITH" chat "$TALE" </dev/null
fails 2 'no chat template is called "nothing": the model has none of its own, pith chatml' \
    "$PITH" chat "$TALE" --chat-template nothing </dev/null
fails 1 'nothing/t.jinja' "$PITH" chat "$TALE" --chat-template "$T/nothing/t.jinja" </dev/null
fails 2 '^pith chat: --template-var mark: NAME=VALUE is expected' \
    "$PITH" chat "$TALE" --chat-template chatml --template-var mark </dev/null
fails 2 '^pith chat: --template-var =x: NAME=VALUE' "$PITH" chat "$TALE" --template-var =x </dev/null
fails 2 '^pith run: --template-var mark: NAME=VALUE' "$PITH" run "$TALE" --chat x --template-var mark
fails 2 'no chat template is called "nothing"' "$PITH" run "$TALE" --chat x --chat-template nothing
for template in "$T/lines.jinja" chatml llama3 zephyr; do
    printf '%s\nAnd then?\n' "$(printf 'tale %.0s' {1..60})" >"$T/input"
    expect 0 "$PITH" chat "$TALE" --chat-template "$template" -n 12 --temp 0 --stats <"$T/input"
    first=$(sed -n 's/.*prompt \([0-9]*\) tokens.*/\1/p' "$T/err" | sed -n 1p)
    second=$(sed -n 's/.*prompt \([0-9]*\) tokens.*/\1/p' "$T/err" | sed -n 2p)
    is "$template: the first turn is not evaluated again ($first, $second)" \
        "$second" -lt "$first"
done

# The same tokens as the text that the template writes.
run_both() {
    expect 0 "$PITH" run "$TALE" --chat --chat-template "$T/lines.jinja" --template-var "mark=$1" \
        -n 8 --temp 0 'Once upon a time'
    cp "$T/out" "$T/chat-out"
    expect 0 "$PITH" run "$TALE" --special --bos off -n 8 --temp 0 -p "$2"
    is "run --chat with mark=$1" "$(cat "$T/chat-out")" = "$(cat "$T/out")"
}
run_both '!' '<s>user!: Once upon a time
assistant:'
run_both '[1, "a"]' "<s>user[1, 'a']: Once upon a time
assistant:"
run_both '1, 2' '<s>user1, 2: Once upon a time
assistant:'
expect 0 "$PITH" run "$TALE" --chat --chat-template "$T/lines.jinja" --system Sing. -n 8 --temp 0 Hi
cp "$T/out" "$T/chat-out"
expect 0 "$PITH" run "$TALE" --special --bos off -n 8 --temp 0 -p '<s>system: Sing.
user: Hi
assistant:'
is "run --chat --system" "$(cat "$T/chat-out")" = "$(cat "$T/out")"
expect 0 "$PITH" run "$TALE" --chat --chat-template "$T/lines.jinja" -n 8 --temp 0 'a</s>b'
cp "$T/out" "$T/chat-out"
expect 0 "$PITH" run "$TALE" --special --bos off -n 8 --temp 0 -p '<s>user: a</s>b
assistant:'
is "what a message spells is no token" "$(cat "$T/chat-out")" != "$(cat "$T/out")"
fails 2 '^pith run: --chat excludes' "$PITH" run "$TALE" --chat --special -p x
fails 2 '^pith run: --system, --chat-template and --template-var need --chat' \
    "$PITH" run "$TALE" --system x -p y

# A checkpoint's own templates by name, and its end of a turn, which is no end token of the model.
mkdir "$T/named"
cp "$SOURCE"/*.json "$SOURCE"/tokenizer.model "$SOURCE"/model.safetensors "$T/named"
mkdir "$T/named/additional_chat_templates"
cp "$T/lines.jinja" "$T/named/additional_chat_templates/lines.jinja"
printf '%s' '{{ bos_token }}{% for m in messages %}{{ m.content }} the{% endfor %}' >"$T/named/chat_template.jinja"
expect 0 "$PITH" convert "$T/named" "$T/named.pith" --type int8
expect 0 "$PITH" run "$T/named.pith" --chat -n 8 --temp 0 'Once upon a time there was'
cp "$T/out" "$T/chat-out"
expect 0 "$PITH" run "$T/named.pith" --special --bos off -n 8 --temp 0 '<s>Once upon a time there was the'
is "the default template" "$(cat "$T/chat-out")" = "$(cat "$T/out")"
"$PITH" run "$T/named.pith" --chat --chat-template lines -n 8 --temp 0 Hi >"$T/chat-out"
expect 0 "$PITH" run "$TALE" --special --bos off -n 8 --temp 0 -p '<s>user: Hi
assistant:'
is "a template by its name" "$(cat "$T/chat-out")" = "$(cat "$T/out")"
expect 0 "$PITH" inspect "$T/named.pith"
prints '^chat format +template$'
prints '^chat templates +lines$'
expect 0 "$PITH" inspect --json "$T/named.pith"
prints '^    "lines": "\{\{ bos_token'
