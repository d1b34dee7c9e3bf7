"""Plots about things that are lost, found, taken, swapped and returned."""

import world
from beats import (ask_around, ends, ends_friends, happy, helper_comes, obstacle, opening, scene,
                   thanks, treasure, tries, walk, weather)
from plots import plot


@plot("a lost thing|something lost", "small toy music cloth treasure", but="light")
def lost_and_stuck(s):
    """The object is lost in a place that only a helper can reach."""
    stuck, way = obstacle(s)
    opening(s)
    treasure(s)
    s.paragraph()
    weather(s)
    s.say('[<one-day>, on the way {P.to}, {A} lost {o}.|<one-day> {A} went {P.to} and lost {o}.|'
        '<one-day> {A} was playing {P.in} when {o} [slipped away|was suddenly gone].|'
          "but <one-day> {o} was gone. {A} had lost it somewhere {P.in}.]")
    s.loses("A")
    s.say('[{A} <sad>. {A.he} wanted {o} back more than anything.|"<oh-no>!" {A.cried}. "I must '
        'find {o} again!"|{A} <sad>. Without {o}, the day was only half a day, and {A.he} wanted '
        'it back.|"I want it back, and I will not rest until I find it," {A.said}.]')
    s.long('{A} <looked> {P.other}, and then {P.other}, but [it was not there|there was no sign '
        'of it|found nothing at all].')
    ask_around(s)
    s.say('[<at-last> {A.he} saw it, but it was not within reach: |<later> {A.he} found it, but '
        'what use was that? |then {A} saw where it was. ]' + stuck["see"] + ".")
    scene(s)
    tries(s, stuck)
    s.mid("{A} <sad>.")
    s.paragraph()
    helper_comes(s)
    s.say(way + ".")
    s.takes("A")
    happy(s)
    thanks(s)
    s.long('[on the way home {A} and {B} talked about all the things they had ever lost.|{B} '
        'would not take anything more for it than <food>.|{A} tied a string to {o}, so that it '
        'could not get away again.] ["Next time, call me first," {B.said}.|they sat down in the '
        'sun for a while, and nobody was in a hurry.|"I would never have got it alone," {A.said}, '
        'and that was true.]')
    s.paragraph()
    ends(s)
    s.fact(want="to get {A.his} {o.n} back", why=
        "{A} had lost {A.his} {o.n} {P.in}, and could not reach it.", helper="B", where="{P.in}",
           how=way + ".", end="{A} got {o} back[| and was happy].")


@plot("a found thing|finding something|honesty", "small treasure paper cloth toy music",
    but="heavy")
