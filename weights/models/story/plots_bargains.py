"""Plots about trading, wishing, sharing, working and being cheated."""

from beats import ends, ends_keeping, opening, scene, weather
from plots import DURABLE, plot


@plot("trading|a bargain|swapping", "small toy music treasure tool", but="heavy")
def trade_chain(s):
    """Somebody has the object and wants something that somebody else has, and so on."""
    s.cast("B")
    s.cast("C")
    s.cast("D")
    s.thing("x", tags="small warm")
    s.thing("y", tags="food tool")
    opening(s)
    s.owns("B")
    s.owns("C", "x")
    s.comes("B")
    s.say('[{A} wanted {o.a}, and the only one in the valley belonged to {B.intro}.|{B.intro} had '
        '{o.a}, and {A} wanted it more than anything.|<one-day> {A} saw {o.a} in the hands of '
        '{B.intro}, and {A.he} wanted it very much.]')
    s.say('["Will you give it to me?" {A.asked}. "Only for {x.a}," {B.answered}.|"What do you '
        'want for it?" {A.asked}. "{^x.a}," {B.said}.|"I will give you {o} for {x.a}," {B.said}. '
        '"Not for anything else."]')
    s.leaves("B")
    s.mid('[{A} had no {x.n}. {A.he} <thought>.|"Where shall I find {x.a}?" {A.said}.|but {A} had '
        'only two hands and a song.]')
    s.paragraph()
    s.comes("C")
    s.say('[{A} went to {C.intro}, who had {x.a}. "You may have it for {y.a}," {C.said}.|'
        '{C.intro} had {x.a}. "But I need {y.a} for it," {C.said}.|down the road lived {C.intro}, '
        'who had {x.a}. "Bring me {y.a}," {C.said}, "and it is yours."]')
    s.leaves("C")
    s.comes("D")
    s.owns("D", "y")
    s.say('[then {A} came to {D.intro}, who had {y.a}. ["I want nothing for it," {D.said}, "but '
        'help me for a day."|"You may have it," {D.said}, "if you sing for me until the sun goes '
        'down."|"I will give it to you," {D.said}, "if you help me to mend my roof."]|so {A} went '
        'to {D.intro} and asked for {y.a}. ["Help me today," {D.said}, "and it is yours."|"Tell '
        'me a story that I have never heard," {D.said}, "and you may have it."]]')
    s.mid('[{A} did it gladly, and {A.he} did it well.|that was not hard, and {A} did more than '
        '{A.he} had to.|{A} rolled up {A.his} sleeves and began.|{A} stayed until the evening, '
        'and they laughed a great deal.]')
    s.hands("D", "A", "y", keeps=True)
    s.say('[so {A} got {y}.|and {A} went away with {y}.|in the evening {D} gave {A.him} {y}.]')
    s.leaves("D")
    s.paragraph()
    s.comes("C")
    s.hands("A", "C", "y", keeps=True)
    s.hands("C", "A", "x", keeps=True)
    s.say('[{C} took {y} and gave {A} {x}.|for {y} {A} got {x} from {C}.|{A} brought {y} to {C}, '
        'and {C} handed over {x}.]')
    s.long('["A good bargain," {C.said}, and they shook hands.|{C} was so pleased with {y} that '
        '{C.he} gave {A} <treat> besides.|"I have wanted {y.a} for years," {C.said}.]')
    s.leaves("C")
    s.comes("B")
    s.hands("A", "B", "x", keeps=True)
    s.hands("B", "A", keeps=True)
    s.say('[and for {x} {B} gave {A.him} {o}.|{A} ran to {B} with {x}, and then {o} was {A.his} '
        'own.|"Here is {x}," {A.said} to {B}, and {B} gave {A.him} {o}.]')
    s.mid('["How did you do it?" {B.asked}. "With a day of work and a long walk," {A.said}.|{A} '
        '<glad>. All of them had what they wanted.|"Everyone has what they wanted," {A.said}, '
        '"and nobody paid a coin."]')
    s.long('[{B} walked once round {A} and shook {B.his} head. "I never thought that you would do '
        'it," {B.said}.|"And what will you do with {o} now?" {B.asked}. "I will {o.use}," '
        '{A.said}, "and that will be enough for me."|{A} held {o} up to the light, and all the '
        'long way had been worth it.] [then they had <food> together.|they shook hands, and each '
        'was sure of having the better part.|"Come again when you want something," {B.said}.]')
    s.paragraph()
    ends_keeping(s)
    s.fact(want='to have {o.a}', why='{B} would give {o} only for {x.a}.',
        how='{A} helped {D}, got {y.a}, and traded it for {x}, and {x} for {o}.', owner="B",
        helper="D",
           end='{A} got {o}, and everyone had what they wanted.')


