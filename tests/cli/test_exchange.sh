# A file exchanged while a directory is walked is not followed, and nothing waits for it.
mkdir "$T/exchange"
"$PITH" convert golden/minilm "$T/exchange/walk.pith" --type int8 2>/dev/null
mkdir -p "$T/exchange/secrets"
echo secret >"$T/exchange/secrets/exchanged.txt"
exchange() {
    rm -rf "$T/exchange/walk" "$T/exchange/walk.db"*
    mkdir -p "$T/exchange/walk/inner"
    echo harmless >"$T/exchange/walk/inner/exchanged.txt"
    expect 1 env LD_PRELOAD="$T/exchange/preload.so" EXCHANGE="$1" SECRET="$2" \
        "$PITH" index "$T/exchange/walk.pith" "$T/exchange/walk.db" c "$T/exchange/walk"
    says "$3"
    says '0 documents .* 1 refused'
}
if ${CC:-cc} -shared -fPIC -D_GNU_SOURCE -o "$T/exchange/preload.so" tests/cli/exchange.c -ldl 2>/dev/null; then
    exchange link "$T/exchange/secrets/exchanged.txt" 'exchanged.txt: cannot open: Too many levels'
    exchange fifo "" 'exchanged.txt: is not a regular file'
    exchange directory "$T/exchange/secrets" 'exchanged.txt: cannot open: Not a directory'
else
    skip "files exchanged during a walk: no compiler"
fi

# The limit of a text is one of its size, whatever the buffers are: exactly 256 MiB, and a byte more.
limit=$((256 << 20))
mkdir "$T/exchange/long"
truncate -s "$limit" "$T/exchange/long/at.txt"
truncate -s $((limit + 1)) "$T/exchange/long/over.txt"
expect 1 "$PITH" index "$T/exchange/walk.pith" "$T/exchange/walk.db" c "$T/exchange/long"
says "over.txt: more than the limit of $limit bytes"
says '1 binary files skipped, 1 refused'
fails 1 "more than the limit of $limit bytes" "$PITH" run "$TALE" -f "$T/exchange/long/over.txt"
head -c $((limit + 1)) /dev/zero >"$T/exchange/long/over.pipe" # a size that only reading tells
fails 1 "standard input: more than the limit of $limit bytes" "$PITH" eval "$TALE" - < <(cat "$T/exchange/long/over.pipe")
fails 1 "standard input: more than the limit of $limit bytes" "$PITH" tokenize "$TALE" --json < <(cat "$T/exchange/long/over.pipe")
fails 1 "standard input: more than the limit of $limit bytes" "$PITH" embed "$T/exchange/walk.pith" --json < <(cat "$T/exchange/long/over.pipe")
fails 1 "standard input: more than the limit of $limit bytes" "$PITH" detokenize "$TALE" < <(cat "$T/exchange/long/over.pipe"; echo)
fails 1 "line 1: not valid JSON" "$PITH" detokenize "$TALE" < <(head -c "$limit" "$T/exchange/long/over.pipe"; echo)
rm -rf "$T/exchange/long"
