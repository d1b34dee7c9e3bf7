"""response_format of `pith serve`: answers that are JSON of a form, in every kind of answer.
    format.py PITH"""

import concurrent.futures
import json
import os
import sys
import tempfile

from service import Checks, Service, events, make_models

check = Checks()
SCHEMA = {"type": "object",
          "properties": {"z": {"type": "string", "maxLength": 12},
                         "a": {"type": "integer", "minimum": 1, "maximum": 120},
                         "list": {"type": "array", "items": {"enum": ["x", 1.50, None]},
                                  "maxItems": 3}},
          "required": ["z", "a", "list"], "additionalProperties": False}
FORMAT = {"type": "json_schema",
          "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}
CHAT = {"model": "chat", "messages": [{"role": "user", "content": "Who are you?"}],
        "max_tokens": 300, "response_format": FORMAT, "temperature": 0.9}
TEXT = {"model": "chat", "prompt": "The king said ", "max_tokens": 300,
        "response_format": FORMAT, "temperature": 0.9}


def is_answer(text):
    """The schema's properties in its order, each of its kind."""
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return (list(value) == ["z", "a", "list"] and len(value["z"]) <= 12 and
            value["a"] in range(1, 121) and len(value["list"]) <= 3 and
            all(one in ("x", 1.5, None) for one in value["list"]))


def chat_texts(answer):
    return [(choice["message"]["content"], choice["finish_reason"])
            for choice in answer[2]["choices"]]


def documents(service):
    answer = service.json("POST", "/v1/chat/completions", dict(CHAT, n=3, seed=5))
    check("chat, n of 3", answer[0] == 200 and len(chat_texts(answer)) == 3 and
          all(is_answer(text) and finish == "stop" for text, finish in chat_texts(answer)), answer)
    again = service.json("POST", "/v1/chat/completions", dict(CHAT, n=3, seed=5))
    check("the same seed", chat_texts(answer) == chat_texts(again), (answer, again))
    answer = service.json("POST", "/v1/completions", dict(TEXT, prompt=["a", "b"], logprobs=2))
    choices = answer[2].get("choices", [])
    check("completions of two prompts", answer[0] == 200 and len(choices) == 2 and
          all(is_answer(c["text"]) and c["finish_reason"] == "stop" for c in choices), answer)
    check("with log-probabilities", all("".join(c["logprobs"]["tokens"]) == c["text"] and
                                        len(c["logprobs"]["top_logprobs"][0]) >= 2
                                        for c in choices), answer)
    loose = {"type": "json_schema", "json_schema": {"schema": {"enum": ["yes", "no"]}}}
    answer = service.json("POST", "/v1/chat/completions", dict(CHAT, response_format=loose))
    check("without strict and name", chat_texts(answer)[0][0] in ('"yes"', '"no"'), answer)
    answer = service.json("POST", "/v1/chat/completions",
                          dict(CHAT, response_format={"type": "json_object"}, max_tokens=40))
    text, finish = chat_texts(answer)[0]
    check("json_object", text.startswith("{") and
          (finish == "length" or isinstance(json.loads(text), dict)), answer)
    plain = dict(CHAT, max_tokens=5, seed=1, response_format={"type": "text"})
    answer = service.json("POST", "/v1/chat/completions", plain)
    del plain["response_format"]
    check("text asks for nothing", chat_texts(answer) ==
          chat_texts(service.json("POST", "/v1/chat/completions", plain)), answer)
    answer = service.json("POST", "/v1/chat/completions", dict(CHAT, max_tokens=3))
    check("one that is cut off", chat_texts(answer)[0][1] == "length" and
          answer[2]["usage"]["completion_tokens"] == 3, answer)


def streams(service):
    for path, body, text_of in (
            ("/v1/chat/completions", CHAT, lambda c: c["delta"].get("content") or ""),
            ("/v1/completions", TEXT, lambda c: c["text"])):
        body = dict(body, seed=9)
        status, _, received = service.request(
            "POST", path, json.dumps(dict(body, stream=True, n=2)))
        chunks = [json.loads(data) for data in events(received)[:-1]]
        texts, finishes = ["", ""], [None, None]
        for chunk in chunks:
            for choice in chunk["choices"]:
                texts[choice["index"]] += text_of(choice)
                finishes[choice["index"]] = choice["finish_reason"] or finishes[choice["index"]]
        check(f"a stream of {path}", status == 200 and all(map(is_answer, texts)) and
              finishes == ["stop", "stop"], (texts, finishes))


def refusals(service):
    for value, param, words in (
            ({"type": "json_schema", "json_schema": {"schema": {
                "properties": {"a": {"format": "date"}}}}}, "response_format",
             'response_format: #/properties/a: "format" is not supported'),
            ({"type": "json_schema", "json_schema": {"schema": {"minimum": float("nan")}}},
             "response_format", "bad JSON"),
            ({"type": "json_schema", "json_schema": {"schema": {"enum": []}}}, "response_format",
             '"enum" must be a list of values'),
            ({"type": "json_schema"}, "response_format.json_schema", "must be an object"),
            ({"type": "xml"}, "response_format.type", '"json_object" or "json_schema"')):
        for path, body in ("/v1/chat/completions", CHAT), ("/v1/completions", TEXT):
            answer = service.json("POST", path, dict(body, response_format=value))
            error = answer[2].get("error", {})
            check(f"{path} refuses {value}", answer[0] == 400 and error.get("param") == param and
                  words in error.get("message", ""), answer)


def storm(service):
    """Many at once, of which some leave."""
    def one(i):
        if i % 4 == 3:
            connection = service.socket(30)
            text = json.dumps(dict(CHAT, stream=True, n=2))
            connection.sendall(("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                                f"Content-Length: {len(text)}\r\n\r\n{text}").encode())
            connection.recv(100)
            connection.close()
            return True
        answer = service.json("POST", "/v1/chat/completions", dict(CHAT, seed=i))
        return answer[0] == 200 and is_answer(chat_texts(answer)[0][0])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        check("a storm", all(pool.map(one, range(32))))


def main():
    pith = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        with Service(pith, "--models", make_models(pith, directory)) as service:
            documents(service)
            streams(service)
            refusals(service)
            storm(service)
    check.finish()


main()
