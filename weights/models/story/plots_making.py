"""Plots about making, mending, learning, giving and growing."""

from beats import opening, scene, weather
from plots import plot


@plot("something broken|a mended thing|telling the truth", but="metal heavy paper")
def broken_and_told(s):
    """The hero breaks what belongs to a friend, hides it, and tells the truth at last."""
    s.cast("B")
    s.word("hid",
        'under the bed|behind the woodpile|under the stairs|in a dark corner|behind the curtain')
    s.word("mend", 'glue and patience|needle and thread|a bit of wire|string and wax|paste and a '
        'strip of linen')
    opening(s)
    s.owns("B")
    s.comes("B")
    s.say('[{A} had a friend, {B.intro}, who owned {o.a}.|next door lived {B.intro}, who had '
        '{o.a}.|{A.his} neighbour was {B.intro}, who was very fond of {o.a}.]')
    s.leaves("B")
    s.things["o"].holder = "A"
    s.say('[<one-day> {A} took {o} without asking, and it broke.|<one-day>, when {B} was out, {A} '
        'played with {o}, and crack, it broke.|<one-day> {A} picked up {o}, only to look at it, '
        'and it slipped and broke.]')
    s.mid('[{A} <afraid>. "{^B.name} will never forgive me," {A.he} thought.|"<oh-no>!" {A.said}. '
        '"What will {B.name} say?"|{A} held the pieces and <sad>.]')
    s.say('[quickly {A} hid the pieces {hid}.|{A} looked round. Nobody had seen it, and so {A.he} '
        'hid {o} {hid}.|{A} put the broken {o.n} {hid} and ran away.]')
    s.comes("B")
    s.say('[in the evening {B} asked, "Have you seen {o}?" "No," {A.said}, and {A.his} ears grew '
        'hot.|soon {B} came and looked for {o}. {A} helped {B.him} look and said nothing.|"Where '
        'can {o} be?" {B.asked}, and {A} looked at the floor.]')
    s.say('[that night {A} could not sleep.|the supper did not taste good, and the bed was hard.|'
        'whatever {A} did, {A.he} thought of {o}.|the secret was as heavy as a stone, and {A} '
        'carried it about.] [{A.he} wanted to make it good again.|how {A.he} wished to put it '
        'right!]')
    s.long('[in {A.his} dream {o} had a mouth and called {A.his} name.|the moon looked in at the '
        'window as if it knew.|outside an owl called, and it sounded like "You, you, you".|every '
        'creak of the stairs made {A.him} jump.]')
    s.paragraph()
    s.say('[<next-day> {A} took the pieces to {B}. "I broke {o}," {A.said}. "<sorry>."|<next-day> '
        '{A} went to {B} and told {B.him} everything. "<sorry>," {A.said}.|<at-last> {A} fetched '
        '{o} and put it into {B.ns} hands. "It was me," {A.said}. "<sorry>."]')
    s.hands("A", "B")
    s.mid('[{B} was silent for a while.|{B} looked at the pieces, and then at {A}.|{A} hardly '
        'dared to look up.|it was so quiet that one could hear the clock.]')
    s.say('["<forgive>," {B.said}. "Let us mend it."|"A thing can be mended," {B.said}. "I am '
        'glad you told me."|"It must have been hard to tell me," {B.said}. "<^forgive>."]')
    s.say('[so they took {mend} and mended {o} together.|with {mend} they put it together, piece '
        'by piece.|they worked until evening with {mend}, and then {o} was whole.]')
    s.long('[one could still see a crack, but that did not matter.|it looked a little crooked, '
        'and they liked it all the better.|"Now it has a story," {B.said}.]')
    s.long('[{B} made tea, and they looked at {o} from all sides.|"I once broke a window," '
        '{B.said}, "and it took me a year to tell." They both laughed.|{A} carried {o} back to '
        'its place with both hands.] [it was as if a stone had been lifted from {A.ns} heart.|'
        '"Now you may use it whenever you ask," {B.said}.|they had <food>, and it tasted better '
        'than it had for days.]')
    s.paragraph()
    s.close('[from that day on {A} asked before {A.he} touched anything, and {o} never broke '
        'again.|that night {A} slept like a stone, and {o} stood mended on {B.ns} shelf.|after '
        'that {A} and {B} had no more secrets, and they both took care of {o}.|from then on {B} '
        'let {A} use {o} whenever {A.he} asked, for {B.he} knew that {A.he} told the truth.]')
    s.fact(want='to make it good again', why='{A} had broken {B.ns} {o.n} and hidden it.',
        helper="B", how='{A} told the truth, and they mended {o} together.', whose="B",
           end='{A} and {B} mended {o} together.')


