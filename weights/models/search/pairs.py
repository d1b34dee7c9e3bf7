"""Makes the search encoder's training pairs: a query, a passage that answers it, and passages that
merely look like it.

    python3 pairs.py fetch PACKAGES              downloads Debian packages (sources.py names them)
    python3 pairs.py read PACKAGES               writes PACKAGES/texts.jsonl, pages and synonyms
    python3 pairs.py pack PACKAGES DATA          writes shards of token ids, compressed

What pairs with what:

| source | query | passage |
|---|---|---|
| manual | a page's one-line summary | parts of the page |
| option | command and option | what it does |
| package | a package's short description | its long one |
| gloss | words of a WordNet synset; a sentence that uses one | the gloss |
| synonym | a word | another word of the synset |
| dictionary | a word | a sense of it |
| heading | title and heading of a document | the text below |
| sentence | a sentence | those behind it, or before it |

Held out, and never trained on: 500 whole manual pages, with every other page of their names and
whatever shares eight words in a row with them; and 200 pairs of synonyms, with their synsets and
all pairs that have one word on one side and the other on the other. Both are chosen by hash, as is
everything that must be chosen.

The passages that merely look alike are the best by BM25 (SQLite's FTS5) of the other groups of the
same source; a group is a page, a package, a synset, a document. Needs numpy, groff, dpkg-deb, for
`fetch` apt-get, and for `pack` the pith command, which makes the ids.
"""

import argparse
import hashlib
import json
import lzma
import multiprocessing
import os
import re
import sqlite3
import textwrap
from collections import Counter, defaultdict

import numpy as np

import sources
from tokenizer import HERE, encode

LONGEST_QUERY, LONGEST_PASSAGE = 30, 126  # tokens, without [CLS] and [SEP]
PART = 480  # characters of a passage: about 126 tokens
RUN = 8  # words in a row that a training text must not share with a held-out page
NEGATIVES = 3

# The most pairs of each source that are packed, so that all of it stays below 25 MiB.
MOST = dict(
    manual=30000,
    option=55000,
    package=70000,
    gloss=110000,
    synonym=60000,
    dictionary=60000,
    heading=60000,
    sentence=50000,
)


def number(*of):
    """A number that a hash of those values gives, uniform below 2^64."""
    text = "\0".join(str(value) for value in of)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


# ---- Pairs from texts ----------------------------------------------------------------------------


def parts(paragraphs, most):
    """At most that many passages of at most PART characters out of consecutive paragraphs."""
    found, text = [], ""
    for piece in (piece for paragraph in paragraphs for piece in textwrap.wrap(paragraph, PART)):
        if text and len(text) + len(piece) >= PART:
            found.append(text)
            text = ""
        if len(found) >= most:
            break
        text = (text + " " + piece).strip()
    return (found + [text] if len(text) >= 40 else found)[:most]


def sentences(paragraph):
    return [s for s in re.split(r"(?<=[a-z)][.!?]) +(?=[A-Z])", paragraph) if s]


def neighbours(group, paragraphs, most):
    """Pairs of a sentence and what follows it (after the inverse cloze task, Lee et al. 2019)."""
    long = [p for p in paragraphs if len(p) >= 200 and len(sentences(p)) >= 3]
    for paragraph in sorted(long, key=lambda p: number("paragraph", group, p))[:most]:
        of = sentences(paragraph)
        fit = [i for i, s in enumerate(of) if 30 <= len(s) <= 200]
        if fit:
            i = fit[number("sentence", group, paragraph) % len(fit)]
            rest = of[i + 1 : i + 4] if i + 1 < len(of) else of[:i]
            yield "sentence", group, of[i], [" ".join(rest)[: PART + 120]]


def of_page(group, name, page):
    """The pairs of a manual page."""
    prose = page.paragraphs()
    if page.summary:
        yield "manual", group, page.summary, parts(prose, 5)
    options = sorted(page.options(), key=lambda o: number("option", group, o))[:30]
    for tag, description in options:
        yield "option", group, "%s %s" % (name, tag), [description[: PART + 120]]
    yield from neighbours(group, prose, 6)


def of_package(name, short, paragraphs):
    """The pairs of a package's description."""
    yield "package", name, short, parts(paragraphs, 2)


def of_synset(name, words, gloss, examples):
    """The pairs of a WordNet synset."""
    yield "gloss", name, ", ".join(words[:3]), [gloss]
    if len(words) > 1:
        yield "gloss", name, words[number("word", name) % len(words)], [gloss]
    for example in examples[:2]:
        yield "gloss", name, example, [gloss]
    for a, b in zip(words[:4], words[1:4]):
        yield "synonym", name, a, [b]


