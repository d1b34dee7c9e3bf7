"""Tests of weights/models/story: the grammar, its conversations and the checker. Run by
test_story.sh.

    python3 tests/cli/check_story.py

Prints a line "ok NAME" or "FAILED NAME" a test, as test_story.sh reads them.
"""

import hashlib
import os
import random
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "weights", "models", "story"))

import chat  # noqa: E402
import check  # noqa: E402
import grammar  # noqa: E402
import plots  # noqa: E402
import world  # noqa: E402
from state import BRIEF, LONG, MEDIUM, SHORT, Story, StoryError  # noqa: E402
from text import TemplateError, parse, tidy  # noqa: E402

# What 200 stories and 60 conversations hash to. A change of the grammar changes it: read some
# of the new stories aloud, then put the new value here.
DIGEST = "ac9c5268d40f85fc"


def report(name, passed, detail=""):
    """Prints the verdict of a test."""
    print(("ok " if passed else "FAILED ") + name + ("" if passed else ": " + str(detail)))


def raises(error, function, *arguments):
    """True when the call raises that error."""
    try:
        function(*arguments)
    except error:
        return True
    return False


def test_digest():
    digest = hashlib.sha256()
    for held in (False, True):
        chooser = grammar.Chooser(held)
        for seed in range(100):
            digest.update(chooser.story(seed).text().encode())
        for seed in range(30):
            for message in chat.conversation(chooser, seed).messages:
                digest.update(message["content"].encode())
    report("the same seeds write the same stories", digest.hexdigest()[:16] == DIGEST, digest.
        hexdigest()[:16])


