"""The world of the stories: who lives in it, where, and with what. Data only.

Everything is singular and every kind is one word or two, so that a sentence never has to agree with
a plural. Abilities decide who can help with what: an obstacle names the ability that overcomes it.
"""

# noun: (genders, abilities, adjectives, homes). Genders: "mf" both, "m" he, "f" she.
ANIMALS = {
    "fox": ("mf", "clever nose", "red young quick",
        "in a den under the roots of an old oak|in a den behind the blackberry bushes"),
    "hare": ("mf", "fast dig", "brown long-eared quick",
        "in a hollow at the edge of the wheat field|under a hedge by the meadow"),
    "rabbit": ("mf", "dig small", "white grey soft",
        "in a burrow under the hill|in a burrow beside the carrot field"),
    "hedgehog": ("mf", "small nose", "prickly little shy",
        "under a heap of dry leaves|in a nest of leaves at the end of the garden"),
    "mouse": ("mf", "small gnaw", "little grey brown",
        "in a hole in the barn wall|behind the stove of the old mill"),
    "squirrel": ("mf", "climb small", "red bushy-tailed nimble",
        "in a hollow chestnut tree|high up in a fir tree"),
    "badger": ("mf", "dig strong", "grey old stout",
        "in a deep burrow in the hillside|under the bank of the lane"),
    "otter": ("mf", "swim", "brown sleek playful",
        "in a holt by the river|under the willow at the bend of the river"),
    "beaver": ("mf", "swim gnaw", "busy brown broad",
        "in a lodge of sticks on the lake|behind a dam across the stream"),
    "bear": ("mf", "strong climb", "big brown young",
        "in a cave on the mountain|in a warm cave above the waterfall"),
    "mole": ("mf", "dig small", "black velvety little",
        "in a tunnel under the meadow|under the cabbage patch"),
    "frog": ("mf", "swim small", "green little spotted",
        "beside the lily pond|under a fern by the pond"),
    "duck": ("mf", "swim fly", "white brown plump",
        "among the reeds of the lake|beside the mill pond"),
    "goose": ("mf", "swim fly", "grey white proud",
        "on the farm by the lake|beside the village pond"),
    "hen": ("f", "", "speckled brown plump",
        "in the henhouse behind the farm|in a straw-filled basket in the barn"),
    "rooster": ("m", "loud", "golden proud young",
        "in the henhouse behind the farm|on the farm at the edge of the village"),
    "crow": ("mf", "fly clever", "black glossy old",
        "in the tallest pine of the forest|in a nest on the church tower"),
    "owl": ("mf", "fly see", "old wise grey", "in a hollow beech tree|in the loft of the old barn"),
    "robin": ("mf", "fly small", "little red-breasted cheerful",
        "in a nest in the holly bush|in a nest above the garden door"),
    "sparrow": ("mf", "fly small", "little brown cheeky",
        "under the roof of the bakery|in the ivy on the garden wall"),
    "magpie": ("mf", "fly clever", "black-and-white sharp-eyed noisy",
        "in a round nest in the poplar tree|at the top of the apple tree"),
    "swan": ("mf", "swim fly", "white graceful young",
        "on an island in the lake|among the water lilies"),
    "stork": ("mf", "fly tall", "white long-legged patient",
        "in a nest on the chimney|in a great nest on the farmhouse roof"),
    "cat": ("mf", "climb see", "black striped ginger",
        "in the baker's house|in a basket by the kitchen stove"),
    "dog": ("mf", "nose swim fast", "brown shaggy loyal",
        "in a kennel in the farmyard|in the shepherd's hut"),
    "pony": ("mf", "strong fast", "grey stubborn little",
        "in the stable behind the inn|in a paddock by the village"),
    "donkey": ("mf", "strong", "grey patient old",
        "in the miller's stable|in a shed beside the mill"),
    "goat": ("mf", "climb strong", "white nimble horned",
        "on the rocky hillside|in a stall beside the farmhouse"),
    "sheep": ("f", "", "woolly white gentle", "on the green hillside|in the fold below the hill"),
    "cow": ("f", "strong", "brown gentle spotted",
        "in the barn by the meadow|on the farm beside the brook"),
    "pig": ("mf", "nose", "pink muddy round",
        "in a sty behind the farmhouse|on the farm under the hill"),
    "ox": ("m", "strong", "big brown patient",
        "in the stable of the farm|in the barn beside the mill"),
    "tortoise": ("mf", "wise", "old slow patient", "under the rhubarb leaves|by the garden wall"),
    "snail": ("mf", "small climb", "little slow brown",
        "under a cabbage leaf|on the mossy garden wall"),
    "beetle": ("mf", "small fly", "shiny black little",
        "under the bark of a fallen log|under a stone in the garden"),
    "ant": ("f", "small strong", "tiny busy black",
        "in the anthill by the path|under a flat stone in the garden"),
    "bee": ("f", "fly small", "busy little golden",
        "in a hive at the end of the orchard|in a hive under the lime tree"),
    "bat": ("mf", "fly see small", "little brown shy",
        "in the roof of the old chapel|in a dry cave"),
    "deer": ("mf", "fast", "shy young spotted", "deep in the forest|in a thicket of young birches"),
    "wolf": ("mf", "strong fast nose", "grey lonely young",
        "in a cave among the pines|on the far side of the forest"),
    "lynx": ("mf", "climb see", "quiet spotted young",
        "among the rocks of the high forest|in a cave above the pines"),
    "raven": ("mf", "fly clever", "black old solemn",
        "on a crag above the valley|in the ruined tower"),
    "gull": ("mf", "fly swim", "white loud hungry",
        "on the cliff above the harbour|on the roof of the lighthouse"),
}
PEOPLE = {
    "girl": ("f", "small", "little brave cheerful", ""),
    "boy": ("m", "small", "little curious dreamy", ""),
    "princess": ("f", "", "young brave lively",
        "in a castle on the hill|in a small castle by the lake"),
    "prince": ("m", "", "young shy gentle",
        "in a castle on the hill|in a white castle above the river"),
    "old woman": ("f", "wise", "kind merry thin", ""),
    "old man": ("m", "wise", "kind merry bent", ""),
    "shepherd": ("mf", "climb", "young lonely patient",
        "in a hut on the hillside|in a small stone hut near the fold"),
    "miller": ("mf", "strong", "round floury cheerful",
        "in the mill by the river|in the windmill on the hill"),
    "baker": ("mf", "", "round cheerful busy",
        "above the bakery in the village square|in a warm house behind the bakery"),
    "farmer": ("mf", "strong", "hard-working honest young",
        "on a small farm in the valley|in a farmhouse beside the brook"),
    "fisherman": ("m", "swim", "poor old patient",
        "in a hut by the sea|in a little house beside the lake"),
    "woodcutter": ("mf", "strong climb", "poor strong honest",
        "in a hut at the edge of the forest|in a log house among the firs"),
    "blacksmith": ("mf", "strong", "big sooty cheerful",
        "beside the forge in the village|behind the forge at the crossroads"),
    "tailor": ("mf", "clever", "thin neat clever",
        "in a narrow house in the village|above the shop with the blue door"),
    "shoemaker": ("mf", "clever", "poor busy honest",
        "in a narrow house in the village|behind the little shoe shop"),
    "gardener": ("mf", "dig", "quiet patient sunburnt",
        "in a cottage behind the rose garden|in a little house among the apple trees"),
    "weaver": ("mf", "clever", "quiet patient young",
        "in a house with a creaking loom|at the end of the village street"),
    "sailor": ("mf", "swim climb", "young restless merry",
        "in a house by the harbour|on a small blue boat"),
    "clockmaker": ("mf", "clever", "careful grey-haired tidy",
        "in a shop full of ticking clocks|beside the village clock tower"),
    "juggler": ("mf", "clever climb", "merry young poor",
        "in a painted wagon|in a yellow cart at the edge of the village"),
    "king": ("m", "", "old good-natured worried",
        "in a castle on the hill|in a grey castle above the river"),
    "queen": ("f", "", "wise kind young",
        "in a castle on the hill|in a grey castle above the river"),
    "knight": ("mf", "strong", "brave young rusty",
        "in a tower at the edge of the kingdom|in the king's stables"),
    "pedlar": ("mf", "clever", "weary cheerful old",
        "in whatever barn was dry|in a cart with green wheels"),
}
FOLK = {
    "dwarf": ("m", "dig strong", "bearded grumpy little",
        "in a house under the mountain|behind a round door in the hillside"),
    "giant": ("mf", "strong tall", "clumsy gentle lonely",
        "on the mountain behind the clouds|in a house as big as a hill"),
    "dragon": ("mf", "fly strong", "small green young",
        "in a cave full of old spoons|in a warm cave on the mountain"),
    "fairy": ("f", "fly small", "tiny merry young",
        "in a foxglove by the stream|under a toadstool in the wood"),
    "gnome": ("m", "dig small", "bearded little tidy",
        "under a toadstool in the garden|in a house under the hazel roots"),
    "troll": ("mf", "strong", "grumpy mossy old",
        "under the stone bridge|in a cave beside the road"),
    "witch": ("f", "wise clever", "old forgetful friendly",
        "in a crooked house in the wood|in a house with a thatched roof"),
    "wizard": ("m", "wise clever", "old forgetful friendly",
        "in a tower with a pointed roof|in a round house on the moor"),
    "elf": ("mf", "climb see small", "nimble green-capped young",
        "in a house among the fir branches|in a hollow tree in the wood"),
}
COTTAGES = (
    'in a cottage at the edge of the village|in a small house by the river|in a stone house on '
        'the hill|'
    'in a cottage with a blue door|in a little house beside the mill|in a wooden house near the '
        'forest|'
    'in a narrow house in the village|in a cottage under two apple trees|in a white house by the '
        'lake|'
    'in a cottage at the end of the lane|in a little house behind the church|on a small farm in '
        'the valley')
