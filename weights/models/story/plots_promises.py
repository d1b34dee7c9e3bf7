"""Plots about promises, secrets, courage, false alarms, small creatures and rescue."""

import world
from beats import opening, scene, treasure, weather
from plots import DURABLE, plot


@plot("a promise|keeping a promise", DURABLE, but="heavy")
def promise_kept(s):
    """The hero has promised to watch the object; play calls, but the promise holds, and that
    saves it."""
    s.cast("B", named=True)
    s.cast("C")
    s.word("fun", 'swim in the pond|fly kites on the hill|pick cherries|see a juggler at the '
        'market|slide down the haystack|look for bird nests')
    s.word("danger", 'rain came down in sheets|a stray goat came and wanted to eat {o}|a gust of '
        'wind came and lifted {o} up|a spark flew out of the fire|the river rose over its bank')
    opening(s)
    s.owns("B")
    s.comes("B")
    s.say('[<one-day> {B.intro} had to go away. "Will you watch my {o.n} for me?" {B.asked}. "I '
        'promise," {A.said}.|{B.intro} was {A.his} neighbour, and {B.he} had {o.a}. "Will you '
        'look after it until I come back?" {B.asked}. "I promise," {A.said}.|<one-day> {B.intro} '
        'brought {A} {o.a}. "Please take care of it until tonight," {B.said}. "I promise," '
        '{A.said}.]')
    s.things["o"].introduced = True
    s.hands("B", "A")
    s.leaves("B")
    s.mid('[{A} wanted to keep the promise, and {A.he} sat down beside {o}.|{A} put {o} on a '
        'stone in the yard and sat down next to it.|"That is easy," {A.said}. {A.he} wanted to do '
        'it well.]')
    s.comes("C")
    s.say('[then {C.intro} came by. "Come with me and {fun}!" {C.said}.|soon {C.intro} looked '
        'over the fence. "We are going to {fun}," {C.said}. "Are you coming?"|an hour later '
        '{C.intro} came running. "Quick, come and {fun}!" {C.cried}.]')
    s.mid('[how {A} wished to go!|{A.his} feet wanted to run.|{A} jumped up, and then {A.he} saw '
        '{o}.|it was a fine day, and {A} loved nothing better.] ["Nobody will know," {C.said}.|'
        '"It will not run away," {C.said}.|"Only for a minute," {C.said}.]')
    s.say('["I want to, but I have promised," {A.said}.|"No," {A.said}. "A promise is a promise."|'
        '{A} looked at {o}. "I gave my word," {A.he} said, and stayed.]')
    s.leaves("C")
    s.long('[from far away {A} could hear them laugh.|the sun went slowly over the roof, a fly '
        'buzzed, and {A} yawned.|{A} told {o} a story to pass the time.|{A} drew pictures in the '
        'dust.]')
    s.paragraph()
    s.say('[in the afternoon {danger}.|then, all at once, {danger}.|but an hour later {danger}.] '
        '[{A} was there, and {A.he} caught up {o} just in time.|quickly {A} threw {A.his} coat '
        'over {o} and carried it inside.|{A} jumped up, took {o} and ran into the house with it.]')
    s.mid('["If I had gone, it would have been lost," {A.said}.|{A.his} heart beat fast, but {o} '
        'was safe.|not a scratch was on it.]')
    s.long('[the others came running home, quite wet and dirty, and stared.|{A} sat down beside '
        '{o} again, and {A.his} heart grew quiet.|then the sky cleared, and it was as if nothing '
        'had happened.] [it was still a long time until evening.|{A} had <food>, with one eye on '
        '{o}.|"You are still here," {A} told it, "and so am I."]')
    s.paragraph()
    s.comes("B")
    s.hands("A", "B")
    s.say('[in the evening {B} came back, and {A} gave {B.him} {o}.|when {B} came home, {o} was '
        'safe, and {A} put it into {B.his} hands.|"Here is your {o.n}," {A.said} to {B} that '
        'evening.]')
    s.mid('[{B} heard what had happened and <surprised>.|"You stayed here all day?" {B.asked}. "I '
        'promised," {A.said}.|"And all the others were out playing," {B.said}.]')
    s.say('["I can trust you," {B.said}, and gave {A.him} <treat>.|"<thanks>," {B.said}. "A '
        'friend who keeps a promise is worth more than gold."|"Tomorrow we will both go and '
        '{fun}," {B.said}.]')
    s.close('[from that day on, when something was precious, it was given to {A} to keep, as {o} '
        'had been.|that night {A} was tired and content. {A.he} had kept a promise, and {o} was '
        'safe.|after that {B} lent {A} {o} whenever {A.he} wished, for {A.he} always kept a '
        'promise.]')
    s.fact(want='to keep a promise', why='{C} wanted {A} to come and {fun}.',
        how='when {danger}, {A} was there and saved {o}.', whose="B", rival="C",
        end='{A} gave {o} back to {B}, safe and sound.')


