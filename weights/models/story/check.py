"""Checks stories for sense, from their text alone.

    python3 check.py story1.txt story2.txt          one story a file
    python3 check.py --json stories.jsonl           one object with "text" a line
    python3 check.py --at-least 0.9 ...             exit status 1 below that share

A story passes when everybody is introduced before being spoken of, each name stays with one kind of
creature and one gender, nobody hands over what somebody else holds, what is wanted in the beginning
is named again in the last third, and the story ends. The checker knows the words of world.py (kinds
and objects) but nothing of how a story came about, so it reads any model's stories.
"""

import argparse
import json
import re
import sys

import world

_QUOTE = re.compile(r'"[^"]*"')
_SENTENCE = re.compile(r'(?<=[.!?])("?)\s+(?=["A-Z])')
_KIND = "|".join(sorted(world.KINDS, key=len, reverse=True))
_NOUN = "|".join(sorted(world.OBJECTS, key=len, reverse=True))
_NAMES = frozenset(world.HE) | frozenset(world.SHE)
_NOT_NAMES = frozenset('I Sunday Monday Tuesday Wednesday Thursday Friday Saturday Sundays God '
    'Christmas Easter O Oh Mr Mrs'.split())
_MIDDLE = re.compile(r"(?<=[a-z,;] )([A-Z][a-z]+)\b")
_WORD = re.compile(r"[A-Za-z'-]+")
_WANT = re.compile('\\b(want|wants|wanted|wish|wished|longed|eager|must|need|needed|hoped|would '
    'like|looked for|dreamed of|promise|promised)\\b')
_CLOSING = re.compile('\\b(ever after|forever|from (that day|then) on|ever since|after that|never|'
    'always|again|(that|same|this) (very )?(night|evening|day)|'
                      'to this day|today|every|each|still|home|happy|happily|in the end|both|'
                          'friends?|remembered|content|afterwards|asleep|slept|smiled?|without)\\b',
                          re.IGNORECASE)


def sentences(text):
    """The story's sentences; "Stop!" he cried. is one."""
    parts = _SENTENCE.split(" ".join(text.split()))
    return [a + b for a, b in zip(parts[0::2], parts[1::2] + [""])]


def names_in(text):
    """Proper names: capitalised inside a sentence, or known as names."""
    found = {m.group(1) for m in _MIDDLE.finditer(_QUOTE.sub('""', text))}
    found |= {word for word in _WORD.findall(text.replace("'s", "")) if word in _NAMES}
    return {name for name in found if name not in _NOT_NAMES}


def check_introductions(text, names):
    """Problems of names and kinds that are used before anybody says who they are."""
    problems = []
    for name in sorted(names):
        first = re.search(r"\b%s\b" % name, text)
        before, after = text[max(0, first.start() - 60):first.start()], text[first.end():first.end()
            + 90]
        if not (re.search(r"\b(named|called|friend|is) $", before)
                or re.match(r" (?:was|is) an? (?:[\w-]+ ){0,3}(?:%s)\b" % _KIND, after)
                or re.match(r",? (?:the|an?) (?:[\w-]+ ){0,2}(?:%s)\b" % _KIND, after)):
            problems.append("%s is not introduced" % name)
    plain = _QUOTE.sub('""', text)
    for match in re.finditer(r"\b[Tt]he (?:[\w-]+ )?(%s)\b(?!'s|-)" % _KIND, plain):
        kind, before = match.group(1), plain[:match.start()]
        earlier = r"(?:\b[Aa]n?(?: [\w-]+){0,2}|friend|friend the|[A-Z][a-z]+ the|,) %s\b" % kind
        if not re.search(r"(?:[A-Z][a-z]+|friend) $", before) and not re.search(earlier, before):
            problems.append("the %s is not introduced" % kind)
            break
    return problems


def kinds_of(text, names):
    """name: the kinds the text gives it."""
    found = {name: set() for name in names}
    for pattern in (r"\b(%s) (?:named|called) ([A-Z][a-z]+)", ):
        for match in re.finditer(pattern % _KIND, text):
            found.setdefault(match.group(2), set()).add(match.group(1))
    for match in re.finditer(r"\b([A-Z][a-z]+)(?: (?:was|is) an?| the) (?:[\w-]+ )?(%s)\b" % _KIND,
        text):
        if match.group(1) in found:
            found[match.group(1)].add(match.group(2))
    return found


