"""Trains the search encoder: a small BERT whose mean vectors lie close where texts mean the same.

    python3 train.py DATA --out DIR --minutes 12              on a GPU (bf16, compiled)
    python3 train.py DATA --out DIR --minutes 480 --rows 128  on CPUs
    python3 train.py DATA --out DIR --steps 6000              a number of steps instead of a time

DATA is what `pairs.py pack` wrote. DIR/checkpoint.pt is written every two minutes; the same command
goes on from there. At the end DIR/model is a directory of Hugging Face and sentence-transformers
that `pith convert` reads, and DIR/result.json holds the losses. Needs torch and numpy.

From top to bottom: the settings, the model (Devlin et al. 2019, in MiniLM's proportions, Wang et
al. 2020), the data, the losses, the training loop, and the export. The run begins with masked words
(--warm, a share of its length), then queries find their passages among all those of their batch and
the ones that merely look alike (van den Oord et al. 2018). What a step sees depends on its number
alone, never on how many processes read the data or on where a run was interrupted; with --minutes
it is the time that ends the masked words.
"""

import argparse
import json
import math
import multiprocessing
import os
import random
import shutil
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import pairs
from tokenizer import CLS, HERE, MASK, PAD, SEP, SPECIAL

sys.path.append(os.path.join(HERE, ".."))
import training  # noqa: E402

# 7.84 million parameters. rows: pairs a step; rate: the highest learning rate.
SETTINGS = dict(vocab=12000, width=256, layers=6, heads=8, ffn=1024, positions=128)
SETTINGS.update(rows=1024, rate=1e-3, negatives=1)
SIZES = ("width", "layers", "heads", "ffn", "rows")  # of those, which are options
QUERY_LENGTH, PASSAGE_LENGTHS = 32, (32, 64, 128)  # with [CLS] and [SEP]: few shapes to compile


# ---- The model -----------------------------------------------------------------------------------


class Layer(nn.Module):
    """A layer of BERT: LayerNorm after each sub-layer and its residual, GELU, biases everywhere."""

    def __init__(self, c):
        super().__init__()
        width, self.heads = c["width"], c["heads"]
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.attended, self.attended_norm = nn.Linear(width, width), nn.LayerNorm(width, 1e-12)
        self.up, self.down = nn.Linear(width, c["ffn"]), nn.Linear(c["ffn"], width)
        self.norm = nn.LayerNorm(width, 1e-12)

    def attend(self, x, seen):
        """seen: [batch, 1, 1, time], true where a token is not padding."""
        batch, time_, width = x.shape
        q, k, v = (
            f(x).view(batch, time_, self.heads, -1).transpose(1, 2)
            for f in (self.query, self.key, self.value)
        )
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        else:
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            y = scores.masked_fill(~seen, float("-inf")).softmax(-1) @ v
        return y.transpose(1, 2).reshape(batch, time_, width)

    def forward(self, x, seen):
        x = self.attended_norm(x + self.attended(self.attend(x, seen)))
        return self.norm(x + self.down(F.gelu(self.up(x))))


class Encoder(nn.Module):
    """Token ids [batch, time] to hidden states [batch, time, width] or vectors [batch, width]."""

    def __init__(self, c):
        super().__init__()
        self.words, self.positions = nn.Embedding(c["vocab"], c["width"]), nn.Embedding(
            c["positions"], c["width"]
        )
        self.kinds, self.norm = nn.Embedding(2, c["width"]), nn.LayerNorm(c["width"], 1e-12)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["layers"]))
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, 0, 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, ids, pooled=True):
        seen = ids != PAD
        x = self.norm(
            self.words(ids) + self.positions.weight[: ids.shape[1]] + self.kinds.weight[0]
        )
        for layer in self.layers:
            x = layer(x, seen[:, None, None, :])
        if not pooled:
            return x
        share = seen.float() / seen.sum(1, keepdim=True)
        return F.normalize((x.float() * share[..., None]).sum(1), dim=-1)


class Trained(nn.Module):
    """The encoder and what is needed to train it alone: the head that guesses masked words, which
    shares the word embedding, and the scale of similarities, one over the temperature."""

    def __init__(self, c):
        super().__init__()
        self.encoder = Encoder(c)
        self.guess, self.guess_norm = nn.Linear(c["width"], c["width"]), nn.LayerNorm(
            c["width"], 1e-12
        )
        self.guess_bias = nn.Parameter(torch.zeros(c["vocab"]))
        self.scale = nn.Parameter(torch.tensor(math.log(20.0)))  # temperature 0.05

    def guesses(self, hidden):
        x = self.guess_norm(F.gelu(self.guess(hidden)))
        return F.linear(x, self.encoder.words.weight, self.guess_bias)


