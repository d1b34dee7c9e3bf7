# pith index and pith search, and the SQLite extension.

ENCODER=$T/encoder.pith
expect 0 "$PITH" convert golden/minilm "$ENCODER" --type f32
mkdir -p "$T/library/deep" "$T/library/.hidden"
cp LICENSE "$T/library/licence"
echo 'The cat sat on the mat.' >"$T/library/deep/cat.txt"
echo 'not to be read' >"$T/library/.hidden/file"
printf 'bin\0ary' >"$T/library/binary"

expect 0 "$PITH" index "$ENCODER" "$T/s.db" texts "$T/library" --json
prints '"id": ".*/library/licence", "chunks": [0-9]+'
prints '"id": ".*/library/deep/cat.txt", "chunks": 1'
is "hidden and binary files are passed over" "$(wc -l <"$T/out")" = 2
says '2 documents .* 0 unchanged, 0 removed, 1 binary'
expect 0 "$PITH" index "$ENCODER" "$T/s.db" texts "$T/library" --json
no_output
says '0 documents .* 2 unchanged'

expect 0 "$PITH" search "$ENCODER" "$T/s.db" texts 'The cat sat on the mat.' -k 1 --json
prints '"id": ".*/cat.txt", "score": (1\.0|0\.99).*"text": "The cat sat on the mat\."'
silent

rm "$T/library/deep/cat.txt"
printf 'bad \xff byte' >"$T/library/latin"
expect 1 "$PITH" index "$ENCODER" "$T/s.db" texts "$T/library"
says 'latin: not valid UTF-8 at byte 4'
says '0 documents .* 1 unchanged, 1 removed'
fails 1 'no such file' "$PITH" index "$ENCODER" "$T/s.db" texts "$T/absent"

printf '%s\n' '{"id": "a", "text": "one", "metadata": {"n": 1}}' '{"id": 2, "text": "two"}' \
    >"$T/lines"
expect 0 "$PITH" index "$ENCODER" "$T/s.db" lines --json --type f32 <"$T/lines"
prints '"id": "2", "chunks": 1'
expect 0 "$PITH" search "$ENCODER" "$T/s.db" lines one --json
prints '"id": "a".*"metadata": \{"n": 1\}'
# Blank lines and a byte order mark are skipped; metadata is anything that JSON can hold.
printf '\xef\xbb\xbf{"id": 1, "text": "one", "metadata": "x\\u0000"}\n \n{"id": 2, "text": "two", "metadata": {"z": 1.5, "a": [{}, null]}}\r\n\n' \
    >"$T/lines"
expect 0 "$PITH" index "$ENCODER" "$T/s.db" blank <"$T/lines"
says '2 documents'
expect 0 "$PITH" search "$ENCODER" "$T/s.db" blank one --json
prints '"text": "one", "metadata": "x\\u0000"'
prints '"text": "two", "metadata": \{"a": \[\{\}, null\], "z": 1.5\}'
echo '{"id": "a", "text": "b", "metadata": [NaN]}' >"$T/lines"
fails 1 'line 1: "metadata": a number is not finite' "$PITH" index "$ENCODER" "$T/s.db" lines \
    <"$T/lines"
echo '{"id": "a"}' >"$T/lines"
fails 1 'line 1: .*"text"' "$PITH" index "$ENCODER" "$T/s.db" lines <"$T/lines"

# A bad line ends the command; what came before it is there.
printf '%s\n' '{"id": "b", "text": "before"}' 'no JSON' '{"id": "c", "text": "after"}' >"$T/lines"
expect 1 "$PITH" index "$ENCODER" "$T/s.db" lines --json <"$T/lines"
says 'line 2: not valid JSON'
prints '^.*"id": "b"'
is "only the line before the bad one is reported" "$(wc -l <"$T/out")" = 1
is "it is there" "$(sqlite3 "$T/s.db" "SELECT group_concat(key, ' ') FROM (SELECT key FROM documents
    WHERE collection = 2 ORDER BY key)")" = '2 a b'

# Of two lines with one id the last counts, however often they are read.
printf '%s\n' '{"id": "d", "text": "first"}' '{"id": "d", "text": "second"}' >"$T/lines"
for round in 1 2; do
    expect 0 "$PITH" index "$ENCODER" "$T/twice.db" lines <"$T/lines"
    is "round $round: the last line counts" \
        "$(sqlite3 "$T/twice.db" 'SELECT text FROM documents')" = second
