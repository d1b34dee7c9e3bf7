# shellcheck shell=bash disable=SC2154
# What people give in place of a model, a checkpoint or one of its files: each message says what it
# is, and what to do.

wrong=$T/wrong
mkdir "$wrong"
printf 'GGUF\003\000\000\000' >"$wrong/x.gguf"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 132\n' >"$wrong/lfs"
printf '\n<!DOCTYPE html><title>Log in</title>\n' >"$wrong/page"
: >"$wrong/empty"

# Every command with a model.
for command in 'run -p x' 'chat' 'eval README.md' 'tokenize' 'embed' 'logits --tokens 1 --out NEW.out' \
    'inspect' 'bench' 'importance README.md --out NEW.out' 'index NEW.db c README.md' \
    'search NEW.db c x'; do
    # shellcheck disable=SC2086
    set -- $command
    name=$1
    shift
    fails 1 'x.gguf: tensors: 8 bytes are needed, but only 0 are left of the file' \
        "$PITH" "$name" "$wrong/x.gguf" "${@/NEW/$wrong/new}" </dev/null
    # tokenize reads its tokenizer.
    [ "$name" = tokenize ] ||
        fails 1 'tied: is a Hugging Face model directory; .pith convert golden/llama-tied' \
            "$PITH" "$name" golden/llama-tied "${@/NEW/$wrong/new}" </dev/null
    fails 1 "hf download some-owner/a-model --local-dir a-model' and converted by" \
        "$PITH" "$name" some-owner/a-model "${@/NEW/$wrong/new}" </dev/null
done
fails 1 'model.safetensors: is a safetensors file; a model is a .pith file' \
    "$PITH" run golden/llama-tied/model.safetensors -p x
fails 1 'lfs: is a Git LFS pointer, not the file itself; fetch it with .git lfs pull' \
    "$PITH" run "$wrong/lfs" -p x
fails 1 'page: is an HTML page, not the file itself' "$PITH" run "$wrong/page" -p x
fails 1 'empty: is empty; download it again' "$PITH" run "$wrong/empty" -p x

# convert: the source, the files within, the tokenizer and the importance file.
fails 1 'x.gguf: tensors: 8 bytes are needed, but only 0 are left of the file' \
    "$PITH" convert "$wrong/x.gguf" "$wrong/out" --type int4
fails 1 "hf download some-owner/a-model --local-dir a-model'" \
    "$PITH" convert https://huggingface.co/some-owner/a-model "$wrong/out" --type int4
for file in lfs page x.gguf empty; do
    cp -r golden/llama-tied "$wrong/source-$file"
    for part in model.safetensors config.json tokenizer.model tokenizer_config.json; do
        cp "$wrong/$file" "$wrong/source-$file/$part"
        # Beside a tokenizer.json nobody reads a tokenizer.model.
        [ "$part" != tokenizer.model ] || rm -f "$wrong/source-$file/tokenizer.json"
        fails 1 "$part: is (a|an|empty)" "$PITH" convert "$wrong/source-$file" "$wrong/out" --type int4
        cp "golden/llama-tied/$part" "$wrong/source-$file/$part"
    done
    fails 1 "$file: is (a|an|empty)" \
        "$PITH" convert golden/llama-tied "$wrong/out" --type int4 --tokenizer "$wrong/$file"
    fails 1 "$file: is (a|an|empty)" \
        "$PITH" convert golden/llama-tied "$wrong/out" --type int4 --importance "$wrong/$file"
    fails 1 "$file: is (a|an|empty)" "$PITH" run "$TALE" -p x -n 1 --session "$wrong/$file"
done

# An adapter names its model; shards are read without their index.
mkdir "$wrong/adapter"
echo '{"peft_type": "LORA", "base_model_name_or_path": "some-owner/a-model"}' \
    >"$wrong/adapter/adapter_config.json"
fails 1 'is a LoRA adapter for some-owner/a-model, not a whole model; merge it' \
    "$PITH" convert "$wrong/adapter" "$wrong/out" --type int4
cp -r golden/llama-gqa "$wrong/shards"
rm "$wrong/shards/model.safetensors.index.json"
expect 0 "$PITH" convert "$wrong/shards" "$wrong/shards.pith" --type int4
expect 0 "$PITH" convert golden/llama-gqa "$wrong/indexed.pith" --type int4
for model in shards indexed; do
    "$PITH" logits "$wrong/$model.pith" --tokens 1,2,3 --out "$wrong/$model.npy"
done
is "shards give the same model without an index" \
    "$(sha256sum <"$wrong/shards.npy")" = "$(sha256sum <"$wrong/indexed.npy")"
rm "$wrong/shards/model-00001-of-00002.safetensors"
fails 1 'shard model-00001-of-00002.safetensors is missing: the download is not complete' \
    "$PITH" convert "$wrong/shards" "$wrong/out" --type int4

# A cache that does not fit names the context, which costs nothing before it is used.
fails 1 "out of memory: 16000000 of the context's 16000000 positions take [0-9.]+ GB of KV cache; -c N" \
    sh -c "ulimit -v 4000000; \"$PITH\" bench \"$TALE\" -p 8 -n 0 -r 1 -c 16000000 -t 1 -o csv 2>&1 \
        >/dev/null | grep -v warning >&2; exit 1"
expect 0 sh -c "ulimit -v 4000000; exec \"$PITH\" run \"$TALE\" -p x -n 1 -c 16000000 -t 1"

# A tensor of all experts has the rows of each that config.json says.
cp -r "$ROOT/golden/extra/granitemoe" "$T/stacked"
sed -i 's/"intermediate_size": 40/"intermediate_size": 42/' "$T/stacked/config.json"
fails 1 'input_linear.weight has shape \[5, 80, 48\], config.json asks for \[5, 84, 48\]' \
    "$PITH" convert "$T/stacked" "$T/x.pith" --type int4
