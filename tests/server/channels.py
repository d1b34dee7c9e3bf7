"""Chats with a model that answers in channels: reasoning and text come apart, in one piece and in a
stream, by each protocol.
    channels.py PITH"""

import json
import os
import subprocess
import sys
import tempfile

from service import ROOT, Checks, Service, events

sys.path.insert(0, os.path.join(ROOT, "tests/clients"))
import scripted  # noqa: E402

check = Checks()
MESSAGES = [{"role": "user", "content": "How warm is it in Paris?"}]
REASONING, TEXT = "It is known.", "It is 21 degrees in Paris."


def joined(deltas, key):
    return "".join(d.get(key) or "" for d in deltas)


def run(service):
    body = {"model": "channels", "messages": MESSAGES, "temperature": 0}
    status, _, answer = service.json("POST", "/v1/chat/completions", body)
    message = answer["choices"][0]["message"]
    check("an answer", status == 200 and message.get("reasoning_content") == REASONING and
          message["content"] == TEXT, answer)
    check("its end", answer["choices"][0]["finish_reason"] == "stop", answer)
    _, _, raw = service.request("POST", "/v1/chat/completions", dict(body, stream=True))
    chunks = [json.loads(e) for e in events(raw) if e != "[DONE]"]
    deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
    check("a stream", joined(deltas, "reasoning_content") == REASONING and
          joined(deltas, "content") == TEXT, raw)
    _, _, answer = service.json("POST", "/api/chat", {"model": "channels", "messages": MESSAGES,
                                                      "stream": False, "think": True})
    check("ollama's", answer["message"].get("thinking") == REASONING and
          answer["message"]["content"] == TEXT, answer)
    status, _, answer = service.json("POST", "/v1/chat/completions", dict(
        body, tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}]))
    check("tools are refused", status == 400 and answer["error"]["code"] == "tools_unsupported",
          answer)


def main():
    pith = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        models = os.path.join(scratch, "models")
        os.mkdir(models)
        source = os.path.join(scratch, "channels")
        scripted.write(source, scripted.CHANNELS)
        subprocess.run([pith, "convert", source, os.path.join(models, "channels.pith"), "--type",
                        "f32"], check=True, stderr=subprocess.DEVNULL)
        with Service(pith, "--models", models) as service:
            run(service)
    check.finish()


if __name__ == "__main__":
    main()
