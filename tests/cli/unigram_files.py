#!/usr/bin/python3
"""Directories of XLM-R whose tokenizer is in one file or another.

    unigram_files.py directory OUT              golden/encoders/xlm-roberta with a tokenizer.json as transformers
                                                makes it of a SentencePiece model, with its map of characters
    unigram_files.py model TOKENIZER.json OUT   the SentencePiece model that such a file was made from

Standard library only.
"""
import base64
import json
import shutil
import struct
import sys
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
sys.path.insert(0, str(GOLDEN))
import make_xlm_roberta  # noqa: E402

NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
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


def make_model(source, out):
    with open(source, encoding="utf-8") as file:
        tokenizer = json.load(file)
    vocab = tokenizer["model"]["vocab"]
    user = {token["id"] for token in tokenizer["added_tokens"] if not token["special"]}
    assert [text for text, _ in vocab[:4]] == ["<s>", "<pad>", "</s>", "<unk>"]
    model = piece("<unk>", 0, UNKNOWN) + piece("<s>", 0, CONTROL) + piece("</s>", 0, CONTROL)
    for i, (text, score) in enumerate(vocab[4 : -1 if vocab[-1][0] == "<mask>" else None], 4):
        model += piece(text, score, USER_DEFINED if i in user else NORMAL)
    model += data(2, number(3, UNIGRAM))
    charsmap = (tokenizer["normalizer"] or {}).get("precompiled_charsmap", "")
    model += data(3, data(1, b"nmt_nfkc") + data(2, base64.b64decode(charsmap)) + number(3, 1) + number(4, 1))
    with open(out, "wb") as file:
        file.write(model)


def make_directory(out):
    """The most likely pieces of golden/tokenizers/unigram's model, as many as the embedding has rows."""
    golden = GOLDEN / "encoders/xlm-roberta"
    shutil.copytree(golden, out)
    rows = json.loads((golden / "config.json").read_text())["vocab_size"]
    tokenizer = make_xlm_roberta.tokenizer(GOLDEN / "tokenizers/unigram/tokenizer.model")
    model = tokenizer["model"]
    model["vocab"] = model["vocab"][: rows - 1] + model["vocab"][-1:]
    tokenizer["added_tokens"][-1]["id"] = rows - 1
    tokens = {"<s>": 0, "</s>": 2}
    tokenizer["post_processor"] = json.loads((golden / "tokenizer.json").read_text())["post_processor"]
    assert all(tokenizer["post_processor"]["special_tokens"][t]["ids"] == [i] for t, i in tokens.items())
    (Path(out) / "tokenizer.json").write_text(json.dumps(tokenizer))
    # A GGUF file knows no length but that of its positions.
    (Path(out) / "tokenizer_config.json").unlink()


if __name__ == "__main__":
    {"model": make_model, "directory": make_directory}[sys.argv[1]](*sys.argv[2:])
