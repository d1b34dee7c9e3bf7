"""The endpoints and the operation of `pith serve`, one scripted check each.
    operation.py PITH

Runs services of its own: without keys, with keys, with TLS, under a memory limit, with a socket that
it passes on, and ends them by signals."""

import base64
import json
import math
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import warnings

from service import ROOT, Checks, Service, ask, events, make_models, wait_until

check = Checks()
warnings.simplefilter("ignore", DeprecationWarning)  # of old TLS, which must be refused
CHAT = {"model": "chat", "messages": [{"role": "user", "content": "Who are you?"}],
        "max_tokens": 6, "temperature": 0}
TEXT = {"model": "chat", "prompt": "Once upon a time", "max_tokens": 6, "temperature": 0}
LONG = dict(TEXT, max_tokens=400, ignore_eos=True, stream=True)


def error_of(answer):
    """The error object of an answer (status, headers, document)."""
    return answer[2].get("error", {}) if isinstance(answer[2], dict) else {}


def is_error(name, answer, status, words=""):
    error = error_of(answer)
    check(name, answer[0] == status and words in error.get("message", "") and error.get("type")
          and "param" in error and "code" in error, answer)


# ---- Endpoints -----------------------------------------------------------------------------------

def models(service):
    status, _, answer = service.json("GET", "/v1/models")
    ids = [entry["id"] for entry in answer["data"]]
    check("/v1/models lists", status == 200 and answer["object"] == "list" and
          {"chat", "llama2-chat", "minilm", "story-int4"} <= set(ids), answer)
    one = service.json("GET", "/v1/models/llama2-chat")
    check("/v1/models/ID", one[0] == 200 and one[2]["id"] == "llama2-chat" and
          one[2]["object"] == "model", one)
    is_error("/v1/models/nobody", service.json("GET", "/v1/models/nobody"), 404)
    is_error("an unknown model", service.json("POST", "/v1/completions", dict(TEXT, model="x")), 404)
    by_alias = service.json("POST", "/v1/completions", dict(TEXT, model="llama2-chat"))
    same = service.json("POST", "/v1/completions", TEXT)
    check("an alias is the model", by_alias[0] == 200 and
          by_alias[2]["choices"][0]["text"] == same[2]["choices"][0]["text"], (by_alias, same))
    unnamed = service.json("POST", "/v1/completions", {"prompt": "x", "max_tokens": 1})
    check("a model need not be named", unnamed[0] == 200, unnamed)
    is_error("chat with a model of unknown markup", service.json(
        "POST", "/v1/chat/completions", dict(CHAT, model="tale")), 400, "/v1/completions")
    is_error("chat with an encoder", service.json(
        "POST", "/v1/chat/completions", dict(CHAT, model="minilm")), 400)
    is_error("an embedding of a decoder", service.json(
        "POST", "/v1/embeddings", {"model": "chat", "input": "x"}), 400)
    for path, body in (("/v1/completions", TEXT), ("/v1/completions", dict(TEXT, prompt=[5, 6])),
                       ("/v1/chat/completions", CHAT), ("/tokenize", {"content": "x"})):
        is_error("a model without a tokenizer", service.json("POST", path, dict(body, model="mute")),
                 400, "model 'mute' has no tokenizer")