KINDS = {}
for _group in (ANIMALS, PEOPLE, FOLK):
    for _noun, (_genders, _abilities, _adjectives, _homes) in _group.items():
        KINDS[_noun] = {
            "genders": _genders, "abilities": frozenset(_abilities.split()),
            "adjectives": _adjectives.split(), "homes": (_homes or COTTAGES).split("|"),
            "animal": _group is ANIMALS, "folk": _group is FOLK}
for _noun in "shepherd miller baker farmer woodcutter blacksmith tailor shoemaker gardener".split():
    KINDS[_noun]["tradesman"] = True
TINY = frozenset(("ant", "bee", "beetle", "snail"))  # too small to carry most objects

HE = """
Abel Adam Alan Albert Alec Alexander Alfie Alvin Amos Andrew Angus Anton Archie Arlo Arnold Arthur
Ashton Aubrey Baldwin Barney Bartholomew Basil Ben Benedict Benno Bernard Bertie Bjorn Blake Bob
Boris Brendan Brian Bruno Bryn Caleb Calvin Carl Casper Cecil Cedric Charlie Chester Christopher
Clarence Clement Clive Clyde Colby Colin Conrad Cornelius Cosmo Craig Cuthbert Cyril Damian Daniel
Darby Dario David Dennis Derek Desmond Dexter Digby Dominic Douglas Dudley Duncan Dylan Ebenezer
Eddie Edgar Edmund Edward Edwin Eli Elias Elliot Elmer Emil Emmett Enoch Eric Ernest Erwin Ethan
Eugene Evan Ewan Ezra Fabian Felix Ferdinand Fergus Finn Fletcher Floyd Flynn Francis Frank
Franklin Freddie Fritz Gabriel Gareth Gary Gaston Gavin Geoffrey George Gerald Gideon Gilbert
Giles Godfrey Gordon Graham Gregory Griffin Gunther Gus Hamish Hans Harold Harris Harry Harvey
Hector Heinz Henrik Henry Herbert Hobart Horace Howard Hubert Hugh Hugo Humphrey Ian Ignatius Igor
Irvin Isaac Isidor Ivo Ivor Jack Jacob Jake James Jamie Jasper Jeremy Jerome Jim Jimmy Joachim
Jock Joel Johann John Jonas Jonathan Joseph Jules Julian Justin Karl Kasper Keith Kenneth Kevin
Kit Klaus Knut Konrad Kurt Lambert Larry Lars Laurence Leander Leo Leon Leonard Leopold Leroy
Lester Lewis Liam Linus Lionel Lloyd Lorenz Louis Luca Luke Luther Magnus Malcolm Manfred Marcus
Martin Matthew Maurice Max Maxim Melvin Micah Michael Milo Mitch Monty Morris Mortimer Murray
Nathan Ned Neil Nelson Nicholas Nico Niels Nigel Noah Norbert Norman Norris Olaf Oliver Orlando
Orson Orville Osbert Oscar Oswald Oswin Otis Otto Owen Oz Pascal Patrick Paul Percy Perkin Perry
Peter Philip Phineas Piers Pip Prosper Quentin Quincy Quinn Ralph Randolph Raymond Reginald
Reinhold Reuben Richard Robert Roderick Rodney Roger Roland Rollo Ronald Rory Roscoe Ross Roy
Rudolf Rufus Rupert Russell Sam Samson Samuel Saul Sebastian Seth Sherman Sidney Siegfried Sigmund
Silas Simon Solomon Spencer Stanley Stefan Stephen Steven Stuart Sven Sylvester Terence Thaddeus
Theo Thomas Tim Timothy Tobias Toby Todd Tom Tony Travis Trevor Tristan Ulf Ulric Uri Valentine
Vernon Victor Vincent Virgil Wallace Walter Warren Wendell Wesley Wilbur Wilfred Willem William
Willis Winston Xavier Yorick Zachary Zeb""".split()
SHE = """
Abigail Ada Adela Adelaide Agatha Agnes Aileen Alexandra Alice Alison Alma Amanda Amelia Amy
Andrea Angela Anita Anna Annabel Annie Anthea Arabella Ariel Astrid Audrey Augusta Aurora Ava
Barbara Beatrice Becky Belinda Bella Bernadette Bertha Beryl Bessie Bettina Betty Bianca Blanche
Bonnie Brenda Bridget Brigitte Camilla Candida Cara Carla Carlotta Carmen Carol Caroline Cassie
Catherine Cecily Celeste Celia Charlotte Chloe Christina Claire Clara Claudia Clementine Cleo
Colleen Constance Cora Cordelia Cynthia Daisy Daphne Deborah Delia Della Denise Diana Dinah Donna
Dora Doris Dorothy Edith Edwina Effie Eileen Elaine Eleanor Eliza Elizabeth Ella Ellen Elsa Elsie
Elspeth Emily Emma Enid Erica Esme Estelle Esther Ethel Etta Eugenia Eunice Eva Evelyn Fanny Fern
Fiona Flavia Flora Florence Flossie Frances Freda Freya Frida Gabriella Gail Gemma Georgia
Geraldine Gerda Germaine Gilda Gillian Gina Gisela Gladys Gloria Greta Guinevere Gwen Gwendolyn
Hannah Harriet Hattie Hazel Hedda Hedwig Heidi Helen Helena Helga Henrietta Hermia Hester Hetty
Hilda Holly Ida Ilse Imogen Ina Ines Ingrid Irene Iris Irma Isabel Isla Ivy Jane Janet Janice Jean
Jemima Jenny Jessica Jill Joan Joanna Jocelyn Johanna Josephine Josie Joyce Judith Julia Juliet
Karen Karla Kate Katie Katrina Kay Kim Kirsten Lara Laura Lavinia Leah Leila Lena Lenore Leonie
Letty Liesel Lila Lily Linda Linnea Lisa Lois Lorna Lotta Lotte Lottie Louisa Louise Lucille
Lucinda Lucy Lulu Lydia Mabel Mabelle Madeleine Magda Maggie Maia Maisie Malvina Mandy Margaret
Margot Maria Marianne Marina Marjorie Marlene Martha Mary Mathilda Matilda Maud Maura Mavis Maxine
Melanie Melba Melissa Meredith Mila Millicent Millie Mina Minerva Minna Minnie Mirabel Miranda
Miriam Moira Molly Mona Monica Muriel Myra Nadia Nan Nancy Naomi Natalie Nell Nellie Nelly Nettie
Nicola Nina Noelle Nola Nora Nuala Octavia Odette Olga Olive Olivia Ottilie Pamela Patricia Patty
Paula Pauline Pearl Peggy Penelope Penny Persis Petra Philippa Phoebe Phyllis Pia Polly Poppy
Queenie Rachel Ramona Rebecca Regina Renata Rhoda Rita Roberta Rosa Rosalie Rosalind Rosamund
Rosie Rowena Roxana Ruby Ruth Sabrina Sadie Sally Sandra Sara Selina Selma Serena Sheila Shirley
Sigrid Silvia Sonia Sophie Stella Susan Susanna Susie Sybil Sylvia Tabitha Tamara Tamsin Tatiana
Tess Tessa Thea Theodora Theresa Thora Tilda Tilly Tina Trixie Trudy Una Ursula Valerie Vanessa
Vera Verona Veronica Victoria Viola Violet Viveca Vivian Wanda Wendy Wilhelmina Wilma Winifred
Winnie Xenia Yasmin Yolanda Yvette Yvonne Zara Zelda Zita Zoe Zora""".split()

