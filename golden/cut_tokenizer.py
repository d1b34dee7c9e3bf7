"""Cuts a large tokenizer.json of byte-level BPE down to one for tests, with every rule in play.

    python3 golden/cut_tokenizer.py FULL.json N_MERGES [N_ADDED] > CUT.json

Kept are all sections but the vocabulary as they are, the 256 bytes, the first N_MERGES merges with
the pieces they make, a few pieces that no merge makes where the model has `ignore_merges`, and of
the added tokens the first N_ADDED of every combination of flags (default 4), with new ids behind
the pieces. Only vocabularies whose licence allows it may be cut into the tree.
"""

import json
import sys


def main():
    path, n_merges = sys.argv[1], int(sys.argv[2])
    n_added = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    model = document["model"]
    merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
    kept = merges[:n_merges]
    made = {left + right for left, right in kept}
    by_id = sorted(model["vocab"], key=model["vocab"].get)
    pieces = [p for p in by_id if len(p) == 1 or p in made]
    if model.get("ignore_merges"):
        every = {left + right for left, right in merges}
        pieces += [p for p in by_id if len(p) > 1 and p not in every][:50]
    kept = [m for m in kept if m[0] in pieces and m[1] in pieces]
    model["vocab"] = {piece: i for i, piece in enumerate(pieces)}
    model["merges"] = [" ".join(m) for m in kept]

    seen, added = {}, []
    for token in document["added_tokens"]:
        flags = tuple(token[k] for k in ("special", "normalized", "lstrip", "rstrip", "single_word"))
        seen[flags] = seen.get(flags, 0) + 1
        if seen[flags] <= n_added and token["content"] not in model["vocab"]:
            added.append(dict(token, id=len(pieces) + len(added)))
    ids = {token["content"]: token["id"] for token in added}
    document["added_tokens"] = added

    def renumber(value):
        if isinstance(value, dict):
            for name, token in list(value.get("special_tokens", {}).items()):
                token["ids"] = [ids[t] for t in token["tokens"]]
            for member in value.values():
                renumber(member)
        elif isinstance(value, list):
            for member in value:
                renumber(member)

    renumber(document["post_processor"])
    json.dump(document, sys.stdout, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
