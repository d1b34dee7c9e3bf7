"""The list of plots. Each is a function that tells a Story; the decorator says what it is good
for."""

import world

PLOTS = {}
DURABLE = "tool toy music warm cloth treasure light paper metal"


class Plot:
    """A plot: tell(story), the theme one can ask for, and the heroes and objects it works with."""

    def __init__(self, name, tell, theme, nouns, kinds):
        self.name, self.tell, self.theme, self.nouns, self.kinds = name, tell, theme, nouns, kinds

    def fits(self, kind, noun):
        """True when the plot works with that hero and that object."""
        return noun in self.nouns and kind in self.kinds and fits(kind, noun)


def fits(kind, noun):
    """True when a hero of that kind can have to do with the object: an ant cannot carry a chest."""
    if kind in world.TINY:
        return "small" in world.OBJECTS[noun]["tags"]
    small = "small" in world.KINDS[kind]["abilities"]
    return not (small and world.KINDS[kind]["animal"] and noun in world.HEAVY)


def plot(theme, tags=DURABLE, but="", without="", only=""):
    """Registers a plot. tags: objects that have one of them; but: object tags or nouns that do not
    fit; without: abilities the hero must not have; only: groups of kinds (animal, folk, people)."""
    def register(tell):
        wanted, unwanted = set(tags.split()), set(but.split())
        # Food, seeds, eggs and flowers do not last: only plots that ask for them have them.
        unwanted |= {"food", "seed", "egg", "flower"} - wanted
        nouns = [n for n, v in world.OBJECTS.items()
                 if v["tags"] & wanted and not v["tags"] & unwanted and n not in unwanted]
        kinds = [k for k, v in world.KINDS.items() if not v["abilities"] & set(without.split())
                 and (not only or any(_is(v, group) for group in only.split()))]
        name = tell.__name__
        PLOTS[name] = Plot(name, tell, theme, nouns, kinds)
        return tell
    return register


def _is(kind, group):
    if group == "people":
        return not kind["animal"] and not kind["folk"]
    return kind[group]


def load():
    """Imports every file of plots, once, and returns the plots by name."""
    import plots_bargains  # noqa: F401
    import plots_contests  # noqa: F401
    import plots_journeys  # noqa: F401
    import plots_lost  # noqa: F401
    import plots_making  # noqa: F401
    import plots_promises  # noqa: F401
    return PLOTS
