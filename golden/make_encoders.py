"""Makes golden/encoders: small encoders of every family with random weights, their tokenizers, and
what NumPy in float64 (encoders.py) makes of some texts.

    python3 golden/make_encoders.py [build/pith [OUT]]

The ids are those of `pith tokenize`, whose tokenizers have tests of their own; of pairs they are put
together here. Running it again gives identical files.
"""

import json
import os
import shutil
import sys
import tempfile

import numpy as np

import encoders
from check_reference import HERE
from command import Pith
from containers import write_safetensors

LENGTH, VOCAB, HIDDEN, INNER, HEADS = 40, 320, 32, 48, 4
TEXTS = ["", "a", "The wolf knocked at the door.", "once upon a time there was a king " * 9,
         "king, door & wolf"]
PAIRS = [("who knocked", "the wolf at the door"), ("a king", ""), ("wolf", "a king " * 40)]
WORDS = ("the a an and of to in was he she it that his her with as for had at on said not they him "
         "but be you all so when there then out who them would into very little one man king door "
         "wolf house old went time came once upon king's knocked knock ing ed er s").split()
POST = {"hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": 2,
        "num_attention_heads": HEADS, "vocab_size": VOCAB, "max_position_embeddings": 48}
GATED = {**POST, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6,
         "max_position_embeddings": 128}

# name: (seed, tokenizer, config.json, pooling, dense layers (width, activation), normalised)
CASES = {
    "roberta": (1, "bytes", {**POST, "architectures": ["RobertaModel"], "model_type": "roberta",
                             "type_vocab_size": 1, "layer_norm_eps": 1e-5}, "mean", [], True),
    "xlm-roberta": (2, "unigram", {**POST, "architectures": ["XLMRobertaModel"],
                                   "model_type": "xlm-roberta", "type_vocab_size": 1,
                                   "layer_norm_eps": 1e-5}, "cls", [], True),
    "mpnet": (3, "mpnet", {**POST, "architectures": ["MPNetModel"], "model_type": "mpnet",
                           "layer_norm_eps": 1e-5}, "mean", [], True),
    "distilbert": (4, "bert", {"architectures": ["DistilBertModel"], "model_type": "distilbert",
                               "dim": HIDDEN, "hidden_dim": INNER, "n_layers": 2, "n_heads": HEADS,
                               "vocab_size": VOCAB, "max_position_embeddings": 48},
                   "cls", [(24, "Tanh")], False),
    "modernbert": (5, "bytes", {**POST, "architectures": ["ModernBertModel"],
                                "model_type": "modernbert", "local_attention": 12,
                                "num_hidden_layers": 4, "max_position_embeddings": 128},
                   "mean", [], True),
    "nomic": (6, "bert", {"architectures": ["NomicBertModel"], "model_type": "nomic_bert",
                          "n_embd": HIDDEN, "n_inner": INNER, "n_layer": 2, "n_head": HEADS,
                          "n_positions": 128, "vocab_size": VOCAB, "layer_norm_epsilon": 1e-12,
                          "activation_function": "swiglu", "rotary_emb_base": 1000,
                          "rotary_emb_fraction": 1.0, "rotary_scaling_factor": None,
                          "qkv_proj_bias": False, "mlp_fc1_bias": False, "mlp_fc2_bias": False},
              "mean", [], True),
    "qwen3": (7, "bytes", {**GATED, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
                           "rope_theta": 1000000}, "lasttoken", [], True),
    "gemma3": (8, "bytes", {**GATED, "architectures": ["Gemma3TextModel"],
                            "model_type": "gemma3_text", "use_bidirectional_attention": True,
                            "sliding_window": 12, "query_pre_attn_scalar": 16,
                            "hidden_activation": "gelu_pytorch_tanh",
                            "layer_types": ["sliding_attention", "full_attention"]},
               "mean", [(64, "Identity"), (24, "Identity")], True),
    "bert-scores": (9, "bert", {**POST, "architectures": ["BertForSequenceClassification"],
                                "model_type": "bert", "id2label": {"0": "LABEL_0"},
                                "sentence_transformers": {
                                    "activation_fn": "torch.nn.modules.linear.Identity"}},
                    None, [], False),
    "xlm-roberta-scores": (10, "unigram", {
        **POST, "architectures": ["XLMRobertaForSequenceClassification"],
        "model_type": "xlm-roberta", "type_vocab_size": 1, "layer_norm_eps": 1e-5,
        "id2label": {"0": "LABEL_0"}}, None, [], False),
}