def generation(service):
    status, headers, answer = service.json("POST", "/v1/chat/completions", CHAT,
                                           {"x-request-id": "test-1"})
    message = answer["choices"][0]["message"]
    check("chat", status == 200 and message["role"] == "assistant" and message["content"] and
          answer["usage"]["completion_tokens"] == 6, answer)
    check("x-request-id comes back", headers["x-request-id"] == "test-1", headers)
    status, headers, body = service.request("POST", "/v1/chat/completions", dict(CHAT, stream=True))
    found = events(body)
    deltas = [json.loads(data)["choices"][0]["delta"] for data in found[:-1]]
    check("a streamed chat has the same text", status == 200 and found[-1] == "[DONE]" and
          deltas[0]["content"] == "" and
          "".join(delta.get("content", "") for delta in deltas) == message["content"], found)
    check("its type", headers["content-type"].startswith("text/event-stream"), headers)
    check("each request has an id", headers["x-request-id"].startswith("req-"), headers)
    many = service.json("POST", "/v1/completions", dict(TEXT, n=3, temperature=1, seed=1))
    check("three choices", many[0] == 200 and len(many[2]["choices"]) == 3 and
          many[2]["usage"]["completion_tokens"] == 18, many)
    long = service.json("POST", "/v1/completions", dict(TEXT, max_tokens=100000, ignore_eos=True))
    check("more tokens than the room ends by length", long[0] == 200 and
          long[2]["choices"][0]["finish_reason"] == "length", long)
    is_error("a prompt beyond the context", service.json(
        "POST", "/v1/completions", dict(TEXT, prompt="word " * 3000)), 400)
    native = service.json("POST", "/infer", {"model": "chat", "prompt": "Once",
                                             "options": {"maxTokens": 3}})
    check("/infer", native[0] == 200 and native[2]["text"] and
          native[2]["usage"]["generatedTokenCount"] == 3, native)
    fill = service.json("POST", "/infill", {"model": "fill", "input_prefix": "def f(",
                                            "input_suffix": "return x", "n_predict": 3})
    check("/infill", fill[0] == 200, fill)
    is_error("/infill without its tokens", service.json(
        "POST", "/infill", {"model": "chat", "input_prefix": "a", "input_suffix": "b"}), 400,
        "infilling")
    tokens = service.json("POST", "/tokenize", {"model": "chat", "content": "Once upon a time"})
    back = service.json("POST", "/detokenize", {"model": "chat", "tokens": tokens[2]["tokens"]})
    check("/tokenize and back", back[0] == 200 and back[2]["content"] == "Once upon a time",
          (tokens, back))


def embeddings(service):
    body = {"model": "minilm", "input": ["a stone", "a rock"]}
    floats = service.json("POST", "/v1/embeddings", body)
    vectors = [entry["embedding"] for entry in floats[2]["data"]]
    coded = service.json("POST", "/v1/embeddings", dict(body, encoding_format="base64"))
    data = base64.b64decode(coded[2]["data"][1]["embedding"])
    check("embeddings as numbers and as base64",
          list(struct.unpack(f"<{len(data) // 4}f", data)) == [
              struct.unpack("<f", struct.pack("<f", x))[0] for x in vectors[1]], coded)
    short = service.json("POST", "/v1/embeddings", dict(body, dimensions=8))[2]["data"][0]["embedding"]
    length = math.sqrt(sum(x * x for x in vectors[0][:8]))
    check("dimensions cut and normalise", len(short) == 8 and
          all(abs(x - y / length) < 1e-6 for x, y in zip(short, vectors[0])), short)
    is_error("more dimensions than there are", service.json(
        "POST", "/v1/embeddings", dict(body, dimensions=100000)), 400)
    native = service.json("POST", "/embed", body)
    check("/embed", native[0] == 200 and native[2]["embeddings"] == vectors and
          native[2]["usage"]["promptTokenCount"] == floats[2]["usage"]["prompt_tokens"], native)
    cut = service.request("POST", "/embed", {"model": "minilm", "input": ["x " * 5000, "y"]})
    check("a text that was cut is told", cut[1]["x-pith-truncated"] == "1", cut[1])


def routes():
    """What the service answers, (method, path), but for what it refuses whatever comes."""
    with open(os.path.join(ROOT, "server/routes.c"), encoding="utf-8") as file:
        rows = re.findall(r'\{"(/.*?)", "([A-Z]+)", (\w+),', file.read())
    return {(method, path.replace("**", "ID").replace("*", "NAME"))
            for path, method, handler in rows if not handler.endswith("_refusal")}