@plot("building something|making something together", "toy tool cloth",
    but="small metal paper warm")
def made_together(s):
    """The hero cannot make the object alone; each friend brings what is missing."""
    s.cast("B")
    s.cast("C")
    s.word("part1", 'a piece of good wood|a ball of strong string|a roll of cloth|a bundle of '
        'willow twigs|a pot of glue')
    s.word("part2",
        'a pot of paint|a handful of nails|a long strip of leather|a box of pegs|a bit of wire')
    s.word("first", 'fell apart|was crooked|fell over|broke in two|looked like a bird nest')
    opening(s)
    s.say('[{A} wanted to make {o.a}.|more than anything {A} wanted {o.a}. There was none to be '
        'bought, and so {A.he} set out to make one.|{A} had seen {o.a} in a dream, and now {A.he} '
        'wanted to make one just like it.]')
    s.mid('["I will do it all alone," {A.said}.|"How hard can it be?" {A.said}.|{A.he} drew it in '
        'the sand with a stick, and it looked easy.] {A} worked [all day|until the evening|from '
        'morning till night].')
    s.say('[but it {first}.|the first try {first}.|{A} hammered and tied and glued, but it '
        '{first}.|alas, it {first}.]')
    s.mid('[{A} <sad>. "I have not got the right things," {A.said}.|"It will never be {o.a}," '
        '{A.said}.|{A} kicked at the pieces and <sad>.]')
    s.paragraph()
    s.comes("B")
    s.say('[<just-then> {B.intro} came by. "What are you making?" {B.asked}.|<next-day> {B.intro} '
        'looked over the fence. "What is that going to be?" {B.asked}.|{B.intro} had heard the '
        'hammering and came to look.] ["I have {part1}," {B.said}. "You may have it."|"What you '
        'need is {part1}," {B.said}, and ran to fetch it.|"You are holding it wrong," {B.said}. '
        '"And you need {part1}."]')
    s.comes("C")
    s.mid('[then came {C.intro} with {part2}.|{C.intro} came too and brought {part2}.|"And I have '
        '{part2}," said a voice. It was {C.intro}.] ["May I help?" {C.asked}.|"Three can do more '
        'than two," {C.said}.]')
    s.long('[{A} held, {B} tied, and {C} [knocked in the pegs|measured|painted].|{B} sang while '
        'they worked, and {C} beat time.|"A little to the left," said {C.n}. "Now a little to the '
        'right," said {B.n}.|when one was tired, the others went on.]')
    s.say('[together they worked, and before evening {o} was done.|they all worked together, and '
        '<at-last> there it stood: {o}.|piece by piece it grew, and by evening {o} was ready.]')
    s.takes("A")
    s.mid('["<hooray>!" {A.cried}.|it was the finest {o.n} in the whole valley.|{A} walked round '
        'it three times and <glad>.|it was not perfect, but it was theirs.]')
    s.say('["I could never have made it alone," {A.said}. "<thanks>."|"<thanks>," {A.said}. "It '
        'belongs to all of us."|"Whose is it?" {B.asked}. "It is ours," {A.said}.]')
    s.long('[they took turns with {o} until it was dark.|somebody fetched <food>, and they ate it '
        'sitting on the ground round {o}.|{A} wrote all their names on the bottom of it in small '
        'letters.] ["And what shall we make tomorrow?" {B.asked}.|there was glue in {A.ns} hair '
        'and paint on {B.ns} nose.|people came from the other end of the valley to look at it.]')
    s.paragraph()
    s.close('[from that day on they used {o} together, and nobody in the valley had one like it.|'
        'after that, whenever {A} wanted to make something, {A.he} asked {A.his} friends first, '
        'and {o} reminded {A.him} why.|that evening they sat beside {o} and ate <treat>, and they '
        'were friends ever after.]')
    s.fact(want='to make {o.a}', why='{A.his} first try {first}.', helper="B",
        how='{B} brought {part1}, and they worked together.', end='together they made {o}.')