@plot("a broken promise|making up", DURABLE, but="heavy metal")
def promise_broken(s):
    """The hero forgets the promise while playing; the object is spoiled, and it takes work to
    make up."""
    s.cast("B", named=True)
    s.cast("C")
    s.word("fun", 'swim in the pond|fly kites on the hill|pick cherries|see a juggler at the '
        'market|slide down the haystack|watch the boats')
    s.word("harm", 'soaked by the rain|chewed by a goat|blown into the mud|full of ink and dust|'
        'run over by a cart')
    s.trait('forgetful, often lost the thread of things|light-hearted, thought of nothing but '
        'play|lively, could not sit still for long')
    opening(s)
    s.owns("B")
    s.comes("B")
    s.say('[<one-day> {B.intro} gave {A} {o.a} to look after. "Do you promise?" {B.asked}. "I '
        'promise," {A.said}.|{B.intro} had to go away for a day. "Promise to look after {o.a} for '
        'me," {B.said}. It was {B.his} dearest thing. "I promise," {A.said}.]')
    s.hands("B", "A")
    s.leaves("B")
    s.comes("C")
    s.say('[but {C.intro} wanted to {fun}, and {A} went along.|then {C.intro} called, "Come and '
        '{fun}!" and {A} ran off and never looked back.|before an hour was over, {C.intro} asked '
        '{A.him} to come and {fun}, and {A} forgot {o}.]')
    s.leaves("C")
    s.mid('[what a day that was! {A} laughed and ran about until evening.|not once did {A} think '
        'of {o}.|{A} put {o} on the wall and ran.]')
    s.say('[when {A} came back, {o} was {harm}.|in the evening {A} remembered and ran home. {o} '
        'was {harm}.|then {A} saw it: {o} was {harm}.]')
    s.mid('["<oh-no>!" {A.said}. "And I promised!"|{A} <ashamed>. {A.he} wanted to make it good '
        'again.|{A} tried to clean it with {A.his} sleeve, but that made it worse.]')
    s.paragraph()
    s.comes("B")
    s.hands("A", "B")
    s.say('[{B} came home and saw it. {B.he} said nothing at all, and that was the worst.|when '
        '{B} saw {o}, {B.he} turned and went away without a word.|"You promised," {B.said}. That '
        'was all, and {B.he} took {o} home.]')
    s.leaves("B")
    s.long('[that night {A} lay awake.|the moon was bright, and {A} could not sleep.|{A} wished '
        'that the day could begin again.|"Sorry" was such a small word, {A} thought.]')
    s.say('["I want to make it good," {A.said}. For a whole week {A.he} <chore> and <chore> for '
        '{B}.|{A} wanted to make it good. Every day {A.he} <chore> for {B}, without being asked.|'
        '<next-day> {A} went to {B.ns} house and <chore>, and the next day {A.he} <chore>. {A.he} '
        'wanted to put it right.]')
    s.comes("B")
    s.say('[then {A} said, "<^sorry>. May I mend {o}?"|"<sorry>," {A.said} to {B}. "Let me mend '
        '{o}."|on Sunday {A} stood before {B}. "<^sorry>," {A.he} said. "I want to mend {o}."]')
    s.mid('[{B} looked at {A} for a long time.|{B} saw {A.ns} rough hands, and {B.his} heart grew '
        'soft.|"You have worked all week," {B.said}.]')
    s.say('["<forgive>," {B.said}. They washed and mended {o} together.|"<forgive>," {B.said}, '
        'and they sat down and mended {o}.|"Come," {B.said}. "<^forgive>." And together they made '
        '{o} whole again.]')
    s.long('[it was not quite as before, but it was good.|while they worked, {B} began to hum.|'
        '"There," {B.said}, and there was {o}, nearly as good as new.]')
    s.long('[{B} showed {A} the smallest crack of all, and they mended that too.|"Do you know '
        'what was the worst of it?" {A.asked}. "That you said nothing." {^B} nodded.|they put {o} '
        'on the window sill to dry.] [then {B} brought <food> for two.|outside {C} called, "Come '
        'and {fun}!" But {A} only shook {A.his} head and smiled.|it was evening before they '
        'noticed.]')
    s.paragraph()
    s.close('[from that day on {A} gave no promise that {A.he} did not keep, and {B} trusted '
        '{A.him} with {o} again.|after that {A} tied a knot in {A.his} scarf for every promise, '
        'and {o} was never forgotten again.|that evening they ate <food> together, with {o} '
        'beside them, and {A} never broke a promise again.]')
    s.fact(want='to make it good again', why='{A} had promised to look after {o} and forgot it.',
        how='{A} worked for {B} and said sorry, and they mended {o}.', whose="B", rival="C",
        end='{B} forgave {A}, and {o} was mended.')