def of_entry(name, word, entry):
    """The pairs of a dictionary's entry."""
    group = name + ":" + word
    if name == "gcide":
        entry = re.sub(r"\{|\}", "", re.sub(r"\\[^\\]*\\|\[[^\]]*\]", " ", entry))
        entry = re.sub(
            r"^.*?\b(n|v\. ?t|v\. ?i|a|adv|prep|v)\.", "", entry, count=1, flags=re.DOTALL
        )
        senses = [re.split(r"--[A-Z]|\n\n", sense)[0] for sense in re.split(r"\s\d+\. ", entry)]
        senses = [re.sub(r"\([A-Z][a-z]*\.?\)", "", sense) for sense in senses]
    else:
        senses = [re.sub(r"[{}]|<[^>]*>|\([\d-]*\)", "", entry.partition("\n")[2] or entry)]
    senses = [sources.tidy(sense)[:PART] for sense in senses]
    yield "dictionary", group, word, [s for s in senses if len(s) >= 20][:2]


def of_document(package, path, page):
    """The pairs of a page of documentation."""
    title = next((text for level, text in page if level == 1), "")
    title = title or next((text for level, text in page if level), "")
    group, heading, below = package + ":" + path, None, []
    for level, text in page + [(1, "")]:
        if level == 0:
            below.append(text)
            continue
        if heading and below:
            heading = re.sub(r"^[\d.]+\s*", "", heading)
            query = heading if heading == title or not title else "%s: %s" % (title, heading)
            yield "heading", group, query, parts(below, 2)
        heading, below = text, []
    yield from neighbours(group, [text for level, text in page if level == 0], 8)


# ---- What is held out ----------------------------------------------------------------------------


def choose_pages(pages, count):
    """The held-out pages: those of the smallest hashes of their names among pages that are not too
    short and not too long. pages: {name.section: (name, Page)}."""
    fit = [
        key
        for key, (name, page) in pages.items()
        if len(page.summary.split()) >= 3 and 100 <= len(page.body().split()) <= 4000
    ]
    chosen, names = [], set()
    for key in sorted(fit, key=lambda k: (number("page", pages[k][0]), k)):
        if pages[key][0] not in names and len(chosen) < count:
            names.update([pages[key][0]] + pages[key][1].names)
            chosen.append(key)
    return chosen, names


def choose_synonyms(synsets, used, count):
    """(pairs, names of their synsets): synonyms of one word each, both of which WordNet's tagged
    texts use in that sense, that do not begin alike, and no word twice. synsets, used: what
    sources.wordnet() returns."""
    fit = []
    for name, words, _, _ in synsets:
        good = [w for w in words if re.fullmatch("[a-z]{3,}", w) and (w, name) in used]
        if len(good) >= 2 and good[0][:4] != good[1][:4]:
            fit.append((number("synset", name), name, good[0], good[1]))
    pairs, names, seen = [], set(), set()
    for _, name, a, b in sorted(fit):
        if len(pairs) < count and not {a, b} & seen:
            pairs.append((a, b))
            names.add(name)
            seen.update((a, b))
    return pairs, names


