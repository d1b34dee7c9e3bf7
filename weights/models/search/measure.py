"""Measures a search encoder against SQLite's BM25, through the commands that people use.

    python3 measure.py MODEL.pith PACKAGES [--pith build/pith] [--out result.json]

PACKAGES is the folder in which `pairs.py read` left held_pages.jsonl and held_synonyms.jsonl, which
no training has seen. Needs Python alone, and the pith command.

- Recall@10 of the 500 held-out manual pages by their one-line summaries, and by the 60 queries of
  paraphrases.tsv, written by hand, which share no content word with the summary of their page.
  `pith index` indexes them three times: as whole pages without their NAME sections, of which
  `pith search` finds parts, a page ranking as its best part; as the first 480 characters of their
  prose; and, for the paraphrases, as what apropos searches, names and summaries.
- How often two synonyms of WordNet are closer than two random words, by `pith embed` (the area
  under the ROC curve of 200 pairs against 200).

BM25 is SQLite's FTS5 over the same texts, once as it comes and once with its Porter stemmer, any
word of the query matching; the better of the two is what counts. The exit code is 1 when a bar is
missed: recall of whole pages by summaries at least BM25's, of beginnings by paraphrases at least
twice BM25's, area at least 0.85. The other recalls are reported beside those. Over names and
summaries BM25 finds next to nothing, as no paraphrase shares a word with them.
"""

import argparse
import json
import math
import os
import re
import sqlite3
import subprocess
import sys
import tempfile

import sources

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = 10

# Words that say nothing of a text's matter.
STOP = set(
    """a about after all also an and any are as at be been before being both but by can could
did do does doing down each either else every for from had has have having her here him his how i if
in into is it its itself just like many may me might more most much must my need needs neither no
nor not of off on once one only onto or other others our out over own per shall she should so some
such than that the their them then there these they this those through to too two under until up
upon us use used uses using very via want was we were what when where whether which while who whom
whose why will with within without would you your
""".split()
)


# ---- Words ---------------------------------------------------------------------------------------


def stems(text):
    """The stems, by SQLite's Porter stemmer, of the words of a text that say something."""
    words = [w for w in re.findall("[a-z0-9]+", text.lower()) if w not in STOP]
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize='porter unicode61')")
    database.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, row)")
    database.execute("INSERT INTO t VALUES (?)", (" ".join(words),))
    return {row[0] for row in database.execute("SELECT term FROM v")}


def read_paraphrases(path=os.path.join(HERE, "paraphrases.tsv")):
    """[(page, summary, query)] of the file's lines."""
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    return [tuple(line) for line in lines]


def faults(paraphrases):
    """What is wrong with the paraphrases: shared words, a page or a query that comes twice."""
    found = []
    for page, summary, query in paraphrases:
        name = page.rsplit(".", 1)[0]
        shared = stems(query) & (stems(summary) | stems(name))
        if shared:
            found.append("%s: %r shares %s" % (page, query, ", ".join(sorted(shared))))
        if len(stems(query)) < 2:
            found.append("%s: %r says nothing" % (page, query))
    for column in (0, 2):
        values = [paraphrase[column] for paraphrase in paraphrases]
        found += ["%s comes twice" % v for v in sorted({v for v in values if values.count(v) > 1})]
    return found


# ---- BM25 ----------------------------------------------------------------------------------------


class Bm25:
    """Pages in a full-text index of SQLite."""

    def __init__(self, pages, tokenizer):
        self.database = sqlite3.connect(":memory:")
        self.database.execute(
            "CREATE VIRTUAL TABLE t USING fts5(id UNINDEXED, x, tokenize='%s')" % tokenizer
        )
        self.database.executemany(
            "INSERT INTO t VALUES (?, ?)", ((p["id"], p["text"]) for p in pages)
        )

    def find(self, query):
        """The ids of the best pages."""
        words = " OR ".join('"%s"' % word for word in re.findall(r"\w+", query))
        return [
            row[0]
            for row in self.database.execute(
                "SELECT id FROM t WHERE t MATCH ? ORDER BY bm25(t), rowid LIMIT %d" % TOP, (words,)
            )
        ]


# ---- pith ----------------------------------------------------------------------------------------