# noun: (adjectives, what one does with it, tags). {its user} "loved to USE".
OBJECTS = {
    "key": ("brass silver rusty iron golden", "open the old chest with it",
        "small tool treasure metal"),
    "lantern": ("copper green tin old", "hang it in the window at night", "light tool metal"),
    "lamp": ("little oil brass blue", "light it in the evening", "light tool metal"),
    "candle": ("white yellow tall", "light it in the evening", "light small"),
    "bell": ("silver little brass", "ring it in the morning", "music small metal"),
    "drum": ("red little painted", "beat it at every feast", "music toy"),
    "flute": ("wooden silver reed", "play it under the trees", "music small"),
    "fiddle": ("old brown little", "play it in the evening", "music"),
    "whistle": ("tin wooden little", "blow it on the hill", "music small toy"),
    "harp": ("small golden old", "play it by the fire", "music treasure"),
    "horn": ("hunting brass curved", "blow it across the valley", "music metal"),
    "kite": ("red blue paper yellow", "fly it on windy days", "toy"),
    "ball": ("red leather striped blue", "throw it high into the air", "toy small"),
    "top": ("wooden painted striped", "spin it on the doorstep", "toy small"),
    "doll": ("rag wooden little", "tell it every secret", "toy small"),
    "boat": ("paper wooden little toy", "sail it on the water", "toy small"),
    "marble": ("green glass blue", "roll it along the floor", "toy small treasure"),
    "puppet": ("wooden painted little", "make it dance", "toy"),
    "sledge": ("wooden red fast", "ride it down the hill", "toy"),
    "swing": ("wooden rope little", "sit on it in the sun", "toy"),
    "scarf": ("red woollen long striped", "wear it on cold days", "warm cloth"),
    "cap": ("blue woollen green", "wear it to the market", "warm cloth small"),
    "hat": ("straw tall green felt", "wear it on Sundays", "cloth"),
    "coat": ("warm patched red", "wear it on cold days", "warm cloth"),
    "cloak": ("green grey warm", "wear it in the rain", "warm cloth"),
    "blanket": ("woollen soft patchwork blue", "sleep under it", "warm cloth"),
    "shawl": ("soft white woollen", "wear it by the fire", "warm cloth"),
    "mitten": ("red woollen warm", "wear it in the snow", "warm cloth small"),
    "quilt": ("patchwork soft thick", "sleep under it", "warm cloth"),
    "pillow": ("soft white feather", "sleep on it", "warm cloth"),
    "ring": ("silver golden thin", "wear it at every feast", "small treasure metal"),
    "crown": ("little golden silver paper", "wear it on feast days", "treasure metal"),
    "necklace": ("pearl silver glass", "wear it at every feast", "small treasure"),
    "button": ("golden pearl blue", "polish it with a soft cloth", "small treasure"),
    "coin": ("silver golden old", "polish it with a soft cloth", "small treasure metal"),
    "feather": ("white golden blue", "wear it behind one ear", "small treasure"),
    "shell": ("pink white curled", "hold it to one ear and hear the sea", "small treasure"),
    "pebble": ("white smooth speckled", "turn it over and over", "small treasure"),
    "pearl": ("white shining round", "hold it up to the moon", "small treasure"),
    "mirror": ("little round silver", "catch the sun with it", "treasure"),
    "locket": ("silver little golden", "look at the picture in it", "small treasure metal"),
    "compass": ("brass old little", "find the way with it", "tool small metal"),
    "map": ("old folded yellow", "study it by the fire", "tool small paper"),
    "book": ("red old thick picture", "read it by the fire", "paper"),
    "letter": ("sealed folded long", "read it again and again", "paper small"),
    "picture": ("painted little framed", "look at it before going to sleep", "paper treasure"),
    "spoon": ("silver wooden big", "stir the soup with it", "tool small"),
    "kettle": ("copper black big", "boil water for tea in it", "tool metal"),
    "pot": ("clay iron blue", "cook soup in it", "tool"),
    "cup": ("blue tin china", "drink milk from it", "tool small"),
    "jug": ("blue clay brown", "carry water in it", "tool"),
    "basket": ("round willow big", "carry apples in it", "tool"),
    "bucket": ("wooden tin green", "carry water in it", "tool"),
    "ladder": ("wooden long short", "reach the highest apples with it", "tool"),
    "rope": ("long strong thick", "tie up the boat with it", "tool"),
    "spade": ("iron little sharp", "dig the garden with it", "tool garden metal"),
    "rake": ("wooden old long", "gather the leaves with it", "tool garden"),
    "broom": ("straw old little", "sweep the floor with it", "tool"),
    "hammer": ("heavy iron little", "mend the fence with it", "tool metal"),
    "saw": ("sharp little old", "cut wood with it", "tool metal"),
    "axe": ("sharp old iron", "chop wood with it", "tool metal"),
    "needle": ("silver long thin", "mend clothes with it", "tool small metal"),
    "umbrella": ("red green big", "walk about under it in the rain", "tool cloth"),
    "cart": ("green little wooden", "bring things to market in it", "tool"),
    "wheelbarrow": ("green rusty wooden", "carry earth in it", "tool garden"),
    "stool": ("three-legged wooden low", "sit on it by the fire", "tool"),
    "chair": ("rocking wooden green", "sit in it by the fire", "tool"),
    "clock": ("ticking wooden old", "wind it every evening", "tool treasure"),
    "watch": ("silver ticking little", "wind it every evening", "tool small treasure metal"),
    "spyglass": ("brass long old", "look at the stars through it", "tool metal"),
    "paintbrush": ("soft thin long", "paint flowers with it", "tool small"),
    "pen": ("black silver feather", "write long letters with it", "tool small"),
    "box": ("painted little wooden", "keep secrets in it", "treasure"),
    "chest": ("old oak iron", "keep the winter clothes in it", "treasure"),
    "apple": ("red golden shiny", "eat it in the shade", "food small"),
    "pear": ("yellow sweet ripe", "eat it in the shade", "food small"),
    "cake": ("honey cherry little", "eat it by the fire", "food"),
    "pie": ("apple plum warm", "eat it by the fire", "food"),
    "loaf": ("warm round fresh", "eat it with butter", "food"),
    "cheese": ("round yellow ripe", "eat it with bread", "food"),
    "pumpkin": ("orange fat enormous", "make soup from it", "food garden"),
    "cabbage": ("green fat crisp", "make soup from it", "food garden"),
    "turnip": ("white fat enormous", "make soup from it", "food garden"),
    "melon": ("green sweet heavy", "eat it on a hot day", "food garden"),
    "nut": ("brown big hazel", "crack it by the fire", "food small"),
    "egg": ("blue speckled white", "keep it warm", "egg small"),
    "seed": ("striped tiny golden", "plant it in the garden", "small garden seed"),
    "bulb": ("brown round fat", "plant it in the garden", "small garden seed"),
    "acorn": ("brown round shiny", "plant it in the wood", "small garden seed"),
    "rose": ("red white yellow", "smell it in the morning", "flower garden"),
    "sunflower": ("tall yellow bright", "look at it from the window", "flower garden"),
    "lily": ("white tall little", "smell it in the morning", "flower garden"),
}
HEAVY = frozenset(
    "ladder cart wheelbarrow swing sledge chair chest stool harp axe saw pumpkin quilt spade".split
    ())
