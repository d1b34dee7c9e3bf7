"""Real configurations of sentence encoders: real_encoders.py PITH DIRECTORY

Each directory in DIRECTORY whose config.json is of BERT is copied with small dimensions, every other
key as it is, and with random weights and a small vocabulary; PITH converts it and embeds a text. What
the file then says of pooling, normalisation and length is compared with a second reading of the
module files, by the rules of sentence-transformers; a refusal must name what is missing. One line for
each directory; fails when one is wrong. Needs nothing but Python."""

import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
         "num_attention_heads": 4, "vocab_size": 128}
SPECIAL = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}  # as BERT has them
WORDS = ["the", "wolf", "knock", "##ed", ":", "query"]
SENTENCE_NAMES = [f"sentence_{name}_config.json" for name in
                  ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")]
FLAGS = {"pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max",
         "pooling_mode_mean_tokens": "mean",
         "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
         "pooling_mode_weightedmean_tokens": "weightedmean", "pooling_mode_lasttoken": "lasttoken"}


class Refused(Exception):
    """What sentence-transformers does and pith does not; the message must hold the text."""


def load(*path):
    try:
        with open(os.path.join(*path), encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None


def tensors(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {"embeddings.word_embeddings.weight": (config.get("vocab_size", 30522), hidden),
              "embeddings.position_embeddings.weight":
                  (config.get("max_position_embeddings", 512), hidden),
              "embeddings.token_type_embeddings.weight": (config.get("type_vocab_size", 2), hidden)}

    def norm(name):
        shapes[name + ".weight"] = shapes[name + ".bias"] = (hidden,)

    def dense(name, rows, columns):
        shapes[name + ".weight"], shapes[name + ".bias"] = (rows, columns), (rows,)

    norm("embeddings.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        for part in "query", "key", "value":
            dense(layer + "attention.self." + part, hidden, hidden)
        dense(layer + "attention.output.dense", hidden, hidden)
        norm(layer + "attention.output.LayerNorm")
        dense(layer + "intermediate.dense", inner, hidden)
        dense(layer + "output.dense", hidden, inner)
        norm(layer + "output.LayerNorm")
    dense("pooler.dense", hidden, hidden)
    return shapes


def write_weights(path, config):
    header, data, source = {}, bytearray(), random.Random(1)
    for name, shape in tensors(config).items():
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        begin = len(data)
        data += struct.pack(f"<{n}f", *(source.uniform(-0.2, 0.2) for _ in range(n)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def shrink(source, target):
    shutil.copytree(source, target)
    config = load(target, "config.json")
    config.update(SMALL)
    tokenizer = load(target, "tokenizer_config.json") or {}
    with open(os.path.join(target, "config.json"), "w") as file:
        json.dump(config, file)
    pooling = load(target, "1_Pooling", "config.json")
    for key in "word_embedding_dimension", "embedding_dimension":
        if pooling is not None and key in pooling:
            pooling[key] = SMALL["hidden_size"]
    if pooling is not None:
        with open(os.path.join(target, "1_Pooling", "config.json"), "w") as file:
            json.dump(pooling, file)
    write_weights(os.path.join(target, "model.safetensors"), config)
    if tokenizer.get("tokenizer_class", "BertTokenizer").startswith("Bert"):
        words = [SPECIAL.get(i, f"w{i}") for i in range(SMALL["vocab_size"])]
        words[110:110 + len(WORDS)] = WORDS
        with open(os.path.join(target, "vocab.txt"), "w") as file:
            file.write("\n".join(words) + "\n")
    else:  # of these, the tokenizer of XLM-R
        with open(os.path.join(target, "tokenizer.json"), "w") as file:
            json.dump({"added_tokens": [], "normalizer": None,
                       "pre_tokenizer": {"type": "Metaspace", "replacement": "▁"},
                       "model": {"type": "Unigram", "unk_id": 0,
                                 "vocab": [["<unk>", 0.0], ["▁the", -1.0]]}}, file)


def module_kind(module):
    kind = module["type"]
    if not kind.startswith("sentence_transformers."):
        raise Refused(kind)
    return kind.rsplit(".", 1)[1]


def pooling_mode(directory, path):
    config = load(directory, path, "config.json")
    if config is None:
        raise Refused(f"{path}/config.json is missing")
    modes = config.get("pooling_mode") or [m for key, m in FLAGS.items() if config.get(key)] or "mean"
    modes = [modes] if isinstance(modes, str) else modes
    if len(modes) > 1 or modes[0] not in ("mean", "cls", "max"):
        raise Refused("pooling by " + modes[0])
    return modes[0]


def expected(directory):
    """Pooling, normalisation and length by sentence-transformers' rules; or Refused."""
    config = load(directory, "config.json")
    if (config.get("architectures") or ["BertModel"])[0] not in ("BertModel", "BertForMaskedLM",
                                                                "BertForPreTraining"):
        raise Refused(config["architectures"][0])
    if os.path.exists(os.path.join(directory, "tokenizer.json")):
        raise Refused("Unigram")
    result = {"pooling": "mean", "normalize": False}
    modules = load(directory, "modules.json")
    kinds = [module_kind(module) for module in modules or []]
    if modules is not None:
        for kind in kinds[2:]:
            if kind != "Normalize":
                raise Refused(kind)
        result["pooling"] = pooling_mode(directory, modules[1]["path"])
        result["normalize"] = "Normalize" in kinds
    sentence = next((c for c in (load(directory, name) for name in SENTENCE_NAMES) if c), {})
    tokenizer = load(directory, "tokenizer_config.json") or {}
    positions = config.get("max_position_embeddings", 512)
    length = sentence.get("max_seq_length") or tokenizer.get("model_max_length") or positions
    result["max_seq_length"] = min(length, positions)
    return result


def run(*arguments):
    return subprocess.run(arguments, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding="utf-8", stdin=subprocess.DEVNULL)


def check(pith, source, work):
    """What went wrong, or ""; and a word on what happened."""
    small, model = os.path.join(work, "small"), os.path.join(work, "model.pith")
    shrink(source, small)
    done = run(pith, "convert", small, model, "--type", "f32")
    try:
        wanted = expected(small)
    except Refused as missing:
        right = done.returncode != 0 and str(missing) in done.stderr
        return "" if right else f"not refused for {missing}: {done.stderr}", done.stderr.strip()
    if done.returncode != 0:
        return done.stderr, ""
    config = json.loads(run(pith, "inspect", "--json", model).stdout)["config"]
    found = {key: config[key] for key in wanted}
    embedded = run(pith, "embed", model, "The wolf knocked")
    if embedded.returncode != 0 or '"tokens": 6' not in embedded.stdout:
        return embedded.stderr or embedded.stdout, ""
    vector = json.loads(embedded.stdout)["embedding"]
    if wanted["normalize"] and abs(sum(x * x for x in vector) - 1) > 1e-5:
        return "the embedding is not normalised", ""
    return "" if found == wanted else f"{found}, expected {wanted}", str(found)


def main():
    pith, root = os.path.abspath(sys.argv[1]), sys.argv[2]
    n_bad = n_seen = 0
    for name in sorted(os.listdir(root)):
        config = load(root, name, "config.json")
        if config is None or config.get("model_type") != "bert":
            continue
        with tempfile.TemporaryDirectory() as work:
            wrong, said = check(pith, os.path.join(root, name), work)
            said = re.sub(r"\S*/small: ", "", said)
        n_seen += 1
        n_bad += wrong != ""
        print(f"{'FAILED' if wrong else 'ok'} {name}: {wrong or said}")
    print(f"{n_seen - n_bad} of {n_seen} as they should be")
    sys.exit(n_bad != 0 or n_seen == 0)


main()