done

# An id too long is the fault of its line.
printf '{"id": "e", "text": "before"}\n{"id": "%066000d", "text": "x"}\n' 0 >"$T/lines"
fails 1 'line 2: "id" has 66000 bytes' "$PITH" index "$ENCODER" "$T/twice.db" lines <"$T/lines"
is "the line before is there" "$(sqlite3 "$T/twice.db" "SELECT text FROM documents WHERE key = 'e'")" = before

# A file in place of a line of the same key and text: it vanishes with the file.
mkdir "$T/one"
printf same >"$T/one/file"
printf '{"id": "%s", "text": "same"}\n' "$(realpath "$T/one/file")" >"$T/lines"
expect 0 "$PITH" index "$ENCODER" "$T/one.db" c <"$T/lines"
expect 0 "$PITH" index "$ENCODER" "$T/one.db" c "$T/one"
rm "$T/one/file"
expect 0 "$PITH" index "$ENCODER" "$T/one.db" c "$T/one"
says '1 removed'

# A file is indexed once, however often it is named, by itself or by directories.
mkdir -p "$T/often/deep/.hidden"
for file in deep/a b deep/.hidden/c; do echo "$file" >"$T/often/$file"; done
O="$T/often"
for paths in "$O/b $O/b" "$O/b $O" "$O $O/b $O/deep $O/deep/a" "$O/deep $O/./deep/../b $O"; do
    rm -f "$T/often.db"
    # shellcheck disable=SC2086
    expect 0 "$PITH" index "$ENCODER" "$T/often.db" c $paths --json
    is "$paths: each file once" "$(sort "$T/out" | uniq -d | wc -l)" = 0
    says "pith index: $(wc -l <"$T/out") documents"
    says ' 0 unchanged'
done
expect 0 "$PITH" index "$ENCODER" "$T/often.db" c "$O/deep/.hidden/c" "$O"
says '1 documents .* 2 unchanged'
fails 1 'none: No such file' "$PITH" index "$ENCODER" "$T/often.db" c "$O" "$O/none"

# Files large, empty and unreadable.
mkdir "$T/odd"
: >"$T/odd/empty"
awk 'BEGIN { for (i = 0; i < 150000; i++) printf "word%d%s", i, i % 9 ? " " : "\n" }' >"$T/odd/large"
mkdir "$T/odd/closed"
expect 0 "$PITH" index "$ENCODER" "$T/odd.db" odd "$T/odd" --json
prints '/odd/empty", "chunks": 0'
prints '/odd/large", "chunks": [0-9]{4,}'
if [ "$(id -u)" != 0 ]; then
    echo closed >"$T/odd/closed/file"
    touch "$T/odd/large"
    chmod 0 "$T/odd/closed" "$T/odd/empty"
    touch "$T/odd/empty"
    expect 1 "$PITH" index "$ENCODER" "$T/odd.db" odd "$T/odd" --json
    says 'closed: Permission denied'
    says '1 unchanged'
    chmod 700 "$T/odd/closed"
    mkdir "$T/fixed"
    sqlite3 "$T/odd.db" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
    cp "$T/odd.db" "$T/fixed/"
    chmod 500 "$T/fixed"
    fails 1 'its directory is read-only' "$PITH" search "$ENCODER" "$T/fixed/odd.db" odd x
    fails 1 'permission denied' "$PITH" index "$ENCODER" "$T/fixed/new.db" odd "$T/library"
    chmod 700 "$T/fixed"
else
    skip "unreadable files: root reads everything"
fi

# Killed at work, again and again; every document is there once in the end, each reported one too.
awk 'BEGIN { for (i = 0; i < 4000; i++) printf "{\"id\": %d, \"text\": \"text %d of many\"}\n", i, i }' >"$T/many"
: >"$T/reported"
killed=0
for round in 1 2 3 4 5 6 7 8 9 10; do
    : >"$T/round" # of the round before
    "$PITH" index "$ENCODER" "$T/killed.db" many --json -t 1 <"$T/many" >"$T/round" 2>"$T/err" &
    child=$!
    while kill -0 "$child" 2>/dev/null && [ ! -s "$T/round" ]; do :; done
    kill -9 "$child" 2>/dev/null && killed=$((killed + 1))
    wait "$child" 2>/dev/null
    cat "$T/round" >>"$T/reported"
    is "round $round: the database is whole" \
        "$(sqlite3 "$T/killed.db" 'PRAGMA integrity_check')" = ok
    is "round $round: what was reported is there" "$(sed -n 's/.*"id": "\([0-9]*\)".*}$/\1/p' \
        "$T/reported" | while read -r id; do echo "SELECT count(*) FROM documents WHERE key = '$id';"
        done | sqlite3 "$T/killed.db" | grep -vc '^1$')" = 0
