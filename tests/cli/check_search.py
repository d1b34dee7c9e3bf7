"""Tests of weights/models/search: the pairs, the tokenizer, the paraphrases. Run by
test_search_model.sh.

    python3 tests/cli/check_search.py PITH FOLDER

PITH is the command; FOLDER is for files. Prints a line "ok NAME" or "FAILED NAME" a test.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
SEARCH = os.path.join(HERE, "..", "..", "weights", "models", "search")
sys.path.insert(0, SEARCH)

import measure  # noqa: E402
import pairs  # noqa: E402
import sources  # noqa: E402
import tokenizer  # noqa: E402
import numpy as np  # noqa: E402

PITH, FOLDER = sys.argv[1:]
VOCABULARY = os.path.join(SEARCH, "vocab.txt")


def report(name, passed, detail=""):
    """Prints the verdict of a test."""
    print(("ok " if passed else "FAILED ") + name + ("" if passed else ": " + str(detail)))


# ---- A small corpus ------------------------------------------------------------------------------

# What tokenizers differ about: a control character, ideographs, BERT's tokens.
ODD = "what a\x01b and c\U0002b820d and e\U0002b920f and [MASK] and x[SEP][CLS] mean"
NOUNS = "file word page tree clock river stone letter table garden".split()
VERBS = "sort print count compare remove copy join split watch rename".split()


def page_text(i):
    """A rendered manual page: NAME, DESCRIPTION, OPTIONS, and an end."""
    draw = random.Random(i)
    verb, noun = VERBS[i % 10], NOUNS[(i // 10) % 10]
    prose = "\n\n".join(
        "       "
        + " ".join(
            "%s the %s %d of a %s and %s it."
            % (
                draw.choice(VERBS).capitalize(),
                draw.choice(NOUNS),
                draw.randrange(10000),
                draw.choice(NOUNS),
                draw.choice(VERBS),
            )
            for _ in range(5)
        )
        for _ in range(4)
    )
    return (
        "TOOL%d(1)          User Commands          TOOL%d(1)\n\nNAME\n       tool%d - %s every %s "
        "in case %d\n\nDESCRIPTION\n%s\n\nOPTIONS\n       -a, --all\n              also %s the "
        "hidden %s "
        "of number %d\n\n       -q     says nothing about any %s at all\n\nTOOL              2020\n"
        % (i, i, i, verb, noun, i, prose, verb, noun, i, noun)
    )


def make_corpus(folder, count=60):
    os.makedirs(os.path.join(folder, "lists"))
    os.makedirs(os.path.join(folder, "debs"))
    with open(os.path.join(folder, "pages.jsonl"), "w") as file:
        for i in range(count):
            file.write(json.dumps(["tool%d" % i, "1", page_text(i)]) + "\n")
    with open(os.path.join(folder, "lists", "test_Translation-en"), "w") as file:
        file.write(
            "Package: odd\nDescription-md5: 0\nDescription-en: %s\n %s in a passage.\n\n"
            % (ODD, ODD)
        )
        for i in range(40):
            file.write(
                "Package: package%d\nDescription-md5: 0\nDescription-en: %s for a %s\n This package"
                " number %d helps to %s a %s.\n .\n It has a %s too, as a second paragraph.\n\n"
                % (i, VERBS[i % 10], NOUNS[i // 4], i, VERBS[i % 7], NOUNS[i % 10], NOUNS[i % 3])
            )


def contents(folder):
    found = {}
    for name in sorted(os.listdir(folder)):
        if os.path.isfile(os.path.join(folder, name)):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = file.read()
    return found


def quietly(function, *arguments):
    stdout, sys.stdout = sys.stdout, open(os.devnull, "w")
    try:
        return function(*arguments)
    finally:
        sys.stdout = stdout


def lines_of(folder, name):
    return list(sources.read_lines(os.path.join(folder, name)))


def test_pairs():
    first, second = os.path.join(FOLDER, "one"), os.path.join(FOLDER, "two")
    for folder in (first, second):
        make_corpus(folder)
        quietly(pairs.read, folder, 10, 0, 1)
        quietly(pairs.pack, folder, folder + "-data", VOCABULARY, PITH, 1, False)
    report("the same packages make the same texts", contents(first) == contents(second))
    report(
        "the same texts make the same shards",
        contents(first + "-data") == contents(second + "-data")
        and len(contents(first + "-data")) >= 5,
        list(contents(first + "-data")),
    )
    quietly(pairs.pack, first, first + "-all", VOCABULARY, PITH, 1, True)
    alike = {
        kind: [
            pairs.read_shard(os.path.join(first + kind, name))["negatives"]
            for name in os.listdir(first + kind)
            if name.endswith(".xz")
        ]
        for kind in ("-data", "-all")
    }
    report(
        "all pairs have no passages that look alike",
        any((found >= 0).any() for found in alike["-data"])
        and all((found < 0).all() for found in alike["-all"])
        and sum(map(len, alike["-all"])) >= sum(map(len, alike["-data"])) > 0,
    )
    texts, held = lines_of(first, "texts.jsonl"), lines_of(first, "held_pages.jsonl")
    report(
        "pages are held out",
        len(held) == 10 and all(len(page["text"]) > 400 for page in held),
        held,
    )
    groups, names = {line["group"] for line in texts}, {page["id"] for page in held}
    report("no pair is of a held-out page", not groups & names and len(groups) > 60, groups & names)
    trained = "\n".join(text for line in texts for text in [line["query"]] + line["passages"])
    report(
        "no held-out text is among the pairs",
        not any(
            sentence in trained
            for page in held
            for sentence in page["text"].split("\n")
            if len(sentence) > 60
        ),
    )
    report(
        "pages pair with summaries, options and sentences",
        {"manual", "option", "sentence", "package"} == {line["source"] for line in texts},
        {line["source"] for line in texts},
    )
    test_shards(first, texts)


def test_shards(folder, texts):
    pieces = tokenizer.Tokenizer(VOCABULARY)  # of golden/make_pairs.py, not pith's
    wanted = Counter(
        (
            tuple(pieces.plain(line["query"])[: pairs.LONGEST_QUERY]),
            tuple(pieces.plain(passage)[: pairs.LONGEST_PASSAGE]),
        )
        for line in texts
        if line["source"] == "package"
        for passage in line["passages"]
    )
    shard = pairs.read_shard(os.path.join(folder + "-data", "package.xz"))
    ends = np.cumsum(shard["lengths"].astype(int))
    ids = [tuple(shard["ids"][end - size : end]) for end, size in zip(ends, shard["lengths"])]
    found = Counter((ids[q], ids[p]) for q, p in shard["pairs"])
    report("a shard holds the pairs", set(found) <= set(wanted) and len(found) >= 30, len(found))
    odd = [ids[p] for q, p in shard["pairs"] if ids[q] == tuple(pieces.plain(ODD))]
    report(
        "odd characters and special tokens are packed as plain text",
        odd == [tuple(pieces.plain(ODD + " in a passage."))],
        odd,
    )
    alike = [
        (q, n) for (q, p), row in zip(shard["pairs"], shard["negatives"]) for n in row if n >= 0
    ]
    answers = {(q, p) for q, p in shard["pairs"].tolist()}
    report(
        "what looks alike is no answer", len(alike) > 30 and not answers & set(alike), len(alike)
    )
    shares = sum(bool(set(ids[q]) & set(ids[n])) for q, n in alike)
    report("what looks alike shares words", shares >= 0.9 * len(alike), (shares, len(alike)))


def test_reading():
    page = sources.Page(page_text(3))
    report(
        "a page's summary is read",
        page.names == ["tool3"] and page.summary == "compare every file in case 3",
        (page.names, page.summary),
    )
    report(
        "a page's options are read",
        list(page.options())
        == [
            ("-a, --all", "also compare the hidden file of number 3"),
            ("-q", "says nothing about any file at all"),
        ],
        list(page.options()),
    )
    report(
        "a page's body lacks its NAME",
        "every file in case" not in page.body() and "OPTIONS" in page.body(),
    )
    held = pairs.HeldOut([page], {"tool3"}, [("big", "large")], set())
    run = page.body().split()[10:18]
    report(
        "eight words of a held-out page are refused wherever they stand",
        [held.forbids("x", " ".join(["then"] * at + run + ["end"])) for at in range(4)]
        == [True] * 4,
    )
    report(
        "seven words of a held-out page are allowed",
        not held.forbids("x", " ".join(["then"] + run[:7] + ["quite", "another", "text", "too"])),
    )
    report(
        "held-out synonyms are refused",
        held.forbids("a big house", "it is large")
        and held.forbids("large", "big")
        and not held.forbids("big", "a big house"),
    )
    entry = "Dog \\Dog\\ (dog), n. [AS.]\n   1. (Zool.) A quadruped of the genus Canis. [1913]"
    report(
        "a dictionary's entry is read",
        list(pairs.of_entry("gcide", "dog", entry))[0][3] == ["A quadruped of the genus Canis."],
        list(pairs.of_entry("gcide", "dog", entry)),
    )
    parts = sources.html_parts(
        b"<title>x</title><h1>T</h1><p>One <b>two</b>.</p><pre>no</pre>"
        b"<div><h2>1. S</h2><p>Three</p></div>"
    )
    report(
        "a document is read", parts == [(1, "T"), (0, "One two."), (2, "1. S"), (0, "Three")], parts
    )


def make_package(folder, name, files):
    """A Debian package of some files, {path: text}."""
    tree = os.path.join(folder, name)
    files = dict(files)
    files["DEBIAN/control"] = (
        "Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n" % name
    )
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(tree, path)), exist_ok=True)
        with open(os.path.join(tree, path), "w") as file:
            file.write(text)
    deb = os.path.join(folder, "debs", name + "_1_all.deb")
    subprocess.run(["dpkg-deb", "-b", tree, deb], check=True, stdout=subprocess.DEVNULL)
    return deb


def test_packages():
    folder = os.path.join(FOLDER, "debian")
    os.makedirs(os.path.join(folder, "debs"))
    terms = "Files: *\nLicense: MIT\n\nFiles: y\nLicense: GPL-2+\n"
    deb = make_package(
        folder,
        "wordnet-base",
        {
            "usr/share/wordnet/data.noun": "  1 header\n"
            '00001740 03 n 02 big_deal 0 large 0 000 | of some size; "a large house"\n',
            "usr/share/wordnet/index.noun": "  1 header\nlarge n 2 1 @ 2 1 00001740 00002000\n",
            "usr/share/doc/wordnet-base/copyright": terms,
        },
    )
    other = make_package(folder, "other", {"usr/share/doc/other/copyright": terms})
    synsets, used = sources.wordnet(folder)
    report(
        "WordNet is read",
        synsets == [("noun.00001740", ["big deal", "large"], "of some size", ["a large house"])]
        and used == {("large", "noun.00001740")},
        (synsets, used),
    )
    os.remove(deb)  # so that it cannot be unpacked again
    report(
        "licences are read with the rest, or alone",
        [sources.licences(path) for path in (deb, other)] == [["GPL-2+", "MIT"]] * 2,
    )


def test_tokenizer():
    learned = tokenizer.learn(Counter({"low": 500, "lower": 400, "newest": 600, "widest": 300}), 40)
    report(
        "pieces are learned by merging",
        learned[:5] == tokenizer.SPECIAL
        and learned[16:20] == ["##we", "##st", "lo", "##ewe"]
        and {"low", "newest"} <= set(learned),
        learned,
    )
    with open(VOCABULARY, encoding="utf-8") as file:
        pieces = file.read().split("\n")[:-1]
    report(
        "the vocabulary is whole",
        len(set(pieces)) == len(pieces) == 12000 and pieces[:5] == tokenizer.SPECIAL,
        len(pieces),
    )
    texts = ["a\x85b", "\u0378 c", "[[MASK]] [mask]", "[PAD][UNK]", "", "x" * 101, ODD]
    plain = tokenizer.Tokenizer(VOCABULARY).plain
    found = tokenizer.encode(PITH, VOCABULARY, texts)
    report("pith reads any text as plain text", found == [list(plain(t)) for t in texts], found)


def test_paraphrases():
    paraphrases = measure.read_paraphrases()
    report("there are 60 paraphrases", len(paraphrases) == 60, len(paraphrases))
    report(
        "no paraphrase shares a word with its summary",
        not measure.faults(paraphrases),
        measure.faults(paraphrases),
    )
    spoiled = [
        ("ls.1", "list directory contents", "which lists are in a folder"),
        ("cp.1", "copy files", "cp duplicates something"),
        ("mv.1", "move files", "cp duplicates something"),
    ]
    report(
        "shared words, names and doublets are seen",
        len(measure.faults(spoiled)) == 3,
        measure.faults(spoiled),
    )
    pages = [
        dict(id=str(i), text=text) for i, text in enumerate(("the cat sat", "a dog runs", "cats"))
    ]
    report(
        "BM25 finds what has the words",
        measure.Bm25(pages, "unicode61").find("a cat?") == ["0", "1"]
        and measure.Bm25(pages, "unicode61").find("(cat)") == ["0"],
    )
    report(
        "the stemmer finds more",
        set(measure.Bm25(pages, "porter unicode61").find("cat")) == {"0", "2"},
    )
    recalls = {
        "whole pages": {"summaries": {"pith": 0.9, "BM25": 0.9, "BM25, stemmed": 0.8}},
        "beginnings": {"paraphrases": {"pith": 0.5, "BM25": 0.2, "BM25, stemmed": 0.26}},
        "names and summaries": {"paraphrases": {"pith": 0.9, "BM25": 0.0, "BM25, stemmed": 0.0}},
    }
    bars = measure.bars(dict(recall=recalls, area=0.85))
    report(
        "a bar is BM25's recall of pages, and twice that of beginnings",
        [met for _, met in bars] == [True, False, True] and "2 x BM25's is 0.520" in bars[1][0],
        bars,
    )
    report(
        "the area under the curve",
        measure.area([3, 2], [1, 2]) == 0.875,
        measure.area([3, 2], [1, 2]),
    )


for test in (test_pairs, test_reading, test_tokenizer, test_paraphrases):
    test()
if shutil.which("dpkg-deb"):
    test_packages()
