"""Trains the storyteller: a small Llama, on stories and conversations made on the fly.

    python3 train.py --out DIR --minutes 8                on a GPU (compiled)
    python3 train.py --out DIR --small --windows 256:1000,512 --minutes 90     on two CPU cores
    python3 train.py --out DIR --steps 6000               a number of steps instead of a time

DIR/checkpoint.pt is written every two minutes; the same command goes on from there, and --steps may
then name another end as long as the learning rate has not begun to fall. At the end
DIR/model is a Hugging Face directory that `pith convert` reads. Needs torch, numpy, sentencepiece.

From top to bottom: the settings, the model (Touvron et al. 2023; grouped-query attention after
Ainslie et al. 2023), the data, the training loop, and the export. What a step sees depends on its
number alone, never on how many processes write the text or on where a run was interrupted.
"""

import argparse
import itertools
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, ".."))
import training  # before numpy, whose threads it limits  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import chat  # noqa: E402
import grammar  # noqa: E402
import world  # noqa: E402
from tokenizer import MARKUP  # noqa: E402

BOS, EOS = 1, 2

# 9.7 and 8.1 million parameters. rows: of a whole context, or as many tokens, a step; rate: the
# highest learning rate; names: how often a new name counts (Llama.weigh).
LARGE = dict(vocab=4096, width=320, layers=8, heads=8, kv_heads=4, ffn=768, context=1024, rows=128,
    rate=0.02, names=10.0)
SMALL = dict(vocab=4096, width=320, layers=5, heads=8, kv_heads=4, ffn=1088, context=1024, rows=2,
    rate=0.01, names=10.0)
PHASE_ROWS = 10 ** 8  # from the number of a phase's first row to that of the next one's
TEST_ROWS = 10 ** 9  # the number of the first row that no training run reaches
DATA = ("chat_share", "tales", "share", "distinct")  # options that say what is in the rows
SIZES = ("width", "layers", "ffn", "rows", "context")  # of those, which are options


# ---- The model -----------------------------------------------------------------------------------

class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-5)
        return self.weight * (x * scale).type_as(x)


def rotate(x, cos, sin):
    """Rotary positions: pairs (i, i + d/2) of each head turn by an angle that grows with the
    position."""
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return (x * cos + turned * sin).type_as(x)  # in f32, as inference does it


