"""Starts `pith serve` for the tests of the service and speaks HTTP with it.

    with Service(pith, "--models", directory) as service:
        status, headers, body = service.request("GET", "/health")

Python's standard library only. Checks are counted; finish() prints "N passed, N failed"."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Llama 2's chat markup, which pith knows by what it renders.
LLAMA2 = ("{% set ns = namespace(system='') %}{% for message in messages %}{% if message.role == "
          "'system' %}{% set ns.system = '<<SYS>>\\n' + message.content + '\\n<</SYS>>\\n\\n' %}"
          "{% elif message.role == 'user' %}{{ bos_token + '[INST] ' + (ns.system + "
          "message.content).strip() + ' [/INST]' }}{% set ns.system = '' %}{% else %}{{ ' ' + "
          "message.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}")


def make_models(pith, directory):
    """chat.pith, a small model with Llama 2's markup, tale.pith, the same without any, and
    minilm.pith, an encoder."""
    tale = os.path.join(ROOT, "golden/tale")
    source = os.path.join(directory, "chat-source")
    shutil.copytree(tale, source)
    path = os.path.join(source, "tokenizer_config.json")
    with open(path) as file:
        config = json.load(file)
    config["chat_template"] = LLAMA2
    with open(path, "w") as file:
        json.dump(config, file)
    models = os.path.join(directory, "models")
    os.mkdir(models)
    minilm = os.path.join(ROOT, "golden/minilm")
    for name, origin in (("chat", source), ("tale", tale), ("minilm", minilm)):
        subprocess.run([pith, "convert", origin, os.path.join(models, name + ".pith"), "--type",
                        "int8"], check=True, stderr=subprocess.DEVNULL)
    return models


class Service:
    def __init__(self, pith, *arguments, environment=None):
        self.command = [pith, "serve", "--port", "0", *arguments]
        self.environment = dict(os.environ, **(environment or {}))
        self.log = []
        self.process = None
        self.base = None

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True,
                                        env=self.environment, stdin=subprocess.DEVNULL)
        listening = threading.Event()

        def read():
            for line in self.process.stderr:
                self.log.append(line.rstrip("\n"))
                found = re.search(r"listening on (https?)://([^\s\"]+):(\d+)", line)
                if found:
                    self.base = (found[1], found[2].strip("[]"), int(found[3]))
                    listening.set()
            listening.set()

        self.reader = threading.Thread(target=read, daemon=True)
        self.reader.start()
        if not listening.wait(120) or self.base is None:
            self.kill()
            raise RuntimeError("pith serve does not listen:\n" + "\n".join(self.log))
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return self.base[1], self.base[2]

    def stop(self, signal=15):
        """Ends the service and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.reader.join(10)
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(10)

    def connect(self, timeout=120):
        return http.client.HTTPConnection(*self.address, timeout=timeout)

    def socket(self, timeout=120):
        return socket.create_connection(self.address, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=120):
        """One request on a connection of its own; a body that is no bytes or text becomes JSON."""
        connection = self.connect(timeout)
        try:
            return ask(connection, method, path, body, headers)
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=None):
        status, answer_headers, answer = self.request(method, path, body, headers)
        return status, answer_headers, json.loads(answer)

    def metrics(self, headers=None):
        """{name with labels: value}"""
        text = self.request("GET", "/metrics", headers=headers)[2].decode()
        samples = (line.rsplit(" ", 1) for line in text.splitlines()
                   if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def total(self, name, headers=None):
        """The sum of a metric over its labels."""
        return sum(value for sample, value in self.metrics(headers).items()
                   if sample.split("{")[0] == name)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def ask(connection, method, path, body=None, headers=None):
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def events(body):
    """The data of the server-sent events in a body; comments are passed over."""
    found = []
    for block in body.decode().split("\n\n"):
        for line in block.split("\n"):
            if line.startswith("data:"):
                found.append(line[5:].strip())
    return found


def wait_until(condition, seconds=30):
    """True as soon as the condition holds, False when it has not in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, name, holds, seen=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {name}" + (f": {seen}" if seen != "" else ""), flush=True)
        return bool(holds)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(self.failed != 0)
