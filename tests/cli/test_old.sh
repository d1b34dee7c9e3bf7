# Files of version 0.1.0 open as before, and give the same.

OLD=$T/old
mkdir "$OLD"
for file in encoder.pith decoder.pith collection.db session; do
    gzip -dc "tests/old/$file.gz" >"$OLD/$file"
done
same_as() { is "$1 is as before" "$(cat "$T/out")" = "$(cat "tests/old/$1")"; }

expect 0 "$PITH" embed "$OLD/encoder.pith" 'the wolf slept'
same_as embed.txt
expect 0 "$PITH" inspect --verify "$OLD/encoder.pith"
is "it has no prompts" "$(grep -c prompt "$T/out")" = 0
once='Once upon a time there was a wolf'
expect 0 "$PITH" run "$OLD/decoder.pith" -p "$once" -n 12 --temp 0 --repeat-penalty 1.1
same_as run.txt
cp "$OLD/session" "$T/session"
expect 0 "$PITH" run "$OLD/decoder.pith" -p "$once" -n 12 --temp 0 --repeat-penalty 1.1 --session "$T/session" --stats
same_as run.txt
says 'prompt 1 tokens'

expect 0 "$PITH" search "$OLD/encoder.pith" "$OLD/collection.db" notes 'a wolf at the door' --json
same_as search.txt
is "a search changes nothing" "$(sqlite3 "$OLD/collection.db" \
    'SELECT length(model_hash) FROM collections')" = 64

# Another file of the same model is not known to be it: what to do is said.
mkdir "$T/again"
python3 - "$OLD/encoder.pith" "$T/again/encoder.pith" <<'END'
import struct, sys
data = open(sys.argv[1], "rb").read()
n, = struct.unpack("<Q", data[:8])
header = data[8:8 + n].replace(b"pith 0.1.0", b"pith 9.9.9", 1)
open(sys.argv[2], "wb").write(data[:8] + header + data[8 + n:])
END
fails 1 "made by pith 0.1.0 and the model file 'encoder.pith' .*use that file, or index .* again" \
    "$PITH" search "$T/again/encoder.pith" "$OLD/collection.db" notes x
# Once indexed into with the old file, the collection is that of any file of this model.
echo '{"id": "stone", "text": "A stone fell on the roof."}' >"$T/stone"
expect 0 "$PITH" index "$OLD/encoder.pith" "$OLD/collection.db" notes <"$T/stone"
says '1 documents'
expect 0 "$PITH" search "$T/again/encoder.pith" "$OLD/collection.db" notes 'a wolf at the door' --json
is "what was there is there" "$(grep -c '"wolf"\|"rain"\|"stone"' "$T/out")" = 5
# A collection with a prompt beside it.
expect 0 "$PITH" index "$OLD/encoder.pith" "$OLD/collection.db" prompted --prompt 'the wolf ' <"$T/stone"
expect 0 "$PITH" search "$T/again/encoder.pith" "$OLD/collection.db" notes 'a wolf at the door'
is "the database is whole" "$(sqlite3 "$OLD/collection.db" 'PRAGMA integrity_check')" = ok
