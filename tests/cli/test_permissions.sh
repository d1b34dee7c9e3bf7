# Who may read what a command writes, and where it goes.
mode() { stat -c %a "$1"; }
(
    umask 022
    for save in 1 2; do
        "$PITH" run "$TALE" -p secret -n 2 --seed 1 --session "$T/mine.session" >"$T/out" 2>"$T/err"
        mode "$T/mine.session" >>"$T/modes"
    done
    chmod 640 "$T/mine.session"
    "$PITH" run "$TALE" -p secret -n 2 --seed 1 --session "$T/mine.session" >"$T/out" 2>"$T/err"
    mode "$T/mine.session" >>"$T/modes"
    "$PITH" logits "$TALE" --tokens 1 --out "$T/mine.npy" && mode "$T/mine.npy" >>"$T/modes"
    chmod 600 "$T/mine.npy"
    "$PITH" logits "$TALE" --tokens 1 --out "$T/mine.npy" && mode "$T/mine.npy" >>"$T/modes"
    "$PITH" convert "$SOURCE" "$T/mine.pith" --type int4 && mode "$T/mine.pith" >>"$T/modes"
    chmod 440 "$T/mine.pith"
    "$PITH" convert "$SOURCE" "$T/mine.pith" --type int4 && mode "$T/mine.pith" >>"$T/modes"
    "$PITH" importance "$TALE" golden/tale-valid.txt -w 1 --out "$T/mine.imp" &&
        mode "$T/mine.imp" >>"$T/modes"
)
is "sessions are private, and what is replaced keeps its mode" \
    "$(tr '\n' ' ' <"$T/modes")" = "600 600 640 644 600 644 440 644 "

# A symbolic link is written through.
mkdir -p "$T/elsewhere"
: >"$T/elsewhere/real.npy"
ln -s elsewhere/real.npy "$T/link.npy"
expect 0 "$PITH" logits "$TALE" --tokens 1 --out "$T/link.npy"
is "the link is still one" -L "$T/link.npy"
is "its file is the new one" -s "$T/elsewhere/real.npy"
is "nothing is left beside it" "$(find "$T/elsewhere" "$T" -maxdepth 1 -name '*.tmp-*' | wc -l)" = 0

# Files of the user's beside the output, whatever they are called, are not touched.
: >"$T/mine.npy.tmp-999999"
: >"$T/mine.npy.tmp-1"
expect 0 "$PITH" logits "$TALE" --tokens 1 --out "$T/mine.npy"
is "a file NAME.tmp-999999 is left alone" -e "$T/mine.npy.tmp-999999" -a -e "$T/mine.npy.tmp-1"
rm "$T"/mine.npy.tmp-*
