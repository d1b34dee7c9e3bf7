# The example programs, when they are built beside the command.

EXAMPLES=$(dirname "$PITH")/examples
if [ -x "$EXAMPLES/generate" ] && [ -x "$EXAMPLES/chat" ]; then
    expect 0 "$EXAMPLES/generate" "$TALE" 'Once upon a time'
    silent
    is "generate writes text" "$(wc -c <"$T/out")" -gt 100
    expect 1 "$EXAMPLES/generate"
    says usage
    expect 1 "$EXAMPLES/generate" "$T/no-such.pith" Once
    says 'No such file'
    printf 'Hello.\nAnd?\n' >"$T/input"
    expect 0 "$EXAMPLES/chat" "$CHAT" <"$T/input"
    silent
    is "chat answers" "$(wc -c <"$T/out")" -gt 10
    expect 1 "$EXAMPLES/chat" "$TALE" <"$T/input"
    says 'chat template'
else
    skip "the examples: not built"
fi
if [ -x "$EXAMPLES/generate_many" ]; then
    expect 0 "$EXAMPLES/generate_many" "$TALE" 'Once upon a time' 'The wolf' 'A'
    silent
    for text in 'Once upon a time' 'The wolf' 'A'; do "$EXAMPLES/generate" "$TALE" "$text"; done >"$T/alone"
    is "texts together are those alone" "$(cat "$T/out")" = "$(cat "$T/alone")"
    expect 1 "$EXAMPLES/generate_many" "$TALE"
    says usage
    expect 1 "$EXAMPLES/generate_many" "$T/no-such.pith" Once
    says 'No such file'
else
    skip "the generate_many example: not built"
fi
if [ -x "$EXAMPLES/embed" ]; then
    "$PITH" convert golden/minilm "$T/embed.pith" --type f32 2>/dev/null
    printf '%s\n' 'a red house' 'something else' 'a red house' >"$T/input"
    expect 0 "$EXAMPLES/embed" "$T/embed.pith" <"$T/input"
    is "the same text is closest" "$(head -1 "$T/out")" = '1.0000  a red house | a red house'
    is "three lines are three pairs" "$(wc -l <"$T/out")" = 3
    expect 0 "$EXAMPLES/embed" "$T/embed.pith" </dev/null
    no_output
    expect 1 "$EXAMPLES/embed" "$TALE" <"$T/input"
    says 'encoder'
    expect 1 "$EXAMPLES/embed"
    says usage
else
    skip "the embed example: not built"
fi
if [ -x "$EXAMPLES/observe" ]; then
    expect 0 "$EXAMPLES/observe" "$TALE" 'Once upon a time there was a little'
    silent
    is "observe prints the embedding and every layer" "$(awk 'NR > 1 { print $1 }' "$T/out" | tr '\n' ' ')" = \
        '0 1 2 3 4 5 6 '
    is "what follows the last layer is what run would say" "$(tail -1 "$T/out" | awk '{ print $5 }')" = \
        "▁$("$PITH" run "$TALE" -p 'Once upon a time there was a little' -n 1 --temp 0 --repeat-penalty 1 | tr -d ' ')"
    is "the stream grows from layer to layer" \
        "$(awk 'NR > 1 { if ($2 <= last) print; last = $2 }' "$T/out" | wc -l)" = 0
    expect 1 "$EXAMPLES/observe" "$TALE"
    says usage
    expect 1 "$EXAMPLES/observe" "$T/no-such.pith" a
    says 'No such file'
    "$PITH" convert golden/minilm "$T/observed.pith" --type f32 2>/dev/null
    expect 1 "$EXAMPLES/observe" "$T/observed.pith" a
    says 'encoder'
else
    skip "the observe example: not built"
fi
