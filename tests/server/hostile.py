"""Malformed requests while a good client keeps working.
    hostile.py PITH [REQUESTS [SEED]]

Each kind of malformed request has the statuses that are right for it. The connection is then either
closed, or still in step: a good request on it is answered as ever. Clients that are slow with their
headers or body, or never read, are closed by the deadlines; that takes a minute, and fewer than a
thousand requests leave it out."""

import json
import random
import socket
import sys
import tempfile
import threading
import time

from service import Checks, Service, make_models, wait_until

check = Checks()
GOOD = json.dumps({"model": "chat", "prompt": "Once upon a time", "max_tokens": 4,
                   "temperature": 0}).encode()


def head(method, path, *fields, host=True):
    lines = [f"{method} {path} HTTP/1.1"] + (["Host: x"] if host else []) + list(fields)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def post(path, body, *fields):
    return head("POST", path, f"Content-Length: {len(body)}", *fields) + body


def read_answer(stream):
    """Status and body of one answer, and whether the connection stays open; None where it was
    closed instead."""
    line = stream.readline()
    if not line:
        return None
    parts = line.split()
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1."):
        raise ValueError(f"not HTTP: {line!r}")
    length, stays = 0, True
    while True:
        field = stream.readline().strip().lower()
        if not field:
            break
        name, _, value = field.partition(b":")
        if name == b"content-length":
            length = int(value)
        elif name == b"connection" and value.strip() == b"close":
            stays = False
    return int(parts[1]), stream.read(length), stays


def words(rng, n):
    return "".join(rng.choice("abcdefghij 0123456789\"\\{}[],:\n") for _ in range(n))


CHAT = "/v1/chat/completions"


def chat(**fields):
    return json.dumps(dict({"model": "chat", "messages": [{"role": "user", "content": "x"}],
                            "max_tokens": 2}, **fields)).encode()


def bad_json(rng):
    body = bytearray(chat())
    del body[rng.randrange(1, len(body)):]
    return post(CHAT, bytes(body)), {400}


def noise(rng):
    return post(rng.choice([CHAT, "/infer", "/v1/embeddings", "/tokenize"]),
                rng.randbytes(rng.randrange(1, 400))), {400}


def text_noise(rng):
    return post("/v1/completions", words(rng, rng.randrange(1, 400)).encode()), {400}


def depth_bomb(rng):
    n = rng.choice([200, 5000, 200000])
    return post(CHAT, rng.choice([b"[" * n, b'{"a":' * n, b'{"messages":' + b"[" * n])), {400}


def huge_number(rng):
    number = rng.choice(["1e999", "-1e999", "9" * 300, "-2", "1.5", "1e18", "18446744073709551616",
                         "0.1e-400" + "0" * 100])
    field = rng.choice(["max_tokens", "n", "top_logprobs"])
    body = chat().decode()[:-1].replace('"max_tokens": 2', '"x": 1') + f',"{field}":{number}}}'
    return post(CHAT, body.encode()), {400}


def wrong_type(rng):
    value = rng.choice([{}, [], "x", True, 3.7, [[]], {"a": 1}])
    field = rng.choice(["max_tokens", "temperature", "top_p", "seed", "n", "stop", "stream",
                        "logit_bias", "model", "messages"])
    fine = {"stop": ["x", []], "stream": [True], "logit_bias": [{}], "model": ["x"],
            "temperature": [], "top_p": [], "seed": [], "n": [], "max_tokens": [],
            "messages": []}[field]
    if value in fine and type(value) in [type(v) for v in fine]:
        value = 3
    if field == "temperature" and value == 3.7:
        value = "hot"
    if field == "model" and value == "x":
        value = 3
    return post(CHAT, chat(**{field: value})), {400}


def bad_messages(rng):
    messages = rng.choice([[], [{}], [{"role": "user"}], [{"role": 3, "content": "x"}],
                           [{"role": "nobody", "content": "x"}], [1], [{"content": "x"}],
                           [{"role": "user", "content": {"a": 1}}],
                           [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}],
                           [{"role": "user", "content": "\ud800"}]])
    return post(CHAT, chat(messages=messages)), {400}


def bad_utf8(_):
    return post(CHAT, chat().replace(b'"x"', b'"\xff\xfe\xc0\x80"')), {400}


