# pith keys: API keys in a database.

K=$T/keys.db
expect 0 "$PITH" keys add "$K" alice
prints '^pith-[A-Za-z0-9_-]{43}$'
silent
cp "$T/out" "$T/alice.key"
is "the key is alone" "$(wc -c <"$T/alice.key")" = 49
is "the database is its owner's" "$(stat -c %a "$K")" = 600
expect 0 "$PITH" keys add "$K" bob --infer-per-hour 0 --embed-per-hour=7 --max-tokens 4096
cp "$T/out" "$T/bob.key"
is "two keys differ" "$(cat "$T/alice.key")" != "$(cat "$T/bob.key")"
for key in alice bob; do
    is "the key of $key is not in the database" "$(cat "$K"* | grep -c -a -F -f "$T/$key.key")" = 0
done
is "the names are" "$(grep -c -a alice "$K")" -ge 1

expect 0 "$PITH" keys list "$K"
prints '^made +state +infer/hour +embed/hour +max tokens +name$'
prints '^20[0-9-]{8} +valid +75 +200 +1024 +alice$'
prints '^20[0-9-]{8} +valid +no limit +7 +4096 +bob$'
silent
expect 0 "$PITH" keys list "$K" --json
prints '^\{"name": "alice", "infer_per_hour": 75, "embed_per_hour": 200, "max_tokens": 1024, "created": [0-9]+, "revoked": false\}$'
is "a line a key" "$(wc -l <"$T/out")" = 2

# Only what is given changes.
expect 0 "$PITH" keys limits "$K" alice --embed-per-hour 1000
no_output
silent
expect 0 "$PITH" keys list "$K" --json
prints '"alice", "infer_per_hour": 75, "embed_per_hour": 1000, "max_tokens": 1024'
expect 0 "$PITH" keys limits "$K" alice --infer-per-hour 0 --max-tokens 0
expect 0 "$PITH" keys list "$K" --json
prints '"alice", "infer_per_hour": 0, "embed_per_hour": 1000, "max_tokens": 0'
prints '"bob", "infer_per_hour": 0, "embed_per_hour": 7, "max_tokens": 4096'

expect 0 "$PITH" keys revoke "$K" alice
no_output
expect 0 "$PITH" keys revoke "$K" alice
expect 0 "$PITH" keys list "$K"
prints 'revoked +no limit +1000 +no limit +alice$'
prints 'valid +no limit +7 +4096 +bob$'
fails 1 "already, a revoked one" "$PITH" keys add "$K" alice
fails 1 "already: usage" "$PITH" keys add "$K" bob

# A key that could not be shown is of no use.
if [ -c /dev/full ]; then
    what="a key on a full disk"
    "$PITH" keys add "$K" lost >/dev/full 2>"$T/err"
    is "it fails" "$?" = 1
    says 'writing standard output'
    expect 0 "$PITH" keys list "$K"
    prints 'revoked .* lost$'
fi

# A database that has collections too.
cp "$K" "$T/notes.db"
expect 0 "$PITH" convert golden/minilm "$T/keys-encoder.pith" --type f32
echo '{"id": 1, "text": "one"}' >"$T/keys-lines"
expect 0 "$PITH" index "$T/keys-encoder.pith" "$T/notes.db" notes <"$T/keys-lines"
expect 0 "$PITH" keys list "$T/notes.db"
prints 'bob$'
expect 0 "$PITH" index "$T/keys-encoder.pith" "$T/index.db" notes <"$T/keys-lines"
fails 1 "no keys and no usage: it was made by 'pith index'" "$PITH" keys list "$T/index.db"
expect 0 "$PITH" keys add "$T/index.db" carol
expect 0 "$PITH" search "$T/keys-encoder.pith" "$T/index.db" notes one
prints 'one'

# Wrong usage, files that are not there, names.
fails 2 "ACTION takes one of add, list, revoke, limits, not 'ad'; did you mean add" "$PITH" keys ad "$K" x
fails 2 "ACTION is missing" "$PITH" keys
fails 2 "DB is missing" "$PITH" keys list
fails 2 "NAME is missing" "$PITH" keys add "$K"
fails 2 "NAME is missing" "$PITH" keys revoke "$K"
fails 2 "NAME is empty" "$PITH" keys add "$K" ''
fails 2 "list takes no NAME" "$PITH" keys list "$K" alice
fails 2 "at least one of" "$PITH" keys limits "$K" alice
fails 2 "json belongs to list" "$PITH" keys revoke "$K" alice --json
fails 2 "limits belong to" "$PITH" keys revoke "$K" bob --max-tokens 1
fails 2 "limits belong to" "$PITH" keys list "$K" --max-tokens 1
fails 2 "0 to 100000, not '100001': 0 is no limit" "$PITH" keys add "$K" x --infer-per-hour 100001
fails 2 "not '-1'" "$PITH" keys add "$K" x --embed-per-hour -1
fails 2 "more than 127 bytes" "$PITH" keys add "$K" "$(printf '%0128d' 0)"
fails 1 "control characters" "$PITH" keys add "$K" $'a\nb'
fails 1 "no key 'nobody'" "$PITH" keys revoke "$K" nobody
fails 1 "no key 'nobody'" "$PITH" keys limits "$K" nobody --max-tokens 1
for action in "list" "revoke" "limits"; do
    # shellcheck disable=SC2046
    fails 1 "none.db: cannot open: No such file" "$PITH" keys $action "$T/none.db" \
        $([ $action = list ] || echo x) $([ $action != limits ] || echo --max-tokens 1)
    is "$action makes no file" ! -e "$T/none.db"
done
echo 'no database, but long enough to look like one: 0123456789012345678901234567890123456789' >"$T/text.db"
fails 1 "text.db: .*not a SQLite database" "$PITH" keys add "$T/text.db" x
sqlite3 "$T/foreign.db" 'CREATE TABLE t(x)'
fails 1 "foreign.db: .*not one of pith" "$PITH" keys list "$T/foreign.db"
cp "$K" "$T/hostile.db"
sqlite3 "$T/hostile.db" "UPDATE keys SET name = 'evil' || char(27) || '[2J' WHERE name = 'bob'"
expect 0 "$PITH" keys list "$T/hostile.db"
prints 'evil\?\[2J$'
sqlite3 "$T/hostile.db" "UPDATE keys SET name = CAST(x'ff' AS TEXT) WHERE name LIKE 'evil%'"
expect 0 "$PITH" keys list "$T/hostile.db" --json
prints '"name": null'
