#!/bin/sh
# What `make demo` shows: the command as one may type it, the text, a search by meaning, then what to
# try next.
# Usage: packaging/demo.sh COMMAND PROMPT ENCODER
set -eu
command=$1
prompt=$2
encoder=$3
pith=${command%% *}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '%s\n\n%s' "$command" "$prompt"
# The figures go to standard error: kept until the text has ended its line.
if ! eval "$command" 2>"$work/figures"; then
    echo
    cat "$work/figures" >&2
    exit 1
fi
printf '\n\n'
cat "$work/figures"

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
  $pith run weights/models/tale-int4.pith -p 'The old king said' --temp 0.8
  $pith inspect weights/models/tale-int4.pith
  $pith serve
  $pith help
and README.md: requests to the service, a chat model and a sentence encoder of your own, the library, speed on
this machine
END