@plot("learning something|practice", "music toy", but="heavy")
def practised(s):
    """The hero is bad at it, is laughed at, practises in secret with a teacher, and is heard."""
    music = s.things["o"].noun in "bell drum flute fiddle whistle harp horn".split()
    s.cast("B")
    s.cast("C")
    s.word("skill", "play" if music else "use")
    s.word("noise",
        'like a cat in a sack|like a rusty gate|like a goose with a cold|like a door in the wind'
        if music else 'all wrong|from bad to worse|quite the wrong way round')
    s.word("feast",
        'the harvest feast|the spring feast|the fair|the midsummer feast|the village feast')
    opening(s)
    s.owns("A")
    s.say('[{A} had {o.a}, and {A.he} wanted to learn to {skill} it well.|{A} got {o.a} for '
        '{A.his} birthday. How {A.he} wished to {skill} it well!|{A} wanted to {skill} {o.a} '
        'better than anyone at {feast}.]')
    s.comes("C")
    s.say('[but it went {noise}, and {C.intro} laughed out loud.|the first time, it went {noise}. '
        '{C.intro} heard it and laughed.|{A} tried, and it went {noise}. "Stop, stop!" cried '
        '{C.intro}.]')
    s.mid('["You will never learn it," {C.said}.|"Better give it to somebody else," {C.said}.|'
        '"Even the crows have flown away," {C.said}.] {A} <sad>.')
    s.leaves("C")
    s.paragraph()
    s.comes("B")
    s.say('[but {B.intro} had heard it too. "Nobody can do it on the first day," {B.said}.|'
        '{B.intro} found {A} behind the barn. "I was just as bad when I began," {B.said}.|then '
        '{B.intro} sat down beside {A.him}. "Shall I show you how?" {B.asked}.]')
    s.say('[<for-days> they practised together.|every evening they met and practised with {o}.|'
        'every day {A} practised a little, and {B} showed {A.him} how.]')
    s.mid('["Slowly," {B.said}. "First slowly, then fast."|"Once more," {B.said}, and once more '
        '{A} tried.|"Do not look at your hands," {B.said}. "Listen."|at first {A} made ten '
        'mistakes, then five, then one.]')
    s.long('[sometimes {A} wanted to throw {o} into the pond, but {A.he} went on.|when it rained, '
        'they practised in the shed.|<animals> came every evening to watch.|in {A.his} sleep '
        '{A.his} fingers went on practising.]')
    s.paragraph()
    s.say('[then came {feast}, and {A} stood up with {o}.|at {feast} everyone was there, and {A} '
        'stepped forward with {o}.|<at-last> it was time for {feast}. {A.his} knees shook, but '
        '{A} took {o} and began.]')
    s.comes("C")
    s.say('[it went so well that nobody spoke a word until it was over.|how well it went! '
        '<^everyone> clapped and called for more.|nobody laughed this time. They clapped until '
        'their hands were sore.]')
    s.mid('[even {C} clapped. "I was wrong," {C.said}.|{C} came and said, "Will you teach me?"|'
        '"Is that the same {o.n}?" {C.asked}, and {C.his} mouth stayed open.]')
    s.say('["<thanks>," {A.said} to {B}. ["<welcome>," {B.answered}.|"You did it yourself," '
        '{B.said}.|]|{A} looked for {B} in the crowd and waved, and {B} waved back.]')
    s.long('[they had to do it three times over, and each time it was better.|a little child came '
        'up and wanted to touch {o}.|{A} bowed so low that {A.he} nearly fell over.] [then there '
        'was <food> for everyone, and dancing.|"Did you hear the quiet part?" {B.asked}. "That '
        'was the best of all."|the moon was up before the last of them went home.]')
    s.paragraph()
    s.close('[from that day on {A} practised every day, simply because {A.he} liked it, and {o} '
        'was never out of {A.his} hands.|after that {A} and {B} were asked to every feast, with '
        '{o}, of course.|and from then on, when somebody said, "I cannot do it," {A} only smiled '
        'and fetched {o}.|that night {A} put {o} beside the bed and fell asleep, tired and proud.]')
    s.fact(want='to learn to {skill} {o} well', why='at first it went {noise}.', helper="B",
        where='at {feast}', how='{B} practised with {A} every day.', laughed="C",
           end='at {feast} it went well, and everyone clapped.')