for _noun, (_adjectives, _use, _tags) in list(OBJECTS.items()):
    _tags += " heavy" if _noun in HEAVY else ""
    OBJECTS[_noun] = {"adjectives": _adjectives.split(), "use": _use, "tags": frozenset(_tags.split
        ())}

# noun: (preposition, hiding spots, what one sees or hears there, tags)
PLACES = {
    "forest": ("in",
        "under the ferns|behind a mossy log|in a hollow stump|among the roots of a beech",
        'the wind whispered in the leaves|a woodpecker knocked on a trunk|the light fell green '
        'through the leaves', "trees"),
    "meadow": ("in", "in the long grass|among the daisies|beside a molehill|under a thistle",
        'the crickets sang in the grass|butterflies danced over the clover|the daisies nodded in '
        'the wind', "ground open"),
    "garden": ("in",
        "under the gooseberry bush|behind the watering can|among the beans|beside the compost heap",
        'the bees hummed over the lavender|the beans climbed up their poles|a blackbird sang on '
        'the fence', "ground trees"),
    "orchard": ("in", 'in the grass under the pear tree|behind the ladder|beside the beehives|'
        'among the fallen apples', 'the apples glowed among the leaves|wasps buzzed over the '
        'fallen plums|the branches bent under their fruit', "trees open"),
    "mill": ("at",
        "behind the flour sacks|under the wooden stairs|beside the millstone|in a heap of sacks",
        "the great wheel turned and splashed|flour dust hung in the air|the millstones grumbled",
        "water house"),
    "market": ("at",
        "under the cheese stall|behind the cabbage cart|among the empty crates|beside the fountain",
        'people called out their prices|the smell of warm bread was everywhere|a fiddler played '
        'beside the fountain', "crowd"),
    "lake": ("by", "among the reeds|under the old jetty|beside the upturned boat|behind a willow",
        "the water lay as smooth as glass|dragonflies darted over the water|the reeds rustled",
        "water open"),
    "river": ("by",
        "between two wet stones|among the rushes|under the footbridge|behind the willow roots",
        'the water chattered over the stones|a fish jumped with a splash|the willows trailed '
        'their branches in the water', "water trees"),
    "mill pond": ("by",
        "among the yellow irises|under the wooden sluice|behind the nettles|behind the boat shed",
        'the ducks paddled in a row|water lilies floated on the pond|little rings spread over the '
        'water', "water"),
    "hill": ("on",
        "behind the big stone|in a clump of heather|under the thorn bush|in a rabbit hole",
        'one could see the whole valley|the wind blew strong and fresh|the clouds seemed close '
        'enough to touch', "open ground rocks"),
    "mountain": ("on",
        "between two rocks|under a crooked pine|behind the waterfall|in a crack in the rock",
        "the snow shone on the peaks|an eagle circled far above|the air was thin and cold",
        "rocks open"),
    "beach": ("on",
        "under a heap of seaweed|behind the old boat|in a rock pool|beside a pile of driftwood",
        "the waves rolled in and out|the gulls cried over the water|the sand was warm and white",
        "water open rocks"),
    "barn": ("in", "under the hay|behind the cart|in the feed box|between two straw bales",
        "dust danced in the sunbeams|the swallows flew in and out|it smelled of hay", "house"),
    "old tower": ("in",
        "under the broken stairs|behind the heavy door|in a dusty corner|on a high window ledge",
        'the wind moaned in the empty windows|jackdaws chattered on the wall|the steps went round '
        'and round', "house rocks dark"),
    "cave": ("in",
        "behind a big stone|in a dark crack|beside the underground stream|on a ledge in the rock",
        "water dripped from the roof|every step made an echo|the walls glittered a little",
        "rocks dark"),
    "bridge": ("at",
        "between the planks|under the arch|beside the stone post|among the nettles below it",
        'the river rushed along below|carts rumbled over the planks|the stones were green with '
        'moss', "water"),
    "well": ("at", "behind the stone rim|under the bucket|beside the trough|among the dandelions",
        "the rope creaked on its wheel|the water gleamed far below|the neighbours stopped to talk",
        "deep ground"),
    "swamp": ("in",
        "on a tuft of grass|under a rotten branch|beside a black pool|among the cattails",
        'the frogs croaked all around|mist hung over the pools|the ground went squelch at every '
        'step', "water mud"),
    "cornfield": ("in", "between two rows of corn|under the scarecrow|beside the ditch|in a furrow",
        'the corn stood high and golden|the scarecrow waved its sleeves|poppies glowed between '
        'the stalks', "open ground"),
    "churchyard": ("in",
        "under the yew tree|behind the iron gate|beside the stone bench|in the ivy on the wall",
        "the bell struck the hour|the yew tree stood dark and still|jackdaws flew round the tower",
        "trees ground"),
    "castle garden": ("in",
        "under the rose hedge|behind the marble bench|beside the goldfish pond|among the tulips",
        "the fountain splashed|a peacock spread its tail|the hedges were cut into balls",
        "water trees"),
    "harbour": ("at",
        "under a fishing net|behind the barrels|in a coil of rope|beside an old anchor",
        'the boats rocked at their ropes|it smelled of salt and tar|the sailors sang as they '
        'worked', "water crowd"),
    "valley": ("in",
        "beside the white rocks|under a hazel bush|among the cowslips|behind a fallen fence",
        'the brook wound along like a ribbon|sheep bells tinkled far away|the mist rose from the '
        'fields', "open ground"),
    "village square": ("in",
        "under the bench|behind the fountain|beside the bakery steps|in the flower tub",
        "the children played round the fountain|the baker's window was bright|pigeons strutted "
        'over the stones', "crowd"),
    "thicket": ("in", "under the brambles|in a tangle of ivy|behind the thorn bush|in an old nest",
        "the thorns caught at everything|a wren scolded in the leaves|it was dim and still",
        "thorns trees"),
    "snowy field": ("in",
        "in a snowdrift|under the white hedge|beside a frozen ditch|behind the fence",
        "the snow creaked at every step|everything was white and still|icicles hung from the fence",
        "snow open"),
}
for _noun, (_preposition, _spots, _sights, _tags) in list(PLACES.items()):
    PLACES[_noun] = {"in": _preposition, "spots": _spots.split("|"), "sights": _sights.split("|"),
                     "tags": frozenset(_tags.split())}

