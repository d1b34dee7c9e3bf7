"""Random templates, rendered by `pith template` and by Jinja2: the texts must be equal, an error must
be an error. python3 tests/jinja_differential.py [COUNT] [SEED] [PITH]; needs Debian's python3-jinja2.

pith may refuse what it says it does not support; those are counted, by message, and must be no more
than one rendering in a hundred."""

import collections
import concurrent.futures
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden"))
import jinja  # noqa: E402

warnings.filterwarnings("ignore", category=SyntaxWarning)  # of the code that Jinja2 makes

STRINGS = ["", "a", "abc", "Hello World", "  pad \n", "<|im_end|>", "it's", 'say "hi"', "x,y,,z", "éÀß",
           "日本 語", "1", "-42", " 3.5 ", "a\nb\n\nc", "true", "😀!", "under_score-dash", "tab\there", "{}"]
DATA = [
    {"messages": [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Hi\n"},
                  {"role": "assistant", "content": "Ho", "tool_calls": [
                      {"function": {"name": "f", "arguments": {"a": 1, "b": [True, None, 2.5]}}}]}],
     "s": "Some Text, here", "t": "", "n": 7, "m": -3, "f": 2.5, "g": 1e20, "yes": True, "no": False,
     "nothing": None, "l": [3, 1, 2], "names": ["b", "A", "c", "a"], "mixed": [1, "x", None, [2, 3], {"k": "v"}],
     "d": {"b": 2, "a": 1, "C": 3}, "nested": {"x": {"y": {"z": "deep"}}, "items": "shadow"}, "empty": [], "ed": {}},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "é <&>"}]}],
     "s": "'quoted' \\ back", "t": "x", "n": 0, "m": 1, "f": -0.125, "g": 0.1, "yes": True, "no": False,
     "nothing": None, "l": [], "names": ["Z"], "mixed": [[], {}, "", 0, 1.0, True],
     "d": {}, "nested": {"x": {"y": {}}}, "empty": [], "ed": {}},
]
VARIABLES = ["s", "t", "n", "m", "f", "g", "yes", "no", "nothing", "l", "names", "mixed", "d", "nested", "empty",
             "ed", "messages", "missing"]
TEXT_FILTERS = ["trim", "upper", "lower", "title", "capitalize", "string", "length", "list", "first", "last",
                "reverse", "replace('a', 'bb')", "replace('', '-')", "indent", "indent(2, true)", "indent('> ', blank=true)",
                "default('dflt')", "default('d', true)", "tojson", "int", "float", "join('-')", "safe", "safe ~ '<'",
                "int(5)", "trim('a ')", "count"]
LIST_FILTERS = ["length", "list", "first", "last", "join", "join(', ')", "sort", "sort(reverse=true)", "unique|list",
                "tojson", "tojson(indent=2)", "reverse|list", "map('upper')|list", "map('string')|join('|')",
                "select('string')|list", "reject('none')|list", "select|list", "string", "map('length')|list",
                "select('in', [1, 'a', 'b'])|list", "min", "max", "sum", "selectattr('role', 'equalto', 'user')|list",
                "rejectattr('role')|list", "map(attribute='role')|list", "map(attribute='content', default='?')|join",
                "groupby('role')", "default([])", "first|tojson"]
DICT_FILTERS = ["items|list", "dictsort", "dictsort(reverse=true)", "dictsort(false, 'value')", "tojson", "length", "list",
                "string", "tojson(indent=4)", "tojson(separators=(',', ':'))", "tojson(sort_keys=true)", "join(',')",
                "first", "default({})", "items|first"]
NUMBER_FILTERS = ["int", "float", "string", "abs", "tojson", "default(1)", "length"]
METHODS = ["strip()", "strip('aS')", "lstrip()", "rstrip()", "upper()", "lower()", "title()", "capitalize()", "split()",
           "split(',')", "split(' ', 1)", "split('a')[0]", "split('a')[-1]", "rsplit(',', 1)", "startswith('S')",
           "endswith('e')", "startswith(('S', 'x'))", "replace('e', 'E')", "replace('e', 'E', 1)", "splitlines()", "find('t')",
           "count('e')", "isdigit()", "isalpha()", "isupper()", "islower()", "join(['a', 'b'])", "partition(' ')",
           "rpartition(',')", "removeprefix('So')", "removesuffix('re')", "format(1, 2)", "swapcase()", "isspace()"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "iterable",
         "sequence", "true", "false", "odd", "even", "divisibleby 2", "eq 1", "ne 'a'", "in [1, 2, 'x']", "lower", "upper",
         "callable", "gt 1", "lt 3", "ge 2", "le 2", "sameas true", "equalto('abc')"]