def attend(q, k, v):
    """Causal attention. q, k, v: [batch, heads, time, head_dim]."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    k, parts, some = k.transpose(-1, -2) / math.sqrt(q.shape[-1]), [], 128
    future = torch.full((some, some), float("-inf"), device=q.device).triu(1)
    for i in range(0, q.shape[2], some):  # some queries, and the keys up to theirs
        scores = q[:, :, i:i + some] @ k[..., :i + some]
        count = scores.shape[2]
        scores[..., i:] += future[:count, :count]
        parts.append(scores.softmax(-1) @ v[:, :, :i + some])
    return torch.cat(parts, 2)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.size = c["heads"], c["kv_heads"], c["width"] // c["heads"]
        self.q_proj = nn.Linear(c["width"], self.heads * self.size, bias=False)
        self.k_proj = nn.Linear(c["width"], self.kv_heads * self.size, bias=False)
        self.v_proj = nn.Linear(c["width"], self.kv_heads * self.size, bias=False)
        self.o_proj = nn.Linear(self.heads * self.size, c["width"], bias=False)

    def forward(self, x, cos, sin):
        batch, time_, _ = x.shape
        q = self.q_proj(x).view(batch, time_, self.heads, self.size).transpose(1, 2)
        k = self.k_proj(x).view(batch, time_, self.kv_heads, self.size).transpose(1, 2)
        v = self.v_proj(x).view(batch, time_, self.kv_heads, self.size).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        group = self.heads // self.kv_heads  # so many query heads read one key and value head
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        return self.o_proj(attend(q, k, v).transpose(1, 2).reshape(batch, time_, -1))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = nn.Linear(c["width"], c["ffn"], bias=False)
        self.up_proj = nn.Linear(c["width"], c["ffn"], bias=False)
        self.down_proj = nn.Linear(c["ffn"], c["width"], bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm, self.self_attn = RMSNorm(c["width"]), Attention(c)
        self.post_attention_layernorm, self.mlp = RMSNorm(c["width"]), MLP(c)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


def name_pieces(vocab):
    """Masks [vocab] of the pieces that a new name follows, and of those that names begin with."""
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=os.path.join(HERE, "tokenizer.model"))
    before, names = torch.zeros(vocab, dtype=torch.bool), torch.zeros(vocab, dtype=torch.bool)
    for word in ("named", "called"):
        before[pieces.encode("x " + word)[-1]] = True
    for name in world.HE + world.SHE:
        names[pieces.encode(name)[0]] = True
    return before, names


class Llama(nn.Module):
    """Token ids in, mean loss out. The names of the weights are those of Hugging Face's Llama."""

    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab"], c["width"])
        self.layers = nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.norm = RMSNorm(c["width"])
        size = c["width"] // c["heads"]
        angles = torch.outer(torch.arange(c["context"]).float(), 10000.0 ** (-torch.arange(0, size,
            2).float() / size))
        angles = torch.cat([angles, angles], -1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        before, names = name_pieces(c["vocab"])
        self.register_buffer("before_name", before, persistent=False)
        self.register_buffer("is_name", names, persistent=False)
        self.names = c["names"]
        self.begin(c)

    def begin(self, c):
        """The first weights. Embeddings are as large as what a layer adds to them, so that the last
        layers still see which token it was, and every head's output brings the values of the
        tokens it looks at back to where they came from (after Trockman and Kolter 2023), so that
        the model says them. To repeat a name, attention has then only to find it; from small
        random weights it learned neither in 6 million tokens."""
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                last = name.endswith("down_proj.weight")
                nn.init.normal_(weight, 0, 0.02 / (math.sqrt(2 * c["layers"]) if last else 1))
        nn.init.normal_(self.embed_tokens.weight)
        nn.init.constant_(self.norm.weight, 0.5 / math.sqrt(c["width"]))
        group = c["heads"] // c["kv_heads"]
        for attention in (layer.self_attn for layer in self.layers):
            nn.init.orthogonal_(attention.v_proj.weight)
            values = attention.v_proj.weight.detach().view(c["kv_heads"], attention.size, c["width"])
            back = values.repeat_interleave(group, 0).view(-1, c["width"]).T / group
            attention.o_proj.weight.data.copy_(back)

    def forward(self, ids, targets):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, self.cos[:ids.shape[1]], self.sin[:ids.shape[1]])
        logits = F.linear(self.norm(x), self.embed_tokens.weight)
        losses = F.cross_entropy(logits.float().view(-1, logits.shape[-1]), targets.reshape(-1),
            ignore_index=-100, reduction="none")
        weights = self.weigh(ids.reshape(-1), targets.reshape(-1)) if self.training else 1.0
        return (losses * weights).sum() / (targets != -100).sum()

    def weigh(self, ids, targets):
        """How often each target counts. Where somebody is named, 720 names share the probability,
        so each has little to learn from that it is a name, while 3,400 other pieces have as little
        to learn that they are none: after 13 million tokens these still had half of it, and one
        story in four has such a name."""
        is_new = self.before_name[ids] & self.is_name[targets.clamp(min=0)]
        return 1.0 + (self.names - 1.0) * is_new


# ---- The data ------------------------------------------------------------------------------------