# Answers in one word, so that a character can guess and a listener can too.
RIDDLES = (
    ("What has teeth but cannot bite?", "comb", "a saw"), ("What has one eye but cannot see?",
        "needle", "a hole"),
    ("What gets wetter the more it dries?", "towel", "a sponge"), (
        "What has hands but cannot clap?", "clock", "a tree"),
    ("What runs all day but never gets tired?", "river", "a horse"), (
        "What has a bed but never sleeps?", "river", "the cat"),
    ("What flies without wings?", "cloud", "a kite"), ("What goes up when the rain comes down?",
        "umbrella", "a mushroom"),
    ("What has roots that nobody sees and is taller than the trees?", "mountain", "a tower"),
    ("What is full of holes and still holds water?", "sponge", "a net"), (
        "What has a neck but no head?", "bottle", "a shirt"),
    ("What can you catch but not throw?", "cold", "a fish"), ("What has a tongue but cannot talk?",
        "shoe", "a dog"),
    ("What breaks when you say its name?", "silence", "an egg"), (
        "What follows you all day and leaves you at night?", "shadow", "a dog"),
    ("What grows smaller the longer it stands?", "candle", "a snowman"), (
        "What has four legs but never walks?", "table", "a sleepy cow"),
    ("What belongs to you, though others use it more?", "name", "a chair"), (
        "What has leaves but is no tree?", "book", "a cabbage"),
    ("What comes once in a night and is gone by day, though nobody stole it?", "moon", "a thief"),
    ("What can fill a whole room and weighs nothing?", "light", "a feather"), (
        "What has ears but cannot hear?", "corn", "a jug"),
    ("The more you take away from me, the bigger I grow. What am I?", "hole", "an onion"),
    ("What speaks every tongue and only says what was said before?", "echo", "a parrot"))