def truncated_body(rng):
    body = chat()
    return (head("POST", CHAT, f"Content-Length: {len(body) + rng.randrange(1, 1000)}") + body,
            {None, 400, 408})


def conflicting_lengths(rng):
    body = chat()
    fields = rng.choice([
        ("Content-Length: 5", f"Content-Length: {len(body)}"),
        (f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"),
        ("Content-Length: -1",), ("Content-Length: 99999999999999999999",),
        ("Content-Length: x",), ("Content-Length: 1 2",)])
    return head("POST", CHAT, *fields) + body, {None, 400, 413, 501}


def bad_chunks(rng):
    chunk = rng.choice([b"zz\r\n", b"ffffffffffffffff1\r\nx\r\n", b"-5\r\nhello\r\n",
                        b"5\r\nhelloXX0\r\n\r\n"])
    return head("POST", CHAT, "Transfer-Encoding: chunked") + chunk, {None, 400, 413}


def giant_header(rng):
    return (head("GET", "/health", "X-Padding: " + "a" * rng.choice([20000, 100000])),
            {None, 400, 413, 414, 431})


def many_headers(rng):
    return (head("GET", "/health", *(f"X-{i}: {i}" for i in range(rng.choice([2000, 10000])))),
            {None, 400, 413, 431})


def giant_path(rng):
    return head("GET", "/" + "a" * rng.choice([20000, 60000])), {None, 400, 404, 414, 431}


def bad_request_line(rng):
    return (rng.choice([b"\r\n\r\n\r\n\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 40 + b"\r\n\r\n",
                        b"GET /health SPDY/3\r\n\r\n", rng.randbytes(60) + b"\r\n\r\n"]),
            {None, 400, 404, 405, 501, 505})


def no_host(_):
    return head("GET", "/health", host=False), {None, 400}


def wrong_method(rng):
    return head(rng.choice(["PUT", "DELETE", "PATCH", "BREW"]), CHAT, "Content-Length: 0"), {405, 501}


def unknown_path(rng):
    path = "/z" + "".join(rng.choice("abc/.%20?&=") for _ in range(rng.randrange(1, 40)))
    return head("GET", path), {400, 404}


def big_body(rng):
    n = (2 << 20) + rng.randrange(1, 1 << 20)
    return head("POST", CHAT, f"Content-Length: {n}") + b" " * n, {413}


def unknown_model(rng):
    return post(CHAT, chat(model=words(rng, rng.randrange(1, 300)))), {400, 404}


def empty_body(_):
    return head("POST", CHAT, "Content-Length: 0"), {400}


def bad_ids(rng):
    body = {"model": "chat", "prompt": [rng.choice([-1, 1 << 40, 1.5, {}, None, 999999])]}
    path = "/v1/completions"
    if rng.random() < 0.5:
        body, path = {"model": "chat", "tokens": body["prompt"]}, "/detokenize"
    return post(path, json.dumps(body).encode()), {400}


KINDS = [bad_json, noise, text_noise, depth_bomb, huge_number, wrong_type, bad_messages, bad_utf8,
         truncated_body, conflicting_lengths, bad_chunks, giant_header, many_headers, giant_path,
         bad_request_line, no_host, wrong_method, unknown_path, unknown_model, empty_body, bad_ids]
RARE = [big_body]


def attack(service, rng, number):
    """One malformed request; returns its kind, what is wrong with the answer or None."""
    kind = rng.choice(RARE) if number % 100 == 99 else rng.choice(KINDS)
    data, expected = kind(rng)
    with service.socket(60) as connection:
        stream = connection.makefile("rb")
        try:
            connection.sendall(data)
            if kind is truncated_body:
                connection.shutdown(socket.SHUT_WR)
            answer = read_answer(stream)
        except (ConnectionResetError, BrokenPipeError):
            answer = None
        status = answer and answer[0]
        if status not in expected:
            return kind, f"{status} for {data[:300]!r}, not {expected}: {answer and answer[1][:200]!r}"
        if status is not None and answer[1].startswith(b"{"):
            document = json.loads(answer[1])
            if not document.get("error", {}).get("message"):
                return kind, f"no error in {answer[1]!r} for {data[:300]!r}"
        # libmicrohttpd 0.9.75 writes the head of its own error pages twice, and closes.
        if kind is truncated_body or status is None or not answer[2]:
            return kind, None
        try:
            connection.sendall(head("GET", "/health"))
            after = read_answer(stream)
        except (ConnectionResetError, BrokenPipeError):
            after = None
        # After bytes that are no request, what follows may be read as their continuation.
        if after is not None and after[0] != 200 and kind not in (bad_chunks, conflicting_lengths,
                                                                  bad_request_line):
            return kind, f"out of step after {data[:300]!r}: {after}"
    return kind, None


def attacks(service, n, seed, kinds, lock):
    for i in range(n):
        rng = random.Random(seed * 1000003 + i)
        try:
            kind, wrong = attack(service, rng, i)
        except (OSError, ValueError) as problem:
            kind, wrong = None, f"request {i} of seed {seed}: {problem!r}"
        with lock:
            if kind is not None:
                kinds[kind.__name__] = kinds.get(kind.__name__, 0) + 1
            check(f"{kind.__name__ if kind else 'request'}", wrong is None, wrong)


def slow_clients(service):
    """What is sent so slowly, or read so little, that a deadline must end it."""
    def until_closed(name, send, read, limit):
        began = time.monotonic()
        with service.socket(limit + 60) as connection:
            try:
                send(connection, began + limit)
                connection.settimeout(max(1, began + limit - time.monotonic()))
                while read and connection.recv(65536):
                    pass
            except (ConnectionResetError, BrokenPipeError):
                pass
            except TimeoutError:
                check(name, False, f"open after {limit} s")
                return
            took = time.monotonic() - began
            check(name, took < limit, f"{took:.1f} s")

    def slow_header(connection, end):
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        while time.monotonic() < end:
            connection.sendall(b"X-A: b\r\n")
            time.sleep(0.5)

    def slow_body(connection, end):
        connection.sendall(head("POST", CHAT, "Content-Length: 100000"))
        while time.monotonic() < end:
            connection.sendall(b" ")
            time.sleep(0.5)

    def never_reading(connection, end):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = post("/v1/embeddings", json.dumps(
            {"model": "minilm", "input": ["x"] * 1500}).encode())
        connection.sendall(request * 4)
        while time.monotonic() < end:
            time.sleep(0.5)
            connection.sendall(b"\r\n")

    threads = [threading.Thread(target=until_closed, args=arguments) for arguments in (
        ("a client slow with its headers is closed", slow_header, True, 30),
        ("a client slow with its body is closed", slow_body, True, 60),
        ("a client that never reads is closed", never_reading, False, 120))]
    for thread in threads:
        thread.start()
    return threads


def run(service, n, seed):
    expected = service.json("POST", "/v1/completions", GOOD)[2]["choices"][0]["text"]
    done = threading.Event()
    good = [0, 0]

    def good_client():
        connection = service.connect()
        while not done.is_set():
            connection.request("POST", "/v1/completions", GOOD)
            answer = connection.getresponse()
            document = json.loads(answer.read())
            right = answer.status == 200 and document["choices"][0]["text"] == expected
            good[not right] += 1
            time.sleep(0.01)
        connection.close()

    client = threading.Thread(target=good_client)
    client.start()
    slow = slow_clients(service) if n >= 1000 else []
    lock = threading.Lock()
    kinds = {}
    workers = [threading.Thread(target=attacks, args=(service, n // 4, seed + i, kinds, lock))
               for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for thread in slow:
        thread.join()
    done.set()
    client.join()
    print(f"{sum(kinds.values())} malformed requests: {kinds}; {good[0]} good ones between them")
    check("every good request was answered", good[0] > 0 and good[1] == 0, good)
    check("the service lives", service.process.poll() is None)
    check("no request is left", wait_until(lambda: service.total("pith_requests_running") == 0
                                           and service.total("pith_requests_waiting") == 0))


def main():
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(sys.argv[1], directory)
        with Service(sys.argv[1], "--models", models) as service:
            service.json("POST", "/v1/embeddings", {"model": "minilm", "input": "x"})
            before = service.descriptors()
            run(service, n, seed)
            check("no descriptor is left", wait_until(lambda: service.descriptors() <= before + 2),
                  (before, service.descriptors()))
            code = service.stop()
            check("it ends with 0", code == 0, code)
    check.finish()


main()