def command(arguments, text=None):
    """What the command prints; its messages end the program when it fails."""
    done = subprocess.run(
        arguments,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        sys.exit("measure.py: %s: %s" % (" ".join(arguments[:2]), done.stderr.strip()))
    return done.stdout


class Collection:
    """Pages in a collection of pith's."""

    def __init__(self, pith, model, pages, database):
        self.pith, self.model, self.database = pith, model, database
        command(
            [pith, "index", model, database, "pages"],
            "".join(json.dumps(page) + "\n" for page in pages),
        )

    def find(self, query):
        """The ids of the pages with the best parts."""
        lines = command(
            [self.pith, "search", self.model, self.database, "pages", query, "-k", "500", "--json"]
        ).split("\n")[:-1]
        found = dict.fromkeys(json.loads(line)["id"] for line in lines)  # in order, each once
        return list(found)[:TOP]


def embed(pith, model, texts):
    """The vectors of texts."""
    lines = command(
        [pith, "embed", model, "--json"],
        "".join(json.dumps(dict(text=text)) + "\n" for text in texts),
    ).split("\n")[:-1]
    return [json.loads(line)["embedding"] for line in lines]


def beginning(text):
    """The first 480 characters of a page's prose: about what one vector stands for."""
    lines, heading = [], ""
    for line in text.split("\n"):
        if line.isupper() and len(line) < 40:
            heading = line
        elif heading != "SYNOPSIS":
            lines.append(line)
    return " ".join(lines)[:480]


def collections(pages):
    """{name: pages as {"id", "text"}}, as the module's comment says."""

    def made(text_of):
        return [dict(id=page["id"], text=text_of(page)) for page in pages]

    return {
        "whole pages": made(lambda page: page["text"]),
        "beginnings": made(lambda page: beginning(page["text"])),
        "names and summaries": made(
            lambda page: "%s - %s" % (page["id"].rpartition(".")[0], page["summary"])
        ),
    }


def recall(finder, queries):
    """The share of (query, page) whose page is among the best."""
    return sum(page in finder.find(query) for query, page in queries) / len(queries)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(
        sum(x * x for x in a) * sum(y * y for y in b)
    )


def area(right, wrong):
    """The share of pairs of a right and a wrong score in which the right one is higher."""
    return sum((r > w) + 0.5 * (r == w) for r in right for w in wrong) / (len(right) * len(wrong))


def measure_synonyms(vectors):
    """The area of pairs of synonyms, whose vectors follow each other."""
    left, right = vectors[0::2], vectors[1::2]
    close = [cosine(a, b) for a, b in zip(left, right)]
    random = [cosine(a, b) for a, b in zip(left, right[1:] + right[:1])]
    return area(close, random)


def measure(pith, model, folder):
    """All figures. "recall": {collection: {queries: {"pith" or a BM25: recall@10}}}."""
    pages = list(sources.read_lines(os.path.join(folder, "held_pages.jsonl")))
    synonyms = list(sources.read_lines(os.path.join(folder, "held_synonyms.jsonl")))
    summaries = {page["id"]: page["summary"] for page in pages}
    known = [p for p in read_paraphrases() if summaries.get(p[0]) == p[1]]
    result = dict(pages=len(pages), paraphrases=len(known), synonyms=len(synonyms), recall={})
    with tempfile.TemporaryDirectory() as directory:
        for number, (name, texts) in enumerate(collections(pages).items()):
            finders = {
                "pith": Collection(pith, model, texts, os.path.join(directory, "%d.db" % number)),
                "BM25": Bm25(texts, "unicode61"),
                "BM25, stemmed": Bm25(texts, "porter unicode61"),
            }
            asked = {"paraphrases": [(query, page) for page, _, query in known]}
            if name != "names and summaries":
                asked["summaries"] = [(page["summary"], page["id"]) for page in pages]
            result["recall"][name] = {
                what: {finder: recall(finders[finder], queries) for finder in finders}
                for what, queries in asked.items()
                if queries
            }
    if synonyms:
        result["area"] = measure_synonyms(
            embed(pith, model, [word for pair in synonyms for word in pair])
        )
    return result


def bars(result):
    """[(bar, met)]."""
    found = []
    for name, what, times in (
        ("whole pages", "summaries", 1),
        ("beginnings", "paraphrases", 2),
    ):
        recalls = dict(result["recall"][name].get(what, {}))
        if recalls:
            own, best = recalls.pop("pith"), max(recalls.values())
            found.append(
                (
                    "recall@10 of %s by %s: %.3f, and %d x BM25's is %.3f"
                    % (name, what, own, times, times * best),
                    own >= times * best,
                )
            )
    if "area" in result:
        found.append(
            ("synonyms: area %.3f, and the bar is 0.85" % result["area"], result["area"] >= 0.85)
        )
    return found


def main():
    parser = argparse.ArgumentParser(description="Measures a search encoder.")
    parser.add_argument("model")
    parser.add_argument("packages", help="folder of the held-out pages and synonyms")
    parser.add_argument("--pith", default="build/pith")
    parser.add_argument("--out", help="a JSON file for the figures")
    arguments = parser.parse_args()
    wrong = faults(read_paraphrases())
    if wrong:
        sys.exit("measure.py: paraphrases.tsv: " + "; ".join(wrong))
    result = measure(arguments.pith, arguments.model, arguments.packages)
    if arguments.out:
        with open(arguments.out, "w") as file:
            json.dump(result, file, indent=2)
    print(json.dumps(result, indent=2))
    for text, met in bars(result):
        print("%s  %s" % ("met   " if met else "missed", text))
    sys.exit(0 if all(met for _, met in bars(result)) else 1)


if __name__ == "__main__":
    main()