ATTRIBUTES = ["role", "content", "a", "x", "x.y", "x.y.z", "items", "get('a')", "get('zz', 'none')", "keys()|list",
              "values()|list", "items()|list", "tool_calls", "count", "nope"]
FORMATS = ["%s", "%d", "%05d", "%.2f", "%-5s|", "%5s", "%x", "%r", "%+d", "%s-%s"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.locals = []

    def pick(self, items):
        return self.random.choice(items)

    def variable(self):
        return self.pick(VARIABLES + self.locals * 2)

    def wrapped(self, text):
        return f"({text})" if re.search(r"^-|[^\w.'\"]", text) else text

    def string(self, depth):
        """An expression that is mostly a string."""
        kind = self.random.randrange(14) if depth > 0 else self.random.randrange(3)
        if kind == 0:
            return self.pick(["s", "t", "messages[0].role", "messages[-1]['role']", "ns.b"])
        if kind < 3:
            return self.quoted()
        inner = self.string(depth - 1)
        if kind < 7:
            return f"({inner}).{self.pick(METHODS[:13] + METHODS[19:21] + METHODS[-6:-4])}" if kind < 5 else \
                f"({inner})|{self.pick(TEXT_FILTERS[:7] + TEXT_FILTERS[11:17])}"
        if kind == 7:
            return f"{inner} + {self.string(depth - 1)}"
        if kind == 8:
            return f"{inner} ~ {self.any(depth - 1)}"
        if kind == 9:
            bounds = [self.pick(["", "0", "1", "-1", "2", "-2", "5"]) for _ in range(2)]
            return f"({inner})[{':'.join(bounds)}{self.pick(['', '', ':2', ':-1'])}]"
        if kind == 10:
            return f"{self.wrapped(self.any(depth - 1))}|{self.pick(['tojson', 'string', 'string|upper', 'tojson(indent=1)'])}"
        if kind == 11:
            return f"({self.sequence(depth - 1)})|{self.pick(['join', 'join(0)', 'join(s)', 'tojson', 'string'])}"
        if kind == 12:
            return f"'{self.pick(['%s', '%5s', '%-5s|', '%r', '<%s>'])}' % ({self.string(depth - 1)})"
        return f"({inner} if {self.truth(depth - 1)} else {self.string(depth - 1)})"

    def quoted(self):
        text = self.pick(STRINGS)
        if self.random.random() < 0.5:
            return json.dumps(text, ensure_ascii=False)
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"

    def number(self, depth):
        kind = self.random.randrange(10) if depth > 0 else self.random.randrange(4)
        if kind == 0:
            return self.pick(["n", "m", "f", "g", "ns.a"])
        if kind < 4:
            return self.pick([str(self.random.randrange(0, 30)), "0.5", "2.0", "1e3", "10.25", "1_000", "1e16", "123456789"])
        if kind < 7:
            return f"({self.number(depth - 1)} {self.pick(['+', '-', '*', '/', '//', '%'])} {self.number(depth - 1)})"
        if kind == 7:
            return f"({self.pick(['-', '+'])}{self.number(0)})"
        if kind == 8:
            return f"({self.sequence(depth - 1)})|{self.pick(['length', 'count'])}"
        return f"({self.string(depth - 1)})|{self.pick(['length', 'int', 'float', 'int(3)', 'float(0.5)'])}"

    def truth(self, depth):
        kind = self.random.randrange(9) if depth > 0 else 0
        if kind == 0:
            return self.pick(["yes", "no", "missing", "true", "false", "l", "d", "s"])
        if kind == 1:
            return f"({self.string(depth - 1)}) {self.pick(['==', '!=', '<', '>=', 'in', 'not in'])} ({self.string(depth - 1)})"
        if kind == 2:
            return f"({self.number(depth - 1)}) {self.pick(['==', '!=', '<', '>', '<=', '>='])} {self.number(depth - 1)}"
        if kind == 3:
            return f"({self.truth(depth - 1)} {self.pick(['and', 'or'])} {self.truth(depth - 1)})"
        if kind == 4:
            return f"not {self.wrapped(self.truth(depth - 1))}"
        if kind < 7:
            return f"({self.any(depth - 1)}) is {self.pick(['', 'not '])}{self.pick(TESTS[:13] + TESTS[15:18] + TESTS[20:21])}"
        return f"({self.any(depth - 1)}) {self.pick(['in', 'not in', '==', '!='])} {self.wrapped(self.sequence(depth - 1))}"

    def sequence(self, depth):
        kind = self.random.randrange(12) if depth > 0 else 0
        if kind == 0:
            return self.pick(["l", "names", "mixed", "empty", "[1, 'a', 2.5]", "['x', 'Y']", "messages", "range(4)|list", "d", "[[2, 1], [1]]"])
        if kind < 3:
            return "[" + ", ".join(self.any(depth - 1) for _ in range(self.random.randrange(4))) + "]"
        if kind == 3:
            return f"({self.string(depth - 1)}).{self.pick(['split()', 'split(s)', 'split(chr)', 'splitlines()', 'partition(chr)', 'rsplit(chr, 1)', 'split(chr, 1)'])}".replace("chr", "' '").replace("(s)", "(',')")
        if kind == 4:
            return f"({self.sequence(depth - 1)})|{self.pick(['list', 'unique|list', 'reverse|list', 'select|list', 'list|reverse|list'])}"
        if kind == 5:
            return f"(messages|{self.pick(LIST_FILTERS[-7:-3] + ['list', 'map(attribute=chr)|list'])})".replace("chr", "'role'")
        if kind == 6:
            return f"(names|{self.pick(['sort', 'sort(reverse=true)', 'sort(case_sensitive=true)', 'unique(true)|list', 'map(chr)|list'])})".replace("chr", "'lower'")
        if kind == 7:
            return f"(d|{self.pick(DICT_FILTERS[:4])})"
        if kind == 8:
            return f"({self.wrapped(self.sequence(0))})|list + [{self.any(depth - 1)}]"
        if kind == 9:
            return "(" + self.any(depth - 1) + ", " + self.any(depth - 1) + ")"
        if kind == 10:
            return f"({self.string(depth - 1)})|list"
        return f"(l * 2)[{self.pick(['1:', ':-1', '::2', '::-1', '-2:'])}]"

    def any(self, depth):
        kind = self.random.randrange(16)
        if kind < 4:
            return self.string(depth)
        if kind < 7:
            return self.number(depth)
        if kind < 9:
            return self.truth(depth)
        if kind < 11:
            return self.sequence(depth)
        if kind == 11:
            return "{" + ", ".join(f"'{key}': {self.any(depth - 1)}" for key in "abc"[:self.random.randrange(4)]) + "}" if depth > 0 else "{}"
        if kind == 12:
            return self.pick(["nested.x.y", "nested['items']", "d.get('a')", "d.get('zz', 1)", "messages[0]", "messages[0].content", "d.items()|list",
                              "d.keys()|list", "nested.items()|list", "none", "nothing", "missing|default('dd')", "s|default('x', true)",
                              "mixed|first", "mixed|last", "names|first", "l|sum", "(l + [1])|max", "(l + [4])|min", "messages|length"])
        return self.variable()

    def wild(self, depth):
        """Any operator on anything, which mostly is an error."""
        kind = self.random.randrange(6)
        text = self.wrapped(self.any(depth))
        if kind < 2:
            return f"{text}.{self.pick(METHODS + ATTRIBUTES)}"
        if kind == 2:
            return f"{text}[{self.any(depth - 1)}]"
        if kind == 3:
            return f"{text}|{self.pick(TEXT_FILTERS + LIST_FILTERS + DICT_FILTERS + NUMBER_FILTERS)}"
        if kind == 4:
            operator = self.pick(["+", "-", "*", "/", "//", "%", "**", "<", "in"])
            # Python's integers have no end: 1000 ** 123456789 takes it hours.
            right = self.pick(["0", "1", "3", "(-2)", "0.5", "yes", "none", "s", "l"]) if operator == "**" else (
                self.wrapped(self.any(depth - 1)))
            return f"{text} {operator} {right}"
        return f"'{self.pick(FORMATS)}' % ({self.any(depth)})" if self.random.random() < 0.5 else f"{text} is {self.pick(TESTS)}"

    def expression(self, depth):
        return self.wild(depth - 1) if self.random.random() < 0.06 else self.any(depth)

    def tag(self, text):
        return f"{{%{self.pick(['', '', '-', '+'])} {text} {self.pick(['', '', '-', '+'])}%}}"

    def output(self, depth):
        return f"{{{{{self.pick(['', '', '-'])} {self.expression(depth)} {self.pick(['', '', '-'])}}}}}"

    def text(self):
        return self.pick(["x", " y ", "\n", "  \n  ", "\tz\n", "<|im_start|>", "\n\n", "é ", "{# note #}", "{#- a\n-#}", " {# b #}\n"])

    def local(self):
        name = self.pick(["v", "w", "u"])
        self.locals.append(name)
        return name

    def body(self, depth):
        return "".join(self.statement(depth) for _ in range(self.random.randrange(1, 4)))

    def scoped(self, depth, *names):
        saved = list(self.locals)
        self.locals += names
        text = self.body(depth)
        self.locals = saved
        return text

    def loop_body(self, depth, name):
        extra = self.pick(["", "{{ loop.index }}", "{{ loop.first }}{{ loop.last }}", "{{ loop.length }}{{ loop.revindex0 }}",
                           "{{ loop.previtem }}", "{{ loop.nextitem is defined }}", "{{ loop.cycle('p', 'q') }}", "{{ loop.changed(v) }}",
                           "{% if loop.index0 > 1 %}{% break %}{% endif %}", "{% if loop.first %}{% continue %}{% endif %}",
                           "{% set ns.a = ns.a + 1 %}{{ ns.a }}"])
        return extra + self.scoped(depth, name)

    def statement(self, depth):
        kind = self.random.randrange(22)
        if depth <= 0 or kind < 5:
            return self.text() if kind < 3 else self.output(2)
        if kind < 9:
            return self.output(3)
        if kind < 12:
            middle = "".join(self.tag(f"elif {self.expression(2)}") + self.body(depth - 1) for _ in range(self.random.randrange(2)))
            if self.random.random() < 0.5:
                middle += self.tag("else") + self.body(depth - 1)
            return self.tag(f"if {self.expression(2)}") + self.body(depth - 1) + middle + self.tag("endif")
        if kind < 15:
            head = self.pick(["for i in l", "for i in names", "for i in mixed", "for i in messages", "for k, i in d.items()", "for i in d",
                              "for i in s", "for i in range(3)", "for i in range(5, 0, -2)", f"for i in {self.expression(2)}",
                              "for i in l if i > 1", "for k, i in nested|items", "for i in names|sort", "for (k, i) in d|dictsort"])
            otherwise = self.tag("else") + self.body(depth - 1) if self.random.random() < 0.3 else ""
            return self.tag(head) + self.loop_body(depth - 1, "i") + otherwise + self.tag("endfor")
        if kind < 17:
            return self.tag(f"set {self.pick(['v', 'w', 'u'])} = {self.expression(3)}") + self.output(1)
        if kind == 17:
            name = self.pick(["v", "w"])
            return self.tag(f"set {name}{self.pick(['', ' | upper', ' | trim'])}") + self.body(depth - 1) + self.tag("endset") + "{{ " + name + " }}"
        if kind == 18:
            macro = self.pick(["mac", "other"])
            head = self.tag(f"macro {macro}(p, q={self.expression(1)})") + self.scoped(depth - 1, "p", "q")
            return head + self.tag("endmacro") + "{{ " + macro + f"({self.pick(['', '1', 's', 'q=2', 'n, 3', 'n, 3, 4', 'z=1'])}) }}}}"
        if kind == 19:
            return self.tag("filter " + self.pick(["upper", "trim", "indent(2)", "replace('a', 'b')", "title"])) + self.body(depth - 1) + self.tag("endfilter")
        if kind == 20:
            return "{% macro box(c='-') %}" + "{{ c }}[{{ caller() }}]{% endmacro %}" + self.tag(f"call box({self.pick(['', '1'])})") + self.body(depth - 1) + self.tag("endcall")
        return self.pick([
            lambda: self.tag(f"with v = {self.expression(2)}") + self.scoped(depth - 1, "v") + self.tag("endwith"),
            lambda: self.tag("generation") + self.body(depth - 1) + self.tag("endgeneration"),
            lambda: "{% raw %}{{ raw }} {% if %}{% endraw %}\n",
            lambda: "{% set ns.b = " + self.expression(2) + " %}{{ ns.b }}",
            lambda: "{{ strftime_now('%d %b %Y, %H:%M %A %j') }}",
            lambda: "{{ raise_exception('no') }}" if self.random.random() < 0.1 else "{{ namespace(a=1).a }}",
            lambda: "{{ dict(a=1, b=" + self.expression(1) + ") }}",
            lambda: "{% for i in [[1, [2, []]], 3] recursive %}{{ loop(i) if i is iterable else i }}{{ loop.depth }}{% endfor %}",
        ])()

    def template(self):
        self.locals = []
        return "{% set ns = namespace(a=0, b='') %}" + "".join(self.statement(3) for _ in range(self.random.randrange(1, 6)))


UNSUPPORTED = re.compile(r"not supported|unsupported|beyond (53|64) bits|no filter named|no test named|power that is no|"
                         r"safe string|as a key|several attributes|not finite|fields with|a format wider|more than [0-9]+|comparing a|"
                         r"slices of a")  # of a constant number: folded to Undefined at compile time
# Python shows an address or a Python name.
ADDRESS = re.compile(r"0x[0-9a-f]{8,}|<(bound|built-in|function|class|Macro|generator|method)|<jinja2|<LoopContext|Macro ")


def run(pith, folder, template):
    path = os.path.join(folder, "t.jinja")
    with open(path, "w", encoding="utf-8", newline="") as out:
        out.write(template)
    lines = "".join(json.dumps({"strftime_now": "2026-03-04T05:06:07", **data}) + "\n" for data in DATA)
    done = subprocess.run([pith, "template", "--file", path, "--json"], input=lines.encode(), capture_output=True)
    if done.returncode not in (0, 1):
        return [{"crash": done.returncode, "stderr": done.stderr.decode(errors="replace")[-300:]}] * len(DATA)
    return [json.loads(line) for line in done.stdout.splitlines()]


def judge(data, answer, template):
    """The verdict on one rendering, and what is to be said of it."""
    kind, wanted = jinja.render(template, data)
    if "crash" not in answer and kind == "error" and "error" in answer:
        return "both refuse", None
    if "crash" not in answer and kind != "error":
        if answer.get("text") == wanted:
            return "equal", None
        if "error" in answer and (UNSUPPORTED.search(answer["error"]) or ADDRESS.search(wanted)):
            return "refused", re.sub(r"line \d+", "line N", answer["error"])
    return "different", f"{template!r}\n  Jinja2 {kind}: {wanted!r}\n  pith   {answer!r}"


def compare(pith, seed, numbers):
    """Verdicts on the templates of these numbers."""
    with tempfile.TemporaryDirectory() as folder:
        verdicts = []
        for i in numbers:
            template = Maker(seed * 1000003 + i).template()
            verdicts += [(i, *judge(data, answer, template))
                         for data, answer in zip(DATA, run(pith, folder, template))]
        return verdicts


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    pith = sys.argv[3] if len(sys.argv) > 3 else "build/pith"
    tally = collections.Counter()
    reasons = collections.Counter()
    step = 50
    with concurrent.futures.ProcessPoolExecutor() as pool:
        parts = [pool.submit(compare, pith, seed, range(first, min(first + step, count)))
                 for first in range(0, count, step)]
        for number, verdict, said in (v for part in parts for v in part.result()):
            tally[verdict] += 1
            if verdict == "refused":
                reasons[said] += 1
            elif verdict == "different":
                print(f"--- template {number}\n{said}")
    for reason, n in reasons.most_common(30):
        print(f"{n:6} refused: {reason}")
    print(f"{count} templates x {len(DATA)} conversations, seed {seed}: " +
          ", ".join(f"{n} {what}" for what, n in sorted(tally.items())))
    complete = sum(tally.values()) == count * len(DATA) and tally["equal"] > 0
    sys.exit(tally["different"] > 0 or tally["refused"] * 100 > sum(tally.values()) or not complete)


if __name__ == "__main__":
    main()