def found_and_returned(s):
    """The hero finds something lovely and looks for its owner, though it is hard to give away."""
    s.place("P")
    s.cast("B")
    opening(s)
    weather(s)
    s.say('[<one-day> {A} found {o.a} {P.in}.|<one-day>, {P.in}, {A} saw something lying '
        '{P.spot}. It was {o.a}.|<one-day> {A} was walking {P.in} when {A.his} foot touched '
        'something. It was {o.a}.]')
    s.takes("A")
    scene(s)
    s.say('[{A} wanted to keep it, for it was <very> <nice>.|it was so <nice> that {A} wanted to '
        'keep it.|"How <nice>!" {A.said}. {A.he} wanted to keep it.|how {A} wished to keep it!]')
    s.mid('["I could {o.use}," {A.he} thought.|{A.he} carried it home and looked at it until the '
        'candle went out.|{A.he} hid it under {A.his} bed and lay awake.|{A} turned it this way '
        'and that.]')
    s.say('[but somebody must have lost {o}, and that somebody was surely sad.|but then {A.he} '
        'thought of the one who had lost {o}.|but it belonged to someone else, and {A} knew it.|'
        'but {A.his} heart said, "It is not yours."]')
    s.paragraph()
    s.long('[{A} asked up and down the lane.|<next-day> {A} knocked at every door.|{A} went from '
        'house to house with it.] [nobody knew {o}.|"It is not mine," said one and all.|some only '
        'shrugged, and some shook their heads.]')
    s.comes("B")
    s.say('[<at-last> {A} met {B.intro}, who was looking for something.|<at-last> {A.he} came '
        'upon {B.intro}, who was close to tears.|<next-day> {A} saw {B.intro} searching [the path|'
        'the grass|under every bush].] '
          '["I have lost my {o.n}," {B.said}.|"<hello>," {A.said}. "What are you looking for?" '
              '"For my {o.n}," {B.answered}.|"Have you seen {o.a}?" {B.asked}. "It is mine, and I '
              'miss it so."]')
    s.long('["What does it look like?" {A.asked}. "It is {o.a}," {B.said}, "and I have had it '
        'since I was small." {^A} knew then that it was true.|"My mother gave it to me," '
        '{B.said}, and {B.his} voice shook.]')
    s.hands("A", "B")
    s.things["o"].owner = "B"
    s.say('[it was hard, but {A} held {o} out to {B}.|{A} swallowed once and gave {o} back.|{A} '
        'gave {o} to {B} <at-once>.|"Here it is," {A.said}, and gave {B.him} {o}.]')
    s.mid("{B} <glad>. \"<thanks>,\" {B.said}.")
    s.say('["You could have kept it, and you brought it back," {B.said}. "Will you be my friend?"|'
        'and because {A} had been honest, {B} asked {A.him} to supper that very evening.|{B} was '
        'so thankful that {B.he} brought {A} <treat>.]')
    s.long('[{B} told {A} how {o} had been lost, and how long the nights had been.|they had '
        '<food>, and {o} lay on the table between them.|"Were you not tempted to keep it?" '
        '{B.asked}. "Very much," {A.said}, and they laughed.] [when {A} went home, {B} stood at '
        'the door and waved until it was dark.|"Come whenever you like," {B.said}, "and look at '
        'it as long as you please."|it was late when {A} got up to go.]')
    s.paragraph()
    s.mid('[{A} went home without {o}, but {A.his} heart was light.|{A} no longer had {o}, but '
        '{A.he} had something better.]')
    ends_friends(s)
    s.fact(want="to keep {o}", why="{o} belonged to someone else.", where="{P.in}",
        how="{A} gave {o} back to {B}.", whose="B",
           end="{A} gave {o} back, and {A} and {B} became friends.")


@plot("a thief|something stolen", but="heavy")
def taken_by_a_lonely_one(s):
    """Somebody takes the object out of loneliness; the hero follows the trail and forgives."""
    s.place("P")
    s.cast("C")
    opening(s)
    treasure(s)
    s.paragraph()
    s.loses("A")
    s.things["o"].holder = "C"
    s.say('[<one-day> {o} was gone.|<one-day> {A} woke up and {o} was gone.|<one-day> {A} came '
        'home, and somebody had taken {o}.|<one-day>, while {A} was asleep, somebody took {o}.]')
    s.say('[{A} <sad>, and then {A.he} <angry>. {A.he} wanted it back.|"A thief!" {A.cried}. "I '
        'want my {o.n} back!"|{A} <sad>. {A.he} wanted it back.]')
    s.word("trail", 'a row of small footprints|a trail of crumbs|a line of bent grass|some '
        'strange marks in the dust|a trail of wet footprints')
    s.say('[under the window {A} saw {trail}.|by the door {A.he} found {trail}.|then {A} saw '
        '{trail} on the path.] [it led {P.to}.|{A} followed it, and it led {P.to}.|"I will follow '
        'it and get {o} back," {A.said}. It led {P.to}.]')
    s.long('[{A} crept along without a sound.|{A} followed it over stones and under branches.|'
        'twice {A} lost the trail, and twice {A.he} found it again.|{A} took a stick along, just '
        'in case.]')
    scene(s)
    s.paragraph()
    s.comes("C")
    s.say('[there sat {C.intro} with {o}.|there, {P.spot}, {A} found {C.intro}, and {C.he} had '
        '{o}.|and there was {C.intro}, holding {o}.]')
    s.say('["That is mine!" {A.cried}.|"Why did you take {o}?" {A.asked}.|"So you are the thief!" '
        '{A.cried}.] [{^C} <ashamed>.|{^C} hung {C.his} head.|a tear ran down {C.his} cheek.]')
    s.word("reason", 'I am all alone here, and I only wanted something to look at|nobody ever '
        'comes to see me, and {o} looked so friendly|I have no friends, and I thought {o} would '
        'make me happy|I was lonely, and I wanted just one <nice> thing')
    s.say('["{reason}," {C.said}.|"<sorry>," {C.said}. "{reason}."|"{reason}," {C.said}. '
        '"<sorry>."]')
    s.mid('[{A} <thought>.|{A} was not angry any more.|{A} looked at {C} and saw how thin and sad '
        '{C.he} was.|"You should have asked," {A.said}.]')
    s.hands("C", "A")
    s.say('[{C} gave {o} back. "<forgive>," {A.said}.|{C} held out {o}, and {A} took it. '
        '"<forgive>," {A.said}.|then {C} gave {A} {o}, and {A} said, "<^forgive>."]')
    s.say('["Come and visit me whenever you like. Then we can both {o.use}."|"If you come to my '
        'house tomorrow, we can {o.use} together."|"Nobody should be alone. Come home with me for '
        'supper."]')
    s.long('[{C} wiped {C.his} nose and looked for a second chair, but there was none.|{A} looked '
        'about. There was one cup, one plate and one spoon.|"Do you like <food>?" {A.asked}, and '
        '{C} nodded quickly.] ["What shall we do first?" {C.asked}, as if it were a feast day.|'
        '{C} showed {A} a nest that nobody else knew.|and when they went, {C} shut the door '
        'behind {C.him} without looking back.]')
    s.paragraph()
    s.long('[{C} could hardly believe it.|{C} <glad>.|nobody had ever asked {C} before.] [that '
        'evening they had <food>.|they talked until the stars came out.]')
    s.close('[from that day on {C} was never lonely, and {A} kept {o} where both could reach it.|'
        '{A} and {C} were friends from that day on, and {o} lay between them when they sat by the '
        'fire.|'
          'after that {C} came every evening, and nobody ever had to take {o} again.|from then on '
              '{A} had {o} and a friend as well.]')
    s.fact(want="to get {A.his} {o.n} back", why="{C} had taken {A.his} {o.n}.", where="{P.in}",
        how="{A} followed the trail, and {C} gave {o} back.", thief="C",
           end="{A} forgave {C}, and they became friends.")


