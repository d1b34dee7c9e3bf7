"""Random JSON schemas and what the model that ships writes under them: every text that ends by
itself must be JSON that the schema allows.

    random_schemas.py LIBPITH MODEL.pith [N [SEED]]

The generator and the validator below know the same keywords as pith and nothing of how pith reads
them. Strings have at most 20 characters and arrays at most 3 items, so that nearly all texts end
within 400 tokens: fewer than 95 % is a failure, but for schemas of objects that may have any number
of additional members. One text that the schema does not allow is a failure, too. Prints what
failed, figures, and "N passed, N failed"."""

import collections
import json
import os
import random
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

MAX_TOKENS = 400
MAX_LENGTH = 20
MAX_ITEMS = 3
PROMPTS = ("Once upon a time there was a", "The king said:", "{", '"name": ', "", "1, 2, 3, ")
NAMES = ("name", "age", "na", "a", "kind", "ä", 'quo"te', "back\\slash", "new\nline", "x y", "",
         "items", "日本", "tab\t", "emoji 😀", "name2", "/slash", "~tilde")


# ---- Schemas -------------------------------------------------------------------------------------


class Maker:
    """Makes random schemas, whose definitions may refer to each other."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.definitions = {}
        self.open = False  # some object may have any number of members

    def chance(self, p):
        return self.random.random() < p

    def schema(self):
        n = self.random.choice((0, 0, 1, 2))
        names = self.random.sample(("node", "leaf/~%", "ä"), n)
        self.definitions = {name: None for name in names}
        for name in names:
            self.definitions[name] = self.definition()
        root = self.value(3)
        if names:
            root = {**root, "$defs": self.definitions} if isinstance(root, dict) else root
        return root

    def definition(self):
        """Not required to hold itself, so that it has an end."""
        kind = self.random.choice(("object", "array", "scalar"))
        if kind == "scalar":
            return self.scalar()
        if kind == "array":
            return {"type": "array", "items": self.value(1), "maxItems": 2}
        return {"type": "object", "additionalProperties": False,
                "properties": {name: self.value(1) for name in self.names(3)}}

    def names(self, most):
        return self.random.sample(NAMES, self.random.randint(0, most))

    def value(self, depth):
        kinds = ["scalar"] * 3
        if depth > 0:
            kinds += ["object"] * 3 + ["array"] * 2 + ["any_of", "types"]
        if self.definitions and depth < 3:
            kinds += ["ref"] * 2
        return getattr(self, self.random.choice(kinds))(*([depth] if depth > 0 else [0]))

    def ref(self, depth):
        name = self.random.choice(list(self.definitions))
        return {"$ref": "#/$defs/" + name.replace("~", "~0").replace("/", "~1").replace("%", "%25")}

    def scalar(self, depth=0):
        return self.random.choice((self.string, self.integer, self.number, self.enumeration,
                                   lambda: {"type": "boolean"}, lambda: {"type": "null"},
                                   lambda: {"const": self.json_value(2)}))()

    def string(self):
        least = self.random.choice((0, 0, 1, 3, MAX_LENGTH))
        schema = {"type": "string", "maxLength": self.random.randint(least, MAX_LENGTH)}
        if least > 0:
            schema["minLength"] = least
        return schema

    def bounds(self, integer):
        """Bounds that leave some number between them."""
        def draw():
            x = self.random.choice((0, 1, 10, 100, 12345, 10 ** 9)) * self.random.choice((-1, 1))
            return x if integer or self.chance(0.5) else round(x * self.random.random(), 3)
        low, high = sorted((draw(), draw()))
        schema = {}
        if self.chance(0.6):
            schema[self.random.choice(("minimum", "exclusiveMinimum"))] = low
        if self.chance(0.6):
            schema[self.random.choice(("maximum", "exclusiveMaximum"))] = \
                high + (2 if high - low < 2 else 0)
        return schema

    def integer(self):
        return {"type": "integer", **self.bounds(True)}

    def number(self):
        return {"type": "number", **self.bounds(False)}

    def enumeration(self):
        values = [self.json_value(2) for _ in range(self.random.randint(1, 5))]
        return {"enum": values}

    def json_value(self, depth):
        kind = self.random.randrange(7 if depth > 0 else 5)
        if kind == 5:
            return [self.json_value(depth - 1) for _ in range(self.random.randint(0, 2))]
        if kind == 6:
            return {name: self.json_value(depth - 1) for name in self.names(2)}
        return (None, self.chance(0.5), self.random.randint(-99, 99),
                round(self.random.uniform(-9, 9), 2), self.random.choice(NAMES))[kind]

    def array(self, depth):
        least = self.random.choice((0, 0, 1, 2))
        schema = {"type": "array", "items": self.value(depth - 1),
                  "maxItems": self.random.randint(least, MAX_ITEMS)}
        if least > 0:
            schema["minItems"] = least
        return schema

    def object(self, depth):
        names = self.names(4)
        properties = {name: self.value(depth - 1) for name in names}
        schema = {"type": "object", "properties": properties}
        schema["required"] = [name for name in names if self.chance(0.5)]
        schema["additionalProperties"] = False
        if self.chance(0.2):
            del schema["additionalProperties"]
        elif self.chance(0.1):
            schema["additionalProperties"] = self.scalar()
            self.open = True
            if self.chance(0.5):
                schema["required"].append(self.random.choice(NAMES))
        if self.chance(0.2):
            schema["title"] = "a title"
            schema["x-order"] = 1
        return schema

    def any_of(self, depth):
        return {"anyOf": [self.value(depth - 1) for _ in range(self.random.randint(1, 3))]}

    def types(self, depth):
        types = self.random.sample(("null", "boolean", "integer", "string", "array"),
                                   self.random.randint(1, 4))
        return {"type": types, "maxLength": MAX_LENGTH, "minimum": -5, "maxItems": MAX_ITEMS,
                "items": self.value(depth - 1)}


# ---- Validation ----------------------------------------------------------------------------------


def type_of(value):
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("boolean",)
    if isinstance(value, int) or isinstance(value, float) and value.is_integer():
        return ("integer", "number")
    kinds = {float: "number", str: "string", list: "array", dict: "object"}
    return (kinds[type(value)],)


def equal(a, b):
    """JSON Schema's equality: 1 is 1.0 and not true."""
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return a == b


