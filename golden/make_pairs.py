"""Makes golden/tokenizers/minilm_pairs.jsonl: pairs of texts and limits with the ids that BERT reads
for them, by a tokenizer written for this from the description of the model (Devlin et al. 2019) and
Hugging Face's documentation, with nothing but the standard library.

    python3 golden/make_pairs.py [OUT]

It first has to give the ids of every text in minilm.jsonl, which another implementation made.
Python's unicodedata is of another Unicode version than the tables behind those; the texts hold no
character where that matters.
"""

import json
import os
import sys
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENIZERS = os.path.join(HERE, "tokenizers")
IDEOGRAPHS = [(0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF),
              (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LONGEST_WORD = 100
LIMITS = [0, 4, 5, 6, 7, 8, 9, 12, 16, 17, 32, 64, 128, 255, 256]


def read_lines(name):
    with open(os.path.join(TOKENIZERS, name), encoding="ascii") as file:
        return [json.loads(line) for line in file]


class Tokenizer:
    def __init__(self, vocab_path):
        with open(vocab_path, encoding="utf-8", newline="\n") as file:
            self.ids = {line.rstrip("\n"): i for i, line in enumerate(file)}

    @staticmethod
    def normalize(text):
        cleaned = []
        for c in text:
            if c in "\t\n\r":
                cleaned.append(" ")
            elif c in "\0\ufffd" or unicodedata.category(c) in ("Cc", "Cf", "Co"):
                continue
            elif unicodedata.category(c) in ("Zs", "Zl", "Zp"):
                cleaned.append(" ")
            elif any(first <= ord(c) <= last for first, last in IDEOGRAPHS):
                cleaned += [" ", c, " "]
            else:
                cleaned.append(c)
        text = unicodedata.normalize("NFD", "".join(cleaned))
        # One by one, so that a sigma at the end of a word is like any other.
        return "".join(c.lower() for c in text if unicodedata.category(c) != "Mn")

    @staticmethod
    def words(text):
        word = ""
        for c in text + " ":
            punctuation = (c.isascii() and c.isprintable() and not c.isalnum() and c != " ") or \
                unicodedata.category(c).startswith("P")
            if punctuation or c == " ":
                if word:
                    yield word
                word = ""
                if punctuation:
                    yield c
            else:
                word += c

    def pieces(self, word):
        found = []
        rest = word
        while rest:
            prefix = "##" if found else ""
            end = next((n for n in range(len(rest), 0, -1) if prefix + rest[:n] in self.ids), 0)
            if end == 0 or len(word) > LONGEST_WORD:
                return [self.ids["[UNK]"]]
            found.append(self.ids[prefix + rest[:end]])
            rest = rest[end:]
        return found

    def plain(self, text):
        return [i for word in self.words(self.normalize(text)) for i in self.pieces(word)]

    def encode(self, text):
        """Ids without [CLS] and [SEP]; special tokens written in the text count."""
        ids = []
        while text:
            places = [(text.find(s), s) for s in SPECIAL if s in text]
            start, token = min(places) if places else (len(text), "")
            ids += self.plain(text[:start])
            ids += [self.ids[token]] if token else []
            text = text[start + len(token):]
        return ids

    def single(self, text, limit):
        ids = self.encode(text)
        kept = ids[:limit - 2] if limit else ids
        kept = [self.ids["[CLS]"], *kept, self.ids["[SEP]"]]
        return kept, len(kept), len(kept) < len(ids) + 2

    @staticmethod
    def longest_first(n1, n2, target):
        """The strategy of that name in Hugging Face's Rust tokenizers."""
        if n1 + n2 <= target:
            return n1, n2
        swap = n1 > n2
        if swap:
            n1, n2 = n2, n1
        n2 = n1 if n1 > target else max(n1, target - n1)
        if n1 + n2 > target:
            n1 = target // 2
            n2 = n1 + target % 2
        return (n2, n1) if swap else (n1, n2)

    def pair(self, first, second, limit):
        a, b = self.encode(first), self.encode(second)
        n = len(a) + len(b)
        if limit:
            n_a, n_b = self.longest_first(len(a), len(b), limit - 3)
            a, b = a[:n_a], b[:n_b]
        head = [self.ids["[CLS]"], *a, self.ids["[SEP]"]]
        return head + b + [self.ids["[SEP]"]], len(head), len(a) + len(b) < n


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(TOKENIZERS, "minilm_pairs.jsonl")
    tokenizer = Tokenizer(os.path.join(HERE, "minilm", "vocab.txt"))
    cases = read_lines("minilm.jsonl")
    for i, case in enumerate(cases):
        ids = tokenizer.single(case["text"], 0)[0]
        assert ids == case["ids"], f"minilm.jsonl:{i + 1}: {ids} instead of {case['ids']}"
    texts = [case["text"] for case in cases]
    with open(out, "w", encoding="ascii") as file:
        for i in range(150):
            first, second = texts[(i * 89) % len(texts)], texts[(i * 211 + 5) % len(texts)]
            limit = LIMITS[i % len(LIMITS)]
            pair = i % 5 != 4
            ids, n_first, truncated = tokenizer.pair(first, second, limit) if pair else \
                tokenizer.single(first, limit)
            file.write(json.dumps({"text": first, "pair": second if pair else None, "limit": limit,
                                   "ids": ids, "n_first": n_first, "truncated": truncated}) + "\n")


if __name__ == "__main__":
    main()