@plot("a swindler|a bad bargain|being tricked", DURABLE, but="heavy food")
def false_promise(s):
    """A trickster sells the object with big words; with a friend's wit the hero gets justice."""
    s.cast("C", ability="clever")
    s.cast("B", ability="wise")
    s.place("P", "crowd")
    s.word("promise", 'makes gold out of stones|makes the rain fall|makes everyone dance|calls '
        'the fish out of the water|makes tired feet light')
    s.word("price", 'a sack of flour|six fat plums|a jar of honey|three silver coins|a fine warm '
        'cheese|{A.his} best winter boots')
    opening(s)
    s.owns("C")
    s.comes("C")
    s.say('[<one-day>, {P.in}, {C.intro} called out, "Who will buy {o.a} that {promise}?"|'
        '<one-day> {A} met {C.intro} {P.in}. "This is {o.a} that {promise}," {C.said}.|{C.intro} '
        'stood {P.in} and showed everyone {o.a}. "It {promise}!" {C.he} cried.]')
    scene(s)
    s.say('[{A} wanted it at first sight and gave {price} for it.|"I must have it!" {A.said}, and '
        'gave {C} {price}.|{A} wanted it so much that {A.he} paid with {price}.]')
    s.hands("C", "A", keeps=True)
    s.leaves("C")
    s.say('[at home {A} tried {o}. Nothing happened.|{A} tried {o} once, twice, three times. '
        'Nothing happened.|but at home it was only {o.a} like any other.]')
    s.mid('[{A} <sad>. {A.he} had been cheated.|"I have been a fool," {A.said}.|{A} tried it by '
        'daylight and by moonlight, and it was no use.|the neighbours laughed, and {A} <ashamed>.]')
    s.paragraph()
    s.comes("B")
    s.say('[{A} told {B.intro} all about it.|{B.intro} heard of it and came to see {A}.|then {A} '
        'went to {B.intro} for advice.] ["Go back," {B.said}, "and say that it has worked."|"I '
        'know what to do," {B.said}. "Tell {C.him} that it is worth more than you paid."|"We will '
        'catch {C.him} with {C.his} own words," {B.said}.]')
    s.leaves("B")
    s.comes("C")
    s.say('[so {A} went back {P.to} and said to {C}, "It works! It {promise}, and I am so happy!"|'
        '<next-day> {A} said to {C}, "It worked all night long! It really {promise}!"|{A} found '
        '{C} {P.in} and shook {C.him} by the hand. "It truly {promise}!" {A.said}.]')
    s.mid('[{C} <surprised>. "Does it?" {C.asked}.|{C.ns} eyes grew big and greedy.|{C} thought '
        'that {C.he} had sold a treasure by mistake.]')
    s.say('["Give it back to me!" cried {C.n}. "Here is what you paid, and more besides."|"I want '
        'to buy it back!" {C.cried}, and {C.he} gave back all that {A} had paid, and a coin as '
        'well.|{C} begged for it and gave {A} back all that {A.he} had paid, with <treat> '
        'besides.]')
    s.hands("A", "C", keeps=True)
    s.say('[so {A} gave {o} back and walked home with a light step.|{A} handed over {o} and left '
        'before {C} could try it.|then {A} gave {C} {o}, and it was {C.his} turn to wait for a '
        'wonder.]')
    s.long('[{C} tried {o} all night, and nothing happened.|as far as anyone knows, {C} is still '
        'waiting for {o} to do something.|"Nothing happens!" {C.cried}, but {A} was far away by '
        'then.]')
    s.long('[on the way home {A} whistled, and even the dogs wagged their tails.|{A} bought '
        '<treat> and took it home to share.|{A} told it to a neighbour, and by evening the whole '
        'village knew it.] ["A big mouth sells small things," said the neighbours.|nobody in that '
        'place bought anything from {C} for a long time.|and everyone who met {A} on the road '
        'asked about {o}.]')
    s.paragraph()
    s.close('[from that day on {A} listened twice before {A.he} bought anything, and {A.he} '
        'laughed whenever {A.he} heard of {o.a} that could do wonders.|that evening {A} and {B} '
        'ate <food> and laughed about {o}, and {C} never cheated anyone in that village again.|'
        'and after that, when somebody promised too much, {A} only smiled and said, "I once had '
        '{o.a} like that."]')
    s.fact(want='to have {o} that {promise}', why='{C} had cheated {A}, and {o} did nothing.',
        helper="B", where='{P.in}', how='{A} said that {o} worked, and {C} bought it back.',
        thief="C",
           end='{A} got back what {A.he} had paid, and {C} had {o} again.')


