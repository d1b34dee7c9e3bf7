"""One story: its cast, its places and objects, and what is true in it at each moment.

Plots write through Story. It keeps who has been introduced, who is present, who holds what and what
has been said, and it raises StoryError when a sentence would contradict that: a plot with such a
fault cannot produce text. The plan (cast, places, choices of plot) hangs on the plan's seed alone,
the wording on a second generator, so a story can be told again, shorter or in other words.
"""

import random
import re
import zlib

import world
from lexicon import LEXICON, SYNONYMS
from text import expand, parsed, tidy

BRIEF, SHORT, MEDIUM, LONG = 0, 1, 2, 3  # about 70, 145, 200 and 300 words
_BOUNDARY = re.compile(r'[.!?]"?\s|\n')
_SUBJECT_NEXT = re.compile(
    r'(?:^|[.!?]"?\s+"?|, and |, but |\b(?:when|until|because|then|while|so|if) )$')
_SAYING = {
    "said": ("said",), "asked": ("asked",),
    "cried": ("cried", "called", "exclaimed", "shouted"), "answered": ("answered", "said",
        "replied"),
    "whispered": ("whispered", "said softly", "murmured"), "thought": ("thought",),
}
_MILD = ("said", "asked", "answered")
_MANNER = (" quietly", " slowly", " softly", " after a moment", " at last", " in a low voice",
    " in a clear voice",
           " after a while", " simply", " gravely", " thoughtfully")
_PRONOUN = {"m": ("he", "him", "his", "himself"), "f": ("she", "her", "her", "herself")}


def _exchange_pattern():
    """One pattern for all the words of SYNONYMS, sorted by first letter so that it is fast."""
    letters = {}
    for words in sorted(SYNONYMS, key=len, reverse=True):
        letters.setdefault(words[0], []).append(words[1:])
    groups = ["[%s%s](?:%s)" % (first, first.upper(), "|".join(rest))
              for first, rest in sorted(letters.items())]
    return re.compile(r"\b(?:%s)\b" % "|".join(groups))


_EXCHANGE = _exchange_pattern()


def _exchange(match, draw):
    """The word, or in two of five cases another for it, with its capital."""
    if draw() >= 0.4:
        return match.group()
    words = match.group()
    others = SYNONYMS[words.lower()]
    other = others[int(draw() * len(others))]
    return other[0].upper() + other[1:] if words[0].isupper() else other


def _hash(text):
    """A 32-bit hash whose low bits are as good as its high ones; crc32 alone is linear."""
    value = zlib.crc32(text.encode()) * 0x9E3779B1 & 0xFFFFFFFF
    return (value ^ value >> 15) * 0x85EBCA6B >> 7 & 0x1FFFFFF


class StoryError(Exception):
    """A plot said something that its own story contradicts."""


class Character:
    """Somebody in the story. name is None for one who is only "the owl"."""

    def __init__(self, code, kind, gender, name, adjective, home, trait):
        self.code, self.kind, self.gender, self.name = code, kind, gender, name
        self.adjective, self.home, self.trait = adjective, home, trait
        self.introduced = False


class Thing:
    """An object: holder is a character's code, or None while it lies somewhere."""

    def __init__(self, code, noun, adjective):
        self.code, self.noun, self.adjective = code, noun, adjective
        self.holder = self.owner = None
        self.introduced = False


