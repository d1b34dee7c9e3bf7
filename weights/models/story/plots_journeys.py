"""Plots about journeys, messages, storms, strangers and the way home."""

from beats import opening, scene, treasure, walk, weather
from plots import DURABLE, plot


@plot("a journey|a delivery|a message", DURABLE + " food", but="heavy")
def carried_far(s):
    """The hero must bring the object to someone far away before dark; the way is barred, and a
    helper knows how to pass."""
    s.cast("C", named=True)
    bars = {"swim": ('a wide river without a bridge',
        '{B} took {A} on {B.his} back and swam across',
        '{A} put one foot in, but the water was too fast'),
            "strong": ('a fallen tree that lay across the path',
                '{B} lifted the trunk, and {A} crept under it',
                '{A} pushed at the trunk, but it did not move'),
            "dig": ('a high wall without a gate',
                '{B} dug a hole under the wall, and {A} crept through',
                '{A} tried to climb the wall, but it was too smooth'),
            "see": ('a dark tunnel under the hill',
                '{B} went ahead in the dark and led {A} by the hand',
                '{A} went in ten steps and could see nothing at all'),
            "gnaw": ('a gate that was tied shut with thick rope',
                '{B} gnawed through the rope, and the gate swung open',
                '{A} pulled at the knots, but they were as hard as stone'),
            "nose": ('a mist so thick that the path was gone',
                '{B} followed the path with {B.his} nose and led {A} along',
                '{A} went in a circle and came back to the same stone')}
    mine = s.abilities("A")
    way = s.plan("bar", [k for k in sorted(bars) if k not in mine and not ("fly" in mine and k in (
        "swim", "strong", "dig"))])
    s.cast("B", ability=way)
    s.words["bar"], s.words["pass"], s.words["fail"] = bars[way]
    s.word("town", 'beyond the hills|on the far side of the forest|by the sea|behind the mountain|'
        'at the other end of the valley')
    opening(s)
    s.owns("A")
    s.say('[{A} wanted to bring {o.a} to {C.intro}, who lived {town}. {A.he} had to be there '
        'before dark.|{town} lived {C.intro}, and {A} wanted to bring {C.him} {o.a} before dark.|'
        '<one-day> there came a message from {C.intro}, who lived {town}: "Please bring me {o.a} '
        'before dark!" {A} wanted to help.]')
    s.mid('[{A} packed {o} into a bag with some bread.|"I will be there in time," {A.said}, and '
        'tied {o} to {A.his} belt.|{A} took {o} under one arm and a stick in the other hand.]')
    weather(s)
    s.long('[the road went up and down, past fields and farms.|{A} passed a mill, a chapel and a '
        'field of poppies.|<animals> went along for a while, and then it turned back.|{A} sang '
        'until {A.his} throat was dry.]')
    s.say('[but after many hours {A} came to {bar}.|halfway there was {bar}.|then, in the '
        'afternoon, {A} stood before {bar}.] {fail}.')
    s.mid('[{A} <sad>. The sun was already low.|"I promised," {A.said}. "I must get there."|{A} '
        'looked at {o}. "What now?" {A.he} said.|the shadows grew long, and {A} <afraid>.]')
    s.paragraph()
    s.comes("B")
    s.say('[<just-then> {B.intro} came along. "<what-wrong>?" {B.asked}.|by the path sat '
        '{B.intro}. "Where are you going?" {B.asked}.|"You look tired," said {B.intro}, who was '
        'resting there.]')
    s.mid('[{A} told {B.him} about {o} and about {C.name}, who was waiting.|"I must bring {o} to '
        '{C.name} before dark," {A.said}.|{A} showed {B.him} {o} and told the whole story.] [{B} '
        '<nodded>.|]')
    s.say('"<help-offer>," {B.said}. {pass}.')
    s.say('["<thanks>!" {A.cried}, and ran on.|{A} thanked {B.him} and hurried on.|"<thanks>!" '
        '{A.cried}. "<welcome>," {B.said}. "Now run!"]')
    s.leaves("B")
    s.long('[{A} ran the last mile without stopping.|one star was out already when {A} saw a '
        'light.|{A.his} feet hurt, but {A.he} did not slow down.]')
    s.long('[the path before {A} was white in the dusk, and every stone looked like a hare.|{A} '
        'counted the milestones: one more, and one more, and one more.|somewhere a clock struck, '
        'and {A} ran even faster.] [{o} bumped against {A.his} side at every step.|"I will be '
        'there, I will be there," {A} said in time with {A.his} feet.|a dog barked, and {A} knew '
        'that a house was near.]')
    s.paragraph()
    s.comes("C")
    s.hands("A", "C", keeps=True)
    s.say('[just before dark {A} knocked at {C.ns} door and gave {C.him} {o}.|as the last light '
        'went, {A} stood before {C} and held out {o}.|"You came!" {C.cried}, and {A} gave {C.him} '
        '{o}.]')
    s.mid('["I have waited all day," {C.said}. "<^thanks>."|{C} held {o} to {C.his} heart.|"I '
        'knew that you would come," {C.said}.] [they had <food>.|{^A} fell asleep in the chair by '
        'the fire.|]')
    s.close('[from that day on everyone knew that what {A} promised was done, and {C} had {o} to '
        'prove it.|that night {A} slept in {C.ns} best bed, and {o} stood on the table, safe and '
        'sound.|{A} and {C} were friends ever after, and {B} too was asked to supper, for without '
        '{B} {o} would never have come.]')
    s.fact(want='to bring {o} to {C} before dark', why='{A} came to {bar}.', helper="B",
        where='on the way to {C.ns} house', how='{pass}.', receiver="C",
        end='{A} gave {C} {o} just before dark.')