def facts(service):
    status, headers, body = service.request("GET", "/")
    check("the page", status == 200 and body.startswith(b"pith "), body)
    listed = {(method, path) for method, paths in re.findall(
        r"^(GET|POST|DELETE) +(/[^\s,]*(?:, /[^\s,]+)*)", body.decode(), re.MULTILINE)
              for path in paths.split(", ")}
    check("it lists what there is", listed == routes() and len(listed) > 25, listed ^ routes())
    for target in ("http://127.0.0.1/health", "HTTPS://x:1/health?a=b"):
        absolute = service.request("GET", target)
        check(f"{target} is /health", absolute[0] == 200 and b"ok" in absolute[2], absolute)
    check("http://x is /", b"/v1/" in service.request("GET", "http://x")[2])
    head = service.request("HEAD", "/health")
    check("HEAD", head[0] == 200 and head[2] == b"" and int(head[1]["content-length"]) > 0, head)
    is_error("an unknown path", service.json("GET", "/nothing"), 404)
    wrong = service.json("DELETE", "/infer", "{}")
    check("another method", wrong[0] == 405 and "POST" in wrong[1]["allow"], wrong)
    check("another method on a GET", service.request("POST", "/health", "x" * 1000)[0] == 405)
    allowed = service.request("OPTIONS", "/infer")
    check("OPTIONS", allowed[0] == 204 and "POST" in allowed[1]["allow"], allowed)
    usage = service.json("GET", "/usage")[2]["usage"]
    check("/usage", {(row["model"], row["kind"]) for row in usage} >= {("chat", "infer"),
                                                                      ("minilm", "embed")}, usage)
    is_error("/usage since nonsense", service.json("GET", "/usage?since=x"), 400)
    later = service.json("GET", f"/usage?since={int(time.time()) + 1000}")
    check("/usage since later", later[2]["usage"] == [], later)
    metrics = service.metrics()
    for name in ('pith_time_to_first_token_seconds_bucket{model="chat",le="+Inf"}',
                 'pith_inter_token_seconds_count{model="chat"}',
                 'pith_queue_wait_seconds_sum{model="chat"}',
                 'pith_request_seconds_bucket{model="chat",le="0.3"}',
                 'pith_requests_total{path="/v1/chat/completions",code="200"}',
                 'pith_generated_tokens_total{model="chat"}',
                 'pith_embedded_tokens_total{model="minilm"}', 'pith_kv_bytes{model="chat"}',
                 'pith_requests_running{model="chat"}', "pith_connections"):
        check(f"metric {name}", name in metrics, metrics)