@plot("three tasks|hard work|earning something", DURABLE, but="heavy paper")
def three_tasks(s):
    """The owner asks for three tasks; the third looks impossible until earlier kindness helps."""
    s.cast("C")
    s.cast("B", ability="small")
    s.word("task1", 'fill the barrel with water|chop all the wood in the yard|sweep the yard from '
        'end to end|carry the stones out of the field')
    s.word("task2", 'scrub the great kettle until it shines|pick every plum from the tree|mend '
        'the long fence|wash nine dirty blankets')
    s.word("task3", 'sort a sack of beans from a sack of peas|find a pin in a haystack|count the '
        'seeds of a sunflower in the dark|pick the sand out of a bag of sugar')
    opening(s)
    s.comes("C")
    s.owns("C")
    s.say('[{A} wanted {o.a} that belonged to {C.intro}.|{C.intro} had {o.a}, and {A} wanted it '
        'with all {A.his} heart.|in the window of {C.intro} stood {o.a}, and {A} wanted it more '
        'than anything.]')
    s.say('["You may have it," {C.said}, "for three tasks."|"Do three things for me," {C.said}, '
        '"and {o} is yours."|"Money I have enough," {C.said}. "But three tasks must be done."]')
    s.leaves("C")
    s.word("trouble", 'caught in a spider web|stuck in a pot of jam|lying on {B.HIS} back in the '
        'dust|shut in under a flower pot|shivering in a puddle')
    s.say('[on the way {A} saw {B.intro} in trouble and stopped to help.|by the gate {A} found '
        '{B.intro}, {trouble}, and {A} set {B.him} free.|before {A} began, {A.he} helped '
        '{B.intro}, who was {trouble}.]')
    s.comes("B")
    s.mid('["<thanks>," said {B.n}. "Perhaps I can help you one day."|"One day I will help you '
        'too," said {B.n}, and was gone.|"I will remember this," said {B.n}.]')
    s.leaves("B")
    s.paragraph()
    s.say('[the first task was to {task1}. {A} did it.|first {A} had to {task1}, and that was '
        'soon done.|"First, {task1}," said the list. {A} worked until noon, and it was done.]')
    s.mid('[the second was to {task2}. It took {A} all day, but {A.he} did it.|then {A} had to '
        '{task2}, and {A.his} arms ached, but it was done.|next {A.he} had to {task2}, and {A.he} '
        'did not stop until it was finished.]')
    s.say('[but the last task was to {task3} before morning.|but then came the last one: {task3}, '
        'and all in one night.|the last task was the hardest. {A} had to {task3} before sunrise.]')
    s.mid('[{A} sat down and <sad>.|"That cannot be done," {A.said}.|{A} began, but by midnight '
        '{A.he} had hardly made a start.|the candle grew shorter and shorter, and so did {A.ns} '
        'hope.]')
    s.paragraph()
    s.comes("B")
    s.say('["Do not cry, {A.name}," said a small voice, and it was {B}. "Now I will help you."|'
        '<just-then> {B} came in under the door. "You helped me, and now I help you," {B.said}.|'
        'something tickled {A.his} foot. There was {B}! "<^help-offer>," {B.said}.]')
    s.say('[{B} worked so fast that one could hardly see it, and before morning all was done.|{B} '
        'called all {B.his} brothers and sisters, and in an hour the work was finished.|with {B} '
        'at work, it was finished when the first light came.]')
    s.comes("C")
    s.say('[in the morning {C} <surprised>. "A bargain is a bargain," {C.said}.|{C} looked and '
        'looked and found nothing wrong. "You have earned it," {C.said}.|"How did you do it?" '
        '{C.asked}. "With a friend," {A.said}.]')
    s.hands("C", "A", keeps=True)
    s.say('[and {A} got {o}.|so {C} gave {A} {o}.|{C} put {o} into {A.ns} hands.]')
    s.mid('{A} <glad>. ["<thanks>," {A.said} to {B}. "<welcome>," {B.answered}.|{A} shared '
        '<treat> with {B}.]')
    s.long('["Who taught you to work like that?" {C.asked}. "A small friend," {A.said}, and '
        'looked at {B}.|{C} was so pleased that there was <food> for all three of them.|{B} sat '
        'on {A.ns} shoulder and was very proud.] [they laughed about the beans and the buckets '
        'and the long night.|"Next week the chimney must be swept," {C.said}, and {A} and {B} ran '
        'away laughing.|and the yard had never looked so clean.]')
    s.paragraph()
    ends(s)
    s.fact(want='to have {o.a}', why='{C} asked for three tasks, and the last was to {task3}.',
        helper="B", how='{B} helped with the last task, because {A} had helped {B.him}.', owner="C",
           end='{A} did the three tasks and got {o}.')


