"""Usage counts against an independent tokenisation.
    usage.py PITH [REQUESTS]

Prompts are tokenised here by the definition of SentencePiece's BPE: the pieces and scores of the
model's tokenizer.model, the best pair merged first. Generated tokens are counted by the
log-probabilities that come with each of them."""

import json
import random
import struct
import subprocess
import sys
import tempfile

from service import ROOT, Checks, Service, events, make_models

check = Checks()


# ---- A tokenizer ---------------------------------------------------------------------------------

def fields(data):
    """(number, value) of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            value = varint()
        elif kind == 5:
            value, at = data[at:at + 4], at + 4
        elif kind == 1:
            value, at = data[at:at + 8], at + 8
        else:
            n = varint()
            value, at = data[at:at + n], at + n
        yield tag >> 3, value


class Tokenizer:
    def __init__(self, path):
        with open(path, "rb") as file:
            model = file.read()
        self.ids, self.scores = {}, []
        for number, value in fields(model):
            if number == 1:
                piece = dict(fields(value))
                self.ids[piece[1].decode()] = len(self.scores)
                self.scores.append(struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0)

    def encode(self, text):
        parts = list(("▁" + text).replace(" ", "▁")) if text else []
        while True:
            best = None
            for i in range(len(parts) - 1):
                joined = self.ids.get(parts[i] + parts[i + 1])
                if joined is not None and (best is None or self.scores[joined] > best[0]):
                    best = self.scores[joined], i
            if best is None:
                break
            i = best[1]
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        ids = []
        for part in parts:
            if part in self.ids:
                ids.append(self.ids[part])
            else:
                ids += [self.ids[f"<0x{byte:02X}>"] for byte in part.encode()]
        return ids

    def count(self, text):
        """With the beginning-of-text token in front."""
        return 1 + len(self.encode(text))

    def count_chat(self, messages):
        """Llama 2's markup: each turn is a text of its own between its special tokens."""
        system = ""
        n = 0
        for message in messages:
            text = message["content"]
            if message["role"] == "system":
                system = f"<<SYS>>\n{text}\n<</SYS>>\n\n"
            elif message["role"] == "user":
                n += self.count(f"[INST] {(system + text).strip()} [/INST]")
                system = ""
            else:
                # A text that follows on the prompt begins with its own space, not with another.
                n += len(self.encode(text.strip() + " ")) + 1
        return n


# ---- Requests ------------------------------------------------------------------------------------

WORDS = ("once upon a time there was king queen fox wolf forest gold ring said to the and he she "
         "went über naïve 雪 🦊 x1 42 ! ... \n").split(" ")


def text(rng, least, most):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randrange(least, most)))


def random_request(rng):
    body = {"model": "chat", "max_tokens": rng.randrange(1, 40), "seed": rng.randrange(1 << 30),
            "temperature": rng.choice([0, 0.8, 1.0])}
    if rng.random() < 0.3:
        body["stop"] = rng.choice(["e", [" the", "king"], "xyz"])
    if rng.random() < 0.5:
        body["prompt"] = text(rng, 1, 60)
        return "/v1/completions", body
    body["messages"] = [{"role": "user", "content": text(rng, 1, 30)}]
    if rng.random() < 0.3:
        body["messages"].insert(0, {"role": "system", "content": text(rng, 1, 10)})
    return "/v1/chat/completions", body


def generated(answer):
    """Tokens that the log-probabilities list."""
    logprobs = answer["choices"][0]["logprobs"]
    return len(logprobs["content"] if "content" in logprobs else logprobs["tokens"])


def run(service, tokenizer, key, n):
    rng = random.Random(11)
    sums = [0, 0]
    ended = {}
    headers = {"authorization": f"Bearer {key}"}
    for i in range(n):
        path, body = random_request(rng)
        expected = (tokenizer.count(body["prompt"]) if "prompt" in body
                    else tokenizer.count_chat(body["messages"]))
        with_logprobs = dict(body, logprobs=True, top_logprobs=0)
        if path == "/v1/completions":
            with_logprobs = dict(body, logprobs=0)
        listed = service.json("POST", path, with_logprobs, headers)
        if not check(f"request {i} is answered", listed[0] == 200, listed):
            continue
        usage = listed[2]["usage"]
        sums[0] += usage["prompt_tokens"]
        sums[1] += usage["completion_tokens"]
        check(f"request {i}: prompt tokens", usage["prompt_tokens"] == expected,
              (usage, expected, body))
        count = generated(listed[2])
        check(f"request {i}: generated tokens", usage["completion_tokens"] == count,
              (usage, count, body))
        reason = listed[2]["choices"][0]["finish_reason"]
        ended[reason] = ended.get(reason, 0) + 1
        if reason == "length":
            check(f"request {i}: ended by length", count == body["max_tokens"], (count, body))
        if rng.random() < 0.5:
            status, _, answer = service.request("POST", path, dict(
                body, stream=True, stream_options={"include_usage": True}), headers)
            found = events(answer)
            check(f"request {i}: the stream ends", status == 200 and found[-1] == "[DONE]", found)
            streamed = json.loads(found[-2])["usage"]
        else:
            status, _, answer = service.json("POST", path, body, headers)
            streamed = answer["usage"]
        check(f"request {i}: the same again", {k: streamed[k] for k in (
            "prompt_tokens", "completion_tokens", "total_tokens")} == {k: usage[k] for k in (
                "prompt_tokens", "completion_tokens", "total_tokens")}, (streamed, usage))
        sums[0] += streamed["prompt_tokens"]
        sums[1] += streamed["completion_tokens"]
    print(f"{n} random requests, each asked twice: {sums[0]} prompt and {sums[1]} generated tokens; "
          f"ended by {ended}")
    rows = service.json("GET", "/usage", headers=headers)[2]["usage"]
    check("the ledger's sums", [sum(row[k] for row in rows) for k in
                                ("prompt_tokens", "generated_tokens")] == sums, (rows, sums))
    check("the ledger's requests", sum(row["requests"] for row in rows) == 2 * n, rows)


def main():
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    pith = sys.argv[1]
    tokenizer = Tokenizer(f"{ROOT}/golden/tale/tokenizer.model")
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(pith, directory)
        database = f"{directory}/usage.db"
        key = subprocess.run([pith, "keys", "add", database, "counter", "--infer-per-hour", "0"],
                             capture_output=True, text=True, check=True).stdout.strip()
        with Service(pith, "--models", models, "--db", database) as service:
            run(service, tokenizer, key, n)
            code = service.stop()
            check("it ends with 0", code == 0, code)
    check.finish()


if __name__ == "__main__":
    main()
