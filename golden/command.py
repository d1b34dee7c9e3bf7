"""Runs the pith command."""

import json
import os
import subprocess

import numpy as np


class Pith:
    def __init__(self, binary):
        self.binary = os.path.abspath(binary)

    def run(self, *arguments, text=None):
        done = subprocess.run([self.binary, *arguments], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise RuntimeError(f"pith {' '.join(arguments)[:200]}: exit status {done.returncode}\n"
                               f"{done.stderr}")
        return done.stdout

    def convert(self, source, out, type_, *options):
        self.run("convert", source, out, "--type", type_, *options)

    def logits(self, model, ids, out, *options):
        """float32 [T, vocab]; `out` is a scratch file."""
        self.run("logits", model, "--tokens", ",".join(str(i) for i in ids), "--out", out, *options)
        return np.load(out)

    def tokenize(self, model, texts):
        """Ids of every text, without beginning and end."""
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        out = self.run("tokenize", model, "--json", text=lines)
        return [json.loads(line)["ids"] for line in out.splitlines()]