@plot("a wish|magic", DURABLE + " food", but="heavy")
def one_wish(s):
    """One wish only: the hero spends it on somebody in need and gets the object all the same."""
    s.place("P", "water")
    s.cast("B")
    s.word("giver", 'golden fish|silver fish|old carp|little water fairy|white frog with a crown')
    s.word("need", 'had lost {B.HIS} voice|could not walk|had no roof over {B.HIS} head|was too '
        'weak to stand|could not see any more')
    opening(s)
    s.say('[{A} wanted nothing so much as {o.a}.|day and night {A} thought of {o.a}. How {A.he} '
        'wanted one!|{A} wanted {o.a}, but {A.he} had no money for it.]')
    s.say('[<one-day>, {P.in}, {A} freed a {giver} from a net.|<one-day> {A} found a {giver} in '
        'the grass {P.in} and put it back into the water.|<one-day> {A} saw a {giver} caught in '
        'the reeds {P.in}, and {A.he} set it free.] ["You have one wish," it said.|"For that you '
        'may have one wish," it said. "But only one!"|it looked up and said, "Wish for something, '
        'and you shall have it. But one wish only."]')
    scene(s)
    s.mid('["{^o.a}!" {A.he} wanted to cry, but {A.he} stopped.|{A} opened {A.his} mouth to wish '
        'for {o}.|"That is easy," {A} thought. {A.he} saw {o} before {A.him} already.]')
    s.paragraph()
    s.comes("B")
    s.say('[but <just-then> {B.intro} came by, who {need}.|but not far away sat {B.intro}, who '
        '{need}.|then {A} remembered {B.intro}, who {need}.]')
    s.mid('[{A} <thought>.|{o} here, {B} there. It was a hard choice.|{A} looked at the water and '
        'then at {B}.|{A.his} heart went this way and that.]')
    s.say('["I wish for {B.n} to be well and happy," {A.said}.|then {A} wished for {B} to have '
        'all that {B.he} needed.|"My wish is for {B.n}," {A.said}. "Let {B.him} be happy again."]')
    s.say('[a ring ran over the water, and {B} was well and laughed.|the water shone like gold, '
        'and {B} had all that {B.he} needed.|there was a flash, and {B} stood there with red '
        'cheeks and bright eyes.]')
    s.mid('["<thanks>!" {B.cried}. "You gave your wish away for me!"|{B} could not believe it. '
        '"For me?" {B.asked}.|{B} jumped and sang and took {A} by the hand.]')
    s.paragraph()
    s.say('["But what did you wish for yourself?" {B.asked}. "{^o.a}," {A.said}. "But it does not '
        'matter."|{A} went home with empty hands and a light heart. {A.he} did not know that {B} '
        'had heard what {A.he} wanted.|"And you?" {B.asked}. "I only wanted {o.a}," {A.said}.]')
    s.takes("B")
    s.hands("B", "A", keeps=True)
    s.say('[<next-day> {B} stood at the door. In {B.his} hands was {o.a}, and it was for {A}.|'
        '"Wait here!" said {B.n}, and came back with {o.a}. "I can make one of those with my own '
        'hands."|a week later there was a parcel at the door with {o.a} in it, and it came from '
        '{B}.]')
    s.long('[{A} <surprised>.|"So my wish came true twice," {A.said}.|{A} laughed and cried at '
        'once.] [then they had <food>.|{^A} and {B} talked until the moon was up.]')
    s.long('[they went to the water together and called out their thanks, and something splashed '
        'far out.|"We must thank the {giver}," {A.said}, and they threw it some bread.|{B} showed '
        '{A} how {o} had been made, and it had taken all night.] [the evening was warm, and '
        'neither of them wanted to go home.|they talked of what they would wish for now, and '
        'could think of nothing.]')
    s.paragraph()
    s.close('[from that day on {A} loved {o} twice as much, because a friend had given it.|{A} '
        'and {B} were friends ever after, and {o} was a sign of it.|and {A} never needed another '
        'wish, for {A.he} had {o} and a friend.]')
    s.fact(want='to have {o.a}', why='{A} had only one wish, and {B} {need}.', where='{P.in}',
        how='{A} gave the wish to {B}.', helper="B", receiver="B",
        end='{B} was well again and gave {A} {o.a}.')


