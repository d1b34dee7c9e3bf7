# Models and files that are missing, damaged, in the way, or cannot be written.

fails 1 'no-such.pith.*No such file' "$PITH" run "$T/no-such.pith"
fails 1 'is a directory; a model is a .pith file' "$PITH" run "$T"
fails 1 'No such file' "$PITH" inspect "$T/no-such.pith"
: >"$T/empty.pith"
fails 1 'empty.pith' "$PITH" run "$T/empty.pith"
size=$(stat -c %s "$TALE")
for cut in 4 8 100 4096 $((size / 2)) $((size - 1)); do
    head -c "$cut" "$TALE" >"$T/cut.pith"
    fails 1 'cut.pith' "$PITH" run "$T/cut.pith" -p x
    fails 1 'cut.pith' "$PITH" run "$T/cut.pith" -p x --mmap
    fails 1 'cut.pith' "$PITH" inspect "$T/cut.pith"
done
fails 1 'README' "$PITH" run "$SOURCE/../README.md" -p x
fails 1 'no-such' "$PITH" run "$TALE" -f "$T/no-such.txt"
fails 1 'directory' "$PITH" run "$TALE" -f "$T"
fails 1 'directory' "$PITH" eval "$TALE" "$T"

# A flipped bit in the weights: opens, fails verification by name.
cp "$TALE" "$T/flip.pith"
python3 - "$T/flip.pith" <<'END'
import json, struct, sys
with open(sys.argv[1], "r+b") as f:
    n, = struct.unpack("<Q", f.read(8))
    header = json.loads(f.read(n))
    begin, end = header["model.layers.2.mlp.down_proj.weight"]["data_offsets"]
    f.seek(8 + n + (begin + end) // 2)
    byte = f.read(1)
    f.seek(-1, 1)
    f.write(bytes([byte[0] ^ 1]))
END
expect 0 "$PITH" inspect "$T/flip.pith"
fails 1 'tensor model.layers.2.mlp.down_proj.weight is damaged' "$PITH" inspect "$T/flip.pith" --verify

# Outputs in the way.
cp -r "$SOURCE" "$T/copy"
chmod -R u+w "$T/copy"
sum=$(sha256sum "$T/copy"/*)
fails 1 'is a file of the source' "$PITH" convert "$T/copy" "$T/copy/model.safetensors" --type int4
ln -s copy/config.json "$T/link.pith"
fails 1 'is a file of the source' "$PITH" convert "$T/copy" "$T/link.pith" --type int4
fails 1 'not a regular file' "$PITH" convert "$T/copy" "$T/copy" --type int4
fails 1 'not a regular file' "$PITH" convert "$T/copy" /dev/null --type int4
fails 1 'No such file' "$PITH" convert "$T/copy" "$T/no-such/x.pith" --type int4
fails 1 'No such file|no-such' "$PITH" convert "$T/no-such" "$T/x.pith" --type int4
fails 1 'is also the input' "$PITH" logits "$TALE" --tokens 1 --out "$TALE"
fails 1 'is also the input' "$PITH" importance "$TALE" golden/tale-valid.txt --out "$TALE"
is "the source is untouched" "$sum" = "$(sha256sum "$T/copy"/*)"
is "no temporary is left" "$(find "$T" -name '*.tmp-*' | wc -l)" = 0

# What no command could open is not published, and does not replace what is there.
cp -r golden/llama3 "$T/pattern"
chmod -R u+w "$T/pattern"
sed -i 's/p{L}/p{Foo}/' "$T/pattern/tokenizer.json"
fails 1 'split pattern.*unknown property' "$PITH" convert "$T/pattern" "$T/pattern.pith" --type int4
is "a file that cannot be opened is not published" ! -e "$T/pattern.pith"
cp "$TALE" "$T/pattern.pith"
fails 1 'split pattern' "$PITH" convert "$T/pattern" "$T/pattern.pith" --type int4
is "and replaces nothing" "$(cmp "$TALE" "$T/pattern.pith" 2>&1)" = ""

# A directory that cannot be written.
fails 1 '/proc/x.npy' "$PITH" logits "$TALE" --tokens 1 --out /proc/x.npy
fails 1 '/proc/x.pith' "$PITH" convert "$SOURCE" /proc/x.pith --type int4
if [ "$(id -u)" != 0 ]; then
    mkdir "$T/locked"
    chmod a-w "$T/locked"
    fails 1 'Permission denied' "$PITH" logits "$TALE" --tokens 1 --out "$T/locked/x.npy"
fi

# A full disk.
mkdir "$T/small"
if mount -t tmpfs -o size=256k none "$T/small" 2>/dev/null; then
    fails 1 'no space left' "$PITH" convert "$SOURCE" "$T/small/x.pith" --type int4
    is "nothing is left on the full disk" -z "$(ls -A "$T/small")"
    fails 1 'no space left' "$PITH" logits "$TALE" --out "$T/small/x.npy" \
        --tokens "$(seq -s, 1 100)"
    is "nothing is left on the full disk" -z "$(ls -A "$T/small")"
    umount "$T/small"
else
    skip "a full disk: no tmpfs can be mounted"
fi
what="full standard output"
"$PITH" inspect "$TALE" >/dev/full 2>"$T/err"
is "a full standard output is a failure" $? = 1
says 'standard output: No space left'
"$PITH" inspect "$TALE" >&- 2>"$T/err"
is "a closed standard output is a failure" $? = 1
expect 0 sh -c "'$PITH' convert '$SOURCE' '$T/closed.pith' --type int4 <&- 2>&-"
expect 1 sh -c "'$PITH' convert '$SOURCE' '$T/closed.pith' --type int4 --report >&-"
expect 0 "$PITH" inspect "$T/closed.pith" --verify
