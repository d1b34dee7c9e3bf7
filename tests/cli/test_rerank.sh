# rerank: lines of text, the best first, by a cross-encoder and by embeddings.

expect 0 "$PITH" convert "$ROOT/golden/encoders/bert-scores" "$T/scores.pith" --type f32
M="$T/scores.pith"
printf 'a king\n\nthe wolf at the door\n' >"$T/texts"
expect 0 "$PITH" rerank "$M" --blas off 'who knocked' <"$T/texts"
silent
is "one line for each text" "$(wc -l <"$T/out")" = 3
is "the best comes first" "$(cut -f 1 "$T/out" | sort -gr | cmp - <(cut -f 1 "$T/out") && echo yes)" = yes
is "no text is lost" "$(cut -f 2 "$T/out" | sort | cmp - <(sort "$T/texts") && echo yes)" = yes
cp "$T/out" "$T/plain"
# The scores are those of `pith embed` for pairs.
printf '{"text": "who knocked", "pair": "a king"}\n' >"$T/pair"
expect 0 "$PITH" embed "$M" --blas off --json <"$T/pair"
score=$(sed 's/{"embedding": \[\([^]]*\)\].*/\1/' "$T/out")
is "a score is that of the pair" "$(grep -c "^$score	a king\$" "$T/plain")" = 1
fails 1 'text is no pair|is no pair' "$PITH" embed "$M" 'a king'
printf '{"text": "a king"}\n{"text": "the\\nwolf"}\n' >"$T/jsonl"
expect 0 "$PITH" rerank "$M" 'who knocked' --json <"$T/jsonl"
is "objects with index, score and text" "$(python3 -c '
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
print(sorted((r["index"], r["text"]) for r in rows) == [(0, "a king"), (1, "the\nwolf")] and
      rows[0]["relevance_score"] >= rows[1]["relevance_score"])' "$T/out")" = True
expect 0 "$PITH" rerank "$M" --blas off 'who knocked' -n 1 <"$T/texts"
is "the best one alone" "$(cat "$T/out")" = "$(head -1 "$T/plain")"
expect 0 "$PITH" rerank "$M" 'who knocked' </dev/null
no_output
python3 -c 'print("a king " * 40)' >"$T/long"
expect 0 "$PITH" rerank "$M" 'who knocked' <"$T/long"
says '1 of 1 texts were longer than 40 tokens'
fails 1 'has more than 40 tokens' "$PITH" rerank "$M" 'who knocked' --no-truncate <"$T/long"
printf 'a\n\377\n' >"$T/bad"
fails 1 'standard input, line 2: invalid UTF-8 at byte 0' "$PITH" rerank "$M" q <"$T/bad"
fails 1 'no encoder' "$PITH" rerank "$TALE" q <"$T/texts"

# By embeddings, with the prompts of queries and documents.
cp -r "$ROOT/golden/encoders/roberta" "$T/prompted"
echo '{"prompts": {"query": "the king ", "passage": "a wolf "}, "default_prompt_name": null}' \
    >"$T/prompted/config_sentence_transformers.json"
expect 0 "$PITH" convert "$T/prompted" "$T/prompted.pith" --type f32
expect 0 "$PITH" rerank "$T/prompted.pith" 'who knocked' <"$T/texts"
cp "$T/out" "$T/ranked"
expect 0 "$PITH" embed "$T/prompted.pith" --prompt-name query 'who knocked'
cp "$T/out" "$T/query"
expect 0 "$PITH" embed "$T/prompted.pith" --prompt-name passage <"$T/texts"
fails 1 'the query has more than 40 tokens' \
    "$PITH" rerank "$T/prompted.pith" --no-truncate "$(cat "$T/long")" <"$T/texts"
expect 0 "$PITH" embed "$T/prompted.pith" --prompt-name passage <"$T/texts"
is "scores are cosines behind the prompts" "$(python3 -c '
import json, sys
query = json.load(open(sys.argv[1]))["embedding"]
rows = [json.loads(line)["embedding"] for line in open(sys.argv[2])]
cosines = sorted((sum(a * b for a, b in zip(query, row)) for row in rows), reverse=True)
scores = [float(line.split("\t")[0]) for line in open(sys.argv[3])]
print(max(abs(a - b) for a, b in zip(cosines, scores)) < 1e-6)' "$T/query" "$T/out" "$T/ranked")" = True

# A message names the line, and a zero byte is text.
python3 -c 'print("a king\n" + "a wolf " * 40)' >"$T/second"
fails 1 'standard input, line 2: .*has more than 40 tokens' \
    "$PITH" rerank "$M" 'who knocked' --no-truncate <"$T/second"
python3 -c 'import json
print("{\"text\": \"a king\"}\n\n" + json.dumps({"text": "a wolf " * 40}))' >"$T/second"
fails 1 'standard input, line 3: .*has more than 40 tokens' \
    "$PITH" rerank "$M" 'who knocked' --json --no-truncate <"$T/second"
printf 'a\0king\n' >"$T/zero"
expect 0 "$PITH" rerank "$M" 'who knocked' <"$T/zero"
is "a text is printed whole" "$(cut -f 2 "$T/out" | cmp - "$T/zero" && echo yes)" = yes
fails 1 'the query: invalid UTF-8 at byte 1' "$PITH" rerank "$M" $'a\377' <"$T/texts"
