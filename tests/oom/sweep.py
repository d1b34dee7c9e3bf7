#!/usr/bin/python3
"""Runs the command with every allocation of the whole process failed in turn.

Usage: sweep.py PITH FAILM.so [--runs N] [--case NAME]...

The k-th call of malloc, calloc, realloc or aligned_alloc fails, whichever library made it (failm.c),
for every k up to the number that an undisturbed run makes, once alone and once with all later ones; with
--runs for N values of k spread over them. Each run must end in one of two ways:

  - exit code 0, with the very output and output files of an undisturbed run: what failed was
    optional, such as a buffer of standard output;
  - exit code 1, a message on standard error that says "memory", standard output a beginning of the
    undisturbed one, and no output file, whole, partial or temporary.

Never a signal, never another output, never another message. Prints a line for each case and what
went wrong; exit code 1 if anything did."""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GUARD = 120  # seconds; a run takes milliseconds, so only a hang gets there

LINES = b"hello world\nthe hen sat\n"
JSON_LINES = (b'{"id": "a", "text": "hello world", "metadata": {"z": 1, "a": [1.5, null]}}\n'
              b'\n{"id": "b", "text": "a stone \\u00e9\\n"}\n')

CHAT_TEMPLATE = (
    "{% set ns = namespace(system='') %}{% for message in messages %}{% if message.role == 'system' "
    "%}{% set ns.system = '<<SYS>>\\n' + message.content + '\\n<</SYS>>\\n\\n' %}{% elif "
    "message.role == 'user' %}{{ bos_token + '[INST] ' + (ns.system + message.content).strip() + "
    "' [/INST]' }}{% set ns.system = '' %}{% else %}{{ ' ' + message.content.strip() + ' ' + "
    "eos_token }}{% endif %}{% endfor %}")


class Case:
    """A command. OUT in its arguments is the file that it writes, named `out`; `same` maps its output
    to what does not change from run to run. With `turns` the command goes on behind a failed line, as a
    conversation does."""

    def __init__(self, name, arguments, given=b"", out=None, same=None, turns=False):
        self.name = name
        self.arguments = arguments
        self.given = given
        self.out = out
        self.same = same or (lambda data: data)
        self.turns = turns


def without_numbers(data):
    """What is printed, whatever was measured; a busy machine is a measurement, too."""
    return re.sub(rb"true|false|null", b"0", re.sub(rb"[-+.\d]+(e[-+]?\d+)?", b"0", data))


def rows(path):
    """What is in a database, as far as the time does not matter; None: not there."""
    if not os.path.exists(path):
        return None
    database = sqlite3.connect(path)
    try:
        if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            return "damaged"
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        if "documents" not in tables:
            return []
        return database.execute("SELECT key, metadata, hash FROM documents ORDER BY key").fetchall()
    finally:
        database.close()


