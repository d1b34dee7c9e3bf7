"""Plots about rivals, races, riddles, tricks, judges and boasting."""

import world
from beats import ends_keeping, opening, scene, treasure, weather
from plots import DURABLE, plot


@plot("a race|a contest", "treasure music toy warm", but="heavy")
def race_for_a_prize(s):
    """A faster rival loses the race by pride; the hero stops to help somebody and wins all the
    same."""
    s.cast("C", ability="fast" if s.chance("fast", 60) else "fly")
    s.cast("B", ability="small")
    s.word("goal",
        'the old oak|the church|the windmill|the stone bridge|the lighthouse|the white gate')
    s.word("delay", 'lay down for a nap|stopped to look at {C.self} in the pond|stopped to tell '
        'everyone how fast {C.he} was|sat down to a second breakfast|took a short cut and got '
        'lost|ran the wrong way')
    s.word("trouble", 'had a thorn in {B.HIS} foot|was caught under a branch|had fallen into a '
        'puddle|sat crying by the road|was tangled in a thread')
    opening(s)
    weather(s)
    s.say('[<one-day> there was a race to {goal}, and the prize was {o.a}.|every year there was a '
        'race to {goal}. This time one could win {o.a}.|"Who is first at {goal} shall have '
        '{o.a}!" so it was called out in the village.]')
    s.say('[{A} wanted to win it.|{A} wanted it very much, and so {A.he} went to the start.|how '
        '{A} wanted that {o.n}!] [beside {A.him} stood {C.intro}, who was much faster.|{C.intro} '
        'laughed when {C.he} saw {A.him}.|everyone thought that {C.intro} would win.]')
    s.comes("C")
    s.mid('["You? You will still be running tomorrow," {C.said}.|"I could win this asleep," '
        '{C.said}.|"I will wait for you at {goal}," {C.said}, "with the prize in my hand."] [{A} '
        'said nothing.|{^A} only tightened {A.his} belt.|{^A} looked straight ahead.]')
    s.leaves("C")
    s.paragraph()
    s.say('["One, two, three, go!" Off they went, and soon {C} was far ahead.|the bell rang, and '
        '{C} shot away like an arrow.|the race began, and {A} saw only the dust behind {C}.]')
    s.mid('[{A} ran at {A.his} own pace, step by step.|{A} <tired>, but {A.he} ran on.|up the '
        'hill and down the hill ran {A}.|{A} breathed in and breathed out and did not look back.]')
    s.comes("B")
    s.say('[then {A} saw {B.intro}, who {trouble}.|by the road was {B.intro}, who {trouble}.|'
        '"Help me!" cried {B.intro}, who {trouble}.] [{A} thought of the prize, but {A.he} '
        'stopped and helped.|{A} could not run past, and so {A.he} stopped and helped.|"This '
        'comes first," {A.said}, and stopped to help.]')
    s.say('["<thanks>," {B.said}. "Take the path behind the hedge. It is shorter."|"Do you see '
        'that gap in the wall?" {B.asked}. "It is the shortest way to {goal}."|"I know a way that '
        'nobody knows," {B.said}. "Go through the hollow hedge."]')
    s.leaves("B")
    s.say('[meanwhile {C} {delay}, for {C.he} was sure to win.|but {C}, who was so sure to win, '
        '{delay}.|and {C}? {^C} {delay}.]')
    s.long('[{A} crept through, ran across a yard and jumped over a ditch.|the path was narrow '
        'and full of nettles, but it was straight.|already {A} could see {goal} between the '
        'trees.]')
    s.paragraph()
    s.say('[when {C} came to {goal}, {A} was there already.|{A} touched {goal} first, and {C} '
        'came a moment later.|{C} ran as never before, but {A} was first at {goal}.]')
    s.comes("C")
    s.takes("A")
    s.say('[so {A} won {o}.|{A} got {o}, and everyone cheered.|they put {o} into {A.ns} hands, '
        'and {A.he} <glad>.]')
    s.mid('["How did you do it?" {C.asked}. "I stopped," {A.said}, and {C} did not understand at '
        'all.|{C} <ashamed>. "You ran well," {C.said}.|"Next time I will not laugh," {C.said}.|'
        '"It is only because I stopped to help," {A.said}.]')
    s.long('[the band played, and someone put a wreath of daisies on {A.ns} head.|even the judges '
        'clapped, and the oldest of them wiped his glasses.|{C} shook {A.ns} hand, once the dust '
        'was washed off.] [then there was <food> for all the runners, the fast ones and the slow '
        'ones.|and far back on the road {B} waved and shouted.|"Tell us about it!" everyone '
        'cried, and {A} did.]')
    s.paragraph()
    s.owns("A")
    ends_keeping(s)
    s.fact(want='to win {o.a}', why='{C} was much faster.', helper="B", where='at {goal}',
        how='{A} stopped to help {B}, and {B} showed {A.him} a shorter way.', rival="C",
        end='{A} won the race and got {o}.')


