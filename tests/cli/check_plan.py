#!/usr/bin/python3
"""Runs a model until its context is full and compares the memory that the process took with
`pith inspect --plan`: within 1% and 16 MB. check_plan.py PITH MODEL"""
import resource
import subprocess
import sys

pith, model = sys.argv[1:]
lines = subprocess.run([pith, "inspect", "--plan", model], text=True, stdout=subprocess.PIPE,
                       check=True).stdout.splitlines()
planned = next(line.split() for line in lines if line.startswith("memory"))
context = planned[planned.index("with") + 1]
subprocess.run([pith, "run", model, "-c", context, "-p", "Once", "-n", context, "--temp", "1", "--seed", "1",
                "--ignore-eos", "--blas", "off"],
               stdout=subprocess.DEVNULL, check=True)
taken = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # of the larger one
print(f"planned {planned[1]}, taken {taken}")
if abs(int(planned[1]) - taken) > int(planned[1]) // 100 + 16_000_000:
    sys.exit("the plan is wrong")
