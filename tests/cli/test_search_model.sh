# The search encoder: weights/models/search, whose scripts need Python and numpy, and PyTorch to train.

# The one that ships finds what shares no word with the question.
SEARCH=$ROOT/weights/models/search-int8.pith
cat >"$T/commands.jsonl" <<'END'
{"id": "chown", "text": "chown - change file owner and group"}
{"id": "date", "text": "date - print or set the system date and time"}
{"id": "df", "text": "df - report file system space usage"}
{"id": "grep", "text": "grep - print lines that match patterns"}
{"id": "gzip", "text": "gzip - compress or expand files"}
{"id": "kill", "text": "kill - send a signal to a process"}
{"id": "ls", "text": "ls - list directory contents"}
{"id": "man", "text": "man - an interface to the system reference manuals"}
{"id": "ping", "text": "ping - send ICMP ECHO_REQUEST to network hosts"}
{"id": "sort", "text": "sort - sort lines of text files"}
END
expect 0 "$PITH" index "$SEARCH" "$T/commands.db" commands <"$T/commands.jsonl"
while IFS='|' read -r id question; do
    expect 0 "$PITH" search "$SEARCH" "$T/commands.db" commands "$question" -k 1 --json
    prints "\"id\": ?\"$id\""
done <<'END'
kill|stop a running program
gzip|make it smaller
sort|put names in alphabetical order
man|read the documentation
ping|is the server reachable
END

what=check_search.py
if ! "${PYTHON:-python3}" -c 'import numpy, sqlite3
sqlite3.connect(":memory:").execute("CREATE VIRTUAL TABLE t USING fts5(x)")' 2>/dev/null; then
    skip "check_search.py: ${PYTHON:-python3} has no numpy, or its SQLite no FTS5"
else
    mkdir "$T/pairs"
    PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-python3}" tests/cli/check_search.py "$PITH" "$T/pairs" \
        >"$T/out" 2>"$T/err"
    code=$?
    cp "$T/out" "$T/results"
    while read -r verdict name; do
        case $verdict in
        ok) ok ;;
        *) bad "$name" ;;
        esac
    done <"$T/results"
    is "check_search.py ends well" $code = 0
    is "check_search.py runs its tests" "$(grep -c '^ok' "$T/results")" -ge 20
    is "check_search.py writes no messages" ! -s "$T/err"
fi

# Training on the small corpus of those tests: a run that was stopped ends with the same bytes, and
# what it exports converts, embeds, and is measured.
if ! "${PYTHON:-python3}" -c 'import torch, numpy' 2>/dev/null || [ ! -d "$T/pairs/one-data" ]; then
    skip "train.py: ${PYTHON:-python3} has no torch and numpy"
else
    train() {
        "${PYTHON:-python3}" -B weights/models/search/train.py "$T/pairs/one-data" --cpu --steps 6 \
            --width 32 --heads 2 --layers 2 --ffn 48 --rows 8 --warmup 2 --warm 0.4 --workers 2 "$@"
    }
    expect 0 train --out "$T/whole" --log-every 1
    prints 'step 1, .*loss of words [0-9.]+'
    prints 'step 6, .*loss of pairs [0-9.]+'
    expect 0 train --out "$T/parts" --halt 1 --workers 1
    prints '^stops at step 1$'
    expect 0 train --out "$T/parts" --halt 4
    expect 0 train --out "$T/parts"
    prints '^goes on from step 4$'
    expect 0 cmp "$T/whole/model/model.safetensors" "$T/parts/model/model.safetensors"
    expect 1 train --out "$T/parts" --width 64
    says 'was made with other settings'
    expect 1 train --out "$T/other" --width 33
    says 'width 33 is not a multiple of the 2 heads'
    expect 0 train --out "$T/chunks" --chunk 3 --warm 0 --log-every 6
    expect 0 train --out "$T/chunkless" --warm 0 --log-every 6
    is "chunks change no more than rounding" "$("${PYTHON:-python3}" -c '
import json, sys
a, b = (json.load(open(path))["losses"]["pairs"] for path in sys.argv[1:])
print(0 < abs(a) < 10 and abs(a - b) < 1e-4)' "$T/chunks/result.json" "$T/chunkless/result.json")" = True

    # Threads and tables of other sizes change no more than rounding either; a run goes on to
    # another end, and shows its model before that.
    expect 0 train --out "$T/alone" --warm 0 --threads 1 --table 40 --log-every 6
    is "threads change no more than rounding" "$("${PYTHON:-python3}" -c '
import json, sys
a, b = (json.load(open(path))["losses"]["pairs"] for path in sys.argv[1:])
print(0 < abs(a) < 10 and abs(a - b) < 1e-4)' "$T/alone/result.json" "$T/chunkless/result.json")" = True
    expect 0 train --out "$T/longer" --steps 9 --halt 3
    expect 0 train --out "$T/longer" --show
    prints '^step 3 is in .*longer/model$'
    expect 0 test -s "$T/longer/model/model.safetensors"
    expect 0 train --out "$T/longer" --steps 7 --log-every 1
    prints 'step 7, .*loss of pairs [0-9.]+'

    # Word vectors to start from: the encoder is then their mean.
    expect 0 "${PYTHON:-python3}" -B weights/models/search/words.py "$T/pairs/one-data" \
        "$T/words.npz" --width 32 --steps 200 --rows 8
    prints '^step 200, loss [0-9.]+'
    expect 0 train --out "$T/begun" --words "$T/words.npz" --warm 0
    expect 1 train --out "$T/wider" --words "$T/words.npz" --width 64
    says 'words.npz is of 12000 words of width 32'
    is "an encoder begins as the mean of the words" "$("${PYTHON:-python3}" -B -c '
import sys
sys.path.insert(0, "weights/models/search")
import numpy as np, torch, shards, train, words
source = shards.Sources(sys.argv[1]).all[0]
texts = np.concatenate(source.batch(0, 8, 1))
made = train.Trained(dict(train.SETTINGS, width=32, heads=2, layers=2, ffn=48))
made.start(sys.argv[2])
found = np.load(sys.argv[2])
mean = words.Model(found["words"])
mean.gain.data.copy_(torch.from_numpy(found["gain"]))
wanted = mean(*map(torch.from_numpy, source.bag(texts)))
places, *tables = shards.close_tables(source, [texts], 128, 64)
got = torch.cat([made.encoder(torch.from_numpy(table.astype(np.int64))) for table in tables])
print(bool((got - wanted[places]).abs().max() < 1e-5))' "$T/pairs/one-data" "$T/words.npz")" = True
    expect 0 "$PITH" convert "$T/whole/model" "$T/whole.pith" --type int8
    expect 0 "$PITH" inspect "$T/whole.pith"
    prints '^longest text +128 tokens, of 128 positions$'
    prints '^embedding +mean of all tokens, normalised$'
    expect 0 "$PITH" embed "$T/whole.pith" 'a stone'
    prints '"tokens": [0-9]+, "truncated": false'
    "${PYTHON:-python3}" -B weights/models/search/measure.py "$T/whole.pith" "$T/pairs/one" \
        --pith "$PITH" --out "$T/measures.json" >"$T/out" 2>"$T/err"
    prints '^(met|missed) +recall@10 of whole pages by summaries: '
    is "the measures are kept" "$(grep -c 'BM25, stemmed' "$T/measures.json")" = 2
fi
