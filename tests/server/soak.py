"""A mixed load for a long time: memory and descriptors stay what they are, and the ledger counts what
the clients counted.
    soak.py PITH [MINUTES]

Clients chat in conversations, stream, embed, keep documents and search them, send nonsense and go
away in the middle. Memory is sampled every five seconds; the first quarter of the time is warm-up."""

import http.client
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time

from quota import add_key
from service import Checks, Service, events, make_models

check = Checks()
WORDS = "stone rock rain salt wolf door king river night bread silver road winter bird song".split()


class Client(threading.Thread):
    """One kind of client; counts requests and tokens that were answered in full."""

    def __init__(self, service, header, kind, until, seed):
        super().__init__()
        self.service, self.header, self.kind, self.until = service, header, kind, until
        self.random = random.Random(seed)
        self.requests = self.tokens = self.unknown = 0
        self.wrong = []

    def words(self, least, most):
        return " ".join(self.random.choice(WORDS) for _ in range(self.random.randint(least, most)))

    def post(self, path, body):
        status, _, answer = self.service.json("POST", path, body, self.header)
        if status == 200:
            usage = answer["usage"]
            self.requests += 1
            self.tokens += usage.get("total_tokens", 0)
        elif status != 503:
            self.wrong.append((status, answer))
        return answer

    def chat(self):
        messages = []
        for _ in range(self.random.randint(1, 4)):
            messages.append({"role": "user", "content": self.words(1, 8)})
            answer = self.post("/v1/chat/completions", {
                "model": "chat", "messages": messages, "max_tokens": self.random.randint(1, 40)})
            if "choices" not in answer:
                return
            messages.append(answer["choices"][0]["message"])

    def complete(self):
        self.post("/v1/completions", {
            "model": "chat", "prompt": self.words(1, 60), "n": self.random.randint(1, 3),
            "max_tokens": self.random.randint(1, 30), "logprobs": self.random.choice([None, 3])})

    def stream(self):
        status, _, body = self.service.request("POST", "/v1/completions", {
            "model": "chat", "prompt": self.words(1, 20), "stream": True,
            "max_tokens": self.random.randint(1, 60), "stream_options": {"include_usage": True}},
            self.header)
        if status == 200:
            found = events(body)
            if found[-1] != "[DONE]":
                self.wrong.append(found[-1])
            self.requests += 1
            self.tokens += json.loads(found[-2])["usage"]["total_tokens"]
        elif status != 503:
            self.wrong.append((status, body[:200]))

    def embed(self):
        self.post("/v1/embeddings", {"model": "minilm", "input": [
            self.words(1, 50) for _ in range(self.random.randint(1, 20))]})

    def documents(self):
        number = self.random.randrange(500)
        if self.random.random() < 0.5:
            self.post("/collections/soak/documents", {"documents": [
                {"id": str(number + i), "text": self.words(1, 40)} for i in range(3)]})
        else:
            status, _, answer = self.service.json("POST", "/collections/soak/search",
                                                  {"query": self.words(1, 5)}, self.header)
            if status == 200:
                self.requests += 1
                self.tokens += answer["usage"]["total_tokens"]
            elif status not in (404, 503):
                self.wrong.append((status, answer))

    def nonsense(self):
        body = self.random.choice(['{"prompt": 1}', "{", '{"messages": []}', "[" * 200, "x" * 1000])
        status = self.service.request("POST", "/v1/chat/completions", body, self.header)[0]
        if status != 400:
            self.wrong.append((status, body))
        time.sleep(0.05)

    def leave(self):
        connection = self.service.connect()
        connection.request("POST", "/v1/completions", json.dumps({
            "model": "chat", "prompt": self.words(1, 20), "max_tokens": 400, "stream": True}),
            self.header)
        answer = connection.getresponse()
        if answer.status not in (200, 503):
            self.wrong.append((answer.status, "left"))
        answer.read(self.random.randint(1, 2000))
        connection.close()
        self.unknown += 1  # counted with the tokens that were generated until then
        time.sleep(0.05)

    def run(self):
        while time.monotonic() < self.until:
            try:
                getattr(self, self.kind)()
            except (OSError, http.client.HTTPException) as problem:
                self.wrong.append(repr(problem))
                time.sleep(0.2)


def sample(service):
    with open(f"/proc/{service.process.pid}/status") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return resident / 1024, service.descriptors()


def main():
    pith = os.path.abspath(sys.argv[1])
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 20
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(pith, directory)
        database = os.path.join(directory, "usage.db")
        key = add_key(pith, database, "anna", "--infer-per-hour", "0", "--embed-per-hour", "0")
        header = {"authorization": "Bearer " + key}
        with Service(pith, "--models", models, "--db", database, "--log-level", "error") as service:
            began = time.monotonic()
            until = began + 60 * minutes
            kinds = ["chat", "chat", "complete", "stream", "stream", "embed", "documents",
                     "nonsense", "leave"]
            clients = [Client(service, header, kind, until, seed)
                       for seed, kind in enumerate(kinds)]
            for client in clients:
                client.start()
            samples = []
            while time.monotonic() < until:
                time.sleep(min(5, max(0.01, until - time.monotonic())))
                samples.append((time.monotonic() - began, *sample(service)))
            for client in clients:
                client.join()
            time.sleep(1)
            idle = [sample(service)[1] for _ in range(3)][-1]
            wrong = [problem for client in clients for problem in client.wrong]
            check("nothing but right answers", not wrong, wrong[:3])
            usage = service.json("GET", "/usage", headers=header)[2]["usage"]
        late = [s for s in samples if s[0] > 15 * minutes]
        third = max(1, len(late) // 3)
        first = statistics.median(s[1] for s in late[:third])
        last = statistics.median(s[1] for s in late[-third:])
        print(json.dumps({
            "minutes": minutes, "requests": sum(c.requests for c in clients),
            "left": sum(c.unknown for c in clients), "resident_mb": [round(first, 1),
                                                                     round(last, 1)],
            "growth": round(last / first - 1, 4),
            "descriptors": [min(s[2] for s in late), max(s[2] for s in late), idle]}))
        check("resident memory grows by less than 2 % after the warm-up", last / first < 1.02,
              (first, last))
        check("descriptors come back", idle <= min(s[2] for s in samples) + 1, idle)
        requests = sum(c.requests for c in clients)
        unknown = sum(c.unknown for c in clients)
        counted = sum(row["requests"] - row["failed"] for row in usage)
        check("the ledger counts the clients' requests", 0 < requests <= counted <= requests + unknown,
              (requests, unknown, usage))
        without = [c for c in clients if c.kind in ("embed", "documents")]
        tokens = sum(row["prompt_tokens"] for row in usage if row["kind"] == "embed")
        check("and exactly the tokens of embeddings", 0 < tokens == sum(c.tokens for c in without),
              (tokens, [c.tokens for c in without]))
        generated = sum(row["prompt_tokens"] + row["generated_tokens"] for row in usage
                        if row["kind"] == "infer")
        known = sum(c.tokens for c in clients if c not in without)
        check("and no token of a generation is lost", generated >= known > 0, (generated, known))
    check.finish()


if __name__ == "__main__":
    main()