@plot("a competition|a rival", "food toy music warm", but="heavy")
def best_in_the_valley(s):
    """Two rivals make the same thing; one spoils the other's, and honesty decides."""
    s.cast("C")
    s.cast("B", ability="wise" if s.chance("wise", 40) else None)
    s.word("feast", 'harvest feast|summer fair|spring fair|winter market|village feast')
    food = "food" in s.tags("o")
    s.word("spoil", 'put salt into it|put a handful of pepper into it|let a cat sit on it' if food
        else 'loosened a screw|cut a thread|rubbed mud on it|pulled out a peg')
    s.word("verb", "grow or bake" if food else "make")
    opening(s)
    s.comes("C")
    s.say('[at the {feast} there was a prize for the best {o.n}. {A} wanted to win it.|{A} wanted '
        'to show the best {o.n} at the {feast}.|every year they chose the best {o.n} at the '
        '{feast}, and this year {A} wanted it to be {A.his} own.]')
    s.say('[but so did {C.intro}.|{C.intro} wanted the prize just as much.|{A.his} rival was '
        '{C.intro}.]')
    s.things["o"].introduced = True
    s.owns("A")
    s.mid('[{A} worked for days.|{A} tried it three times before {A.he} was content.|{A} got up '
        'early and went to bed late.] [then there it was: {o.a}, the finest {A.he} had ever had.|'
        'what {o.a} it was!]')
    s.long('["I hope mine is good enough," {A.said}.|"Mine will be better," {C.said}, and turned '
        '{C.his} back.|{C} walked past the window ten times a day to see how far {A} was.]')
    s.say('[the night before, {C} crept in and {spoil}.|when nobody was looking, {C} {spoil}.|{C} '
        'saw that {A.ns} {o.n} was better, and at night {C.he} {spoil}.]')
    s.paragraph()
    s.comes("B")
    s.say('[on the day of the {feast}, {B.intro} was the judge.|the judge was {B.intro}.|'
        '{B.intro}, who was the judge, went from table to table.] [when {B.he} came to {A}, '
        '{B.he} shook {B.his} head.|"What is wrong with this one?" {B.asked}, and stopped before '
        '{A}.|one look at {A.ns} {o.n}, and {B.he} made a face.]')
    s.mid('[{A} <sad>. "It was good yesterday," {A.said}.|tears came into {A.ns} eyes.|{A} did '
        'not understand it.] [{^C} looked the other way.|{^C} stood there and was not happy at '
        'all.]')
    s.say('[when {C} saw {A.ns} face, {C.he} could not bear it. "I did it," {C.said}. "<^sorry>."|'
        'then {C} stood up. "It was me, and I spoiled the {o.n} of {A.name}," {C.said}. '
        '"<^sorry>."|{C} <ashamed>. "I have won by a trick," {C.said}. "<^sorry>."]')
    s.say('[{A} <thought>. "<forgive>," {A.he} said.|"Why?" {A.asked}. "Because yours was better '
        'than mine," {C.said}. "<^forgive>," {A.said}.|it was very quiet. Then {A} held out '
        '{A.his} hand. "<^forgive>," {A.said}.]')
    s.say('["The prize is for both of you," {B.said}, "one for the work, and one for the truth."|'
        '"Nobody wins today," {B.said}. "But next year, make one together."|{B} cut the ribbon in '
        'two and gave each of them a half.]')
    s.long('[<everyone> clapped, and even the dogs barked.|nobody had ever seen two rivals shake '
        'hands so long.|"Now let us eat," {B.said}, and there was <food> for all.]')
    s.long('[{A} and {C} carried the table home together.|"How did you make it so good?" '
        '{C.asked}, and {A} showed {C.him}.|the children asked for a second look at the {o.n}, '
        'and then for a third.] [then music was played, and {A} danced with {C}, and {B} with the '
        'mayor.|{C} slept well that night, for the first time in a week.|"I would rather have a '
        'friend than a prize," {A.said}.]')
    s.paragraph()
    s.close('[the next year they made {o.a} together, and it was the best that anyone had ever '
        'seen. They were rivals never again.|from that day on {A} and {C} worked side by side, '
        'and the best {o.n} in the valley was always theirs.|after that {C} never spoiled '
        'anything again, and {A.ns} {o.n} was praised by nobody so loudly as by {C}.]')
    s.fact(want='to win the prize for the best {o.n}', why='{C} {spoil}.', where='at the {feast}',
        how='{C} told the truth and said sorry.', rival="C",
        end='{A} forgave {C}, and they worked together after that.')


