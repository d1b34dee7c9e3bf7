"""Writes conversations: requests, stories, questions that the story's own state answers, small
talk, and kind refusals of what lies outside the stories' world.

    python3 chat.py --count 5 --seed 1          to read; --json: one list of messages a line
    python3 chat.py --held                      about held-out combinations alone

A conversation is a list of {"role": "user" or "assistant", "content": text}; train.py writes it in
Llama 2's markup. Every answer is rendered from the Story that was told, so it cannot be wrong.
"""

import argparse
import json
import random

import grammar
import plots
import world
from lexicon import LEXICON
from state import BRIEF, LONG, MEDIUM, SHORT
from text import expand, parsed, tidy

# What each plot shows, for "What is the moral?".
LESSONS = {
    "lost_and_stuck": "where one cannot go on alone, a friend can help", "found_and_returned":
        "it is better to be honest than to have a fine thing",
    "taken_by_a_lonely_one": "one should ask before taking, and forgive when somebody is sorry",
        "lent_and_forgotten": "it is better to ask than to be cross in silence",
    "hidden_too_well": "a good question can find what is lost", "washed_away":
        "one should not give up, and be glad of help",
    "swapped_bags": "it is good to look twice", "under_your_nose":
        "what we look for is often close by", "who_took_it":
        "one should ask first, and sharing is better than taking",
    "broken_and_told": "it is best to tell the truth, even when it is hard", "made_together":
        "together we can do what one cannot do alone",
    "practised": "whoever practises gets better", "earned_present":
        "giving can make us happier than getting", "hurried_and_slow": "good things take time",
    "thrown_away_and_mended": "old things are worth mending", "planted": "one must be able to wait",
        "strange_machine": "one should not laugh at a new idea",
    "trade_chain": "with patience and a little work, everyone can be content", "false_promise":
        "one should not believe big promises",
    "three_tasks": "whoever helps others will be helped", "one_wish": "a kind wish comes back",
        "one_for_two": "sharing is better than quarrelling",
    "given_to_a_stranger": "kindness is never lost", "too_much":
        "whoever wants too much may lose it all", "race_for_a_prize":
        "helping is more important than being first",
    "best_in_the_valley": "it is better to be honest than to win", "boaster":
        "one should not boast", "swapped_lives": "one should be content with what one has",
    "riddle_at_the_gate": "thinking is better than guessing", "outwitted":
        "a clever head is better than big teeth", "true_owner": "the truth comes out in the end",
    "guard_of_the_bridge": "kindness can do more than force", "carried_far":
        "a promise must be kept", "for_the_sick": "love makes us brave",
    "lost_in_the_mist": "one should stay on the path, and never lose hope", "room_for_one_more":
        "there is always room for one more",
    "saw_the_sea": "one should follow a dream", "new_in_the_place":
        "a friend can be found by sharing something", "bump_in_the_night":
        "what frightens us is often harmless",
    "promise_kept": "a promise must be kept", "promise_broken":
        "what we have done wrong we can make good again", "through_the_dark":
        "being brave means going on though we are afraid",
    "false_alarm": "nobody believes one who tells lies", "secret_kept": "a secret must be kept",
        "small_foundling": "the small ones need our help",
    "rescued_with_it": "an old thing can still be of great use"}

# Questions and answers. Answers are templates of the story; %s is the fact. A question is
# asked only if the fact is there; {who} is the hero as a listener would say it.
QUESTIONS = {
    "want": ('What did {who} want?|what did {who} want to do?|What was {whose} wish?|what did '
        '{who} wish for?|So what did {who} want?|What is it that {who} wanted?', "{A} wanted %s."),
    "why": ('What was the problem?|what went wrong?|What was the matter?|What was hard for {who}?|'
        'What trouble was there?|what happened to {who}?', "%s"),
    "how": ('How was it solved?|how did it turn out well?|How did {who} manage it?|What helped in '
        'the end?|how did they do it?|How did it come right?', "%s"),
    "end": ('How does the story end?|how did it end?|What happened in the end?|What happened at '
        'the end?|and how does it end?|How did it all end?', "In the end %s"),
    "where": ('Where did it happen?|where was that?|Where does it take place?|where did this '
        'happen?|In which place did it happen?|Where were they?', "It happened %s."),
    "helper": ('Who helped {who}?|who helped {him}?|Was there a helper?|Who was the helper?|Did '
        'anyone help {who}?|who was it that helped?', "{H.full} helped {A.him}. %s"),
    "thief": ("Who took the {o}?|who was the thief?|Who had taken it?|Who had the {o}?",
        "It was {T.full}."),
}
_OPEN = ('[Tell me|Please tell me|Can you tell me|Could you tell me|I would like|I want|Write|'
    'Write me|Give me|May I have|Do you know|Make up|Tell|Tell us] '
         "[a|a|a|a%s] [|||nice|little|good|bedtime|new|lovely] story")