@plot("a present|a birthday|giving", "warm treasure toy cloth music", but="heavy")
def earned_present(s):
    """The hero works for a present, is asked to give up the money, and still has something to
    give."""
    s.place("P", "crowd")
    s.cast("B", named=True)
    s.cast("C", group="tradesman")
    opening(s)
    s.comes("B")
    s.say('[{A.his} best friend was {B.intro}, and soon {B.he} would have a birthday.|{A} had a '
        'dear friend, {B.intro}. {B.his} birthday was coming.|soon it would be the birthday of '
        '{B.intro}, who was {A.his} best friend.]')
    s.leaves("B")
    s.say('["I want to give {B.him} {o.a}," {A.said}.|{A} wanted to give {B.him} {o.a}.|in a shop '
        'window {P.in} {A} had seen {o.a}. "That is what I want to give {B.him}," {A.said}.]')
    s.mid('[but it cost five coins, and {A} had only one.|{A} asked what it cost, and it was far '
        'too much.|{A} counted {A.his} money three times, but it did not get any more.|but '
        '{A.his} purse was as empty as a drum.]')
    s.paragraph()
    s.comes("C")
    s.say('[so {A} went to {C.intro} and asked for work.|{C.intro} needed somebody to help, and '
        '{A} came <at-once>.|"I will work for it," {A.said}, and {A.he} went to {C.intro}.]')
    s.say('[every day {A} <chore> and <chore>.|{A} <chore> from morning till night.|first {A.he} '
        '<chore>, then {A.he} <chore>, and <at-last> {A.he} <chore>.]')
    s.long('[{A.his} back ached, but {A.he} thought of {B} and went on.|"You work like two," '
        '{C.said}.|when others played outside, {A} looked at the floor and went on working.|in '
        'the evening {A.he} fell asleep over {A.his} soup.]')
    s.say('[on the last day {C} paid {A.him}, and {A} ran {P.to} and bought {o}.|{C} paid {A} '
        'well, and {A.he} bought {o} on the very eve of the birthday.|<at-last> {A} had enough. '
        '{A.he} ran {P.to} and came home with {o}.]')
    s.leaves("C")
    s.takes("A")
    s.mid('[{A} wrapped it in leaves and tied it with grass.|{A} tied a ribbon round it.|it was '
        'wrapped in blue paper, and nobody could guess what was in it.|{A} hid it and told '
        'nobody.]')
    s.paragraph()
    s.comes("B")
    s.say('[on the birthday {B} opened the present.|then the birthday came, and {A} gave {B} the '
        'present.|"Open it!" {A.said} on the morning of the birthday.]')
    s.hands("A", "B", keeps=True)
    s.say('[out came {o}. {B} <surprised>.|"{o.a}!" {B.cried}. "How did you know?"|there was {o}, '
        'and {B} <glad>.|{B} saw {o} and could not speak for joy.]')
    s.mid('["I worked for it all by myself," {A.said}.|"<thanks>!" {B.cried}.|"This is the best '
        'present I ever had," {B.said}.|{B} put both arms round {A}.]')
    s.say('["But the best thing is that you thought of me," {B.said}.|they ate cake and sang, and '
        '{B} would not let go of {o}.|"We will both {o.use}," {B.said}. "Come!"]')
    s.long('[{B} laughed and said that no one had ever kept a secret so well.|even {C} came by '
        'with <treat> and stayed for supper.|then there was <food>, and {B} blew out all the '
        'candles with one breath.] [they used {o} all afternoon, first one and then the other.|'
        '"Your hands are quite rough," {B.said}, and held them.|{A} was so tired that {A.he} fell '
        'asleep at the table.]')
    s.paragraph()
    s.close('[and {A} found that giving made {A.him} happier than getting, and {A.he} never '
        'forgot it.|from that day on {B} took {o} everywhere, and each time {A} saw it, {A.he} '
        'was glad.|that night {A} was tired and had no money left, and {A.he} was as happy as a '
        'king.|{B} kept {o} ever after, and they stayed the best of friends.]')
    s.fact(want='to give {B} {o.a}', why='{A} did not have enough money for {o}.', helper="C",
        how='{A} worked for {C} until there was enough money.', receiver="B",
           end='{A} gave {B} {o} for {B.his} birthday.')


