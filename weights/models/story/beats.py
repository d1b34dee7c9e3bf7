"""Passages that many plots share: beginnings, landscapes, searches, obstacles, thanks, endings.

Each takes the story and writes into it. An obstacle is something between the hero and the
object that one ability overcomes; the hero never has that ability, so a helper is needed.
"""

import world
from state import LONG

# ability: how it is overcome. what: where the object is. tags: places that can hold it.
OBSTACLES = {
    "high": {
        "tags": "trees", "what": 'high up in a tall pine|high up in an old elm|high up in a birch|'
            'high up in a great lime tree',
        "see": '{o} hung [high above the ground|far above {A.his} head|in the topmost branches], '
            '[caught between two twigs|on a thin branch|where the leaves were thickest]',
        "tries": (
            '{A} jumped as high as {A.he} could, but [it was not nearly high enough|{A.he} could '
                'not reach even the lowest branch]',
            '{A} shook the trunk, but [only leaves came down|only an old nest fell down|{o} did '
                'not move]',
            '{A} threw [a stick|a pine cone|a lump of earth] at it, but [missed|it fell back on '
                '{A.his} own head|{o} stayed where it was]',
            '{A} waited for the wind to blow it down, but [the wind slept|not a leaf stirred|{o} '
                'only swung a little]',
            '{A} stood on a stone and stretched, but [the stone tipped over|it was still too far|'
                '{A.he} tumbled into the grass]'),
        "ways": {
            "fly": '{B} [flew up|rose into the air|spread {B.his} wings and flew up], [pulled {o} '
                'free|loosened {o}] and [brought it down|carried it down to the ground]',
            "climb": '{B} climbed [from branch to branch|up the trunk], [reached out|crept along '
                'the branch], and came down with {o}',
            "tall": '{B} [simply stretched|stood on tiptoe|reached up] and lifted {o} out of the '
                'branches'}},
    "water": {
        "tags": "water", "what": "at the bottom of the water|deep under the water",
        "see": '{o} had sunk, and now it lay [deep under the water|on the muddy bottom|among the '
            'water weeds|between two stones deep down]',
        "tries": (
            '{A} reached in with a stick, but [the stick was too short|the stick broke|it only '
                'stirred up the mud]',
            '{A} waded in, but [the water was too deep|the water was too cold|{A.he} slipped and '
                'got wet to the ears]',
            '{A} made a hook from a bent twig, but [it caught nothing but weed|the twig floated '
                'away]',
            '{A} leaned out as far as {A.he} dared, but [nearly fell in|could only touch the '
                'water|it was too far down]'),
        "ways": {
            "swim": '{B} [dived|slid into the water|jumped in with a splash] and [came up|soon '
                'came up again] with {o}'}},
    "crack": {
        "tags": "rocks house", "what": "in a narrow crack|in a crack in the stone",
        "see": '{o} had slipped into [a crack between two stones|a narrow crack in the wall|a gap '
            'under the old stones], and only a little of it could be seen',
        "tries": (
            '{A} reached in, but [the crack was too narrow|{A.he} could only just touch it|{A.he} '
                'pushed it in even farther]',
            "{A} poked at it with a twig, but [it slid deeper|the twig snapped]",
            "{A} pulled at the stones, but [they did not move|they sat as fast as a mountain]",
            "{A} blew into the crack, but [only dust came out|{A.he} got dust in both eyes]"),
        "ways": {
            "small": '{B} was small enough. {B.he} [slipped|crept|squeezed] into the crack and '
                '[pushed {o} out|came back with {o}]'}},
    "buried": {
        "tags": "ground mud", "what": "under the earth",
        "see": "earth had slid down from the bank, and {o} was [buried under it|somewhere beneath]",
        "tries": (
            '{A} scratched at the earth, but [it was as hard as stone|the hole fell in again|it '
                'was full of roots]',
            "{A} tried with a flat stone, but [the stone broke|{A.he} hardly made a dent]",
            '{A} poured water on the ground to soften it, but [it only made mud|{A.he} only got '
                'dirty]',
            '{A} pulled at a root to loosen the earth, but [fell over backwards|the root held '
                'fast]'),
        "ways": {
            "dig": '{B} [dug until the earth flew|began to dig|dug a deep hole], and [soon|before '
                'long] {o} came to light'}},
    "stone": {
        "tags": "rocks", "what": "behind a heavy stone",
        "see": "a great stone had rolled down, and {o} was [shut in behind it|stuck behind it]",
        "tries": (
            '{A} pushed the stone with all {A.his} might, but [it did not move at all|it only '
                'rocked a little]',
            '{A} tried to roll it with a branch, but [the branch broke in two|the stone was too '
                'heavy]',
            '{A} tried to reach round it, but [there was no room|{A.he} could not get hold of '
                'anything]',
            "{A} shouted at the stone, but [of course it took no notice|that did not help at all]"),
        "ways": {
            "strong": '{B} [set {B.his} shoulder to the stone|leaned against the stone|took hold '
                'of the stone] and [rolled it aside|pushed it away], and there was {o}'}},
    "tangle": {
        "tags": "trees thorns", "what": "in a tangle of roots and vines",
        "see": "{o} was caught fast in [a tangle of roots|a knot of ivy|a mass of hard vines]",
        "tries": (
            "{A} pulled, but [the tangle only grew tighter|the roots held fast]",
            '{A} tried to untie the vines, but [there were too many|each one was wound round '
                'another]',
            "{A} twisted it this way and that, but [it stayed where it was|it was no use]",
            "{A} tried to tear the vines, but [they were as tough as rope|they would not tear]"),
        "ways": {
            "gnaw": '{B} [gnawed through one vine after another|bit through the vines with '
                '{B.his} sharp teeth], and {o} [came free|was free]'}},
    "dark": {
        "tags": "dark house", "what": "in the darkest corner",
        "see":
            "{o} had rolled away into [the darkest corner|the dark], where nothing could be seen",
        "tries": (
            "{A} felt about in the dark, but [found only cobwebs|found only dust and straw]",
            '{A} waited for {A.his} eyes to get used to the dark, but [it was as black as ink|it '
                'was no use]',
            "{A} crept forward, but [bumped {A.his} nose|hit {A.his} head on a beam]",
            "{A} lit a dry twig, but [it went out|the draught blew it out at once]"),
        "ways": {
            "see": '{B} could see well in the dark. {B.he} [looked round once|went straight to '
                'the corner] and [picked up {o}|came back with {o}]'}},
    "scent": {
        "tags": "trees", "what": "under a heap of leaves|somewhere under the leaves",
        "see": 'the wind had blown leaves over everything, and {o} [could be under any of them|'
            'was nowhere to be seen]',
        "tries": (
            '{A} turned over a hundred leaves, but [found only a beetle|there were a thousand '
                'more]',
            "{A} swept the leaves with a branch, but [the wind blew them back|it was no use]",
            "{A} walked up and down with bent head, but [saw nothing|saw only leaves]",
            "{A} began at one end and looked under every leaf, but [soon lost count|grew dizzy]"),
        "ways": {
            "nose": '{B} put {B.his} nose to the ground and [followed the smell|sniffed here and '
                'there]. [Under the third heap|Beside a root|Under the thickest leaves] lay {o}'}},
}