@plot("boasting|showing off", DURABLE, but="heavy")
def boaster(s):
    """One who boasts gets into trouble with the boast; the one he laughed at helps with the
    object."""
    s.cast("C")
    s.word("boast", 'walk along the top of the wall with both eyes shut|jump over the brook with '
        'one leap|climb the tower without a rope|sleep a whole night in the haunted barn|carry '
        'three sacks at once|cross the swamp without getting wet')
    s.word("trouble", 'fell into the nettles|stuck fast in the mud|was caught by the belt on a '
        'hook|lay under a heap of sacks')
    opening(s)
    treasure(s)
    s.comes("C")
    s.say('[{A.his} neighbour was {C.intro}, who boasted all day long.|in the same village lived '
        '{C.intro}, who could do everything better than anyone, or so {C.he} said.|and there was '
        '{C.intro}, who liked nothing so much as to boast.]')
    s.say('["What do you want with that old {o.n}?" {C.said}. "I can {boast}!"|"I need no {o.n}," '
        '{C.said}. "I can {boast}!"|"You and your {o.n}!" {C.said}, though {A} wanted only to be '
        'left in peace. "I can {boast}!"]')
    s.mid('["Can you really?" {A.asked}. "Of course," {C.said}.|"Then do it," said everyone.|{A} '
        'only wanted to be left in peace with {o}.|"Better not," {A.said}, but {C} did not '
        'listen.]')
    s.paragraph()
    s.say('[<next-day> everyone came to watch. {C} began, and the next moment {C.he} {trouble}.|'
        '{C} bowed, took a run and {trouble}.|but when {C} tried it, {C.he} {trouble}.]')
    s.mid('["Help!" {C.cried}, and {C.his} voice was quite small.|some laughed, and some ran '
        'away.|nobody knew how to help.|{C} did not boast now. {C.he} <afraid>.]')
    s.long('["Pull!" cried one and "Push!" cried another, but nothing helped {C}.|two neighbours '
        'ran into each other, and a third lost a shoe.|the crowd talked and talked, and nobody '
        'did a thing.]')
    s.say('[then {A} had an idea and ran to fetch {o}.|{A} did not laugh. {A.he} thought, and '
        'then {A.he} fetched {o}.|only {A} knew what to do, and {A.he} took {o} and went close.]')
    s.say('[{A} held out {o}, {C} took hold of it, and {A} pulled until {C} was free.|"Hold on to '
        '{o}!" {A.cried}. {C} held on, and {A} pulled {C.him} out.|{C} caught hold of {o}, and '
        'step by step {A} drew {C.him} to safety.]')
    s.long('[the crowd cheered for {A} and for {o}, and one hat flew into the air.|somebody '
        'brought a blanket, and somebody brought <food> for {C}.|it took a while until {C} had '
        'stopped shaking.] [{A} sat down beside {C.him} and said nothing, and that was kind.|{C} '
        'did not look at anyone, only at {o}.|"That was close," said an old farmer, and went home '
        'to his cows.]')
    s.paragraph()
    s.say('[{C} <ashamed>. "You helped me, though I laughed at you," {C.said}.|"I said that {o} '
        'was good for nothing," {C.said}, "and it saved me."|"<thanks>," {C.said}, and {C.he} '
        'turned red. "<^sorry>."]')
    s.mid('["<forgive>," {A.said}.|"Everyone falls some time," {A.said}.|"You are braver now than '
        'before," {A.said}, "because you said that you were wrong."|{A} wiped the mud from {o} '
        'and smiled.]')
    s.close('[from that day on {C} boasted no more, or only a little, and {o} had a place of '
        'honour in {A.ns} house.|after that, when {C} began a sentence with "I can", {A} only '
        'held up {o}, and {C} was quiet at once, and never angry.|that evening {C} came with '
        '<treat>, and from then on {A}, {C} and {o} were often seen together.]')
    s.fact(want='to be left in peace with {o}', why='{C} boasted and {trouble}.', rival="C",
        how='{A} pulled {C} out with {o}.', end='{C} said sorry and boasted no more.')