done
is "it was killed at work" "$killed" -ge 5
expect 0 "$PITH" index "$ENCODER" "$T/killed.db" many --json <"$T/many"
is "every document is there once" "$(sqlite3 "$T/killed.db" 'SELECT count(*) || " " ||
    count(DISTINCT key) || " " || (SELECT count(*) FROM vectors) FROM documents')" = '4000 4000 4000'

expect 0 "$PITH" bench --search 500 -r 3
prints '^.*first after open'
expect 0 "$PITH" bench --search 500 -r 3 -o json
is "bench --search has two rows" "$(python3 -c '
import json, sys
rows = json.load(open(sys.argv[1]))
documented = open("perf/results/README.md").read()
print(*[(r["test"], r["query"], r["vectors"], r["repeats"], r["ms_min"] <= r["ms"] <= r["ms_max"])
        for r in rows], all("`%s`" % k in documented for r in rows for k in r))' "$T/out")" = \
    "('search', 'first after open', 500, 5, True) ('search', 'later', 500, 3, True) True"
expect 0 "$PITH" bench --search 500 -r 3 -o csv
prints '^"search","later",500,'
interrupt "an interrupted bench --search" "grep -q '^\[' '$T/out'" "$PITH" bench --search 1000000 -o json
is "an interrupted bench --search is a document" "$(cat "$T/out")" = "[
]"
fails 2 'needs no model' "$PITH" bench --search 500 "$ENCODER"

fails 1 "no collection 'none'" "$PITH" search "$ENCODER" "$T/s.db" none x
fails 1 'no such file' "$PITH" search "$ENCODER" "$T/none.db" none x
fails 1 'encoder' "$PITH" index "$TALE" "$T/s.db" texts "$T/library"
fails 1 'holds f32 vectors, not int8' "$PITH" index "$ENCODER" "$T/s.db" lines --type int8 </dev/null
"$PITH" convert golden/minilm "$T/other.pith" --type int8 2>/dev/null
expect 0 "$PITH" index search-int8 "$T/named.db" c README.md
expect 0 "$PITH" search search-int8 "$T/named.db" c 'a model by its name'
fails 1 "made by the model 'encoder.pith'" "$PITH" search "$T/other.pith" "$T/s.db" texts x
fails 1 'not a SQLite database' "$PITH" search "$ENCODER" "$ENCODER" texts x

# What a file was made of, and when, does not matter; what decides the vectors does.
cp -r golden/minilm "$T/edited"
chmod -R u+w "$T/edited"
sed -i 's/"transformers_version": "[^"]*"/"transformers_version": "9.9.9"/' "$T/edited/config.json"
is "config.json is another" "$(cmp -s golden/minilm/config.json "$T/edited/config.json"; echo $?)" = 1
expect 0 "$PITH" convert "$T/edited" "$T/edited.pith" --type f32
expect 0 "$PITH" search "$T/edited.pith" "$T/s.db" lines one --json
prints '"id": "a"'
sed -i 's/256/200/' "$T/edited/sentence_bert_config.json"
expect 0 "$PITH" convert "$T/edited" "$T/edited.pith" --type f32
fails 1 "made by the model 'encoder.pith'" "$PITH" search "$T/edited.pith" "$T/s.db" lines one

# Prompts: of queries in search, of documents in index; one for all documents of a collection.
echo '{"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": null}' \
    >"$T/edited/config_sentence_transformers.json"
