"""The template language that the stories are written in.

A template is a sentence or a few with three kinds of holes:

    [a|b|c]     one of the alternatives, which may be empty and may hold holes themselves
    <sad>       one of the lexicon's phrases of that name, capitalised as <^sad>
    {A.his}     a form of a character, place, object or plain text of the story

Templates are parsed once and kept. Choices are drawn from random.random() alone, whose sequence for
a seed is the same on every Python, so a story depends on its seed and on nothing else.
"""

import re


class TemplateError(Exception):
    """A template that cannot be parsed, or that contradicts the story's state."""


_SPECIAL = re.compile(r"[\[\]|<>{}]")


def parse(source):
    """The template as a list of parts: text, ("alt", [parts, ...]), ("lex", name), ("ref", ...)."""
    parts, i = _parse_sequence(source, 0, False)
    if i != len(source):
        raise TemplateError("unexpected %r at %d of %r" % (source[i], i, source))
    return parts


def _parse_sequence(source, i, nested):
    parts = []
    while i < len(source):
        match = _SPECIAL.search(source, i)
        if match is None:
            parts.append(source[i:])
            return parts, len(source)
        if match.start() > i:
            parts.append(source[i:match.start()])
        mark, i = match.group(), match.end()
        if mark == "[":
            options, i = _parse_options(source, i)
            parts.append(("alt", options))
        elif mark in "<{":
            end = source.find(">" if mark == "<" else "}", i)
            if end < 0:
                raise TemplateError("%r never ends in %r" % (mark, source))
            inside = source[i:end]
            parts.append(("lex", inside) if mark == "<" else _parse_reference(inside))
            i = end + 1
        elif mark in "|]" and nested:
            return parts, match.start()
        else:
            raise TemplateError("unexpected %r in %r" % (mark, source))
    return parts, i


def _parse_options(source, i):
    options = []
    while True:
        option, i = _parse_sequence(source, i, True)
        options.append(option)
        if i >= len(source):
            raise TemplateError("'[' never ends in %r" % source)
        if source[i] == "]":
            return options, i + 1
        i += 1


def _parse_reference(inside):
    """("ref", name, form, capital): {^A.n} is a capitalised {A.n}."""
    name, _, form = inside.lstrip("^").partition(".")
    return ("ref", name, form, inside.startswith("^"))


_ARTICLE = re.compile(r"\b([Aa])(n?) ([A-Za-z]+)")
_SENTENCE_START = re.compile(r'((?:^|[.!?]\s+|\."\s+|\n)"?)([a-z])')
_SPACES = re.compile(r" {2,}")
_SPACE_BEFORE = re.compile(r" +([,.!?;])")
_VOWEL_SOUND = re.compile(r"(?!one|once|use|uni|eu|ewe)[aeiou]|hour|honest", re.IGNORECASE)


def _article(match):
    """"a" or "an" by the sound of the next word; words that merely end in "a" are left alone."""
    an = "n" if _VOWEL_SOUND.match(match.group(3)) else ""
    return match.group(1) + an + " " + match.group(3)


def tidy(text):
    """The text with its articles, capitals and spaces put right."""
    text = _SPACES.sub(" ", text)
    text = _SPACE_BEFORE.sub(r"\1", text)
    text = _ARTICLE.sub(_article, text)
    return _SENTENCE_START.sub(lambda m: m.group(1) + m.group(2).upper(), text)


_parsed = {}


def parsed(source):
    """parse(source), remembered: there are some thousands of templates and millions of uses."""
    parts = _parsed.get(source)
    if parts is None:
        parts = _parsed[source] = parse(source)
    return parts


def expand(parts, draw, phrase, refer, out):
    """Appends the expansion to out. draw() is uniform in [0, 1); phrase(name) chooses a phrase of
    the
    lexicon; refer(name, form, capital, out) returns the text of a reference and may look at what
    stands before it."""
    for part in parts:
        if part.__class__ is str:
            out.append(part)
            continue
        kind = part[0]
        if kind == "alt":
            options = part[1]
            expand(options[int(draw() * len(options))], draw, phrase, refer, out)
        elif kind == "lex":
            name = part[1].lstrip("^")
            chosen = phrase(name)
            if name != part[1]:
                chosen = chosen[0].upper() + chosen[1:]
            expand(parsed(chosen), draw, phrase, refer, out)
        else:
            out.append(refer(part[1], part[2], part[3], out))