@plot("envy|being content", DURABLE, but="heavy")
def swapped_lives(s):
    """The hero wants what another has, swaps, finds that it does not suit, and swaps back."""
    s.cast("C")
    s.thing("x", tags="toy tool warm music treasure")
    s.word("flaw", 'was too big for {A.him}|made {A.him} sneeze|squeaked all night|was much too '
        'heavy|did not suit {A.him} at all|was always in the way')
    opening(s)
    s.owns("A")
    s.say('[{A} had {o.a}, and {A.he} had always been content with it.|{A} had {o.a}. It was a '
        'little old, but it was good.|{A} had {o.a} and thought nothing of it.]')
    s.comes("C")
    s.owns("C", "x")
    s.say('[then {A} saw {C.intro} with {x.a}, and {A.he} wanted it.|but {C.intro} had {x.a}, and '
        'from then on {A} wanted that.|<one-day> {C.intro} walked past with {x.a}. "I want one '
        'too!" {A} thought.]')
    s.mid('[suddenly {o} looked grey and dull.|{A} could think of nothing else.|at night {A} '
        'dreamed of {x}.|"What is {o.a} against {x.a}?" {A.said}.]')
    s.say('["Shall we change?" {A.asked}. "Gladly," {C.answered}, for {C} had always wanted '
        '{o.a}.|"I will give you {o} for {x}," {A.said}, and {C} nodded.|{A} asked {C} to change '
        'with {A.him}, and {C} did.]')
    s.hands("A", "C")
    s.hands("C", "A", "x")
    s.leaves("C")
    s.paragraph()
    s.say('[{A} ran home with {x}. But it {flaw}.|the first day was lovely. On the second, {x} '
        '{flaw}.|but {x} {flaw}, and {A} was not happy.]')
    s.mid('[{A} missed {o}. {A.he} wanted it back.|{A} reached for {o} in the morning, and it was '
        'not there.|"{o} never did that," {A.said}.|what had shone so from far away did not shine '
        'so near.]')
    s.long('[{A} put {x} in one corner and then in another, but it was no use.|when it rained, '
        '{A} thought of {o}. When the sun shone, {A} thought of {o}.|"I will get used to it," '
        '{A.said}, but {A.he} did not.]')
    s.say('[<at-last> {A} went to {C}. "I want to change back," {A.he} said.|<next-day> {A} stood '
        'at {C.ns} door. "May I have {o} back?" {A.he} asked.|{A} took {x} and went to {C}. '
        '"Please, let us change again," {A.he} said.]')
    s.comes("C")
    s.say('["I am so glad," {C.said}. "I missed {x} from the first hour."|{C} laughed. "I wanted '
        'to ask you the same thing," {C.said}.|"I was just on my way to you," {C.said}. "I cannot '
        'sleep without {x}."]')
    s.hands("C", "A")
    s.hands("A", "C", "x")
    s.say('[so they changed back, and both were happy.|then {A} had {o} again, and {C} had {x}.|'
        '{A} took {o} in both hands, and {C} took {x}, and they laughed.]')
    s.mid('["It is better than I knew," {A.said}.|{A} looked at {o} as if for the first time. How '
        '<nice> it was!|they had <food> together, and each praised what the other had.]')
    s.long('["Shall we change again next year?" {C.asked}, and both of them laughed.|on the way '
        'home {A} carried {o} under {A.his} coat, so that nothing could happen to it.|{A} cleaned '
        '{o} that same day, until it looked nearly new.] [and {x} looked best in the hands of '
        '{C}, as everyone could see.|"Each of us has what suits us," {C.said}.|the neighbours '
        'wondered why {A} sang so loud.]')
    s.paragraph()
    s.close("[from that day on {A} was content with {o}, and never wanted anyone else's again.|"
        'and {A} kept {o} ever after, and thought it the finest in the world.|that evening {A} '
        'sat with {o} by the window, and was as happy as could be.]')
    s.fact(want='to have {C.ns} {x.n}', why='{x} {flaw}.', owner="C",
        how='{A} and {C} changed back.', end='{A} had {o} again and was content.')


