# What `make test` and `make demo` print around what they run.

criterion='echo "[====] Synthesis: Tested: 3 | Passing: 3 | Failing: 0 | Crashing: 0 "'
expect 0 tests/all.sh unit "echo 'skipped: this'; $criterion" scripts 'echo 5 passed, 0 failed' \
    'command checks' 'echo skipped: that; echo 10 passed, 0 failed, 1 skipped'
is "the last line" "$(tail -1 "$T/out")" = \
    "all tests passed: 3 unit, 5 scripts, 10 command checks; 2 skipped"
prints '^\[====\] Synthesis: Tested: 3 '
prints '^==== scripts: '
expect 0 tests/all.sh scripts 'echo 5 passed, 0 failed'
is "nothing was skipped" "$(tail -1 "$T/out")" = "all tests passed: 5 scripts"
# A part that fails, one that crashes after its summary, one that runs no test.
for bad in 'echo 4 passed, 1 failed; false' 'echo 4 passed, 0 failed; kill -9 $$' 'echo 0 passed, 0 failed' \
    true; do
    expect 1 tests/all.sh first "$bad" last 'echo 2 passed, 0 failed'
    is "$bad: the last line" "$(tail -1 "$T/out")" = "FAILED: first"
    is "$bad: the others are run" "$(grep -c '^2 passed' "$T/out")" = 1
done

# What make demo runs with the models that ship: a story, an answer, figures, searches, next commands.
ENCODER=$ROOT/weights/models/search-int8.pith
sed -n 's/^DEMO := *//p' "$ROOT/Makefile" >"$T/demo"
expect 0 eval "packaging/demo.sh '$PITH' '$ROOT/weights/models/story-int4.pith' '$ENCODER' $(cat "$T/demo")"
is "the demo's messages" "$(grep -c '^> ' "$T/out")" = 2
prints '^> Tell me a story .* fox .* key'
is "the story" "$(grep -v '^>' "$T/out" | grep -c 'fox .*key')" -ge 1
prints '^prompt .* tokens/s.* ended by end token'
prints '^\| pp256 '
is "the demo's searches find something" "$(grep -c '^[01]\.[0-9]* ' "$T/out")" = 9
sed -n '/^next:$/,/^[^ n]/p' "$T/out" | grep "^  $PITH" >"$T/next"
# The service runs until it is told to end.
serve() {
    local child
    bash -c "exec $1 --port 0" 2>"$T/served" &
    child=$!
    while kill -0 "$child" 2>/dev/null && ! grep -q '^listening on' "$T/served"; do
        sleep 0.01
    done
    kill "$child"
    wait "$child"
}
while read -r line; do
    case $line in
    *' serve') expect 0 serve "$line" ;;
    *) expect 0 bash -c "$line </dev/null" ;;
    esac
done <"$T/next"
is "the demo has next commands" "$(wc -l <"$T/next")" -ge 2
expect 1 packaging/demo.sh "$PITH" "$T/no-such.pith" "$ENCODER" 7 Hello Why
says 'No such file'