@plot("patience|doing things too fast", "toy tool cloth warm", but="metal paper small")
def hurried_and_slow(s):
    """A hurried object falls to pieces; the second, made with patience, lasts."""
    s.cast("B", ability="wise")
    s.cast("C")
    s.word("fault", 'fell to pieces|came apart|fell apart in {A.his} hands|broke in the middle')
    s.trait('impatient, could not wait for anything|quick, did everything in a hurry|hasty, ran '
        'where others walked')
    opening(s)
    s.say('[{A} wanted to have {o.a} by evening.|{A} wanted to make {o.a}, and it had to be ready '
        'that very day.|there was to be a feast, and {A} wanted to bring {o.a} that {A.he} had '
        'made with {A.his} own hands.]')
    s.say('["Fast, fast!" {A.said}, and {A.he} did not measure and did not count.|{A} worked as '
        'fast as {A.he} could and looked neither left nor right.|{A} left out every second step '
        'to save time.]')
    s.mid('["Take your time," said the neighbours, but {A} did not listen.|a nail here, a knot '
        'there, and it was done.|before the soup was cooked, it was finished.|by noon it was '
        'done, and {A} <proud>.]')
    s.comes("C")
    s.say('["Look what I have made!" {A.said} to {C.intro}. But at the first touch {o} {fault}.|'
        '{A} showed it to {C.intro}. But when {C} touched {o}, it {fault}.|{C.intro} came to see '
        'it, and that very moment {o} {fault}.]')
    s.mid('[{C} laughed.|{C} tried not to laugh, but it was no use.|"Is it meant to do that?" '
        '{C.asked}.] {A} <ashamed>.')
    s.leaves("C")
    s.paragraph()
    s.comes("B")
    s.say('[then {A} went to {B.intro}, who made the best things in the valley.|{B.intro} had '
        'watched it all from the window and came out.|<next-day> {A} sat down beside {B.intro}, '
        'who was working slowly and quietly.] ["How do you do it?" {A.asked}. "One step at a '
        'time," {B.said}.|"Show me how," {A.said}. "Slowly," {B.answered}. "That is the whole '
        'secret."|"Will you help me?" {A.asked}. "Yes, but it will take a week," {B.said}.]')
    s.say('[so {A} began again, and this time {A.he} measured twice.|this time {A} did one thing '
        'after the other.|day after day they worked, and {A} learned to wait.]')
    s.mid('[when {A.his} hands wanted to hurry, {A.he} counted to ten.|the glue had to dry for a '
        'whole night, and {A} waited.|"Not yet," {B.said}. "Not yet. Now!"|{A} undid one knot '
        'four times, until it was right.]')
    s.long('[the days went by, and the leaves outside turned yellow.|<animals> sat on the window '
        'sill and watched.|{A} found that {A.he} had begun to hum.|in the evening they had <food> '
        'and looked at what they had done.]')
    s.say('[after a week there it was: {o}, <nice> and strong.|<at-last> {o} was finished, and it '
        'was strong and <nice>.|the new {o.n} was ready on Sunday, and it did not even creak.]')
    s.takes("A")
    s.mid('["Pull it, shake it," {A.said} to everyone, and it held.|"<hooray>!" {A.cried}. "It '
        'holds!"|{A} held it up to the light and <glad>.|"Now that is {o.a}," {B.said}.]')
    s.long('[{B} looked at it from all sides and found nothing to say, and that was the highest '
        'praise.|"How long will it last?" {A.asked}. "Longer than both of us," {B.said}.|{A} ran '
        '{A.his} hand over it again and again.] [then they had <food>, slowly, to the last crumb.|'
        '{A} did not show it to anyone until it had stood for a night.|the first one, the broken '
        'one, went into the stove.]')
    s.paragraph()
    s.close('[from that day on {A} took {A.his} time, and {o} lasted for many years.|and whenever '
        '{A} wanted to hurry, {A.he} looked at {o}, and never hurried again.|after that {A} still '
        'ran, but never when {A.he} was making something, and {o} held for ever.]')
    s.fact(want='to make {o.a}', why='{A} worked too fast, and {o} {fault}.', helper="B",
        how='{B} showed {A} how to work slowly.', end='{A} made {o.a} that was strong and lasted.')


