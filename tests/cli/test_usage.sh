# Options, help, and the manual page.

expect 0 "$PITH" --version
prints '^pith [0-9]+\.[0-9]+\.[0-9]+$'
silent
expect 0 "$PITH" help
prints 'tokenize'
expect 0 "$PITH" --help
for command in convert importance inspect run chat tokenize detokenize template logits eval bench keys; do
    expect 0 "$PITH" help "$command"
    prints "^Usage: pith $command"
    cp "$T/out" "$T/help"
    expect 0 "$PITH" "$command" --help
    is "help of $command is the same both ways" "$(cat "$T/help")" = "$(cat "$T/out")"
    is "help of $command fits 80 columns" "$(awk 'length > 79' "$T/out" | wc -l)" = 0
done

# Options that change nothing for a command are taken, but not shown.
for command in embed index search; do
    expect 0 "$PITH" help "$command"
    prints '--threads'
    prints '--blas'
    is "$command shows no --kv" "$(grep -c -e --kv "$T/out")" = 0
done
for command in tokenize detokenize; do
    expect 0 "$PITH" help "$command"
    prints '--verbose'
    is "$command shows no options of evaluation" \
        "$(grep -c -e --kv -e --threads -e --blas -e --isa -e --mmap "$T/out")" = 0
done
expect 0 "$PITH" tokenize "$TALE" -t 2 --kv f16 --blas off --mmap --isa scalar 'a stone'

fails 2 "a command is missing" "$PITH"
fails 2 "unknown command 'tokenise'; did you mean 'tokenize'" "$PITH" tokenise
fails 2 "unknown command 'xyzzy'" "$PITH" xyzzy
fails 2 "unknown command 'nothing'" "$PITH" help nothing
fails 2 "MODEL.pith is missing" "$PITH" run
fails 2 "MODEL.pith is empty" "$PITH" run ''
fails 2 "unexpected argument 'more'" "$PITH" run "$TALE" some more
fails 2 "unknown option --tmp; did you mean --temp" "$PITH" run "$TALE" --tmp 1
fails 2 "unknown option --quite-another" "$PITH" run "$TALE" --quite-another
fails 2 "unknown option -z" "$PITH" run "$TALE" -z
fails 2 "^pith run: --threads takes a whole number from 1 to 256, not '0'" "$PITH" run "$TALE" -t 0
fails 2 "not '0'" "$PITH" run "$TALE" -t0
fails 2 "not '257'" "$PITH" run "$TALE" --threads=257
fails 2 "not '-1'" "$PITH" run "$TALE" -t -1
fails 2 "not '\+2'" "$PITH" run "$TALE" -t +2
fails 2 "not ' 2'" "$PITH" run "$TALE" -t ' 2'
fails 2 "not '2x'" "$PITH" run "$TALE" -t 2x
fails 2 "not '0x2'" "$PITH" run "$TALE" -t 0x2
fails 2 "not ''" "$PITH" run "$TALE" --threads=
fails 2 "not '99999999999999999999'" "$PITH" run "$TALE" -n 99999999999999999999
fails 2 "below 2\^64, not '18446744073709551616'" "$PITH" run "$TALE" --seed 18446744073709551616
fails 2 "from 0 to 100, not 'nan'" "$PITH" run "$TALE" --temp nan
fails 2 "from 0 to 100, not '1e999'" "$PITH" run "$TALE" --temp 1e999
fails 2 "from 0 to 100, not '0x1p3'" "$PITH" run "$TALE" --temp 0x1p3
fails 2 "from 0 to 1, not '1.5'" "$PITH" run "$TALE" --top-p 1.5
fails 2 "f32, f16, int8, not 'F16'" "$PITH" run "$TALE" --kv F16
fails 2 "on, off, not 'yes'" "$PITH" run "$TALE" --blas yes
fails 2 "takes no value" "$PITH" run "$TALE" --mmap=yes
fails 2 "needs a value" "$PITH" run "$TALE" --temp
fails 2 "1 to 256 bytes, not 0" "$PITH" run "$TALE" --stop ''
fails 2 "at most 16 times" "$PITH" run "$TALE" --stop={a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q}
fails 2 "exclude each other" "$PITH" run "$TALE" -p a -f b
fails 2 "go together" "$PITH" run "$TALE" --prefix a
fails 2 "needs --prefix" "$PITH" run "$TALE" --suffix-first
fails 2 "type TYPE is missing" "$PITH" convert "$SOURCE" "$T/x.pith"
fails 2 "not 'int5'" "$PITH" convert "$SOURCE" "$T/x.pith" --type int5
fails 2 "OUT.pith is missing" "$PITH" convert "$SOURCE" --type int4
fails 2 "out FILE is missing" "$PITH" importance "$TALE" golden/tale-valid.txt
fails 2 "text TEXT or --tokens IDS is missing" "$PITH" logits "$TALE" --out "$T/x.npy"
fails 2 "text and --tokens exclude each other" "$PITH" logits "$TALE" --out "$T/x.npy" --text a --tokens 1
fails 2 "out FILE.npy is missing" "$PITH" logits "$TALE" --text a
fails 2 "not '1,,2'" "$PITH" logits "$TALE" --out "$T/x.npy" --tokens 1,,2
fails 2 "not '1,2,'" "$PITH" logits "$TALE" --out "$T/x.npy" --tokens 1,2,
fails 2 "not '-1'" "$PITH" logits "$TALE" --out "$T/x.npy" --tokens -1
fails 2 "not '2147483648'" "$PITH" logits "$TALE" --out "$T/x.npy" --tokens 2147483648
fails 2 "layer takes a whole number from 0 to 1024, not '-1'" "$PITH" logits "$TALE" --out "$T/x.npy" \
    --text a --layer -1
