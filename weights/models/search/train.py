"""Trains the search encoder: a small BERT whose mean vectors lie close where texts mean the same.

    python3 train.py DATA --out DIR --words words.npz --minutes 12              on a GPU (bf16)
    python3 train.py DATA --out DIR --words words.npz --rows 128 --steps 5000   on CPUs

DATA is what `pairs.py pack` wrote, words.npz what words.py did. DIR/checkpoint.pt is written every
two minutes; the same command goes on from there, and --steps may then name another end as long as
the learning rate has not begun to fall. At the end DIR/model is a directory of Hugging Face and
sentence-transformers that `pith convert` reads, and DIR/result.json holds the losses. Needs torch
and numpy.

From top to bottom: the settings, the model (Devlin et al. 2019), the batches, the training loop, the
export. The encoder begins as the mean of its word vectors. With --warm, a share of its length,
the run begins with masked words; then queries find their passages among all those of their batch
and the ones that merely look alike (van den Oord et al. 2018). What a step sees depends on its
number alone, never on how many processes read the data or on where a run was interrupted; with
--minutes it is the time that ends the masked words.
"""

import argparse
import json
import math
import multiprocessing
import os
import shutil
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import training  # before numpy, whose threads it limits  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import pairs  # noqa: E402
import shards  # noqa: E402
from losses import contrast, mask_words  # noqa: E402
from tokenizer import HERE, PAD, SPECIAL  # noqa: E402

# 7.84 million parameters. rows: pairs a step; rate: the highest learning rate; longest: tokens of a
# text that are read.
SETTINGS = dict(vocab=12000, width=256, layers=6, heads=4, ffn=1024, positions=128)
SETTINGS.update(rows=1024, rate=0.01, negatives=0, longest=128)
SIZES = ("width", "layers", "heads", "ffn", "rows")  # of those, which are options


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
            if name.endswith(("attended.weight", "down.weight")):
                nn.init.zeros_(weight)  # a layer begins as one that changes nothing
            elif weight.dim() == 2:
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

    def start(self, path):
        """Begins with the vectors of words.py, of which the encoder is then a mean."""
        found = {name: torch.from_numpy(value) for name, value in np.load(path).items()}
        with torch.no_grad():
            if found["words"].shape != self.encoder.words.weight.shape:
                sys.exit("train.py: %s is of %d words of width %d" % (path, *found["words"].shape))
            self.encoder.words.weight.copy_(found["words"])
            self.encoder.positions.weight.zero_()
            self.encoder.kinds.weight.zero_()
            self.encoder.layers[-1].norm.weight.copy_(found["gain"])
            self.scale.copy_(found["scale"])

    def guesses(self, hidden):
        x = self.guess_norm(F.gelu(self.guess(hidden)))
        return F.linear(x, self.encoder.words.weight, self.guess_bias)


# ---- The data ------------------------------------------------------------------------------------


def write_batches(queue, first, stride, data, c, pairs_from, texts):
    """A process that makes the batches of steps first, first + stride and so on: tables of answers,
    then from the step pairs_from on [queries, passages, places of the tables' rows, tables...]."""
    taken, step = [0] * len(data.all), 0
    while True:
        which = data.draw(step)
        if step >= first and (step - first) % stride == 0:
            source, number = data.all[which], taken[which]
            queries, passages = source.batch(number, c["rows"], c["negatives"])
            if step < pairs_from.value:
                queue.put(texts(source, [passages[: c["rows"]]])[1:])
            else:
                queue.put((queries, passages) + texts(source, [queries, passages]))
        taken[which] += 1
        step += 1


# ---- Training ------------------------------------------------------------------------------------


def shared(tables, count):
    """The tables' numbers in count lists of about equal work, that of the most tokens first."""
    lists, loads = [[] for _ in range(count)], [0] * count
    for i in sorted(range(len(tables)), key=lambda i: (-tables[i].numel(), i)):
        least = loads.index(min(loads))
        lists[least].append(i)
        loads[least] += tables[i].numel()
    return lists


