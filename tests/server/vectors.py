"""Collections of `pith serve`: documents are added, replaced, deleted and searched over HTTP.
    vectors.py PITH [DOCUMENTS [KILLS]]

The vectors that a search compares are computed here again, by /v1/embeddings. At the end documents
are added while others search, and the service is killed in the middle, again and again: whatever
was acknowledged must be found, and the database must be whole."""

import http.client
import math
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from service import ROOT, Checks, Service, make_models

check = Checks()
CUT = (OSError, ValueError, http.client.HTTPException)  # a connection that ends in the middle
WORDS = "stone rock rain salt wolf door king river night bread silver road winter bird song".split()


def add(service, collection, documents, **more):
    return service.json("POST", f"/collections/{collection}/documents",
                        dict(more, documents=documents))


def search(service, collection, query, **more):
    return service.json("POST", f"/collections/{collection}/search", dict(more, query=query))


def text_of(i):
    words = random.Random(i)
    return " ".join(words.choice(WORDS) for _ in range(words.randint(3, 12)))


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def is_error(name, answer, status, code, words=""):
    error = answer[2].get("error", {})
    check(name, answer[0] == status and error.get("code") == code and
          words in error.get("message", ""), answer)


def basics(service):
    texts = [text_of(i) for i in range(40)]
    status, _, answer = add(service, "notes", [
        {"id": f"n/{i}", "text": text, "metadata": {"even": i % 2 == 0, "i": i}}
        for i, text in enumerate(texts)])
    check("documents are added", status == 200 and answer["collection"] == "notes" and
          answer["model"] == "minilm" and [d["id"] for d in answer["documents"]] ==
          [f"n/{i}" for i in range(40)] and all(d["chunks"] == 1 for d in answer["documents"]),
          answer)
    embed = lambda texts: [e["embedding"] for e in service.json(
        "POST", "/v1/embeddings", {"model": "minilm", "input": texts})[2]["data"]]
    vectors = embed(texts)
    query = embed(["a stone in the rain"])[0]
    best = sorted(range(40), key=lambda i: -cosine(vectors[i], query))
    status, _, answer = search(service, "notes", "a stone in the rain", k=40)
    found = answer["results"]
    # int8 vectors: scores within a hundredth, ranks nearly so.
    wrong = [r for r in found
             if abs(r["score"] - cosine(vectors[int(r["id"][2:])], query)) > 0.01]
    check("scores are those of /v1/embeddings", status == 200 and len(found) == 40 and not wrong,
          wrong[:3])
    check("the best come first", [r["score"] for r in found] ==
          sorted((r["score"] for r in found), reverse=True) and
          {r["id"] for r in found[:3]} <= {f"n/{i}" for i in best[:8]}, found[:3])
    one = next(r for r in found if r["id"] == "n/7")
    check("a result has text and metadata", one["text"] == texts[7] and one["begin"] == 0 and
          one["end"] == len(texts[7]) and one["metadata"] == {"even": False, "i": 7}, one)
    even = search(service, "notes", "a stone in the rain", k=5, filter={"even": True})[2]["results"]
    check("a filter leaves the others out", [r["id"] for r in even] ==
          [r["id"] for r in found if int(r["id"][2:]) % 2 == 0][:5], even)
    check("an id that no path can name", service.json("POST", "/collections/notes/documents", {
        "documents": [{"id": "1\0x", "text": "x"}]})[0] == 400)
    check("a path with %00 leads nowhere", service.request("DELETE", "/collections/notes%00x")[0] ==
          404 and service.request("DELETE", "/collections/notes/documents/1%00x")[0] == 404)
    check("a filter may find nothing", search(service, "notes", "x", filter={"i": 99})[2]
          ["results"] == [])

    add(service, "notes", [{"id": "n/7", "text": "entirely new words"}])
    one = [r for r in search(service, "notes", "entirely new words", k=40)[2]["results"]
           if r["id"] == "n/7"]
    check("a document is replaced", len(one) == 1 and one[0]["text"] == "entirely new words" and
          one[0]["metadata"] is None and one[0]["score"] > 0.99, one)
    gone = service.json("DELETE", "/collections/notes/documents/" +
                        urllib.parse.quote("n/7", safe=""))
    again = service.json("DELETE", "/collections/notes/documents/n/7")
    check("a document is deleted", gone[0] == 200 and gone[2] == {"id": "n/7", "deleted": True},
          gone)
    is_error("only once", again, 404, "document_not_found")
    listed = service.json("GET", "/collections")[2]["collections"]
    check("collections are listed", [c["name"] for c in listed] == ["notes"] and
          listed[0]["documents"] == 39 and listed[0]["model"] == "minilm", listed)
    one = service.json("GET", "/collections/notes")[2]
    check("and shown", one == listed[0], one)


