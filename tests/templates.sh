#!/bin/sh
# Renders every template of a directory for every conversation and compares with what Jinja2 gave:
#     sh tests/templates.sh DIR [PITH]
# DIR holds NAME.jinja, cases.json {"cases": {name: conversation}} and expected.jsonl, a line
# {"template", "case", "output" or "error"} each. Where Jinja2 had an error, there must be one.
set -eu
[ $# -ge 1 ] || {
    echo "usage: sh tests/templates.sh DIR [PITH]" >&2
    exit 2
}
exec python3 - "$1" "${2:-build/pith}" <<'PYTHON'
import json
import os
import subprocess
import sys

folder, pith = sys.argv[1:]
cases = json.load(open(os.path.join(folder, "cases.json"), encoding="utf-8"))["cases"]
settings = {"strftime_now": "2026-03-04T05:06:07", "bos_token": "<s>", "eos_token": "</s>",
            "unk_token": "<unk>", "pad_token": "<pad>"}
wanted = {}
for line in open(os.path.join(folder, "expected.jsonl"), encoding="utf-8"):
    entry = json.loads(line)
    wanted.setdefault(entry["template"], []).append(entry)
good = bad = 0
for template, entries in sorted(wanted.items()):
    lines = "".join(json.dumps({**settings, **cases[entry["case"]]}) + "\n" for entry in entries)
    run = subprocess.run([pith, "template", "--file", os.path.join(folder, template), "--json"],
                         input=lines, capture_output=True, text=True, encoding="utf-8")
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    answers += [{}] * (len(entries) - len(answers))
    for entry, answer in zip(entries, answers):
        same = "error" in answer if "error" in entry else answer.get("text") == entry["output"]
        good += same
        bad += not same
        if not same:
            print(f"{template}, {entry['case']}:\n  expected {entry.get('output', entry.get('error'))!r}"
                  f"\n  got      {answer.get('text', answer.get('error', run.stderr))!r}")
print(f"{good} cases equal, {bad} different")
sys.exit(bad > 0 or good == 0)
PYTHON