@plot("something borrowed|lending", but="warm heavy")
def lent_and_forgotten(s):
    """A friend borrows the object and forgets to bring it back; a quarrel is mended."""
    s.cast("C", named=True)
    s.cast("B", ability="wise")
    s.word("days", "a week|ten days|two weeks|a whole month")
    opening(s)
    treasure(s)
    s.comes("C")
    s.say('[<one-day> {C.intro} asked, "May I borrow {o}?"|<one-day> {C.intro} came to the door. '
        '"May I borrow {o}?" {C.he} asked.|<one-day> {C.friend} asked, "May I borrow {o}?"] '
        '["Bring it back on Sunday," {A.said}.|"Yes, but bring it back soon," {A.said}.|"Of '
        'course," {A.said}. "But I want it back."]')
    s.hands("A", "C")
    s.leaves("C")
    s.mid('[{C} promised and went home with {o}.|"I promise," said {C.n}, and off {C.he} went '
        'with {o}.]')
    s.say('[but {days} went by, and {C} did not come.|{A} waited {days}, but {C} did not bring it '
        'back.|Sunday came and went, and so did {days}. {o} did not come back.]')
    s.mid('[{A} <angry>. "I will never lend anything again!" {A.he} said.|{A} missed {o} and grew '
        'more and more cross.|{A} wanted {o} back, but {A.he} did not like to ask.]')
    s.long('[when {A} met {C} at the well, {A.he} looked the other way.|when {C} waved across the '
        'street, {A} did not wave back.|{A} lay awake and thought of {o}.] [{^C} did not know '
        'why.|{^C} wondered what was wrong.|it hurt them both.]')
    s.paragraph()
    s.comes("B")
    s.say('[{A} told {B.intro} about it.|<at-last> {A} went to {B.intro} for advice.|{B.intro} '
        'saw {A.his} gloomy face and asked what was wrong.] ["Have you asked for {o}?" {B.said}. '
        '"No," {A.said}.|"{^C.name} has forgotten, that is all," {B.said}. "Go and ask."|"A '
        'friend is not a thief," {B.said}. "Go and talk."]')
    s.leaves("B")
    s.comes("C")
    s.say('[so {A} went to {C} and asked for {o}.|so {A} knocked at {C.ns} door. "I have come for '
        '{o}," {A.he} said.|<next-day> {A} went to {C} and said what was in {A.his} heart.]')
    s.say('[{C} <ashamed>. "I forgot," {C.he} said. "<sorry>."|"<oh-no>," {C.said}. "I forgot it! '
        '<sorry>."|"Is it so long ago?" {C.cried}. "<sorry>."]')
    s.hands("C", "A")
    s.say('[{C} brought {o} <at-once>, and it was as good as new.|{C} gave {o} back, with <treat> '
        'besides.|{C} ran to fetch {o} and put it in {A.ns} hands.]')
    s.mid('"<forgive>," {A.said}. ["I should have asked you sooner."|"And I was wrong to be cross '
        'without a word."|"It was silly of me to say nothing."]')
    s.long('[{C} had a whole shelf of things that others had lent, and they carried them back '
        'together.|"Were you very cross?" {C.asked}. "Very," {A.said}, "and it did not help at '
        'all."|{A} and {C} went to thank {B} and took <treat> along.] [it was strange how short '
        'the way to {C.ns} house was, now that {A} was not angry.|at the well they stood and '
        'talked until the buckets ran over.|"Next time, shout at me," {C.said}.]')
    s.paragraph()
    s.long('[they <sat-together>, and the quarrel was over.|then they laughed, because it had all '
        'been so simple.|they ate <food> and talked as they always had.]')
    s.close('[from that day on {A} asked when {A.he} wanted something, and {o} was lent many '
        'times and always came back.|'
          'after that {C} tied a knot in a string whenever {C.he} borrowed {o}, and {C.he} never '
              'forgot again.|{A} and {C} were friends again, and {o} hung on its old nail that '
              'very evening.|'
          "from then on they shared {o}, and there was never a cross word about it again.]")
    s.fact(want="to have {A.his} {o.n} back", why=
        "{C} had borrowed {o} and forgotten to bring it back.", helper="B",
        how="{B} told {A} to go and ask for {o}.",
           borrower="C", end="{C} gave {o} back, and they were friends again.")