def obstacle(s, place="P"):
    """Chooses what the object is stuck in, where, and a helper B who can get it out."""
    mine = world.KINDS[s.people["A"].kind]["abilities"]
    names = [n for n, v in OBSTACLES.items() if not mine & set(v["ways"]) and not (n == "high" and
        {"fly", "climb"} & mine)]
    chosen = OBSTACLES[s.plan("obstacle", names)]
    s.place(place, chosen["tags"])
    way = s.plan("way", list(chosen["ways"]))
    s.cast("B", ability=way)
    s.word("what", chosen["what"])
    return chosen, chosen["ways"][way]


def opening(s, trait=True):
    """Who the story is about, and where that is."""
    s.say('[once upon a time there was {A.intro} who lived {A.home}|once upon a time there was '
        '{A.intro}. {A.he} lived {A.home}|'
          "once upon a time {A.intro} lived {A.home}|there was once {A.intro} who lived {A.home}|"
          'long ago there lived {A.intro}. {A.he} had {A.his} home {A.home}|{A.home} there lived '
              '{A.intro}|'
          '{A.isa} who lived {A.home}|{A.home} lived {A.intro}|not so long ago {A.intro} lived '
              '{A.home}].')
    if trait:
        s.mid('[{A} was {A.trait} and {A.habit}.|{A} was {A.trait}, and {A.he} {A.habit}.|'
            'everyone knew that {A} was {A.trait} and {A.habit}.|'
              "{A} {A.habit}, for {A.he} was a {A.trait} {A.kind}.]")
    s.long(
        '[it was a [quiet|peaceful|pleasant|sunny|friendly] place, and [in the evening one could '
            'hear the owls|in summer it smelled of [thyme|clover|hay|roses|mint]|nobody was ever '
            'in a hurry there].|there {A.he} had [a soft bed|a round table|a rocking chair|a warm '
            'stove|a big cupboard|a crooked lamp] and [a shelf with [three|five|seven|nine|'
            'twelve] [jars|cups|books|spoons|pots|shells]|a clock that was always [slow|fast|'
            'wrong|late]|a window that looked [east|west|north|south]|a picture of [the sea|a '
            'ship|a mountain|a grandmother|a blue horse]].|{A} knew every [path|stone|tree|hedge|'
            'corner] for miles around, and [every path|the wind|the rain|the birds] knew {A.him}.|'
            'it was not [large|grand|new], but [there was always <food>|it was home|it was [dry|'
            'warm|clean], and {A} would not have changed it for [a castle|a palace|a ship|a '
            'tower]].]')
    s.long('[every morning {A.he} [looked at the sky|stretched and yawned|said good morning to the '
           'sun|counted the birds on the fence|opened the window wide|washed in cold water], and '
           '[then {A.he} had <food>|then {A.he} <chore>|then {A.he} <chore> and <chore>].|{A} was '
           'fond of <food>, above all [on Sundays|in winter|when it rained|after a walk|before '
           'going to bed].|{A} had [many|some|three|a dozen] little songs and sang them [when it '
           'rained|at work|on the road|to <animals>|in the bath].|in the evening {A} liked to '
           '[watch the stars|sit outside|think about the day|have <food>|listen to the wind], and '
           'sometimes {A.he} [hummed|yawned|talked to <animals>|fell asleep in the chair].]')


