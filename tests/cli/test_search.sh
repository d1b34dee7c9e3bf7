# pith index and pith search, and the SQLite extension.

ENCODER=$T/encoder.pith
expect 0 "$PITH" convert golden/minilm "$ENCODER" --type f32
mkdir -p "$T/texts/deep" "$T/texts/.hidden"
cp LICENSE "$T/texts/licence"
echo 'The cat sat on the mat.' >"$T/texts/deep/cat.txt"
echo 'not to be read' >"$T/texts/.hidden/file"
printf 'bin\0ary' >"$T/texts/binary"

expect 0 "$PITH" index "$ENCODER" "$T/s.db" texts "$T/texts" --json
prints '"id": ".*/texts/licence", "chunks": [0-9]+'
prints '"id": ".*/texts/deep/cat.txt", "chunks": 1'
is "hidden and binary files are passed over" "$(wc -l <"$T/out")" = 2
says '2 documents .* 0 unchanged, 0 removed, 1 binary'
expect 0 "$PITH" index "$ENCODER" "$T/s.db" texts "$T/texts" --json
no_output
says '0 documents .* 2 unchanged'

expect 0 "$PITH" search "$ENCODER" "$T/s.db" texts 'The cat sat on the mat.' -k 1 --json
prints '"id": ".*/cat.txt", "score": (1\.0|0\.99).*"text": "The cat sat on the mat\."'
silent

rm "$T/texts/deep/cat.txt"
printf 'bad \xff byte' >"$T/texts/latin"
expect 1 "$PITH" index "$ENCODER" "$T/s.db" texts "$T/texts"
says 'latin: not valid UTF-8 at byte 4'
says '0 documents .* 1 unchanged, 1 removed'
fails 1 'no such file' "$PITH" index "$ENCODER" "$T/s.db" texts "$T/absent"

printf '%s\n' '{"id": "a", "text": "one", "metadata": {"n": 1}}' '{"id": 2, "text": "two"}' \
    >"$T/lines"
expect 0 "$PITH" index "$ENCODER" "$T/s.db" lines --json --type f32 <"$T/lines"
prints '"id": "2", "chunks": 1'
expect 0 "$PITH" search "$ENCODER" "$T/s.db" lines one --json
prints '"id": "a".*"metadata": \{"n": 1\}'
echo '{"id": "a"}' >"$T/lines"
fails 1 'line 1: .*"text"' "$PITH" index "$ENCODER" "$T/s.db" lines <"$T/lines"

fails 1 "no collection 'none'" "$PITH" search "$ENCODER" "$T/s.db" none x
fails 1 'no such file' "$PITH" search "$ENCODER" "$T/none.db" none x
fails 1 'encoder' "$PITH" index "$TALE" "$T/s.db" texts "$T/texts"
fails 1 'holds f32 vectors, not int8' "$PITH" index "$ENCODER" "$T/s.db" lines --type int8 </dev/null
"$PITH" convert golden/minilm "$T/other.pith" --type int8 2>/dev/null
fails 1 "made by the model 'encoder.pith'" "$PITH" search "$T/other.pith" "$T/s.db" texts x
fails 1 'not a SQLite database' "$PITH" search "$ENCODER" "$ENCODER" texts x

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
    expect 1 sqlite3 -cmd ".load $EXTENSION" "$T/s.db" "SELECT pith_embed('$T/none', 'x')"
    says 'none: .*no such file'
else
    skip "no SQLite extension beside the command"
fi