# ---- The data ------------------------------------------------------------------------------------


class Source:
    """The pairs of one shard."""

    def __init__(self, path):
        shard = pairs.read_shard(path)
        self.ids, self.pairs, self.negatives = shard["ids"], shard["pairs"], shard["negatives"]
        self.ends = np.cumsum(shard["lengths"].astype(np.int64))
        self.passages = np.unique(self.pairs[:, 1])
        self.order = None  # (epoch, the pairs' order in it), of the last batch

    def text(self, index):
        return self.ids[self.ends[index - 1] if index else 0 : self.ends[index]]

    def table(self, indices, lengths):
        """The texts as rows of [CLS] ids [SEP] [PAD]..., of the least of the lengths that does."""
        texts = [self.text(i) for i in indices]
        longest = max(len(text) for text in texts) + 2
        rows = np.full((len(texts), min(n for n in lengths if n >= longest)), PAD, np.int16)
        for row, text in zip(rows, texts):
            row[0], row[1 : 1 + len(text)], row[1 + len(text)] = CLS, text, SEP
        return rows

    def rows(self, number, count):
        """The pairs of this source's batch of that number: each epoch in an order of its own."""
        epoch, batch = divmod(number, max(1, len(self.pairs) // count))
        if self.order is None or self.order[0] != epoch:
            self.order = epoch, np.random.RandomState(epoch).permutation(len(self.pairs))
        return self.order[1][(batch * count + np.arange(count)) % len(self.pairs)]

    def answers(self, number, count):
        """(the passages of that batch's pairs), to learn masked words from."""
        return (self.table(self.pairs[self.rows(number, count), 1], PASSAGE_LENGTHS),)

    def batch(self, number, count, negatives):
        """(queries, passages, indices of the queries, indices of the passages). Passages are the
        answers, then those that look alike; where there are too few of these, any passages."""
        rows, draw = self.rows(number, count), np.random.RandomState(number)
        queries, answers = self.pairs[rows].T
        alike = self.negatives[rows]
        order = (draw.rand(*alike.shape) + (alike < 0)).argsort(1)
        alike = np.take_along_axis(alike, order, 1)[:, :negatives]
        others = self.passages[draw.randint(len(self.passages), size=alike.shape)]
        alike = np.where(alike < 0, others, alike)
        passages = np.concatenate([answers, alike.T.reshape(-1)])
        return (
            self.table(queries, [QUERY_LENGTH]),
            self.table(passages, PASSAGE_LENGTHS),
            queries,
            passages,
        )


class Sources:
    """All shards. A batch is of one source, drawn by the square root of its number of pairs."""

    def __init__(self, folder):
        names = sorted(name for name in os.listdir(folder) if name.endswith(".xz"))
        self.all = [Source(os.path.join(folder, name)) for name in names]
        weights = np.sqrt([len(source.pairs) for source in self.all])
        self.bounds = np.cumsum(weights / weights.sum())

    def draw(self, step):
        at = random.Random("step/%d" % step).random()
        return min(int(np.searchsorted(self.bounds, at)), len(self.all) - 1)


def write_batches(queue, first, stride, data, c, pairs_from):
    """A process that makes the batches of steps first, first + stride and so on: answers, then from
    the step pairs_from on batches of pairs."""
    taken, step = [0] * len(data.all), 0
    while True:
        source = data.draw(step)
        if step >= first and (step - first) % stride == 0:
            if step < pairs_from.value:
                queue.put(data.all[source].answers(taken[source], c["rows"]))
            else:
                queue.put(data.all[source].batch(taken[source], c["rows"], c["negatives"]))
        taken[source] += 1
        step += 1


# ---- The losses ----------------------------------------------------------------------------------


def contrast(queries, passages, query_indices, passage_indices, scale):
    """Cross-entropy of each query's answer among all passages, and of each answer's query among all
    queries. What answers the same query, or is the same text, is no wrong answer."""
    count = len(queries)
    scores = queries @ passages.T * scale.exp().clamp(max=100.0)
    same = passage_indices[None, :] == passage_indices[:count, None]
    same[:, :count] |= query_indices[None, :] == query_indices[:, None]
    same[torch.arange(count), torch.arange(count)] = False
    scores = scores.masked_fill(same, float("-inf"))
    right = torch.arange(count, device=scores.device)
    return (F.cross_entropy(scores, right) + F.cross_entropy(scores[:, :count].T, right)) / 2


def mask_words(ids, step, vocab):
    """(ids with 15% of the tokens hidden, what to guess there and -100 elsewhere): of those hidden
    80% are [MASK], 10% another piece, 10% themselves."""
    chance = torch.Generator().manual_seed(step)
    hidden = (torch.rand(ids.shape, generator=chance) < 0.15) & (ids >= len(SPECIAL))
    how = torch.rand(ids.shape, generator=chance)
    other = torch.randint(len(SPECIAL), vocab, ids.shape, generator=chance)
    shown = torch.where(hidden & (how < 0.8), torch.full_like(ids, MASK), ids)
    shown = torch.where(hidden & (how >= 0.9), other, shown)
    return shown, torch.where(hidden, ids, torch.full_like(ids, -100))


# ---- Training ------------------------------------------------------------------------------------


def rate_at(step, done, highest, warmup):
    """The learning rate: a straight rise over some steps, then half a cosine over what is done of
    the run, down to a fiftieth."""
    return highest * min(1.0, (step + 1) / warmup) * training.cosine(done, 0.02)


class Trainer(training.Run):
    """A run: model, optimizer, data and clock."""

    def __init__(self, options):
        c = dict(SETTINGS)
        for name in SIZES + ("rate", "negatives"):
            if getattr(options, name) is not None:
                c[name] = getattr(options, name)
        if c["width"] % c["heads"]:
            sys.exit(
                "train.py: --width %d is not a multiple of the %d heads" % (c["width"], c["heads"])
            )
        super().__init__(options, c)
        self.used = self.state["used"] if self.state else 0.0
        # Without a number of steps it is the time that ends the masked words.
        last = math.ceil(options.warm * options.steps) if options.steps else 2**62
        self.pairs_from = multiprocessing.Value("q", last)
        self.end_words()
        data = Sources(options.data)
        self.batches = training.Batches(
            lambda *place: write_batches(*place, data, c, self.pairs_from), self.step, self.workers
        )
        self.begin(Trained, 0.05, betas=(0.9, 0.98), eps=1e-6)
        self.encode = self.model.encoder
        if self.compiled:
            torch._dynamo.config.cache_size_limit = 64  # one for each shape
            self.encode = torch.compile(self.model.encoder, dynamic=False)
        self.tokens, self.losses = 0, {}
        self.say(
            "%d parameters on %s, %d processes for data"
            % (sum(p.numel() for p in self.model.encoder.parameters()), self.device, self.workers)
        )

    def done(self):
        """The share of the run that is over."""
        options = self.options
        return self.step / options.steps if options.steps else self.used / 60 / options.minutes

    def end_words(self):
        """Has batches of pairs made from now on when the masked words have had their share."""
        if self.done() >= self.options.warm:
            self.pairs_from.value = 0

    def vectors(self, ids):
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda"):
            return self.encode(ids)

    def learn_pairs(self, queries, passages, query_indices, passage_indices):
        """The gradients of the contrastive loss. With --chunk the vectors are made twice, first all
        of them without keeping what led to them, then some at a time to pass their gradients on
        (gradient caching, Gao et al. 2021): the memory is that of a chunk, the sum the same."""
        chunk = self.options.chunk or len(passages)
        tables = [part for table in (queries, passages) for part in table.split(chunk)]
        if not self.options.chunk:
            made = torch.cat([self.vectors(table) for table in tables])
        else:
            with torch.no_grad():
                made = torch.cat([self.vectors(table) for table in tables])
            made.requires_grad_()
        vectors = made[: len(queries)], made[len(queries) :]
        loss = contrast(*vectors, query_indices, passage_indices, self.model.scale)
        loss.backward()
        if self.options.chunk:
            for table, grown in zip(tables, made.grad.split([len(table) for table in tables])):
                (self.vectors(table) * grown).sum().backward()
        return loss

    def learn_words(self, ids):
        """The gradients of the loss of masked words."""
        shown, wanted = mask_words(ids, self.step, self.c["vocab"])
        count, total = int((wanted != -100).sum()), 0.0
        shown, wanted = shown.to(self.device), wanted.to(self.device)
        at = wanted != -100
        for part, where, of in zip(
            *(t.split(self.options.chunk or len(ids)) for t in (shown, at, wanted))
        ):
            with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda"):
                guesses = self.model.guesses(self.encode(part, pooled=False)[where])
            loss = F.cross_entropy(guesses.float(), of[where], reduction="sum") / count
            loss.backward()
            total = total + loss.detach()
        return total

    def train_step(self, done):
        """One step; returns what it learned and the loss, still on the device."""
        self.set_rate(rate_at(self.step, done, self.c["rate"], self.options.warmup))
        batch = self.batches.take()
        self.optimizer.zero_grad(set_to_none=True)
        self.tokens += sum(int((ids != PAD).sum()) for ids in batch[:2])
        if len(batch) == 1:
            kind, loss = "words", self.learn_words(*batch)
        else:
            kind, loss = "pairs", self.learn_pairs(
                *(t.to(self.device, non_blocking=True) for t in batch)
            )
        self.advance()
        return kind, loss.detach()

    def fit(self):
        """Trains to the end, or to --halt; returns true at the end."""
        options, recent = self.options, {}
        begin = last = last_save = time.time()
        while True:
            done = self.done()
            self.end_words()
            if done >= 1 or self.step == options.halt:
                break
            kind, loss = self.train_step(done)
            recent.setdefault(kind, []).append(loss)
            if self.step % options.log_every == 0:
                means = {kind: float(torch.stack(losses).mean()) for kind, losses in recent.items()}
                self.losses.update(means)
                text = ", ".join("loss of %s %.4f" % mean for mean in means.items())
                speed = self.tokens / (time.time() - begin)
                self.say("step %d, %.0f%%, %s, %.0f tokens a second, %.0f s" % (
                    self.step, 100 * done, text, speed, self.used))
                recent = {}
            now = time.time()
            self.used += now - last
            last = now
            if now - last_save > options.save_every:
                self.save(used=self.used)
                last_save = now
        self.save(used=self.used)
        return done >= 1


# ---- Export --------------------------------------------------------------------------------------

NAMES = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "kinds": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
}
LAYER_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "attended_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}


def published_name(name):
    """A weight's name in Hugging Face's BertModel."""
    parts = name.split(".")
    if parts[0] == "layers":
        return "encoder.layer.%s.%s.%s" % (parts[1], LAYER_NAMES[parts[2]], parts[3])
    return "%s.%s" % (NAMES[parts[0]], parts[1])


def export(encoder, c, folder):
    """Writes a directory of Hugging Face and sentence-transformers."""
    os.makedirs(os.path.join(folder, "1_Pooling"), exist_ok=True)
    training.write_weights(
        os.path.join(folder, "model.safetensors"),
        {published_name(name): weight for name, weight in encoder.state_dict().items()},
        "F16",
    )
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    special = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL))
    files = {
        "config": dict(
            architectures=["BertModel"], model_type="bert", vocab_size=c["vocab"],
            hidden_size=c["width"], num_hidden_layers=c["layers"], num_attention_heads=c["heads"],
            intermediate_size=c["ffn"], hidden_act="gelu", max_position_embeddings=c["positions"],
            type_vocab_size=2, layer_norm_eps=1e-12, pad_token_id=PAD, initializer_range=0.02,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            position_embedding_type="absolute", torch_dtype="float16",
        ),
        "modules": [
            dict(idx=i, name=str(i), path=path, type="sentence_transformers.models." + kind)
            for i, (path, kind) in enumerate(kinds)
        ],
        "1_Pooling/config": dict(
            word_embedding_dimension=c["width"], pooling_mode_cls_token=False,
            pooling_mode_mean_tokens=True, pooling_mode_max_tokens=False,
            pooling_mode_mean_sqrt_len_tokens=False,
        ),
        "sentence_bert_config": dict(max_seq_length=c["positions"], do_lower_case=False),
        "tokenizer_config": dict(
            tokenizer_class="BertTokenizer", do_lower_case=True, do_basic_tokenize=True,
            tokenize_chinese_chars=True, strip_accents=None, model_max_length=c["positions"],
            **special,
        ),
        "special_tokens_map": special,
    }
    for name, content in files.items():
        with open(os.path.join(folder, name + ".json"), "w") as file:
            json.dump(content, file, indent=2)
    shutil.copyfile(os.path.join(HERE, "vocab.txt"), os.path.join(folder, "vocab.txt"))


def main():
    parser = argparse.ArgumentParser(description="Trains the search encoder.")
    parser.add_argument("data", help="folder that pairs.py pack wrote")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int)
    length.add_argument("--minutes", type=float, help="train for so long, all interruptions aside")
    parser.add_argument(
        "--warm", type=float, default=0.15, help="share of the run that learns masked words first"
    )
    parser.add_argument(
        "--negatives",
        type=int,
        choices=range(pairs.NEGATIVES + 1),
        help="passages that look alike, for each query",
    )
    parser.add_argument(
        "--chunk", type=int, help="texts at a time, when a whole step does not fit into memory"
    )
    parser.add_argument("--halt", type=int, help="stop at this step, to go on another time")
    training.add_options(parser, SIZES)
    options = parser.parse_args()
    trainer = Trainer(options)
    if not trainer.fit():
        trainer.say("stops at step %d" % trainer.step)
        return
    export(trainer.model.encoder, trainer.c, os.path.join(options.out, "model"))
    with open(os.path.join(options.out, "result.json"), "w") as file:
        result = dict(settings=trainer.c, steps=trainer.step, seconds=trainer.used)
        result.update(losses=trainer.losses, temperature=float((-trainer.model.scale).exp()))
        json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()