def weather(s):
    """The day, in a sentence that fits the story's weather."""
    s.words["sky"] = "[" + world.WEATHER[s.weather][1] + "]"
    s.mid("{sky}.")


def treasure(s):
    """The hero has the object and loves it."""
    s.owns("A")
    s.say('[{A} had {o.a}, and {A.he} loved to {o.use}.|of all {A.his} things, {A} loved {o.a} '
        'best. {A.he} liked to {o.use}.|'
          '{A.his} dearest treasure was {o.a}. {A} liked to {o.use}.|{A} owned {o.a} that had '
              "once been {A.his} grandmother's.|"
          '{A.ns} uncle had given {A.him} {o.a}, and {A.he} [took good care of it|was very proud '
              'of it].|'
          'there was one thing {A} would never have given away: {o.a}.|{A} had {o.a}. It was not '
              'worth much, but {A.he} loved it dearly.|'
          "{A} had {o.a}, and {A.he} looked at it every day.]")


def scene(s, place="P"):
    """What one sees and hears at the place."""
    s.words["view"] = "{%s.sight}" % place
    s.mid('[{%s.in}, {view}.|{view}, and {A} stopped for a moment.|{%s.in}, {view}, and [%s|all '
        'was peaceful|somewhere <animals> was busy].]'
          % (place, place, world.WEATHER[s.weather][0]))
    s.long(('[from far off one could hear [a bell|a dog|a cuckoo|children at play|an axe in the '
        'wood].|it smelled of [wet earth|grass|smoke|apples|hay|rain].|'
            '[<animals>|<animals>] looked up and [went on its way|was gone in a moment|took no '
                'notice].|{A} had been there [once|twice|many times] before.|]'))


def walk(s, place="P"):
    """The way to a place; the hero is there afterwards, with nobody else."""
    s.here = {"A"}
    s.say(('[{A} <went> {P.to}.|{A} went [over the fields|along the lane|down the path|past the '
        'last houses] {P.to}.|'
           'so {A} <set-out> and came {P.to}.|[the way|the path] led {A} {P.to}.|<later> {A} came '
               '{P.to}.]').replace("P.", place + "."))
    s.long('[on the way {A.he} saw <animals>, but {A.he} did not stop.|{A} hummed a little song '
        'on the way.|the way was long, and {A.his} feet grew tired.|'
           '<animals> kept {A.him} company for part of the way.|{A} counted {A.his} steps, but '
               '{A.he} lost count at a hundred.]')