@plot("courage|being brave|the dark", "light small music tool", but="heavy garden")
def through_the_dark(s):
    """The hero fears the dark, but somebody is in need, and only the hero can fetch the object."""
    s.place("P", "dark rocks trees", "snow open")
    s.cast("B", named=True)
    s.word("need",
        'hurt {B.HIS} foot|got stuck in the mud|fell into a ditch|got caught under a branch')
    s.trait('timid, slept with the lamp lit|timid, was afraid of the dark|shy, jumped at every '
        'loud noise')
    opening(s)
    s.say('[there was one thing that {A} feared, and that was the dark.|{A} would not go out '
        'after sunset for all the honey in the world.|as soon as the sun was down, {A} locked the '
        'door, for {A.he} was afraid of the dark.]')
    s.owns("A")
    s.mid('[every shadow looked like a monster.|at night the coat on the door had eyes and ears.|'
        '"There is something out there," {A.he} said each night.] {A} wanted to be brave, but '
        '{A.he} did not know how.')
    s.comes("B")
    s.say('[one evening {A} and {B.friend} were on the way home when {B} {need}. "I cannot walk," '
        '{B.said}.|one evening {A} went for a walk with {B.friend}, and {B} {need}. "I cannot get '
        'home alone," {B.said}.|one evening {B.friend} {need}, and {A} was with {B.him}. '
        '"Somebody must get help," {B.said}.]')
    s.say('["I need {o.a}," {B.said}. "Yours is at home."|"If only we had {o.a}!" {B.said}. {A} '
        'had one, but it was at home.|"With {o.a} I could get free," {B.said}. {A} had one at '
        'home.] [but to get it, {A} had to go through {P} in the dark.|but the way there led past '
        '{P}, and it was getting dark.|but it was getting dark, and the path went by {P}.]')
    s.things["o"].holder = None
    s.leaves("B")
    s.mid('[{A} <afraid>. But there was {B}, and {B.he} needed help.|"I cannot," {A} thought. And '
        'then, "I must."|{A} took a deep breath. If {A.he} did not go, nobody would.]')
    s.say('[{A} shut both eyes, opened them again, and ran.|step by step {A} went into the dark.|'
        '{A.his} knees shook, but {A} went.]')
    s.paragraph()
    s.say('[something cracked, and {A} stopped, but it was only <animals>.|two eyes shone in the '
        'dark. {A} <afraid>, but it was only an owl.|something white stood by the path. {A} '
        '<afraid>, but it was only a birch tree.]')
    s.long('["I am brave, I am brave," {A.said}.|{A} sang, very softly at first, and then louder.|'
        '"It is the same path as by day," {A.said}, "only with the lamp out."|the wind howled, '
        'and {A} howled back.]')
    s.takes("A")
    s.say('[<at-last> {A} was home and took {o} and ran back the whole way.|at home {A.he} caught '
        'up {o} and turned round without stopping.|there was the house at last! {A} took {o} from '
        'the shelf and ran back through the dark.]')
    s.mid('[and this time the dark was not so dark.|on the way back {A} hardly thought of '
        'monsters.|the shadows were only shadows now.]')
    s.long('[something flew past, and {A} only said, "Good evening, bat."|the owl was still '
        'sitting there, and {A} even waved to it.|{A} held {o} tight and ran as {A.he} had never '
        'run before.] [in the distance {B} was calling, and {A} called back.|{A} did not look to '
        'the left or to the right, only straight ahead.|and when {A} was nearly there, {A.he} '
        'noticed that {A.he} was humming.]')
    s.paragraph()
    s.comes("B")
    s.say('["You came back!" {B.cried}. With {o} they soon had {B} on {B.his} feet again.|{B} was '
        'waiting. "Here is {o}," {A.said}, and with it all was soon well.|"I have {o}!" '
        '{A.cried}, and a little later {B} was free and could go home.]')
    s.mid('["You went through the dark for me," {B.said}.|"Were you not afraid?" {B.asked}. '
        '"Yes," {A.said}. "But I went."|"That was brave," {B.said}. "<^thanks>."]')
    s.close('[from that day on {A} was not afraid of the dark, or only a little, and {o} hung by '
        'the door.|that night {A} put out the lamp and slept, with {o} beside the bed.|after '
        'that, when {A} was afraid, {A.he} looked at {o} and went all the same, and never turned '
        'back again.]')
    s.fact(want='to be brave', why='{A} was afraid of the dark.', where='{P.in}',
        how='{A} went through the dark and fetched {o}.', receiver="B",
        end='{A} helped {B} with {o} and was not so afraid any more.')


