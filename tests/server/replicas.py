"""Three replicas of `pith serve` on one database behind HAProxy, by server/haproxy.cfg.
    replicas.py PITH [REQUESTS]

The quota of a key is that of all replicas together. One replica is killed under load: requests that
no answer had begun for are answered by the others and counted once, streams that had begun end
without [DONE], and nothing else is lost."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from quota import add_key, requests_in, usage_of
from service import ROOT, Checks, Service, ask, make_models

check = Checks()
TEXT = {"model": "chat", "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}
STREAM = dict(TEXT, max_tokens=200, ignore_eos=True, stream=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proxy:
    """HAProxy with the configuration that ships, on ports of its own."""

    def __init__(self, directory, replicas):
        self.port = free_port()
        with open(os.path.join(ROOT, "server/haproxy.cfg")) as file:
            text = file.read().replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        for i, replica in enumerate(replicas):
            text = text.replace(f"127.0.0.1:808{i + 1}", "%s:%d" % replica.address)
        self.path = os.path.join(directory, "haproxy.cfg")
        with open(self.path, "w") as file:
            file.write(text)

    def __enter__(self):
        checked = subprocess.run(["haproxy", "-c", "-f", self.path], capture_output=True, text=True)
        check("HAProxy takes the configuration", checked.returncode == 0 and
              "WARNING" not in checked.stderr.upper(), checked.stderr)
        self.process = subprocess.Popen(["haproxy", "-db", "-f", self.path],
                                        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                if self.ask("GET", "/health")[0] == 200:
                    break
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            return ask(connection, method, path, body, headers)
        finally:
            connection.close()


def clients(proxy, n_clients, n_requests, request):
    """`request(i)` for all i by so many threads; returns what each returned, or its exception."""
    answers, lock, numbers = [], threading.Lock(), iter(range(n_requests))

    def run():
        while True:
            with lock:
                i = next(numbers, None)
            if i is None:
                return
            try:
                answer = request(i)
            except Exception as problem:
                answer = problem
            with lock:
                answers.append(answer)

    threads = [threading.Thread(target=run) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    return threads, answers


def quota(proxy, replicas, key, limit, n_requests):
    header = {"authorization": "Bearer " + key}

    def request(i):  # conversations of many names: all replicas have some
        return proxy.ask("POST", "/v1/completions", TEXT,
                         dict(header, **{"x-conversation-id": f"c{i % 50}"}))[0]

    threads, answers = clients(proxy, 16, n_requests, request)
    for thread in threads:
        thread.join()
    kinds = {kind: answers.count(kind) for kind in set(answers)}
    print(f"{n_requests} requests over three replicas: {kinds}")
    check("exactly the quota is admitted over all replicas", kinds.get(200) == limit and
          kinds.get(429) == n_requests - limit, kinds)
    shares = [r.total("pith_requests_total", header) for r in replicas]
    check("each replica had its share", min(shares) > n_requests / 20, shares)
    counted = requests_in(usage_of(replicas[0], key))
    check("the ledger counts the quota", counted == limit, counted)


def conversation(proxy, replicas):
    """All turns of a conversation are at one replica."""
    before = [r.total("pith_generated_tokens_total") for r in replicas]
    for _ in range(9):
        proxy.ask("POST", "/v1/completions", TEXT, {"x-conversation-id": "one"})
        time.sleep(0.1)  # HAProxy counts the last request for a moment, as one more than its share
    grown = [r.total("pith_generated_tokens_total") - b for r, b in zip(replicas, before)]
    check("a conversation stays with its replica", sorted(grown) == [0, 0, 9 * 8], grown)
    status, _, body = proxy.ask("POST", "/v1/completions", dict(TEXT, prompt="salt " * 400000,
                                                                max_tokens=1))
    check("a body of nearly 2 MB passes", status == 400 and
          json.loads(body)["error"]["code"] == "context_length_exceeded", (status, body[:200]))


def kill_one(proxy, replicas, n_requests):
    whole, cut, begun = [], [], threading.Event()
    lock = threading.Lock()

    def request(i):
        name = {"x-conversation-id": f"k{i}"}
        if i % 4 != 0:
            return proxy.ask("POST", "/v1/completions", dict(TEXT, seed=i), name)[0]
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=120)
        connection.request("POST", "/v1/completions", json.dumps(STREAM), name)
        answer = connection.getresponse()
        text = answer.readline()
        begun.set()
        try:
            text += answer.read()
        except (OSError, http.client.HTTPException):
            pass
        with lock:
            (whole if text.rstrip().endswith(b"[DONE]") else cut).append(i)
        return answer.status

    threads, answers = clients(proxy, 12, n_requests, request)
    begun.wait(60)
    while len(answers) < n_requests // 3:
        time.sleep(0.01)
    replicas[0].kill()
    for thread in threads:
        thread.join()
    kinds = {}
    for answer in answers:
        kind = answer if isinstance(answer, int) else type(answer).__name__
        kinds[kind] = kinds.get(kind, 0) + 1
    print(f"{n_requests} requests, a replica killed after a third: {kinds}, "
          f"{len(whole)} streams whole, {len(cut)} cut")
    lost = n_requests - kinds.get(200, 0)
    check("what is lost was in flight at the replica", lost <= 12 and len(cut) <= 12, kinds)
    check("and its error can be tried again", set(kinds) <= {200, 502, 503}, kinds)
    status = proxy.ask("POST", "/v1/completions", TEXT)[0]
    check("the others go on", status == 200, status)


def main():
    pith = os.path.abspath(sys.argv[1])
    n_requests = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    if shutil.which("haproxy") is None:
        print("skipped: haproxy")
        return
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(pith, directory)
        keyed = os.path.join(directory, "keyed.db")
        key = add_key(pith, keyed, "anna", "--infer-per-hour", str(n_requests // 3))
        for database, work in ((keyed, "quota"), (os.path.join(directory, "open.db"), "kill")):
            replicas = [Service(pith, "--models", models, "--db", database, "-t", "1").start()
                        for _ in range(3)]
            try:
                for replica in replicas:  # loads the model
                    replica.json("POST", "/v1/completions", dict(TEXT, max_tokens=1))
                with Proxy(directory, replicas) as proxy:
                    if work == "quota":
                        quota(proxy, replicas, key, n_requests // 3, n_requests)
                    else:
                        conversation(proxy, replicas)
                        kill_one(proxy, replicas, n_requests)
            finally:
                for replica in replicas:
                    replica.kill()
    check.finish()


if __name__ == "__main__":
    main()