def long_texts(service):
    text = " ".join(f"word{i}" for i in range(3000))
    answer = add(service, "long", [{"id": "x", "text": text}, {"id": "empty", "text": " "}])[2]
    chunks = [d["chunks"] for d in answer["documents"]]
    check("a long text is cut into chunks, white space into none", chunks[0] > 5 and chunks[1] == 0,
          chunks)
    results = search(service, "long", "word2999", k=100)[2]["results"]
    check("each chunk is a result", len(results) == chunks[0] and all(
        r["text"] == text[r["begin"]:r["end"]] for r in results), len(results))


def refusals(service):
    is_error("a search of no collection", search(service, "nothing", "x"), 404,
             "collection_not_found")
    is_error("a delete of no collection", service.json("DELETE", "/collections/nothing"), 404,
             "collection_not_found")
    is_error("an unknown model", add(service, "other", [{"id": "a", "text": "b"}], model="zzz"),
             404, "model_not_found")
    is_error("a decoder", add(service, "other", [{"id": "a", "text": "b"}], model="chat"), 400,
             None)
    is_error("another model", search(service, "notes", "x", model="minilm-f32"), 400,
             "model_mismatch")
    is_error("a long name", add(service, "n" * 128, [{"id": "a", "text": "b"}]), 400, None)
    is_error("too many chunks", add(service, "other", [{"id": "a", "text": "salt " * 380000}]), 400,
             None, "more than 2048 chunks")
    is_error("a bad document fails all", add(service, "other", [
        {"id": "a", "text": "b"}, {"id": "c"}]), 400, None, "documents[1].text")
    is_error("a name that is not UTF-8", add(service, "%ff", [{"id": "a", "text": "b"}]), 400, None,
             "UTF-8")
    for path in ("/", "/documents", "/documents/", "/search", "/anything/else"):
        status = service.request("DELETE", "/collections/notes" + path)[0]
        check(f"a DELETE of {path} deletes no collection", status in (404, 405), (path, status))
    check("it is still there", service.json("GET", "/collections/notes")[0] == 200)
    is_error("an id that is not there", service.json(
        "DELETE", "/collections/notes/documents/a/b/c"), 404, "document_not_found")
    large = 9007199254740992  # 2^53: the next integer is no double
    add(service, "large", [{"id": str(i), "text": "salt", "metadata": {"n": large + i}}
                           for i in range(2)])
    found = search(service, "large", "salt", filter={"n": large + 1})[2]["results"]
    check("integers are compared exactly", [r["id"] for r in found] == ["1"], found)
    service.json("DELETE", "/collections/large")
    names = [c["name"] for c in service.json("GET", "/collections")[2]["collections"]]
    check("nothing of that was written", "other" not in names, names)
    status, headers, _ = service.request("PUT", "/collections/notes")
    check("the methods are named", status == 405 and
          headers["allow"] == "GET, HEAD, DELETE, OPTIONS", headers)


def beside_the_command(pith, models, database, service):
    """pith index and pith search work on the same collections while the service runs."""
    model = os.path.join(models, "minilm.pith")
    line = '{"id": "from-cli", "text": "silver bird song of winter"}\n'
    done = subprocess.run([pith, "index", model, database, "notes"], input=line, text=True,
                          capture_output=True)
    check("pith index adds to the service's collection", done.returncode == 0, done.stderr)
    results = search(service, "notes", "silver bird song of winter", k=1)[2]["results"]
    check("and the service finds it", results and results[0]["id"] == "from-cli", results)
    odd = os.path.join(os.path.dirname(database).encode(), b"odd-\xff.txt")
    with open(odd, "w") as file:
        file.write("an entirely odd name of a file")
    done = subprocess.run([pith.encode(), b"index", model.encode(), database.encode(), b"notes",
                           odd], capture_output=True)
    results = search(service, "notes", "an entirely odd name of a file", k=1)[2]["results"]
    check("a file's name that is not UTF-8 is shown as near as can be", done.returncode == 0 and
          results[0]["id"].endswith("odd-\ufffd.txt"), (done.stderr, results))
    done = subprocess.run([pith, "search", model, database, "notes", "entirely other", "--json"],
                          text=True, capture_output=True)
    check("pith search reads what the service wrote", done.returncode == 0 and
          "n/" in done.stdout, done.stderr)