@plot("a false alarm|telling lies|crying wolf", "food treasure toy garden", but="heavy small")
def false_alarm(s):
    """The hero raises false alarms for fun; when the object is really in danger nobody comes,
    except one."""
    s.cast("B", named=True)
    s.cast("C")
    s.words["danger"] = s.plan("danger", ("A thief", "A wild goat", "A wolf", "A bear"))
    s.trait('mischievous, loved to make others jump|merry, liked a joke more than supper|lively, '
        'was soon bored')
    opening(s)
    treasure(s) if not s.tags("o") & {"food", "flower", "seed"} else s.owns("A")
    if s.tags("o") & {"food", "flower", "seed"}:
        s.say('[{A} had {o.a} in the garden and was proud of it.|in {A.his} garden {A} had {o.a}, '
            'and everyone had heard of it.]')
    s.say('[<one-day> {A} wanted some fun. "Help, {danger}!" {A.he} shouted. "{o} is in danger!"|'
        '{A} wanted to see everyone run. "Help!" {A.he} shouted. "{danger} is after my {o.n}!"|'
        '<one-day> {A} was bored and wanted to play a trick. "{danger}!" {A.he} shouted. "Save '
        '{o}!"]')
    s.comes("C", "B")
    s.say('[{C.intro} came running, and so did {B.intro}. {A} laughed. "It was only a joke!"|from '
        'one side came {C.intro}, from the other {B.intro}. "I was only joking," {A.said}.|'
        '{B.intro} and {C.intro} left their soup and ran. But there was nothing, and {A} laughed.]')
    s.mid('["That is not funny," {C.said}.|{C} stamped home again. "Never again," {C.he} said.|'
        '"My soup is cold," {C.said}, and went home.] [the next day {A} did it once more, and '
        'once more they came.|a week later {A} did the same thing again.]')
    s.leaves("C", "B")
    s.paragraph()
    s.say('[but one evening it was true. {danger} came, and {o} was really in danger.|then came a '
        'day when it was no joke. {danger} was there, and {o} was close by.|but the third time it '
        'was true. {danger} came nearer and nearer to {o}.] ["Help!" {A.cried}, again and again, '
        'but nobody came to save {o}.|{A} shouted as loud as {A.he} could, but nobody came.]')
    s.mid('["It is only {A.name} again," {C} said at the window, and shut it.|in the houses they '
        'heard {A} and went on eating.|{A} <afraid>. "It is true this time!" {A.he} called.|{A} '
        'wanted to save {o}, but {A.he} could not do it alone.]')
    s.long('[{A} shouted until {A.he} had no voice.|{A} ran from door to door, but every door was '
        'shut.|now {A} knew how bad a bad joke can be.]')
    s.comes("B")
    s.say('[only {B} came. "Perhaps it is true," {B.said}, "and then I would be sorry."|then one '
        'door opened, and out came {B}. "I heard it in your voice," {B.said}.|but {B} put down '
        '{B.his} spoon and came after all.]')
    s.say('[together they drove the danger away, and {o} was safe.|the two of them saved {o} at '
        'the last moment.|they worked side by side, and when the moon came up {o} was safe.]')
    s.mid('["<thanks>," {A.said}. "Why did you come?" "Because one can never know," {B.said}.|{A} '
        '<ashamed>. "You came, though I had lied to you," {A.said}.]')
    s.long('[they sat down on the doorstep and got their breath back.|{A} wanted to say '
        'something, but no word would come out.|{B} picked up {o} and gave it to {A} without a '
        'word.] ["It was the third time," {B.said}, "and I nearly stayed at home."|{A} put on the '
        'kettle, and {A.his} hands were still shaking.|in the other houses the lamps went out, '
        'one by one.]')
    s.paragraph()
    s.comes("C")
    s.say('[<next-day> {A} went to {C} and to all the others. "<sorry>," {A.he} said. "I will not '
        'do it again."|in the morning {A} knocked at every door. "<sorry>," {A.he} said to each, '
        'and to {C} first of all.|{A} baked a cake for everyone, and {A.he} said to {C}, '
        '"<^sorry>. I will only call when it is true."]')
    s.mid('["<forgive>," {C.said}.|"Then we will come again when you call," {C.said}.|{C} shook '
        '{C.his} head, and then {C.he} smiled. "<^forgive>," {C.he} said.]')
    s.close('[from that day on {A} called for help only when {A.he} needed it, and {o} was safe, '
        'because everyone came.|after that {A} made jokes that made others laugh, and {o} was '
        'never in danger again.|and {A} never told a lie again, for whenever {A.he} saw {o}, '
        '{A.he} thought of that evening.]')
    s.fact(want='to have some fun', why='{A} had called for help as a joke, and then nobody came.',
        helper="B", how='{B} came after all, and they saved {o} together.',
        end='{A} said sorry and never told a lie again.')


