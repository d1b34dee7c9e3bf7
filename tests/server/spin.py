"""The native protocol, byte for byte as Spin's remote_http backend sends it.
    spin.py PITH

Spin writes the keys of its JSON in alphabetical order, widens its 32-bit floats to double, sends no
Content-Type, and reads any answer as that of success, whatever its status."""

import json
import sys
import tempfile

from service import Checks, Service, make_models, wait_until

check = Checks()


def exchange(service, path, body, key="none"):
    """Sends the bytes that reqwest sends and returns status and document."""
    head = (f"POST {path} HTTP/1.1\r\nauthorization: bearer {key}\r\naccept: */*\r\n"
            f"accept-encoding: gzip\r\nhost: {service.address[0]}:{service.address[1]}\r\n"
            f"content-length: {len(body)}\r\n\r\n")
    with service.socket() as connection:
        connection.sendall(head.encode() + body)
        stream = connection.makefile("rb")
        status = int(stream.readline().split()[1])
        length = None
        while (line := stream.readline().strip()):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, json.loads(stream.read(length))


def infer(model, prompt, options):
    return json.dumps({"model": model, "options": options, "prompt": prompt},
                      separators=(",", ":")).encode()


DEFAULTS = {"maxTokens": 100, "repeatPenalty": 1.100000023841858,
            "repeatPenaltyLastNTokenCount": 64, "temperature": 0.800000011920929, "topK": 40,
            "topP": 0.8999999761581421}
ZEROS = {"maxTokens": 12, "repeatPenalty": 0.0, "repeatPenaltyLastNTokenCount": 0,
         "temperature": 0.0, "topK": 0, "topP": 0.0}
# Of Spin's own test of its LLM interface: one token, and a text that is not empty.
SPINS_TEST = {"maxTokens": 1, "repeatPenalty": 0.0, "repeatPenaltyLastNTokenCount": 0,
              "temperature": 0.0, "topK": 1, "topP": 1.0}


def run(service):
    body = infer("llama2-chat", "Say hello", DEFAULTS)
    check("the bytes are Spin's", body.startswith(
        b'{"model":"llama2-chat","options":{"maxTokens":100,"repeatPenalty":1.100000023841858,'
        b'"repeatPenaltyLastNTokenCount":64,"temperature":0.800000011920929,"topK":40,'
        b'"topP":0.8999999761581421},"prompt":"Say hello"}'), body)
    status, answer = exchange(service, "/infer", body)
    check("defaults: status 200", status == 200, (status, answer))
    usage = answer.get("usage", {})
    check("defaults: text", isinstance(answer.get("text"), str) and answer["text"] != "", answer)
    check("defaults: prompt tokens", usage.get("promptTokenCount", 0) > 0, usage)
    check("defaults: at most 100 tokens", 0 < usage.get("generatedTokenCount", 0) <= 100, usage)
    check("the prompt is not in the text", "Say hello" not in answer["text"], answer)

    status, answer = exchange(service, "/infer", infer("llama2-chat", "Say hello", SPINS_TEST))
    check("Spin's test: text", status == 200 and answer["text"] != "", (status, answer))
    check("Spin's test: one token", answer["usage"]["generatedTokenCount"] == 1, answer)

    texts = {exchange(service, "/infer", infer("llama2-chat", "Once upon a time", ZEROS))[1]["text"]
             for _ in range(3)}
    check("temperature 0 is greedy", len(texts) == 1, texts)
    greedy = dict(ZEROS, topK=1, topP=1.0, repeatPenalty=1.0)
    answer = exchange(service, "/infer", infer("llama2-chat", "Once upon a time", greedy))[1]
    check("zeros are off", {answer["text"]} == texts, (answer["text"], texts))

    inputs = ["Say hello", "", "Ein zweiter Text, länger als der erste."]
    body = json.dumps({"input": inputs, "model": "all-minilm-l6-v2"}, separators=(",", ":"),
                      ensure_ascii=False).encode()
    status, answer = exchange(service, "/embed", body)
    check("embed: status 200", status == 200, (status, answer))
    vectors = answer["embeddings"]
    check("embed: one vector a text", len(vectors) == len(inputs), len(vectors))
    check("embed: unit length", all(abs(sum(x * x for x in v) - 1) < 1e-4 for v in vectors))
    check("embed: prompt tokens", answer["usage"]["promptTokenCount"] > 0, answer["usage"])
    body = json.dumps({"input": inputs[2:], "model": "all-minilm-l6-v2"}).encode()
    alone = exchange(service, "/embed", body)[1]["embeddings"][0]
    check("embed: a text's vector does not depend on its company", alone == vectors[2])

    for path, body, expected in (
            ("/infer", infer("no-such-model", "x", DEFAULTS), 404),
            ("/infer", b"{", 400),
            ("/infer", b'{"model":"llama2-chat"}', 400),
            ("/embed", b'{"input":"x","model":"no-such-model"}', 404),
            ("/embed", b'{"input":[1],"model":"all-minilm-l6-v2"}', 400)):
        status, answer = exchange(service, path, body)
        check(f"{path} {body!r}: {expected}", status == expected, status)
        check(f"{path} {body!r}: an error document", isinstance(answer.get("error"), dict)
              and answer["error"].get("message"), answer)


def main():
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(sys.argv[1], directory)
        with Service(sys.argv[1], "--models", models, "--alias", "llama2-chat=chat", "--alias",
                     "all-minilm-l6-v2=minilm") as service:
            run(service)
            check("nothing is left running", wait_until(
                lambda: service.total("pith_requests_running") == 0))
            code = service.stop()
            check("it ends with 0", code == 0, code)
    check.finish()


main()