class Trainer(training.Run):
    """A run: model, optimizer, data and clock."""

    def __init__(self, options):
        c = dict(SETTINGS)
        for name in SIZES + ("rate", "negatives", "longest"):
            if getattr(options, name) is not None:
                c[name] = getattr(options, name)
        if c["width"] % c["heads"]:
            sys.exit(
                "train.py: --width %d is not a multiple of the %d heads" % (c["width"], c["heads"])
            )
        super().__init__(options, c)
        self.low = self.low and self.device == "cuda"  # CPUs' LayerNorm takes f32 alone
        self.used = self.state["used"] if self.state else 0.0
        # Without a number of steps it is the time that ends the masked words.
        last = math.ceil(options.warm * options.steps) if options.steps else 2**62
        last = self.state["pairs_from"] if self.state else last
        self.pairs_from = multiprocessing.Value("q", last)
        self.end_words()
        data = shards.Sources(options.data)
        texts = self.texts
        self.batches = training.Batches(
            lambda *place: write_batches(*place, data, c, self.pairs_from, texts),
            self.step,
            self.workers,
        )
        fresh = self.state is None
        self.begin(Trained, dict(share=0.3, weight_decay=0.05), betas=(0.9, 0.98), eps=1e-6)
        if fresh and options.words:
            self.model.start(options.words)
        self.encoders = [model.encoder for model in self.models]
        if self.compiled:
            torch._dynamo.config.cache_size_limit = 64  # one for each shape
            self.encoders = [torch.compile(f, dynamic=False) for f in self.encoders]
        self.tokens, self.losses = 0, {}
        self.say(
            "%d parameters on %s, %d threads, %d processes for data"
            % (
                sum(p.numel() for p in self.model.encoder.parameters()),
                self.device,
                len(self.threads),
                self.workers,
            )
        )

    def texts(self, source, parts):
        """The tables of a batch: of few shapes for a GPU, with little padding for CPUs."""
        if self.device == "cuda":
            return shards.wide_tables(source, parts)
        return shards.close_tables(source, parts, self.c["longest"], self.options.table)

    def done(self):
        """The share of the run that is over."""
        options = self.options
        return self.step / options.steps if options.steps else self.used / 60 / options.minutes

    def end_words(self):
        """Has batches of pairs made from now on when the masked words have had their share."""
        if not self.options.steps and self.done() >= self.options.warm:
            self.pairs_from.value = 0

    def vectors(self, work):
        """The vectors of some tables, by the encoder of that number."""
        number, tables = work
        with self.autocast():
            return [self.encoders[number](table) for table in tables]

    def pass_back(self, work):
        """Passes gradients of vectors back to the weights. With --chunk the vectors were made
        without what led to them, so they are made again, some at a time (gradient caching, Gao et
        al. 2021): the memory is that of a chunk, the sum the same."""
        number, tables, vectors, gradients = work
        if not self.options.chunk:
            torch.autograd.backward(vectors, gradients)
            return
        for table, gradient in zip(tables, gradients):
            pairs_of = zip(table.split(self.options.chunk), gradient.split(self.options.chunk))
            for part, of in pairs_of:
                (self.vectors((number, [part]))[0] * of).sum().backward()

    def learn_pairs(self, query_indices, passage_indices, places, *tables):
        """The gradients of the contrastive loss. It needs all vectors of a step: the threads make
        those of their tables, one computes the loss and the vectors' gradients, and the threads
        pass these back, each through what it kept."""
        count, lists = len(query_indices), shared(tables, len(self.threads))
        work = [(i, [tables[j] for j in of]) for i, of in enumerate(lists)]
        with torch.set_grad_enabled(not self.options.chunk):
            made = self.threads.each(self.grad_mode(self.vectors), work)
        rows = {j: v.detach() for of, some in zip(lists, made) for j, v in zip(of, some)}
        rows = [rows[j].requires_grad_() for j in range(len(tables))]
        back = torch.empty_like(places)
        back[places] = torch.arange(len(places), device=places.device)
        vectors = torch.cat(rows)[back]
        loss = contrast(vectors[:count], vectors[count:], query_indices, passage_indices,
            self.model.scale)
        loss.backward()
        self.threads.each(
            self.pass_back,
            [
                (i, some, made[i], [rows[j].grad for j in of])
                for (i, some), of in zip(work, lists)
            ],
        )
        return loss

    def grad_mode(self, do):
        """do, which keeps what leads to its result as the calling thread does now."""
        enabled = torch.is_grad_enabled()

        def done(work):
            with torch.set_grad_enabled(enabled):
                return do(work)

        return done

    def guess(self, work):
        """The gradients of the loss of masked words of some tables, and the loss."""
        number, tables, count = work
        total = torch.zeros((), device=self.device)
        for shown, wanted in tables:
            at = wanted != -100
            with self.autocast():
                hidden = self.encoders[number](shown, pooled=False)[at]
                guesses = self.models[number].guesses(hidden)
            loss = F.cross_entropy(guesses.float(), wanted[at], reduction="sum") / count
            loss.backward()
            total += loss.detach()
        return total

    def learn_words(self, *tables):
        """The gradients of the loss of masked words."""
        if self.options.chunk:
            tables = [part for table in tables for part in table.split(self.options.chunk)]
        masked = [mask_words(t, (self.step << 16) + i, self.c["vocab"]) for i, t in
            enumerate(tables)]
        count = sum(int((wanted != -100).sum()) for _, wanted in masked)
        return sum(
            self.threads.each(
                self.guess,
                [
                    (i, [masked[j] for j in of], count)
                    for i, of in enumerate(shared(tables, len(self.threads)))
                ],
            )
        )

    def train_step(self, done):
        """One step; returns what it learned and the loss, still on the device."""
        options = self.options
        left = (1 - done) / options.fall if options.fall else 1.0
        self.set_rate(self.c["rate"] * training.trapezoid(self.step, options.warmup, left))
        batch = [t.to(self.device, non_blocking=True) for t in self.batches.take()]
        kind = "words" if batch[0].dim() == 2 else "pairs"
        tables = batch if kind == "words" else batch[3:]
        self.tokens += sum(int((ids != PAD).sum()) for ids in tables)
        loss = self.learn_words(*batch) if kind == "words" else self.learn_pairs(*batch)
        for model in self.models:
            for parameter in model.parameters():  # what this kind of step leaves alone
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
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
                self.save(used=self.used, pairs_from=self.pairs_from.value)
                last_save = now
        self.save(used=self.used, pairs_from=self.pairs_from.value)
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