@plot("medicine|somebody who is ill", "flower food garden",
    but="heavy tool pumpkin cabbage turnip melon loaf pie cake cheese egg")
def for_the_sick(s):
    """Someone dear is ill, and only the object can help; its keeper on the mountain gives it to
    the brave."""
    s.place("P", "rocks thorns mud", "house")
    s.cast("C")
    s.cast("B")
    s.word("who", 'grandmother|mother|little sister|father|little brother|grandfather')
    s.word("test", 'Are you not afraid of me|Why should I give it to you|What will you give me '
        'for it|How do I know that you tell the truth')
    opening(s)
    s.say('[<one-day> {A.his} {who} fell ill. "Only {o.a} can help," said the doctor.|{A.his} '
        '{who} was very ill, and the only cure was {o.a}.|<one-day> {A.his} {who} lay in bed and '
        'would not eat. "I would like {o.a}," {A.his} {who} said softly.]')
    s.say('[it was to be found only {P.in}. "I will fetch it," {A.said}.|"I will get it, wherever '
        'it may be," {A.said}. It was to be found only {P.in}.|{A} wanted to get it that very '
        'hour, but it was to be found only {P.in}.]')
    walk(s)
    scene(s)
    s.long('[the way grew steep and stony.|thorns caught at {A.his} legs, but {A.he} went on.|{A} '
        'thought of {A.his} {who} and walked faster.]')
    s.comes("B")
    s.mid('[on the way {A} met {B.intro}. "It is guarded," {B.said}. "Be polite."|{B.intro} '
        'showed {A.him} the way. "Say please," {B.said}, "and tell the truth."|"Turn back," said '
        '{B.intro}. "It is well guarded." But {A} went on.]')
    s.leaves("B")
    s.paragraph()
    s.comes("C")
    s.owns("C")
    s.say('[there stood {C.intro}, who guarded {o}.|{o} was there, {P.spot}, but beside it sat '
        '{C.intro}.|<at-last> {A} saw it. But {C.intro} stood in front of it.] ["{test}?" '
        '{C.asked}.|"Not a step farther!" {C.said}. "{test}?"]')
    s.say('["I have nothing to give," {A.said}, "but my {who} is ill."|{A} trembled. "I am '
        'afraid," {A.he} said, "but my {who} needs it more than I need to be brave."|"Please," '
        '{A.said}. "My {who} is ill, and I want to help."]')
    s.mid('[{C} <thought>.|{C} bent down and looked into {A.ns} eyes.|the wind blew, and neither '
        'of them spoke.|a tear fell from {C.ns} eye, for {C.he} had a mother too.]')
    s.hands("C", "A", keeps=True)
    s.say('["Take it," {C.said}, and gave {A.him} {o}.|"You have a good heart," {C.said}, and '
        'gave {A} {o}.|then {C} put {o} into {A.his} hands. "Run," {C.said}.]')
    s.leaves("C")
    s.long('[all night long {A} walked, with {o} under {A.his} coat.|down the slope {A} ran, and '
        'over the fields, and never once stopped.|it began to rain, but {A} held {o} dry and '
        'safe.]')
    s.long('[the moon went along with {A} all the way, now before {A.him} and now behind.|twice '
        '{A} fell, and twice {A.he} looked first whether {o} was whole.|"Hold on," {A} said into '
        'the wind. "I am coming."] [at the last hill {A.his} breath was gone, but there was the '
        'light in the window.|the roosters were crowing when {A} saw the chimney.|{A} could think '
        'of nothing but {A.his} {who}.]')
    s.paragraph()
    s.things["o"].holder = None
    s.say('[in the morning {A} was home, and {A.his} {who} had {o} and smiled.|{A} came home at '
        'dawn, and as soon as {A.his} {who} had {o}, there was colour in those pale cheeks.|"Here '
        'it is!" {A.cried}, and by evening {A.his} {who} could sit up.]')
    s.mid('["You went so far for me," said the {who}.|"I feel better already," said the {who}.|a '
        'few days later the {who} was well and wanted pancakes.|{A} was so tired that {A.he} '
        'slept for a whole day.]')
    s.close('[from that day on {A} brought {C} <treat> every month, and never forgot what {o} had '
        'done.|and every evening after that they sat together and told the story of {o}.|the '
        '{who} was soon well again, and they lived happily ever after, thanks to {o}.]')
    s.fact(want='to bring {A.his} {who} {o.a}', why='{A.his} {who} was ill.', where='{P.in}',
        how='{A} told {C} the truth, and {C} gave {A.him} {o}.', owner="C", helper="C",
        end='{A.his} {who} got well again.')