_GREETINGS = ('Hello!|hi|Hello|Hi there!|Good morning!|Hey|good evening|Hi!|Hello there|hey there|'
    'Good day|Hi, how are you?|How are you?|hello, who is there?')
_REPLIES = ('[Hello!|Hello there!|Good day!|Hello, and welcome!|How nice to meet you!] [I tell '
    'little stories.|I know many little stories.|I am a storyteller.] '
            '[What shall it be about?|What would you like to hear about?|Shall I tell you one '
                'about {offer}?|Would you like one about {offer}?|Name an animal and a thing, and '
                'I will make a story of them.]')
_ABOUT = ('Who are you?|what are you?|What can you do?|what do you do|Are you a robot?|Are you '
    'human?|what is your name?|Help|help me|How does this work?|what should i say|What are you '
    'for?')
_ABOUT_REPLIES = ('[I am a small storyteller.|I am a little language model that tells stories.|I '
    'am a little storyteller, no more and no less.] '
                  '[Name two things, and I will tell you a story about them: {offer}, for '
                      'example.|Ask me for a story about {offer}, or about anything of that kind.|'
                      'I can tell you a story, make it shorter, and answer questions about it.]')
_OUTSIDE = ('What is the capital of France?|How much is two and two?|what is 12 times 7|Write a '
    'program in Python|who is the president|What is the weather today?|Translate this into German|'
            'How do I bake bread?|what time is it|Solve this equation|Who won the world cup?|'
                'Explain how a computer works|What is the meaning of life?|Can you do my '
                'homework?|tell me the news|'
            'Which phone should I buy?|How far is the moon?|What is gravity?|write an email to my '
                'boss|How do I lose weight?|is it going to rain tomorrow|What is the tallest '
                'mountain in the world?|'
            'who wrote Hamlet|Can you draw a picture?|Play some music|Give me a recipe for soup|'
                'what is the best car|Fix my code|How old are you?|What year is it?|Who invented '
                'the telephone?|'
            'what is the speed of light|Tell me about the history of Rome|Book a flight for me|'
                'what is a black hole|How many people live in China?|Set an alarm|Summarise this '
                'article|'
            'what should I do about my headache|Recommend a film|sing a song|Do you know a joke?|'
                'What is your opinion on politics?|how do i install linux|Give me the price of '
                'gold')
_REFUSALS = ('[I am sorry, that is more than I know.|That I do not know, I am afraid.|Oh, I know '
    'nothing of that.|I am only a storyteller, and that is beyond me.|That is outside my little '
    'world.|I cannot help with that, I am sorry.] '
             '[But I can tell you a story.|I only know my stories.|All I know is little stories.|'
                 'Stories are all I have.] [Shall I tell you one about {offer}?|How about one '
                 'about {offer}?|Would you like one about {offer}?|Perhaps one about {offer}?]')
_UNKNOWN = ('a spaceship|an astronaut|a computer|a dinosaur|a football team|a vampire|a zombie|a '
    'superhero|a submarine|a detective|a laptop|a telephone|an airplane|a spy|a lawyer|a bank '
    'robber|'
            'a rock band|an alien|a nuclear power station|a skyscraper|a pirate ship and a cannon|'
                'a motorbike|a policeman|a television|a kangaroo|an elephant|a tiger|a shark|a '
                'whale|a penguin')
_UNKNOWN_REPLIES = ('[I know no story about {thing}, I am sorry.|There is nothing like that in my '
    'little world.|{^thing}? I have never met one, so I cannot tell of it.] '
                    '[But I know one about {offer}. Shall I tell it?|How about {offer}?|Shall it '
                        'be {offer} instead?|But there is one about {offer}, if you like.]')
_YES = ('Yes please|yes|Yes!|ok|Okay|Sure|sure, tell me|yes, that one|Please do|Go on|go ahead|'
    'Good idea|yes, why not|all right')
_THANKS = ('Thank you!|thanks|Thank you, that was nice|that was lovely|Thanks a lot|I liked it|'
    'What a nice story|good story|cool|great, thanks')
