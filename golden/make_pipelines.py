"""Tokenizers of many pipelines and what the Rust library makes of texts with them.

    npm install tokenizers@0.23.2            # in a directory outside the tree
    python3 golden/make_pipelines.py DIRECTORY_WITH_NODE_MODULES > golden/tokenizers/pipelines.jsonl

Every line is a tokenizer made from one in the tree (`base`), with other sections in `replace` and
other members of its model in `model`, and `cases`: texts, the ids that Hugging Face's tokenizers
gives for them without tokens around, and what those ids decode to. The pipelines are drawn at
random from a fixed seed, out of every kind of step that a tokenizer.json can hold; the few
combinations where offsets of removed characters decide what is first (Metaspace "first" behind a
normalizer) or where an added token is matched in normalised text and shown so when decoded are left
out, and so are files that the library refuses.
"""

import base64
import json
import random
import subprocess
import sys
import tempfile

MARK = "\u2581"
MAP = "golden/tokenizers/unigram/tokenizer.model"  # stands for the map of that model
BASES = {
    "unigram": "golden/tokenizers/unigram/tokenizer.json",
    "characters": "golden/llama-gqa/tokenizer.json",
    "bytes": "golden/llama3/tokenizer.json",
}
N_PIPELINES = 150
N_RANDOM, N_KNOWN = 9, 5

ORACLE = """
const {Tokenizer} = require('tokenizers');
const {texts} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
(async () => {
    const t = Tokenizer.fromFile(process.argv[1]);
    const out = [];
    for (const text of texts) {
        const ids = (await t.encode(text, null, {addSpecialTokens: false})).getIds();
        out.push({text, ids, decoded: await t.decode(ids, true)});
    }
    console.log(JSON.stringify(out));
})().catch(e => { console.error(String(e)); process.exit(3); });
"""

POOL = [
    "a", "b", "Z", "the ", "The ", " ", "  ", "\n", "\t", "\u3000", "é", "e\u0301", "ﬁ", "Å", "①",
    "日", "本", "語", "ا", "\u064b", "👩\u200d👩", "🎉", "\u200b", "\ufeff", "\x01", "\x7f", "0", "12",
    "½", ".", "!", "'s", "—", "_", "<s>", "</s>", "<mask>", MARK, "İ", "ß", "Σ", "\ufdfa", "가", "각",
    "\u0327\u0301", "क्षि", "\u00a0", "\u2028", "xxx", "㍿", "Ａ", "か\u3099", "\u00ad", "Wolf,",
]