@plot("being lost|the way home", "light music toy", but="heavy")
def lost_in_the_mist(s):
    """The hero strays from the path; the object, seen or heard, brings help."""
    s.place("P", "trees rocks mud", "house dark")
    s.cast("B", ability="see" if s.chance("see", 40) else "nose")
    light, music = "light" in s.tags("o"), "music" in s.tags("o")
    opening(s)
    treasure(s)
    s.say('[<one-day> {A} followed a butterfly and strayed from the path {P.in}.|<one-day> {A} '
        'went {P.to} to pick berries and lost the way.|<one-day> mist came up while {A} was '
        '{P.in}, and the path was gone.]')
    s.say('[{A} wanted to go home, but which way was it?|every way looked the same. {A} wanted '
        'only one thing: to go home.|"I want to go home," {A.said}, but nobody heard.]')
    scene(s)
    s.mid('[{A} walked to the left and came to a ditch. {A.he} walked to the right and came to '
        'the same ditch.|{A} called and called until {A.he} was hoarse.|it grew dark, and {A} '
        '<afraid>.|{A} sat down under a bush and <sad>.]')
    s.long('[something rustled. It was only <animals>.|"I must not cry," {A.said}, and cried a '
        'little.|{A} thought of supper, and of the warm bed at home.|twice {A} thought that '
        '{A.he} saw the path, but it was only a stream.]')
    s.paragraph()
    if light:
        s.say('[then {A} remembered {o}. {A.he} lit it and held it up high.|but {A} had {o} in '
            'the bag. It gave a small, warm light.|"I have {o}!" {A.cried}, and lit it with stiff '
            'fingers.]')
        s.word("sign", 'light')
        s.say('[far away, somebody saw the light.|the light shone through the mist, and far away '
            'somebody saw it.]')
    elif music:
        s.say('[then {A} remembered {o}, and {A.he} played as loud as {A.he} could.|but {A} had '
            '{o} in the bag. The sound of it went far through the dark.|"I have {o}!" {A.cried}, '
            'and let it sound again and again.]')
        s.word("sign", 'sound')
        s.say('[far away, somebody heard it.|the sound went over the hills, and far away somebody '
            'heard it.]')
    else:
        s.say('[then {A} remembered {o}. {A.he} held it tight and was not quite so alone.|but {A} '
            'had {o} in the bag, and {A.he} hung it on a branch where it could be seen.|"At least '
            'I have {o}," {A.said}, and put it on a stone in the moonlight.]')
        s.word("sign", 'sight')
        s.say('[and somebody saw it.|not far away, somebody saw it in the moonlight.]')
    s.comes("B")
    s.say('[it was {B.intro}. "<hello>," {B.said}. "Are you lost?"|it was {B.intro}, who came '
        'running. "What are you doing here so late?" {B.asked}.|soon steps came near, and there '
        'was {B.intro}. "There you are!" {B.said}. "Everyone is looking for you."]')
    s.mid('["I do not know the way home," {A.said}.|{A} could only nod.|"I am so glad that you '
        'came!" {A.said}.]')
    s.say('["I know these paths in the dark," {B.said}, and took {A} by the hand.|"<help-offer>," '
        '{B.said}, and {B.he} led {A} along a narrow path.|{B} knew the way, and {B.he} went '
        'ahead with {A} close behind.]')
    s.long('[they went over a brook and through a hollow, and {o} went with them.|on the way {B} '
        'told stories, and the dark was only half as dark.|"Mind the root," {B.said}, and "Mind '
        'the stone."]')
    s.long('["Were you never afraid out here?" {A.asked}. "Once," {B.said}, "until I had learned '
        'the way."|{A} held on to {B.ns} coat and put one foot before the other.|the mist grew '
        'thinner, and there was one star, and then ten.] [they talked about <food>, and how good '
        'it would taste.|far off a dog barked, and it was a dog that {A} knew.|"Left at the old '
        'stump," {B.said}. "Remember it for the next time."]')
    s.paragraph()
    s.say('[at midnight {A} saw the light of {A.his} own window. {A.he} was home.|<at-last> they '
        'came round the last bend, and there was {A.ns} house.|before long {A} stood at {A.his} '
        'own door.]')
    s.mid('"<thanks>!" {A.said}. ["<welcome>," {B.answered}.|"And thank {o} too," {B.said}.|'
        '"Without {o} I would never have found you," {B.said}.]')
    s.close('[from that day on {A} stayed on the path, and never went anywhere without {o}.|that '
        'night {A} hung {o} over the bed and slept until noon, and {A.he} never left the path '
        'again.|{A} and {B} were friends ever after, and {o} had its place by the door.]')
    s.fact(want='to go home', why='{A} was lost.', helper="B", where='{P.in}',
        how='{B} found {A} because of {o} and led {A.him} home.', end='{A} came safely home.')


