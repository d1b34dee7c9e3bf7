#!/usr/bin/python3
"""The SentencePiece model that a Unigram tokenizer.json with XLM-R's numbers was made from.

    write_spm.py TOKENIZER.json OUT.model

The file must begin with <s>, <pad>, </s>, <unk>; a <mask> behind all others is left out. Standard library only.
"""
import base64
import json
import struct
import sys

NORMAL, UNKNOWN, CONTROL = 1, 2, 3
UNIGRAM = 1


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def piece(text, score, kind):
    return data(1, data(1, text.encode()) + varint(2 << 3 | 5) + struct.pack("<f", score) + number(3, kind))


def main(source, out):
    with open(source, encoding="utf-8") as file:
        tokenizer = json.load(file)
    vocab = tokenizer["model"]["vocab"]
    assert [text for text, _ in vocab[:4]] == ["<s>", "<pad>", "</s>", "<unk>"]
    model = piece("<unk>", 0, UNKNOWN) + piece("<s>", 0, CONTROL) + piece("</s>", 0, CONTROL)
    for text, score in vocab[4 : -1 if vocab[-1][0] == "<mask>" else None]:
        model += piece(text, score, NORMAL)
    model += data(2, number(3, UNIGRAM))
    charsmap = (tokenizer["normalizer"] or {}).get("precompiled_charsmap", "")
    model += data(3, data(1, b"nmt_nfkc") + data(2, base64.b64decode(charsmap)) + number(3, 1) + number(4, 1))
    with open(out, "wb") as file:
        file.write(model)


if __name__ == "__main__":
    main(*sys.argv[1:])
