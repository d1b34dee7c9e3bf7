# End tokens given to run by an option.

tale() { "$PITH" run "$TALE" -p 'Once upon a time' -n 40 --temp 0 "$@" 2>"$T/err"; }
whole=$(tale)
second=$(echo "$whole" | awk 'NR == 1 {print $2}')
end=$(tale --eos "▁$second")
is "--eos by spelling ends before the token ($whole)" "$end" = "$(echo "$whole" | awk 'NR == 1 {print " " $1}')"
id=$(echo "a $second" | "$PITH" tokenize "$TALE" --pieces | grep -F "▁$second" | cut -f1)
is "--eos by id" "$(tale --eos "$id")" = "$end"
is "--eos more than once" "$(tale --eos 0 --eos "$id" --eos 2)" = "$end"
tale --eos "$id" --ignore-eos --stats >"$T/out"
says 'ended by end token'
fails 1 'no token "no such token"' "$PITH" run "$TALE" -p x --eos 'no such token'
fails 1 'outside the vocabulary of 4096' "$PITH" run "$TALE" -p x --eos 4096
fails 1 'outside the vocabulary' "$PITH" run "$TALE" -p x --eos 99999999999999999999
fails 2 'eos takes a text' "$PITH" run "$TALE" -p x --eos ''