@plot("a storm|a shelter|making room", "warm light music tool", but="heavy metal small")
def room_for_one_more(s):
    """In a storm one guest after another knocks; the hero is afraid for the object, but opens."""
    s.cast("B", without="strong")
    s.cast("C", ability="strong")
    s.trait('orderly, liked to have everything just so|quiet, liked to be alone in the evening|'
        'careful, kept the door shut')
    pair = s.plan("pair", range(4))
    s.words["danger"] = ('the wind tore the door open', 'the roof began to lift',
        'a branch broke the window', 'the water came in under the door')[pair]
    s.words["saved"] = ('leaned against the door and held it shut until the storm was over',
        'hung on to the beam and held the roof down',
        'set the table against the window and held it there',
        'rolled a great stone before the door, and the water stayed outside')[pair]
    opening(s)
    treasure(s)
    s.say('[one night there came a great storm. {A} wanted nothing but to sit in peace with {o}.|'
        'on a night of wind and rain {A} sat at home with {o} and wanted to be left alone.|the '
        'storm howled round the house. "I want nobody here tonight, only {o} and me," {A.said}.]')
    s.comes("B")
    s.say('[then somebody knocked. It was {B.intro}, quite wet. "Please let me in," {B.said}.|'
        'knock, knock! Outside stood {B.intro} in the rain. "May I come in?" {B.asked}.|there was '
        'a small knock at the door, and there stood {B.intro}. "I am so cold," {B.said}.]')
    s.mid('["There is hardly room for me," {A.said}, and looked at {o}.|{A} thought of the clean '
        'floor.|"You will drip on everything," {A.said}.|{A} did not want to, but the wind was so '
        'cold.] [but {A.he} opened the door wide.|but {A.he} could not leave {B.him} out there.]')
    s.say('[{A} let {B.him} in.|so {B} came in and sat by the fire.|{A} moved aside, and {B} came '
        'in.]')
    s.comes("C")
    s.say('[soon there was another knock. It was {C.intro}. "Is there room for one more?" '
        '{C.asked}.|hardly was the door shut when {C.intro} knocked. "Is there room for one '
        'more?" {C.asked}.|and then came {C.intro}, as wet as a fish. "Room for one more?" '
        '{C.asked}.]')
    s.mid('["No!" {A} wanted to say, but {A.he} said, "Come in."|"You are much too big," '
        '{A.said}, but {A.he} pulled in {A.his} feet and made room.|{B} moved closer to the wall. '
        '"If we sit close, there is room," {B.said}.]')
    s.say('[now it was so crowded that nobody could move.|{C} squeezed in, and now there was no '
        'room left at all.|they sat so close that they breathed in turn.]')
    s.long('[{A} held {o} up high so that nobody would sit on it.|{B} sneezed, and somebody trod '
        'on {A.ns} foot.|"Who is snoring?" {A.asked}, but it was only the wind.|they shared '
        '<food>, and it was enough.]')
    s.paragraph()
    s.say('[<just-then> {danger}!|in the middle of the night {danger}!|then there was a crash, '
        'and {danger}!]')
    s.say('[quickly {C} {saved}.|but {C} jumped up and {saved}.|"Leave it to me!" {C.said}. And '
        '{C} {saved}.]')
    s.mid('["If I had been alone, I would have lost everything," {A.said}.|{A} <surprised>. '
        '{A.he} could never have done that alone.|"How good that you are so big!" {A.said}.|{B} '
        'meanwhile put {o} under {B.his} coat and kept it dry.]')
    s.say('[then {A} brought out {o}, and all of them had some good of it.|{A} fetched {o} and '
        'shared it with the others.|and now {A} was glad to share {o} with both of them.]')
    s.long('[they told stories until it grew light.|{B} told the story of a frog who wanted to be '
        'king.|outside it roared, and inside it was warm.]')
    s.long('[{C} taught them a song with twelve verses, and {B} sang the low part.|{A} found '
        '<food> at the back of the shelf and cut it into three.|nobody could lie down, and so '
        'they leaned against each other.] ["I have never had so much company," {A.said}, "nor '
        'such a warm night."|one after the other they fell asleep, and {o} lay in the middle.|the '
        'wind tried the door once more, and then it gave up.]')
    s.paragraph()
    s.close('[in the morning the storm was over, and nobody wanted to go. From that day on {A.ns} '
        'door was never locked, and {o} was there for every guest.|when the sun came up, {A} '
        'said, "Come again!" And they came, every Sunday, and were friends ever after.|from then '
        'on {A} always had room for one more, and {o} was never so much used and so much loved.]')
    s.fact(want='to sit in peace with {o}', why=
        'there was a storm, and one guest after another knocked.', helper="C", where="{A.home}",
        how='when {danger}, {C} {saved}.', end='they were all safe, and {A} shared {o}.')


