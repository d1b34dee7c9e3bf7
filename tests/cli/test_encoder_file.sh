# Encoders: convert, inspect, and what decoders' commands say to them.

expect 0 "$PITH" convert golden/minilm "$T/encoder.pith" --type int8 --report
prints '^embeddings.position_embeddings.weight +f32 +512 x 48'
prints '^encoder.layer.2.attention.self.qkv.weight +int8 +144 x 48'
silent
expect 0 "$PITH" convert golden/minilm "$T/encoder-t1.pith" --type int8 -t 1
is "any number of threads converts an encoder to the same bytes" \
    "$(sha256sum <"$T/encoder.pith")" = "$(sha256sum <"$T/encoder-t1.pith")"

expect 0 "$PITH" inspect "$T/encoder.pith" --verify
prints '^architecture +bert$'
prints '^types +linear layers int8, word embedding int8$'
prints '^longest text +256 tokens, of 512 positions$'
prints '^embedding +mean of all tokens, normalised$'
prints '^tokenizer +WordPiece, 30522 pieces'
prints '^word embedding +1 +int8 +30522 x 48'
prints ' 1_Pooling/config.json$'
prints 'all checksums are right'
expect 0 "$PITH" inspect "$T/encoder.pith" --json
is "inspect --json shows an encoder's configuration" "$(python3 -c '
import json, sys
c = json.load(open(sys.argv[1]))
print(c["architecture"], c["config"]["pooling"], c["config"]["normalize"], c["config"]["max_seq_length"])' \
    "$T/out")" = "bert mean True 256"

head -c 2000 golden/tale-valid.txt >"$T/encoder-text"
fails 1 'importance' "$PITH" convert golden/minilm "$T/x.pith" --type int4 --importance "$T/encoder-text"
fails 1 "encoder: .*'pith embed'" "$PITH" run "$T/encoder.pith" -p hello -n 3
fails 1 "encoder: .*'pith embed'" "$PITH" chat "$T/encoder.pith" </dev/null
fails 1 "encoder: .*'pith embed'" "$PITH" importance "$T/encoder.pith" "$T/encoder-text" --out "$T/x"
fails 1 "encoder: .*'pith embed'" "$PITH" eval "$T/encoder.pith" "$T/encoder-text"
fails 1 "encoder: .*'pith embed'" "$PITH" eval "$TALE" "$T/encoder-text" --reference "$T/encoder.pith"
fails 1 "encoder: .*'pith embed'" "$PITH" logits "$T/encoder.pith" --tokens 1,2 --out "$T/x.npy"

printf 'a stone\n\na [SEP] [MASK]\n' >"$T/encoder-lines"
printf '%s\n' '{"ids": [101, 1037, 2962, 102]}' '{"ids": [101, 102]}' \
    '{"ids": [101, 1037, 102, 103, 102]}' >"$T/encoder-ids"
for flags in '' --bos --special '--bos --special'; do
    # shellcheck disable=SC2086
    expect 0 "$PITH" tokenize "$T/encoder.pith" $flags <"$T/encoder-lines"
    is "tokenize $flags: [CLS], [SEP] and special tokens always" \
        "$(cat "$T/out")" = "$(cat "$T/encoder-ids")"
done
expect 0 "$PITH" detokenize "$T/encoder.pith" <"$T/encoder-ids"
prints '"text": ?"a stone"'

# Dense modules: what they say must be there, and fit.
cp -r "$ROOT/golden/encoders/gemma3" "$T/dense"
expect 0 "$PITH" convert "$T/dense" "$T/dense.pith" --type int8
silent
expect 0 "$PITH" inspect "$T/dense.pith"
prints 'mean of all tokens, normalised, through dense layers of 64 and 24'
sed -i 's/"bias":false/"bias":true/' "$T/dense/3_Dense/config.json"
fails 1 'no tensor linear.bias in 3_Dense' "$PITH" convert "$T/dense" "$T/dense.pith" --type int8
sed -i 's/"in_features":64,/"in_features":65,/' "$T/dense/3_Dense/config.json"
fails 1 '3_Dense/config.json: in_features 65 and out_features 24, of vectors of 64' \
    "$PITH" convert "$T/dense" "$T/dense.pith" --type int8
sed -i 's/linear.Identity/activation.Softplus/' "$T/dense/2_Dense/config.json"
fails 1 '2_Dense/config.json: activation_function torch.nn.modules.activation.Softplus' \
    "$PITH" convert "$T/dense" "$T/dense.pith" --type int8
rm "$T/dense/2_Dense/model.safetensors"
sed -i 's/activation.Softplus/linear.Identity/' "$T/dense/2_Dense/config.json"
sed -i 's/"in_features":65,/"in_features":64,/' "$T/dense/3_Dense/config.json"
fails 1 'no 2_Dense/model.safetensors' "$PITH" convert "$T/dense" "$T/dense.pith" --type int8

# Nomic's BERT as transformers 5 writes it, with its names of tensors or those that it has read.
expect 0 "$PITH" convert "$ROOT/golden/encoders/nomic" "$T/nomic.pith" --type f32
for newer in config tensors; do
    expect 0 "$PYTHON" tests/cli/respell_nomic.py "$T/nomic-$newer" $newer
    expect 0 "$PITH" convert "$T/nomic-$newer" "$T/nomic-newer.pith" --type f32
    silent
    is "nomic, newer $newer: the same model" "$("$PYTHON" tests/cli/check_gguf.py same \
        "$T/nomic-newer.pith" "$T/nomic.pith")" = "20 tensors"
done
"$PYTHON" - "$T/nomic-tensors/config.json" <<'END'
import json, sys
config = json.load(open(sys.argv[1]))
del config["rope_parameters"]
json.dump(config, open(sys.argv[1], "w"))
END
fails 1 'there is no rope_theta, which versions of transformers assume differently' \
    "$PITH" convert "$T/nomic-tensors" "$T/x.pith" --type f32

# A mixture of experts is converted without an importance file, so none is measured of it.
expect 0 "$PITH" convert "$ROOT/golden/extra/mixtral" "$T/experts.pith" --type f32
fails 1 'a mixture of experts: .*without an importance file' \
    "$PITH" importance "$T/experts.pith" "$T/encoder-text" --out "$T/x"
