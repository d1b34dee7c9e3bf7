"""The search encoder's tokenizer: WordPiece of 12,000 pieces, as BERT reads it.

    python3 tokenizer.py FOLDER/texts.jsonl vocab.txt     learns pieces from the texts of pairs.py

Texts become ids by `pith tokenize` (Schuster and Nakajima 2012; Devlin et al. 2019). The pieces are
learned by byte-pair merging (Sennrich et al. 2016) of the characters of words, the most frequent
pair first. Needs Python alone. vocab.txt is kept in git; training the model does not need this
command.
"""

import argparse
import heapq
import itertools
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict

import sources

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "..", "..", "golden"))
from make_pairs import LONGEST_WORD, SPECIAL, Tokenizer  # noqa: E402

PAD, UNK, CLS, SEP, MASK = range(5)


def words(text):
    """The words and punctuation marks of a text, as BERT's uncased models see it."""
    return Tokenizer.words(Tokenizer.normalize(text))


def encode(pith, vocabulary, texts):
    """The ids of texts, without [CLS] and [SEP], by one run of the pith command.

    As BERT's other tokenizers do, pith reads a special token that is written in a text as such.
    Here a text that speaks of [MASK] is plain text: a space within, where words end anyway, hides
    the token and changes nothing else."""
    lines = []
    for text in texts:
        for token in SPECIAL:
            text = text.replace(token, "[ " + token[1:])
        lines.append(json.dumps({"text": text}) + "\n")
    done = subprocess.run(
        [pith, "tokenize", vocabulary, "--json"],
        input="".join(lines),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    return [json.loads(line)["ids"][1:-1] for line in done.stdout.splitlines()]


# ---- Learning ------------------------------------------------------------------------------------


class Merger:
    """Words as lists of pieces, and how often each pair of neighbours occurs."""

    def __init__(self, counts):
        self.words, self.counts, self.where = [], [], defaultdict(set)
        self.pairs = Counter()
        for word, count in sorted(counts.items()):
            pieces = [word[0]] + ["##" + c for c in word[1:]]
            for pair in zip(pieces, pieces[1:]):
                self.pairs[pair] += count
                self.where[pair].add(len(self.words))
            self.words.append(pieces)
            self.counts.append(count)
        self.heap = [(-count, pair) for pair, count in self.pairs.items()]
        heapq.heapify(self.heap)

    def best(self):
        """The most frequent pair, the first of the alphabet among equals, or None."""
        while self.heap:
            count, pair = heapq.heappop(self.heap)
            now = self.pairs.get(pair, 0)
            if now == -count:
                return pair
            if now > 0:
                heapq.heappush(self.heap, (-now, pair))
        return None

    def merge(self, pair):
        """Makes one piece of that pair everywhere; returns the piece."""
        piece, touched = pair[0] + pair[1][2:], set()
        for i in self.where.pop(pair):
            old, count = self.words[i], self.counts[i]
            new, j = [], 0
            while j < len(old):
                both = j + 1 < len(old) and old[j] == pair[0] and old[j + 1] == pair[1]
                new.append(piece if both else old[j])
                j += 2 if both else 1
            for sign, pieces in ((-1, old), (1, new)):
                for p in zip(pieces, pieces[1:]):
                    self.pairs[p] += sign * count
                    touched.add(p)
            for p in zip(new, new[1:]):
                self.where[p].add(i)
            self.words[i] = new
        del self.pairs[pair]
        for p in touched - {pair}:
            if self.pairs[p] > 0:
                heapq.heappush(self.heap, (-self.pairs[p], p))
        return piece


def learn(counts, size, rare_character=100, rare_word=2):
    """The lines of a vocab.txt of that size, from how often each word occurs. Words with rare
    characters are left out: they will be unknown."""
    characters = Counter()
    for word, count in counts.items():
        for c in word:
            characters[c] += count
    alphabet = {c for c, count in characters.items() if count >= rare_character}
    merger = Merger(
        {
            word: count
            for word, count in counts.items()
            if count >= rare_word and len(word) <= LONGEST_WORD and alphabet.issuperset(word)
        }
    )
    first = {word[0] for word in merger.words}
    later = {piece for word in merger.words for piece in word[1:]}
    pieces = SPECIAL + sorted(first) + sorted(later)
    known = set(pieces)
    while len(pieces) < size:
        pair = merger.best()
        if pair is None:
            break
        piece = merger.merge(pair)
        if piece not in known:  # two ways to one piece
            known.add(piece)
            pieces.append(piece)
    return pieces


def main():
    parser = argparse.ArgumentParser(
        description="Learns the search encoder's WordPiece vocabulary."
    )
    parser.add_argument("texts", help="the texts.jsonl of pairs.py")
    parser.add_argument("output")
    parser.add_argument("--pieces", type=int, default=12000)
    parser.add_argument("--every", type=int, default=4, help="learn from one line in so many")
    arguments = parser.parse_args()
    counts = Counter()
    for pair in itertools.islice(sources.read_lines(arguments.texts), 0, None, arguments.every):
        for text in [pair["query"]] + pair["passages"]:
            counts.update(words(text))
    pieces = learn(counts, arguments.pieces)
    with open(arguments.output, "w", encoding="utf-8") as file:
        file.write("".join(piece + "\n" for piece in pieces))
    print(
        "%d pieces from %d words, %d of them different"
        % (len(pieces), sum(counts.values()), len(counts))
    )


if __name__ == "__main__":
    main()
