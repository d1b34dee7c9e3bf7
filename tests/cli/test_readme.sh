# Every command line of README.md is run as it stands, in a directory where small models stand in for
# those to be downloaded; and every file that the documents name is there.

DOCS=$T/docs
mkdir -p "$DOCS/home/notes"
for name in weights perf golden; do
    ln -s "$ROOT/$name" "$DOCS/$name"
done
ln -s "${PITH%/*}" "$DOCS/build"
ln -s "$CHAT_SOURCE" "$DOCS/TinyLlama-1.1B-Chat"
ln -s "$CHAT_SOURCE" "$DOCS/Llama-2-7b-chat-hf"
ln -s "$ROOT/golden/minilm" "$DOCS/all-MiniLM-L6-v2"
head -c 2000 golden/tale-valid.txt >"$DOCS/sample.txt"
printf 'def area(r):\n' >"$DOCS/before.py"
printf '    return a\n' >"$DOCS/after.py"
printf 'A red house.\nA blue one.\n' >"$DOCS/lines.txt"
echo 'A passport is renewed at the town hall.' >"$DOCS/home/notes/passport.txt"
cat perf/results/*.jsonl | tee "$DOCS/before.jsonl" >"$DOCS/now.jsonl"
# What `hf download` leaves of a GGUF file.
snapshot=$XDG_CACHE_HOME/huggingface/hub/models--bartowski--Llama-3.2-1B-Instruct-GGUF/snapshots/abc
mkdir -p "$snapshot"
ln -s "$ROOT/golden/gguf/k256-Q4_K_M.gguf" "$snapshot/Llama-3.2-1B-Instruct-Q4_K_M.gguf"
# Byte-level tokenizers with the special tokens of Llama 3 and of ChatML.
cp -r golden/llama3 "$DOCS/chatml"
python3 - "$DOCS/chatml" <<'END'
import json, sys
def change(name, edit):
    path = f"{sys.argv[1]}/{name}"
    data = json.load(open(path))
    edit(data)
    json.dump(data, open(path, "w"))
def tokenizer(t):
    t["post_processor"] = None
    for token in t["added_tokens"]:
        token["content"] = {762: "<|im_start|>", 765: "<|im_end|>"}.get(token["id"], token["content"])
change("tokenizer.json", tokenizer)
change("tokenizer_config.json", lambda c: c.update(
    bos_token=None, eos_token="<|im_end|>", chat_template="{{ messages[0].content }}"))
END
echo '{"messages": [{"role": "user", "content": "Hi"}]}' >"$DOCS/conversations.jsonl"
"$PITH" convert "$DOCS/chatml" "$DOCS/qwen2.pith" --type int8
"$PITH" convert golden/llama3 "$DOCS/llama3.pith" --type int8
python3 tests/cli/make_model.py "$SOURCE" "$DOCS/infill" 2 128 256 ▁\<{PRE,MID,SUF,EOT}\>
"$PITH" convert "$DOCS/infill" "$DOCS/codellama-7b.pith" --type f32

# The lines of the blocks marked sh, without the comments behind them.
awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md |
    sed 's/  *# .*//' >"$T/lines"
is "README has command lines" "$(wc -l <"$T/lines")" -ge 30
here() { env -C "$DOCS" HOME="$DOCS/home" bash -c "$1"; }
run=0
while read -r line; do
    case $line in
    # A download, a run of minutes, another test of this directory.
    'hf download '[A-Za-z0-9]*/*' --include '* | 'hf download '*.gguf | 'make demo' | 'make test' | 'make bench') ;;
    'sudo make install && sudo ldconfig' | 'cc program.c '*) ;;
    # test_bench.sh measures: here the options are read, up to one that is wrong.
    'build/pith bench '*)
        expect 2 here "$(sed -E 's/( >.*)?$/ -t 0/' <<<"$line")"
        says "--threads takes a whole number"
        ;;
    *)
        expect 0 here "$line" <<<'Who lives here?'
        run=$((run + 1))
        ;;
    esac
done <"$T/lines"
is "most lines of README are run" "$run" -ge 17
# shellcheck disable=SC2013
for shape in $(grep -Eo 'shape [a-z0-9-]+' "$T/lines" | cut -d' ' -f2 | sort -u); do
    expect 1 "$PITH" bench --shape none --type int4
    says "[ ,]$shape(,|\$)"
done
# The Makefile knows the targets that README names.
for target in $(grep -Eo '`?\bmake [a-z][a-z0-9 -]*[a-z0-9]' README.md | sed 's/.*make //' | tr ' ' '\n' | sort -u); do
    expect 0 grep -Eq "^$target:" Makefile
done

# Files that the documents name: in backquotes with a directory, and as links.
for document in README.md CONTRIBUTING.md docs/*.md; do
    for path in $(grep -Eo '`[a-z]+/[A-Za-z0-9_*./-]+`' "$document" | tr -d '`' | grep -v '^build/' |
        grep -v NAME | sort -u); do
        # shellcheck disable=SC2086
        is "$document names $path" -e "$(ls -d $path 2>/dev/null | head -1)"
    done
    for path in $(grep -Eo '\]\([^)#]+' "$document" | sed 's/](//' | grep -v '^http' | sort -u); do
        is "$document links to $path" -e "$(dirname "$document")/$path"
    done
    # A file and what is in it: `engine/rope.c`, `scale_blend`.
    while IFS='`' read -r _ path _ name _; do
        is "$path has $name" -n "$(grep -w "$name" "$path" 2>/dev/null)"
    done < <(grep -hEo '`[a-z]+/[a-z0-9_/]+\.[ch]`, `[a-z_0-9]+`' "$document" | sort -u)
done
layers=$(tests/check_includes.sh)
is 'README.md has the layers that check-includes prints' -n "$(python3 - "$layers" <<'END'
import sys
print("yes" if f"```\n{sys.argv[1]}\n```" in open("README.md").read() else "")
END
)"