@plot("a riddle", DURABLE, but="heavy")
def riddle_at_the_gate(s):
    """A guard keeps the object for whoever answers a riddle; the answer is seen on the way home."""
    s.place("P")
    s.cast("C")
    s.cast("B")
    question, answer, wrong = s.plan("riddle", world.RIDDLES)
    s.words["question"], s.words["answer"], s.words["wrong"] = question, answer, wrong
    s.word("article", ["" if answer in ("light", "corn", "silence") else "the " if answer == "moon"
        else "a "])
    opening(s)
    s.comes("C")
    s.owns("C")
    s.say('[{P.in} there was {C.intro}, who guarded {o.a}. Whoever could answer a riddle might '
        'have it.|{C.intro} sat {P.in} with {o.a}. "It is for anyone who can answer my riddle," '
        '{C.said}.|<one-day>, {P.in}, {A} met {C.intro}, who had {o.a}. "Answer my riddle," '
        '{C.said}, "and it is yours."] [{A} wanted it very much.|{A} wanted to try.|{A} wanted '
        '{o} more than anything.]')
    scene(s)
    s.say('["{question}" {C.asked}.|{C} asked, "{question}"|"Here it is," {C.said}. "{question}"]')
    s.say('["{^wrong}?" {A.said}. "Wrong!" {C.said}.|{A} guessed, "{^wrong}." But that was wrong.|'
        '"I know it! {^wrong}!" {A.cried}. {C} shook {C.his} head.] [{^C} yawned. "Come back '
        'tomorrow."|"You may try once more tomorrow," {C.said}.|"One more try," {C.said}, "but '
        'think first."]')
    s.leaves("C")
    s.mid('[{A} <thought>.|all evening {A} said the riddle over and over.|{A} asked the stones '
        'and the stars, but they did not know.|{A} could not eat and could not sleep.]')
    s.paragraph()
    s.comes("B")
    s.say('[on the way home {A} met {B.intro} and told the riddle.|{B.intro} saw that {A} '
        'was thinking hard. "What is it?" {B.asked}, and {A} said the riddle.|<next-day> {A} told '
        '{B.intro} about it.] ["Do not think so far away," {B.said}. "Look about you."|"The '
        'answer is something you know well," {B.said}.|"You have met it many times," {B.said}. '
        '"That is all I will say."]')
    s.long('[{A} looked up and looked down.|"Is it big or small?" {A.asked}. "You will see," '
        '{B.said}.|{A} counted everything {A.he} knew, from apples to zebras.]')
    s.leaves("B")
    s.say('[and then {A} knew it.|all at once {A} laughed. Now {A.he} knew!|{A} looked about, and '
        'there it was, the answer.] [{A} ran back {P.to}. "{^article}{answer}!" {A.he} cried.|"It '
        'is {article}{answer}!" {A.he} called to {C} from far off.|{A} went back to {C}. '
        '"{^article}{answer}," {A.he} said.]')
    s.comes("C")
    s.say('["Right," {C.said}, and {C.he} gave {A.him} {o}.|{C} clapped. "That is it!" {C.he} '
        'said, and {A} got {o}.|"You have thought well," {C.said}. "{o} is yours."]')
    s.hands("C", "A", keeps=True)
    s.mid('[{A} <glad>.|"Now may I ask you one?" {A.said}, and {C} could not answer it.|"I have '
        'waited for years for somebody to know it," {C.said}.|"And now I need a new riddle," '
        '{C.said}, and sighed.]')
    s.long('["How did you find it?" {C.asked}. "It was in front of me all the time," {A.said}.|'
        '{C} moved over on the bench, and they sat there till the sun was low.|{A} tried {o} at '
        'once, and it was just as good as {A.he} had hoped.] [then {C} brought <food>, for '
        'riddles make one hungry.|they made up three new riddles together, each harder than the '
        'last.|on the way home {A} told the answer to <animals>, who only blinked.]')
    s.paragraph()
    ends_keeping(s)
    s.fact(want='to have {o.a}', why='{A} had to answer a riddle: "{question}"', helper="B",
        where='{P.in}', how='the answer was: {article}{answer}.', owner="C", riddle='{question}',
           end='{A} knew the answer and got {o}.')


