"""Quotas under a storm of requests, and after kill -9 in the middle of one.
    quota.py PITH [CLIENTS] [REQUESTS]

Exactly as many requests are admitted as the key may make, and the others hear when to come again."""

import json
import subprocess
import sys
import tempfile
import threading
import time

from service import Checks, Service, ask, make_models

check = Checks()
BODY = {"model": "chat", "prompt": "Once", "max_tokens": 1, "temperature": 0}


def add_key(pith, database, name, *limits):
    return subprocess.run([pith, "keys", "add", database, name, *limits], capture_output=True,
                          text=True, check=True).stdout.strip()


def storm(service, key, clients, requests, answers):
    """`requests` requests by `clients` clients at once; answers: (status, headers)."""
    lock = threading.Lock()
    left = [requests]

    def client():
        connection = service.connect()
        while True:
            with lock:
                if left[0] == 0:
                    break
                left[0] -= 1
            try:
                status, headers, _ = ask(connection, "POST", "/v1/completions", BODY,
                                         {"authorization": f"Bearer {key}"})
            except (OSError, ValueError, EOFError) as problem:
                status, headers = type(problem).__name__, {}
                connection.close()
            except Exception as problem:  # http.client has more of its own
                status, headers = type(problem).__name__, {}
                connection.close()
            with lock:
                answers.append((status, headers))
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    return threads



def usage_of(service, key):
    _, _, usage = service.json("GET", "/usage", headers={"authorization": f"Bearer {key}"})
    return usage


def requests_in(usage):
    return sum(row["requests"] for row in usage["usage"])


def check_refusals(answers, limit):
    refused = [headers for status, headers in answers if status == 429]
    for headers in refused:
        retry = headers.get("retry-after", "")
        if not check("Retry-After is within the hour", retry.isdigit() and 0 < int(retry) <= 3600,
                     retry):
            break
        check("the wait is long, so no client shall retry by itself",
              headers.get("x-should-retry") == "false", headers.items())
        check("x-ratelimit-limit-requests", headers.get("x-ratelimit-limit-requests") == str(limit),
              headers.items())
        check("x-ratelimit-remaining-requests",
              headers.get("x-ratelimit-remaining-requests") == "0", headers.items())


def main():
    pith = sys.argv[1]
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    requests = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(pith, directory)
        database = f"{directory}/usage.db"
        options = ["--models", models, "--db", database]
        first = add_key(pith, database, "first")
        second = add_key(pith, database, "second", "--infer-per-hour", "300")
        with Service(pith, *options) as service:
            answers = []
            for thread in storm(service, first, clients, requests, answers):
                thread.join()
            admitted = sum(status == 200 for status, _ in answers)
            kinds = {}
            for status, _ in answers:
                kinds[status] = kinds.get(status, 0) + 1
            print(f"{clients} clients, {requests} requests: {kinds}")
            check("exactly 75 are admitted", admitted == 75, kinds)
            check("the others are 429 or 503", set(kinds) <= {200, 429, 503}, kinds)
            check("all are answered", len(answers) == requests, len(answers))
            check_refusals(answers, 75)
            check("the ledger counts the same", requests_in(usage_of(service, first)) == 75,
                  usage_of(service, first))

            answers = []
            threads = storm(service, second, clients, requests, answers)
            while sum(status == 200 for status, _ in answers) < 100 and any(
                    thread.is_alive() for thread in threads):
                time.sleep(0.001)
            service.kill()
            for thread in threads:
                thread.join()
            before = sum(status == 200 for status, _ in answers)
            check("it was killed in the middle", before < 300, before)
        with Service(pith, *options) as service:
            counted = requests_in(usage_of(service, second))
            check("what was answered is counted", before <= counted <= before + clients,
                  (before, counted))
            answers = []
            for thread in storm(service, second, clients, requests, answers):
                thread.join()
            admitted = sum(status == 200 for status, _ in answers)
            print(f"kill -9 after {before} answers: {counted} counted, then {admitted} admitted")
            check("exactly the rest is admitted", counted + admitted == 300, (counted, admitted))
            check("the ledger counts the limit", requests_in(usage_of(service, second)) == 300)
            status, _, answer = service.json("POST", "/v1/embeddings",
                                             {"model": "minilm", "input": "x"},
                                             {"authorization": f"Bearer {second}"})
            check("embedding has a quota of its own", status == 200, (status, answer))
            status, headers, answer = service.json(
                "POST", "/v1/completions", BODY, {"authorization": "Bearer nonsense"})
            check("another key is refused", status == 401, (status, answer))
            code = service.stop()
            check("it ends with 0", code == 0, code)
            for text in service.log:
                check("no key in the log", first not in text and second not in text)
        for name in ("usage.db", "usage.db-wal", "usage.db-shm"):
            try:
                with open(f"{directory}/{name}", "rb") as file:
                    held = file.read()
            except FileNotFoundError:
                continue
            check(f"no key in {name}", first.encode() not in held and second.encode() not in held)
    check.finish()


if __name__ == "__main__":
    main()