def shapes(c):
    """Names and shapes of the checkpoint's tensors."""
    kind, get = c["model_type"], c.get
    hidden, inner = get("hidden_size", HIDDEN), get("intermediate_size", INNER)
    layers = get("num_hidden_layers", get("n_layers", get("n_layer", 2)))
    scores = "SequenceClassification" in (c.get("architectures") or [""])[0]
    prefix = {"bert": "bert.", "xlm-roberta": "roberta."}.get(kind, "") if scores else ""

    def dense(name, rows, columns, bias=True):
        yield name + ".weight", (rows, columns)
        if bias:
            yield name + ".bias", (rows,)

    def norm(name, bias=True):
        yield from ((name + end, (hidden,)) for end in (".weight", ".bias")[: 1 + bias])

    if kind in ("qwen3", "gemma3_text"):
        q, kv = c["head_dim"] * HEADS, c["head_dim"] * c["num_key_value_heads"]
        yield "embed_tokens.weight", (VOCAB, hidden)
        yield from norm("norm", False)
        for i in range(layers):
            p = f"layers.{i}."
            for name, rows, columns in (("q", q, hidden), ("k", kv, hidden), ("v", kv, hidden),
                                        ("o", hidden, q)):
                yield from dense(p + f"self_attn.{name}_proj", rows, columns, False)
            for name in "qk":
                yield p + f"self_attn.{name}_norm.weight", (c["head_dim"],)
            for name in ("input_layernorm", "post_attention_layernorm") + \
                    (("pre_feedforward_layernorm", "post_feedforward_layernorm")
                     if kind == "gemma3_text" else ()):
                yield from norm(p + name, False)
            yield from dense(p + "mlp.gate_proj", inner, hidden, False)
            yield from dense(p + "mlp.up_proj", inner, hidden, False)
            yield from dense(p + "mlp.down_proj", hidden, inner, False)
        return
    if kind == "modernbert":
        yield "embeddings.tok_embeddings.weight", (VOCAB, hidden)
        yield from norm("embeddings.norm", False)
        yield from norm("final_norm", False)
        for i in range(layers):
            p = f"layers.{i}."
            if i > 0:
                yield from norm(p + "attn_norm", False)
            yield from norm(p + "mlp_norm", False)
            yield from dense(p + "attn.Wqkv", 3 * hidden, hidden, False)
            yield from dense(p + "attn.Wo", hidden, hidden, False)
            yield from dense(p + "mlp.Wi", 2 * inner, hidden, False)
            yield from dense(p + "mlp.Wo", hidden, inner, False)
        return
    nomic = kind == "nomic_bert"
    where, qkv, o, first, up, down, second = encoders.Model.POST.get(kind, encoders.Model.POST[None])
    yield prefix + "embeddings.word_embeddings.weight", (VOCAB, hidden)
    if not nomic:
        yield prefix + "embeddings.position_embeddings.weight", (c["max_position_embeddings"], hidden)
    if kind not in ("mpnet", "distilbert"):
        yield prefix + "embeddings.token_type_embeddings.weight", (get("type_vocab_size", 2), hidden)
    yield from norm("emb_ln" if nomic else prefix + "embeddings.LayerNorm")
    if kind == "mpnet":
        yield "encoder.relative_attention_bias.weight", (32, HEADS)
    for i in range(layers):
        p = f"{prefix}{where}{i}."
        for name in qkv:
            yield from dense(p + name, hidden * (3 // len(qkv)), hidden, not nomic)
        yield from dense(p + o, hidden, hidden, not nomic)
        yield from norm(p + first)
        for name in [up] if up else ["mlp.fc11", "mlp.fc12"]:
            yield from dense(p + name, inner, hidden, not nomic)
        yield from dense(p + down, hidden, inner, not nomic)
        yield from norm(p + second)
    if scores:
        pooler = "bert.pooler.dense" if kind == "bert" else "classifier.dense"
        yield from dense(pooler, hidden, hidden)
        yield from dense("classifier" if kind == "bert" else "classifier.out_proj", 1, hidden)


def random_tensors(seed, named):
    numbers, tensors = np.random.default_rng(seed), {}
    for name, shape in named:
        is_norm = "norm" in name.lower() or "emb_ln" in name
        spread = 1.0 if "relative" in name else 0.1 if len(shape) == 1 else 0.2
        values = numbers.standard_normal(shape) * spread + (is_norm and name.endswith("weight"))
        tensors[name] = ("F16", values.astype(np.float16))
    return tensors


def added(tokens):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
    return [{"id": i, "content": text, **flags} for i, text in enumerate(tokens)]


def template(first, last, pair):
    def token(name):
        return {"SpecialToken": {"id": name, "type_id": 0}}

    def text(name):
        return {"Sequence": {"id": name, "type_id": 0}}

    ids = {"<s>": 0, "</s>": 2}
    return {"type": "TemplateProcessing", "single": [token(first), text("A"), token(last)],
            "pair": [token(first), text("A"), token(last), *[token(last)] * (pair - 1), text("B"),
                     token(last)],
            "special_tokens": {n: {"id": n, "ids": [i], "tokens": [n]} for n, i in ids.items()}}


def bytes_to_unicode():
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = iter(range(256, 512))
    return [chr(b) if b in kept else chr(next(rest)) for b in range(256)]


def write_tokenizer(directory, kind):
    if kind in ("bert", "mpnet"):
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] if kind == "bert" else \
            ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
        letters = "abcdefghijklmnopqrstuvwxyz.,&'"
        words = special + list(letters) + ["##" + c for c in letters] + WORDS[:-7] + \
            ["##" + w for w in WORDS[-4:]]
        words = list(dict.fromkeys(words))
        if kind == "bert":
            with open(os.path.join(directory, "vocab.txt"), "w") as file:
                file.write("\n".join(words) + "\n")
            settings = {"do_lower_case": True, "model_max_length": LENGTH,
                        "tokenizer_class": "BertTokenizer"}
        else:
            settings = {"model_max_length": LENGTH}
            write_json(directory, "tokenizer.json", {
                "version": "1.0", "truncation": None, "padding": None,
                "added_tokens": added(special),
                "normalizer": {"type": "BertNormalizer", "clean_text": True, "lowercase": True,
                               "handle_chinese_chars": True, "strip_accents": None},
                "pre_tokenizer": {"type": "BertPreTokenizer"},
                "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2],
                                   "cls": ["<s>", 0], "trim_offsets": True,
                                   "add_prefix_space": False},
                "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
                "model": {"type": "WordPiece", "unk_token": "[UNK]",
                          "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                          "vocab": {w: i for i, w in enumerate(words)}}})
        write_json(directory, "tokenizer_config.json", settings)
        return
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    if kind == "unigram":
        pieces = [[t, 0.0] for t in special] + [["\u2581" + w, -4.0 - i / 16] for i, w in enumerate(WORDS)]
        pieces += [[c, -9.0 - i / 8] for i, c in enumerate("\u2581abcdefghijklmnopqrstuvwxyz.,&'TW")]
        model = {"type": "Unigram", "unk_id": 3, "vocab": pieces}
        mark = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
        parts = {"normalizer": None, "pre_tokenizer": mark, "decoder": mark}
    else:
        alphabet = bytes_to_unicode()
        vocab = {t: i for i, t in enumerate(special + alphabet)}
        merges = ["t h", "th e", "\u0120 the", "\u0120 a", "i n", "e r", "k in", "kin g"]
        vocab.update({m.replace(" ", ""): len(vocab) + i for i, m in enumerate(merges)})
        model = {"type": "BPE", "vocab": vocab, "merges": merges}
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                 "use_regex": True}
        parts = {"normalizer": None, "pre_tokenizer": level, "decoder": level}
    write_json(directory, "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added(special),
        **parts, "post_processor": template("<s>", "</s>", 2), "model": model})
    write_json(directory, "tokenizer_config.json", {"model_max_length": LENGTH})


def write_json(directory, name, value):
    os.makedirs(os.path.dirname(os.path.join(directory, name)), exist_ok=True)
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


def write_modules(directory, seed, width, pooling, dense, normalised):
    modules = ["Transformer", "Pooling"] + ["Dense"] * len(dense) + ["Normalize"] * normalised
    write_json(directory, "modules.json",
               [{"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "",
                 "type": f"sentence_transformers.models.{kind}"} for i, kind in enumerate(modules)])
    write_json(directory, "1_Pooling/config.json", {"pooling_mode": pooling})
    for i, (out, activation) in enumerate(dense):
        package = "linear" if activation == "Identity" else "activation"
        path, bias = f"{i + 2}_Dense", activation != "Identity"
        write_json(directory, path + "/config.json",
                   {"in_features": width, "out_features": out, "bias": bias,
                    "activation_function": f"torch.nn.modules.{package}.{activation}"})
        named = [("linear.weight", (out, width))] + [("linear.bias", (out,))] * bias
        write_safetensors(os.path.join(directory, path, "model.safetensors"),
                          random_tensors(100 * seed + i, named))
        width = out


def pair_ids(pith, model, pair, roberta):
    """Longest first, as `pith` cuts it: both halves whole where they fit."""
    first, second = (ids[1:-1] for ids in pith.tokenize(model, list(pair)))
    begin, end = pith.tokenize(model, [""])[0]
    room = LENGTH - (4 if roberta else 3)
    if len(first) + len(second) > room:
        short = min(len(first), len(second), room // 2)
        first, second = (first[:short], second[:room - short]) if len(first) <= len(second) else \
            (first[:room - short], second[:short])
    ids = [begin, *first, end, *[end] * roberta, *second, end]
    return ids, [0] * (len(first) + 2) + [1] * (len(ids) - len(first) - 2)


def make(pith, directory, seed, tokenizer, config, pooling, dense, normalised):
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    write_json(directory, "config.json", config)
    write_tokenizer(directory, tokenizer)
    write_safetensors(os.path.join(directory, "model.safetensors"),
                      random_tensors(seed, shapes(config)))
    if pooling:
        write_modules(directory, seed, HIDDEN, pooling, dense, normalised)
    model = encoders.Model(directory)
    with tempfile.TemporaryDirectory() as scratch:
        converted = os.path.join(scratch, "model.pith")
        pith.convert(directory, converted, "f32")
        if model.scores:
            both = [pair_ids(pith, converted, pair, tokenizer != "bert") for pair in PAIRS]
            ids, types = [list(part) for part in zip(*both)]
            expected = {"texts": [{"text": a, "pair": b} for a, b in PAIRS], "ids": ids,
                        "types": types}
        else:
            uncut = pith.tokenize(converted, TEXTS)
            ids = [t if len(t) <= LENGTH else t[:LENGTH - 1] + t[-1:] for t in uncut]
            types = [None] * len(ids)
            expected = {"texts": TEXTS, "ids": ids, "ids_uncut": uncut}
    expected["embeddings"] = [[float(f"{x:.9g}") for x in model.embed(i, t)]
                              for i, t in zip(ids, types)]
    write_json(directory, "expected.json", expected)


def main():
    pith = Pith(sys.argv[1] if len(sys.argv) > 1 else "build/pith")
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "encoders")
    for name, case in CASES.items():
        make(pith, os.path.join(out, name), *case)


if __name__ == "__main__":
    main()