@plot("sharing|a quarrel", "toy food music", but="heavy")
def one_for_two(s):
    """Two want the same thing and pull at it, until a third shows how to share."""
    s.cast("C")
    s.cast("B", ability="wise" if s.chance("wise", 50) else None)
    food = "food" in s.tags("o")
    s.place("P", "open trees ground")
    opening(s)
    weather(s)
    s.say('[<one-day> {A} and {C.friend} found {o.a} {P.in}.|{A} had a friend, {C.intro}. '
        '<one-day> they both saw {o.a} {P.in} at the same moment.|<one-day> {A} was {P.in} with '
        '{C.friend}, and there lay {o.a}.] [both of them wanted it.|each wanted it alone.|"I want '
        'it!" both of them cried.]')
    s.comes("C")
    s.say('["I saw it first!" {A.cried}. "No, I did!" {C.cried}.|"It is mine!" {A.said}. "It is '
        'mine!" said {C.n}.|"Let go!" {A.cried}. "You let go!" {C.cried}.] [they pulled at {o} '
        'from both sides.|they pulled this way and that.|neither would let go.]')
    scene(s)
    s.mid('[they shouted so loud that the birds flew away.|they called each other names and stuck '
        'out their tongues.|they sat back to back and would not speak, each with one hand on {o}.|'
        'soon both were red and hot and cross.]')
    s.long('["I never liked you," {A.said}, and that was not true.|"You are no friend of mine," '
        '{C.said}, and was sorry at once.|they had been friends for years, and now all that was '
        'forgotten.]')
    s.paragraph()
    s.comes("B")
    s.say('[<just-then> {B.intro} came by and saw them.|{B.intro} had heard the noise and came to '
        'look.|"What a noise!" said {B.intro}, who was passing.] ["One {o.n} and two friends," '
        '{B.said}. "What is worth more?"|"What do you want more, {o.a} or a friend?" {B.asked}.|'
        '"If you go on pulling, there will be nothing left," {B.said}.]')
    if food:
        s.say('["One of you cuts, and the other chooses," {B.said}.|"Let {A.n} cut it in two, and '
            'let {C.n} choose," {B.said}.|"There is a simple way," {B.said}. "One cuts, the other '
            'chooses."] [so {A} cut it into two halves, as even as could be, and {C} took one.|'
            '{A} cut very carefully, for {C} was to choose.]')
        s.mid('["Which one is bigger?" {C.asked}. They measured, and there was no difference.|'
            '"Take the bigger one," {A.said}. "No, you take it," {C.said}, and they laughed.|'
            'there was even a little piece for {B}.]')
    else:
        s.say('["You have it today, and you tomorrow," {B.said}.|"Take turns," {B.said}, "one day '
            'one, one day the other."|"Count to a hundred," {B.said}, "and then change, and so on '
            'until supper."] [so {A} and {C} tried it.|{A} and {C} looked at each other and tried '
            'it.]')
        s.mid('[first {C} had {o}, and {A} watched. Then {A} had it, and {C} watched.|and {o} was '
            'far more fun for two than for one.|"You first," {A.said}. "No, you," {C.said}, and '
            'they laughed.]')
    s.say('["I am sorry," {A.said}. "So am I," {C.said}.|"I am sorry I shouted," {A.said}. '
        '"<^forgive>," {C.said}.|they looked at each other and both said "sorry" at once.]')
    s.long('[{B} stayed a while to see whether it would last, and it did.|"Was that so hard?" '
        '{B.asked}. "Yes," {A.said}, "but only at the beginning."|{C} gave {A} the bigger smile, '
        'and {A} gave {C} the better seat.] [then all three had <food>.|and the birds, who had '
        'flown away, came back and sat in the branches.|before they went home, they even thanked '
        '{B}.]')
    s.paragraph()
    if food:
        s.close('[half of {o} tasted better than a whole one, and they never quarrelled about '
            'such a thing again.|they ate {o} side by side, and they were friends ever after.|'
            'from that day on one always cut and the other always chose, and there was never a '
            'quarrel about {o.a} again.]')
    else:
        s.close('[from that day on they took turns with {o}, and they never quarrelled about it '
            'again.|after that {o} belonged to both, and they were friends ever after.|that '
            'evening they <sat-together>, with {o} between them, and all was well again.]')
    s.fact(want='to have {o}', why='{A} and {C} both wanted {o}.', helper="B", where='{P.in}',
        how='{B} showed them how to share.', rival="C",
        end='{A} and {C} shared {o} and were friends again.')


