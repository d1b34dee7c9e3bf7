"""The service in surroundings that fail it: a log that nobody reads, few descriptors, a database that
another process locks, and requests that must not be counted.
    trouble.py PITH"""

import http.client
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from service import Checks, Service, events, make_models, wait_until

check = Checks()
TEXT = {"model": "chat", "prompt": "Once upon a time", "max_tokens": 6, "temperature": 0}


def make_key(pith, database, *limits):
    key = subprocess.run([pith, "keys", "add", database, "alice", *limits], check=True,
                         capture_output=True, text=True).stdout.strip()
    return {"Authorization": "Bearer " + key}


def answers(service):
    """True when a generation is answered, false also when the connection is closed."""
    try:
        return service.request("POST", "/v1/completions", TEXT)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def unread_log(pith, models):
    """Standard error is a pipe that nobody empties."""
    reading, writing = os.pipe()
    process = subprocess.Popen([pith, "serve", "--models", models, "--port", "0"], stderr=writing)
    os.close(writing)
    seen = b""
    while not seen.endswith(b"\n"):
        seen += os.read(reading, 1)
    port = int(re.search(rb":(\d+)\n", seen)[1])
    request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    answered = 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        try:
            for _ in range(2000):
                client.sendall(request)
                answered += client.recv(1000).startswith(b"HTTP/1.1 200")
        except TimeoutError:
            pass
    check("requests are answered whoever reads the log", answered == 2000, answered)
    process.terminate()
    try:
        check("the service ends whoever reads the log", process.wait(20) == 0)
    except subprocess.TimeoutExpired:
        check("the service ends whoever reads the log", False)
        process.kill()
        process.wait()
    os.close(reading)


def few_descriptors(pith, models):
    """More clients than descriptors: accepting must not spin, and the service goes on."""
    service = Service(pith, "--models", models)
    service.command = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *service.command]
    with service:
        check("with 64 descriptors", service.request("POST", "/v1/completions", TEXT)[0] == 200)
        crowd = [service.socket(30) for _ in range(150)]

        def ticks():
            with open(f"/proc/{service.process.pid}/stat") as file:
                return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
        time.sleep(0.5)
        before = ticks()
        time.sleep(2)
        used = (ticks() - before) / os.sysconf("SC_CLK_TCK")
        check("clients that wait cost no time", used < 0.1, f"{used} of 2 seconds")
        for client in crowd:
            client.close()
        check("then all is well", wait_until(lambda: answers(service)))


def refused(pith, directory, models):
    """A request refused for its content is not counted, and its answer has no rate headers."""
    database = os.path.join(directory, "refused.db")
    key = make_key(pith, database, "--infer-per-hour", "3")
    with Service(pith, "--models", models, "--db", database) as service:
        for name, change, param in (
                ("an id for logit_bias", {"logit_bias": {"99999": 1}}, "logit_bias"),
                ("an id that ends", {"stop_token_ids": [99999]}, "stop_token_ids"),
                ("a prompt that does not fit", {"prompt": "a " * 3000}, None)):
            status, headers, answer = service.json("POST", "/v1/completions", dict(TEXT, **change),
                                                   key)
            check(name, status == 400 and answer["error"]["param"] == param and
                  "x-ratelimit-remaining" not in headers, (status, answer, str(headers)))
        first = service.request("POST", "/v1/completions", TEXT, key)
        check("what was refused is not counted", first[1]["x-ratelimit-remaining"] == "2",
              str(first[1]))


def embeddings_in_vain(pith, directory, models):
    """A client that leaves a long batch pays for what was embedded."""
    database = os.path.join(directory, "vain.db")
    key = make_key(pith, database)
    with Service(pith, "--models", models, "--db", database) as service:
        service.request("POST", "/embed", {"model": "minilm", "input": ["x"]}, key)
        connection = service.connect()
        connection.request("POST", "/embed", json.dumps({"model": "minilm",
                                                         "input": ["word " * 190] * 2000}), key)
        time.sleep(1)
        connection.close()

        def usage():
            return service.json("GET", "/usage", None, key)[2]["usage"][0]
        check("it is counted as failed", wait_until(lambda: usage()["failed"] == 1), usage())
        check("with its tokens", usage()["prompt_tokens"] > 190, usage())


def locked(pith, directory, models):
    """Another process holds the database while a stream ends: its tokens are counted later."""
    database = os.path.join(directory, "locked.db")
    key = make_key(pith, database)
    with Service(pith, "--models", models, "--db", database) as service:
        connection = service.connect()
        connection.request("POST", "/v1/completions", json.dumps(
            dict(TEXT, max_tokens=300, ignore_eos=True, stream=True)), key)
        answer = connection.getresponse()
        answer.read(10)
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        check("the stream goes on to its end", events(answer.read())[-1] == "[DONE]")
        check("keys are checked meanwhile",
              service.request("GET", "/v1/models", None, key)[0] == 200)
        check("the log tells", wait_until(
            lambda: any("locked by another process" in line for line in service.log)))
        other.execute("ROLLBACK")
        other.close()
        check("requests are admitted again",
              service.request("POST", "/v1/completions", TEXT, key)[0] == 200)
        row = service.json("GET", "/usage", None, key)[2]["usage"][0]
        check("no token is lost", row["generated_tokens"] == 306 and row["requests"] == 2, row)


def waiting(pith, directory, models):
    """Requests that wait for a locked database wait together, not one after the other."""
    database = os.path.join(directory, "waiting.db")
    key = make_key(pith, database)
    with Service(pith, "--models", models, "--db", database) as service:
        service.request("POST", "/v1/completions", TEXT, key)
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        statuses = []

        def send():
            statuses.append(service.request("POST", "/v1/completions", TEXT, key)[0])
        threads = [threading.Thread(target=send) for _ in range(5)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        check("keys are checked in the end", service.request("GET", "/v1/models", None, key)[0] == 200)
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - began
        check("nobody is admitted, all may try again", statuses == [503] * 5, statuses)
        check("all wait at once", seconds < 9, seconds)
        other.execute("ROLLBACK")
        other.close()
        check("all is well again",
              service.request("POST", "/v1/completions", TEXT, key)[0] == 200)


def main():
    pith = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(pith, directory)
        unread_log(pith, models)
        few_descriptors(pith, models)
        refused(pith, directory, models)
        embeddings_in_vain(pith, directory, models)
        locked(pith, directory, models)
        waiting(pith, directory, models)
    check.finish()


main()
