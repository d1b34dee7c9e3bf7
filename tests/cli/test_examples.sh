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