@plot("seeing the sea|a dream|seeing the world", DURABLE, but="heavy")
def saw_the_sea(s):
    """The hero has always wanted to see something far away, goes there, and brings back more than
    a memory."""
    s.word("goal", 'the sea|the great lighthouse|the snow on the high mountain|the city with a '
        'hundred towers|the place where the river begins')
    s.cast("B")
    s.cast("C")
    s.word("hard", 'it rained for three days|the bread was eaten and the road was long|a storm '
        'blew {A.his} cap away|the bridge was broken, and {A} had to go round by the hills|'
        '{A.his} feet were full of blisters')
    opening(s)
    s.say('[all {A.his} life {A} had wanted to see {goal}.|{A} wanted to see {goal}, just once.|'
        '"One day I will see {goal}," {A} said every evening. It was what {A.he} wanted most.]')
    s.comes("C")
    s.mid('["It is much too far," said {C.intro}.|{C.intro} laughed. "Stay here," {C.said}. "Here '
        'you have all you need."|"Nobody from here has ever been there," said {C.intro}.]')
    s.leaves("C")
    s.owns("A")
    s.say('[so <one-day> {A} packed {o.a} and <set-out>.|<one-day> {A} put {o.a} into a bag, shut '
        'the door and set off.|{A} took nothing but some bread and {o.a}, and off {A.he} went.]')
    weather(s)
    s.say('[but {hard}.|the first day was easy, but then {hard}.|it was harder than {A.he} had '
        'thought, for {hard}.]')
    s.mid('[{A} thought of home and <sad>.|"Shall I turn back?" {A.he} asked the wind.|in the '
        'evening {A} held {o} and felt a little better.|{A} slept in a haystack and looked at the '
        'stars.]')
    s.paragraph()
    s.comes("B")
    s.say('[then {A} met {B.intro}, who was going the same way.|at a crossroads sat {B.intro}. "I '
        'want to see {goal} too," {B.said}.|{B.intro} shared {B.his} fire with {A}, and they '
        'talked.] ["Let us go together," {B.said}.|"Two walk better than one," {B.said}, and they '
        'went on side by side.|"I know a shorter way," {B.said}. "Come with me."]')
    s.long('[in the evenings {A} brought out {o}, and {B} told stories.|when one was tired, the '
        'other carried both bags.|they sang so loud that <animals> stopped to listen.|{B} knew '
        'every bird by its song.]')
    s.say('[on the seventh day they stood before {goal}.|and one morning, there it was before '
        '{A}: {goal}.|they came over the last hill, and there was {goal}.]')
    s.say('[it was bigger and brighter than {A} had ever dreamed, and for a long time {A.he} '
        'could not speak.|{A} <surprised>. "So this is what it looks like," {A.he} said.|neither '
        'of them said a word. {A} laughed and cried at once.]')
    s.mid('["I wish they could see it at home," {A.said}.|{A} stayed until the sun went down.|'
        '"Look! Only look!" {A.cried}.|{A} put {o} down and simply looked.]')
    s.say('[before they left, {A} gave {B} {o} to remember the day by.|when it was time to part, '
        '{A} gave {B} {o}. "Think of me when you look at it," {A.said}.|at the crossroads {A} put '
        '{o} into {B.ns} hands, as a gift.]')
    s.hands("A", "B", keeps=True)
    s.long('["Will you come again?" {B.asked}. "Or you come to me," {A.said}.|{B} walked '
        'backwards for a while, so as to wave the longer.|{A} turned round seven times, and each '
        'time {B} was smaller.] [the way home seemed only half as long.|{A} slept in the same '
        'haystack, and the same stars were there.|in {A.his} pocket {A} had a little stone from '
        '{goal}.]')
    s.paragraph()
    s.close('[at home {A} told them all about {goal}, and about {B}, who had {o}, and {A.he} told '
        'it every winter after that.|{A} came home with an empty bag and a full heart, and {A.he} '
        'spoke of {goal} and of {B} with {o} ever after.|from that day on {A} had a friend far '
        'away who kept {o}, and when {A.he} shut both eyes, {A.he} saw {goal}.]')
    s.fact(want='to see {goal}', why='it was far away, and {hard}.', helper="B", where='at {goal}',
        how='{A} and {B} went on together.', receiver="B", end='{A} saw {goal} and gave {B} {o}.')