_WELCOME = ('[You are welcome!|I am glad you liked it.|It was a pleasure.|Thank you for '
    'listening.] [Come back for another one.|Shall I tell you another?|I know many more.|Would '
    'you like one more?|]')
_BYES = "Goodbye|bye|Good night|See you|good night!|I have to go now"
_BYE_REPLIES = ('[Goodbye!|Good night!|Farewell!|Until next time!] [Sleep well.|Come again soon.|'
    'I will have a new story for you.|]')
_SHORTER = ('Make it shorter|make it shorter please|Shorter, please|Can you make it shorter?|Tell '
    'it in a few words|Sum it up|that was too long|A shorter version, please|Can you shorten it?|'
    'in short?')
_LONGER = ('Make it longer|Tell it at greater length|A longer version, please|Can you make it '
    'longer?|longer please|Tell me more of it')
_AGAIN = ('Tell it again in other words|Tell it once more, but differently|in other words, please|'
    'Can you tell it another way?')
_ANOTHER = ('Another one|Tell me another|another story please|One more!|Tell me a different story|'
    'And another?|next one please')
_MORAL = ('What is the moral?|what does the story teach?|What can we learn from it?|and the '
    'moral?|What is the lesson of the story?')
_TITLE = ('Give it a title|What is the story called?|What would be a good title?|title?|Find a '
    'title for it')
_ABOUT_WHOM = "Who is the story about?|who is it about?|Who is the hero?|Who is the main character?"


_KIND = "Who is %s?|What is %s?|who was %s again?|And who is %s?"
_NAMED = ("What is the %s called?|what was the %s's name?|Does the %s have a name?|"
          "What is the name of the %s?")
_HOME = ("Where does %s live?|where did %s live?|Where is %s at home?|Where is the home of %s?")
_HOLDER = ("Who has the %s at the end?|who has the %s now?|Where is the %s in the end?|"
           "And the %s? Who has it at the end?")


def say(template, draw, words=None):
    """Expands a template that refers to plain words alone."""
    out = []

    def refer(name, form, capital, so_far):
        text = words[name]
        return text[0].upper() + text[1:] if capital else text

    expand(parsed(template), draw, lambda name: pick(LEXICON[name], draw), refer, out)
    return tidy("".join(out)).strip()


def pick(options, draw):
    """One of the options, a list or "a|b|c"."""
    if isinstance(options, str):
        options = options.split("|")
    return options[int(draw() * len(options))]


def a(noun):
    """The noun with its article."""
    return tidy("x a " + noun)[2:]


def roughen(text, draw):
    """The text as somebody in a hurry types it: without capitals, stops, or a letter."""
    if draw() < 0.4:
        text = text[0].lower() + text[1:] if draw() < 0.5 else text.lower()
    if draw() < 0.4:
        text = text.rstrip(".?!")
    if draw() < 0.08:
        text = text.replace("Please", "pls").replace("please", "plz").replace(" you ", " u ")
    if draw() < 0.1:
        words = text.split(" ")
        spots = [i for i, word in enumerate(words) if len(word) > 3 and word.lower() in _TYPO_IN]
        if spots:
            i = spots[int(draw() * len(spots))]
            k = 1 + int(draw() * (len(words[i]) - 2))
            swapped = words[i][k + 1] + words[i][k] if draw() < 0.5 else ""
            words[i] = words[i][:k] + swapped + words[i][k + 2 - (draw() < 0.3):]
            text = " ".join(words)
    return text


_TYPO_IN = frozenset('please tell story about what did where happen helped want make shorter '
    'another with good write would like'.split())


