"""pith on published tokenizers against reference ids, where you have them.

    python3 golden/check_tokenizers.py build/pith DIRECTORY

For every NAME.jsonl in DIRECTORY there is a NAME.tokenizer.json, perhaps with .xz at its end. A
line has `text`, the `ids` that Hugging Face's tokenizers give for it, without tokens around it,
`decoded`, with special tokens shown, and where the post-processor puts a token in front
`with_special`, a list that begins with its id.
"""

import json
import lzma
import os
import subprocess
import sys
import tempfile


def run(command, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0 or done.stderr:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def hide(case, special):
    """The decoded text without the special tokens, which pith detokenize does not show."""
    text = case["decoded"]
    for token in case["ids"]:
        if token in special:
            text = text.replace(special[token], "", 1)
    return text


def check(pith, name, document, cases):
    bad = 0

    def compare(what, expected, actual):
        nonlocal bad
        wrong = [i for i, (a, b) in enumerate(zip(expected, actual)) if a != b]
        bad += len(wrong)
        print(f"{name}: {what}: {len(expected) - len(wrong)} of {len(expected)} equal")
        for i in wrong[:3]:
            print(f"  {cases[i]['text'][:60]!r}: {str(expected[i])[:200]}, not {str(actual[i])[:200]}")

    special = {t["id"]: t["content"] for t in json.loads(document)["added_tokens"] if t["special"]}
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "tokenizer.json")
        with open(path, "wb") as file:
            file.write(document)
        tokenize = [pith, "tokenize", path, "--json", "--special"]
        texts = [{"text": case["text"]} for case in cases]
        ids = [case["ids"] for case in cases]
        compare("ids", ids, [line["ids"] for line in run(tokenize, texts)])
        around = [case.get("with_special", [])[:1] + case["ids"] for case in cases]
        found = [line["ids"] for line in run([*tokenize, "--bos=auto"], texts)]
        compare("ids with what stands around a text", around, found)
        shown = [line["text"] for line in run([pith, "detokenize", path], [{"ids": i} for i in ids])]
        compare("text", [hide(case, special) for case in cases], shown)
    return bad


def main():
    pith, directory = sys.argv[1:]
    names = sorted(f[: -len(".jsonl")] for f in os.listdir(directory) if f.endswith(".jsonl"))
    if not names:
        raise SystemExit(f"{directory}: no NAME.jsonl in it")
    bad = 0
    for name in names:
        path = os.path.join(directory, name)
        if os.path.exists(path + ".tokenizer.json.xz"):
            with lzma.open(path + ".tokenizer.json.xz") as file:
                document = file.read()
        else:
            with open(path + ".tokenizer.json", "rb") as file:
                document = file.read()
        with open(path + ".jsonl", encoding="utf-8") as file:
            cases = [json.loads(line) for line in file]
        bad += check(pith, name, document, cases)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
