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