@plot("a trick|a hungry wolf|being clever", "food music toy light", but="heavy", without="strong")
def outwitted(s):
    """A big hungry creature stops the hero, who talks himself free with the object's help."""
    s.cast("C", kind=s.plan("hungry", [k for k in ("wolf", "bear", "lynx", "troll", "dragon",
        "giant") if k != s.people["A"].kind]))
    s.place("P", "forest thicket swamp valley")
    s.word("who", 'grandmother|old aunt|sister|grandfather|uncle')
    food, music, light = ("food" in s.tags("o"), "music" in s.tags("o"), "light" in s.tags("o"))
    opening(s)
    s.owns("A")
    s.say('[<one-day> {A} wanted to bring {o.a} to {A.his} {who}.|{A} was on {A.his} way to '
        '{A.his} {who} with {o.a}. {A.he} wanted to be there before dark.|{A.his} {who} was ill, '
        'and {A} wanted to bring {o.a} as a present.]')
    s.say('[the path went through {P}.|to get there, {A} had to go through {P}.|the shortest way '
        'led past {P}.]')
    scene(s)
    s.comes("C")
    s.say('[<just-then> {C.intro} jumped out. "I am hungry," {C.said}, "and I will eat you!"|'
        'behind a stone {C.intro} was waiting. "Now I have my supper," {C.said}.|suddenly '
        '{C.intro} stood in the way. "Stop!" {C.said}. "I will eat you up."]')
    s.mid('[{A} <afraid>, but {A.he} did not show it.|{A} trembled, but {A.he} thought fast.|'
        '{A.his} knees shook. There was no way out, neither left nor right.|{C} was very big, and '
        '{C.his} teeth were very white.]')
    s.say('["Before you eat me, may I do one last thing?" {A.asked}. "One," {C.said}.|"You may '
        'eat me," {A.said}, "but first let me do one thing." {C} nodded.|"I am so thin," '
        '{A.said}. "Wait, I know something better for you."]')
    s.paragraph()
    if food:
        s.say('["Taste this first," {A.said}, and gave {C.him} a little piece of {o}.|{A} broke '
            'off a little piece of {o}. "Taste this first," {A.said}.] [{C} had never tasted '
            'anything so good.|{^C} chewed slowly and shut both eyes.]')
        s.say('["If you eat me, nobody can bring you more," {A.said}. "But if you let me go, you '
            'shall have one every Sunday."|"I know how to make it," {A.said}, "and if you eat me, '
            'you will never have it again."]')
    elif music:
        s.say('[{A} took {o} and began to play, softly and slowly.|{A} played on {o}, the softest '
            'tune {A.he} knew.] [{C} sat down to listen. {C.his} eyes grew small.|{^C} listened, '
            'yawned, and lay down.]')
        s.say('[{A} played on, slower and slower, until {C} was fast asleep.|note after note, '
            'softer and softer, and <at-last> {C} snored.]')
    elif light:
        s.say('["Then let me light {o}, so that you can see how thin I am," {A.said}.|{A} held '
            '{o} behind {A.him}, and {A.his} shadow on the rock was as big as a house.] ["Who is '
            'that behind you?" {C.asked}.|{^C} saw a great black shape and stepped back.]')
        s.say('["That is my big brother," {A.said}. "He is hungry too." {C} turned and ran.|'
            '"That? It always goes with me," {A.said}. "It eats only big things." {C} was gone '
            'before {A} had finished.]')
    else:
        s.say('["Catch!" {A.cried}, and threw {o} high into the air.|"Look what I can do," '
            '{A.said}, and {A} showed {C} {o}.] ["Can you do that too?" {A.asked}. "Of course I '
            'can," {C.said}.|"I bet you cannot do that," {A.said}. "I can do it better!" '
            '{C.said}.]')
        s.say('[{C} tried and tried, and forgot that {C.he} was hungry.|soon {C} was laughing '
            'like a child, and did not think of eating any more.]')
    if food:
        s.say('[{C} <thought>. "Every Sunday?" {C.he} asked, and let {A.him} go.|"It is a '
            'bargain," {C.said}, and stepped aside.]')
        s.long('[the rest of {o} was for the {who}.|{A} walked away slowly, so as not to look '
            'afraid.]')
    else:
        s.say('[{A} took {o} and slipped away.|quick as a mouse, {A} ran off with {o}.|and {A} '
            'was up and away, with {o} under {A.his} arm.]')
        s.long('[{A} did not stop until {A.he} saw the lights of the village.|behind {A.him} it '
            'was quiet. Nobody came after {A.him}.]')
    s.long('[once {A.he} looked back, but there was only the wind.|{A} ran past the last trees, '
        'and the stars came out one by one.|"My head was quicker than those teeth," {A} thought.] '
        '[{A.his} legs shook a little, now that it was over.|the lights of the village came '
        'nearer, one, two, three.|never had a chimney looked so friendly.]')
    s.paragraph()
    s.say("[before dark {A} was at {A.his} {who}'s house and told everything.|the {who} opened "
        "the door, and {A} was safe.|soon {A} sat by the {who}'s fire and told what had happened.]")
    s.mid('["You were clever," said the {who}.|"A good head is better than big teeth," said the '
        '{who}.|they laughed about it until the fire was low.|"And were you not afraid?" asked '
        'the {who}. "Only a little," {A.said}.]')
    s.close(('[and {o}? They shared what was left of it, and every Sunday after that {A} kept the '
        'promise.|from that day on {A} brought {C} {o.a} every Sunday, and {C} never ate anyone '
        'again.]') if food else
          '[from that day on {A} never went through {P} without {o}.|that night {A} slept well, '
              'with {o} beside the bed, and was never so afraid again.|and {o} was famous in the '
              'village ever after.]')
    s.things["o"].holder = None
    s.fact(want='to bring {o.a} to {A.his} {who}', why='{C} wanted to eat {A}.', rival="C",
        where='[at|near] {P}', how='{A} tricked {C} with {o}.',
        end='{A} got away and came safely to {A.his} {who}.')