@plot("giving things away|kindness|helping a stranger", "warm food light", but="heavy")
def given_to_a_stranger(s):
    """The hero gives the only one to a stranger; later the stranger comes back in a time of
    need."""
    food = "food" in s.tags("o")
    s.cast("B", named=True, ability="strong")
    s.place("P", "rocks mud thorns", "house")
    s.word("need", 'hungry' if food else 'lost in the dark' if "light" in s.tags("o") else 'cold')
    s.word("trouble", 'slipped and could not get up|lost {A.his} way in the mist|fell into a deep '
        'ditch|got caught in a storm|hurt {A.his} foot')
    s.trait('kind, never passed anyone in trouble|poor, had very little|quiet, noticed when '
        'somebody was sad')
    opening(s)
    s.owns("A")
    s.say('[{A} had only {o.a}, and {A.he} wanted to keep it for a bad day.|all that {A} had was '
        '{o.a}. {A.he} wanted to keep it safe.|it was a hard winter, and {A} wanted to save {o.a} '
        'for the coldest day.]')
    s.comes("B")
    s.say('[<one-day> somebody knocked. It was {B.intro}, who was {need}.|<one-day> {A} met '
        '{B.intro} on the road, and {B.he} was {need}.|<one-day> {B.intro} sat by the path and '
        'was {need}.]')
    s.mid('["Can you help me?" {B.asked}. "I have come a long way."|{B} asked for nothing, but '
        '{A} saw it.|{B} <tired>, and {B.his} coat had more holes than a net.|"I have nothing '
        'left," {B.said}.]')
    s.say('[{A} thought for a moment, and then {A.he} gave {B} {o}.|"Take this," {A.said}, and '
        'gave {B.him} {o}.|it was the only one, but {A} gave it to {B}.]')
    s.hands("A", "B", keeps=True)
    s.say('["I will not forget it," {B.said}, and {B.he} went on {B.his} way.|"<thanks>," '
        '{B.said}. "One day I will pay you back."|{B} took it with both hands. "You have a good '
        'heart," {B.said}.]')
    s.leaves("B")
    s.long('["How could you give it away?" the neighbours asked. {A} did not know what to say, '
        'but {A.he} was not sorry.|that night {A} went to bed without {o}, and slept well all the '
        'same.|"Now I have nothing," {A.said}, but {A.he} whistled as {A.he} said it.]')
    s.paragraph()
    s.say('[months went by. Then, one evening, {A} {trouble} {P.in}.|in the autumn {A} went '
        '{P.to} and {trouble}.|a long time after, {A} was {P.in} and {trouble}.]')
    scene(s)
    s.mid('["Help!" {A.cried}, but only the echo answered.|it grew dark, and {A} <afraid>.|nobody '
        'came, and the night was near.|{A} called until {A.his} voice was gone.]')
    s.comes("B")
    s.say('[then steps came nearer. It was {B}!|then somebody took {A.his} hand. It was {B}!|'
        '<just-then> a voice called, "Hold on!" It was {B}.] ["You helped me, and now I help '
        'you," {B.said}.|"I have not forgotten {o}," {B.said}.|"Do you remember me?" {B.asked}.]')
    s.say('[{B} helped {A} up and brought {A.him} safely home.|{B} carried {A} on {B.his} back, '
        'all the way home.|{B} led {A} home, step by step, and lit the fire.]')
    s.mid('[on the table {B} put <treat>.|then they had <food>.|{B} stayed until {A} was well '
        'again.] "<thanks>," {A.said}.')
    s.long('["Why did you come back this way?" {A.asked}. "Because I still think of {o}," '
        '{B.said}.|{B} told of all the places where {o} had been a help.|{A} slept a night and a '
        'day, and when {A.he} woke, {B} was still there.] [outside the wind blew, but inside it '
        'was warm.|{B} mended the door and filled the wood box.|they found that they knew the '
        'same old songs.]')
    s.paragraph()
    s.close('[and if {A} had not given {o} away that day, who knows how it would have ended? They '
        'were friends ever after.|from that day on they were friends, and all because of {o}.|'
        'that evening they spoke of {o}, and {A} saw that nothing given is ever lost. They stayed '
        'friends ever after.]')
    s.fact(want='to keep {o}', why='{B} was {need} and needed {o}.', helper="B", where='{P.in}',
        how='when {A} {trouble}, {B} came and brought {A.him} home.', receiver="B",
           end='{B} helped {A}, and they were friends ever after.')