class Writer:
    """Writes rows of token ids: stories, conversations and, if there are any, tales, packed.
    distinct: rows after which the text begins anew, or None when it never does."""

    def __init__(self, context, share_chat, tales=None, share_tales=0.0, held=False, distinct=None):
        import sentencepiece

        self.pieces = sentencepiece.SentencePieceProcessor(model_file=os.path.join(HERE,
            "tokenizer.model"))
        self.chooser, self.context, self.held = grammar.Chooser(held), context, held
        self.share_chat, self.tales = share_chat, tales
        self.share_tales, self.distinct = share_tales if tales else 0.0, distinct

    def story(self, seed):
        """(ids, learned) of a story: every token is learned."""
        ids = [BOS] + self.pieces.encode(self.chooser.story(seed).text()) + [EOS]
        return ids, [1] * len(ids)

    def conversation(self, seed):
        """(ids, learned) of a conversation: what the assistant says is learned, and where it
        stops."""
        said = [m["content"].strip() for m in chat.conversation(self.chooser, seed).messages]
        ids, learned = [], []
        for question, answer in zip(said[0::2], said[1::2]):
            turn = self.pieces.encode(MARKUP % (question, answer))
            asked = len(self.pieces.encode((MARKUP % (question, ""))[:-2]))
            ids += [BOS] + turn + [EOS]
            learned += [0] * (1 + asked) + [1] * (len(turn) - asked + 1)
        return ids, learned

    def tale(self, choose):
        """(ids, learned) of a piece of a public-domain tale."""
        tale = self.tales[int(choose() * len(self.tales))]
        start = int(choose() * max(1, len(tale) - self.context))
        ids = tale[start:start + self.context]
        return ids, [1] * len(ids)

    def documents(self, number):
        """(ids, learned) of the documents of the row of that number, for ever."""
        number = number % self.distinct if self.distinct else number
        choose = random.Random("row/%d" % number).random
        for document in itertools.count():
            seed, kind = "%s%d/%d" % ("held/" if self.held else "", number, document), choose()
            yield (self.conversation(seed) if kind < self.share_chat
                   else self.tale(choose) if kind < self.share_chat + self.share_tales
                   else self.story(seed))

    def row(self, number):
        """(ids, targets), context long, of the row of that number; -100 is not learned."""
        ids, learned = [], []
        for more in self.documents(number):
            ids += more[0]
            learned += more[1]
            if len(ids) > self.context:
                break
        ids, learned = np.array(ids[:self.context + 1]), np.array(learned[:self.context + 1])
        return ids[:-1].astype(np.int16), np.where(learned[1:], ids[1:], -100).astype(np.int16)

    def rows(self, first, count):
        """Rows first .. first + count - 1 as two arrays [count, context]."""
        pairs = [self.row(number) for number in range(first, first + count)]
        return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])


def read_tales(path):
    """The tales of a file, parted by <|story|> lines, as lists of ids."""
    if not path:
        return None
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=os.path.join(HERE, "tokenizer.model"))
    with open(path, encoding="utf-8") as file:
        tales = [tale.strip() for tale in file.read().split("<|story|>")]
    return [[BOS] + pieces.encode(tale) + [EOS] for tale in tales if tale]


class Phase:
    """A part of the run with rows of one length. number: of the phase; end: its last step + 1."""

    def __init__(self, number, length, end, options, c, tales):
        self.first, self.length, self.end = number * PHASE_ROWS, length, end
        self.count = c["rows"] * c["context"] // length
        self.writer = Writer(length, options.chat_share, tales, options.share,
            distinct=options.distinct)

    def batch(self, step):
        """The rows of a step."""
        return self.writer.rows(self.first + step * self.count, self.count)


def make_phases(options, c):
    """The phases that c["windows"] names, and one of whole contexts, for the end."""
    tales, windows = read_tales(options.tales), c["windows"]
    if not re.fullmatch(r"(\d+:\d+,)*\d+", windows):
        sys.exit("train.py: --windows %s is not like 256:1000,512" % windows)
    named = [[int(number) for number in part.split(":")] for part in windows.split(",")]
    if not all(1 < part[0] <= c["context"] for part in named):
        sys.exit("train.py: --windows %s: rows have 2 to %d tokens" % (windows, c["context"]))
    return [Phase(i, part[0], part[1] if len(part) > 1 else math.inf, options, c, tales)
            for i, part in enumerate(named + [[c["context"]]])]


def phase_of(phases, step, whole_from):
    """The number of a step's phase: that of whole contexts from the step whole_from on."""
    early = next(i for i, phase in enumerate(phases) if step < phase.end)
    return len(phases) - 1 if step >= whole_from else early


def write_rows(queue, first, stride, phases, whole_from):
    """A process that writes every stride-th batch, beginning with the first."""
    for step in itertools.count(first, stride):
        queue.put(phases[phase_of(phases, step, whole_from.value)].batch(step))


# ---- Training ------------------------------------------------------------------------------------

