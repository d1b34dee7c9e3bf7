"""ollama's protocol of `pith serve`: lines of a stream, and what it shares with the others: keys,
quotas, usage, the log, metrics, clients that leave.
    ollama.py PITH"""

import json
import subprocess
import sys
import tempfile
import threading

from service import Checks, Service, make_models, wait_until

check = Checks()
PROMPT = {"model": "chat", "prompt": "Once upon a time", "options": {"num_predict": 8, "seed": 1}}


def lines(body):
    return [json.loads(line) for line in body.decode().split("\n")[:-1]]


def forms(service):
    status, headers, body = service.request("POST", "/api/generate", PROMPT)
    parts = lines(body)
    check("a stream by default", status == 200 and
          headers["Content-Type"] == "application/x-ndjson" and body.endswith(b"}\n") and
          [part["done"] for part in parts] == [False] * (len(parts) - 1) + [True], body)
    whole = service.json("POST", "/api/generate", dict(PROMPT, stream=False))
    check("a document", whole[1]["Content-Type"] == "application/json" and
          whole[2]["response"] == "".join(part["response"] for part in parts) and
          whole[2]["eval_count"] == parts[-1]["eval_count"] <= 8, whole)
    text = service.json("POST", "/v1/completions", {"model": "chat", "max_tokens": 8, "seed": 1,
                        "prompt": "[INST] Once upon a time [/INST]", "temperature": 0.8, "top_k": 40,
                        "top_p": 0.9, "repeat_penalty": 1.1})[2]["choices"][0]["text"]
    check("the text is that of the other protocol", whole[2]["response"] == text, (whole, text))
    status, _, answer = service.json("GET", "/api/tags")
    check("tags", status == 200 and {m["model"] for m in answer["models"]} >=
          {"chat:latest", "minilm:latest"}, answer)
    for model in answer["models"]:
        times = (model["modified_at"],
                 service.json("POST", "/api/show", {"model": model["model"]})[2]["modified_at"])
        check("one time of a model", times[0] == times[1] > "2000", (model["model"], times))
    body = {"model": "minilm", "input": ["a stone", "x " * 1000]}
    cut = service.json("POST", "/api/embed", body)
    check("a text that was cut is told", cut[0] == 200 and cut[1].get("x-pith-truncated") == "1", cut)
    whole = service.json("POST", "/api/embed", dict(body, truncate=False))
    check("or is refused", whole[0] == 400 and "x-pith-truncated" not in whole[1] and
          whole[2]["error"].startswith("1 of the texts"), whole)
    for method, path, wanted in (("GET", "/api/nothing", 404), ("GET", "/api/chat", 405),
                                 ("POST", "/api/pull", 400), ("DELETE", "/api/delete", 400),
                                 ("POST", "/api/blobs/sha256:00", 400),
                                 ("POST", "/api/generate", 400)):
        status, _, answer = service.json(method, path, "{" if wanted == 400 else None)
        check(f"{method} {path}", status == wanted and isinstance(answer.get("error"), str) and
              list(answer) == ["error"], (status, answer))
    status, _, answer = service.json("POST", "/api/generate", b"{" + b" " * (3 << 20))
    check("a body that is too large", status == 413 and isinstance(answer["error"], str), answer)
    status, _, answer = service.json("POST", "/v1/completions", "{")
    check("the other protocols have errors of their own", "message" in answer["error"], answer)


