"""Real configurations of sentence encoders: real_encoders.py PITH DIRECTORY

Each directory in DIRECTORY whose config.json is of an encoder is copied with small dimensions, every
other key as it is, and with random weights and a small vocabulary; PITH converts it and embeds a text.
What the file then says of pooling, normalisation and length is compared with a second reading of the
module files, by the rules of sentence-transformers, and the vector with NumPy's (golden/encoders.py); a
refusal must name what is missing. One line for each directory; fails when one is wrong."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import encoders  # noqa: E402
import make_encoders  # noqa: E402
from containers import write_safetensors  # noqa: E402

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
         "num_attention_heads": 4, "vocab_size": 320}
GATED = {"num_key_value_heads": 2, "head_dim": 16}  # of those that have the keys
TYPES = ("bert", "roberta", "xlm-roberta", "mpnet", "distilbert", "modernbert", "nomic_bert")
LAST = {"modules.json": [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")],
        "pooling": {"pooling_mode_lasttoken": True}}  # Qwen3-Embedding's, where only its config is there
SPECIAL = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}  # as BERT has them
WORDS = ["the", "wolf", "knock", "##ed", ":", "query"]
TEXT = "The wolf knocked"
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


def write_json(value, *path):
    with open(os.path.join(*path), "w", encoding="utf-8") as file:
        json.dump(value, file)


def add_modules(directory):
    """The modules of Qwen3-Embedding, as sentence-transformers' documents describe them."""
    write_json([{"type": "sentence_transformers.models." + kind, "path": path}
                for path, kind in LAST["modules.json"]], directory, "modules.json")
    os.mkdir(os.path.join(directory, "1_Pooling"))
    write_json(LAST["pooling"], directory, "1_Pooling", "config.json")


def shrink_modules(directory):
    width = SMALL["hidden_size"]
    for module in load(directory, "modules.json") or []:
        path = os.path.join(directory, module["path"], "config.json")
        settings = load(path) if module["path"] else None
        if settings is None:
            continue
        for key in "word_embedding_dimension", "embedding_dimension":
            if key in settings:
                settings[key] = SMALL["hidden_size"]
        if module["type"].endswith("Dense"):
            rows = 24 + settings["out_features"] % 7
            settings.update(in_features=width, out_features=rows)
            named = [("linear.weight", (rows, width))] + [("linear.bias", (rows,))] * settings["bias"]
            write_safetensors(os.path.join(directory, module["path"], "model.safetensors"),
                              make_encoders.random_tensors(rows, named))
            width = rows
        write_json(settings, path)


def write_tokenizer(directory, kind):
    """A small vocabulary in place of the model's own, whose settings stay."""
    settings = load(directory, "tokenizer_config.json")
    if kind in ("bert", "nomic_bert", "distilbert") and \
            (settings or {}).get("tokenizer_class", "BertTokenizer").startswith("Bert"):
        words = [SPECIAL.get(i, f"w{i}") for i in range(SMALL["vocab_size"])]
        words[110:110 + len(WORDS)] = WORDS
        with open(os.path.join(directory, "vocab.txt"), "w") as file:
            file.write("\n".join(words) + "\n")
        return
    make_encoders.write_tokenizer(directory, {"mpnet": "mpnet", "xlm-roberta": "unigram",
                                              "bert": "unigram"}.get(kind, "bytes"))
    if settings is None:
        os.remove(os.path.join(directory, "tokenizer_config.json"))
    else:
        settings.pop("added_tokens_decoder", None)
        write_json(settings, directory, "tokenizer_config.json")


def shrink(source, target):
    shutil.copytree(source, target)
    config = load(target, "config.json")
    for key in SMALL:
        config[key] = SMALL[key]
    for key in GATED:
        if key in config:
            config[key] = GATED[key]
    if "layer_types" in config:
        config["layer_types"] = config["layer_types"][2:2 + SMALL["num_hidden_layers"]]
    write_json(config, target, "config.json")
    if config["model_type"] == "qwen3" and load(target, "modules.json") is None:
        add_modules(target)
    shrink_modules(target)
    write_safetensors(os.path.join(target, "model.safetensors"),
                      make_encoders.random_tensors(1, make_encoders.shapes(config)))
    write_tokenizer(target, config["model_type"])


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
    if len(modes) > 1 or modes[0] not in ("mean", "cls", "max", "lasttoken"):
        raise Refused("pooling by " + modes[0])
    return modes[0]