class Conversation:
    """One conversation in the making."""

    def __init__(self, chooser, seed):
        self.chooser, self.seed, self.messages = chooser, seed, []
        self.draw = random.Random("chat/%s" % seed).random
        self.told, self.story = 0, None
        self.asked = set()  # kinds of questions about the last story
        self.log = []  # (kind of question, number of the answer, story)

    def user(self, text):
        """The user says that, more or less."""
        self.messages.append({"role": "user", "content": roughen(text, self.draw)})

    def answer(self, text):
        """The assistant says that."""
        self.messages.append({"role": "assistant", "content": text})

    def size(self):
        """Words so far."""
        return sum(len(m["content"].split()) for m in self.messages)

    # ---- Stories ---------------------------------------------------------------------------------

    def next_seed(self):
        """The seed of the next story."""
        self.told += 1
        return "%s/%d" % (self.seed, self.told)

    def offer(self):
        """The next story's hero and object, as in "a fox and a key"; keep its seed for later."""
        self.offered = self.next_seed()
        _, kind, noun, _ = self.chooser.choose(self.offered)
        return "%s and %s" % (a(kind), a(noun))

    def tell(self, seed, length=None, wording=0):
        """Tells a story, which questions are then about."""
        self.story = self.chooser.story(seed, length, wording)
        self.story_seed = seed
        self.answer(self.story.text())

    def request(self):
        """The user asks for a story by what will be in it, and hears it."""
        draw, seed = self.draw, self.next_seed()
        plot, kind, noun, length = self.chooser.choose(seed)
        story = self.chooser.story(seed, length)
        hero = story.people["A"]
        others = [p.kind for p in story.people.values() if p.code in "BC" and p.introduced]
        style = draw()
        things = "%s and %s" % ((a(kind), a(noun)) if draw() < 0.7 else (a(noun), a(kind)))
        if style < 0.12:
            things = "%s named %s and %s" % (a(kind), hero.name, a(noun))
        elif style < 0.18:
            things = "%s and %s" % (a(kind), a(story.things["o"].adjective + " " + noun))
        elif style < 0.26 and others:
            things = "%s, %s and %s" % (a(kind), a(pick(others, draw)), a(noun))
        elif style < 0.32 and others:
            things = "%s and %s" % (a(kind), a(pick(others, draw)))
        elif style < 0.37:
            things = a(kind)
        elif style < 0.41:
            things = a(noun)
        elif style < 0.46:
            things = pick(plot.theme, draw)
        elif style < 0.52:
            things = "%s and %s" % (a(kind), pick(plot.theme, draw))
        elif style < 0.6 and plot.name in ("lost_and_stuck", "under_your_nose", "hidden_too_well",
            "washed_away"):
            things = "%s and a lost %s" % (a(kind), noun)
        elif style < 0.65:
            things = None
        size = {SHORT: " short", LONG: " long"}.get(length, "") if draw() < 0.5 else ""
        text = say(_OPEN % size, draw)
        if things:
            text += pick(" about | about | about | with | of ", draw) + things
        text += "?" if text.startswith(("Can", "Could", "May", "Do")) else "."
        self.user(text)
        self.tell(seed)

    # ---- Questions -------------------------------------------------------------------------------

    def question(self):
        """A question about the story that was told last, and its answer."""
        story, draw, facts = self.story, self.draw, self.story.facts
        kinds = [k for k in QUESTIONS if k in facts or k in ("helper", "where")]
        if story.plot not in ("taken_by_a_lonely_one", "who_took_it"):
            kinds = [k for k in kinds if k != "thief"]
        if "helper" in facts and not story.people[facts["helper"]].introduced:
            kinds.remove("helper")
        others = ["moral", "title", "whom", "kind", "home", "named"]
        holder = story.people.get(story.things["o"].holder)
        if holder is not None and holder.introduced and "food" not in story.tags("o"):
            others.append("holder")
        kind = pick([k for k in kinds * 3 + others if k not in self.asked] or ["whom"], draw)
        self.asked.add(kind)
        self.log.append((kind, len(self.messages) + 1, story))
        if kind in QUESTIONS:
            hero = story.people["A"]
            he, him, his = ("he", "him", "his") if hero.gender == "m" else ("she", "her", "her")
            who = pick((hero.name, hero.name, "the " + hero.kind, he), draw)
            words = {"who": who, "whose": his if who == he else who + "'s", "him": him,
                     "o": story.things["o"].noun}
            asked, template = QUESTIONS[kind]
            self.user(say("[" + asked + "]", draw, words))
            self.answer(self._fact(kind, template))
        else:
            self._ask_other(kind)

    def _ask_other(self, kind):
        """A question whose answer is not one of the plot's facts."""
        story, draw, hero, o = self.story, self.draw, self.story.people["A"], self.story.things["o"]
        if kind == "moral":
            self.user(pick(_MORAL, draw))
            self.answer(say("[The moral is that|It teaches that|It shows that] " + LESSONS[story.
                plot]
                            + ".", draw))
        elif kind == "title":
            self.user(pick(_TITLE, draw))
            self.answer("%s and the %s." % (hero.name, title(o.noun)))
        elif kind == "whom":
            self.user(pick(_ABOUT_WHOM, draw))
            self.answer("It is about %s, %s." % (hero.name, a(hero.kind)))
        elif kind == "home":
            self.user(pick(_HOME, draw) % hero.name)
            self.answer("%s %s %s." % (hero.name, pick("lives|lives|has a home", draw), hero.home))
        elif kind == "holder":
            self.user(pick(_HOLDER, draw) % o.noun)
            self.answer("%s has it." % full(story.people[o.holder]))
        else:
            named = [p for p in story.people.values() if p.introduced and p.name]
            person = pick(named, draw)
            if kind == "kind":
                self.user(pick(_KIND, draw) % person.name)
                self.answer("%s is %s." % (person.name, a(person.kind)))
            else:
                self.user(pick(_NAMED, draw) % person.kind)
                self.answer("The %s is called %s." % (person.kind, person.name))

    def _fact(self, kind, template):
        story = self.story
        facts = story.facts
        if kind == "helper" and kind not in facts:
            answer = "Nobody had to help {A.him}. %s" % facts["how"]
        elif kind == "where" and kind not in facts:
            answer = "It happened where {A.name} lived, {A.home}."
        elif kind == "helper":
            helper = full(story.people[facts["helper"]])
            answer = template.replace("{H.full}", helper) % facts["how"]
        elif kind == "thief":
            answer = template.replace("{T.full}", full(story.people[facts["thief"]]))
        else:
            answer = template % facts[kind]
        return story.answer(answer)

    def follow_up(self):
        """One more turn about the story: usually a question."""
        draw, style = self.draw, self.draw()
        if style < 0.72:
            self.question()
        elif style < 0.84:
            self.user(pick(_SHORTER, draw))
            if self.story.length == BRIEF:
                self.answer("It cannot be any shorter, I am afraid.")
            else:
                self.tell(self.story_seed, SHORT if self.story.length == LONG and draw() < 0.3 else
                    BRIEF)
        elif style < 0.9 and self.story.length < MEDIUM:
            self.user(pick(_LONGER, draw))
            self.tell(self.story_seed, MEDIUM)
        elif style < 0.94:
            self.user(pick(_AGAIN, draw))
            self.tell(self.story_seed, self.story.length, 1 + int(draw() * 1000))
        else:
            self.user(pick(_ANOTHER, draw))
            self.tell(self.next_seed())
            self.asked = set()