def follow(root, ref):
    place = root
    for token in ref[1:].split("/")[1:]:
        place = place[token.replace("%25", "%").replace("~1", "/").replace("~0", "~")]
    return place


def problem(schema, value, root):
    """Why the schema does not allow the value; None: it does."""
    if schema is True:
        return None
    if schema is False:
        return "nothing is allowed here"
    if "$ref" in schema and (why := problem(follow(root, schema["$ref"]), value, root)):
        return why
    if "anyOf" in schema and all(problem(one, value, root) for one in schema["anyOf"]):
        return f"{value!r} is none of {schema['anyOf']}"
    if "enum" in schema and not any(equal(one, value) for one in schema["enum"]):
        return f"{value!r} is not in {schema['enum']}"
    if "const" in schema and not equal(schema["const"], value):
        return f"{value!r} is not {schema['const']!r}"
    types = schema.get("type", type_of(value))
    if not set([types] if isinstance(types, str) else types) & set(type_of(value)):
        return f"{value!r} is no {types}"
    if isinstance(value, str):
        return limit_problem(schema, "Length", len(value), value)
    if isinstance(value, list):
        return limit_problem(schema, "Items", len(value), value) or next(
            filter(None, (problem(schema.get("items", True), one, root) for one in value)), None)
    if isinstance(value, dict):
        return object_problem(schema, value, root)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not (schema.get("minimum", value) <= value <= schema.get("maximum", value)) or \
                "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"] or \
                "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
            return f"{value} is out of bounds: {schema}"
    return None


