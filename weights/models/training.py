"""What the training scripts share: batches that other processes make ahead, the optimizer, a run
with its checkpoint and log, and the weights' file. Needs torch and numpy."""

import math
import multiprocessing
import os
import sys

import numpy as np
import torch

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "golden"))
import containers  # noqa: E402


class Batches:
    """The batches in order, made ahead by some processes. write(queue, first, stride) puts those of
    steps first, first + stride and so on, each a tuple of arrays, for ever."""

    def __init__(self, write, first, workers):
        context = multiprocessing.get_context("fork")
        self.queues = [context.Queue(4) for _ in range(workers)]
        self.next = first
        for i in range(workers):  # the batch of step b comes from queue b % workers
            start = first + (i - first) % workers
            context.Process(
                target=write, args=(self.queues[i], start, workers), daemon=True
            ).start()

    def take(self):
        batch = self.queues[self.next % len(self.queues)].get()
        self.next += 1
        return [torch.from_numpy(array.astype(np.int64)) for array in batch]


def cosine(done, floor):
    """Half a cosine over the share of a run that is done, from 1 down to floor."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


def make_optimizer(model, device, decay, **options):
    """AdamW with decay on the matrices alone."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() != 2]
    groups = [dict(params=matrices, weight_decay=decay), dict(params=vectors, weight_decay=0.0)]
    fused = dict(fused=True) if device == "cuda" else {}
    return torch.optim.AdamW(groups, lr=0.0, **options, **fused)


def add_options(parser, sizes):
    """The options of every training script; sizes: names of the settings that are counts."""
    parser.add_argument(
        "--out", required=True, help="folder of the checkpoint, the log and the model"
    )
    for name in sizes:
        parser.add_argument("--" + name, type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument(
        "--warmup", type=int, default=200, help="steps until the highest learning rate"
    )
    parser.add_argument("--workers", type=int, help="processes that make batches")
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--save-every", type=float, default=120, help="seconds between checkpoints")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--no-compile", action="store_true")


class Run:
    """A run's settings, device, checkpoint and log. A script's own class makes its batches, then
    its model with begin."""

    def __init__(self, options, settings):
        """self.state: the checkpoint of the run that goes on, or None."""
        self.options, self.c = options, settings
        self.device = "cuda" if torch.cuda.is_available() and not options.cpu else "cpu"
        self.path = os.path.join(options.out, "checkpoint.pt")
        os.makedirs(options.out, exist_ok=True)
        found = os.path.exists(self.path)
        self.state = torch.load(self.path, map_location="cpu") if found else None
        if self.state and self.state["c"] != settings:
            sys.exit("train.py: %s was made with other settings" % self.path)
        self.step = self.state["step"] if self.state else 0
        self.workers = options.workers or max(1, (os.cpu_count() or 2) - 1)
        self.compiled = self.device == "cuda" and not options.no_compile

    def begin(self, make_model, decay, **options):
        """Makes the model and its optimizer, as the checkpoint has them. The processes that make
        batches must have been forked: the GPU is touched here."""
        torch.manual_seed(1)
        torch.set_float32_matmul_precision("high")
        self.model = make_model(self.c).to(self.device)
        self.optimizer = make_optimizer(self.model, self.device, decay, **options)
        if self.state:
            self.model.load_state_dict(self.state["model"])
            self.optimizer.load_state_dict(self.state["optimizer"])
            self.say("goes on from step %d" % self.step)
            self.state = None

    def say(self, text):
        with open(os.path.join(self.options.out, "log.txt"), "a") as log:
            log.write(text + "\n")
        print(text, flush=True)

    def set_rate(self, rate):
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def advance(self):
        """Changes the weights by their gradients, whose norm is at most 1."""
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1

    def save(self, **more):
        """Writes a checkpoint so that an interruption leaves the old one or the new one."""
        state = dict(c=self.c, step=self.step, model=self.model.state_dict(), **more)
        torch.save(dict(optimizer=self.optimizer.state_dict(), **state), self.path + ".tmp")
        os.replace(self.path + ".tmp", self.path)


def write_weights(path, tensors, dtype):
    """Writes float tensors as "F16" or "BF16", rounded to nearest even, to a safetensors file."""
    kind = {"F16": torch.float16, "BF16": torch.bfloat16}[dtype]
    arrays = {}
    for name, tensor in tensors.items():
        bits = tensor.detach().float().cpu().to(kind).view(torch.int16).numpy()
        arrays[name] = dtype, bits.view(containers.DTYPES[dtype])
    containers.write_safetensors(path, arrays)