def cases(models):
    llama, llama3, encoder = models["llama"], models["llama3"], models["encoder"]
    golden = os.path.join(ROOT, "golden")
    text = models["text"]
    short = ["-p", "hi", "-n", "3", "--temp", "0", "-t", "1"]
    return [
        Case("run", ["run", llama, *short, "--session", "OUT"], out="session"),
        Case("run-saved", ["run", llama, *short, "--session", models["session"]]),
        Case("run-json-tokenizer", ["run", llama3, *short]),
        Case("chat", ["chat", models["chat"], "-n", "3", "--temp", "0", "-t", "1"], b"hi\nho\n", turns=True),
        Case("tokenize", ["tokenize", encoder], LINES),
        Case("tokenize-json", ["tokenize", llama3, "--json"], JSON_LINES),
        Case("detokenize", ["detokenize", llama], b'{"ids": [1, 40, 41]}\n{"ids": []}\n'),
        Case("logits", ["logits", llama, "--tokens", "1,2,3", "-t", "1", "--out", "OUT"], out="x.npy"),
        Case("eval", ["eval", llama, text, "--json", "-t", "1"]),
        # Without OpenBLAS: where memory is short while it is loaded, libgfortran and OpenBLAS itself end the
        # process, or recurse for ever, before pith learns of it.
        Case("eval-f32", ["eval", models["f32"], text, "-t", "1", "--blas", "off"]),
        Case("importance", ["importance", llama, text, "-t", "1", "--out", "OUT"], out="importance"),
        Case("inspect", ["inspect", llama3, "--json", "--verify", "-t", "1"]),
        Case("embed", ["embed", encoder, "--json", "-t", "1"], JSON_LINES),
        Case("embed-npy", ["embed", encoder, "-t", "1", "--out", "OUT"], LINES, out="v.npy"),
        Case("convert", ["convert", os.path.join(golden, "llama-tied"), "OUT", "--type", "int4", "-t", "1"],
             out="m.pith"),
        Case("convert-importance", ["convert", os.path.join(golden, "llama-tied"), "OUT", "--type", "int8",
                                    "-t", "1", "--importance", models["importance"]], out="m.pith"),
        Case("convert-json-tokenizer", ["convert", os.path.join(golden, "llama3"), "OUT", "--type", "int8",
                                        "-t", "1"], out="m.pith"),
        Case("convert-encoder", ["convert", os.path.join(golden, "minilm"), "OUT", "--type", "int8", "-t",
                                 "1"], out="m.pith"),
        Case("index", ["index", encoder, "OUT", "c", "-t", "1", "--json"], JSON_LINES, out="i.db"),
        Case("index-files", ["index", encoder, "OUT", "c", models["library"], "-t", "1"], out="i.db"),
        Case("search", ["search", encoder, models["database"], "c", "stone", "--json", "-t", "1"]),
        Case("bench", ["bench", llama, "-p", "4", "-n", "2", "-r", "1", "-t", "1", "-o", "json"],
             same=without_numbers),
        Case("help", ["help", "--man"]),
    ]