fails 2 "layer takes a whole number from 0 to 1024, not '1025'" "$PITH" logits "$TALE" --out "$T/x.npy" \
    --text a --layer 1025

# What other programs call it, and what was probably meant.
fails 2 "unknown option --temperature; did you mean --temp" "$PITH" run "$TALE" --temperature 0
fails 2 "did you mean --n-predict" "$PITH" run "$TALE" --max-tokens 5
fails 2 "did you mean --n-predict" "$PITH" run "$TALE" --max_tokens 5
fails 2 "did you mean --context" "$PITH" run "$TALE" --ctx-size 5
fails 2 "did you mean --context" "$PITH" run "$TALE" --cont 5
fails 2 "not '-1': leave it out for no limit" "$PITH" run "$TALE" -n -1
fails 2 "-m; the model is an argument of its own: pith run MODEL.pith" "$PITH" run -m "$TALE"
fails 2 "--model; the model is an argument" "$PITH" embed --model="$TALE"
fails 2 "did you mean --type" "$PITH" convert "$SOURCE" "$T/x.pith" --quantize int4
fails 2 "'q4_0'; did you mean int4" "$PITH" convert "$SOURCE" "$T/x.pith" --type q4_0
fails 2 "'Q8_0'; did you mean int8" "$PITH" convert "$SOURCE" "$T/x.pith" --type Q8_0
fails 2 "'int4'; did you mean --type int4" "$PITH" convert "$SOURCE" "$T/x.pith" -t int4
fails 2 "type TYPE is missing: f32, .* int4 is the smallest" "$PITH" convert "$SOURCE" "$T/x.pith"
fails 2 "did you mean 'help'" "$PITH" halp
fails 2 "did you mean 'version'" "$PITH" --versoin
fails 2 "did you mean 'convert'" "$PITH" quantise
fails 2 "did you mean 'inspect'" "$PITH" show
fails 2 "unknown command 'pull'" "$PITH" pull
is "no suggestion for pull" -z "$(grep 'did you mean' "$T/err")"
fails 1 'unknown or not available on this machine, which has .*scalar' "$PITH" run "$TALE" --isa nope
for form in version -V; do
    expect 0 "$PITH" $form
    prints '^pith [0-9]'
done
expect 0 "$PITH" --help run
prints '^Usage: pith run'

# Completion, by shells that are here.
fails 2 "one of bash, zsh, fish" "$PITH" completion
fails 2 "one of bash, zsh, fish" "$PITH" completion tcsh
for shell in bash zsh fish; do
    expect 0 "$PITH" completion $shell
    prints 'temp'
    if command -v $shell >/dev/null; then
        cp "$T/out" "$T/completion.$shell"
        expect 0 $shell -n "$T/completion.$shell"
        silent
    else
        skip "completion: no $shell"
    fi
done
complete_bash() {
    bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pith; echo "${COMPREPLY[*]}"' \
        bash "$T/completion.bash" "$@"
}
is "commands are completed" "$(complete_bash pith tok)" = tokenize
is "options are completed" "$(complete_bash pith run m.pith --top)" = '--top-k --top-p'
is "choices are completed" "$(complete_bash pith convert a b --type int)" = 'int8 int4'
is "choices of the first operand are completed" "$(complete_bash pith keys l)" = 'list limits'
is "and of no other" -z "$(complete_bash pith keys add l)"
is "files are left to the shell" -z "$(complete_bash pith run weights)"

# Forms of options that mean the same.
for form in '-t 1 -n 8' '-t1 -n8' '--threads 1 --n-predict 8' '--threads=1 --n-predict=8' \
    '-t 2 -t 1 -n 9 -n 8'; do
    # shellcheck disable=SC2086
    expect 0 "$PITH" run $form "$TALE" --temp 0 -p Once
    echo >>"$T/out"
    cat "$T/out" >>"$T/forms"
done
is "all forms of options give the same text" "$(sort -u "$T/forms" | wc -l)" = 1
cp "$TALE" "$T/-dash.pith"
expect 0 env -C "$T" "$PITH" run -n 1 --temp 0 -- -dash.pith

expect 0 "$PITH" help --man
if command -v groff >/dev/null; then
    cp "$T/out" "$T/pith.1"
    expect 0 groff -man -Tutf8 -ww -z "$T/pith.1"
    silent
    expect 0 groff -man -Tutf8 -P-cbou "$T/pith.1"
    prints 'EXIT STATUS'
else
    skip "the manual page: no groff"
fi
