"""The command on a pseudo-terminal: line editing, Ctrl-C, the progress bar. Prints what fails."""

import os
import pty
import select
import signal
import sys
import termios
import time

failures = 0
DEADLINE = 60  # seconds for anything to appear: generous, nothing waits for it to pass


class Terminal:
    """A child on a terminal of its own; standard output too unless `output` is a file."""

    def __init__(self, *command, output=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            if output is not None:
                os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            os.environ["TERM"] = os.environ.get("PITH_TEST_TERM", "xterm")
            os.execv(command[0], command)
        self.text = ""
        self.before = termios.tcgetattr(self.fd)

    def read_until(self, wanted, start=0):
        """Reads until `wanted` stands in what came after `start`, to the end when it is None;
        False at the end or the deadline."""
        end = time.monotonic() + DEADLINE
        while wanted is None or wanted not in self.text[start:]:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                return False
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                return False
            if not data:
                return False
            self.text += data.decode("utf-8", "replace")
        return True

    def send(self, text):
        os.write(self.fd, text.encode())

    def prompt(self, start=0):
        """Waits for the prompt and for the line editor behind it, which sets the terminal last."""
        if not self.read_until("> ", start):
            return False
        end = time.monotonic() + DEADLINE
        while self.modes()[3] & termios.ICANON and time.monotonic() < end:
            time.sleep(0.001)
        return not self.modes()[3] & termios.ICANON

    def finish(self):
        """The exit code, or minus the signal; minus SIGKILL when it does not come."""
        end = time.monotonic() + DEADLINE
        self.read_until(None)
        if time.monotonic() >= end:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def modes(self):
        return termios.tcgetattr(self.fd)[:4]


def check(condition, what, terminal):
    global failures
    if not condition:
        failures += 1
        print(f"{what}; the terminal shows:\n{terminal.text[-400:]!r}")


def test_editing(pith, chat):
    t = Terminal(pith, "chat", chat, "-n", "8", "--temp", "0")
    check(t.prompt(), "no prompt", t)
    check("/quit or Ctrl-D ends" in t.text, "chat does not say how to leave", t)
    seen = len(t.text)
    t.send("/quix\n")
    check(t.read_until("mean /quit?", seen), "no suggestion for /quix", t)
    check(t.read_until("\n> ", seen) and t.prompt(), "no prompt after the message", t)
    t.send("\x1b[A\x7ft\n")  # the line before from the history, its last character corrected
    check(t.finish() == 0, "the corrected line is not /quit", t)
    t = Terminal(pith, "chat", chat)
    check(t.prompt(), "no prompt", t)
    t.send("\x04")
    check(t.finish() == 0, "Ctrl-D is not exit code 0", t)


def test_interrupts(pith, chat):
    t = Terminal(pith, "chat", chat)
    check(t.prompt(), "no prompt", t)
    seen = len(t.text)
    t.send("half a line")
    check(t.read_until("line", seen), "no echo", t)
    seen = len(t.text)
    t.send("\x03")
    check(t.prompt(seen), "no new prompt after Ctrl-C on a line with text", t)
    seen = len(t.text)
    t.send("\x03")
    check(t.finish() == 130, "Ctrl-C on an empty line is not exit code 130", t)


def test_interrupted_answer(pith, chat, out):
    t = Terminal(pith, "chat", chat, "--temp", "0", "--repeat-penalty", "1.3", "-c", "20000", output=out)
    check(t.prompt(), "no prompt", t)
    seen = len(t.text)
    t.send("Tell me a tale.\n")
    end = time.monotonic() + DEADLINE
    while not (os.path.exists(out) and os.path.getsize(out) > 0) and time.monotonic() < end:
        time.sleep(0.002)
    check(os.path.getsize(out) > 0, "no answer", t)
    t.send("\x03")
    check(t.read_until("^C", seen) and t.prompt(t.text.index("^C", seen)),
          "no prompt after an interrupted answer", t)
    t.send("/quit\n")
    check(t.finish() == 0, "/quit is not exit code 0", t)


def test_terminal_is_restored(pith, chat):
    t = Terminal(pith, "chat", chat, "-n", "4")
    check(t.prompt(), "no prompt", t)
    check(t.modes() != t.before[:4], "the line editor does not change the terminal", t)
    os.kill(t.pid, signal.SIGTERM)
    check(t.finish() == -signal.SIGTERM, "SIGTERM does not end the command", t)
    check(t.modes() == t.before[:4], "SIGTERM leaves the terminal changed", t)


def test_run(pith, tale):
    t = Terminal(pith, "run", tale, "-n", "5", "--temp", "0", "-p", "Once")
    check(t.finish() == 0, "run on a terminal", t)
    check(t.text.endswith("\n"), "no newline after the text on a terminal", t)


def test_waiting(pith, tale):
    t = Terminal(pith, "tokenize", tale)
    check(t.read_until("Ctrl-D ends"), "tokenize waits for the terminal without a word", t)
    t.send("\x04")
    check(t.finish() == 0, "Ctrl-D does not end tokenize", t)


def test_dumb_terminal(pith, tale, text):
    os.environ["PITH_TEST_TERM"] = "dumb"
    t = Terminal(pith, "eval", tale, text, "-w", "2")
    del os.environ["PITH_TEST_TERM"]
    check(t.finish() == 0, "eval on a dumb terminal", t)
    check("\x1b" not in t.text and "perplexity" in t.text, "a bar on a dumb terminal", t)


def test_progress(pith, tale, text):
    t = Terminal(pith, "eval", tale, text)
    check(t.read_until("% "), "no progress bar", t)
    t.send("\x03")
    check(t.finish() == 130, "Ctrl-C is not exit code 130", t)
    check(t.text.endswith("\x1b[K"), "the bar is left on the terminal", t)


def test_bench_progress(pith, tale):
    """The first test is over in a second, the second takes minutes: the bar stands at 75%."""
    t = Terminal(pith, "bench", tale, "-p", "8", "-n", "200000", "-r", "1", "-t", "1")
    check(t.read_until("tg200000, 2 of 2"), "the bar does not name the test", t)
    check("| pp8 " in t.text, "the row does not stand above the bar of the next test", t)
    t.send("\x03")
    check(t.finish() == 130, "Ctrl-C is not exit code 130", t)
    shares = [int(part.split()[-1]) for part in t.text.split("%  ")[:-1]]
    check(shares and max(shares) < 90, "the bar jumps", t)
    check("peak memory" in t.text, "no notes after an interrupt", t)


def main():
    pith, chat, tale = sys.argv[1:4]
    test_editing(pith, chat)
    test_interrupts(pith, chat)
    test_interrupted_answer(pith, chat, chat + ".out")
    test_terminal_is_restored(pith, chat)
    test_run(pith, tale)
    test_waiting(pith, tale)
    test_dumb_terminal(pith, tale, "golden/tale-valid.txt")
    test_progress(pith, tale, "golden/tale-valid.txt")
    test_bench_progress(pith, tale)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
