# chat: by a pipe, and on a terminal that Python makes.

fails 1 'tale.pith: it has no chat template' "$PITH" chat "$TALE" </dev/null

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