@plot("a new friend|being new|loneliness", "toy music food treasure", but="heavy")
def new_in_the_place(s):
    """The hero has moved and knows nobody; the object breaks the ice."""
    s.place("P", "open crowd trees", "snow")
    s.cast("B", named=True)
    s.cast("C")
    s.trait('shy, looked at the ground when somebody spoke|lonely, had nobody to talk to in the '
        'evening|quiet, did not know what to say to strangers')
    opening(s)
    s.say('[{A} was new there and knew nobody. {A.he} wanted to find a friend.|{A} had only just '
        'moved there. More than anything {A.he} wanted a friend.|it was {A.his} first week there, '
        'and {A.he} wanted a friend.]')
    s.owns("A")
    s.say('[all that {A} had from {A.his} old home was {o.a}.|{A} had brought {o.a} from the old '
        'house.|in {A.his} bag {A} had {o.a}, a present from an old neighbour.]')
    s.say('[<one-day> {A} went {P.to}, where the others were, but nobody looked up.|{A} went '
        '{P.to} and stood a little apart from the others.|<one-day> {A} walked {P.to}, but {A.he} '
        'did not dare to speak to anyone.]')
    scene(s)
    s.comes("C")
    s.mid('["Who is that?" asked {C.intro}. "Nobody," said another.|{C.intro} ran past and nearly '
        'knocked {A.him} over.|"You are standing in the way," said {C.intro}.] {A} <sad>.')
    s.leaves("C")
    s.long('[{A} said "Good morning" so softly that nobody heard.|at night {A} practised in front '
        'of the mirror. "Hello. I am {A.name}."|{A} counted the clouds, and then the stones.]')
    s.paragraph()
    s.say('[then {A} sat down and took out {o}.|so {A} sat on a stone and began to look at {o}, '
        'all alone.|the next day {A} took {o} along, so as not to be quite alone.]')
    s.comes("B")
    s.say('["What have you got there?" said a voice. It was {B.intro}.|<later> {B.intro} stopped. '
        '"Is that {o.a}?" {B.asked}.|a shadow fell on {o}. There stood {B.intro}. "May I look?" '
        '{B.asked}.]')
    s.say('[{A} held out {o}. "You may hold it," {A.said}.|"Yes," {A.said}. "Would you like to '
        'try it?"|{A} turned red, but {A.he} nodded and made room.]' if "food" not in s.tags("o")
        else '[{A} held out {o}. "You may have half," {A.said}.|"Yes," {A.said}. "Would you like '
        'some?"|{A} turned red, but {A.he} nodded and broke {o} in two.]')
    s.mid('[{B} sat down. "I was new here too, last year," {B.said}.|"I am {B.name}," {B.said}. '
        '"And you?" "I am {A.name}," {A.said}.|"I have wanted to talk to you for days," {B.said}, '
        '"but I was too shy."|"Where do you come from?" {B.asked}, and {A} told {B.him}.]')
    s.say('[they talked and laughed until the bell rang for supper.|soon they were laughing as if '
        'they had known each other for years.|and before {A} knew it, the whole afternoon was '
        'gone.]')
    s.long('[one after another the others came too, and nobody stood apart any more.|"Come and '
        'play with us!" called the others.|{B} showed {A} the best hiding places and the sweetest '
        'berries.]')
    s.mid('["Will you come again tomorrow?" {B.asked}. "Yes!" {A.said}.|"Tomorrow I will bring '
        'something too," {B.said}.|{A} <glad>. It was so easy, once it had begun.]')
    s.long('[{B} took {A} home, and there was <food> for both of them.|"This is {A.name}," '
        '{B.said} to everyone they met, and everyone said hello.|they found out that they both '
        'liked rain, and neither liked turnips.] [the lamps were lit when {A} ran home at last.|'
        'that evening the new house did not feel so new any more.|"Same place, same time," '
        '{B.said}, and they shook hands on it.]')
    s.paragraph()
    s.close('[from that day on {A} and {B} met every day, and it had all begun with {o}.|that '
        'evening {A} wrote home, "I have a friend," and drew a picture of {o} beside it, and '
        'slept well that night.|{A} was never lonely again. And whenever somebody new came, {A} '
        'was the first to say hello, and told how {o} had helped.]')
    s.fact(want='to find a friend', why='{A} was new and knew nobody.', helper="B", where='{P.in}',
        how='{B} saw {o}, and they began to talk.', end='{A} and {B} became friends.')


