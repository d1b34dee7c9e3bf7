"""What the Rust library makes of texts with a SentencePiece model, numbered as XLM-R's.

    npm install tokenizers@0.23.2            # in a directory outside the tree
    python3 golden/make_xlm_roberta.py DIRECTORY_WITH_NODE_MODULES [MODEL [JSON]]
        > golden/tokenizers/xlm_roberta.jsonl

The tokenizer.json is put together by the rules of transformers' XLMRobertaTokenizer from
golden/tokenizers/unigram/tokenizer.model, or from another MODEL, and kept as JSON. A line has `text`,
the `ids` without tokens around, and what those are `decoded` to without special ones.
"""

import base64
import json
import struct
import subprocess
import sys
import tempfile

from make_pipelines import MAP, MARK, ORACLE, charsmap

USER_DEFINED = 4
TEXTS = "golden/tokenizers/unigram_model.jsonl"


def fields(data):
    """The fields of a protobuf message: number and value."""

    def varint(at):
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value, at

    at = 0
    while at < len(data):
        tag, at = varint(at)
        if tag & 7 == 0:
            value, at = varint(at)
        else:
            size, at = varint(at) if tag & 7 == 2 else ((4, at) if tag & 7 == 5 else (8, at))
            value, at = data[at : at + size], at + size
        yield tag >> 3, value


def pieces(path):
    """Spelling, score and type of each piece."""
    with open(path, "rb") as file:
        model = file.read()
    for number, value in fields(model):
        if number == 1:
            piece = dict(fields(value))
            yield piece[1].decode(), struct.unpack("<f", piece[2])[0], piece.get(3, 1)


def added(i, content, **flags):
    token = {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
    return {**token, **flags}


def tokenizer(path):
    model = list(pieces(path))[3:]
    vocab = [[token, 0.0] for token in ("<s>", "<pad>", "</s>", "<unk>")]
    vocab += [[text, score] for text, score, _ in model] + [["<mask>", 0.0]]
    tokens = [added(i, vocab[i][0]) for i in range(4)]
    tokens += [added(i + 4, text, special=False)
               for i, (text, _, kind) in enumerate(model) if kind == USER_DEFINED]
    tokens.append(added(len(vocab) - 1, "<mask>", lstrip=True))
    mark = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "always", "split": True}
    map_ = base64.b64encode(charsmap(path)).decode()
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens,
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": map_} if map_ else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, mark]},
        "post_processor": None, "decoder": mark,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": False},
    }


def main():
    modules, path = sys.argv[1], (sys.argv[2:] or [MAP])[0]
    with open(TEXTS, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(tokenizer(path), file)
        file.flush()
        if sys.argv[3:]:
            with open(sys.argv[3], "w", encoding="utf-8") as copy:
                json.dump(tokenizer(path), copy)
        result = subprocess.run(["node", "-e", ORACLE, file.name], cwd=modules, check=True,
                                input=json.dumps({"texts": texts}), capture_output=True, text=True)
    for line in json.loads(result.stdout):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
