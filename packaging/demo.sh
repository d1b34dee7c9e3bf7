#!/bin/sh
# What `make demo` shows: a story as it is told, a question about it, the speed beside what the
# machine can do, a search by meaning, and what to try next.
# Usage: packaging/demo.sh PITH STORYTELLER ENCODER SEED REQUEST QUESTION
set -eu
pith=$1 storyteller=$2 encoder=$3 seed=$4 request=$5 question=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- A story -------------------------------------------------------------------------------------

echo "$pith chat --seed $seed"
mkfifo "$work/messages" "$work/figures"
$pith chat "$storyteller" --seed "$seed" --stats <"$work/messages" 2>"$work/figures" &
chat=$!
exec 3>"$work/messages" 4<"$work/figures"

# Sends a message and waits for the figures, which follow the answer.
ask() {
    printf '\n> %s\n' "$1"
    printf '%s\n' "$1" >&3
    read -r figures <&4 || figures=
    case $figures in
    *tokens/s*) ;;
    *)
        echo "$figures" >&2
        exit 1
        ;;
    esac
}

ask "$request"
story=$figures
ask "$question"
exec 3>&-
wait $chat
printf '\n%s\n\n' "${story#pith chat: }"

echo "$pith bench $storyteller -p 256 -n 64 -r 1"
$pith bench "$storyteller" -p 256 -n 64 -r 1 2>/dev/null

# ---- A search ------------------------------------------------------------------------------------

# The names and summaries of this machine's commands, as JSON Lines; none where manuals are not.
manuals() {
    find -L /usr/share/man/man1 /usr/share/man/man8 -name '*.gz' 2>/dev/null | sort | head -n 20000 |
        xargs -r lexgrog 2>/dev/null | grep -v '".*".*"' |
        sed -n 's|\\|\\\\|g; s|^.*/\([^/]*\)\.gz: "\(.*\)"$|{"id": "\1", "text": "\2"}|p'
}

search() {
    printf '\n%s search %s demo.db texts "%s" -k 3\n' "$pith" "$encoder" "$1"
    $pith search "$encoder" "$work/demo.db" texts "$1" -k 3
}

manuals >"$work/manuals" || true
if [ "$(wc -l <"$work/manuals")" -ge 100 ]; then
    printf '\n%s index %s demo.db texts < summaries of manual pages\n' "$pith" "$encoder"
    $pith index "$encoder" "$work/demo.db" texts <"$work/manuals"
    search 'which processes use the CPU'
    search 'put lines in alphabetical order'
    search 'see which files differ'
else
    printf '\n%s index %s demo.db texts README.md docs\n' "$pith" "$encoder"
    $pith index "$encoder" "$work/demo.db" texts README.md docs
    search 'allow each client only so many requests'
    search 'spread a model over several machines'
    search 'why is the result the same on every machine'
fi

cat <<END

next:
  $pith chat
  $pith serve
  $pith help
a chat model of your own ('hf' comes with 'pip install huggingface_hub'):
  hf download TinyLlama/TinyLlama-1.1B-Chat-v1.0 --include '*.[jms]*' --local-dir TinyLlama-1.1B-Chat
  $pith convert TinyLlama-1.1B-Chat tinyllama.pith --type int4
  $pith chat tinyllama.pith
and README.md: GGUF files, requests to the service, sentence encoders, the library, speed on this machine
END