def ask_around(s, code="D"):
    """Somebody who has seen nothing of the object."""
    if s.length < LONG:
        return
    s.cast(code, named=False)
    s.comes(code)
    s.say(("[{A} met {D.intro}.|on the way {A} met {D.intro}.|<later> {A} came upon {D.intro}.] "
           '"Have you seen [{o}|{o.a}]?" {A.asked}. "<alas-no>," {D.said}. '
           '["But ask farther on," {D.he} added.|{^A} thanked {D.him} and went on.|{^D} wished '
               '{A.him} luck.|]').replace("{D", "{" + code))
    s.leaves(code)


def tries(s, chosen):
    """The failed tries: one in a short story, two or three in longer ones."""
    first, second, third = s.distinct("try", chosen["tries"], 3)
    s.say(first + ".")
    s.mid("[then|next|after that] " + second + ".")
    s.long("[once more {A.he} tried|still {A.he} <determined>]. " + third + ".")


def helper_comes(s):
    """B arrives, asks, hears, and offers help. The plot has cast B."""
    s.comes("B")
    s.say('[<just-then> {B.intro} came [by|along the path|along].|{B.intro} had seen it all and '
        'came [nearer|closer].|'
          '<just-then> {A} heard a voice. It was {B.intro}.|not far away sat {B.intro}.|<later> '
              '{B.intro} [came by|passed that way].] '
          '["<what-wrong>?" {B.asked}.|"<hello>," {B.said}. "<what-wrong>?"|"why, <what-wrong>?" '
              '{B.asked}.]')
    s.mid('[{A} told {B.him} [everything|the whole story|all about it].|"{o} is {what}, and I '
        'cannot get it," {A.said}.|'
          '{A} pointed and told {B.him} about {o}.] [{B} <listened>.|{^B} <nodded>.|{^B} '
              '<thought>.|]')
    s.say('"<help-offer>," {B.said}.')


def thanks(s):
    """The hero thanks B, and gives or promises something."""
    s.say('"<thanks>!" {A.cried}. ["<welcome>," {B.answered}.|{^B} only smiled.|"<welcome>," said '
        '{B.n}.|]')
    s.mid('[{A} gave {B.him} <treat>.|{A} asked {B.him} to supper, and they had <food>.|they '
        'shared <food> before going on.|'
          '{A} promised to help {B} whenever {B.he} needed it.|and because one good turn deserves '
              'another, {A} brought {B.him} <treat> the next day.]')


def happy(s):
    """What the hero feels at the turn."""
    s.mid('[{A} <glad>.|{A} held {o} tight and <glad>.|{A} turned {o} over and over and <glad>.|'
        '{A} <glad> and could not stop smiling.]')


def ends_keeping(s):
    """An ending for a hero who has the object at home."""
    s.needs("A")
    s.close('[from that day on {A} [took good care of|took better care of|kept a close eye on] '
        '{o}[|, and never lost sight of it again].|'
          'from then on {A} kept {o} [beside the bed|by the window|in a safe place|on a shelf by '
              'the door], and {A.he} never forgot that day.|'
          '<evening> {A} put {o} in its place, <food> stood on the table, and {A.he} slept well '
              'that night.|'
          "and if you pass that way today, you may still see {A} with {o}.|"
          "{A} <home-again> with {o}, and {A.he} lived happily ever after.|"
          "<night> {A} fell asleep with {o} close by and a smile on {A.his} face.]")


def ends_friends(s):
    """An ending for a hero and a new friend, B."""
    s.close('[from that day on {A} and {B} were [the best of|good|great] friends[, and {o} always '
        'reminded them of that day|].|'
          '{A} and {B} stayed friends ever after[, and they often spoke of {o}|].|<evening> {A} '
              'and {B} <sat-together> and talked about {o}, and they were friends from that day '
              'on.|'
          'after that {A} and {B} met every [Sunday|evening|market day], and they were friends '
              'ever after.|'
          'from then on, when {A} looked at {o}, {A.he} thought of {B}, and they stayed friends '
              'ever after.]')


def ends(s):
    """One of the two, where both fit."""
    (ends_keeping if s.chance("end", 50) else ends_friends)(s)
