# SIGINT: exit code 130, no message, no file.

# A model large enough to be caught at work.
python3 tests/cli/make_model.py "$SOURCE" "$T/large" 8 1024 2816
interrupt "an interrupted conversion" 'compgen -G "$T/large.pith.tmp-*" >/dev/null' \
    "$PITH" convert "$T/large" "$T/large.pith" --type int4 -t 1
is "the conversion leaves no file" "$(find "$T" -maxdepth 1 -name 'large.pith*' | wc -l)" = 0

# From here on a signal may come at any time: while the model is opened, at work, or in a read.
interrupt "an interrupted run" catches "$PITH" run "$TALE" --ignore-eos -c 100000 -t 1
interrupt "an interrupted eval" catches "$PITH" eval "$TALE" golden/tale-valid.txt -t 1 --isa scalar
interrupt "an interrupted importance" catches "$PITH" importance "$TALE" golden/tale-valid.txt \
    --out "$T/stopped" -t 1 --isa scalar
is "importance leaves no file" "$(find "$T" -maxdepth 1 -name 'stopped*' | wc -l)" = 0
interrupt "an interrupted bench" catches "$PITH" bench "$TALE" -n 100000 -r 50 -t 1

# The first Ctrl-C waits for the pass that runs; the second ends the process at once, by the signal.
# The prompt takes minutes: the first is not looked at before the second comes.
yes 'He ran and ran.' | head -c 400000 >"$T/long"
what="a second SIGINT"
is "a second SIGINT ends the process at once" "$(python3 - "$PITH" "$TALE" "$T/long" <<'END'
import os, signal, subprocess, sys
pith, model, prompt = sys.argv[1:]
child = subprocess.Popen([pith, "run", model, "-f", prompt, "-c", "200000", "-t", "1", "--isa",
                          "scalar", "-n", "1"], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
def catches():
    with open("/proc/%d/status" % child.pid) as file:
        line = [line for line in file if line.startswith("SigCgt:")][0]
    return int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1
def seconds():  # of the processor, in user mode
    with open("/proc/%d/stat" % child.pid) as file:
        return int(file.read().rsplit(")", 1)[1].split()[11]) / os.sysconf("SC_CLK_TCK")
while child.poll() is None and seconds() < 1:
    pass
first = catches()
child.send_signal(signal.SIGINT)
while child.poll() is None and catches() and seconds() < 10:
    pass
running = child.poll() is None
child.send_signal(signal.SIGINT)
while child.poll() is None and seconds() < 20:
    pass
print(first, running, child.poll() == -signal.SIGINT)
child.kill()
END
)" = "1 True True"
mkfifo "$T/fifo"
sleep 1000 >"$T/fifo" &
holder=$!
interrupt "an interrupted read of a prompt" catches "$PITH" run "$TALE" -f "$T/fifo"
interrupt "an interrupted tokenize" catches sh -c "exec '$PITH' tokenize '$TALE' <'$T/fifo'"

# Closed descriptors 0 to 2 are not given to files: a message could end in a model.
what="closed descriptors"
"$PITH" run "$TALE" -f "$T/fifo" <&- >&- 2>&- &
child=$!
until catches 2>/dev/null || ! kill -0 "$child"; do
    sleep 0.01
done
is "closed descriptors are /dev/null" \
    "$(readlink /proc/$child/fd/[012] | sort -u)" = /dev/null
kill -INT "$child"
wait "$child"
is "a run without descriptors is interrupted" $? = 130
kill "$holder"
wait "$holder" 2>/dev/null
