#!/bin/sh
# What `make demo` shows: the command as one may type it, the text, then what to try next.
# Usage: packaging/demo.sh COMMAND PROMPT
set -eu
command=$1
prompt=$2
pith=${command%% *}
stats=$(mktemp)
trap 'rm -f "$stats"' EXIT

printf '%s\n\n%s' "$command" "$prompt"
# The figures go to standard error: kept until the text has ended its line.
if ! eval "$command" 2>"$stats"; then
    echo
    cat "$stats" >&2
    exit 1
fi
printf '\n\n'
cat "$stats"
cat <<END

next:
  $pith run weights/models/tale-int4.pith -p 'The old king said' --temp 0.8
  $pith inspect weights/models/tale-int4.pith
  $pith serve
  $pith help
and README.md: requests to the service, a chat model and a sentence encoder of your own, the library, speed on
this machine
END
