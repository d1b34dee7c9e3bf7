"""Clients that leave while their request waits, while its prompt is evaluated, and while it is
answered.
    disconnect.py PITH [CLIENTS]

What they asked for is not computed any further, and neither slot, descriptor nor reservation is
left."""

import json
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from service import Checks, Service, make_models, wait_until

check = Checks()
LONG = "Once upon a time there was a king who had three sons. " * 30


def leave(service, key, rng, how, counts):
    """Sends a request and goes away."""
    body = {"model": "chat", "max_tokens": 400, "temperature": 1, "seed": rng.randrange(1 << 30),
            "ignore_eos": True, "stream": how == "decode" or rng.random() < 0.5,
            "prompt": LONG[:rng.randrange(400, 1500)] if how == "prefill" else "Once"}
    data = json.dumps(body).encode()
    with service.socket(60) as connection:
        connection.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}"
                           f"\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        if how == "decode":
            connection.recv(10)
            time.sleep(rng.random() * 0.05)
        else:
            time.sleep(rng.random() * 0.05)
        way = rng.randrange(3)
        if way == 0:  # a reset in place of a good-bye
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        elif way == 1:  # half closed counts as gone
            connection.shutdown(socket.SHUT_WR)
            try:
                while connection.recv(65536):
                    pass
            except OSError:
                pass
        counts[how] = counts.get(how, 0) + 1


def run(service, key, n):
    rng = random.Random(7)
    counts = {}
    idle = service.descriptors()
    # Some that take their time, so that others have to wait.
    for first in range(0, n, 50):
        threads = []
        for i in range(first, min(first + 50, n)):
            how = ("queue", "prefill", "decode")[i % 3]
            threads.append(threading.Thread(target=leave, args=(
                service, key, random.Random(rng.random()), how, counts)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check("all slots are free again", wait_until(
            lambda: service.total("pith_requests_running") == 0
            and service.total("pith_requests_waiting") == 0, 5), service.metrics())
    tokens = service.total("pith_generated_tokens_total")
    time.sleep(0.5)
    check("nothing is computed any more", service.total("pith_generated_tokens_total") == tokens)
    print(f"{sum(counts.values())} clients left: {counts}; {tokens:.0f} tokens of up to {n * 400}")
    check("far fewer tokens than were asked for", tokens < n * 400 / 4, tokens)
    check("no descriptor is left", wait_until(lambda: service.descriptors() <= idle + 2),
          (idle, service.descriptors()))
    status, _, answer = service.json("POST", "/v1/completions", {
        "model": "chat", "prompt": "Once", "max_tokens": 2}, {"authorization": f"Bearer {key}"})
    check("the next client is answered", status == 200, (status, answer))


def unsettled(database):
    """Requests that were admitted and never settled: settling tells how long they took."""
    connection = sqlite3.connect(database)
    found = connection.execute("SELECT count(*) FROM requests WHERE seconds = 0").fetchone()[0]
    connection.close()
    return found


def main():
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    pith = sys.argv[1]
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(pith, directory)
        database = f"{directory}/usage.db"
        key = subprocess.run([pith, "keys", "add", database, "tester", "--infer-per-hour", "0",
                              "--max-tokens", "0"], capture_output=True, text=True,
                             check=True).stdout.strip()
        with Service(pith, "--models", models, "--db", database, "--parallel", "4") as service:
            original = service.request
            service.request = lambda method, path, body=None, headers=None, timeout=120: original(
                method, path, body, {"authorization": f"Bearer {key}", **(headers or {})}, timeout)
            run(service, key, n)
            status, _, usage = service.json("GET", "/usage")
            check("every request is in the ledger", status == 200, (status, usage))
            code = service.stop()
            check("it ends with 0", code == 0, code)
            check("no reservation is left", unsettled(database) == 0, unsettled(database))
            lines = [json.loads(line) for line in service.log if '"499"' in line or ": 499" in line
                     or ":499" in line]
            check("those who left are 499 in the log", len(lines) > n / 2, len(lines))
    check.finish()


main()