def expected(directory):
    """Pooling, normalisation and length by sentence-transformers' rules; or Refused."""
    config = load(directory, "config.json")
    result = {"pooling": "mean", "normalize": False}
    modules = load(directory, "modules.json")
    kinds = [module_kind(module) for module in modules or []]
    scores = "SequenceClassification" in (config.get("architectures") or [""])[0]
    if scores:
        result["pooling"] = "cls"
    elif modules is not None:
        for kind in kinds[2:]:
            if kind not in ("Dense", "Normalize"):
                raise Refused(kind)
        result["pooling"] = pooling_mode(directory, modules[1]["path"])
        result["normalize"] = "Normalize" in kinds
    sentence = next((c for c in (load(directory, name) for name in SENTENCE_NAMES) if c), {})
    tokenizer = load(directory, "tokenizer_config.json") or {}
    offsets = {"mpnet": 2, "roberta": config.get("pad_token_id", 1) + 1,
               "xlm-roberta": config.get("pad_token_id", 1) + 1}
    positions = config.get("max_position_embeddings", 512) - offsets.get(config["model_type"], 0)
    length = sentence.get("max_seq_length") or tokenizer.get("model_max_length") or positions
    result["max_seq_length"] = min(length, positions)
    return result


def run(*arguments, given=None):
    return subprocess.run(arguments, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding="utf-8", input="" if given is None else json.dumps(given) + "\n")


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
    network = encoders.Model(small)
    text = {"text": TEXT, **({"pair": TEXT} if network.scores else {})}
    embedded = run(pith, "embed", model, "--json", "--blas", "off", "--prompt", "", given=text)
    if embedded.returncode != 0:
        return embedded.stderr or embedded.stdout, ""
    ids = json.loads(run(pith, "tokenize", model, "--json", given={"text": TEXT}).stdout)["ids"]
    if os.path.exists(os.path.join(small, "vocab.txt")) and len(ids) != 6:
        return f"{len(ids)} tokens of the small vocabulary, not 6", ""
    if network.scores:
        second = ids[1:-1] if config.get("type_vocab_size", 2) > 1 else ids[-1:] + ids[1:-1]
        types = [0] * len(ids) + [1] * (len(second) + 1)
        ids = ids + second + ids[-1:]
    answer = json.loads(embedded.stdout)
    if answer["tokens"] != len(ids):
        return f"{answer['tokens']} tokens, not {len(ids)}", ""
    vector = np.array(answer["embedding"])
    off = np.abs(vector - network.embed(ids, types if network.scores else None)).max()
    if not off <= 1e-5 * max(1, np.abs(vector).max()):
        return f"the embedding differs by {off:.2g}", ""
    said = f"{found}, within {off:.0e}"
    return "" if found == wanted else f"{found}, expected {wanted}", said


def is_encoder(directory):
    config = load(directory, "config.json") or {}
    kind = config.get("model_type")
    made = kind in ("qwen3", "gemma3_text") and \
        (load(directory, "modules.json") is not None or "Embedding" in directory)
    return kind in TYPES or made


def main():
    pith, root = os.path.abspath(sys.argv[1]), sys.argv[2]
    n_bad = n_seen = 0
    for name in sorted(os.listdir(root)):
        if not is_encoder(os.path.join(root, name)):
            continue
        with tempfile.TemporaryDirectory() as work:
            wrong, said = check(pith, os.path.join(root, name), work)
            said = re.sub(r"\S*/small: ", "", said)
        n_seen += 1
        n_bad += wrong != ""
        print(f"{'FAILED' if wrong else 'ok'} {name}: {wrong or said}")
    print(f"{n_seen - n_bad} of {n_seen} as they should be")
    sys.exit(n_bad != 0 or n_seen == 0)


if __name__ == "__main__":
    main()
