"""Makes the word vectors that the search encoder starts from, in minutes instead of hours.

    python3 words.py DATA words.npz       on CPUs; DATA is what `pairs.py pack` wrote

An encoder whose layers change nothing yet is a mean of word vectors. That is cheap to train, as
a text costs its additions alone. First the vectors are those of which words stand near which: the
singular vectors of positive pointwise mutual information (Levy and Goldberg 2014, "Neural Word
Embedding as Implicit Matrix Factorization"), and frequent words count less (Arora et al. 2017). Then
queries find their passages, with the loss of train.py. Needs torch and numpy.

LayerNorm makes all words equally long. So that some still count less, two coordinates of opposite
signs hold what is to be lost, and the last LayerNorm begins with a gain of 0 there:

    a word of weight 0.6    0.6 x its vector, and +-v where 0.6 ^ 2 + 2 v ^ 2 = 1
"""

import argparse
import math
import os
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import training  # before numpy, whose threads it limits  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import shards  # noqa: E402
from losses import contrast  # noqa: E402
from tokenizer import SPECIAL  # noqa: E402

WINDOW = 6  # tokens to either side that are near
LOST = 2  # coordinates that the last LayerNorm drops


def near(data, vocab):
    """[vocab, vocab]: how often two pieces stand near each other, by one over their distance."""
    counts = np.zeros(vocab * vocab, np.float32)
    for source in data.all:
        text = np.repeat(np.arange(len(source.lengths)), source.lengths)
        ids = source.ids.astype(np.int64)
        for distance in range(1, WINDOW + 1):
            same = text[distance:] == text[:-distance]
            codes = ids[:-distance][same] * vocab + ids[distance:][same]
            codes, times = np.unique(codes, return_counts=True)
            counts[codes] += times / np.float32(distance)
    counts = counts.reshape(vocab, vocab)
    return counts + counts.T


def factors(counts, width):
    """[vocab, width]: the singular vectors of PPMI, by the roots of the singular values."""
    times = counts.sum(1) + 1e-9
    context = times**0.75 / (times**0.75).sum()
    ppmi = counts / times[:, None] / context
    np.log(np.maximum(ppmi, 1.0), out=ppmi)
    basis = np.random.RandomState(1).randn(len(ppmi), width + 32).astype(np.float32)
    for _ in range(6):  # Halko et al. 2011, algorithm 4.4
        basis = np.linalg.qr(ppmi @ (ppmi.T @ basis))[0]
    left, values, _ = np.linalg.svd(basis.T @ ppmi, full_matrices=False)
    return (basis @ left[:, :width]) * np.sqrt(values[:width])


def weighted(vectors, share):
    """[vocab, width + LOST]: the vectors, as the module's comment says. share: of all tokens."""
    rows = vectors - vectors.mean(1, keepdims=True)
    draw = np.random.RandomState(2).randn(*rows.shape)
    rows = np.where(np.abs(rows).sum(1, keepdims=True) > 1e-6, rows, draw)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weight = (1e-3 / (1e-3 + share))[:, None].clip(0.05)
    lost = np.sqrt((1 - weight**2) / 2)
    table = np.concatenate([weight * rows, lost, -lost], 1)
    return (table * math.sqrt(table.shape[1])).astype(np.float32)


class Model(torch.nn.Module):
    """Word vectors, the last LayerNorm's gain, and the scale of similarities."""

    def __init__(self, table):
        super().__init__()
        self.words = torch.nn.Parameter(torch.from_numpy(table))
        gain = torch.ones(table.shape[1])
        gain[-LOST:] = 0.0
        self.gain, self.scale = torch.nn.Parameter(gain), torch.nn.Parameter(
            torch.tensor(math.log(20.0))
        )

    def forward(self, ids, starts):
        table = F.layer_norm(self.words, self.gain.shape) * self.gain
        return F.normalize(F.embedding_bag(ids, table, starts, mode="mean"), dim=-1)


def train(model, data, options):
    """Adam over some steps, at a rate that falls to 0 over the last third."""
    groups = [dict(params=[model.words], rate=options.rate)]
    groups += [dict(params=[model.gain, model.scale], rate=1e-2)]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
    taken, losses, begin = [0] * len(data.all), [], time.time()
    for step in range(options.steps):
        which = data.draw(step)
        source = data.all[which]
        queries, passages = source.batch(taken[which], options.rows, options.negatives)
        taken[which] += 1
        made = model(*map(torch.from_numpy, source.bag(np.concatenate([queries, passages]))))
        loss = contrast(made[: len(queries)], made[len(queries) :], torch.from_numpy(queries),
            torch.from_numpy(passages), model.scale)
        left = (options.steps - step) / max(1, options.steps // 3)
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * training.trapezoid(step, 20, left)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
        if (step + 1) % 200 == 0:
            print("step %d, loss %.4f, %.0f s" % (
                step + 1, np.mean(losses[-200:]), time.time() - begin), flush=True)


def main():
    parser = argparse.ArgumentParser(description="Makes word vectors to start from.")
    parser.add_argument("data", help="folder that pairs.py pack wrote")
    parser.add_argument("out", help="the file to write")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--vocab", type=int, default=12000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=1024, help="pairs a step")
    parser.add_argument("--negatives", type=int, default=0)
    parser.add_argument("--rate", type=float, default=3e-2)
    options = parser.parse_args()
    torch.set_num_threads(1)  # two would wait for each other longer than either works
    data = shards.Sources(options.data)
    counts = near(data, options.vocab)
    tokens = np.zeros(options.vocab)
    for source in data.all:
        tokens += np.bincount(source.ids, minlength=options.vocab)
    share = tokens / tokens.sum()
    share[: len(SPECIAL)] = 1.0  # in every text
    model = Model(weighted(factors(counts, options.width - LOST), share))
    del counts
    print("counted %d tokens" % tokens.sum(), flush=True)
    train(model, data, options)
    state = {name: value.detach().numpy() for name, value in model.named_parameters()}
    np.savez(options.out, **state)


if __name__ == "__main__":
    main()