def shared(service, key):
    headers = {"Authorization": f"Bearer {key}"}
    for method, path in (("GET", "/api/tags"), ("GET", "/api/version"), ("POST", "/api/chat")):
        status, _, answer = service.json(method, path, {} if method == "POST" else None)
        check(f"{path} needs a key", status == 401 and isinstance(answer["error"], str), answer)
    used = lines(service.request("POST", "/api/generate", PROMPT, headers)[2])[-1]
    service.request("POST", "/api/embed", {"model": "minilm", "input": "a stone"}, headers)
    service.request("POST", "/api/generate", {"model": "chat"}, headers)  # loads: no generation
    rows = {row["kind"]: row for row in service.json("GET", "/usage", headers=headers)[2]["usage"]}
    check("usage", rows["infer"]["requests"] == 1 and rows["embed"]["requests"] == 1 and
          rows["infer"]["prompt_tokens"] == used["prompt_eval_count"] and
          rows["infer"]["generated_tokens"] == used["eval_count"], rows)
    status, limits, _ = service.request("POST", "/api/chat", {"model": "chat", "messages": [
        {"role": "user", "content": "Hi"}], "options": {"num_predict": 1}}, headers)
    check("quota headers", status == 200 and limits["x-ratelimit-remaining"] == "0", limits.items())
    status, limits, answer = service.json("POST", "/api/generate", PROMPT, headers)
    check("beyond the quota", status == 429 and "quota" in answer["error"] and
          int(limits["Retry-After"]) > 0, (status, answer))
    samples = service.metrics(headers)
    check("metrics know the path", any("/api/generate" in name for name in samples), "")
    log = [json.loads(line) for line in service.log[1:]]
    check("the log has the request", any(
        entry.get("path") == "/api/generate" and entry.get("model") == "chat" and
        entry.get("status") == 200 and entry.get("generated_tokens") == used["eval_count"]
        for entry in log), log[-3:])


def unloading(service):
    """keep_alive 0 with nothing to do: no model is loaded only to be unloaded."""
    def loads():
        return service.total("pith_model_loads_total")

    for path, body in (("embed", {"model": "minilm", "input": []}),
                       ("embeddings", {"model": "minilm"}), ("generate", {"model": "chat"}),
                       ("chat", {"model": "chat", "messages": []})):
        service.json("POST", f"/api/{path}", body)  # loads it
        before = loads()
        for state in "loaded", "not loaded":
            status, _, answer = service.json("POST", f"/api/{path}", dict(body, keep_alive=0,
                                                                          stream=False))
            running = [m["name"] for m in service.json("GET", "/api/ps")[2]["models"]]
            check(f"/api/{path} unloads a model that is {state}", status == 200 and
                  body["model"] + ":latest" not in running and loads() == before,
                  (status, answer, running, before))
        status, _, answer = service.json("POST", f"/api/{path}", dict(body, model="none",
                                                                      keep_alive=0))
        check(f"/api/{path} unloads no other", status == 404 and "'none'" in answer["error"],
              (status, answer))
    check("models were loaded", loads() > 2, loads())


def leaving(service):
    """A client that goes away in the middle ends its generation."""
    body = json.dumps({"model": "chat", "prompt": "Once", "options": {"num_predict": 400}}).encode()

    def leave():
        with service.socket(60) as connection:
            connection.sendall(b"POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                               str(len(body)).encode() + b"\r\n\r\n" + body)
            connection.recv(10)

    before = service.total("pith_generated_tokens_total")
    threads = [threading.Thread(target=leave) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("nothing runs on", wait_until(lambda: service.metrics().get(
        'pith_requests_total{path="/api/generate",code="499"}') == 12 and
        service.total("pith_requests_running") + service.total("pith_requests_waiting") == 0, 10), "")
    tokens = service.total("pith_generated_tokens_total") - before
    check("far fewer tokens than were asked for", tokens < 12 * 400 / 4, tokens)
    check("and the next one is answered",
          service.request("POST", "/api/generate", PROMPT)[0] == 200)


def main():
    pith = sys.argv[1]
    with tempfile.TemporaryDirectory() as scratch:
        models = make_models(pith, scratch)
        with Service(pith, "--models", models) as service:
            forms(service)
            leaving(service)
            unloading(service)
        database = scratch + "/usage.db"
        key = subprocess.run([pith, "keys", "add", database, "a", "--infer-per-hour", "2"],
                             capture_output=True, text=True, check=True).stdout.strip()
        with Service(pith, "--models", models, "--db", database) as service:
            shared(service, key)
    check.finish()


main()
