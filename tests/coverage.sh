#!/bin/sh
# How much of the code that reads untrusted input the fuzz harnesses reach.
#     coverage.sh BUILD FOUND [FILE]
# runs the harnesses BUILD/run/*, built with clang's coverage, over tests/fuzz/corpus and what
# fuzzing has put into FOUND, and prints lines and branches of every parser; of FILE it prints the
# branches that no input takes. Once every harness has been fuzzed it fails for a parser below 95 %
# of which docs/fuzzing.md does not say why, or that misses more branches than it says there.
set -eu
cd "$(dirname "$0")/.."

# Without what reads no content: base/file.c and base/bytes.c, and store/finished.c, whose branches
# are the states of a file system.
parsers="
base/file_kind.c base/gguf_look.c base/json*.c base/utf8.c
cli/json_lines.c
convert/gguf_*.c convert/hf_*.c convert/mistral_checkpoint.c convert/importance.c convert/plan.c convert/rows.c convert/sources.c convert/stream.c
engine/follow.c engine/pass_message.c engine/session_file.c
grammar/number.c grammar/schema*.c
store/collections.c store/documents.c store/functions.c store/matching.c store/indexer.c store/open.c store/schema.c
store/search.c store/split.c
server/request*.c server/collections_request.c server/reply*.c
simd/tuning.c
tokenizer/*.c
families/*.c weights/config*.c weights/gguf*.c weights/metadata*.c weights/pith_file.c weights/safetensors.c
weights/slots.c
"

build=$1
found=$2
wanted=${3:-}
files=
for file in $parsers; do
    [ ! -e "$file" ] && [ "$file" != "${file#*\*}" ] || files="$files $file"
done

objects=
for binary in "$build"/run/*; do
    [ ! -x "$binary" ] || objects="$objects${objects:+ -object }$binary"
done

run_harnesses() {
    rm -rf "$build/profile"
    mkdir -p "$build/profile"
    for binary in "$build"/run/*; do
        [ -x "$binary" ] || continue
        name=${binary##*/}
        seeds=tests/fuzz/corpus/$name
        [ ! -d "$found/$name" ] || seeds="$seeds $found/$name"
        # shellcheck disable=SC2086
        LLVM_PROFILE_FILE="$build/profile/$name.profraw" "$binary" -runs=0 -timeout=60 \
            -rss_limit_mb=4096 $seeds 2>"$build/profile/$name.log" || {
            tail -5 "$build/profile/$name.log" >&2
            echo "$name failed: nothing of it is counted" >&2
        }
    done
    llvm-profdata merge -o "$build/profile/all" "$build"/profile/*.profraw
}

# Another look at the same run takes no time.
if [ ! -e "$build/profile/all" ] || [ -n "$(find "$build/run" tests/fuzz/corpus \
    "$found" -newer "$build/profile/all" 2>/dev/null | head -1)" ]; then
    run_harnesses
fi

if [ -n "$wanted" ]; then
    # shellcheck disable=SC2086
    llvm-cov show $objects -instr-profile="$build/profile/all" -show-branches=count \
        -show-instantiations=false "$wanted" | awk -v file="$wanted" '
        /^ *[0-9]+\|/ {
            line = $0
            sub(/^ *[0-9]+\| *[0-9.kMG]*\|/, "", line)
            number = $0 + 0
            text[number] = line
        }
        /Branch \([0-9]+:[0-9]+\): \[/ {
            split($0, at, /[(:)]/)
            sides = ""
            if ($0 ~ /True: 0[],]/) sides = "never true"
            if ($0 ~ /False: 0[],]/) sides = sides == "" ? "never false" : "never reached"
            if (sides != "") {
                printf "%s:%d:%d: %s:%s\n", file, at[2], at[3], sides, text[at[2] + 0]
            }
        }'
    exit
fi

report=$build/profile/report
# shellcheck disable=SC2086
llvm-cov report $objects -instr-profile="$build/profile/all" -show-branch-summary \
    -show-region-summary=false $files | awk '
    $1 ~ /\.c$/ || $1 == "TOTAL" {
        printf "%-36s lines %5d of %5d %7s   branches %5d of %5d %7s\n",
               $1, $5 - $6, $5, $7, $8 - $9, $8, $10
    }' | tee "$report"

for binary in "$build"/run/*; do
    [ ! -x "$binary" ] || [ -d "$found/${binary##*/}" ] || {
        echo "not judged: ${binary##*/} has not been fuzzed (make fuzz FUZZ_SECONDS=600)"
        exit 0
    }
done
# Rows of the table: | `file` | branches | reached | ...
awk '
    FNR == NR {
        if (split($0, cell, "|") > 4 && cell[2] ~ /`.*\.c`/) {
            gsub(/[` ]/, "", cell[2])
            allowed[cell[2]] = cell[3] - cell[4]
        }
        next
    }
    $1 ~ /\.c$/ && $8 < 0.95 * $10 && (!($1 in allowed) || $10 - $8 > allowed[$1]) {
        printf "%s misses %d branches, docs/fuzzing.md explains %d\n", $1, $10 - $8, allowed[$1]
        bad = 1
    }
    END { exit bad }' docs/fuzzing.md "$report" >&2
