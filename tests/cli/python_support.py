"""What the tests of examples/pith.py share. They are scripts that print one line "ok NAME",
"skipped NAME: why" or "FAILED NAME: why" for each of their functions test_NAME:
    check_python_X.py PITH DIRECTORY TALE.pith CHAT.pith
PITH is the command that results are compared with; libpith.so lies beside it. DIRECTORY is for
files."""

import os
import re
import subprocess
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "examples"))
import pith  # noqa: E402

PITH, DIRECTORY, TALE, CHAT = sys.argv[1:]
LIBRARY = os.path.join(os.path.dirname(os.path.abspath(PITH)), "libpith.so")


class Skip(Exception):
    pass


def path(name):
    return os.path.join(DIRECTORY, name)


def run(*arguments, text=None):
    """What the command writes to standard output."""
    done = subprocess.run([PITH, *arguments], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, input=text if text is None else text.encode())
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def convert(source, name, kind):
    if not os.path.exists(path(name)):
        run("convert", os.path.join(ROOT, source), path(name), "--type", kind)
    return path(name)


def open_model(name=TALE, **options):
    return pith.Model(name, library=LIBRARY, **options)


def same(actual, expected, what=""):
    assert actual == expected, f"{what} {actual!r}, not {expected!r}"


def same_bits(actual, expected, what=""):
    assert actual.shape == expected.shape, f"{what} {actual.shape}, not {expected.shape}"
    assert actual.dtype == expected.dtype == np.float32, f"{what} {actual.dtype}"
    assert actual.tobytes() == expected.tobytes(), f"{what} differs"


def raises(kind, pattern, function, *arguments, status=None, **options):
    try:
        function(*arguments, **options)
    except kind as error:
        assert re.search(pattern, str(error)), f"{error!r} lacks {pattern!r}"
        if status is not None:
            same(error.status, status, str(error))
            same(error.message, str(error))
        return
    raise AssertionError(f"no {kind.__name__} ({pattern})")


def refused(status, pattern, function, *arguments, **options):
    raises(pith.PithError, pattern, function, *arguments, status=status, **options)


def main(tests):
    bad = 0
    for name, function in [(name, function) for name, function in tests.items()
                           if name.startswith("test_")]:
        title = name[len("test_"):].replace("_", " ")
        try:
            function()
            print("ok", title)
        except Skip as reason:
            print(f"skipped {title}: {reason}")
        except (Exception, KeyboardInterrupt) as error:  # the next test runs all the same
            bad += 1
            place, line = error.__traceback__, 0
            while place is not None:
                if place.tb_frame.f_code.co_filename == function.__code__.co_filename:
                    line = place.tb_lineno
                place = place.tb_next
            print(f"FAILED {title}: line {line}: {type(error).__name__}: {error}")
    return 1 if bad else 0