class Trainer(training.Run):
    """A run: model, optimizer, data and clock."""

    def __init__(self, options):
        c = dict(SMALL if options.small else LARGE)
        for name in SIZES + ("rate", "names"):
            if getattr(options, name):
                c[name] = getattr(options, name)
        if c["width"] % (2 * c["heads"]):
            sys.exit("train.py: --width %d is not a multiple of %d, twice the number of heads"
                     % (c["width"], 2 * c["heads"]))
        c["windows"] = options.windows or str(c["context"])
        self.phases = make_phases(options, c)
        super().__init__(options, c)
        self.total = options.steps or (self.state["total"] if self.state else None)
        self.whole_from = multiprocessing.Value("q", 2 ** 62)
        self.fix_end()
        self.batches = training.Batches(lambda *place: write_rows(*place, self.phases,
            self.whole_from), self.step, self.workers)
        self.begin(Llama, dict(share=0.6, weight_decay=0.0), betas=(0.9, 0.95), eps=1e-8)
        self.runs = [torch.compile(model) if self.compiled else model for model in self.models]
        count = sum(p.numel() for p in self.model.parameters())
        self.say("%d parameters on %s, %d writers" % (count, self.device, self.workers))

    def fix_end(self):
        """Has rows of whole contexts written while the learning rate falls, once that is known."""
        if self.total:
            self.whole_from.value = self.total - self.options.fall

    def loss(self, run, ids, targets):
        ids, targets = ids.to(self.device, non_blocking=True), targets.to(self.device, non_blocking
            =True)
        with self.autocast():
            return run(ids, targets)

    def learn(self, work):
        """The gradients of some rows' loss, and the loss; share: of all targets of the step."""
        run, ids, targets, share = work
        loss = self.loss(run, ids, targets) * share
        loss.backward()
        return loss.detach()

    def train_step(self, ids, targets):
        """One step; returns the loss, still on the device."""
        left = (self.total - self.step) / max(1, self.options.fall) if self.total else 1.0
        self.set_rate(self.c["rate"] * training.trapezoid(self.step, self.options.warmup, left))
        parts = targets.chunk(len(self.runs))
        count = (targets != -100).sum()
        shares = [(part != -100).sum() / count for part in parts]
        losses = self.threads.each(self.learn, list(zip(self.runs, ids.chunk(len(self.runs)),
            parts, shares)))
        self.advance()
        return sum(losses)

    def plan(self, seconds_a_step, used):
        """Fixes the number of steps once it is known how long one takes."""
        left = self.options.minutes * 60 - used
        self.total = max(self.step + 1, self.step + int(left / seconds_a_step))
        self.fix_end()
        self.say("%d steps, %.0f tokens a second" % (self.total, self.c["rows"] * self.c["context"]
            / seconds_a_step))

    def fit(self):
        """Trains to the end."""
        begin = last_save = mark = time.time()
        first = mark_step = self.step
        recent = []
        while self.total is None or self.step < self.total:
            recent.append(self.train_step(*self.batches.take()))
            if self.total is None and self.step - first in (self.options.measure // 2, self.options.
                measure):
                float(recent[-1])  # waits for the device; the first half pays for compilation
                if self.step - first == self.options.measure:
                    self.plan((time.time() - mark) / (self.step - mark_step), time.time() - begin)
                mark, mark_step = time.time(), self.step
            if self.step % self.options.log_every == 0:
                mean = float(torch.stack(recent).mean())
                self.say("step %d of %s, loss %.4f, %.0f s" % (self.step, self.total or "?", mean,
                    time.time() - begin))
                recent = []
            if self.total and time.time() - last_save > self.options.save_every:
                self.save(total=self.total)
                last_save = time.time()
        self.save(total=self.total)

    def read(self):
        """The rows that the run has read, as lists of their length, the first one's number and the
        last one's number + 1."""
        found = []
        for number, steps in itertools.groupby(range(self.step), lambda step: phase_of(self.phases,
                step, self.whole_from.value)):
            phase, steps = self.phases[number], list(steps)
            found.append([phase.length, phase.first + steps[0] * phase.count,
                          phase.first + (steps[-1] + 1) * phase.count])
        return found

    def measure(self):
        """Losses of stories and conversations, held out and of the kind trained on."""
        count, self.result = self.c["rows"], {}
        run = self.model.eval()  # compiling again would take longer than this
        for name, held in (("held out", True), ("trained on", False)):
            for kind, share in (("stories", 0.0), ("conversations", 1.0)):
                writer = Writer(self.c["context"], share, held=held)
                with torch.no_grad():
                    losses = [float(self.loss(run, *[torch.from_numpy(a.astype(np.int64)) for a in
                        writer.rows(TEST_ROWS + i * count, count)]))
                              for i in range(max(1, self.options.test_rows // count))]
                self.result["%s, %s" % (kind, name)] = sum(losses) / len(losses)
        for name, loss in self.result.items():
            self.say("%s: loss %.4f, perplexity %.3f" % (name, loss, math.exp(loss)))


# ---- Export --------------------------------------------------------------------------------------

# Llama 2's markup, as the reference code writes it.
CHAT_TEMPLATE = (
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = "
        "'<<SYS>>\\n' + messages[0]['content'].strip() + '\\n<</SYS>>\\n\\n' %}"
    "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}{% for message in rest %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('user and "
        "assistant must take turns') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + ((system if loop.index0 == 0 "
        "else '') + message['content']).strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}")


def export(model, c, folder):
    """Writes a Hugging Face directory."""
    os.makedirs(folder, exist_ok=True)
    training.write_weights(os.path.join(folder, "model.safetensors"),
        {"model." + name: weight for name, weight in model.state_dict().items()}, "BF16")
    config = dict(
        architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=c["vocab"], hidden_size=
            c["width"],
        intermediate_size=c["ffn"], num_hidden_layers=c["layers"], num_attention_heads=c["heads"],
        num_key_value_heads=c["kv_heads"], head_dim=c["width"] // c["heads"], hidden_act="silu",
        max_position_embeddings=c["context"], rms_norm_eps=1e-5, rope_theta=10000.0, rope_scaling=
            None,
        attention_bias=False, mlp_bias=False, attention_dropout=0.0, initializer_range=0.02,
        tie_word_embeddings=True, use_cache=True, bos_token_id=BOS, eos_token_id=EOS,
            torch_dtype="bfloat16")
    sampling = dict(bos_token_id=BOS, eos_token_id=EOS, do_sample=True, temperature=0.8, top_p=0.9)
    tokenizer = dict(tokenizer_class="LlamaTokenizer", add_bos_token=True, add_eos_token=False,
        bos_token="<s>",
                     eos_token="</s>", unk_token="<unk>", legacy=False, model_max_length=c[
                         "context"],
                     chat_template=CHAT_TEMPLATE)
    for name, content in (("config", config), ("generation_config", sampling), ("tokenizer_config",
        tokenizer)):
        with open(os.path.join(folder, name + ".json"), "w") as file:
            json.dump(content, file, indent=2)
    shutil.copyfile(os.path.join(HERE, "tokenizer.model"), os.path.join(folder, "tokenizer.model"))


def main():
    parser = argparse.ArgumentParser(description="Trains the storyteller.")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int)
    length.add_argument("--minutes", type=float, help="as many steps as fit")
    parser.add_argument("--small", action="store_true", help="the setting for CPUs")
    parser.add_argument("--chat-share", type=float, default=0.6,
        help="share of conversations among the documents")
    parser.add_argument("--tales", help="a file of tales parted by <|story|> lines")
    parser.add_argument("--share", type=float, default=0.1,
        help="share of tales among the documents")
    parser.add_argument("--distinct", type=int, help="rows of text that are repeated in turn "
                        "(1,000 rows are 4 MB); by default no row is ever repeated")
    parser.add_argument("--names", type=float, help="how often a new name counts")
    parser.add_argument("--windows", help="lengths of rows and the steps at which they end, as in "
                        "256:1000,512, until the learning rate falls: whole contexts then")
    parser.add_argument("--fall", type=int, default=1000,
        help="steps at the end over which the learning rate falls to 0")
    parser.add_argument("--measure", type=int, default=60,
        help="steps to time before --minutes is planned")
    parser.add_argument("--test-rows", type=int, default=256)
    training.add_options(parser, SIZES)
    options = parser.parse_args()
    trainer = Trainer(options)
    trainer.fit()
    trainer.measure()
    export(trainer.model, trainer.c, os.path.join(options.out, "model"))
    with open(os.path.join(options.out, "result.json"), "w") as file:
        data = {name: getattr(options, name) for name in DATA}
        json.dump(dict(settings=trainer.c, steps=trainer.step, losses=trainer.result,
            data=data, read=trainer.read()), file, indent=2)


if __name__ == "__main__":
    main()