@plot("a secret|a surprise", "treasure toy music warm food", but="heavy")
def secret_kept(s):
    """The hero knows of a surprise and nearly tells; keeping the secret is worth it."""
    s.cast("B", named=True)
    s.cast("C")
    s.word("almost", 'It is a, I mean, it is a fine day|I know what you will, oh, nothing|On '
        'Sunday you will get, hm, good weather|Tomorrow there will be, oh, look, a bird')
    s.trait('talkative, talked from morning till night|lively, told everyone everything|merry, '
        'could never stop talking')
    opening(s)
    s.comes("C")
    s.owns("C")
    s.say('[<one-day> {C.intro} showed {A} {o.a}. "It is a present," {C.said}. "But it is a '
        'secret."]' )
    s.comes("B")
    s.say('[it was for {B.intro}, who had a birthday on Sunday.|on Sunday {B.intro} had a '
        'birthday, and {o} was for {B.him}.|{B.intro} was to have {o} on Sunday and knew nothing '
        'about it.] [{A} wanted to keep the secret.|How {A} wanted to keep the secret!|{A} wanted '
        'to keep it, but it was hard.]')
    s.leaves("C")
    s.say('[the next day {A} met {B}. "{almost}," {A.said}.|already on Monday {B} asked, "Is '
        'there any news?" "{almost}," {A.said}.|when {A} met {B} at the well, the secret jumped '
        'into {A.his} mouth. "{almost}," {A.he} said.]')
    s.mid('["You are very strange today," {B.said}.|{B} looked at {A.him} with {B.his} head on '
        'one side.|"Are you well?" {B.asked}.] [{A} put both hands over {A.his} mouth and ran '
        'away.|{A} bit {A.his} tongue.|{A} turned red and looked at the sky.]')
    s.leaves("B")
    s.long('[at home {A} told the secret to the teapot, to make it lighter.|{A} dug a hole in the '
        'garden, whispered the secret into it, and filled it up again.|for three days {A} did not '
        'go out.|the secret grew bigger and bigger, until {A} could hardly breathe.]')
    s.comes("B")
    s.say('[on Saturday {B} came, and {B.he} was sad. "I think everyone has forgotten my '
        'birthday," {B.said}.|then {B} said, "Nobody has said a word about my birthday." And a '
        'tear ran down {B.his} cheek.|but on the last day {B} sat on the step and sighed. '
        '"Tomorrow is my birthday," {B.said}, "and nobody cares."]')
    s.mid('[now it was hardest of all. One word, and {B} would be happy.|{A} opened {A.his} '
        'mouth, and shut it again.|{A} wanted so much to say it!] {A} said only, ["Wait until '
        'tomorrow."|"Things will look better in the morning."|"One night is soon over."]')
    s.paragraph()
    s.comes("C")
    s.say('[on Sunday morning {C} and {A} and all the others stood at {B.ns} door and sang.|'
        '"Surprise!" they all cried on Sunday, and {C} was there with {o}.|then it was Sunday. '
        '{B} opened the door, and there stood {C} and {A} and everyone.]')
    s.hands("C", "B", keeps=True)
    s.say('[{B} got {o}, and {B.he} <glad>.|{C} gave {B} {o}, and {B} laughed and cried at once.|'
        'and there was {o} for {B}, with a ribbon round it.]')
    s.mid('["And you knew it all the time?" {B.asked}.|"So that is why you were so strange!" '
        '{B.said}.|"You knew, and you did not tell?" {B.asked}. {A} nodded.]')
    s.say('["It was the hardest week of my life," {A.said}, and everyone laughed.|"A surprise is '
        'better than a secret told," {C.said}.|"If you had told me, it would not have been half '
        'so nice," {B.said}.]')
    s.long('[then there was cake, and {A} ate three pieces.|they sang and danced, and {o} went '
        'from hand to hand.|{A} talked the whole afternoon, to make up for the week.]')
    s.long('["When did you nearly tell?" {B.asked}. "On Monday, on Tuesday, and every day after '
        'that," {A.said}.|{C} gave {A} a wink across the table.|{B} would not let anyone carry '
        '{o}, not even for a moment.] [they had <food> under the trees, and wasps came, and '
        'nobody minded.|at sunset they sang the birthday song once more, because it had been so '
        'fine.|{A} was the last to go home and the first to fall asleep.]')
    s.paragraph()
    s.close('[from that day on everyone trusted {A} with secrets, and it had all begun with {o}.|'
        'that night {A} fell asleep at once, for there was no secret left, and {B} fell asleep '
        'with {o}.|and {A} could keep a secret ever after, though {A.his} ears still turned red '
        'when {A.he} saw {o.a}.]')
    s.fact(want='to keep the secret', why='{C} had {o} for {B}, and it was to be a surprise.',
        how='{A} said nothing until Sunday.', owner="C", receiver="B",
        end='{B} got {o} on Sunday and was happy.')


