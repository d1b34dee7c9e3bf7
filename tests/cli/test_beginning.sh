# What stands in front of a text: the tokenizer decides, --bos overrules it.

# The tale's tokenizer puts its token in front; plain's has one and adds nothing; qwen's has none.
python3 - "$T" <<'END'
import json, os, shutil, sys
for name, keys in ("begin-plain", {"add_bos_token": False}), ("begin-qwen", {"bos_token": None, "add_bos_token": False}):
    where = os.path.join(sys.argv[1], name)
    shutil.copytree("golden/llama3", where)
    path = os.path.join(where, "tokenizer_config.json")
    os.chmod(path, 0o644)
    json.dump({**json.load(open(path)), **keys}, open(path, "w"))
END
for name in begin-plain begin-qwen; do
    expect 0 "$PITH" convert "$T/$name" "$T/$name.pith" --type f32
done
printf 'hello\n' >"$T/begin-hello"
ids() { "$PITH" tokenize "$@" <"$T/begin-hello" 2>"$T/err"; }
plain=$(ids "$T/begin-plain.pith")
is "tokenize adds nothing" "$(ids "$TALE")" != "$(ids "$TALE" --bos)"
is "--bos=auto is what run puts" "$(ids "$TALE" --bos=auto)" = "$(ids "$TALE" --bos)"
is "--bos=off adds nothing" "$(ids "$TALE" --bos=off)" = "$(ids "$TALE")"
is "a tokenizer that adds nothing" "$(ids "$T/begin-plain.pith" --bos=auto)" = "$plain"
is "its token on request" "$(ids "$T/begin-plain.pith" --bos)" = "${plain/[/[756, }"
is "a tokenizer without the token" "$(ids "$T/begin-qwen.pith" --bos)" = "$plain"
says 'no beginning-of-text token'
one_line
fails 2 'takes one of on, off, auto' "$PITH" tokenize "$TALE" --bos=maybe
fails 2 'bos needs a value' "$PITH" run "$TALE" -p hello --bos
expect 0 "$PITH" help tokenize
prints '--bos\[=WHEN\]'

# evaluated MODEL OPTION...: tokens of the prompt that run evaluates.
evaluated() {
    "$PITH" run "$@" -p hello -n 1 --temp 0 --stats 2>&1 >/dev/null | sed -n 's/.*prompt \([0-9]*\) tokens.*/\1/p'
}
n=$(evaluated "$T/begin-plain.pith")
is "run puts nothing where the tokenizer does not" "$n" = "$(evaluated "$T/begin-plain.pith" --bos off)"
is "run --bos=on" "$(evaluated "$T/begin-plain.pith" --bos=on)" = $((n + 1))
is "run --bos=on without a token" "$(evaluated "$T/begin-qwen.pith" --bos=on)" = "$n"
n=$(evaluated "$TALE" --bos off)
is "run puts what the tokenizer does" "$(evaluated "$TALE")" = $((n + 1))

# eval predicts the first token of a text only when something stands in front of it; importance
# and logits see the same tokens.
targets() { "$PITH" eval "$@" --json 2>/dev/null | sed 's/.*"tokens": *\([0-9]*\).*/\1/;t;d'; }
head -c 600 golden/tale-valid.txt >"$T/begin-text"
n=$(targets "$T/begin-plain.pith" "$T/begin-text")
is "eval puts nothing where the tokenizer does not" "$n" = "$(targets "$T/begin-qwen.pith" "$T/begin-text")"
is "eval --bos on" "$(targets "$T/begin-plain.pith" "$T/begin-text" --bos on)" = $((n + 1))
n=$(targets "$TALE" "$T/begin-text")
is "eval --bos off" "$(targets "$TALE" "$T/begin-text" --bos off)" = $((n - 1))
fails 1 'not comparable' "$PITH" eval "$T/begin-plain.pith" "$T/begin-text" --bos on --reference "$T/begin-qwen.pith"
expect 0 "$PITH" eval "$T/begin-plain.pith" "$T/begin-text" --reference "$T/begin-qwen.pith"
for when in on off; do
    expect 0 "$PITH" logits "$T/begin-plain.pith" --text hello --out "$T/begin-$when.npy" --bos $when
    expect 0 "$PITH" importance "$T/begin-plain.pith" "$T/begin-text" --out "$T/begin-$when.importance" --bos $when
done
is "logits --bos" "$(stat -c %s "$T/begin-on.npy")" -gt "$(stat -c %s "$T/begin-off.npy")"
is "importance --bos" "$(cmp "$T/begin-on.importance" "$T/begin-off.importance" 2>&1)" != ""