def bodies(service):
    """On one connection: what is refused does not put it out of step."""
    connection = service.connect()
    for i in range(3):
        check("not found", ask(connection, "POST", "/x", "y" * 100000)[0] == 404)
        check("bad JSON", ask(connection, "POST", "/infer", "{" * 5)[0] == 400)
        check("and a good one", ask(connection, "POST", "/infer", TEXT)[0] == 200)
    connection.close()
    big = service.json("POST", "/infer", "x" * (3 << 20))
    is_error("a body over the limit", big, 413)
    with service.socket() as raw:
        raw.sendall(b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n"
                    b"Expect: 100-continue\r\n\r\n")
        check("it is refused before it is sent", raw.recv(100).startswith(b"HTTP/1.1 413"))
    with service.socket() as raw:
        data = json.dumps(TEXT).encode()
        raw.sendall(b"POST /infer HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(data))
        check("100-continue", raw.recv(100).startswith(b"HTTP/1.1 100"))
        raw.sendall(data)
        check("then the answer", b"200 OK" in raw.recv(100))
    with service.socket() as raw:
        data = json.dumps(dict(TEXT, stream=True)).encode()
        raw.sendall(b"POST /v1/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
        check("a stream for HTTP/1.0 ends with its connection",
              answer.endswith(b"data: [DONE]\n\n") and b"chunked" not in answer, answer)
    with service.socket() as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        raw.shutdown(socket.SHUT_WR)
        check("what needs no waiting is answered to a half-closed client",
              raw.recv(100).startswith(b"HTTP/1.1 200"))
    chunks = service.connect()
    chunks.request("POST", "/infer", iter([data[:10], data[10:]]), encode_chunked=True,
                   headers={"Transfer-Encoding": "chunked"})
    check("a body in chunks", chunks.getresponse().status == 200)


def leaving(service):
    """A client that goes away is 499 in the log, and its tokens are settled."""
    with service.socket() as raw:
        data = json.dumps(LONG).encode()
        raw.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nx-request-id: leaver\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(data) + data)
        raw.recv(1000)

    def entry():
        return [json.loads(line) for line in service.log if '"leaver"' in line]
    check("who leaves is 499", wait_until(entry) and entry()[0]["status"] == 499 and
          entry()[0]["generated_tokens"] < 400, entry())


def endpoints(pith, directory, models_directory):
    subprocess.run([sys.executable, os.path.join(ROOT, "tests/cli/make_model.py"),
                    os.path.join(ROOT, "golden/tale"), os.path.join(models_directory, "fill"),
                    "2", "128", "256", *(f"▁<{name}>" for name in ("PRE", "MID", "SUF", "EOT"))],
                   check=True)
    mute = os.path.join(directory, "mute-source")
    shutil.copytree(os.path.join(ROOT, "golden/tale"), mute,
                    ignore=shutil.ignore_patterns("tokenizer*"))
    subprocess.run([pith, "convert", mute, os.path.join(models_directory, "mute.pith"), "--type",
                    "int8"], check=True, stderr=subprocess.DEVNULL)
    # Another working directory: the models that ship are found beside the command.
    os.chdir("/")
    with Service(pith, "--models", models_directory, "--alias", "llama2-chat=chat", "--cache",
                 os.path.join(directory, "cache"), "--log-level", "debug") as service:
        health = service.json("GET", "/health")
        check("/health", health[0] == 200 and health[2] == {"status": "ok"}, health)
        for part in (models, generation, embeddings, facts, bodies, leaving):
            part(service)
        check("it ends with 0", service.stop() == 0)
        lines = [line for line in service.log if not line.startswith("listening on ")]
        check("the log is JSON", all(json.loads(line)["time"] for line in lines))
        access = [json.loads(line) for line in lines if '"path"' in line]
        check("a line a request", len(access) > 40 and all(
            {"id", "client", "method", "path", "status", "bytes", "seconds"} <= set(entry)
            for entry in access), access[:2])
        check("no prompt in it", not any("Once upon" in line for line in lines))


# ---- Keys ----------------------------------------------------------------------------------------

def add_key(pith, database, name, *limits):
    return subprocess.run([pith, "keys", "add", database, name, *limits], capture_output=True,
                          text=True, check=True).stdout.strip()


def keys(pith, directory, models_directory):
    database = os.path.join(directory, "keys.db")
    canary = add_key(pith, database, "canary", "--infer-per-hour", "3", "--max-tokens", "2")
    other = add_key(pith, database, "other", "--embed-per-hour", "1")
    seen = []
    with Service(pith, "--models", models_directory, "--db", database, "--log-level",
                 "debug") as service:
        def post(path, body, key, **more):
            headers = dict(more, authorization=f"bearer {key}")
            answer = service.json("POST", path, body, headers)
            seen.append(str(answer))
            return answer

        check("/health needs no key", service.request("GET", "/health")[0] == 200)
        check("/ needs no key", service.request("GET", "/")[0] == 200)
        for path in ("/metrics", "/usage", "/v1/models"):
            answer = service.json("GET", path)
            check(f"{path} needs one", answer[0] == 401 and "Bearer" in answer[1]["www-authenticate"],
                  answer)
        is_error("a wrong key", post("/infer", TEXT, canary[:-1] + "x"), 401)
        is_error("no key", service.json("POST", "/infer", TEXT), 401)
        first = post("/v1/completions", TEXT, canary)
        check("the key bounds an answer", first[0] == 200 and
              first[2]["usage"]["completion_tokens"] == 2 and
              first[2]["choices"][0]["finish_reason"] == "length", first)
        check("quota headers", first[1]["x-ratelimit-limit"] == "3" and
              first[1]["x-ratelimit-remaining-requests"] == "2", first[1])
        again = [post("/infer", TEXT, canary, **{"idempotency-key": "k"}) for _ in range(3)]
        check("a repeated request is counted once", [a[1]["x-ratelimit-remaining"] for a in again] ==
              ["1"] * 3, again)
        is_error("another body under its idempotency-key",
                 post("/infer", dict(TEXT, prompt="x"), canary, **{"idempotency-key": "k"}), 422)
        is_error("another path under it", post("/v1/completions", TEXT, canary,
                                               **{"idempotency-key": "k"}), 422)
        check("white space after a key", service.json("GET", "/v1/models", headers={
            "Authorization": f"Bearer {canary} \t"})[0] == 200)
        is_error("an empty idempotency-key", post("/infer", TEXT, canary, **{"idempotency-key": ""}),
                 400)
        check("a refused request is not counted", post("/infer", {}, canary)[0] == 400)
        check("the last one", post("/infer", TEXT, canary)[0] == 200)
        over = post("/infer", TEXT, canary)
        is_error("over the quota", over, 429, "quota")
        check("when to come back", 3500 < int(over[1]["retry-after"]) <= 3600 and
              over[1]["x-should-retry"] == "false" and over[2]["error"]["code"] ==
              "rate_limit_exceeded", over[1])
        check("embeddings have a quota of their own", post(
            "/embed", {"model": "minilm", "input": ["a", "b"]}, canary)[0] == 200)
        check("the other key", post("/embed", {"model": "minilm", "input": ["a"]}, other)[0] == 200)
        check("and its quota", post("/embed", {"model": "minilm", "input": ["a"]}, other)[0] == 429)
        usage = service.json("GET", "/usage", headers={"authorization": f"BEARER {canary}"})
        check("/usage of one key", {row["key"] for row in usage[2]["usage"]} == {"canary"} and
              usage[2]["quota"]["infer"]["remaining"] == 0, usage)
        metrics = service.request("GET", "/metrics", headers={"Authorization": f"Bearer {other}"})
        check("quota left among the metrics",
              b'pith_quota_infer_remaining{key="canary"} 0' in metrics[2], metrics[2][:600])
        seen += [metrics[2].decode(), str(usage)]
        subprocess.run([pith, "keys", "revoke", database, "other"], check=True)
        service.process.send_signal(signal.SIGHUP)
        check("SIGHUP revokes", wait_until(lambda: service.request(
            "GET", "/usage", headers={"authorization": f"Bearer {other}"})[0] == 401))
        check("it ends with 0", service.stop() == 0)
        seen += service.log
        check("the log names the key", any('"key": "canary"' in line for line in service.log))
    for name in os.listdir(directory):
        if name.startswith("keys.db"):
            with open(os.path.join(directory, name), "rb") as file:
                seen.append(file.read().decode("latin-1"))
    for key in (canary, other):
        check("the key appears nowhere", not any(key in text or key[5:] in text for text in seen))


def reload(pith, directory, models_directory):
    """A database without keys, to which one is added; a model that comes and one that goes."""
    database = os.path.join(directory, "later.db")
    models = os.path.join(directory, "few")
    os.mkdir(models)
    shutil.copy(os.path.join(models_directory, "minilm.pith"), models)
    with Service(pith, "--models", models, "--db", database) as service:
        check("no key is needed yet", service.request("GET", "/v1/models")[0] == 200)
        os.rename(os.path.join(models, "minilm.pith"), os.path.join(models, "renamed.pith"))
        service.process.send_signal(signal.SIGHUP)
        check("SIGHUP finds models", wait_until(
            lambda: service.request("GET", "/v1/models/renamed")[0] == 200 and
            service.request("GET", "/v1/models/minilm")[0] == 404))
        key = add_key(pith, database, "first")
        service.process.send_signal(signal.SIGHUP)
        check("SIGHUP finds keys", wait_until(
            lambda: service.request("GET", "/v1/models")[0] == 401))
        check("the key works", service.request("GET", "/v1/models", headers={
            "authorization": f"Bearer {key}"})[0] == 200)
        with sqlite3.connect(database) as connection:
            check("the database is whole", connection.execute(
                "PRAGMA integrity_check").fetchone() == ("ok",))


# ---- Operation -----------------------------------------------------------------------------------

def origins(pith, models_directory):
    with Service(pith, "--models", models_directory, "--cors", "https://a.example") as service:
        host = "%s:%d" % service.address
        for origin, headers, status in ((None, {}, 200), ("https://a.example", {}, 200),
                                        ("https://b.example", {}, 403), ("null", {}, 403),
                                        (f"http://{host}", {}, 200),
                                        ("http://evil.example", {"Host": "evil.example"}, 403),
                                        (None, {"Host": "evil.example"}, 403),
                                        (None, {"Host": "pith:8080"}, 200)):
            answer = service.request("POST", "/tokenize", {"content": "x"},
                                     dict(headers, **({"Origin": origin} if origin else {})))
            check(f"a page of {origin}", answer[0] == status, answer)
            allowed = answer[1]["access-control-allow-origin"]
            check(f"what the browser hears of {origin}",
                  allowed == (origin if origin == "https://a.example" else None), answer[1])
        asked = service.request("OPTIONS", "/v1/chat/completions", headers={
            "Origin": "https://a.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Private-Network": "true",
            "Access-Control-Request-Headers": "authorization,x-stainless-os"})
        check("the browser may ask", asked[0] == 204 and
              asked[1]["access-control-allow-headers"] == "authorization,x-stainless-os" and
              asked[1]["access-control-allow-methods"] == "POST, OPTIONS" and
              asked[1]["access-control-allow-private-network"] == "true", asked)


def tls(pith, directory, models_directory):
    if shutil.which("openssl") is None:
        print("skipped: TLS (no openssl)")
        return
    cert, key = (os.path.join(directory, name) for name in ("cert.pem", "key.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                    cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    with Service(pith, "--models", models_directory, "--host", "localhost", "--tls-cert", cert,
                 "--tls-key", key) as service:
        check("the address is https", service.base[0] == "https", service.base)
        context = ssl.create_default_context(cafile=cert)

        def exchange(body):
            with socket.create_connection(service.address, timeout=60) as raw, \
                    context.wrap_socket(raw, server_hostname="localhost") as wrapped:
                data = json.dumps(body).encode()
                wrapped.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: "
                                b"close\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
                return b"".join(iter(lambda: wrapped.recv(65536), b""))
        for version, good in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
            old = ssl.create_default_context(cafile=cert)
            old.set_ciphers("ALL:@SECLEVEL=0")
            old.minimum_version = old.maximum_version = version
            try:
                with socket.create_connection(service.address, timeout=60) as raw, \
                        old.wrap_socket(raw, server_hostname="localhost"):
                    shaken = True
            except (ssl.SSLError, ConnectionResetError):
                shaken = False
            check(f"{version.name}", shaken == good)
        answer = exchange(TEXT)
        check("an answer by TLS", answer.startswith(b"HTTP/1.1 200"), answer)
        answer = exchange(dict(TEXT, stream=True))
        check("a stream by TLS", b"data: [DONE]" in answer, answer)
        with service.socket() as raw:
            raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                plain = raw.recv(100)
            except ConnectionResetError:
                plain = b""
            check("no answer without it", not plain.startswith(b"HTTP/1.1 200"), plain)
        with service.socket() as raw, context.wrap_socket(raw, server_hostname="localhost") as left:
            data = json.dumps(LONG).encode()
            left.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" %
                         len(data) + data)
            left.recv(100)
        check("who leaves is seen", wait_until(
            lambda: any(": 499," in line for line in service.log)), service.log)
        check("it ends with 0", service.stop() == 0)
    broken = subprocess.run([pith, "serve", "--port", "0", "--tls-cert", key, "--tls-key", cert],
                            capture_output=True, text=True)
    check("a certificate that is none", broken.returncode == 1 and broken.stderr.count("\n") == 1,
          broken)


def drain(pith, models_directory):
    with Service(pith, "--models", models_directory, "--drain", "600") as service:
        connection = service.connect()
        connection.request("POST", "/v1/completions", json.dumps(LONG))
        answer = connection.getresponse()
        answer.read(10)
        idle = service.connect()
        ask(idle, "GET", "/health")
        service.process.send_signal(signal.SIGTERM)

        def refuses():
            try:
                service.socket(5).close()
                return False
            except (ConnectionRefusedError, ConnectionResetError):
                return True
        check("SIGTERM: no new connections", wait_until(refuses))
        body = answer.read()
        check("the stream goes on to its end", events(body)[-1] == "[DONE]", body[-300:])
        check("it ends with 0", service.stop() == 0)
        check("the log says how many", any("in progress" in line for line in service.log))
    with Service(pith, "--models", models_directory, "--drain", "600") as service:
        connection = service.connect()
        connection.request("POST", "/v1/completions", json.dumps(dict(LONG, n=8)))
        answer = connection.getresponse()
        answer.read(10)
        for _ in range(2):
            service.process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        body = answer.read()
        check("a second signal ends at once", service.process.wait(60) == 0)
        check("a stream that is cut off says so", json.loads(events(body)[-2])["error"]["code"] ==
              "shutting_down" and events(body)[-1] == "[DONE]", body[-300:])
    # A body that does not come holds nothing up.
    with Service(pith, "--models", models_directory, "--drain", "600") as service:
        half = service.socket(60)
        half.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        time.sleep(0.3)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        check("half a request does not hold it up", service.process.wait(60) == 0 and
              time.monotonic() - began < 15, time.monotonic() - began)
        half.close()


def memory(pith, models_directory):
    """Room for either of two models."""
    sizes = [os.path.getsize(os.path.join(models_directory, name))
             for name in ("chat.pith", "minilm.pith")]
    with Service(pith, "--models", models_directory, "--memory-limit", str(max(sizes) * 5 // 4),
                 "-c", "64", "--parallel", "1") as service:
        for _ in range(2):
            text = service.json("POST", "/v1/completions", TEXT)
            vector = service.json("POST", "/embed", {"model": "minilm", "input": ["x"]})
            check("both answer in turns", text[0] == vector[0] == 200, (text, vector))
        metrics = service.metrics()
        check("one is loaded", metrics['pith_model_loaded{model="minilm"}'] == 1 and
              metrics['pith_model_loaded{model="chat"}'] == 0, metrics)
        check("the other was unloaded", metrics['pith_model_unloads_total{model="chat"}'] == 2 and
              metrics['pith_model_loads_total{model="chat"}'] == 2, metrics)
    with Service(pith, "--models", models_directory, "--memory-limit", "1M") as service:
        status, headers, answer = service.json("POST", "/v1/completions", TEXT)
        check("a model over the limit", status == 503 and
              answer["error"]["code"] == "model_too_large" and "retry-after" not in headers and
              "limit of 1 MB" in answer["error"]["message"] and
              headers.get("x-should-retry") == "false", (status, headers, answer))


def addresses(pith, models_directory):
    refused = subprocess.run([pith, "serve", "--host", "0.0.0.0", "--port", "0"],
                             capture_output=True, text=True)
    check("an address that others reach is refused", refused.returncode == 2 and
          "--open" in refused.stderr and refused.stderr.count("\n") == 1, refused)
    with Service(pith, "--host", "0.0.0.0", "--open") as service:
        check("unless it is open", service.base[1] == "0.0.0.0", service.base)
    with Service(pith, "--host", "localhost") as service:
        check("localhost", service.request("GET", "/health")[0] == 200)
        taken = subprocess.run([pith, "serve", "--host", service.base[1], "--port",
                                str(service.base[2])], capture_output=True, text=True)
        check("a port in use", taken.returncode == 1 and "in use" in taken.stderr and
              "--port" in taken.stderr, taken)
    try:
        with Service(pith, "--host", "::1") as service:
            check("IPv6", "[::1]" in "".join(service.log) and
                  service.request("GET", "/health")[0] == 200, service.log)
    except RuntimeError:
        print("skipped: IPv6")
    inherited = socket.create_server(("127.0.0.1", 0))
    port = inherited.getsockname()[1]
    script = f"exec 3<&{inherited.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec '{pith}' serve"
    process = subprocess.Popen(["sh", "-c", script], pass_fds=[inherited.fileno()],
                               stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    check("a socket that systemd passes on", line == f"listening on http://127.0.0.1:{port}\n", line)
    process.terminate()
    check("it ends with 0", process.wait(60) == 0)
    inherited.close()


def found(pith):
    """The log names the models, says when a directory has none, and why one is not loaded: once."""
    with tempfile.TemporaryDirectory() as directory, \
            Service(pith, "--models", directory) as service:
        def logged(words):
            return [line for line in service.log if words in line]
        check("a directory without models", wait_until(lambda: logged("holds no model")) and
              logged('"models: search-int8, story-int4, story-int8"'), service.log)
        with open(os.path.join(directory, "noise.pith"), "wb") as file:
            file.write(bytes([255]) * 100)
        service.process.send_signal(signal.SIGHUP)
        check("the models after SIGHUP", wait_until(lambda: logged(
            '"models: noise, search-int8, story-int4, story-int8"')) and
              len(logged("holds no model")) == 1, service.log)
        answer = service.request("POST", "/v1/completions", {"model": "noise", "prompt": "a"})
        check("a damaged model", answer[0] == 500, answer)
        check("its reason is in the log once", wait_until(lambda: logged("/v1/completions")) and
              len(logged("model noise: ")) == 1, service.log)


def crowd(pith, models_directory):
    """More connections than are allowed: some are told so, and it is over when they go."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with Service(pith, "--models", models_directory) as service:
        crowd_of = []
        try:
            for _ in range(1060):
                crowd_of.append(service.socket(30))
        except OSError as problem:
            print(f"skipped: a crowd ({problem})")
            return
        crowd_of[0].sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        crowd_of[-1].sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        told = crowd_of[-1].recv(1000)
        check("one too many is told", told.startswith(b"HTTP/1.1 503") and
              b"\r\nRetry-After: 1\r\n" in told, told)
        for connection in crowd_of:
            connection.close()
        check("then all is well", wait_until(
            lambda: service.request("GET", "/health")[0] == 200))


def main():
    pith = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        models_directory = make_models(pith, directory)
        endpoints(pith, directory, models_directory)
        keys(pith, directory, models_directory)
        reload(pith, directory, models_directory)
        found(pith)
        origins(pith, models_directory)
        tls(pith, directory, models_directory)
        drain(pith, models_directory)
        memory(pith, models_directory)
        addresses(pith, models_directory)
        crowd(pith, models_directory)
    check.finish()


main()
