# shellcheck shell=bash disable=SC2154
# gpt-oss in MXFP4, as it is published and as GGUF: the same weights as floats that were made from the
# bits by other code, and the tokenizer that stands in both.

make_model() { expect 0 "$PYTHON" tests/cli/write_mxfp4.py "$T/oss" "$@"; }
check() { expect 0 "$PYTHON" tests/cli/check_gguf.py "$@"; }

make_model
for type in f32 bf16 int8 int4; do
    expect 0 "$PITH" convert "$T/oss/blocks" "$T/a.pith" --type $type
    is "$type: warnings" "$(cat "$T/err")" = ''
    expect 0 "$PITH" convert "$T/oss/values" "$T/b.pith" --type $type
    check same "$T/a.pith" "$T/b.pith"
    expect 0 "$PITH" convert "$T/oss/gguf.gguf" "$T/a.pith" --type $type
    is "$type: warnings" "$(cat "$T/err")" = ''
    expect 0 "$PITH" convert "$T/oss/zeros" "$T/b.pith" --type $type
    check same "$T/a.pith" "$T/b.pith"
done
check ids "$PITH" "$T/a.pith" golden/tokenizers/gptoss.jsonl
expect 0 "$PITH" convert "$T/oss/gguf.gguf" "$T/a.pith"
expect 0 "$PITH" inspect "$T/a.pith"
prints 'expert gate_up .* int8'

# Two tensors that do not belong together, or are of another type.
stem=model.layers.1.mlp.experts
broken() { # WORDS CHANGE
    make_model "$2"
    fails 1 "$1" "$PITH" convert "$T/oss/blocks" "$T/a.pith" --type int4
}
for change in absent narrow half; do
    broken 'down_proj_blocks has dtype MXFP4 without scales of its shape' \
        $stem.down_proj_scales=$change
done
broken 'no tensor model.layers.1.mlp.experts.gate_up_proj in' $stem.gate_up_proj_blocks=absent
broken 'gate_up_proj_blocks has dtype MXFP4 without scales' $stem.gate_up_proj_blocks=half
broken 'gate_up_proj_blocks: element 4160 is not finite' $stem.gate_up_proj_scales=nan

# Both parts narrow are a tensor of another shape; and a family without experts in MXFP4 refuses it.
make_model $stem.down_proj_blocks=narrow $stem.down_proj_scales=narrow
fails 1 'down_proj_blocks has shape .5, 31, 64., config.json asks for .5, 32, 64.' \
    "$PITH" convert "$T/oss/blocks" "$T/a.pith" --type int4
sed -i 's/GptOssForCausalLM/MixtralForCausalLM/; s/"gpt_oss"/"mixtral"/' "$T/oss/blocks/config.json"
fails 1 'already quantised by MXFP4' "$PITH" convert "$T/oss/blocks" "$T/a.pith" --type int4

# The biases of all experts have two dimensions, as a matrix has, but no blocks.
make_model
expect 0 "$PYTHON" - "$T/oss" <<'END'
import pathlib, sys
sys.path.insert(0, "golden")
import containers, numpy
name = "model.layers.1.mlp.experts.down_proj_bias"
for path in pathlib.Path(sys.argv[1], "blocks").glob("*.safetensors"):
    tensors = containers.read_safetensors(path)[1]
    if name in tensors:
        n, rows = tensors.pop(name)[1].shape
        tensors[name + "_blocks"] = ("U8", numpy.zeros((n, rows // 32, 16), numpy.uint8))
        tensors[name + "_scales"] = ("U8", numpy.full((n, rows // 32), 127, numpy.uint8))
        containers.write_safetensors(path, tensors)
END
fails 1 'down_proj_bias_blocks has dtype MXFP4' "$PITH" convert "$T/oss/blocks" "$T/a.pith" --type f32