@plot("a noise in the night|being afraid", DURABLE + " food", but="heavy")
def bump_in_the_night(s):
    """Something goes bump at night; the hero, afraid, finds somebody harmless who needs the
    object."""
    s.cast("C", ability="small")
    s.word("noise", 'Bump, bump|Scratch, scratch|Creak, creak|Tap, tap, tap|Rustle, rustle')
    s.word("where", 'on the stairs|under the window|behind the door|in the kitchen|in the attic')
    s.words["need"] = s.plan("need", ('I only wanted to look at {o}',
        'I have never had {o.a}, and I wanted to see one',
        'I was all alone, and I saw {o} through the window',
        'I dreamed of {o.a} and wanted to see if it was real'))
    opening(s)
    treasure(s) if "food" not in s.tags("o") else s.owns("A")
    if "food" in s.tags("o"):
        s.say('[{A} had {o.a}, and {A.he} kept it for Sunday.|on the kitchen shelf {A} had {o.a}.]')
    s.say('[one night {A} woke up, for something went "{noise}!" somewhere {where}.|one night, '
        'when the moon was full, there was a noise {where}. {noise}!|"{noise}!" it went {where} '
        'in the middle of the night, and {A} sat up in bed.]')
    s.mid('[{A} <afraid>.|{A} pulled the blanket over {A.his} head.|{A.his} heart beat like a '
        'drum.|"Perhaps it is the wind," {A.said}, but there was no wind.]')
    s.say('["I want to know what it is," {A.said}. {A.he} took a candle and went to look.|but {A} '
        'wanted to know what it was, and so {A.he} crept out of bed.|{A} thought of {o}. "I must '
        'see that nobody takes it," {A.said}, and got up.]')
    s.long('[the floor was cold, and every board creaked.|one step and a stop, another step and a '
        'stop: so went {A}.|the candle threw long shadows on the wall.|"Who is there?" {A.asked}. '
        'Nobody answered.]')
    s.say('["{noise}!" it went again, and {A} held {A.his} breath.|then {A} heard it once more: '
        '{noise}!|all was still, and then, quite near, {A} heard it: {noise}!]')
    s.paragraph()
    s.comes("C")
    s.say('[{A} held up the candle and saw {C.intro}, who was more afraid than {A}.|there {where} '
        'sat {C.intro}, and trembled.|it was no ghost. It was {C.intro}, who jumped into the air '
        'with fright.]')
    s.mid('["Please do not hurt me," {C.said}.|"Oh!" {C.cried}. "Oh!" {A.cried}. And then both '
        'were quiet.|they looked at each other with round eyes.]')
    s.say('["What are you doing here?" {A.asked}. "It is like this: {need}," {C.said}.|"Why do '
        'you come at night?" {A.asked}. "It is like this: {need}," {C.answered}.|"It is like '
        'this: {need}," {C.said}. "<^sorry>."]' )
    s.say('[{A} was not afraid any more. {A.he} fetched {o} and put it on the table between them.|'
        '{A} laughed, for now it was all so simple, and {A.he} let {C} hold {o}.|"Come in by the '
        'door next time," {A.said}, and showed {C.him} {o}.]')
    s.mid('[they had <food>, in the middle of the night.|{C} touched it with one finger and '
        '<glad>.|"And I thought that you were a monster," {A.said}. "So did I," {C.said}.|{A} '
        'gave {C.him} a corner of the blanket.]')
    s.long('[they talked until the candle went out.|the moon looked in, and the clock struck '
        'three.|{C} told of {C.his} home, and {A} told of {o}.]')
    s.long('["Do you know that I shook all over?" {A.asked}. "So did I," {C.said}, and they '
        'laughed again.|{C} showed how one can go "{noise}" with only one foot.|{A} found a '
        'second cup and a second chair.] [outside an owl called, and neither of them was afraid '
        'of it.|it was the best night that {A} had had for a long time.|when the candle was out, '
        'they looked at the stars.]')
    s.paragraph()
    s.close('[from that day on {C} came by day and knocked, and {o} was there for both of them.|'
        'after that, when something went bump, {A} only said, "Come in, friend!" and was never '
        'afraid again. {o} stood ready on the table.|that night {A} slept better than ever, and '
        'in the morning {C} was still there, with one hand on {o}. They were friends from then '
        'on.]')
    s.fact(want='to know what the noise was', why='there was a noise {where} at night.',
        where='{where}', how='{A} took a candle and found {C}.', thief="C",
        end='{A} and {C} became friends.')