WEATHER = {
    "sunny": ("the sun shone", 'It was a bright, sunny day|The sun stood warm over the fields|The '
        'sky was as blue as a cornflower|Not a cloud was in the sky'),
    "windy": ("the wind blew", 'A fresh wind blew over the fields|The wind shook the branches|It '
        'was a windy day, and the clouds raced|The wind tugged at every leaf'),
    "misty": ("the mist lay low", 'A thin mist lay over the valley|The morning was grey and misty|'
        'Mist hung between the trees|Everything looked soft and grey in the mist'),
    "warm": ("the air was warm", 'It was a warm, still day|The air smelled of clover|A warm '
        'breeze came from the south|The day was warm and slow'),
    "cloudy": ("the clouds hung low", 'Grey clouds hung over the hills|The sky was grey but dry|'
        'Clouds like wool covered the sky|It was a quiet grey day'),
    "cool": ("the air was cool", 'It was a cool, clear day|The air was fresh and clear|Dew '
        'glittered on every blade of grass|The day was cool and bright'),
}
# A trait and what comes of it. None of these stands in the way of any plot.
TRAITS = (
    ("curious", "asked questions from morning till night"),
    ("shy", "spoke so softly that people had to lean close"),
    ("cheerful", "sang from the first light of day"),
    ("clever", "liked to think things over twice"),
    ("dreamy", "often looked at the clouds and forgot the time"),
    ("hard-working", "was up before everyone else"),
    ("merry", "laughed at the smallest things"), ("tidy", "put everything back in its place"),
    ("quiet", "noticed things that others missed"), ("restless", "could not sit still for long"),
    ("sleepy", "liked a long nap after dinner"), ("talkative", "talked even to the stones"),
    ("thoughtful", "remembered every birthday"), ("lively", "was always the first to laugh"),
    ("dreamy", "made up little songs about everything"), ("good-humoured",
        "could whistle like a thrush"),
    ("curious", "wanted to know the name of every flower"), ("lively", "ran where others walked"),
    ("careful", "looked left and right before every step"), ("hungry",
        "was always thinking of the next meal"),
    ("merry", "knew a hundred jokes"), ("calm", "was never in a hurry"))