@plot("a hiding place|something hidden", "small treasure toy music")
def hidden_too_well(s):
    """The hero hides the object and forgets where; good questions bring it back."""
    s.place("P")
    s.place("Q")
    s.cast("B", ability="wise" if s.chance("wise", 50) else "clever")
    opening(s)
    treasure(s)
    s.things["o"].holder = None
    s.say('[one evening {A} hid {o} so that nobody could take it.|{A} was afraid of thieves, and '
        'so {A.he} hid {o}.|<one-day> {A} had to go away, and first {A.he} hid {o}.] [it was a '
        'very good hiding place.|"Nobody will ever find it there," {A.said}.|it was so well '
        'hidden that nobody in the world could find it.]')
    s.say('[but when {A} wanted it again, {A.he} could not remember the place.|but a month '
        'passed, and when {A} wanted it back, {A.he} had forgotten where it was.|but the next '
        'time {A} wanted {o}, {A.he} had forgotten the hiding place.]')
    s.mid('{A} <looked> [in the cupboard and under the bed|in the kitchen and behind the door|in '
        'every drawer and every pot]. {A} <sad>.')
    s.long('{A} even went {Q.to} and <looked> {Q.other}. [there was nothing there.|there was only '
        '<animals>.|but no, it was not there either.]')
    s.long('["I am the best hider in the world," {A.said}, "and the worst finder."|"If only I had '
        'not hidden it so well!" {A.said}.]')
    s.paragraph()
    s.comes("B")
    s.say('[then {B.intro} came to visit.|{A} asked {B.intro} for help.|<next-day> {B.intro} came '
        'by and saw {A.him} turning everything upside down.] "<think-of>," {B.said}. ["What did '
        'you do that day?"|"Go back in your mind, step by step."|"What did you see when you hid '
        'it?"]')
    s.words["seen"] = "{P.sight}"
    s.word("clue", 'I remember that my feet were wet|I remember the smell of grass|I remember '
        'that I had to bend down low|I remember that a bird was singing|I remember that I had to '
        'hold my breath')
    s.mid('[{A} shut both eyes and <thought>.|{A} <thought>.|{A} counted on {A.his} fingers.] '
        '"{clue}," {A.said}.')
    s.say('["It was {P.in}!" {A.cried}.|"I went {P.to}!" {A.cried}. "Now I know!"|"Yes, {P.in}!" '
        '{A.cried}. "{^P.spot}!"]')
    s.say('[they <ran> {P.to}, and there, {P.spot}, lay {o}.|together they went {P.to}. {o} was '
        '{P.spot}, just where {A} had put it.|off they went {P.to}, and {P.spot} they found {o}.]')
    s.takes("A")
    happy(s)
    thanks(s)
    s.long('["And why did you put it there, of all places?" {B.asked}. "Because nobody would look '
        'there," {A.said}, and they laughed.|on the way back {A} showed {B} three more hiding '
        'places, and all of them were good.|they sat down right there and had <food>.] ["A good '
        'hiding place is one that you can find again," {B.said}.|{A} carried {o} home in both '
        'hands.|{A} wrote it down on a piece of paper, and then hid the paper.]')
    s.paragraph()
    s.close('[from that day on {A} kept {o} on the table, where {A.he} could see it.|after that '
        '{A} hid {o} no more, and {A.he} always knew where it was.|from then on {A} told {B} '
        'every hiding place, and {o} was never lost again.|that night {A} put {o} under the '
        'pillow, and even {A.he} could not forget that.]')
    s.fact(want="to find {o} again", why="{A} had hidden {o} and forgotten where.", helper="B",
        where="{P.in}", how="{B} asked good questions until {A} remembered.",
           end="{A} found {o} {P.spot}.")