@plot("greed|wanting too much", "treasure small food", but="heavy")
def too_much(s):
    """The hero may take what he can carry, takes too much, and loses all but one thing."""
    s.place("P", "dark")
    s.cast("B")
    s.word("more",
        'a sack of silver spoons|a huge round melon|a great brass kettle|a chest full of '
        'plates|a golden chair|a bundle of fine coats')
    s.word("back", 'sank into the mud to {A.his} knees|got stuck in the door|could not get over '
        'the bridge|fell down under the weight|could not take another step')
    s.trait('greedy, always wanted a little more|eager, wanted everything that shone|hungry, '
        'never had enough')
    opening(s)
    s.comes("B")
    s.say('[<one-day> {B.intro} showed {A} a secret room {P.in}.|<one-day> {A} helped {B.intro}, '
        'and for that {B} led {A.him} to a secret room {P.in}.|{P.in} there was a secret room, '
        'and <one-day> {B.intro} opened it for {A}.] ["Take one thing," {B.said}, "and then come '
        'out."|"Choose one thing, and it is yours," {B.said}.|"One thing you may take," {B.said}. '
        '"One, and no more."]')
    scene(s)
    s.say('[right at the front lay {o.a}. That was what {A} had always wanted.|{A} saw {o.a} and '
        'wanted it at once.|on a shelf was {o.a}, and {A} had wanted one all {A.his} life.]')
    s.leaves("B")
    s.takes("A")
    s.say('[{A} took {o}, but then {A.he} saw {more} and took that too.|{A} put {o} under {A.his} '
        'arm. But there was {more}, and {A.he} could not leave it.|with {o} in one hand, {A} '
        'reached for {more}.]')
    s.mid('["Just this one more," {A.said}, and a cup, and a lamp, and a clock.|and one more, and '
        'one more, until nobody could see {A.his} face.|"Nobody will count," {A.said}.|soon '
        '{A.he} carried so much that {A.he} walked like a duck.]')
    s.paragraph()
    s.say('[but on the way {A} {back}.|{A} had not gone far when {A.he} {back}.|it was so heavy '
        'that {A} {back}.]')
    s.mid('["Help!" {A.cried}.|{A} pulled and pushed, and it was no use.|it began to rain, and '
        '{A} <sad>.|{A} did not want to let go, not of a single thing.]')
    s.comes("B")
    s.say('[then {B} came along the path. "Let go," {B.said}.|{B} looked down at {A.him}. "Let go '
        'of what you do not need," {B.said}.|"Which of these things did you want?" {B.asked}.]')
    s.long('["I cannot!" {A.cried}. "Then stay there," {B.said}, and sat down to wait.|{A} let go '
        'of the cup, and that helped a little. {A} let go of the lamp, and that helped a little '
        'more.|{A} held on until {A.his} fingers hurt.]')
    s.say('[<at-last> {A} let go of everything but {o}, and then {A.he} was free.|so {A} threw '
        'away one thing after another, until only {o} was left. Then {A.he} could move again.|{A} '
        'opened {A.his} arms. Down it all fell, and only {o} was left in {A.his} hand.]')
    s.mid('["<sorry>," {A.said}. "You said one thing."|{A} <ashamed>.|"I only wanted {o}," '
        '{A.said}, "and then I wanted it all."]')
    s.say('["Keep it," {B.said}. "You have learned what it is worth."|{B} smiled. "That one is '
        'yours," {B.said}.|"<^forgive>," {B.said}, and helped {A.him} up.]')
    s.long('[{B} helped {A.him} to carry everything else back, and that took until evening.|on '
        'the way home {A} walked so lightly that {A.he} nearly danced.|"What would you have done '
        'with all of it?" {B.asked}, and {A} did not know.] [the moon came up, and {o} was easy '
        'to carry.|"One hand must be free," {B.said}, "to wave to a friend."|they rested by the '
        'path and had <food>.]')
    s.paragraph()
    s.close('[from that day on {A} took only what {A.he} needed, and {o} was enough.|at home {A} '
        'put {o} on the table and was content, that evening and ever after.|and when {A} wanted '
        'too much again, {A.he} looked at {o} and laughed, and never did it again.]')
    s.fact(want='to have {o.a}', why='{A} took too much and {back}.', helper="B", where='{P.in}',
        how='{A} let go of everything but {o}.', end='{A} kept {o} and was content.')