def test_plots():
    names = list(plots.load())
    report("there are at least 40 plots", len(names) >= 40, len(names))
    report("every plot has a lesson", sorted(chat.LESSONS) == sorted(names), set(names) ^ set(chat.
        LESSONS))
    words, wrong = {}, []
    for name, plot in plots.PLOTS.items():
        chooser = grammar.Chooser()
        chooser.plots = [plot]
        for seed in range(4):
            for length in (BRIEF, SHORT, MEDIUM, LONG):
                story = chooser.story("plot %d" % seed, length)
                words.setdefault(length, []).append(len(story.text().split()))
                if not {"want", "why", "how", "end"} <= set(story.facts):
                    wrong.append(name)
                if re.search(r"[{}<>\[\]|]| [,.]|  |\ba [aeo]|\ban [^aeiouh]", story.text()):
                    wrong.append(story.text())
    report("every plot tells its facts in clean text", not wrong, wrong[:1])
    mean = {length: sum(counts) // len(counts) for length, counts in words.items()}
    bounds = {BRIEF: (50, 90), SHORT: (120, 170), MEDIUM: (175, 230), LONG: (230, 360)}
    report("the lengths differ as they should",
           all(low <= mean[length] <= high for length, (low, high) in bounds.items()), mean)


def held_out(story):
    """True when training must not see that story's combination."""
    return grammar.is_held_out(story.plot, story.people["A"].kind, story.things["o"].noun)


def test_held_out():
    trained, held = grammar.Chooser(), grammar.Chooser(True)
    seen = [(c[0].name, c[1], c[2]) for c in map(trained.choose, range(3000))]
    kept = [(c[0].name, c[1], c[2]) for c in map(held.choose, range(300))]
    report("training never draws what is held out", not any(grammar.is_held_out(*c) for c in seen))
    report("held-out stories are held out", all(grammar.is_held_out(*c) for c in kept))
    share = len(grammar.combinations(True)) / len(grammar.combinations(False))
    report("some hundredths are held out", 0.02 < share < 0.08, share)
    pairs = {(kind, noun) for _, kind, noun in kept if grammar.is_pair_held_out(kind, noun)}
    report("whole pairs are held out too", len(pairs) > 20 and not pairs & {(k, n) for _, k, n in
        seen}, len(pairs))
    told = [s for s in (chat.conversation(trained, n).story for n in range(200)) if s]
    report("conversations draw from the same share",
           len(told) > 100 and not any(held_out(story) for story in told))


def test_state():
    def story():
        s = Story(1, "test", "fox", "key", MEDIUM)
        s.say("{A.intro} had {o.a}.")
        return s
    report("nobody gives what he does not hold", raises(StoryError, story().hands, "A", "B"))
    s = story()
    s.cast("B", kind="owl")
    report("nobody is spoken of before the introduction", raises(StoryError, s.say, "{B} came."))
    s.say("{B.intro} came.")
    report("nobody is introduced twice", raises(StoryError, s.say, "{B.intro} came."))
    report("nobody speaks who is not there", raises(StoryError, s.say, '"Hello," {B.said}.'))
    s.comes("B")
    s.say('"Hello," {B.said}.')
    s.owns("A")
    s.hands("A", "B")
    report("what is given away is gone", raises(StoryError, s.needs, "A") and not raises(StoryError,
        s.needs, "B"))
    report("templates must be closed", raises(TemplateError, parse, "[a|b") and raises(
        TemplateError, parse, "{A"))
    report("articles and capitals", tidy(
        'he saw a owl , a one-eyed cat and an fox. it said, "a hour!"')
           == 'He saw an owl, a one-eyed cat and a fox. It said, "an hour!"', tidy('he saw a owl'))


def shuffled(text, draw):
    parts = check.sentences(text)
    draw.shuffle(parts)
    return " ".join(parts)


def renamed(text, draw):
    """One mention of the first name becomes a name that is not in the story."""
    name = sorted(check.names_in(text))[0]
    spots = [m for m in re.finditer(r"\b%s\b" % name, text)]
    spot = spots[len(spots) // 2]
    other = draw.choice([n for n in world.HE if n not in text])
    return text[:spot.start()] + other + text[spot.end():]


def cut(text, draw):
    return text[:int(len(text) * draw.uniform(0.5, 0.9))]


def ended_early(text, draw):
    parts = check.sentences(text)
    return " ".join(parts[:int(len(parts) * draw.uniform(0.4, 0.75))])


def test_checker():
    chooser, draw = grammar.Chooser(True), random.Random(1)
    texts = [chooser.story("check %d" % seed).text() for seed in range(240)]
    good = [text for text in texts if not check.check(text)]
    report("the checker passes held-out stories", len(good) >= 0.95 * len(texts), "%d of %d" % (len
        (good), len(texts)))
    for spoil, share in ((shuffled, 0.95), (renamed, 0.9), (cut, 0.95), (ended_early, 0.85)):
        red = sum(bool(check.check(spoil(text, draw))) for text in good)
        report("the checker is red on stories %s" % spoil.__name__.replace("_", " "), red >= share
            * len(good), "%d of %d" % (red, len(good)))
    report("the checker knows who holds what", check.check_holder(
        "A fox named Ann had the key. Ann gave Bob the key. Ann gave the key to Cid.", {"Ann",
            "Bob", "Cid"}, "key"))
    report("the checker knows who is what", check.check_cast(
        "A fox named Ann came. Ann the owl left.", {"Ann"}))


def answer_is_right(kind, answer, story, told):
    """True when the state of the story, by another way than chat.py's, says the same."""
    hero, o = story.people["A"], story.things["o"]
    if kind == "title":
        return answer == "%s and the %s." % (hero.name, chat.title(o.noun)) and o.noun in told
    if any(name not in told for name in check.names_in(answer)):
        return False
    if kind == "helper" and "helper" in story.facts:
        helper = story.people[story.facts["helper"]]
        return (helper.name or "The " + helper.kind) == answer.split(" helped ")[0].split(" the ")[
            0] and helper.kind in told
    if kind == "holder":
        holder = story.people[o.holder]
        return answer == (holder.name + " the " + holder.kind if holder.name else "The " + holder.
            kind) + " has it."
    if kind == "where":
        return "P" not in story.places or story.facts.get("where") != "{P.in}" or story.places["P"][
            0] in told and story.places["P"][0] in answer
    if kind == "want":
        asker = r"(%s|[Tt]he [\w -]*%s|He|She) wanted " % (hero.name, hero.kind)
        return re.match(asker, answer) is not None
    if kind == "kind":
        return any(p.name and answer == tidy("%s is a %s." % (p.name, p.kind)) for p in story.
            people.values())
    if kind == "named":
        return any(p.name and answer == "The %s is called %s." % (p.kind, p.name) for p in story.
            people.values())
    if kind == "home":
        return answer.endswith(hero.home + ".") and hero.home.lower() in told.lower()
    return True


def test_conversations():
    chooser, wrong, kinds, count = grammar.Chooser(), [], set(), 0
    for seed in range(250):
        talk = chat.conversation(chooser, seed)
        messages = talk.messages
        roles = [m["role"] for m in messages]
        if roles != ["user", "assistant"] * (len(roles) // 2):
            wrong.append(roles)
        if any(not m["content"].strip() or m["content"] != m["content"].strip() for m in messages):
            wrong.append(messages)
        for kind, number, story in talk.log:
            count += 1
            kinds.add(kind)
            told = " ".join(m["content"] for m in messages[:number] if m["role"] == "assistant")
            if not answer_is_right(kind, messages[number]["content"], story, told):
                wrong.append((kind, messages[number]["content"]))
    report("answers agree with the story's state", not wrong and count > 200, (count, wrong[:3]))
    report("every kind of question is asked", len(kinds) >= 13, sorted(kinds))


for test in (test_digest, test_plots, test_held_out, test_state, test_checker, test_conversations):
    test()
