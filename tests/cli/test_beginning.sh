# What stands in front of a text: the tokenizer decides, --bos overrules it.

# The tale's tokenizer puts its token in front; plain's has one and adds nothing; qwen's has none.
python3 - "$T" <<'END'
import json, os, shutil, sys
for name, keys in ("plain", {"add_bos_token": False}), ("qwen", {"bos_token": None, "add_bos_token": False}):
    where = os.path.join(sys.argv[1], name)
    shutil.copytree("golden/llama3", where)
    path = os.path.join(where, "tokenizer_config.json")
    os.chmod(path, 0o644)
    json.dump({**json.load(open(path)), **keys}, open(path, "w"))
END
for name in plain qwen; do
    expect 0 "$PITH" convert "$T/$name" "$T/$name.pith" --type f32
done
printf 'hello\n' >"$T/hello"
ids() { "$PITH" tokenize "$@" <"$T/hello" 2>"$T/err"; }
plain=$(ids "$T/plain.pith")
is "tokenize adds nothing" "$(ids "$TALE")" != "$(ids "$TALE" --bos)"
is "--bos=auto is what run puts" "$(ids "$TALE" --bos=auto)" = "$(ids "$TALE" --bos)"
is "--bos=off adds nothing" "$(ids "$TALE" --bos=off)" = "$(ids "$TALE")"
is "a tokenizer that adds nothing" "$(ids "$T/plain.pith" --bos=auto)" = "$plain"
is "its token on request" "$(ids "$T/plain.pith" --bos)" = "${plain/[/[756, }"
is "a tokenizer without the token" "$(ids "$T/qwen.pith" --bos)" = "$plain"
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
n=$(evaluated "$T/plain.pith")
is "run puts nothing where the tokenizer does not" "$n" = "$(evaluated "$T/plain.pith" --bos off)"
is "run --bos=on" "$(evaluated "$T/plain.pith" --bos=on)" = $((n + 1))
is "run --bos=on without a token" "$(evaluated "$T/qwen.pith" --bos=on)" = "$n"
n=$(evaluated "$TALE" --bos off)
is "run puts what the tokenizer does" "$(evaluated "$TALE")" = $((n + 1))

# eval predicts the first token of a text only when something stands in front of it; importance
# and logits see the same tokens.
targets() { "$PITH" eval "$@" --json 2>/dev/null | sed 's/.*"tokens": *\([0-9]*\).*/\1/;t;d'; }
head -c 600 golden/tale-valid.txt >"$T/eval-text"
n=$(targets "$T/plain.pith" "$T/eval-text")
is "eval puts nothing where the tokenizer does not" "$n" = "$(targets "$T/qwen.pith" "$T/eval-text")"
is "eval --bos on" "$(targets "$T/plain.pith" "$T/eval-text" --bos on)" = $((n + 1))
n=$(targets "$TALE" "$T/eval-text")
is "eval --bos off" "$(targets "$TALE" "$T/eval-text" --bos off)" = $((n - 1))
fails 1 'not comparable' "$PITH" eval "$T/plain.pith" "$T/eval-text" --bos on --reference "$T/qwen.pith"
expect 0 "$PITH" eval "$T/plain.pith" "$T/eval-text" --reference "$T/qwen.pith"
for when in on off; do
    expect 0 "$PITH" logits "$T/plain.pith" --text hello --out "$T/$when.npy" --bos $when
    expect 0 "$PITH" importance "$T/plain.pith" "$T/eval-text" --out "$T/$when.importance" --bos $when
done
is "logits --bos" "$(stat -c %s "$T/on.npy")" -gt "$(stat -c %s "$T/off.npy")"
is "importance --bos" "$(cmp "$T/on.importance" "$T/off.importance" 2>&1)" != ""