@plot("a river|something washed away", "toy music cloth", without="swim fly",
    but="swing sledge metal")
def washed_away(s):
    """The stream carries the object off; the hero runs after it from place to place."""
    s.cast("B", ability="swim")
    s.cast("C")
    s.place("P", "trees open", "water")
    opening(s)
    treasure(s)
    weather(s)
    s.say('[<one-day> {A} was [playing|resting|walking] by the brook when {o} fell into the '
        'water.|<one-day> the wind blew {o} into the brook.|<one-day> {A} put {o} down at the '
        'edge of the brook, and the water took it.] [away it went.|the water carried it away.|off '
        'it floated, faster and faster.]')
    s.loses("A")
    s.say('["Stop!" {A.cried}, but water does not stop. {A.he} wanted {o} back.|{A} <ran> along '
        'the bank, for {A.he} wanted it back.|"<oh-no>!" {A.cried}. "I must catch {o}!"]')
    s.say('[it floated past {P}, and {A} ran after it.|past {P} it went, and {A} ran along the '
        'bank.|{A} ran beside the brook, as far as {P}, and could not catch it.]')
    s.comes("C")
    s.mid('[at the footbridge stood {C.intro}.|on the bank sat {C.intro}.] ["Catch it!" '
        '{A.cried}.|"Please stop {o}!" {A.cried}.] [{^C} reached out with a stick, but missed.|'
        '{^C} threw a rope, but it fell short.|{^C} bent down to catch it, and fell into the mud.]')
    s.leaves("C")
    s.long('[the brook ran faster here, and {o} danced on the waves like a leaf.|{A} had a stitch '
        'in {A.his} side, but {A.he} ran on.|once it caught on a root, but before {A} came, it '
        'was off again.]')
    s.say('[then the brook ran into the lake, and {o} drifted out where {A} could not follow.|'
        '<at-last> the brook came to a deep pool, and there {o} turned round and round in the '
        'middle.|then it came to the big river, and {A} could not run any farther.]')
    s.mid("{A} could not swim. {A.he} <sad>.")
    s.paragraph()
    s.comes("B")
    s.say('[<just-then> {B.intro} looked up out of the reeds.|{B.intro} had seen {A} running.|in '
        'the water was {B.intro}.] ["Is that yours?" {B.asked}. "Yes, and I cannot reach it!" '
        '{A.cried}.|"Why are you running so?" {B.asked}. "That is my {o.n} out there!" {A.cried}.|'
        '"<what-wrong>?" {B.asked}. "{o} is out there, and I cannot reach it," {A.said}.]')
    s.takes("B")
    s.say('[{B} swam out, quick as an arrow, and brought it back.|{B} swam out with strong '
        'strokes and pushed {o} to the shore.|with a splash {B} was gone, and soon {B.he} came '
        'back with {o}.]')
    s.hands("B", "A")
    s.mid('[it was wet, but it was whole.|{A} shook the water out of it.|water ran from it, but '
        'nothing was broken.|{A} laid {o} in the sun to dry.]')
    happy(s)
    thanks(s)
    s.long('[they walked back along the brook, and {A} kept a good hold of {o}.|{B} showed {A} '
        'how to float on the back, but {A} liked dry land better.|"Water is strong," {B.said}, '
        '"but it has no hands."] [in the sun they had <food>, and {o} dried beside them.|all the '
        'way home {A.his} shoes went squelch.|on the bank they built a little dam, so that it '
        'would not happen to others.]')
    s.paragraph()
    ends(s)
    s.fact(want="to get {A.his} {o.n} back", why="the water had carried {o} away.", helper="B",
        where="[by the water|at the end of the brook]", how="{B} swam out and brought {o} back.",
           end="{A} got {o} back.")