@plot("a wise judge|two who claim one thing", "treasure cloth music paper toy", but="heavy")
def true_owner(s):
    """Two say that the object is theirs; the judge's test shows whose it is."""
    s.cast("C")
    s.cast("B", ability="wise")
    s.word("mark", 'a small scratch on the bottom|a tiny star on one side|a dark spot at the edge|'
        'a thread of blue wool|a little burn from the candle')
    opening(s)
    treasure(s)
    s.say('[<one-day> {A} lost {o} on the road.|<one-day> {A} left {o} on a bench and forgot it.|'
        '<one-day> {o} fell out of {A.his} bag.]')
    s.loses("A")
    s.things["o"].holder = "C"
    s.comes("C")
    s.say('[{C.intro} had picked it up and would not give it back.|when {A} came back, {C.intro} '
        'had it. "It is mine," {C.said}.|{A} saw it again in the hands of {C.intro}. "I have '
        'always had it," {C.said}.]')
    s.say('["That is my {o.n}, and I want it back!" {A.cried}. "Can you prove it?" {C.asked}.|"I '
        'want it back!" {A.said}, but {C} only laughed.|{A} wanted {o} back, but {C} held it '
        'tight.|{A} wanted {o} back. One said, "Mine!" and the other said, "Mine!"]')
    s.comes("B")
    s.say('[so they went to {B.intro}, who was the judge of the village.|"Let us ask the judge," '
        '{A.said}. The judge was {B.intro}.|they quarrelled until {B.intro} came, who was known '
        'for good sense.]')
    s.long('[{B} heard {A}, and {B} heard {C}, and both sounded true.|half the village came to '
        'listen.|"It is hard to see into a heart," {B.said}.]')
    s.paragraph()
    s.hands("C", "B")
    s.say('[{B} took {o} and put it under a cloth. "Tell me," {B.said}, "what mark is there on '
        'it?"|"Give it to me," {B.said}, and covered it with {B.his} hands. "What mark does it '
        'have?"|{B} hid {o} behind {B.his} back. "Whoever owns it knows every mark on it," '
        '{B.said}.]')
    s.say('[{C} did not know. "None at all," {C.he} said.|"A red stripe," {C.said}, and that was '
        'a guess.|{C} scratched {C.his} head. "It is quite smooth," {C.said}.] [but {A} said, '
        '"There is {mark}."|"There is {mark}," {A.said}.|"I know it in the dark," {A.said}. '
        '"There is {mark}."]')
    s.mid('[{B} lifted the cloth. There it was, {mark}.|{B} looked, and so did everyone. It was '
        'true.|slowly {B} turned it round, and all could see {mark}.]')
    s.hands("B", "A")
    s.say('["Then it is yours," {B.said}, and gave {A} {o}.|{B} put {o} into {A.ns} hands.|so {A} '
        'got {o} back.]')
    s.say('[{C} <ashamed>. "I wanted so much to have one too," {C.said}.|"<sorry>," {C.said}. "I '
        'found it, and I could not give it up."|"I did not tell the truth," {C.said}. "<^sorry>."]')
    s.mid('["Next time, ask," {A.said}. "I would have let you hold it."|"<forgive>," {A.said}.|'
        '{A} <thought>. Then {A.he} let {C} hold {o} for a while.]')
    s.long('[half the village had come to hear it, and now they clapped.|{B} stood up and put '
        'away the cloth. "That was all," {B.said}.|{A} wiped {o} with {A.his} sleeve and held it '
        'to {A.his} heart.] ["How did you know what to ask?" {A.asked}. "Whoever loves a thing '
        'knows it well," {B.said}.|then {B} asked them both in, and there was <food>.|"I will '
        'find something of my own," {C.said}, and {A} promised to help.]')
    s.paragraph()
    s.close('[from that day on {A} took good care of {o}, and {C} told the truth, even when it '
        'was hard.|that evening {A} looked at {mark} and was glad of it ever after, for it had '
        'brought {o} home.|after that {A} and {C} were on good terms, and {o} was never left on a '
        'bench again.]')
    s.fact(want='to get {A.his} {o.n} back', why='{C} said that {o} was {C.his} own.', helper="B",
        how='{A} knew that there was {mark}.', rival="C", end='{A} got {o} back.')