def show(folder):
    """Writes the model of the folder's checkpoint there, as at the end."""
    state = torch.load(os.path.join(folder, "checkpoint.pt"), map_location="cpu")
    model = Trained(state["c"])
    model.load_state_dict(state["model"])
    export(model.encoder, state["c"], os.path.join(folder, "model"))
    print("step %d is in %s" % (state["step"], os.path.join(folder, "model")))


def main():
    parser = argparse.ArgumentParser(description="Trains the search encoder.")
    parser.add_argument("data", help="folder that pairs.py pack wrote")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int)
    length.add_argument("--minutes", type=float, help="train for so long, all interruptions aside")
    parser.add_argument(
        "--warm", type=float, default=0.0, help="share of the run that learns masked words first"
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
    parser.add_argument(
        "--words", help="what words.py wrote: a new run begins with its word vectors"
    )
    parser.add_argument(
        "--longest", type=int, help="tokens of a text that are read, on CPUs; 128 at most"
    )
    parser.add_argument(
        "--table", type=int, default=2048, help="tokens that go through the model at once, on CPUs"
    )
    parser.add_argument(
        "--fall",
        type=float,
        default=0.3,
        help="share of the run at its end over which the learning rate falls to 0; "
        "before that, --steps or --minutes may name another end",
    )
    parser.add_argument("--halt", type=int, help="stop at this step, to go on another time")
    parser.add_argument(
        "--show", action="store_true", help="write the model of the last checkpoint, and train not"
    )
    training.add_options(parser, SIZES)
    options = parser.parse_args()
    if options.show:
        show(options.out)
        return
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
