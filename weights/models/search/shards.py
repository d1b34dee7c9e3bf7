"""Reads the shards that `pairs.py pack` wrote, and says which pairs a step trains on.

What a step sees depends on its number alone. A batch is of one source, whose passages are then all
of one kind: telling a page from a gloss teaches nothing.
"""

import os
import random

import numpy as np

import pairs
from tokenizer import CLS, PAD, SEP

WIDTHS = (32, 64, 128)
# How often a source is drawn, times the square root of its number of pairs. Pages and descriptions
# are what is searched; options and sentences share most words with what answers them.
SHARES = dict(manual=3.0, package=1.5, option=0.5, sentence=0.5)


class Source:
    """The pairs of one shard."""

    def __init__(self, path):
        shard = pairs.read_shard(path)
        self.ids, self.pairs, self.negatives = shard["ids"], shard["pairs"], shard["negatives"]
        self.lengths = shard["lengths"].astype(np.int64)
        self.ends = np.cumsum(self.lengths)
        self.passages = np.unique(self.pairs[:, 1])
        self.order = None  # (epoch, the pairs' order in it), of the last batch

    def text(self, index):
        return self.ids[self.ends[index] - self.lengths[index] : self.ends[index]]

    def table(self, indices, longest):
        """The texts as rows of [CLS] ids [SEP] [PAD]..., cut to that many tokens; as wide as the
        longest of them needs."""
        width = min(longest, int(self.lengths[indices].max()) + 2)
        rows = np.full((len(indices), width), PAD, np.int16)
        for row, index in zip(rows, indices):
            text = self.text(index)[: width - 2]
            row[0], row[1 : 1 + len(text)], row[1 + len(text)] = CLS, text, SEP
        return rows

    def bag(self, indices):
        """(the ids of the texts in a row, with [CLS] and [SEP]; where each text begins)."""
        lengths = self.lengths[indices] + 2
        starts = np.cumsum(lengths) - lengths
        ids = np.empty(lengths.sum(), np.int64)
        places = np.arange(len(ids)) - np.repeat(starts + 1 - self.ends[indices]
            + self.lengths[indices], lengths)
        ids[:] = self.ids[places.clip(0, len(self.ids) - 1)]
        ids[starts], ids[starts + lengths - 1] = CLS, SEP
        return ids, starts

    def rows(self, number, count):
        """The pairs of this source's batch of that number: each epoch in an order of its own."""
        epoch, batch = divmod(number, max(1, len(self.pairs) // count))
        if self.order is None or self.order[0] != epoch:
            self.order = epoch, np.random.RandomState(epoch).permutation(len(self.pairs))
        return self.order[1][(batch * count + np.arange(count)) % len(self.pairs)]

    def batch(self, number, count, negatives):
        """(indices of the queries, indices of the passages) of a batch. Passages are the answers,
        then those that look alike; where there are too few of these, any passages."""
        rows, draw = self.rows(number, count), np.random.RandomState(number)
        queries, answers = self.pairs[rows].T
        alike = self.negatives[rows]
        order = (draw.rand(*alike.shape) + (alike < 0)).argsort(1)
        alike = np.take_along_axis(alike, order, 1)[:, :negatives]
        others = self.passages[draw.randint(len(self.passages), size=alike.shape)]
        alike = np.where(alike < 0, others, alike)
        return queries, np.concatenate([answers, alike.T.reshape(-1)])


class Sources:
    """All shards. A batch's source is drawn by the square root of its number of pairs."""

    def __init__(self, folder):
        names = sorted(name[:-3] for name in os.listdir(folder) if name.endswith(".xz"))
        self.all = [Source(os.path.join(folder, name + ".xz")) for name in names]
        weights = [
            SHARES.get(name, 1.0) * len(source.pairs) ** 0.5
            for name, source in zip(names, self.all)
        ]
        self.bounds = np.cumsum(weights) / sum(weights)

    def draw(self, step):
        at = random.Random("step/%d" % step).random()
        return min(int(np.searchsorted(self.bounds, at)), len(self.all) - 1)


def wide_tables(source, parts):
    """(places, a table of each part): of few widths, as each shape is compiled for a GPU."""
    tables = [source.table(part, max(WIDTHS)) for part in parts]
    for i, table in enumerate(tables):
        width = min(n for n in WIDTHS if n >= table.shape[1])
        tables[i] = np.pad(table, ((0, 0), (0, width - table.shape[1])), constant_values=PAD)
    return (np.arange(sum(map(len, parts))), *tables)


def close_tables(source, parts, longest, tokens):
    """(places, tables): tables of texts of like length, so that little of them is padding, each of
    about that many tokens at most. places[i]: the place in the parts of row i of the tables."""
    texts = np.concatenate(parts)
    lengths = np.minimum(source.lengths[texts] + 2, longest)
    places = np.argsort(-lengths, kind="stable")
    starts, width = [], 0
    for i, length in enumerate(lengths[places]):
        if not starts or (i - starts[-1] + 1) * width > tokens or length < 0.85 * width - 2:
            starts.append(i)
            width = length
    return (places, *(source.table(texts[of], longest) for of in np.split(places, starts[1:])))