def full(person):
    """"Otis the owl", or "the owl"."""
    return "%s the %s" % (person.name, person.kind) if person.name else "The " + person.kind


def title(words):
    """Every word with a capital."""
    return " ".join(word[0].upper() + word[1:] for word in words.split())


def conversation(chooser, seed):
    """The messages of one conversation, and nothing else."""
    talk = Conversation(chooser, seed)
    draw, begins = talk.draw, talk.draw()
    if begins < 0.72:
        talk.request()
    else:
        asked, replies = ((_GREETINGS, _REPLIES) if begins < 0.79 else (_ABOUT, _ABOUT_REPLIES) if
            begins < 0.83
                          else (_OUTSIDE, _REFUSALS) if begins < 0.95 else (_UNKNOWN,
                              _UNKNOWN_REPLIES))
        words = {"offer": talk.offer()}
        if asked is _UNKNOWN:
            words["thing"] = pick(_UNKNOWN, draw)
            talk.user(say(_OPEN % "", draw) + " about " + words["thing"] + ".")
        else:
            talk.user(pick(asked, draw))
        reply = say(replies, draw, words)
        talk.answer(reply)
        if words["offer"] in reply and draw() < 0.5:
            talk.user(pick(_YES, draw))
            talk.tell(talk.offered)
        elif draw() < 0.4:
            talk.request()
    turns = (0, 1, 1, 2, 2, 3, 4)[int(draw() * 7)]
    while talk.story is not None and turns and talk.size() < 480:
        talk.follow_up()
        turns -= 1
    if draw() < 0.12:
        asked, replies = (_THANKS, _WELCOME) if talk.story is not None and draw() < 0.7 else (_BYES,
            _BYE_REPLIES)
        talk.user(pick(asked, draw))
        talk.answer(say(replies, draw))
    return talk


def main():
    parser = argparse.ArgumentParser(description="Writes conversations.")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held", action="store_true", help="held-out combinations alone")
    parser.add_argument("--json", action="store_true", help="one list of messages a line")
    arguments = parser.parse_args()
    chooser = grammar.Chooser(arguments.held)
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        messages = conversation(chooser, seed).messages
        if arguments.json:
            print(json.dumps(messages))
        else:
            for message in messages:
                print("%s: %s" % (message["role"], message["content"]))
            print()


if __name__ == "__main__":
    main()