@plot("an old thing made new|repairing", "toy tool treasure music", but="small food")
def thrown_away_and_mended(s):
    """The hero mends what somebody threw away; when the owner wants it back they find a way."""
    s.place("P")
    s.cast("C")
    s.word("state", 'dirty and cracked|covered with mud|broken and grey with dust|full of cobwebs|'
        'bent and scratched')
    opening(s)
    weather(s)
    s.say('[<one-day>, {P.in}, {A} found {o.a} that somebody had thrown away.|<one-day> {A} saw '
        '{o.a} lying {P.spot}. Somebody had thrown it away.|somebody had thrown {o.a} away, and '
        '<one-day> {A} found it {P.in}.] [it was {state}.|it looked like rubbish, {state}.]')
    s.takes("A")
    scene(s)
    s.say('["Poor thing," {A.said}. "I want to make you whole again."|{A} wanted to mend it, and '
        '{A.he} carried it home.|but {A} saw that it had once been <nice>, and {A.he} wanted to '
        'mend it.]')
    s.say('[{A} washed it, glued it and painted it.|for a whole week {A} scrubbed and mended and '
        'polished.|first {A} cleaned {o}, then {A.he} mended it, bit by bit.]')
    s.mid('[the first glue did not hold, but {A} tried another.|one piece was missing, and {A} '
        'carved a new one.|{A} found the right screw in an old tin.|twice it fell apart again, '
        'but {A} <determined>.]')
    s.long('[by lamplight {A} rubbed off the last bit of rust.|{A.ns} neighbours shook their '
        'heads and said, "All that work for an old {o.n}!"|when {A.he} was too tired to go on, '
        '{A.he} said good night to it.]')
    s.say('[<at-last> {o} looked like new.|and then {o} was done, and it was as <nice> as on its '
        'first day.|in the end nobody would have known it again, so <nice> was {o}.]')
    s.paragraph()
    s.comes("C")
    s.say('[then {C.intro} came by. "That is my old {o.n}!" {C.said}. "I want it back."|but '
        '{C.intro} saw it. "I threw that away," {C.said}, "but now I want it again."|{C.intro} '
        'stopped at the window. "Why, that was mine!" {C.cried}. "Give it to me!"]')
    s.mid('["You threw it away," {A.said}, and held {o} tight.|{A} did not know what was right.|'
        '"But I mended it," {A.said}.|they looked at each other, and neither spoke.]')
    s.say('[then {C} saw the fine work and the tired hands, and {C.he} <ashamed>.|{C} looked at '
        '{o} more closely, at every careful join, and {C.he} <ashamed>.|{C} thought of how {C.he} '
        'had left it lying in the dirt, and {C.he} <ashamed>.]')
    s.say('["No, keep it," {C.said}. "It is yours now. But will you teach me to mend things?"|'
        '"You have earned it," {C.said}. "May I come and learn from you?"|"Keep it," {C.said}. "I '
        'did not know how good it was. Could you show me how you did it?"]')
    s.things["o"].owner = "A"
    s.mid('["Gladly," {A.said}. ["Come tomorrow."|"Bring an old thing with you."|"Two can mend '
        'more than one."]|{A} smiled and made room on the bench.]')
    s.long('[{A} showed {C} every join and every drop of glue.|"Where did you learn that?" '
        '{C.asked}. "By getting it wrong," {A.said}.|{C} went home and looked under the bed, and '
        'there were three more broken things.] [they had <food> among the tools and the wood '
        'shavings.|and {C} never said "rubbish" again, or at least not so quickly.|{A} lit the '
        'lamp, and they began at once.]')
    s.paragraph()
    s.close('[from that day on they mended old things together, and {o} stood in the window for '
        'all to see.|after that nobody in the village threw anything away without asking {A} '
        'first, and {o} was the first of a long row.|and {A} kept {o} ever after, and loved it '
        'more than anything new.]')
    s.fact(want='to mend {o}', why='somebody had thrown {o} away, and it was {state}.',
        where='{P.in}', how='{A} cleaned and mended {o}, bit by bit.', owner="C",
           end='{A} kept {o}, and taught {C} to mend things.')


