# pith template: conversations through a chat template.

printf '%s' '{% for m in messages %}{{ m.role }}: {{ m.content }}
{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}' >"$T/t.jinja"
printf '%s\n' '{"messages": [{"role": "user", "content": "Hé"}], "add_generation_prompt": true}' '' \
    '{"messages": [{"role": "user", "content": "a\u0000\"b"}]}' '{"messages": 3}' >"$T/lines"
expect 0 "$PITH" template --file "$T/t.jinja" --json <"$T/lines"
silent
is "a text or an error a line" "$(cat "$T/out")" = '{"text": "user: Hé\nassistant:"}
{"text": "user: a\u0000\"b\n"}
{"error": "template, line 1: '"'int'"' object is not iterable"}'

# The clock, which is no variable, and tokens.
printf '%s' '{{ strftime_now("%Y-%m-%d %H:%M:%S") }} {{ bos_token }} {{ x }}' >"$T/clock.jinja"
echo '{"strftime_now": "2026-03-04T05:06:07", "bos_token": "<b>", "x": 1.50}' >"$T/lines"
expect 0 "$PITH" template --file "$T/clock.jinja" --json <"$T/lines"
is "the clock is the conversation's" "$(cat "$T/out")" = '{"text": "2026-03-04 05:06:07 <b> 1.5"}'
expect 0 sh -c "echo '{}' | '$PITH' template --file '$T/clock.jinja' --json"
prints '"text": "20[0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9:]{8}  "'
for time in 2026-02-29T00:00:00 2026-13-01T00:00:00 2026-03-04 2026-03-04T24:00:00; do
    fails 1 'line 1: "strftime_now" is no time like' sh -c \
        "echo '{\"strftime_now\": \"$time\"}' | '$PITH' template --file '$T/clock.jinja' --json"
done

# A model's own template, with the model's tokens.
echo '{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hi "},
{"role": "assistant", "content": "Ho"}, {"role": "user", "content": "Bye"}]}' | tr -d '\n' >"$T/lines"
expect 0 "$PITH" template "$CHAT" --json <"$T/lines"
silent
is "the model's template" "$(cat "$T/out")" = '{"text": "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST] Ho </s><s>[INST] Bye [/INST]"}'
fails 1 "has no chat template" "$PITH" template "$TALE" --json <"$T/lines"

# What is no template answers every conversation, and ends in failure.
printf '%s' 'a
{% if %}' >"$T/bad.jinja"
printf '{}\n{}\n' >"$T/lines"
expect 1 "$PITH" template --file "$T/bad.jinja" --json <"$T/lines"
says "template, line 2: expected an expression"
is "an error a line" "$(grep -c '^{"error": "template, line 2: ' "$T/out")" = 2
printf '%s' '{% for i in range(90000) %}{% for k in range(90000) %}{% endfor %}{% endfor %}' >"$T/long.jinja"
expect 0 sh -c "echo '{}' | '$PITH' template --file '$T/long.jinja' --json"
prints '"error": "template, line 1: more than [0-9]+ (steps|bytes)'

fails 1 "standard input, line 1: a conversation must be" sh -c "echo '[]' | '$PITH' template --file '$T/t.jinja' --json"
fails 1 "standard input, line 1" sh -c "echo '{' | '$PITH' template --file '$T/t.jinja' --json"
fails 1 "nothing.jinja" "$PITH" template --file "$T/nothing.jinja" --json
fails 2 "a model or --file FILE is missing" "$PITH" template --json
fails 2 "exclude each other" "$PITH" template "$TALE" --file "$T/t.jinja" --json
fails 2 "json is missing" "$PITH" template --file "$T/t.jinja"

# The rest behind the last cut keeps its white space, as Python's does.
printf '%s' '{{ "  a  b ".split(none, 1) }}{{ " a b ".split(none, 0) }}' >"$T/split.jinja"
echo '{"messages": []}' >"$T/conversation"
expect 0 "$PITH" template --json --file "$T/split.jinja" <"$T/conversation"
is "split with a limit" "$(cat "$T/out")" = "{\"text\": \"['a', 'b ']['a b ']\"}"

# Random templates say what Jinja2 says; `make templates` has more of them.
PYTHON=${PYTHON:-/usr/bin/python3}
if "$PYTHON" -c 'import jinja2' 2>/dev/null; then
    expect 0 "$PYTHON" -B tests/jinja_differential.py 300 4 "$PITH"
    prints '^300 templates x 2 conversations, seed 4: .*[0-9]{3} equal'
else
    skip "random templates: $PYTHON has no jinja2 (Debian: python3-jinja2)"
fi
