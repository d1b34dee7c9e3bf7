# SIGINT: exit code 130, no message, no file.

# interrupt NAME READY COMMAND... : sends the signal once the shell condition READY holds.
interrupt() {
    local name=$1 ready=$2 child
    shift 2
    what=$name
    "$@" >"$T/out" 2>"$T/err" &
    child=$!
    while kill -0 "$child" 2>/dev/null && ! eval "$ready"; do
        sleep 0.01
    done
    kill -INT "$child"
    wait "$child"
    is "$name ends with 130" $? = 130
    is "$name says nothing about it" -z "$(grep -v warning: "$T/err")"
}

# A model large enough to be caught at work, from random bytes of the right names and shapes.
python3 - "$T/large" "$SOURCE" <<'END'
import json, os, shutil, struct, sys
out, source = sys.argv[1:3]
os.mkdir(out)
config = json.load(open(os.path.join(source, "config.json")))
config.update(hidden_size=1024, intermediate_size=2816, num_attention_heads=16,
              num_key_value_heads=16, head_dim=64, num_hidden_layers=8)
json.dump(config, open(os.path.join(out, "config.json"), "w"))
for name in ("tokenizer.model", "tokenizer_config.json"):
    shutil.copy(os.path.join(source, name), out)
h, f = 1024, 2816
shapes = {"model.embed_tokens.weight": [4096, h], "model.norm.weight": [h]}
for i in range(8):
    p = f"model.layers.{i}."
    for m in "qkvo":
        shapes[p + f"self_attn.{m}_proj.weight"] = [h, h]
    shapes[p + "mlp.gate_proj.weight"] = shapes[p + "mlp.up_proj.weight"] = [f, h]
    shapes[p + "mlp.down_proj.weight"] = [h, f]
    shapes[p + "input_layernorm.weight"] = shapes[p + "post_attention_layernorm.weight"] = [h]
header, at = {}, 0
for name, shape in shapes.items():
    size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
    header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
    at += size
text = json.dumps(header).encode()
pattern = b"".join(struct.pack("<H", 0x3C00 + i * 37 % 128 + (i % 2 << 15)) for i in range(65536))
with open(os.path.join(out, "model.safetensors"), "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    while at > 0:
        file.write(pattern[:at])
        at -= min(at, len(pattern))
END
interrupt "an interrupted conversion" 'compgen -G "$T/large.pith.tmp-*" >/dev/null' \
    "$PITH" convert "$T/large" "$T/large.pith" --type int4 -t 1
is "the conversion leaves no file" "$(find "$T" -maxdepth 1 -name 'large.pith*' | wc -l)" = 0

catch='sleep 0.3'
interrupt "an interrupted run" "$catch" "$PITH" run "$TALE" --ignore-eos -c 100000 -t 1
interrupt "an interrupted eval" "$catch" "$PITH" eval "$TALE" golden/tale-valid.txt -t 1 --isa scalar
interrupt "an interrupted importance" "$catch" "$PITH" importance "$TALE" golden/tale-valid.txt \
    --out "$T/stopped" -t 1 --isa scalar
is "importance leaves no file" "$(find "$T" -maxdepth 1 -name 'stopped*' | wc -l)" = 0
interrupt "an interrupted bench" "$catch" "$PITH" bench "$TALE" -n 100000 -r 50 -t 1
mkfifo "$T/fifo"
sleep 1000 >"$T/fifo" &
holder=$!
interrupt "an interrupted read of a prompt" "$catch" "$PITH" run "$TALE" -f "$T/fifo"
interrupt "an interrupted tokenize" "$catch" sh -c "exec '$PITH' tokenize '$TALE' <'$T/fifo'"
kill "$holder"
wait "$holder" 2>/dev/null