def runs(text):
    """Hashes of every run of RUN words of a text."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return [hash_of(words[i : i + RUN]) for i in range(len(words) - RUN + 1)]


def hash_of(words):
    return hashlib.md5(" ".join(words).encode()).digest()[:8]


class HeldOut:
    """Says which pairs must not be trained on."""

    def __init__(self, pages, names, synonyms, synsets):
        self.names, self.synsets = names, synsets
        self.runs = {run for page in pages for run in runs(page.body())}
        self.summaries = {page.summary.lower() for page in pages}
        self.partner = {}
        for a, b in synonyms:
            self.partner[a], self.partner[b] = b, a

    def forbids(self, query, passage):
        if query.lower() in self.summaries or passage.lower() in self.summaries:
            return True
        left, right = (set(re.findall("[a-z]+", text.lower())) for text in (query, passage))
        if any(self.partner.get(word) in right for word in left):
            return True
        return any(run in self.runs for text in (query, passage) for run in runs(text))


# ---- Reading -------------------------------------------------------------------------------------


def read_pages(folder):
    """{name.section: (name, Page)} of the manual pages, none of them twice."""
    pages, seen = {}, set()
    for name, section, text in sources.manual_pages(folder):
        page = sources.Page(text)
        key, body = "%s.%s" % (name, section), hashlib.md5(page.body().encode()).digest()
        if key not in pages and body not in seen and page.sections:
            seen.add(body)
            pages[key] = name, page
    return pages


def all_pairs(folder, pages, synsets, held):
    """(source, group, query, passages) of everything that is not held out by name."""
    for key, (name, page) in pages.items():
        if name not in held.names and not held.names.intersection(page.names):
            yield from of_page(key, name, page)
    for description in sources.descriptions(folder):
        yield from of_package(*description)
    for synset in synsets:
        if synset[0] not in held.synsets:
            yield from of_synset(*synset)
    for name in ("gcide", "foldoc", "jargon", "vera"):
        for word, entry in sources.dictionary(folder, name):
            yield from of_entry(name, word, entry)
    for document in sources.documents(folder):
        yield from of_document(*document)


def read(folder, held_pages, held_synonyms, workers):
    """Writes texts.jsonl, held_pages.jsonl and held_synonyms.jsonl."""
    sources.render_manuals(folder, workers)
    pages = read_pages(folder)
    chosen, names = choose_pages(pages, held_pages)
    synsets, used = sources.wordnet(folder)
    synonyms, held_synsets = choose_synonyms(synsets, used, held_synonyms)
    held = HeldOut([pages[key][1] for key in chosen], names, synonyms, held_synsets)
    sources.write_lines(
        os.path.join(folder, "held_pages.jsonl"),
        (dict(id=key, summary=pages[key][1].summary, text=pages[key][1].body()) for key in chosen),
    )
    sources.write_lines(os.path.join(folder, "held_synonyms.jsonl"), synonyms)
    counts = Counter()

    def lines():
        for source, group, query, passages in all_pairs(folder, pages, synsets, held):
            allowed = [p for p in passages if not held.forbids(query, p)]
            counts.update({source: len(allowed), "held out": len(passages) - len(allowed)})
            if allowed:
                yield dict(source=source, group=group, query=query, passages=allowed)

    sources.write_lines(os.path.join(folder, "texts.jsonl"), lines())
    print(
        "%d manual pages, %d of them held out; %d synonym pairs held out; pairs: %s"
        % (len(pages), len(chosen), len(synonyms), dict(counts))
    )


# ---- Negatives -----------------------------------------------------------------------------------


def rare_words(text, frequency, most=4):
    """The rarest words of a text among those that some passage has."""
    found = {w for w in re.findall("[a-z0-9]+", text.lower()) if frequency[w]}
    return sorted(found, key=lambda w: (frequency[w], w))[:most]


def find_negatives(texts, pairs):
    """[len(pairs), NEGATIVES] indices of passages that BM25 finds for each pair's query in other
    groups; -1 where there are no more. texts: the strings; pairs: (query, passage, group) indices.
    """
    passages = sorted({passage for _, passage, _ in pairs})
    groups, answers, frequency = defaultdict(set), defaultdict(set), Counter()
    for query, passage, group in pairs:
        groups[passage].add(group)
        answers[query].add(passage)
    for passage in passages:
        frequency.update(set(re.findall("[a-z0-9]+", texts[passage].lower())))
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE t USING fts5(x, content='')")
    database.executemany(
        "INSERT INTO t (rowid, x) VALUES (?, ?)", ((p + 1, texts[p]) for p in passages)
    )
    found, table = {}, np.full((len(pairs), NEGATIVES), -1, np.int32)
    for i, (query, _, group) in enumerate(pairs):
        if query not in found:
            words = rare_words(texts[query], frequency)
            found[query] = (
                [
                    row[0] - 1
                    for row in database.execute(
                        "SELECT rowid FROM t WHERE t MATCH ? ORDER BY bm25(t), rowid LIMIT 16",
                        (" OR ".join('"%s"' % w for w in words),),
                    )
                ]
                if words
                else []
            )
        good = [p for p in found[query] if group not in groups[p] and p not in answers[query]]
        good = good[:NEGATIVES]
        table[i, : len(good)] = good
    return table


# ---- Packing -------------------------------------------------------------------------------------


def choose(lines, most):
    """At most that many (query, passage, group) texts, by hash, none twice, no text in too many."""
    pairs = [
        (line["query"], passage, line["group"]) for line in lines for passage in line["passages"]
    ]
    pairs = sorted(set(pairs), key=lambda pair: number("pair", *pair))
    uses, chosen, seen = Counter(), [], set()
    for query, passage, group in pairs:
        short = passage.lower().startswith(query.lower()) and len(passage) < len(query) + 10
        if (
            uses["q", query] < 6
            and uses["p", passage] < 3
            and not short
            and (query, passage) not in seen
        ):
            uses.update([("q", query), ("p", passage)])
            seen.add((query, passage))
            chosen.append((query, passage, group))
        if len(chosen) == most:
            break
    return sorted(chosen, key=lambda pair: (pair[2], pair[0], pair[1]))


def pack_source(job):
    """The arrays of a source's shard: ids of all texts in a row, lengths, pairs, negatives. Texts
    of equal ids are one. most: pairs, or None for all of them, without negatives."""
    lines, most, vocabulary, pith = job
    chosen, index, ids, texts, pairs, groups = choose(lines, most), {}, [], [], [], {}
    distinct = list(dict.fromkeys(text for pair in chosen for text in pair[:2]))
    encoded = dict(zip(distinct, encode(pith, vocabulary, distinct)))

    def text_of(text, longest):
        found = encoded[text][:longest]
        key = bytes(np.array(found, np.uint16))
        if key not in index:
            index[key] = len(ids)
            ids.append(found)
            texts.append(text)
        return index[key]

    for query, passage, group in chosen:
        q, p = text_of(query, LONGEST_QUERY), text_of(passage, LONGEST_PASSAGE)
        if q != p and ids[q] and ids[p]:
            pairs.append((q, p, groups.setdefault(group, len(groups))))
    return dict(
        ids=np.array([i for text in ids for i in text], np.uint16),
        lengths=np.array([len(text) for text in ids], np.uint8),
        pairs=np.array([pair[:2] for pair in pairs], np.int32).reshape(-1, 2),
        negatives=(
            find_negatives(texts, pairs)
            if most is not None
            else np.full((len(pairs), NEGATIVES), -1, np.int32)
        ),
    )


FILTERS = [
    dict(id=lzma.FILTER_LZMA2, preset=9 | lzma.PRESET_EXTREME, lc=2, lp=1, pb=1, dict_size=1 << 26)
]


def write_shard(path, arrays):
    """A line of JSON that describes the arrays, then their bytes, compressed by xz."""
    header = {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()}
    data = (
        json.dumps(header).encode() + b"\n" + b"".join(array.tobytes() for array in arrays.values())
    )
    with lzma.open(path, "wb", filters=FILTERS) as file:
        file.write(data)


def read_shard(path):
    """The arrays of a shard."""
    with lzma.open(path) as file:
        header, data = json.loads(file.readline()), file.read()
    arrays, offset = {}, 0
    for name, (kind, shape) in header.items():
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(data, kind, count, offset).reshape(shape)
        offset += arrays[name].nbytes
    return arrays


def pack(folder, output, vocabulary, pith, workers, everything):
    """Writes a shard for each source, and the manifest. everything: all pairs, no negatives."""
    os.makedirs(output, exist_ok=True)
    lines = defaultdict(list)
    for line in sources.read_lines(os.path.join(folder, "texts.jsonl")):
        lines[line["source"]].append(line)
    names, sizes = sorted(lines), {}
    jobs = [
        (lines.pop(name), None if everything else MOST[name], vocabulary, pith) for name in names
    ]
    with multiprocessing.Pool(workers) as pool:
        for name, arrays in zip(names, pool.imap(pack_source, jobs)):
            path = os.path.join(output, name + ".xz")
            write_shard(path, arrays)
            sizes[name] = dict(
                pairs=len(arrays["pairs"]),
                texts=len(arrays["lengths"]),
                tokens=len(arrays["ids"]),
                negatives=int((arrays["negatives"] >= 0).sum()),
                bytes=os.path.getsize(path),
            )
            print(name, sizes[name], flush=True)
    with open(vocabulary, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    packages = {
        name: dict(file=os.path.basename(deb), licences=sources.licences(deb))
        for name, deb in sources.packages(folder).items()
    }
    manifest = dict(
        sources=sizes,
        total={
            key: sum(size[key] for size in sizes.values())
            for key in ("pairs", "texts", "tokens", "negatives", "bytes")
        },
        vocabulary=digest,
        held_out=dict(
            (what, sum(1 for _ in sources.read_lines(os.path.join(folder, "held_%s.jsonl" % what))))
            for what in ("pages", "synonyms")
        ),
        packages=packages,
    )
    with open(os.path.join(output, "manifest.json"), "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1, sort_keys=True)
    print("in all", manifest["total"])


def main():
    parser = argparse.ArgumentParser(description="Makes the search encoder's training pairs.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("fetch", "read", "pack"):
        command = commands.add_parser(name)
        command.add_argument(
            "packages", help="folder of the packages and of what is read from them"
        )
        command.add_argument("--workers", type=int, default=os.cpu_count())
        if name == "read":
            command.add_argument("--held-pages", type=int, default=500)
            command.add_argument("--held-synonyms", type=int, default=200)
        if name == "pack":
            command.add_argument("data", help="folder of the shards")
            command.add_argument("--vocabulary", default=os.path.join(HERE, "vocab.txt"))
            command.add_argument("--pith", default="build/pith", help="the pith command")
            command.add_argument(
                "--all",
                action="store_true",
                help="every pair, and no passages that look alike, for a machine that trains itself",
            )
    arguments = parser.parse_args()
    if arguments.command == "fetch":
        sources.fetch(arguments.packages)
    elif arguments.command == "read":
        read(arguments.packages, arguments.held_pages, arguments.held_synonyms, arguments.workers)
    else:
        pack(
            arguments.packages,
            arguments.data,
            arguments.vocabulary,
            arguments.pith,
            arguments.workers,
            arguments.all,
        )


if __name__ == "__main__":
    main()