@plot("a mix-up|the wrong bag", "small toy music cloth treasure food", but="metal")
def swapped_bags(s):
    """Two bags that look alike are swapped; both owners come looking."""
    s.place("P", "crowd")
    s.cast("B", named=True)
    s.thing("x", tags="small")
    s.word("colour", "brown|blue|green|grey|yellow|red|striped")
    s.word("for", "aunt|grandfather|sister|little brother|grandmother|neighbour|uncle")
    opening(s)
    s.owns("A")
    s.say('[<one-day> {A} put {o.a} into a {colour} bag and went {P.to}. {A.he} wanted to give it '
        'to {A.his} {for}.|{A} wanted to bring {A.his} {for} {o.a}. {A.he} put it into a {colour} '
        'bag and went {P.to}.|{A.his} {for} had a birthday, and {A} wanted to bring {o.a} as a '
        'present. {A.he} packed it into a {colour} bag and set out. On the way {A.he} stopped '
        '{P.in}.]')
    scene(s)
    s.owns("B", "x")
    s.comes("B")
    s.say('[there {A} sat down on a bench beside {B.intro}. {B.he} had a {colour} bag too.|on a '
        'bench sat {B.intro} with a {colour} bag that looked just the same.|beside {A.him} stood '
        '{B.intro}, and {B.he} carried just such a {colour} bag.]')
    s.mid('["What a crowd!" {B.said}. "Yes, what a crowd," {A.said}.|they wished each other a '
        'good day and talked about the weather.|"<hello>," {B.said}, and {A} nodded.]')
    s.hands("A", "B")
    s.hands("B", "A", "x")
    s.leaves("B")
    s.say('[when they got up, each took the wrong bag.|then both went on their way, and neither '
        'saw that the bags were swapped.|when the clock struck, {A} took a bag and hurried off. '
        'It was the wrong one.]')
    s.paragraph()
    s.say("[at {A.his} {for}'s door {A} opened the bag. Out came {x.a}!|on the road {A} looked "
        'into the bag. There was {x.a} in it!|when {A} opened the bag, {A.he} found {x.a}.] '
        '["This is not mine!" {A.cried}.|"<oh-no>! Where is {o}?" {A.cried}.|{A} <surprised>.]')
    s.mid('["Somebody has my {o.n}, and I have somebody\'s {x.n}," {A.said}.|"The other bag! On '
        'the bench!" {A.said}.|{A} wanted {o} back, and {A.he} knew that somebody else wanted '
        '{x}.]')
    s.say('[{A} <ran> all the way back {P.to}.|so {A} turned round and went back {P.to}.|{A} went '
        'back <at-once>, as fast as {A.he} could.]')
    s.long('[the stalls were being taken down, and the people were going home.|the sun was low, '
        'and {A.he} was out of breath.|what if nobody was there any more?|{A} ran so fast that '
        '{A.he} nearly fell over <animals>.]')
    s.comes("B")
    s.say('[there came {B}, running from the other side with {A.ns} bag.|and there on the bench '
        'sat {B}, waiting.|halfway there {A} ran into {B}, who was just as much out of breath.]')
    s.hands("B", "A")
    s.hands("A", "B", "x")
    s.say('["I have your {o.n}!" {B.cried}. "And I have your {x.n}!" {A.answered}.|"Is this {x.n} '
        'yours?" {A.asked}. "Yes! And is this {o.n} yours?" {B.asked}.|they looked at each other '
        'and began to laugh.] [then they changed the bags back.|and {A} and {B} swapped bags '
        'again.]')
    s.long('["What did you think when you saw {x}?" {B.asked}. "I thought that it was magic," '
        '{A.said}.|{A} and {B} looked once more into both bags, to be quite sure.|{B} had a piece '
        'of red string, and {A} had a piece of blue.] [they told each other for whom the things '
        'were meant.|a man on the next bench laughed so hard that he dropped his own bag.|then '
        'each had a good look at what the other had, and found it fine.]')
    s.paragraph()
    s.long('["Let us tie a ribbon to one of them," {B.said}, and so they did.|"A knot in the '
        'string will tell them apart," {A.said}.|they shared <food> on the bench, and nobody was '
        'in a hurry any more.]')
    s.close('[{A.his} {for} got {o} that same evening, and {A} had made a new friend.|so {o} came '
        'to the right place after all, and {A} and {B} were friends from that day on.|the {for} '
        'was delighted with {o}, and from then on {A} always looked twice at a bag.]')
    s.things["o"].holder = None
    s.fact(want="to bring {A.his} {for} {o.a}", why=
        "{A} and {B} had swapped their bags by mistake.", where="{P.in}",
        how="they both came back and swapped the bags again.",
           end="{A} got {o} back and made a new friend.")