class Story:
    """A story being told. Codes are one letter: A the hero, B, C, D others, o, x, y objects."""

    def __init__(self, seed, plot, kind, noun, length, wording=0):
        self.seed, self.plot, self.length = seed, plot, length
        self.draw = random.Random("%s/%s/%d" % (seed, wording, length)).random
        self.people, self.things, self.places, self.words = {}, {}, {}, {}
        self.here = {"A"}  # who is where the hero is
        self.facts = {}
        self.brief = False  # told from the facts: whoever is new is introduced on the spot
        self.searched = []  # hiding places that have been looked into
        self.pieces, self.pending, self.seen = [], [], 0
        self.previous, self.current = [], []  # who was mentioned in the last and in this sentence
        self.unnamed = 0  # sentences since somebody was called by name
        self._names, self._last = set(), {}
        self.weather = self.plan("weather", sorted(world.WEATHER))
        self.cast("A", kind=kind, named=True)
        self.thing("o", noun=noun)

    # ---- The plan --------------------------------------------------------------------------------

    def plan(self, key, options):
        """One of the options, the same for every telling of this story."""
        return options[_hash("%s:%s" % (self.seed, key)) % len(options)]

    def chance(self, key, percent):
        """True for that share of the stories, the same for every telling."""
        return _hash("%s?%s" % (self.seed, key)) % 100 < percent

    def cast(self, code, kind=None, ability=None, without=None, group=None, named=None,
             gender=None):
        """Adds a character of a kind nobody else has. ability is one that it must have."""
        if kind is None:
            taken = {p.kind for p in self.people.values()}
            kinds = [k for k, v in world.KINDS.items()
                     if k not in taken and (ability is None or ability in v["abilities"])
                     and (without is None or without not in v["abilities"])
                     and (group is None or v.get(group)) and (gender is None or gender in v[
                         "genders"])
                     and not (code in "AC" and k in world.TINY)]
            kind = self.plan(code + "kind", kinds)
        traits = world.KINDS[kind]
        sexes = [g for g in traits["genders"] if gender in (None, g)]
        if code != "A" and len(sexes) > 1 and self.chance(code + "other", 60):
            sexes = [g for g in sexes if g != self.people["A"].gender]
        sex = self.plan(code + "sex", sexes)
        name = None
        if named or (named is None and self.chance(code + "named", 70)):
            initials = {n[0] for n in self._names}
            names = [n for n in (world.HE if sex == "m" else world.SHE) if n[0] not in initials]
            name = self.plan(code + "name", names)
            self._names.add(name)
        person = Character(code, kind, sex, name, self.plan(code + "adj", traits["adjectives"]),
                           self.plan(code + "home", traits["homes"]), self.plan(code + "trait",
                               world.TRAITS))
        if kind.startswith("old "):
            person.adjective = self.plan(code + "adj", ["kind", "merry", "thin"])
        self.people[code] = person
        return person

    def thing(self, code, noun=None, tags=None):
        """Adds an object, of a kind that the story does not have yet."""
        if noun is None:
            taken = {t.noun for t in self.things.values()}
            noun = self.plan(code + "noun", [n for n, v in world.OBJECTS.items()
                                             if n not in taken and (not tags or v["tags"] & set(
                                                 tags.split()))])
        adjective = self.plan(code + "adj", world.OBJECTS[noun]["adjectives"])
        self.things[code] = Thing(code, noun, adjective)

    def abilities(self, code):
        """What the character can do that others cannot: see world.py."""
        return world.KINDS[self.people[code].kind]["abilities"]

    def tags(self, code):
        """What kind of object it is: the tags of world.OBJECTS."""
        return world.OBJECTS[self.things[code].noun]["tags"]

    def place(self, code, tags="", avoid=""):
        """Adds a place with one of the tags or of that name, "" for any, that is not there yet."""
        wanted, unwanted = set(tags.split()), set(avoid.split())
        taken = {noun for noun, _ in self.places.values()}
        home = self.people["A"].home.split()
        nouns = [n for n, v in world.PLACES.items()
                 if n not in taken and not unwanted & v["tags"] and (not wanted or wanted & v[
                     "tags"] or n in wanted)
                 and n.split()[-1] not in home and n != "snowy field" or n == "snowy field" and
                     "snow" in wanted]
        noun = self.plan(code + "place", nouns)
        self.places[code] = (noun, self.plan(code + "spot", world.PLACES[noun]["spots"]))

    def trait(self, options):
        """Sets what the hero is like, "shy, spoke softly|...", where the plot depends on it."""
        self.people["A"].trait = tuple(self.plan("trait", options.split("|")).split(", ", 1))

    def distinct(self, key, options, count):
        """count different ones of the options, the same for every telling."""
        options, chosen = list(options), []
        for i in range(min(count, len(options))):
            chosen.append(options.pop(_hash("%s:%s%d" % (self.seed, key, i)) % len(options)))
        return chosen

    def word(self, code, options):
        """Sets the plain text {code} to one of the options ("a|b|c" or a list)."""
        if isinstance(options, str):
            options = options.split("|")
        self.words[code] = self.plan(code + "word", options)

    # ---- What is true ----------------------------------------------------------------------------

    def owns(self, code, thing="o", holds=True):
        """The object belongs to that character, who has it with him unless holds is false."""
        self.things[thing].owner = code
        if holds:
            self.things[thing].holder = code

    def takes(self, code, thing="o"):
        """The character picks up an object that nobody holds."""
        if self.things[thing].holder not in (None, code):
            raise StoryError("%s takes what %s holds" % (code, self.things[thing].holder))
        self.things[thing].holder = code

    def loses(self, code, thing="o"):
        """The object is no longer in the hands of the character who held it."""
        self.needs(code, thing)
        self.things[thing].holder = None

    def hands(self, giver, taker, thing="o", keeps=False):
        """The object changes hands; with keeps, the new holder owns it too."""
        self.needs(giver, thing)
        self.things[thing].holder = taker
        if keeps:
            self.things[thing].owner = taker

    def needs(self, code, thing="o"):
        """Fails unless the character holds the object."""
        if self.things[thing].holder != code:
            raise StoryError("%s does not hold %s" % (code, thing))

    def comes(self, *codes):
        """Those characters are where the hero is from here on."""
        self.here.update(codes)

    def leaves(self, *codes):
        """Those characters are no longer where the hero is."""
        for code in codes:
            if code not in self.here:
                raise StoryError("%s leaves but is not there" % code)
            self.here.discard(code)

    def fact(self, **facts):
        """Remembers answers to questions about the story, as templates (see chat.py)."""
        self.facts.update(facts)

    # ---- Telling ---------------------------------------------------------------------------------

    def say(self, template):
        """Tells this in every length."""
        self.pieces.append(self._render(template))
        self._shift()
        self.previous, self.current = self.current or self.previous, []
        self.unnamed += 1

    def mid(self, template):
        """Tells this unless the story is a short one."""
        if self.length >= MEDIUM:
            self.say(template)

    def long(self, template):
        """Tells this in a long story only."""
        if self.length >= LONG:
            self.say(template)

    def close(self, template):
        """Tells the last sentence; a long story looks back first."""
        o = "{o}" if self.things["o"].introduced else "{o.a}"
        self.long(
            "[when {A} looked back on it all, {A.he} [could hardly believe it|had to smile|shook "
            "{A.his} head|felt warm inside], and {A.he} thought of O.|{A} told the story of O many "
            "times, and [it grew a little each time|nobody ever grew tired of it|even <animals> "
            "stopped to listen].|that was the story of {A} and O, and <everyone> [heard of it|told "
            "it|knew it by heart|loved to hear it].|[in winter|on rainy days|over <food>|by the "
            "fire] {A} [often spoke|liked to speak|spoke again and again] of O and of all that had "
            "happened.|so much had happened because of O, and {A} remembered every bit of it.|"
            "<everyone> asked {A} about O, and {A.he} told it over <food>.]".replace("O", o))
        self.long(
            "[[some things|the best things] [cannot be bought|are learned by doing|come when one "
            "does not look for them|have to be waited for].|a [small|little] thing can be [the "
            "beginning of a great one|the start of something good].|nobody is so small that [he "
            "cannot help|he does not matter].|even a bad day can have a good evening.|a kind word "
            "[costs nothing|opens many doors].|one [good|true] friend is worth [a great deal|more "
            "than gold|more than a hundred things].|it is never too late to [begin|make things "
            "good|say a kind word].|||||]")
        self.say(template)

    def paragraph(self):
        """Begins a new paragraph, in stories long enough to have several."""
        if self.length >= MEDIUM and self.pieces:
            self.pieces.append("\n\n")
            self.previous, self.current = [], []

    def text(self):
        """The story so far, with some words exchanged for others that mean the same."""
        text = re.sub(r" *\n\n *", "\n\n", " ".join(p for p in self.pieces if p)).strip()
        draw = random.Random("%s/%d/words" % (self.seed, self.length)).random
        return tidy(_EXCHANGE.sub(lambda match: _exchange(match, draw), text))

    def forget(self):
        """Begins to tell anew from the facts, as if nothing had been told."""
        self.pieces, self.previous, self.current, self.brief = [], [], [], True
        for one in list(self.people.values()) + list(self.things.values()):
            one.introduced = False

    def answer(self, template, about="A"):
        """Renders a template outside the story, about that character: an answer to a question."""
        self.previous, self.current = ([about] if about else []), []
        return self._render(template)

    def _render(self, template):
        self.pending, self.seen = [], 0
        expand(parsed(template), self.draw, self._phrase, self._refer, self.pending)
        return tidy("".join(self.pending)).strip()

    def _phrase(self, name):
        """One of the lexicon's phrases of that name, and not the one that was used last."""
        options = LEXICON[name]
        i = int(self.draw() * len(options))
        if i == self._last.get(name):
            i = (i + 1) % len(options)
        self._last[name] = i
        return options[i]

    # ---- References ------------------------------------------------------------------------------

    def _shift(self):
        """Notes the sentence ends since the last reference."""
        tail = "".join(self.pending[self.seen:])
        self.seen = len(self.pending)
        if self.current and _BOUNDARY.search(tail):
            self.previous, self.current = self.current, []
            self.unnamed += 1

    def _refer(self, code, form, capital, out):
        self._shift()
        if code in self.people:
            text = self._person(self.people[code], form)
        elif code in self.things:
            text = self._thing(self.things[code], form)
        elif code in self.places:
            text = self._place(code, form)
        elif code in self.words:
            start = len(out)
            expand(parsed(self.words[code]), self.draw, self._phrase, self._refer, out)
            first = next((i for i in range(start, len(out)) if out[i]), None)
            if capital and first is not None:
                out[first] = out[first][0].upper() + out[first][1:]
            return ""
        else:
            raise StoryError("nothing is called {%s}" % code)
        return text[0].upper() + text[1:] if capital else text

    def _person(self, person, form):
        code = person.code
        if form == "kind":
            return person.kind
        if form == "home":
            return person.home
        if form == "trait":
            return person.trait[0]
        if form == "habit":
            return person.trait[1]
        if form in ("intro", "isa", "friend"):
            return self._introduce(person, form)
        if not person.introduced:
            if not self.brief or form in _SAYING:
                raise StoryError("%s is mentioned before the introduction" % code)
            return self._introduce(person, "intro") + ("'s" if form in ("his", "ns") else "")
        if form in _SAYING:
            return self._saying(person, form)
        he, him, his, himself = _PRONOUN[person.gender]
        clear = self._clear(person, form)
        if code not in self.current:
            self.current.append(code)
        if form == "self":
            return himself
        if form == "HIS":  # where the sentence leaves no doubt whose
            return his
        if form in ("he", "him", "his"):
            if clear:
                return {"he": he, "him": him, "his": his}[form]
            return self._noun(person) + ("'s" if form == "his" else "")
        if form == "call":
            return person.name or ("friend" if self.draw() < 0.5 else "dear " + person.kind)
        if form == "name":
            return person.name or "the " + person.kind
        if form == "ns":
            return self._noun(person) + "'s"
        if (form == "" and clear and code in self.previous and self.unnamed < 2 and self.
            _is_subject()
                and self.draw() < 0.55):
            return he
        if form not in ("", "n"):
            raise StoryError("no form {%s.%s}" % (code, form))
        return self._noun(person)

    def _is_subject(self):
        """True where a pronoun that follows must be in the subject's case."""
        return _SUBJECT_NEXT.search("".join(self.pending[-3:])) is not None

    def _noun(self, person):
        if person.name and (self.unnamed > 1 or self.draw() < 0.72):
            self.unnamed = 0
            return person.name
        if self.draw() < 0.2 and not person.kind.startswith("old"):
            return "the %s %s" % (person.adjective, person.kind)
        return "the " + person.kind

    def _clear(self, person, form):
        """True when a pronoun can mean nobody else."""
        def others(codes):
            return any(c != person.code and self.people[c].gender == person.gender for c in codes)
        if person.code in self.current:
            if form in ("his", "he", "self") and self.current[0] == person.code:
                return True
            return not others(self.current)
        return person.code in self.previous and not others(self.previous) and not others(self.
            current)

    def _introduce(self, person, form):
        if person.introduced:
            raise StoryError("%s is introduced twice" % person.code)
        person.introduced = True
        if person.code not in self.current:
            self.current.append(person.code)
        adjective = "" if person.name and self.draw() < 0.25 else person.adjective + " "
        if form == "friend":
            owner = _PRONOUN[self.people["A"].gender][2]
            return owner + " friend " + ("%s the %s" % (person.name, person.kind) if person.name
                else "the " + person.kind)
        if form == "isa":
            return "%s was a %s%s" % (person.name, adjective, person.kind)
        if person.name is None:
            return "a %s%s" % (adjective, person.kind)
        return "a %s%s %s %s" % (adjective, person.kind, "named" if self.draw() < 0.6 else "called",
            person.name)

    def _saying(self, person, form):
        if person.code not in self.here:
            raise StoryError("%s speaks but is not there" % person.code)
        verbs = _SAYING[form]
        verb = verbs[int(self.draw() * len(verbs))]
        clear = self._clear(person, "") and person.code in self.previous + self.current
        if person.code not in self.current:
            self.current.append(person.code)
        manner = ""
        if form in _MILD and self.draw() < 0.25:
            manner = _MANNER[int(self.draw() * len(_MANNER))]
        if clear and self.unnamed < 2 and self.draw() < 0.4:
            return "%s %s%s" % (_PRONOUN[person.gender][0], verb, manner)
        noun = self._noun(person)
        first, second = (verb, noun) if self.draw() < 0.6 else (noun, verb)
        return "%s %s%s" % (first, second, manner)

    def _thing(self, thing, form):
        if form in ("a", "own", "bare"):
            thing.introduced = True
        elif form not in ("n", "use") and not thing.introduced:
            if not self.brief:
                raise StoryError("%s is mentioned before it is introduced" % thing.code)
            thing.introduced = True
            return "a %s %s" % (thing.adjective, thing.noun)
        full = "%s %s" % (thing.adjective, thing.noun)
        if form == "":
            return "the " + (full if self.draw() < 0.2 else thing.noun)
        if form == "n":
            return thing.noun
        if form in ("full", "bare"):
            return full
        if form == "a":
            return "a " + full
        if form == "use":
            return world.OBJECTS[thing.noun]["use"]
        if form == "own":
            if thing.owner is None:
                raise StoryError("%s belongs to nobody" % thing.code)
            owner = self.people[thing.owner]
            return self._person(owner, "his") + " " + (full if self.draw() < 0.4 else thing.noun)
        raise StoryError("no form {%s.%s}" % (thing.code, form))

    def _place(self, code, form):
        noun, spot = self.places[code]
        preposition = world.PLACES[noun]["in"]
        if form == "":
            return "the " + noun
        if form == "in":
            return "%s the %s" % (preposition, noun)
        if form == "to":
            return "to the " + noun
        if form == "spot":
            return spot
        if form == "sight":
            sights = world.PLACES[noun]["sights"]
            return sights[int(self.draw() * len(sights))]
        if form == "other":
            spots = [x for x in world.PLACES[noun]["spots"] if x != spot and x not in self.searched]
            chosen = spots[int(self.draw() * len(spots))]
            self.searched.append(chosen)
            return chosen
        raise StoryError("no form {%s.%s}" % (code, form))
