"""The phrases that many plots share, by the name a template calls them by.

Entries are templates themselves. A predicate (<sad>) wants a subject before it; the rest are
adverbs, openings, and what people say.
"""


def _list(text):
    return [part.strip() for part in " ".join(text.split()).split("/") if part.strip()]


LEXICON = {name: _list(text) for name, text in {
    # When.
    "next-day": """the next morning / the next day / early the next morning / when the sun
        came up / at first light / the following morning / on the morning after / as soon as it
        was light""",
    "one-day": """one day / one morning / one fine morning / one spring morning / one autumn
        day / one Sunday / one afternoon / one summer day / one cool morning / one bright
        day / early one morning / one market day / on a quiet morning""",
    "later": """after a while / a little later / before long / soon after that / in a little
        while / by and by / not long after / after some time""",
    "evening": """that evening / when evening came / as the sun went down / towards evening /
        when the first star came out / at the end of the day / when the shadows grew long
        / at dusk""",
    "night": """that night / when the moon was up / late that night / under the stars / when
        it was quite dark""",
    "at-last": "at last / in the end / finally / at long last / after all that",
    "just-then": "just then / at that moment / that very moment / all at once / suddenly",
    "for-days": """for three days / for a whole week / for many days / for days and days / day
        after day""",
    "at-once": "at once / straight away / without a word / in a moment / without waiting",
    "slowly": "slowly / carefully / very carefully / gently / step by step / bit by bit",
    "quickly": "quickly / as fast as could be / in a great hurry / in no time / without stopping",
    # How somebody feels or looks.
    "sad": """was very sad / felt like crying / was sad / had a heavy heart / was close to
        tears / felt quite lost / could have wept / did not know what to do / felt cold inside /
        sat down and sighed / felt miserable / looked at the ground""",
    "glad": """was very happy / was glad / could have danced / laughed out loud / beamed /
        felt warm inside / jumped for joy / was happier than ever / was overjoyed /
        clapped and laughed / had never been so happy / felt as light as a feather""",
    "tired": """was tired / was tired and hungry / could hardly stand / had to rest / was out
        of breath / sat down to rest / felt tired to the bone""",
    "ashamed": """was ashamed / felt very small / did not know where to look / looked at the
        ground / turned red / felt sorry / went very quiet / felt hot and small""",
    "afraid": """was afraid / was frightened / trembled / felt cold with fear / could hardly
        breathe / did not dare to move / shook all over""",
    "angry": """was angry / was cross / stamped on the ground / was very cross / turned red
        with anger / frowned / was so cross that the birds flew off""",
    "surprised": """was surprised / could hardly believe it / stood quite still / opened both
        eyes wide / was astonished / did not know what to say / blinked twice""",
    "proud": """was proud / stood very straight / was proud and happy / beamed with pride /
        felt a little taller""",
    "determined": """did not give up / would not give up / tried again / made up {A.his} mind
        to go on / was not one to give up / took a deep breath and tried again / only shook
        {A.his} head and went on""",
    "nodded": """nodded / smiled / nodded slowly / nodded kindly / listened and nodded / gave
        a little nod""",
    "listened": """listened to every word / listened / listened carefully / heard it all to
        the end / listened without a word / sat down and listened""",
    "thought": """thought for a long time / thought it over / thought hard / thought
        for a good while""",
    "trait-good": "kind / patient / helpful / friendly / wise / gentle / good-hearted",
    # Moving and looking.
    "went": "went / walked / set out / hurried / made {A.his} way",
    "set-out": """set out / set off / went on {A.his} way / started on the road / left home /
        took a piece of bread and set out / packed a little bread and set out / set off
        with a quick step""",
    "looked": "looked / searched / hunted / looked and looked / searched high and low",
    "ran": "ran / hurried / rushed / dashed",
    "home-again": "went home / walked home / hurried home / went back home / turned for home",
    "sat-together": """sat together / sat side by side / sat by the fire / had supper together
        / shared a warm supper / drank tea together / sat and talked""",
    # Talking.
    "hello": "good morning / hello / good day / good day to you / hello there",
    "what-wrong": """what is the matter / why are you so sad / what is wrong / what has
        happened / why do you look so sad / what troubles you / why such a long face""",
    "help-offer": """I will help you / let me help you / perhaps I can help / I know what to
        do / two can do more than one / let us do it together / I think I can help / do
        not worry, I will help / leave it to me""",
    "please": "please / oh, please / please, please / will you please",
    "thanks": """thank you / thank you with all my heart / oh, thank you / thank you, thank
        you / how can I ever thank you / I thank you / you are a true friend / I will not
        forget this""",
    "welcome": """you are welcome / that is what friends are for / it was nothing / I was glad
        to help / you would have done the same for me / next time you will help me / do not
        mention it / friends help each other""",
    "sorry": """I am sorry / I am so sorry / please forgive me / I am truly sorry / forgive me
        / I was wrong, and I am sorry / it was my fault, and I am sorry""",
    "forgive": """I forgive you / let us say no more about it / it is all right / it is
        forgotten / I am not cross any more / anyone can make a mistake / what matters is
        that you told me / we are still friends""",
    "oh-no": "oh no / oh dear / dear me / alas / what now / oh, what shall I do",
    "hooray": "hooray / at last / hurrah / we did it / it worked / how wonderful / look",
    "alas-no": """no, I have not / I am sorry, no / not a trace / no, not I / I have seen
        nothing / no, but I will keep my eyes open / I am afraid not""",
    "think-of": """let me think / wait a little / let me see / now listen / I have an idea /
        think a moment""",
    # Small things.
    "very": "very / so / quite / really",
    "nice": "fine / lovely / beautiful / pretty / splendid / handsome",
    "food": """a bowl of soup / a slice of bread and honey / a piece of apple pie / a cup of
        warm milk / a plate of pancakes / some bread and cheese / a baked apple / a bowl of
        porridge / a bun with raisins / some nut cake / a pot of tea / a plate of
        dumplings""",
    "treat": """a jar of honey / a honey cake / a bunch of flowers / a basket of plums / a bag
        of nuts / a red apple / a pot of jam / a loaf of fresh bread / a ginger biscuit / a bowl
        of berries""",
    "chore": """swept the floor / chopped wood / fetched water / weeded the beans / washed the
        pots / stacked the logs / fed the chickens / picked the apples / raked the leaves / mended
        the fence / carried the sacks / scrubbed the steps""",
    "good": "good / kind / true / dear",
    "everyone": "everyone / all the neighbours / the whole village / everybody / all who heard it",
    "animals": """a blackbird / a grasshopper / a butterfly / a lizard / a swallow / a cuckoo
        / a wren / a caterpillar / a dragonfly / a ladybird""",
}.items()}