@plot("a bully|a bridge", DURABLE, but="heavy")
def guard_of_the_bridge(s):
    """A bully lets nobody over the bridge without a toll; kindness finds out why."""
    s.cast("C", ability="strong")
    s.cast("B", named=True)
    pairs = s.plan("pair", range(5))
    s.words["reason"] = ('nobody ever says good morning to me',
        'I have a thorn in my foot, and it hurts day and night',
        'I cannot sleep for the noise of all those feet',
                         'I am alone, and this is the only way to make anyone stop and talk',
                             'I have had a toothache for a week')[pairs]
    s.words["cure"] = ('[{A} said good morning, and sat down on the rail to talk|{A} shook '
        '{C.his} hand and wished {C.him} a very good morning]', '[{A} pulled out the thorn and '
        'bound up the foot with a leaf|very gently {A} drew out the thorn]',
                       '[{A} laid moss on the planks, so that every step was soft|{A} spread '
                           'straw over the planks, and all was quiet]',
                           '[{A} sat down beside {C} and told {C.him} a story|{A} sat down, and '
                           'they talked until the sun was low]',
                       '[{A} tied a warm cloth round {C.his} cheek and made {C.him} clove tea|{A} '
                           'gave {C.him} a clove to bite on, and the pain went away]')[pairs]
    opening(s)
    s.owns("A")
    s.say('[{A} wanted to bring {o.a} to {B.intro}, who lived across the river.|across the river '
        'lived {B.intro}, and {A} wanted to bring {B.him} {o.a}.|{A} wanted to visit {B.intro}, '
        'who lived on the other side of the river, and bring {B.him} {o.a}.]')
    s.comes("C")
    s.say('[but at the bridge stood {C.intro}. "Nobody crosses," {C.said}, "without giving me '
        'something."|but {C.intro} sat in the middle of the bridge. "Give me {o}," {C.said}, "or '
        'go back."|{C.intro} guarded the bridge. "Hand over {o}!" {C.said}.]')
    s.mid('[{A} took a step forward, and {C} roared.|{A} tried to run past, but {C} was '
        'everywhere.|"It is not for you," {A.said}. "Then go home," {C.said}.|{A} tried to wade '
        'across, but the water was too deep.]')
    s.long('[an old cart stood there, waiting since Monday.|on the bank sat others who could not '
        'cross.|"I will be back," {A.said}, but {A.he} did not know what to do.]')
    s.paragraph()
    s.say('[{A} <thought>. Then {A.he} asked, "Why do you do this?"|{A} looked up at {C}. "Are '
        'you unhappy?" {A.he} asked.|but {A} saw that {C.ns} eyes were sad. "What is wrong?" '
        '{A.he} asked.]')
    s.mid('[{C} was silent for a long time.|nobody had ever asked {C.him} that.|{C} opened '
        '{C.his} mouth to roar, and shut it again.|{C} <surprised>.]')
    s.say('["{^reason}," {C.said}.|"It is like this: {reason}," {C.said}.|"If you must know, '
        '{reason}," {C.said}.] {cure}.')
    s.say('[{C} smiled for the first time in years. "You may cross," {C.said}.|"Is it better?" '
        '{A.asked}. "Much better," {C.said}. "Go across, and keep {o}."|{C} stood up and made '
        'way. "Go, friend," {C.said}.]')
    s.leaves("C")
    s.comes("B")
    s.long('[behind {A} the others came over too, one by one, and each of them wished {C} a good '
        'day.|on the other side {A} turned round and waved, and {C} waved back.|the water ran on '
        'under the bridge, and it sounded like laughing.] [the sun was low when {A} saw the roof '
        'of {B.ns} house.|it was not far now, and {A} hummed as {A.he} walked.|{A} felt for {o}. '
        'It was still there.]')
    s.paragraph()
    s.hands("A", "B", keeps=True)
    s.say('[so {A} came over the bridge, and {B} got {o}.|{A} ran across and gave {B} {o}.|before '
        'dark {A} was at {B.ns} house, and {B} had {o}.]')
    s.mid('["How did you get past the bridge?" {B.asked}. "I asked," {A.said}.|"<thanks>," '
        '{B.said}. "But were you not afraid?" "At first," {A.said}.|{B} <glad>, and they had '
        '<food>.]')
    s.close('[from that day on {C} greeted everyone who crossed, and {A} with {o} had been the '
        'first.|and on the way home, and ever after, {C} waved from the bridge, and {A} waved '
        'back.|after that nobody had to pay at the bridge, and {A} brought {C} <treat> whenever '
        '{A.he} visited {B} and {o}.]')
    s.fact(want='to bring {o} to {B}', why='{C} let nobody cross the bridge.',
        where='at the bridge', how='{A} asked {C} why, and was kind to {C.him}.', rival="C",
        receiver="B", end='{A} crossed the bridge and gave {B} {o}.')
