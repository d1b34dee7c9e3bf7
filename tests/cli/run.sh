#!/bin/bash
# Tests of the command as a user runs it: exit codes, standard output, messages, files, signals.
# Usage: [PITH=build/pith] [JOBS=N] tests/cli/run.sh [FILE...]   (default: every tests/cli/test_*.sh)
# Each assertion is one test. Prints what failed and "N passed, N failed"; non-zero on failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
ROOT=$PWD
PITH=$(realpath "${PITH:-build/pith}")
export LC_ALL=C.UTF-8
[ -x "$PITH" ] || {
    echo "no command at $PITH" >&2
    exit 1
}

WORK=$(mktemp -d "${TMPDIR:-/tmp}/pith-cli.XXXXXX")
trap 'cd /; chmod -R u+w "$WORK"; rm -rf "$WORK"' EXIT
# Not in the cache of who runs the tests.
export XDG_CACHE_HOME=$WORK/xdg-cache
T=$WORK # each file of tests has a folder of its own below
passed=0
failed=0
skipped=0
what=

ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAILED: $what: $1"
    tail -5 "$T/err" | sed 's/^/    stderr: /'
    head -c 300 "$T/out" | sed 's/^/    stdout: /'
}
skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1"
}

# expect CODE COMMAND... : runs it with "$T/out" and "$T/err"; standard input is passed on.
expect() {
    local want=$1 got
    shift
    what="${*//$T\//}"
    "$@" >"$T/out" 2>"$T/err"
    got=$?
    if [ "$got" = "$want" ]; then ok; else bad "exit code $got, not $want"; fi
}

# Of the last command: standard output or error matches an extended regular expression.
prints() { if grep -Eq -- "$1" "$T/out"; then ok; else bad "standard output lacks: $1"; fi; }
says() { if grep -Eiq -- "$1" "$T/err"; then ok; else bad "standard error lacks: $1"; fi; }
# Standard error is one line that begins as every message does.
one_line() {
    if [ "$(wc -l <"$T/err")" = 1 ] && grep -q '^pith' "$T/err"; then ok; else bad "not one line"; fi
}
silent() { if [ ! -s "$T/err" ]; then ok; else bad "standard error is not empty"; fi; }
no_output() { if [ ! -s "$T/out" ]; then ok; else bad "standard output is not empty"; fi; }
# fails CODE PATTERN COMMAND... : the exit code, one matching line on standard error, no output.
fails() {
    local want=$1 pattern=$2
    shift 2
    expect "$want" "$@"
    says "$pattern"
    one_line
    no_output
}
# is TEXT CONDITION... : a test(1) condition.
is() {
    what=$1
    shift
    if [ "$@" ]; then ok; else bad "false: $*"; fi
}

# The models: the one that ships, and what can be made of it.
SOURCE=$ROOT/golden/tale
TALE=$T/tale.pith
CHAT=$T/chat.pith
make_models() {
    "$PITH" convert "$SOURCE" "$TALE" --type int8 || return 1
    CHAT_SOURCE=$T/chat-source
    mkdir "$CHAT_SOURCE"
    cp "$SOURCE"/*.json "$SOURCE"/tokenizer.model "$SOURCE"/model.safetensors "$CHAT_SOURCE" || return 1
    python3 - "$CHAT_SOURCE"/tokenizer_config.json <<'END' || return 1
import json, sys
config = json.load(open(sys.argv[1]))
config["chat_template"] = (
    "{% set ns = namespace(system='') %}{% for message in messages %}{% if message.role == 'system' "
    "%}{% set ns.system = '<<SYS>>\\n' + message.content + '\\n<</SYS>>\\n\\n' %}{% elif "
    "message.role == 'user' %}{{ bos_token + '[INST] ' + (ns.system + message.content).strip() + "
    "' [/INST]' }}{% set ns.system = '' %}{% else %}{{ ' ' + message.content.strip() + ' ' + "
    "eos_token }}{% endif %}{% endfor %}")
json.dump(config, open(sys.argv[1], "w"))
END
    "$PITH" convert "$CHAT_SOURCE" "$CHAT" --type int8
}
: >"$T/out"
: >"$T/err"
make_models || {
    echo "the test models could not be made" >&2
    exit 1
}

# interrupt NAME READY COMMAND... : sends the signal once the shell condition READY holds.
interrupt() {
    local name=$1 ready=$2 child
    shift 2
    what=$name
    : >"$T/out" # here, not only in the child: what the command before wrote must not look like its
    : >"$T/err"
    "$@" >"$T/out" 2>"$T/err" &
    child=$!
    while kill -0 "$child" 2>/dev/null && ! eval "$ready" 2>/dev/null; do
        sleep 0.01
    done
    kill -INT "$child"
    wait "$child"
    is "$name ends with 130" $? = 130
    is "$name says nothing about it" -z "$(grep -v warning: "$T/err")"
}

# The command has begun and SIGINT (bit 1) is among the signals it catches.
catches() {
    [ "$(cat /proc/"$child"/comm)" = pith ] &&
        grep -q '^SigCgt:.*[2367abef]$' /proc/"$child"/status
}

# A file of tests sees neither the files nor the variables of another.
run_file() {
    local FILE=$1 COUNTS=$WORK/$2.counts
    disown -a 2>/dev/null # the other files' shells are not jobs of this one
    # shellcheck disable=SC2046
    trap 'kill $(jobs -p) 2>/dev/null' EXIT
    passed=0 failed=0 skipped=0 # what the shell that started this one has counted is its own
    T=$WORK/$2
    mkdir "$T"
    : >"$T/out"
    : >"$T/err"
    # shellcheck source=/dev/null
    . "$FILE"
    echo "$passed $failed $skipped" >"$COUNTS"
    chmod -R u+w "$T"
    rm -rf "$T"
}

# As many files at a time as there are CPUs, or JOBS says, but one that measures alone; what they
# print comes in the order of the files.
# report PID FILE NAME : of a file whose shell has ended or is waited for.
report() {
    local counts
    wait "$1"
    echo "$2"
    cat "$WORK/$3.log"
    if read -ra counts <"$WORK/$3.counts"; then
        passed=$((passed + counts[0]))
        failed=$((failed + counts[1]))
        skipped=$((skipped + counts[2]))
    else
        echo "FAILED: $2 did not run to its end"
        failed=$((failed + 1))
    fi
}

[ $# -gt 0 ] || set -- tests/cli/test_*.sh
started=() # "PID FILE NAME" of those not reported
jobs=${JOBS:-$(nproc)}
most=$jobs
for file in "$@"; do
    name=$(basename "$file" .sh)
    before=$most
    case $name in test_bench*) most=1 ;; *) most=$jobs ;; esac
    while [ "$(jobs -pr | wc -l)" -ge $((most < before ? most : before)) ]; do
        wait -n
    done
    while [ ${#started[@]} -gt 0 ] && ! kill -0 "${started[0]%% *}" 2>/dev/null; do
        # shellcheck disable=SC2086
        report ${started[0]}
        started=("${started[@]:1}")
    done
    (run_file "$file" "$name") >"$WORK/$name.log" 2>&1 &
    started+=("$! $file $name")
done
for one in "${started[@]}"; do
    # shellcheck disable=SC2086
    report $one
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
