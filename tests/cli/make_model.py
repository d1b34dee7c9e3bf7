"""Writes a model directory with arbitrary weights around the tokenizer of another:
    make_model.py SOURCE OUT LAYERS HIDDEN FEED_FORWARD [ADDED_TOKEN]...
Heads are 64 wide. Added tokens get the ids after the vocabulary of SOURCE."""

import json
import os
import shutil
import struct
import sys


def tensors(vocab, layers, hidden, feed_forward):
    yield "model.embed_tokens.weight", [vocab, hidden]
    yield "model.norm.weight", [hidden]
    for i in range(layers):
        at = f"model.layers.{i}."
        for part in "qkvo":
            yield at + f"self_attn.{part}_proj.weight", [hidden, hidden]
        yield at + "mlp.gate_proj.weight", [feed_forward, hidden]
        yield at + "mlp.up_proj.weight", [feed_forward, hidden]
        yield at + "mlp.down_proj.weight", [hidden, feed_forward]
        yield at + "input_layernorm.weight", [hidden]
        yield at + "post_attention_layernorm.weight", [hidden]


def write_weights(path, shapes):
    header, size = {}, 0
    for name, shape in shapes:
        end = size + 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [size, end]}
        size = end
    text = json.dumps(header).encode()
    # bf16 numbers of either sign between 1/128 and 1/64, in no regular order
    pattern = b"".join(struct.pack("<H", 0x3C00 + (i * i * 37 + i) % 128 + (i * 7919 % 3 % 2 << 15))
                       for i in range(65521))
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while size > 0:
            file.write(pattern[:size])
            size -= min(size, len(pattern))


def main():
    source, out = sys.argv[1:3]
    layers, hidden, feed_forward = (int(a) for a in sys.argv[3:6])
    added = sys.argv[6:]
    os.mkdir(out)
    with open(os.path.join(source, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    with open(os.path.join(source, "tokenizer_config.json"), encoding="utf-8") as file:
        tokenizer = json.load(file)
    vocab = config["vocab_size"]
    tokenizer["added_tokens_decoder"] = {
        str(vocab + i): {"content": name, "lstrip": False, "normalized": False, "rstrip": False,
                         "single_word": False, "special": True} for i, name in enumerate(added)}
    config.update(vocab_size=vocab + len(added), num_hidden_layers=layers, hidden_size=hidden,
                  intermediate_size=feed_forward, head_dim=64, num_attention_heads=hidden // 64,
                  num_key_value_heads=hidden // 64)
    shutil.copy(os.path.join(source, "tokenizer.model"), out)
    for name, value in (("config.json", config), ("tokenizer_config.json", tokenizer)):
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            json.dump(value, file)
    write_weights(os.path.join(out, "model.safetensors"),
                  tensors(config["vocab_size"], layers, hidden, feed_forward))


if __name__ == "__main__":
    main()