sed -i 's/200/256/' "$T/edited/sentence_bert_config.json"
expect 0 "$PITH" convert "$T/edited" "$T/prompted.pith" --type f32
P="$T/prompted.pith"
echo '{"id": "w", "text": "the wolf"}' >"$T/wolf"
expect 0 "$PITH" index "$P" "$T/p.db" c <"$T/wolf"
expect 0 "$PITH" index "$P" "$T/p.db" bare --prompt '' <"$T/wolf"
expect 0 "$PITH" index "$ENCODER" "$T/p.db" passage --prompt 'passage: ' <"$T/wolf"
score() { "$PITH" search "$@" 'the wolf' --json | sed 's/.*"score": \([0-9.]*\).*/\1/'; }
is "documents have the prompt 'passage'" "$(score "$P" "$T/p.db" c --prompt-name passage)" = 1.0
is "as it is without a prompt" "$(score "$P" "$T/p.db" bare --prompt '')" = 1.0
is "and as a text" "$(score "$ENCODER" "$T/p.db" passage --prompt 'passage: ')" = 1.0
is "queries have the prompt 'query'" "$(score "$P" "$T/p.db" c)" = \
    "$(score "$ENCODER" "$T/p.db" c --prompt 'query: ')"
is "which is not that of documents" "$(score "$P" "$T/p.db" c)" != 1.0
fails 1 'prompt "passage: ", not ""' "$PITH" index "$P" "$T/p.db" c --prompt '' <"$T/wolf"
fails 1 'prompt "", not "passage: "' "$PITH" index "$P" "$T/p.db" bare <"$T/wolf"
fails 1 'no prompt "text"; it has query, passage' "$PITH" search "$P" "$T/p.db" c x --prompt-name text
fails 2 'exclude each other' "$PITH" search "$P" "$T/p.db" c x --prompt-name query --prompt x
fails 2 'exclude each other' "$PITH" index "$P" "$T/p.db" c --prompt-name query --prompt x </dev/null
fails 1 '252; the model reads 251 tokens behind' "$PITH" index "$P" "$T/p.db" c2 --chunk 252 \
    --prompt 'in all: ' <"$T/wolf"
fails 1 'leaves no room' "$PITH" index "$P" "$T/p.db" c2 --prompt "$(printf '%0900d' 0 | sed 's/0/a /g')" \
    <"$T/wolf"
# "document" goes before "passage", and the default stands in for both.
for names in 'document passage corpus' 'passage corpus' 'corpus default' 'default other'; do
    python3 - "$names" >"$T/edited/config_sentence_transformers.json" <<'END'
import json, sys
names = sys.argv[1].split()
print(json.dumps({"prompts": {name: name + " " for name in reversed(names)},
                  "default_prompt_name": "default" if "default" in names else None}))
END
    expect 0 "$PITH" convert "$T/edited" "$P" --type f32
    expect 0 "$PITH" index "$P" "$T/p.db" "of ${names%% *}" <"$T/wolf"
    is "$names: the prompt of documents" "$(sqlite3 "$T/p.db" \
        "SELECT prompt FROM collections WHERE name = 'of ${names%% *}'")" = "${names%% *} "
done
is "the default is that of queries too" "$(score "$P" "$T/p.db" 'of default')" = 1.0

# Interrupted while it waits for lines: a whole database, and it goes on.
mkfifo "$T/lines.fifo"
sleep 1000 >"$T/lines.fifo" &
holder=$!
interrupt "an interrupted index" catches sh -c \
    "exec '$PITH' index '$ENCODER' '$T/s.db' lines <'$T/lines.fifo'"
kill "$holder"
wait "$holder" 2>/dev/null
is "the database is whole" "$(sqlite3 "$T/s.db" 'PRAGMA integrity_check')" = ok

EXTENSION=$(dirname "$PITH")/pith_sqlite
if [ -e "$EXTENSION.so" ]; then
    expect 0 sqlite3 -cmd ".load $EXTENSION" "$T/s.db" "SELECT d.key FROM vectors v JOIN chunks c
        USING (id) JOIN documents d ON d.id = c.document WHERE d.collection = 2 ORDER BY
        pith_cosine(v.vector, pith_embed('$ENCODER', 'one')) DESC LIMIT 1"
    prints '^a$'
    expect 0 sqlite3 -cmd ".load $EXTENSION" "$T/s.db" "SELECT pith_embed('$ENCODER', 'the wolf',
        'text: ') = pith_embed('$ENCODER', 'text: the wolf'), pith_embed('$ENCODER', 'x', NULL) IS NULL,
        pith_embed('$ENCODER', 'x', '') = pith_embed('$ENCODER', 'x')"
    prints '^1.1.1$'
    expect 1 sqlite3 -cmd ".load $EXTENSION" "$T/s.db" "SELECT pith_embed('$T/none', 'x')"
    says 'none: .*no such file'
else
    skip "no SQLite extension beside the command"
fi