@plot("a garden|growing something|waiting", "seed flower", but="acorn")
def planted(s):
    """The hero plants something, cannot wait, spoils it nearly, and learns to let it grow."""
    flower = "flower" in s.tags("o")
    s.cast("B", ability="dig" if s.chance("dig", 50) else "wise")
    s.cast("C")
    s.trait('impatient, could not wait for anything|lively, could not sit still|eager, was up '
        'before the birds')
    s.word("spot", 'behind the house|by the garden gate|under the window|beside the well|at the '
        'end of the garden')
    s.word("grown", '' if flower else 'a tall sunflower|a white lily|a little apple tree|a bean '
        'plant as high as the roof|a red tulip')
    opening(s)
    s.takes("A")
    s.say(('[{A} got {o.a} in a pot and planted it {spot}.|<one-day> {A} planted {o.a} {spot}.|'
        '<one-day> {A} was given {o.a}, and {A.he} planted it {spot}.] [{A.he} wanted it to be '
        'the finest in the valley.|"I want it to have a hundred flowers," {A.said}.]'
           if flower else '[<one-day> {A} was given {o.a}, and {A.he} planted it {spot}.|'
               '<one-day> {A} found {o.a} in {A.his} pocket and planted it {spot}.|a pedlar gave '
               '{A} {o.a}. {A} planted it {spot} that very day.] [{A.he} wanted to see what would '
               'grow from it.|"What will it be?" {A.said}. "I want to see it grow."]'))
    s.things["o"].holder = None
    s.say('[the next day nothing had happened. "Grow, {o.n}, grow!" {A.said}.|every hour {A} went '
        'to look, but nothing happened.|{A} sat down in front of it and waited, but nothing '
        'happened.]' if not
        flower else '[the next day it looked just the same. "Grow!" {A.said}.|every hour {A} went '
        'to look, but it had not grown at all.|{A} sat down in front of it and waited, but it did '
        'not grow.]')
    s.mid('[{A} watered it ten times a day, until it stood in a puddle.|{A} sang to it, and '
        'shouted at it, and watered it far too much.|at night {A} went out with a candle to see '
        'whether it was growing.|{A} blew on it and told it to hurry.]')
    s.say('[<at-last> {A} wanted to dig it up to see what was wrong.|on the third day {A} took a '
        'spade to dig it up.|"I will pull a little," {A.said}, "and help it to grow."]')
    s.paragraph()
    s.comes("B")
    s.say('["Stop!" cried {B.intro} over the fence.|but {B.intro} held {A.his} arm. "Stop!" '
        '{B.said}.|<just-then> {B.intro} came along. "Oh, do not do that!" {B.said}.] ["A thing '
        'that grows must not be hurried," {B.said}.|"It is working under the earth, where you '
        'cannot see it," {B.said}.|"It grows when nobody is looking," {B.said}.]')
    s.mid('["But what can I do?" {A.asked}. "A little water, a little sun, and a story in the '
        'evening," {B.said}.|"Then what shall I do?" {A.asked}. "Wait," {B.said}. "Waiting is '
        'work too."|{B} showed {A} how much water was right, and together they pulled the weeds.]')
    s.say('[so {A} gave it a little water each day, and waited.|so {A} waited, one week, two '
        'weeks, three weeks.|{A} put the spade away and learned to wait.]')
    s.long('[in the evening {B} came and told a story about {B.his} own garden.|rain fell and the '
        'sun shone, and <animals> came to look.|while {A.he} waited, {A} <chore>.|{A} counted the '
        'days with pebbles in a row.]')
    s.long('[every evening {A} told it good night, and that was all.|{B} leaned on the fence and '
        'talked about roots, and how deep they go.|{A} made a little fence of sticks, so that '
        'nobody would tread on it.] [the rain came and went, and so did <animals>.|"Is it soon?" '
        '{A.asked}. "Sooner than yesterday," {B.said}.|and {A} found that waiting gets easier '
        'when two do it.]')
    s.paragraph()
    s.say('[and one morning {o} had opened, bigger and finer than any other.|one morning there '
        'were new buds on {o}, and the next day they opened.|then {o} grew and grew, and soon it '
        'had a dozen flowers.]' if flower else '[and one morning there was a green tip. {o} had '
        'begun to grow! By summer it was {grown}.|then {o} came up, first a leaf and then '
        'another, and in summer it was {grown}.|one morning {o} had opened, and a green shoot '
        'stood in the sun. It grew into {grown}.]')
    s.mid('["<hooray>!" {A.cried}, and {A.he} ran to fetch {B}.|{A} <glad> and danced round the '
        'garden.|{A} called <everyone> to come and see.|"It knew how to do it all by itself," '
        '{A.said}.]')
    s.close('[from that day on {A} planted something every spring, and {A.he} was never impatient '
        'with it again.|and {A} told everyone who wanted to hurry about {o}, and about waiting, '
        'ever after.|that evening {A} and {B} sat beside it with <treat>, and were happy that '
        'they had waited.|after that {A} and {B} planted a whole garden together, and the first '
        'row was always for {o}.]')
    s.fact(want='to see {o} grow', why='{A} could not wait and wanted to dig {o} up.', helper="B",
        where='{spot}', how='{B} told {A} to wait and showed {A.him} what to do.',
           end='{o} grew.' if flower else '{o} grew into {grown}.')


