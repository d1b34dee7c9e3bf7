"""What the training scripts share: batches that other processes make ahead, the optimizers, threads
that share a step, a run with its checkpoint and log, and the weights' file. Needs torch and numpy.
"""

import concurrent.futures
import copy
import multiprocessing
import os
import sys

# Threads of a library inside a thread of ours would wait for each other's core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402

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


def trapezoid(step, warmup, left):
    """The share of the highest learning rate: a straight rise, a level, and a straight fall to 0
    (Zhai et al. 2022; Haegele et al. 2024). left: how much is left of the fall, 1 or more before it
    begins; a run can be given another end until then."""
    return max(0.0, min(1.0, (step + 1) / warmup, left))


def orthogonal(x):
    """About the nearest matrix with orthonormal rows, or columns where these are fewer, to x: five
    Newton-Schulz steps, whose polynomial takes singular values in (0, 1] to about 1."""
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Matrices move by their momentum made orthogonal (Jordan et al. 2024, "Muon"), in bf16 with
    low."""

    def __init__(self, matrices, threads, low, momentum=0.95):
        super().__init__(matrices, dict(lr=0.0, share=1.0, momentum=momentum))
        self.threads, self.low = threads, low

    def move(self, matrix, group):
        """One matrix moves."""
        state = self.state[matrix]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum = state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
        ahead = matrix.grad.lerp(momentum, group["momentum"])  # Nesterov's
        if self.low:
            ahead = ahead.bfloat16()
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        matrix.add_(orthogonal(ahead).to(matrix.dtype), alpha=-group["lr"] * scale)

    def step(self):
        work = [(matrix, group) for group in self.param_groups for matrix in group["params"]]
        self.threads.each(self.move_all, [work[i :: len(self.threads)] for i in
            range(len(self.threads))])

    def move_all(self, work):
        with torch.no_grad():
            for matrix, group in work:
                self.move(matrix, group)


def make_optimizers(model, threads, device, low, tables, **options):
    """Muon for the matrices of the layers, AdamW for the rest. tables: settings of the embeddings'
    group, share (of Muon's learning rate) and weight_decay."""
    named = list(model.named_parameters())
    matrices = [p for name, p in named if "layers." in name and p.dim() == 2]
    embeddings = [p for name, p in named if "layers." not in name and p.dim() == 2]
    vectors = [p for name, p in named if p.dim() != 2]
    groups = [dict(params=embeddings, **tables), dict(params=vectors, share=0.3, weight_decay=0.0)]
    fused = dict(fused=True) if device == "cuda" else {}
    return [Muon(matrices, threads, low), torch.optim.AdamW(groups, lr=0.0, **options, **fused)]


class Threads:
    """Threads that share a step on CPUs, each of one core: PyTorch's own threads share an
    operation, and those of a small model are too short for that. One thread on a GPU."""

    def __init__(self, count):
        self.count = count
        self.pool = concurrent.futures.ThreadPoolExecutor(count) if count > 1 else None
        if count > 1:
            torch.set_num_threads(1)

    def __len__(self):
        return self.count

    def each(self, do, work):
        """do(item) for each of the count items of work, side by side; the results in order."""
        return list(self.pool.map(do, work)) if self.pool else [do(item) for item in work]


def replicas(model, count):
    """The model and count - 1 others with the same weights, but gradients of their own."""
    others = [copy.deepcopy(model) for _ in range(count - 1)]
    for other in others:
        for mine, shared in zip(other.parameters(), model.parameters()):
            mine.data = shared.data
    return [model] + others


def add_gradients(models):
    """Adds the gradients of replicas to the first one's, in order, and drops them there."""
    for parameters in zip(*(model.parameters() for model in models)):
        for other in parameters[1:]:
            parameters[0].grad += other.grad
            other.grad = None


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
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1,
        help="threads that share a step on CPUs, one core each")
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--save-every", type=float, default=120, help="seconds between checkpoints")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--f32", action="store_true", help="multiply in f32 where bf16 is faster")
    parser.add_argument("--no-compile", action="store_true")


def multiplies_bf16(device):
    """True when the device has instructions that multiply bf16, which is twice as fast as f32."""
    if device == "cuda":
        return True
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line.split() for line in file if line.startswith("flags")), [])
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


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
        self.low = multiplies_bf16(self.device) and not options.f32
        self.step = self.state["step"] if self.state else 0
        self.workers = options.workers or max(1, (os.cpu_count() or 2) - 1)
        threads = min(options.threads, settings["rows"])
        self.threads = Threads(1 if self.device == "cuda" else threads)
        self.compiled = self.device == "cuda" and not options.no_compile

    def begin(self, make_model, tables, **options):
        """Makes the model and its optimizer, as the checkpoint has them. The processes that make
        batches must have been forked: the GPU is touched here."""
        torch.manual_seed(1)
        torch.set_float32_matmul_precision("high")
        self.model = make_model(self.c).to(self.device)
        self.models = replicas(self.model, len(self.threads))
        self.optimizers = make_optimizers(self.model, self.threads, self.device, self.low, tables,
            **options)
        if self.state:
            self.model.load_state_dict(self.state["model"])
            for optimizer, state in zip(self.optimizers, self.state["optimizers"]):
                optimizer.load_state_dict(state)
            self.say("goes on from step %d" % self.step)
            self.state = None

    def autocast(self):
        """Has products computed in bf16 where that is faster."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.low,
            cache_enabled=False)  # one cache is shared by all threads

    def say(self, text):
        with open(os.path.join(self.options.out, "log.txt"), "a") as log:
            log.write(text + "\n")
        print(text, flush=True)

    def set_rate(self, rate):
        """Sets Muon's learning rate and, in proportion, AdamW's."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]

    def advance(self):
        """Changes the weights by their gradients, whose norm is at most 1, and drops these."""
        add_gradients(self.models)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1

    def save(self, **more):
        """Writes a checkpoint so that an interruption leaves the old one or the new one."""
        state = dict(c=self.c, step=self.step, model=self.model.state_dict(), **more)
        optimizers = [optimizer.state_dict() for optimizer in self.optimizers]
        torch.save(dict(optimizers=optimizers, **state), self.path + ".tmp")
        os.replace(self.path + ".tmp", self.path)


def write_weights(path, tensors, dtype):
    """Writes float tensors as "F16" or "BF16", rounded to nearest even, to a safetensors file."""
    kind = {"F16": torch.float16, "BF16": torch.bfloat16}[dtype]
    arrays = {}
    for name, tensor in tensors.items():
        bits = tensor.detach().float().cpu().to(kind).view(torch.int16).numpy()
        arrays[name] = dtype, bits.view(containers.DTYPES[dtype])
    containers.write_safetensors(path, arrays)