@plot("a lost little one|caring for somebody small", "warm food light", but="heavy")
def small_foundling(s):
    """The hero finds a little creature that has lost its mother, keeps it warm with the object,
    and gives it back."""
    s.place("P", "trees ground", "snow")
    s.cast("B", named=True)
    s.word("baby", 'duckling|kitten|puppy|lamb|owlet|baby squirrel|fawn|baby hedgehog|gosling')
    s.word("mother", 'mother')
    food, light = "food" in s.tags("o"), "light" in s.tags("o")
    opening(s)
    weather(s)
    s.say('[<one-day>, {P.in}, {A} heard a small cry. There, {P.spot}, sat a little {baby}.|'
        '<one-day> {A} found a {baby} {P.in}. It was alone and very small.|<one-day> a little '
        '{baby} sat {P.in}, {P.spot}, and cried for its mother. {A} found it.]')
    scene(s)
    s.say('["Where is your mother?" {A.asked}, and wanted to help, but it was too small to '
        'answer.|{A} wanted to help it and took it home.|"I want to bring you back to your '
        'mother," {A.said}. "But first you must get warm."]')
    s.owns("A")
    s.say('[at home {A} gave it a little of {o.a}, and it ate and stopped crying.|it was hungry, '
        'and {A} gave it a piece of {o.a}.]' if food else '[at home {A} lit {o.a} for it, and it '
        'was not afraid of the dark any more.|it was afraid of the dark, and so {A} put {o.a} '
        'beside its basket.]' if light else '[at home {A} wrapped it in {o.a}, and soon it '
        'stopped shivering.|it was cold, and so {A} laid {o.a} round it.]')
    s.mid('[all night {A} sat beside it.|it slept with its nose in {A.ns} hand.|"You may stay as '
        'long as you like," {A.said}.|{A} made it a bed in an old basket.] [how {A} loved it!|{A} '
        'would have liked to keep it for ever.|it followed {A} wherever {A.he} went.]')
    s.long('[{A} sang it the song that {A.his} own mother had sung.|it drank milk from a spoon '
        'and sneezed.|in the night it dreamed, and its feet ran in its sleep.]')
    s.say('[but every evening the {baby} looked out of the window and cried.|but the {baby} was '
        'sad, for it missed its mother.|but even {o} could not make up for a mother, and the '
        '{baby} began to cry again.]')
    s.paragraph()
    s.say('[so {A} went from place to place and asked for the mother.|"We must find your mother," '
        '{A.said}, and they set out together.|<next-day> {A} took the {baby} in {A.his} arms and '
        'went to look for its mother.]')
    s.comes("B")
    s.say('[<at-last> they met {B.intro}. "I heard somebody call by the old fence," {B.said}. "I '
        'will show you."|{B.intro} knew where to look. "Come with me," {B.said}.|then they met '
        '{B.intro}. "Somebody has been crying over there since yesterday," {B.said}, and led the '
        'way.]')
    s.say('[and there {A} saw the mother, and the {baby} ran to her as fast as its legs could go.|'
        'behind the fence stood the mother, and she had been looking for three days.|the mother '
        'came running, and the {baby} cried for joy.]')
    s.mid('["<thanks>," said the mother to {A}.|the mother licked it from head to foot.|{A} '
        'laughed, and there were tears in {A.his} eyes.|"It was good and brave," {A.said}.]')
    s.say('[it was hard to say goodbye, but {A} was glad.|{A} waved until {A.he} could not see '
        'them any more.|"Come and see me," {A.said}, and waved until they were gone.]' )
    s.long('["You look sad," {B.said}. "A little," {A.said}, "and happy too."|on the way home {B} '
        'walked beside {A} and said nothing, and that was just right.|the house was very quiet '
        'that evening, but {B} came to supper.]')
    s.long('[on the path lay a small bit of down, and {A} put it into {A.his} pocket.|"It will '
        'not forget you," {B.said}. "The small ones never do."|{A} looked back once, but there '
        'was only the grass moving.] [{B} had brought <food>, and they ate it on the doorstep.|'
        '{A} put the old basket away, but not too far away.|the evening star came out, and it was '
        'very still.]')
    s.paragraph()
    s.close('[and every spring after that the {baby} came to visit, a little bigger each time, '
        'and {A} always had {o.a} ready.|from that day on {A} had a small friend, and kept {o.a} '
        'by the door in case anyone small should cry again.|that night {A} looked at the empty '
        'basket and at {o}, and was happy, for the little one was home.]')
    s.fact(want='to bring the {baby} back to its mother', why='the {baby} had lost its mother.',
        helper="B", where='{P.in}', how='{B} showed {A} where the mother was.',
        end='the {baby} was with its mother again.')