def make_models(pith, work):
    golden = os.path.join(ROOT, "golden")
    models = {name: os.path.join(work, name) for name in
              ("llama", "llama3", "f32", "encoder", "text", "session", "importance", "library", "database", "chat")}

    def run(*arguments, given=b""):
        subprocess.run([pith, *arguments], input=given, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    run("convert", os.path.join(golden, "llama-tied"), models["llama"], "--type", "int4")
    run("convert", os.path.join(golden, "llama3"), models["llama3"], "--type", "int8")
    run("convert", os.path.join(golden, "llama-tied"), models["f32"], "--type", "f32")
    run("convert", os.path.join(golden, "minilm"), models["encoder"], "--type", "int8")
    source = os.path.join(work, "chat-source")
    shutil.copytree(os.path.join(golden, "llama-tied"), source)
    settings_path = os.path.join(source, "tokenizer_config.json")
    with open(settings_path, encoding="utf-8") as file:
        settings = json.load(file)
    settings["chat_template"] = CHAT_TEMPLATE
    with open(settings_path, "w", encoding="utf-8") as file:
        json.dump(settings, file)
    run("convert", source, models["chat"], "--type", "int4")
    with open(os.path.join(golden, "tale-valid.txt"), "rb") as source, open(models["text"], "wb") as text:
        text.write(source.read(1500))
    run("run", models["llama"], "-p", "hi", "-n", "3", "-t", "1", "--session", models["session"])
    run("importance", models["llama"], models["text"], "-t", "1", "--out", models["importance"])
    os.mkdir(models["library"])
    for name in ("one", "two"):
        with open(os.path.join(models["library"], name), "w", encoding="utf-8") as text:
            text.write(f"The story of {name}.\n")
    run("index", models["encoder"], models["database"], "c", "-t", "1", given=JSON_LINES)
    return models


class Sweep:
    def __init__(self, pith, library, case, work):
        self.pith = pith
        self.library = library
        self.case = case
        self.work = work
        result, files, n_calls = self.run(0, False, True)
        self.good = (case.same(result.stdout), files)
        self.n_calls = n_calls
        self.usable = result.returncode == 0 and n_calls > 0
        self.message = result.stderr.decode(errors="replace").strip() or f"{n_calls} allocations"

    def run(self, at, ever, count=False):
        """(the process, what is in its directory, allocations if counted)"""
        directory = tempfile.mkdtemp(dir=self.work)
        counter = os.path.join(self.work, self.case.name + ".count")
        environment = dict(os.environ, LD_PRELOAD=self.library, LC_ALL="C.UTF-8")
        if at:
            environment["PITH_OOM_AT"] = str(at)
        if ever:
            environment["PITH_OOM_EVER"] = "1"
        if count:
            environment["PITH_OOM_COUNT"] = counter
        out = os.path.join(directory, self.case.out or "none")
        arguments = [out if a == "OUT" else a for a in self.case.arguments]
        result = subprocess.run([self.pith, *arguments], input=self.case.given, capture_output=True,
                                env=environment, timeout=GUARD, check=False)
        files = {}
        for name in sorted(os.listdir(directory)):
            path = os.path.join(directory, name)
            if name.endswith(".db"):
                files[name] = rows(path)
            elif not name.endswith(("-wal", "-shm")):
                with open(path, "rb") as file:
                    files[name] = file.read()
        shutil.rmtree(directory)
        n_calls = 0
        if count:
            with open(counter, encoding="ascii") as file:
                n_calls = int(file.read())
        return result, files, n_calls

    def judge(self, at, ever):
        """None, or what is wrong with a run."""
        try:
            result, files, _ = self.run(at, ever)
        except subprocess.TimeoutExpired:
            return "hangs"
        stdout = self.case.same(result.stdout)
        message = result.stderr.decode(errors="replace").strip()
        if result.returncode == 0:
            return None if (stdout, files) == self.good else f"exit code 0 and another output ({message[:100]})"
        if result.returncode != 1:
            return f"exit code {result.returncode}: {message[-200:]}"
        if "memory" not in message.lower():
            return f"another message: {message[-200:]}"
        if self.case.same is not without_numbers and not self.case.turns and \
                not self.good[0].startswith(stdout):
            return "the output before the failure is another"
        for name, contents in files.items():
            if not name.endswith(".db"):
                return f"{name} is left"
            if contents == "damaged" or any(row not in self.good[1][name] for row in contents):
                return f"{name} is damaged"
        return None


def choose(n_calls, n_runs, number):
    """The allocations to fail, and whether all later ones fail with them."""
    if n_runs is None or n_runs >= 2 * n_calls:
        return [(k, ever) for k in range(1, n_calls + 1) for ever in (False, True)]
    step = n_calls / n_runs
    first = number % 5 / 5 * step  # elsewhere in each case
    return [(1 + int(first + i * step), i % 2 == 1) for i in range(n_runs)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pith")
    parser.add_argument("library")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--case", action="append")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="pith-oom.")
    bad = 0
    total = 0
    try:
        models = make_models(os.path.abspath(options.pith), work)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for number, case in enumerate(cases(models)):
                if options.case and case.name not in options.case:
                    continue
                sweep = Sweep(os.path.abspath(options.pith), os.path.abspath(options.library), case, work)
                if not sweep.usable:
                    print(f"{case.name} fails undisturbed: {sweep.message}")
                    bad += 1
                    continue
                runs = choose(sweep.n_calls, options.runs, number)
                problems = list(pool.map(lambda run: (run, sweep.judge(*run)), runs))
                wrong = [(run, problem) for run, problem in problems if problem is not None]
                print(f"{case.name}: {sweep.n_calls} allocations, {len(runs)} runs, {len(wrong)} wrong",
                      flush=True)
                for (k, ever), problem in wrong[:8]:
                    print(f"  allocation {k}{' and later' if ever else ''}: {problem}")
                bad += len(wrong)
                total += len(runs)
    finally:
        shutil.rmtree(work)
    print(f"{total} runs, {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
