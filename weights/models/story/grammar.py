"""Writes stories: which plot, hero, object and length, and the list of what is held out.

    python3 grammar.py --count 3 --seed 1            three stories to read
    python3 grammar.py --bytes 10000000 --json       JSON lines: what each one is
    python3 grammar.py --held --count 40             stories of held-out combinations alone

A combination is a plot, a hero's kind and an object. One pair of hero and object in 50 is held out
with every plot, and so is one combination in 50 besides: no training text has any of them.
"""

import argparse
import json
import sys
import zlib

import plots
from beats import opening
from state import BRIEF, LONG, MEDIUM, SHORT, Story

LENGTHS = (SHORT, SHORT, MEDIUM, MEDIUM, MEDIUM, LONG, LONG, LONG)
_ONE_IN = 50


def is_pair_held_out(kind, noun):
    """True for heroes and objects that training must never see together, whatever the plot."""
    return zlib.crc32(("pair:%s:%s" % (kind, noun)).encode()) % _ONE_IN == 0


def is_held_out(name, kind, noun):
    """True for combinations that training must never see."""
    triple = zlib.crc32(("triple:%s:%s:%s" % (name, kind, noun)).encode())
    return triple % _ONE_IN == 0 or is_pair_held_out(kind, noun)


class Chooser:
    """Chooses plots, heroes, objects and lengths for one share of the seeds."""

    def __init__(self, held=False):
        self.plots = list(plots.load().values())
        self.held = held

    def choose(self, seed):
        """(plot, kind, noun, length) of that seed: trained on, or held out, as asked."""
        attempt = 0
        while True:
            number = zlib.crc32(("%s.%d.%d" % (seed, self.held, attempt)).encode())
            attempt += 1
            plot = self.plots[number % len(self.plots)]
            number = zlib.crc32(b"%d" % number)
            kind = plot.kinds[number % len(plot.kinds)]
            number = zlib.crc32(b"%d" % number)
            noun = plot.nouns[number % len(plot.nouns)]
            number = zlib.crc32(b"%d" % number)
            if plots.fits(kind, noun) and is_held_out(plot.name, kind, noun) == self.held:
                return plot, kind, noun, LENGTHS[number % len(LENGTHS)]

    def story(self, seed, length=None, wording=0):
        """The Story of that seed, told."""
        plot, kind, noun, usual = self.choose(seed)
        seed = "held/%s" % seed if self.held else seed  # other names and places too
        return tell(seed, plot, kind, noun, usual if length is None else length, wording)


def tell(seed, plot, kind, noun, length, wording=0):
    """Tells one story."""
    story = Story(seed, plot.name, kind, noun, length, wording)
    plot.tell(story)
    if length == BRIEF:
        story.forget()
        brief(story)
    return story


def brief(story):
    """Tells the story in some seventy words, from its facts."""
    facts = story.facts
    opening(story, trait=False)
    story.say("{A} [wanted|wished] %s." % facts["want"])
    story.say(facts["why"])
    story.say("[<at-last>, |then |]" + facts["how"])
    story.say("[so |and so |in the end |]" + facts["end"])
    story.say('[{A} <glad>, and that evening {A.he} slept well.|{A} never forgot that day.|they '
        'all lived happily ever after.|that night {A} slept with a smile.]'
              if not story.things["o"].introduced else
              '[from that day on {A} often told {A.his} friends about {o}.|and {A} never forgot '
                  '{o} and that day.|that night {A} dreamed of {o} and smiled.|'
              "{A} <glad>, and that evening {A.he} told everyone about {o}.]")


def combinations(held):
    """Every (plot name, kind, noun) that is held out, or every one that is not."""
    return [(p.name, kind, noun) for p in plots.load().values() for kind in p.kinds for noun in p.
        nouns
            if plots.fits(kind, noun) and is_held_out(p.name, kind, noun) == held]


def main():
    parser = argparse.ArgumentParser(description="Writes stories.")
    parser.add_argument("--count", type=int, help="stop after so many stories")
    parser.add_argument("--bytes", type=int, help="stop after so many bytes of text")
    parser.add_argument("--seed", type=int, default=0, help="the first story's number")
    parser.add_argument("--held", action="store_true", help="held-out combinations alone")
    parser.add_argument("--plot", help="this plot alone")
    parser.add_argument("--length", type=int, choices=(BRIEF, SHORT, MEDIUM, LONG))
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    chooser = Chooser(arguments.held)
    if arguments.plot:
        chooser.plots = [plots.PLOTS[arguments.plot]]
    count, size, seed = 0, 0, arguments.seed
    limit = arguments.count or (10 ** 12 if arguments.bytes else 1)
    while count < limit and (not arguments.bytes or size < arguments.bytes):
        story = chooser.story(seed, arguments.length)
        text = story.text()
        if arguments.json:
            print(json.dumps({"text": text, "plot": story.plot, "length": story.length,
                              "seed": seed, "kind": story.people["A"].kind, "noun": story.things[
                                  "o"].noun}))
        else:
            print(text + "\n")
        count, size, seed = count + 1, size + len(text), seed + 1


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.stderr.close()