def check_cast(text, names):
    """Problems of names with two kinds or two genders."""
    problems = ["%s is %s" % (name, " and ".join(sorted(kinds)))
                for name, kinds in sorted(kinds_of(text, names).items()) if len(kinds) > 1]
    votes = {}
    for sentence in sentences(text):
        words = _WORD.findall(_QUOTE.sub('""', sentence))
        mentioned = {word for word in words if word in names}
        if len(mentioned) == 1 and words and words[0] in mentioned and not re.search(
            r"\b(?:the|a|an) (?:[\w-]+ )?(?:%s)\b" % _KIND, sentence):
            lower = {word.lower() for word in words}
            for gender, pronouns in (("he", {"he", "him", "his", "himself"}), ("she", {"she", "her",
                "herself"})):
                if lower & pronouns:
                    votes.setdefault(words[0], []).append(gender)
    for name, genders in sorted(votes.items()):
        minority = min(genders.count("he"), genders.count("she"))
        if minority >= 2 and minority * 3 >= len(genders):
            problems.append("%s is he and she" % name)
    return problems


def goal_of(text):
    """The object the story is about: the one named most often, or None."""
    counts = {}
    for match in re.finditer(r"\b(%s)\b" % _NOUN, text):
        counts[match.group(1)] = counts.get(match.group(1), 0) + 1
    best = max(counts, key=lambda noun: (counts[noun], -text.index(noun)), default=None)
    return best if best is not None and counts[best] >= 2 else None


def check_goal(text, goal):
    """Problems of what is wanted: it must be said, and come up again."""
    if goal is None:
        return ["no object is named twice"]
    problems = []
    if not _WANT.search(text[:len(text) * 3 // 4]):
        problems.append("nobody wants anything")
    if not re.search(r"\b%s\b" % goal, text[len(text) * 2 // 3:]):
        problems.append("the %s is forgotten" % goal)
    return problems


def check_holder(text, names, goal):
    """Problems of an object given away by one who does not hold it."""
    if goal is None:
        return []
    who = r"(?:%s|[Tt]he (?:[\w-]+ )?(?:%s))" % ("|".join(sorted(names)) or "-", _KIND)
    thing = r"the (?:[\w-]+ )?%s\b" % goal
    by_kind = {kind: name for name, kinds in kinds_of(text, names).items() for kind in kinds}

    def person(words):
        words = re.sub(r"^[Tt]he (?:[\w-]+ )?(?=(?:%s)$)" % _KIND, "", words)
        return by_kind.get(words, words)

    gives = re.compile(r"\b(%s) (?:gave|handed) (?:(%s) %s|%s (?:back )?to (%s))" % (who, who,
        thing, thing, who))
    takes = re.compile(r"\b(%s) (?:had|took|picked up|found|got|received) %s" % (who, thing))
    holder = None
    for sentence in sentences(text):
        plain = _QUOTE.sub('""', sentence)
        match = gives.search(plain)
        if match:
            giver, taker = person(match.group(1)), person(match.group(2) or match.group(3))
            if holder not in (None, giver):
                return ["%s gives away the %s that %s holds" % (giver, goal, holder)]
            holder = taker
            continue
        match = takes.search(plain)
        if match:
            holder = person(match.group(1))
        elif re.search(thing, plain) or re.search(r"\bit\b", plain):
            holder = None if re.search(
                r"\b(gave|handed|back|took|swapped|changed|lost|broke|into)\b", plain) else holder
    return []


def check_end(text):
    """Problems of a story that only stops."""
    problems = []
    if not re.search(r'[.!?]"?$', text):
        problems.append("the last sentence is cut")
    if text.count('"') % 2:
        problems.append("a quotation is not closed")
    if not _CLOSING.search(" ".join(sentences(text)[-2:])):
        problems.append("it does not end")
    return problems


def check_beginning(text):
    """Problems of a story that begins in the middle."""
    first = " ".join(sentences(text)[:2])
    return [] if re.search(r"\b[Aa]n? (?:[\w-]+ ){0,3}(?:%s)\b" % _KIND, first) else [
        "nobody is introduced in the beginning"]


def check(text):
    """The problems of a story; none when it makes sense."""
    text = text.strip()
    if not text:
        return ["there is no story"]
    names, goal = names_in(text), goal_of(text)
    return (check_beginning(text) + check_introductions(text, names) + check_cast(text, names)
            + check_goal(text, goal) + check_holder(text, names, goal) + check_end(text))


def read(paths, as_json):
    """(label, text) of every story in the files."""
    for path in paths:
        with open(path, encoding="utf-8") as file:
            if as_json:
                for number, line in enumerate(file, 1):
                    yield "%s:%d" % (path, number), json.loads(line)["text"]
            else:
                yield path, file.read()


def main():
    parser = argparse.ArgumentParser(description="Checks stories for sense.")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--json", action="store_true", help='JSON lines with "text"')
    parser.add_argument("--at-least", type=float, default=0.9, help="share that must pass")
    arguments = parser.parse_args()
    total = passed = 0
    for label, text in read(arguments.files, arguments.json):
        problems = check(text)
        total, passed = total + 1, passed + (not problems)
        if problems:
            print("%s: %s" % (label, "; ".join(problems)))
    print("%d of %d pass" % (passed, total))
    return 0 if total and passed >= arguments.at_least * total else 1


if __name__ == "__main__":
    sys.exit(main())