# Words that can stand for each other wherever they stand. A share of them is exchanged when a story
# is finished, so that the same sentence is seldom written twice.
SYNONYMS = {word: others.split("/") for word, others in {
    "began to": "started to",
    "could not": "was not able to", "nobody": "no one", "everyone": "everybody", "until": "till",
    "for a long time": "for a good while/for quite some time", "afraid": "scared",
    "sat down": "settled down", "soon": "before long", "shut": "closed",
    "wanted to": "wished to", "more than anything": "more than anything else/above all else",
    "quickly": "swiftly", "softly": "gently/quietly",
    "lovely": "delightful", "laughed": "chuckled", "at last": "finally/at long last",
    "happy": "joyful/contented", "sad": "unhappy/downcast", "angry": "furious", "tired": "weary",
    "looked at": "gazed at", "hurried": "hastened", "trembled": "shivered",
    "smiled": "grinned", "whole": "entire", "next to": "beside",
    "from that day on": "from then on/ever since that day", "nearly": "almost",
    "almost": "nearly", "hardly": "scarcely", "though": "although", "perhaps": "maybe",
    "surely": "certainly", "glad": "pleased", "the next day": "the following day/a day later",
    "all day": "the whole day", "every evening": "each evening", "every day": "each day",
    "it was no use": "it did not help/it was all in vain", "did not know": "had no idea",
    "ran back": "rushed back", "went back": "returned", "went home": "walked home/headed home",
    "in the evening": "towards nightfall/when the day was over",
    "that evening": "on that same evening/the same evening",
    "that night": "on that same night/the same night",
    "in the morning": "at daybreak/when morning came", "in his hands": "in both hands",
    "in her hands": "in both hands", "without a sound": "in silence",
    "nothing at all": "not a thing", "just in time": "at the last moment",
    "as fast as": "as quickly as", "a little later": "a short while later",
    "a tear": "a big tear", "was gone": "had vanished", "came back": "returned",
    "the neighbours": "the people next door/the villagers", "only a joke": "just a joke",
    "by the path": "beside the path/at the side of the path",
    "once upon a time": "once upon a time/once", "full of": "filled with",
    "right at the front": "at the very front", "ran away": "fled", "grew dark": "became dark",
    "picked up": "lifted up",
}.items()}