def quota(pith, models, directory):
    database = os.path.join(directory, "quota.db")
    key = subprocess.run([pith, "keys", "add", database, "anna", "--embed-per-hour", "2"],
                         check=True, capture_output=True, text=True).stdout.strip()
    header = {"authorization": "Bearer " + key}
    with Service(pith, "--models", models, "--db", database) as service:
        check("collections need a key", service.json("GET", "/collections")[0] == 401)
        post = lambda path, body: service.json("POST", "/collections/c" + path, body, header)
        statuses = [post("/documents", {"id": "a", "text": "salt"})[0],
                    post("/search", {"query": "salt"})[0], post("/search", {"query": "salt"})[0]]
        check("adding and searching count as embedding requests", statuses == [200, 200, 429],
              statuses)
        check("looking does not", service.json("GET", "/collections", headers=header)[0] == 200)
        rows = service.json("GET", "/usage", headers=header)[2]["usage"]
        check("usage has the tokens", len(rows) == 1 and rows[0]["requests"] == 2 and
              rows[0]["prompt_tokens"] == 6, rows)


def in_memory(pith, models):
    with Service(pith, "--models", models) as service:
        add(service, "c", [{"id": "a", "text": "salt"}])
        check("without a database collections are in memory", [r["id"] for r in search(
            service, "c", "salt")[2]["results"]] == ["a"])


def storm(pith, models, directory, n_documents, n_kills):
    """Adds documents in threads, kills the service now and then; what was acknowledged must be
    there."""
    database = os.path.join(directory, "storm.db")
    acknowledged, lock, number, failures = set(), threading.Lock(), iter(range(n_documents)), []
    found = []
    service = Service(pith, "--models", models, "--db", database).start()
    current, done = [service], threading.Event()

    def adder():
        while True:
            with lock:
                ids = [i for i in (next(number, None) for _ in range(20)) if i is not None]
            if not ids:
                return
            while True:  # until it is acknowledged
                try:
                    status, _, answer = add(current[0], "storm", [
                        {"id": str(i), "text": text_of(i)} for i in ids])
                except CUT:
                    status = None
                if status == 200:
                    with lock:
                        acknowledged.update(ids)
                    break
                if status is not None and status != 503:
                    failures.append((status, answer))
                    return
                time.sleep(0.05)

    def searcher():
        while not done.is_set():
            with lock:
                known = random.choice(sorted(acknowledged)) if acknowledged else None
            if known is None:
                time.sleep(0.05)
                continue
            try:
                status, _, answer = search(current[0], "storm", text_of(known), k=50)
            except CUT:
                time.sleep(0.05)
                continue
            if status == 200:
                found.append(known)
                if answer["results"][0]["score"] < 0.995:
                    failures.append((known, answer["results"][0]))
            elif status != 503:
                failures.append((status, answer))

    threads = [threading.Thread(target=adder) for _ in range(4)]
    watcher = threading.Thread(target=searcher)
    for thread in threads:
        thread.start()
    watcher.start()
    for kill in range(n_kills):
        target = n_documents * (kill + 1) // (n_kills + 1)
        while len(acknowledged) < target and any(t.is_alive() for t in threads):
            time.sleep(0.01)
        current[0].kill()
        current[0] = Service(pith, "--models", models, "--db", database).start()
    for thread in threads:
        thread.join()
    done.set()
    watcher.join()
    check("nothing but 200, 503 and cut connections", not failures, failures[:3])
    check("searches were answered meanwhile", found)
    shown = current[0].json("GET", "/collections/storm")[2]
    check("every acknowledged document is there", len(acknowledged) == n_documents and
          shown["documents"] == n_documents, (len(acknowledged), shown))
    missing = [i for i in random.sample(range(n_documents), min(200, n_documents))
               if search(current[0], "storm", text_of(i), k=1)[2]["results"][0]["score"] < 0.995]
    check("and found", not missing, missing[:5])
    current[0].stop()
    with sqlite3.connect(database) as connection:
        whole = connection.execute("PRAGMA integrity_check").fetchone()[0]
        ids = {row[0] for row in connection.execute(
            "SELECT key FROM documents JOIN collections c ON c.id = collection")}
    check("the database is whole", whole == "ok", whole)
    check("it has exactly the documents", {str(i) for i in acknowledged} == {
        i.decode() if isinstance(i, bytes) else i for i in ids}, len(ids))


def main():
    pith = os.path.abspath(sys.argv[1])
    n_documents = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    n_kills = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(pith, directory)
        subprocess.run([pith, "convert", os.path.join(ROOT, "golden/minilm"),
                        os.path.join(models, "minilm-f32.pith"), "--type", "f32"], check=True,
                       stderr=subprocess.DEVNULL)
        database = os.path.join(directory, "usage.db")
        with Service(pith, "--models", models, "--db", database) as service:
            basics(service)
            long_texts(service)
            refusals(service)
            beside_the_command(pith, models, database, service)
        quota(pith, models, directory)
        in_memory(pith, models)
        storm(pith, models, directory, n_documents, n_kills)
    check.finish()


if __name__ == "__main__":
    main()