def charsmap(path):
    """The bytes of normalizer_spec.precompiled_charsmap in a SentencePiece model."""

    def varint(data, at):
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value, at

    def fields(data):
        at = 0
        while at < len(data):
            tag, at = varint(data, at)
            if tag & 7 == 2:
                n, at = varint(data, at)
                yield tag >> 3, data[at : at + n]
                at += n
            elif tag & 7 == 0:
                _, at = varint(data, at)
            else:
                at += 8 if tag & 7 == 1 else 4

    with open(path, "rb") as file:
        model = file.read()
    spec = next(value for number, value in fields(model) if number == 3)
    return next(value for number, value in fields(spec) if number == 2)


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def maybe(self, p):
        return self.r.random() < p

    def normalizer_step(self):
        pick = self.r.choice
        kind = pick(
            ["NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "StripAccents"]
            + ["Strip", "Prepend", "Replace", "Replace", "Precompiled"]
        )
        step = {"type": kind}
        if kind == "Strip":
            step.update(strip_left=self.maybe(0.5), strip_right=self.maybe(0.5))
        elif kind == "Prepend":
            step["prepend"] = pick([MARK, "x ", "日"])
        elif kind == "Precompiled":
            step["precompiled_charsmap"] = MAP
        elif kind == "Replace":
            regexes = [" {2,}", "\\s+", "[0-9]", "\\p{P}", "a*", "(?i:the)", "(?<=b)a"]
            pattern = pick([{"String": s} for s in (" ", "e", "日本")] + [{"Regex": r} for r in regexes])
            step.update(pattern=pattern, content=pick(["", " ", MARK, "ab", "日"]))
        return step

    def normalizer(self):
        n = self.r.randrange(5)
        if n == 0:
            return None
        if n == 1:
            return self.normalizer_step()
        steps = [self.normalizer_step() for _ in range(self.r.randrange(4))]
        if self.maybe(0.2):
            steps.append({"type": "Sequence", "normalizers": [self.normalizer_step()]})
        return {"type": "Sequence", "normalizers": steps}

    def pre_tokenizer_step(self, marks):
        pick = self.r.choice
        behavior = pick(
            ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
        )
        kinds = ["Split", "Split", "Digits", "Punctuation", "Whitespace", "WhitespaceSplit"]
        kinds += ["CharDelimiterSplit", "BertPreTokenizer"]
        kind = pick(kinds + ["Metaspace"] * (5 if marks else 0))
        step = {"type": kind}
        if kind == "Split":
            regexes = ["\\p{N}{1,3}", "\\s+", "[A-Za-z]+|[^A-Za-z]", "\\p{L}+", "a*"]
            pattern = pick([{"String": " "}, {"String": "e"}] + [{"Regex": r} for r in regexes])
            step.update(pattern=pattern, behavior=behavior, invert=self.maybe(0.3))
        elif kind == "Digits":
            step["individual_digits"] = self.maybe(0.5)
        elif kind == "Punctuation":
            step["behavior"] = behavior
        elif kind == "CharDelimiterSplit":
            step["delimiter"] = pick(" e日")
        elif kind == "Metaspace":
            step.update(replacement=pick([MARK, MARK, MARK, "_"]), split=self.maybe(0.6))
            step["prepend_scheme"] = pick(["always", "first", "never"])
        return step

    def pre_tokenizer(self, kind):
        steps = [self.pre_tokenizer_step(kind != "bytes") for _ in range(self.r.randrange(3))]
        if kind == "bytes":
            byte_level = {
                "type": "ByteLevel",
                "add_prefix_space": self.maybe(0.4),
                "trim_offsets": True,
                "use_regex": self.maybe(0.5),
            }
            steps.insert(self.r.randrange(len(steps) + 1), byte_level)
        if len(steps) == 1 and self.maybe(0.6):
            return steps[0]
        return {"type": "Sequence", "pretokenizers": steps} if steps else None

    def decoder(self, kind):
        if kind == "bytes":
            return {"type": "ByteLevel"}
        scheme = self.r.choice(["always", "first", "never"])
        mark = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": True}
        replace = {"type": "Replace", "pattern": {"String": MARK}, "content": " "}
        double = {"type": "Replace", "pattern": {"String": "e"}, "content": "ee"}
        start = {"type": "Strip", "content": " ", "start": self.r.randrange(3), "stop": 0}
        both = {"type": "Strip", "content": self.r.choice(" e"), "start": 1, "stop": 1}
        fallback, fuse = {"type": "ByteFallback"}, {"type": "Fuse"}
        steps = self.r.choice(
            [
                [],
                [mark],
                [replace, fallback, fuse, start],
                [replace, fallback, fuse],
                [fallback, mark],
                [replace, both],
                [double, replace, fuse, start],
            ]
        )
        if not steps:
            return None
        return steps[0] if len(steps) == 1 else {"type": "Sequence", "decoders": steps}

    def pipeline(self):
        kind = self.r.choice(["unigram", "unigram", "characters", "characters", "bytes"])
        replace = {
            "normalizer": self.normalizer(),
            "pre_tokenizer": self.pre_tokenizer(kind),
            "decoder": self.decoder(kind),
            "post_processor": None,
        }
        model = {}
        if kind == "characters":
            model = {"ignore_merges": self.maybe(0.3), "fuse_unk": self.maybe(0.5)}
            model["byte_fallback"] = self.maybe(0.7)
        return {"base": BASES[kind], "replace": replace, "model": model}

    def text(self):
        return "".join(self.r.choice(POOL) for _ in range(self.r.randrange(1, 25)))


def build(line):
    with open(line["base"], encoding="utf-8") as file:
        document = json.load(file)
    text = json.dumps(line["replace"]).replace(MAP, base64.b64encode(charsmap(MAP)).decode())
    document.update(json.loads(text))
    document["model"].update(line["model"])
    return document


def main():
    maker = Maker(20261128)
    with open("golden/tokenizers/llama2.jsonl", encoding="utf-8") as file:
        known = [json.loads(line)["text"] for line in file]
    known = [text for text in known if 0 < len(text) < 200]
    n = 0
    while n < N_PIPELINES:
        line = maker.pipeline()
        first = '"first"' in json.dumps(line["replace"]["pre_tokenizer"])
        if first and line["replace"]["normalizer"] is not None:
            continue
        texts = [maker.text() for _ in range(N_RANDOM)] + maker.r.sample(known, N_KNOWN)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(build(line), file)
            file.flush()
            run = subprocess.run(
                ["node", "-e", ORACLE, file.name],
                input=json.dumps({"texts": texts}),
                cwd=sys.argv[1],
                capture_output=True,
                text=True,
            )
        if run.returncode != 0:
            continue
        line["cases"] = json.loads(run.stdout)
        print(json.dumps(line))
        n += 1


if __name__ == "__main__":
    main()
