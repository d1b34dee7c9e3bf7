"""Every error code that the service's sources use stands in docs/service.md, beside a status that it
comes with, and the document knows no others.
    codes.py [PITH]"""

import glob
import os
import re

from service import ROOT, Checks

check = Checks()


def arguments(text, at):
    """The arguments of the call whose bracket is in front of `at`."""
    found, depth, begin, string = [], 0, at, False
    while True:
        c = text[at]
        if string:
            at += c == "\\"
            string = c != '"'
        elif c == '"':
            string = True
        elif c in "([{":
            depth += 1
        elif depth == 0 and c in ",)":
            found.append(text[begin:at].strip())
            begin = at + 1
            if c == ")":
                return found
        elif c in ")]}":
            depth -= 1
        at += 1


def used():
    """(code, statuses, place) of every problem that is set."""
    for path in sorted(glob.glob(os.path.join(ROOT, "server/*.c"))):
        with open(path) as file:
            text = file.read()
        for call in re.finditer(r"\bpith_problem_set\(", text):
            given = arguments(text, call.end())
            place = f"{os.path.basename(path)}:{text.count(chr(10), 0, call.start()) + 1}"
            if given[0].startswith("pith_problem *"):
                continue  # its definition
            if given[2] == "NULL":
                continue
            codes = re.findall(r'"([a-z_]+)"', given[2])
            check(f"{place}: a code is spelled out", codes != [], given[2])
            for code in codes:
                yield code, re.findall(r"\b[45]\d\d\b", given[1]), place


def documented():
    """{code: statuses} of the table of errors."""
    with open(os.path.join(ROOT, "docs/service.md")) as file:
        text = file.read()
    table = text.split("| status | `type` | `code` |\n")[1].split("\n\n")[0]
    codes = {}
    for row in table.split("\n")[1:]:
        _, statuses, _, names, _ = row.split("|")
        for name in re.findall(r"`([a-z]+(?:_[a-z]+)+|deadline|overloaded)`", names):
            codes.setdefault(name, []).extend(re.findall(r"\d\d\d", statuses))
    return codes


def main():
    known = documented()
    seen = set()
    for code, statuses, place in used():
        seen.add(code)
        check(f"{place}: {code} is documented", code in known and
              all(status in known[code] for status in statuses), (statuses, known.get(code)))
    check("most codes were found", len(seen) > 20, seen)
    for code in known:
        check(f"{code} of the document is used", code in seen)
    check.finish()


main()
