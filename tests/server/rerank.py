"""POST /rerank of `pith serve`, and embeddings of other encoders than BERT.
    rerank.py PITH

Scores are compared with those of the pairs, and with cosines of what `pith embed` gives."""

import json
import math
import os
import subprocess
import sys
import tempfile

from service import ROOT, Checks, Service

check = Checks()
TEXTS = ["a king", "", "the wolf at the door", "a king"]
QUERY = "who knocked"


def make_models(pith, directory):
    models = os.path.join(directory, "models")
    os.mkdir(models)
    for name in "bert-scores", "gemma3", "qwen3":
        source = os.path.join(ROOT, "golden/encoders", name)
        subprocess.run([pith, "convert", source, os.path.join(models, name + ".pith"), "--type",
                        "int8"], check=True, stderr=subprocess.DEVNULL)
    os.symlink(os.path.join(ROOT, "golden/encoders/mpnet"), os.path.join(models, "mpnet"))
    return models


def embed(pith, model, texts):
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run([pith, "embed", model, "--json"], input=lines, text=True, check=True,
                          stdout=subprocess.PIPE)
    return [json.loads(line)["embedding"] for line in done.stdout.splitlines()]


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def rerank(service, **body):
    return service.json("POST", "/rerank", {"query": QUERY, "documents": TEXTS, **body})


def check_scores(name, answer, expected):
    order = sorted(range(len(TEXTS)), key=lambda i: (-expected[i], i))
    found = answer[2].get("results", [])
    check(name, answer[0] == 200 and [r["index"] for r in found] == order and
          all(abs(r["relevance_score"] - expected[r["index"]]) < 1e-5 for r in found) and
          answer[2]["usage"]["prompt_tokens"] > 0, (answer, expected))


def run(pith, service, models):
    pairs = [{"text": QUERY, "pair": text} for text in TEXTS]
    path = os.path.join(models, "bert-scores.pith")
    scores = [vector[0] for vector in embed(pith, path, pairs)]
    check_scores("a cross-encoder's scores", rerank(service, model="bert-scores"), scores)
    path = os.path.join(models, "gemma3.pith")
    query, *vectors = embed(pith, path, [{"text": text} for text in [QUERY, *TEXTS]])
    check_scores("cosines of embeddings", rerank(service, model="gemma3"),
                 [cosine(query, vector) for vector in vectors])
    best = rerank(service, model="bert-scores", top_n=1, return_documents=True)[2]["results"]
    check("the best one, with its text", len(best) == 1 and
          best[0]["document"] == {"text": TEXTS[best[0]["index"]]}, best)
    answer = service.json("POST", "/v1/rerank", {"model": "bert-scores", "query": QUERY,
                                                 "documents": [{"text": "a king"}]})
    check("documents as objects", answer[0] == 200 and
          abs(answer[2]["results"][0]["relevance_score"] - scores[0]) < 1e-5, answer)
    for model, n_cut in ("bert-scores", 2), ("gemma3", 1):
        cut = rerank(service, model=model, documents=["a king " * 2000, "the wolf"] * n_cut)
        check("texts that were cut are told", cut[1].get("x-pith-truncated") == str(n_cut), cut)
    whole = rerank(service, model="bert-scores")
    check("and only these", "x-pith-truncated" not in whole[1], whole)
    answer = service.json("POST", "/v1/embeddings", {"model": "bert-scores", "input": "a"})
    check("no embeddings of a cross-encoder", answer[0] == 400 and
          "/rerank" in answer[2]["error"]["message"], answer)
    answer = service.json("POST", "/v1/embeddings", {"model": "gemma3", "input": QUERY,
                                                     "dimensions": 8})
    short = answer[2]["data"][0]["embedding"]
    check("eight dimensions", len(short) == 8 and abs(cosine(short, query[:8]) - 1) < 1e-5 and
          abs(sum(x * x for x in short) - 1) < 1e-5, answer)
    answer = service.json("POST", "/v1/embeddings", {"model": "gemma3", "input": QUERY,
                                                     "dimensions": 25})
    check("too many dimensions", answer[0] == 400, answer)
    kinds = {m["id"]: m.get("kind") for m in service.json("GET", "/v1/models")[2]["data"]}
    check("all are encoders before and after loading", all(
        kinds.get(name) == "encoder" for name in ("bert-scores", "gemma3", "qwen3", "mpnet")), kinds)
    answer = service.json("POST", "/v1/embeddings", {"model": "mpnet", "input": QUERY})
    check("a checkpoint that is converted on the way", answer[0] == 200 and
          len(answer[2]["data"][0]["embedding"]) == 32, answer)


def main():
    pith = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(pith, directory)
        with Service(pith, "--models", models,
                     environment={"XDG_CACHE_HOME": os.path.join(directory, "cache")}) as service:
            run(pith, service, models)
    check.finish()


if __name__ == "__main__":
    main()
