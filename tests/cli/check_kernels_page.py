#!/usr/bin/python3
"""Checks the figures of docs/kernels.md. Argument: the rows of `pith bench --kernels -o jsonl`.

A figure stands in the table of kernels or in the table of limits; the rows and fields of both are
among those that the command prints, and the figures are those of the run in perf/results that the
page names. No figure with a unit of measurement stands anywhere else on the page, and no share or
speed by the clock that is not counted from the code. Prints what is wrong and the number of rows of
each table.
"""
import json
import re
import sys

KERNELS = "| kernel | shape | operands |"
LIMITS = "| limit of the machine |"
SECTIONS = "| section | rows |"
MEASURED = re.compile(
    r"\d ?%|\d[\d.,]* ([GMk]?B/s|[GT]op/s|[GT]flop/s|tokens/s|[mun]?s|\w*seconds?)\b|\[[kp]\]")
# Fractions (.28) and speeds by the clock, which may also be counted: then the line has a [c].
PER_CYCLE = re.compile(r"(?<![\w.])\.\d|\d (bytes|operations) (a|per) cycle\b")

page = open("docs/kernels.md").read().splitlines()
printed = [json.loads(line) for line in open(sys.argv[1])]


def table(head):
    """Takes the table that begins with `head` out of the page: its rows, cell by cell."""
    begin = next(i for i, line in enumerate(page) if line.startswith(head))
    end = next(i for i in range(begin, len(page)) if not page[i].startswith("|"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page[begin + 2:end]]
    del page[begin:end]
    return rows


def result_file(suffix):
    """Reads the only result file with that suffix that the page names."""
    names = set(re.findall(r"\(\.\./(perf/results/[\w-]+\.%s)\)" % suffix, "\n".join(page)))
    assert len(names) == 1, names
    return open(names.pop()).read().splitlines()


def rounds_to(value, figure):
    """True when the text `figure` is `value` rounded to its digits."""
    figure = figure.replace(",", "")
    decimals = len(figure.partition(".")[2])
    return abs(value - float(figure)) <= 0.5001 * 10 ** -decimals


def check_kernels():
    rows = table(KERNELS)
    names = {(r["kernel"], r["shape"], r["operands"]) for r in printed}
    run = {}
    for line in result_file("md"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) >= 8:
            run[tuple(cells[:3])] = cells[3:8]
    for kernel, shape, operands, microseconds, share, times in rows:
        key = (kernel.strip("`"), shape, operands)
        if key not in names:
            print("bench --kernels does not print", *key)
        elif key not in run:
            print("the run that the page names has no", *key)
        else:
            us, _, _, run_share, run_times = run[key]
            if (not rounds_to(float(us), microseconds) or share != run_share
                    or not rounds_to(float(run_times), times)):
                print("not the figures of the run:", *key)
    return len(rows)


def check_limits():
    rows = table(LIMITS)
    runs = [json.loads(line) for line in result_file("jsonl")]
    one, two = (r for n in (1, 2) for r in runs
                if r["test"] == "limits" and r["threads"] == n)
    for cells in rows:
        name = re.match(r"`(\w+)`", cells[0]).group(1)
        if not all(name in r for r in printed):
            print("a row of bench --kernels has no", name)
        elif not rounds_to(one[name], cells[2]) or not rounds_to(two[name], cells[3]):
            print("not the limit of the run:", name)
    return len(rows)


def check_sections():
    """Every kernel that the page names in its list of sections is timed."""
    rows = table(SECTIONS)
    kernels = {r["kernel"] for r in printed}
    for _, text in rows:
        for name in re.findall(r"`([a-z]\w+)`", text):
            if name not in kernels:
                print("bench --kernels does not print", name)
    return len(rows)


counts = [check_kernels(), check_limits(), check_sections()]
for line in page:
    if MEASURED.search(line) or (PER_CYCLE.search(line) and "[c]" not in line):
        print("a figure outside the tables:", line)
print(*counts)