def limit_problem(schema, what, n, value):
    if schema.get("min" + what, 0) <= n <= schema.get("max" + what, n):
        return None
    return f"{value!r} has {n}: {schema}"


def object_problem(schema, value, root):
    for name in schema.get("required", ()):
        if name not in value:
            return f"{name!r} is missing in {value!r}"
    for name, one in value.items():
        inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
        if why := problem(inner, one, root):
            return f"{name!r}: {why}"
    return None


def declared_once(pairs):
    """An object whose names are different ones."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        doubles.append(names)
    return dict(pairs)


doubles = []


# ---- The test ------------------------------------------------------------------------------------


def check_validator():
    """The validator must tell good from bad, or it proves nothing."""
    rows = (({"type": "integer"}, 1.0, True), ({"type": "integer"}, True, False),
            ({"enum": [1, "a"]}, True, False), ({"const": {"a": [1]}}, {"a": [1.0]}, True),
            ({"type": "string", "maxLength": 1}, "😀", True),
            ({"type": "array", "items": {"type": "null"}, "minItems": 1}, [], False),
            ({"type": "array", "items": {"type": "null"}}, [None, 0], False),
            ({"required": ["a"]}, {}, False), ({"additionalProperties": False}, {"a": 1}, False),
            ({"exclusiveMinimum": 1}, 1, False), ({"anyOf": [False, {"const": 2}]}, 2, True),
            ({"additionalProperties": {"type": "null"}}, {"a": 1}, False),
            ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}, 0, False))
    for schema, value, good in rows:
        assert (problem(schema, value, schema) is None) == good, (schema, value)


def main(library, path, n="1000", seed="1"):
    sys.path.insert(0, os.path.join(ROOT, "examples"))
    import pith  # needs numpy, which tests/server/strict.py has no use for
    check_validator()
    model = pith.Model(path, library=library, n_threads=2)
    session = model.session(n_context=1024)
    finishes = {False: collections.Counter(), True: collections.Counter()}  # of open ones
    failures, n_tokens = [], 0
    for i in range(int(n)):
        maker = Maker(f"{seed} {i}")
        schema = maker.schema()
        settings = {"temperature": maker.random.choice((0.0, 0.7, 1.0, 1.5)),
                    "seed": maker.random.randrange(2 ** 64),
                    "speculate": maker.random.choice((0, 0, 8)),
                    "ignore_eos": maker.random.random() < 0.2}
        session.rewind(0)
        try:
            grammar = model.grammar(schema)
            prompt = model.tokenize(maker.random.choice(PROMPTS), bos=True)
            generation = session.generate(prompt, max_tokens=MAX_TOKENS, grammar=grammar,
                                          **settings)
            text = "".join(generation)
            usage = generation.usage
            finishes[maker.open][usage.finish] += 1
            n_tokens += usage.generated_tokens
            why = None
            if usage.finish in ("complete", "eos"):
                value = json.loads(text, object_pairs_hook=declared_once)
                why = problem(schema, value, schema)
            elif usage.finish != "length":
                why = f"ended by {usage.finish}"
        except (pith.PithError, ValueError) as error:
            why, text = f"{type(error).__name__}: {error}", locals().get("text", "")
        if why is not None:
            failures.append(i)
            print(f"FAILED: schema {i} of seed {seed}: {why}\n  schema: {json.dumps(schema)}\n"
                  f"  text: {text}")
    n_closed = sum(finishes[False].values())
    ended = n_closed - finishes[False]["length"]
    print(f"{int(n)} schemas, {n_tokens} tokens; {ended} of {n_closed} texts ended "
          f"({ended / max(n_closed, 1):.1%}), of open schemas {dict(finishes[True])}; "
          f"{len(doubles)} objects with a name twice")
    if ended < 0.95 * n_closed:
        failures.append("ends")
        print(f"FAILED: too few texts ended within {MAX_TOKENS} tokens")
    print(f"{int(n) + 1 - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