@plot("a funny search|looking for something", "cloth small tool", but="rope",
    only="people folk animal")
def under_your_nose(s):
    """The hero searches the whole valley for what was on his own back or in his own bag."""
    s.place("P")
    s.place("Q")
    s.cast("B")
    cloth = "cloth" in world.OBJECTS[s.things["o"].noun]["tags"]
    s.word("spot", "on your own back|over your own shoulder|round your own neck" if cloth else
        "behind your own ear|in your own pocket|in the bag on your own back|tied to your own belt"
        if "small" in world.OBJECTS[s.things["o"].noun]["tags"] else
        "hanging from your own arm|on your own back|tied to your own belt")
    opening(s)
    treasure(s)
    s.say('[<one-day> {A} could not find {o}.|<one-day> {A} looked for {o}, and it was nowhere to '
        'be seen.|<one-day> {A} reached for {o}, and it was not in its place.] ["I must find it," '
        '{A.said}.|"It must be somewhere, and I want to find it," {A.said}.|{A} wanted to find it '
        'before evening.]')
    walk(s)
    s.say('{A.he} <looked> {P.spot}, [but it was not there|but found nothing|but there was only '
        '<animals>].')
    s.long('["Have you seen {o}?" {A.asked}, but <animals> did not answer.|{A} <sad>.|{A} '
        'scratched {A.his} head.]')
    walk(s, "Q")
    s.mid('{A} <looked> {Q.spot} and {Q.other}. [still nothing!|nothing there either.|again, '
        'nothing.]')
    s.long('{A} <tired>. ["It is gone for ever," {A.said}.|"Perhaps a thief has it," {A.said}.|"I '
        'have looked everywhere in the world," {A.said}.]')
    s.paragraph()
    s.comes("B")
    s.say('[then {A} met {B.intro}.|{B.intro} was sitting by the path.|<later> {B.intro} came the '
        'other way.] "<what-wrong>?" {B.asked}. ["I have lost {o}," {A.said}.|"I have looked for '
        '{o} all day," {A.said}.]')
    s.say('[{B} looked at {A} from head to foot and began to laugh.|the corners of {B.ns} mouth '
        'began to twitch.|{B} walked once round {A} and smiled.] "[But|Why,|Dear me,] it is '
        '{spot}!" {B.said}.')
    s.takes("A")
    s.say('[{A} felt for it, and there was {o}!|and so it was. {A} had carried {o} about the '
        'whole day.|{A} reached up, and there it was. {A.he} had had {o} all the time.]')
    s.say('[{A} turned red, and then {A.he} laughed too.|first {A} <surprised>, and then both of '
        'them laughed until they cried.|"How silly I am!" {A.said}, and they laughed together.]')
    s.mid('["At least I have seen the world today," {A.said}.|"The farthest place to look is '
        'close by," {B.said}.|"I will tell nobody," {B.said}, and winked.]')
    s.long('[{B} laughed so long that {B.he} had to sit down again.|"How far did you go?" '
        '{B.asked}. "To the end of the valley and back," {A.said}.|{A} took {o} off and put it on '
        'again, just to be sure.] [they had <food> by the side of the path.|on the way home {A} '
        'met everyone whom {A.he} had asked, and had to tell it each time.|"Tell me when you lose '
        'your nose," {B.said}, and that made it worse.]')
    s.paragraph()
    s.close('[from that day on, when something was lost, {A} always looked close to home first.|'
        'to this day {A} laughs whenever {A.he} sees {o}.|from then on {A} looked near before '
        '{A.he} looked far, and {o} was never lost again.|that evening {A} told the story of {o} '
        'at supper, and everyone laughed until bedtime.]')
    s.fact(want="to find {A.his} {o.n}", why="{A} could not find {o}.", helper="B",
        how="{B} saw that {o} was with {A} all the time.",
        end="{A} had had {o} all the time, and they laughed about it.")


