"""Has a converted storyteller tell 40 stories and hold 60 conversations, and judges what can be
judged from the text.

    python3 samples.py story-int4.pith stories.txt conversations.txt [--trained result.json]

Each is asked for a hero and an object that no training text has together (grammar.py, is held out
with every plot), by the session's own template, at temperature 0.8 and top-p 0.9. Story s has seed
s; conversation c has seed 1000 + c, a request and then a question about its story.

Printed: how many stories check.py passes and how many name both things; the same of conversations,
whose answers are for a person to read; and with --trained, the texts that share three sentences in
a row with what the training run read (needs sentencepiece, as train.py does).
"""

import argparse
import itertools
import json
import os
import random
import sys

import chat
import check
import grammar
import plots

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "..", "..", "examples"))
import pith  # noqa: E402

REQUESTS = ("Tell me a story about %s and %s.", "Can you tell me a story about %s and %s?",
            "I would like a story about %s and %s.", "Make up a story with %s and %s.")
QUESTIONS = ("What did the {kind} want?", "Who helped the {kind}?", "What is the {kind} called?",
             "How did it end?", "What was the problem?", "Where did the {kind} live?")


def held_pairs(draw):
    """Pairs of a hero's kind and an object that are held out and fit, of some plot, in an order."""
    pairs = sorted({(kind, noun) for plot in plots.load().values() for kind in plot.kinds
                    for noun in plot.nouns
                    if plots.fits(kind, noun) and grammar.is_pair_held_out(kind, noun)})
    draw.shuffle(pairs)
    return pairs


class Teller:
    """A conversation with the model."""

    def __init__(self, model, seed):
        self.model, self.seed, self.messages = model, seed, []
        self.session = model.session()

    def answer(self, text):
        """The answer to one more message."""
        self.messages.append({"role": "user", "content": text})
        tokens = self.model.chat_format(self.messages)
        self.session.reuse(tokens)
        said = "".join(self.session.generate(tokens[self.session.length:], max_tokens=700,
            seed=self.seed, temperature=0.8, top_p=0.9)).strip()
        self.messages.append({"role": "assistant", "content": said})
        return said


def holds_both(text, kind, noun):
    """True when the text names the hero's kind and the object."""
    words = text.lower()
    return kind in words and noun.split()[-1] in words


def runs(text):
    """Every three sentences in a row."""
    said = check.sentences(text)
    return {" ".join(said[i:i + 3]) for i in range(len(said) - 2)}


def copies(texts, trained):
    """Of each text, whether it shares a run of three sentences with the training text."""
    import train

    with open(trained, encoding="utf-8") as file:
        run = json.load(file)
    data, tales = run["data"], train.read_tales(run["data"]["tales"])
    ours, found = [runs(text) for text in texts], [False] * len(texts)
    everything = set().union(*ours)
    for length, first, end in run["read"]:
        writer = train.Writer(length, data["chat_share"], tales, data["share"],
            distinct=data["distinct"])
        for number in range(first, end):
            size = 0
            for ids, _ in writer.documents(number):
                shared = runs(writer.pieces.decode(ids)) & everything
                if shared:
                    found = [f or bool(o & shared) for f, o in zip(found, ours)]
                size += len(ids)
                if size > length:
                    break
    return found


def main():
    parser = argparse.ArgumentParser(description="Samples a storyteller.")
    parser.add_argument("model")
    parser.add_argument("stories", help="file to write the stories to")
    parser.add_argument("conversations", help="file to write the conversations to")
    parser.add_argument("--trained", help="result.json of the training run, to look for copies")
    arguments = parser.parse_args()
    model = pith.Model(arguments.model)
    pairs = itertools.cycle(held_pairs(random.Random("samples")))
    texts, passed, both = [], 0, 0
    with open(arguments.stories, "w", encoding="utf-8") as out:
        for seed in range(1, 41):
            kind, noun = next(pairs)
            request = REQUESTS[seed % len(REQUESTS)] % (chat.a(kind), chat.a(noun))
            text = Teller(model, seed).answer(request)
            faults = check.check(text)
            passed, both = passed + (not faults), both + holds_both(text, kind, noun)
            texts.append(text)
            out.write("## Seed %d\n\n> %s\n\n%s\n\n%s" % (seed, request, text,
                "check.py: %s\n\n" % "; ".join(faults) if faults else ""))
    print("stories: %d of 40 pass check.py, %d name both things" % (passed, both))
    both = 0
    with open(arguments.conversations, "w", encoding="utf-8") as out:
        for number in range(1, 61):
            kind, noun = next(pairs)
            teller = Teller(model, 1000 + number)
            request = REQUESTS[number % len(REQUESTS)] % (chat.a(kind), chat.a(noun))
            story = teller.answer(request)
            question = QUESTIONS[number % len(QUESTIONS)].format(kind=kind)
            answer = teller.answer(question)
            both += holds_both(story, kind, noun)
            texts.append(story)
            out.write("## %d\n\n> %s\n\n%s\n\n> %s\n\n%s\n\n" % (number, request, story, question,
                answer))
    print("conversations: %d of 60 stories name both things" % both)
    if arguments.trained:
        found = copies(texts, arguments.trained)
        print("%d of %d stories share three sentences in a row with the training text" %
              (sum(found), len(found)))


if __name__ == "__main__":
    main()