@plot("a rescue|an accident", "tool warm cloth", but="small heavy garden paper metal")
def rescued_with_it(s):
    """Somebody falls into danger before the hero's eyes; the old object that was laughed at saves
    the day."""
    s.place("P", "water rocks", "dark house")
    s.cast("C", named=True)
    water = "water" in world.PLACES[s.places["P"][0]]["tags"]
    s.word("danger", 'was cut off by the rising water|sank into soft mud up to the chest|fell '
        'through a rotten plank into the water' if water else 'slipped and hung on a root over the '
        'edge|slid down a steep bank and could not get back|fell into a deep hole')
    s.word("old", 'old and worn|patched in three places|not very fine|as old as the hills')
    opening(s)
    s.owns("A")
    s.say('[{A} had {o.a}. It was {old}, but {A.he} took it everywhere.|wherever {A} went, {A.he} '
        'took {o.a} along, though it was {old}.|{A} had {o.a} that was {old}, and {A.he} did not '
        'want a new one.]')
    s.comes("C")
    s.say('["Throw it away," said {C.intro}. "It is good for nothing."|{C.intro} laughed at it. '
        '"What do you want with that?" {C.he} asked.|"Why do you carry that about?" asked '
        '{C.intro}, and laughed.] [{A} wanted to keep it all the same.|"I want to keep it," '
        '{A.said}. "It may be of use."]')
    weather(s)
    s.say('[<one-day> they were {P.in} together when {C} {danger}.|a few days later {C} {danger} '
        '{P.in}. {A} was near.|then, one day, {P.in}, {C} {danger}.]')
    s.mid('["Help!" {C.cried}. "I cannot hold on for long!"|{C} <afraid>.|"Do not move!" '
        '{A.cried}. "I am coming!"|there was nobody else for miles.]')
    scene(s)
    s.say('[{A} reached out, but {A.his} arm was too short.|first {A} tried to reach {C} with a '
        'branch. It broke.|{A} lay down flat and reached out, but it was not enough.]')
    s.long('[a stone came loose and fell.|"Think," {A} told {A.self}. "Think!"|{A} looked for '
        'help, but there was only <animals>.|{C.ns} voice grew weaker.]')
    s.paragraph()
    s.say('[then {A} thought of {o}. {A.he} threw one end of it to {C}.|"{o}!" {A.cried}, and '
        'held it out as far as {A.he} could.|but there was {o}! Quickly {A} let it down to {C}.]'
        if s.tags("o") & {"cloth", "warm"} or s.things["o"].noun == "rope" else
        '[then {A} thought of {o}. {A.he} held it out to {C}.|"{o}!" {A.cried}, and held it out '
        'as far as {A.he} could.|but there was {o}! Quickly {A} reached it down to {C}.]')
    s.say('[{C} caught hold of it, and {A} pulled with all {A.his} strength, until {C} was safe.|'
        '"Hold on!" {A.cried}. {C} held on, and inch by inch {A} pulled {C.him} out.|it held. {A} '
        'pulled and pulled, and <at-last> {C} was on firm ground.]')
    s.mid('[for a while they only lay there and breathed.|{C} could not speak. {C.he} held on to '
        '{A.ns} sleeve.|{C} shook from head to foot, and {A} sat beside {C.him} until it was '
        'better.]')
    s.say('["I laughed at {o}," {C.said}, "and it saved me. <^sorry>."|"<thanks>," {C.said}. "You '
        'and your {o.n}!"|"I will never laugh at {o} again," {C.said}. "<^thanks>."]')
    s.mid('["<welcome>," {A.said}.|"It is not so bad, for an old thing," {A.said}, and smiled.|'
        'they walked home slowly, arm in arm, and had <food>.]')
    s.long('["How did you think of it?" {C.asked}. "I always have it with me," {A.said}.|{C} '
        'carried {o} for {A} part of the way, as carefully as if it were glass.|they looked down '
        'once more, and both of them shivered.] [at the first house they were given <food> and a '
        'dry towel each.|"Tell nobody how loud I shouted," {C.said}, and {A} promised.|people who '
        'heard of it came to look at {o}, and shook their heads.]')
    s.paragraph()
    s.close('[from that day on {C} took off {C.his} hat to {o} whenever {C.he} saw it, and nobody '
        'laughed at it again.|after that {A} and {C} were good friends, and {A} never went '
        'anywhere without {o}.|that evening {A} cleaned {o} with care and hung it up, and it had '
        'earned its rest that night.]')
    s.fact(want='to keep {o}', why='{C} {danger}.', where='{P.in}',
        how='{A} pulled {C} out with {o}.', rival="C", end=
        '{C} was safe and never laughed at {o} again.')