@plot("who did it|a little mystery", "food")
def who_took_it(s):
    """Something good to eat has vanished; clues lead to the one who took it, and to a reason."""
    s.cast("C", ability="small" if s.chance("small", 50) else None)
    s.word("clue", 'a trail of crumbs|a small feather|a floury footprint|a bit of red wool|a wet '
        'footprint|a grey hair|a tiny glove')
    s.word("false", "the wind|a stray cat|a goblin|the moon|a passing cloud")
    s.word("reason", 'I was so hungry, and nobody was at home|my little ones had nothing to eat|I '
        'only wanted to smell it, and then it was gone|I have not eaten since yesterday')
    opening(s)
    s.owns("A")
    s.say('[<one-day> {A} put {o.a} on the window sill and went to fetch water.|{A} had {o.a}, '
        'and {A.he} wanted to eat it in the evening.|for {A.his} birthday {A} had {o.a}. It stood '
        'on the table by the open window.]')
    s.loses("A")
    s.say('[when {A} came back, {o} was gone!|but when {A.he} looked again, {o} was gone.|in the '
        'afternoon the plate was empty. {o} was gone!] ["Who has taken {o}? I want to know!" '
        '{A.cried}.|"I want to find out who did this," {A.said}.|{A} wanted to know who had taken '
        '{o}.]')
    s.mid('[could it have been {false}, {A} wondered, but {false} does not eat.|"Perhaps it was '
        '{false}," {A} thought, but that was silly.|{A} looked behind the door and up the '
        'chimney.]')
    s.say('[then {A} found a clue: {clue}.|beside the plate lay a clue. It was {clue}.|"Aha!" '
        '{A.said}. On the sill was {clue}.]')
    s.cast("D", named=False)
    s.comes("D")
    s.long('[first {A} went to {D.intro}.|next door lived {D.intro}.] "Did you take {o}?" '
        '{A.asked}. "I was asleep all day," {D.answered}. [and that was true.|{^D} was still '
        'yawning.|{^A} could see the pillow marks on {D.his} face.]')
    s.leaves("D")
    s.comes("C")
    s.paragraph()
    s.say('[the clue led {A} to the house of {C.intro}.|<at-last> {A} came to the door of '
        '{C.intro}, and there was another one just like it.|{A} followed the path, and behind the '
        'hedge sat {C.intro}.] [there was still jam on {C.his} nose.|{C.he} had crumbs all round '
        '{C.his} mouth.|{C.he} wiped {C.his} mouth and looked the other way.]')
    s.say('["Was it you who took {o}?" {A.asked}.|"Did it taste good?" {A.asked}.|"I am looking '
        'for {o.a}," {A.said}.] [{^C} began to cry.|{^C} <ashamed>.|{^C} nodded.]')
    s.say("[\"{reason},\" {C.said}. \"<sorry>.\"|\"<sorry>,\" {C.said}. \"{reason}.\"]")
    s.mid('[{A} <thought>.|{A} had been angry, but now {A.he} was not.|{A} looked at the bare '
        'kitchen and understood.]')
    s.say('["Next time, knock and ask," {A.said}. "I would have given you half."|"You should have '
        'asked," {A.said}. "I like to share."|"<forgive>," {A.said}. "But next time we eat '
        'together."]')
    s.long('[{A} went home and came back with <food> for {C}.|"Was it good, at least?" {A.asked}. '
        '"It was the best I ever had," {C.said}, and {A} had to smile.|{C} swept up every last '
        'crumb and gave them to the birds.] ["I am a good cook," {A.said}, "but I like company '
        'even better."|they found that they were both fond of plum jam.|the neighbours never '
        'heard who it had been, for {A} did not tell.]')
    s.paragraph()
    s.long('[<next-day> {C} came and <chore> for {A}, to make it good.|{C} brought {A} <treat> to '
        'make up for it.|<next-day> they made a new one together.]')
    s.close('[and from that day on, whenever {A} had {o.a}, {A.he} cut it in two and called {C}.|'
        'after that {C} always knocked, and they never quarrelled about {o.a} again.|that evening '
        'they sat on the step with <treat>, and nobody ever asked again who had taken {o}.]')
    s.fact(want="to know who had taken {o}", why="somebody had taken {o}.", thief="C",
        how="{A} followed a clue to {C}.", end="{A} forgave {C}, and after that they shared.")