@plot("an invention|a clever idea", "tool", but="small heavy paper garden")
def strange_machine(s):
    """Everybody laughs at the hero's strange machine, until it is needed."""
    s.cast("C")
    s.cast("B")
    s.word("purpose", 'to fetch water without walking|to ring for breakfast|to scare the crows '
        'away|to chase away the flies|to open the door by itself')
    s.word("danger", 'the mill caught fire|the stream broke its bank|the old bridge gave way|the '
        'hay caught fire|a cart ran away down the hill')
    s.word("made", 'two wheels, a rope and {o}|a barrel, a spring and {o}|an old bicycle wheel, '
        'some string and {o}|a churn, three bells and {o}')
    opening(s)
    s.owns("A")
    s.say('[{A} had {o.a}, and {A.he} liked to invent things.|{A} liked to invent things, and '
        '{o.a} was {A.his} favourite tool.|nobody in the valley invented so many things as {A}, '
        'and {A.he} always used {o.a} for them.]')
    s.say('[<one-day> {A} built a machine from {made}. {A.he} wanted a machine {purpose}.|'
        '<one-day> {A} put together {made}. "I want a machine {purpose}," {A.he} said.|{A} wanted '
        'to build a machine {purpose}, and {A.he} made it from {made}.]')
    s.comes("C")
    s.say('[but it only went round and round, and {C.intro} laughed.|{C.intro} came to see it. It '
        'rattled and stopped, and {C} laughed.|it hopped three times and fell over. {C.intro} '
        'laughed until {C.he} had to sit down.]')
    s.mid('["It is good for nothing," {C.said}.|"You should have made soup in it," {C.said}.|'
        '"What a heap of junk!" {C.said}.] {A} <sad>, but {A.he} did not take it apart.')
    s.leaves("C")
    s.long('[at night {A} oiled the wheels and tightened the rope.|{A} turned one wheel round, '
        'and then it ran a little better.|{A} drew plans until the candle burned down.|"It will '
        'be good for something," {A.said}.]')
    s.paragraph()
    s.say('[then, one evening, {danger}.|a week later {danger}.|but one windy night {danger}.] '
        '[<^everyone> ran here and there.|nobody knew what to do.|"Help! Help!" they cried.]')
    s.comes("B")
    s.mid('[{B.intro} stood in the middle of it all and called for help.|{B.intro} was in danger.|'
        '"Do something!" cried {B.intro}.|{B.intro} wrung {B.his} hands.] ["My machine!" '
        '{A.cried}.|{A} ran to fetch the machine.]')
    s.say('[{A} came with the machine, {o} and all, and set it going.|{A} pushed the machine down '
        'the street, and it began to turn.|{A} pulled the rope, the wheels began to turn, and {o} '
        'jumped up and down.]')
    s.say('[it rattled and roared and did the work of twenty, and thanks to {A} the danger was '
        'over.|and the machine of {A.name} worked, and in a few minutes everyone was safe.|nobody '
        'had ever seen such a thing, but it saved them all.]')
    s.mid('["<hooray>!" cried everyone.|people shook {A.ns} hand for a long time.|"Three cheers '
        'for {A.name}!" they cried.]')
    s.comes("C")
    s.say('["<sorry>," {C.said}. "I will never laugh at a new thing again."|{C} came up and '
        '<ashamed>. "May I help you with the next one?" {C.asked}.|"I called it junk," {C.said}. '
        '"<^sorry>."]')
    s.long('[{C} helped to push the machine back up the hill.|the children begged for a ride, and '
        'each of them got one.|somebody had already painted a sign: "Made by {A.name}."] [there '
        'was <food> for all, out in the square, until late.|{A} took {o} out of it, wiped it '
        'clean, and put it back.|"What else can it do?" everyone wanted to know.]')
    s.paragraph()
    s.close('[from that day on the machine stood in the village square, with {o} on top of it.|'
        'after that everybody brought {A} old wheels and ropes, and {A.he} went on inventing with '
        '{o} ever after.|and that evening {A} hung {o} on its nail and slept, for {A.he} had '
        'earned it.]')
    s.fact(want='to build a machine {purpose}', why='the machine did not work, and {C} laughed.',
        how='when {danger}, the machine saved everyone.', laughed="C",
           end='the machine saved everyone, and nobody laughed any more.')
