# shellcheck shell=bash disable=SC2154
# pith models, and names in place of paths.

places=$T/places
hub=$places/cache/huggingface/hub
mkdir -p "$places/own" "$hub"
export XDG_CACHE_HOME=$places/cache PITH_MODELS=$places/own
unset HF_HOME HF_HUB_CACHE

# What ships is always there; no more than that yet.
expect 0 "$PITH" models
silent
is "the models that ship" "$(grep -v '^    ' "$T/out" | tr '\n' ' ')" = \
    "search-int8 story-int4 story-int8 "
expect 0 "$PITH" run story-int4 -p Once -n 2 --temp 0
for place in "$places/none" "$TALE"; do
    expect 0 env PITH_MODELS="$place" "$PITH" models
    says "warning: .PITH_MODELS, $place: "
done

# Our own directory: files and checkpoints; other files are passed over.
cp "$TALE" "$places/own/tale.pith"
cp -r golden/llama-tied "$places/own/tied"
echo text >"$places/own/notes.txt"
# Names that are nothing but an ending are hidden files.
mkdir "$places/own/hidden"
echo '{}' >"$places/own/hidden/config.json"
echo weights >"$places/own/hidden/.safetensors"
cp "$TALE" "$places/own/.pith"
printf 'GGUF\003\000\000\000' >"$places/own/broken.gguf"
# The cache of Hugging Face's tools: links into blobs, the commit in refs/main, an older one.
repository=$hub/models--some-owner--a-model
mkdir -p "$repository"/{blobs,refs,snapshots/{new,zzz-old}}
printf new >"$repository/refs/main"
cp golden/gguf/k256-Q4_K_M.gguf "$repository/blobs/0123"
ln -s ../../blobs/0123 "$repository/snapshots/new/a-model-Q4_K_M.gguf"
echo '{}' >"$repository/snapshots/zzz-old/config.json"
for file in golden/llama-gqa/*; do
    cp "$file" "$repository/blobs"
    ln -s "../../blobs/$(basename "$file")" "$repository/snapshots/new"
done
# Later parts of a split file are no models of their own.
"$PYTHON" tests/cli/check_gguf.py expand "$places"
cp "$places"/containers/micro-split-0000?-of-00002.gguf "$repository/snapshots/new"
cp "$places"/containers/micro-split-0000?-of-00002.gguf "$places/own"
mkdir -p "$hub/models--some-owner--empty/blobs" "$hub/datasets--some-owner--data/snapshots/x"

expect 0 "$PITH" models
silent
names() { grep -v '^    ' "$T/out" | grep -v -x 'search-int8\|story-int[48]' | tr '\n' ' '; }
is "all that is there" "$(names)" = \
    "broken.gguf micro-split-00001-of-00002.gguf tale tied some-owner/a-model \
some-owner/a-model/a-model-Q4_K_M.gguf some-owner/a-model/micro-split-00001-of-00002.gguf "
prints '^    llama, 5.66 MB, runs$'
prints 'does not run: tensors: 8 bytes are needed'
prints '^    llama, [0-9.]+ [kM]B, does not run: convert it first'
prints 'llama, 427 kB, runs'
prints "snapshots/new/a-model-Q4_K_M.gguf"
expect 0 "$PITH" models --json
is "JSON lines" "$("$PYTHON" -c 'import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
print(len(rows), sum(r["runs"] for r in rows), rows[1]["bytes"], rows[2]["name"], rows[2]["bytes"])' "$T/out")" = \
    "10 5 22336 tale $(stat -c %s "$TALE")"

# By name: whole, behind the last slash, without .gguf.
expect 0 "$PITH" run tale -p Once -n 2
for name in some-owner/a-model/a-model-Q4_K_M.gguf a-model-Q4_K_M.gguf a-model-Q4_K_M; do
    expect 0 "$PITH" run $name -p Once -n 2
done
is "converted once" "$(find "$places/cache/pith" -type f | wc -l)" = 1
expect 0 "$PITH" models
is "the cache, too" "$(names | grep -c 'a-model-Q4_K_M $')" = 1
expect 0 "$PITH" inspect --plan a-model-Q4_K_M.gguf
expect 0 "$PITH" convert some-owner/a-model "$places/gqa.pith" --type int4
expect 0 "$PITH" convert "$repository" "$places/snapshot.pith" --type int4
expect 0 cmp "$places/gqa.pith" "$places/snapshot.pith"
fails 1 'tied: is a Hugging Face model directory' "$PITH" run tied -p x
fails 1 'nothing: cannot open' "$PITH" run nothing -p x
fails 1 "hf download some-owner/other" "$PITH" run some-owner/other -p x

# Two models of one name; a whole name decides.
cp -r "$repository" "$hub/models--other-owner--a-model"
fails 1 'a-model: several models are called so: other-owner/a-model, some-owner/a-model' \
    "$PITH" run a-model -p x
expect 0 "$PITH" inspect other-owner/a-model/a-model-Q4_K_M.gguf
is "one more in the cache" "$(find "$places/cache/pith" -type f | wc -l)" = 2

# Variables of Hugging Face's tools.
expect 0 env HF_HUB_CACHE="$places/none" "$PITH" models
is "another hub" "$(names | grep -c some-owner/a-model)" = 0
mkdir "$places/home"
mv "$hub" "$places/home/hub"
expect 0 env HF_HOME="$places/home" "$PITH" models
prints '^some-owner/a-model$'
export XDG_CACHE_HOME=$T/xdg-cache
unset PITH_MODELS
