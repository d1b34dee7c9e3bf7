# The storyteller's training text: weights/models/story, whose scripts need Python alone.

what=check_story.py
PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-python3}" tests/cli/check_story.py >"$T/out" 2>"$T/err"
code=$?
cp "$T/out" "$T/results"
while read -r verdict name; do
    case $verdict in
    ok) ok ;;
    *) bad "$name" ;;
    esac
done <"$T/results"
is "check_story.py ends well" $code = 0
is "check_story.py runs its tests" "$(grep -c '^ok' "$T/results")" -ge 20
is "check_story.py writes no messages" ! -s "$T/err"

# The checker is red on the fairy-tale model, whose sentences wander.
for seed in 1 2 3; do
    {
        printf 'Once upon a time there was a'
        "$PITH" run "$TALE" -p 'Once upon a time there was a' -n 150 --temp 0.8 --top-p 0.9 \
            --seed $seed
    } >"$T/tale-$seed.txt"
done
expect 1 "${PYTHON:-python3}" -B weights/models/story/check.py "$T"/tale-?.txt
prints '^0 of 3 pass'
printf '%s ' 'A fox named Ann had a key. Ann wanted to keep the key.' \
    'From that day on she did, and the key was hers.' >"$T/ann.txt"
expect 0 "${PYTHON:-python3}" -B weights/models/story/check.py "$T/ann.txt"
prints '^1 of 1 pass'
silent

# One step of training, and what it exports, where PyTorch and SentencePiece are installed.
if ! "${PYTHON:-python3}" -c 'import torch, sentencepiece, numpy' 2>/dev/null; then
    skip "train.py: ${PYTHON:-python3} has no torch, sentencepiece and numpy"
else
    train() {
        "${PYTHON:-python3}" -B weights/models/story/train.py --out "$T/story" --cpu --small \
            --steps 2 --fall 1 --width 48 --layers 1 --ffn 64 --rows 1 --context 64 \
            --windows 32:1,16 --workers 1 --test-rows 1 "$@"
    }
    expect 0 train
    prints '^stories, held out: loss [0-9.]+'
    expect 0 train --f32
    prints '^goes on from step 2'
    expect 1 train --width 96
    says 'was made with other settings'
    expect 1 train --width 50
    says 'width 50 is not a multiple of 16'
    expect 1 train --windows 16
    says 'was made with other settings'
    expect 1 train --windows 32:1
    says 'windows 32:1 is not like'
    expect 1 train --windows 128
    says 'rows have 2 to 64 tokens'
    is "the rows it read" "$(tr -d ' \n' <"$T/story/result.json" | sed 's/.*"read"://')" = \
        '[[32,0,2],[64,200000001,200000002]]}'
    expect 0 "$PITH" convert "$T/story/model" "$T/story.pith" --type int8
    expect 0 "$PITH" inspect "$T/story.pith"
    prints 'chat format +llama2'
    "${PYTHON:-python3}" -B - >"$T/ids" <<'END_OF_PYTHON'
import json, sys
sys.path.insert(0, "weights/models/story")
import chat, grammar, train
writer, chooser = train.Writer(64, 0.0), grammar.Chooser()
for seed in range(20):
    said = [m["content"] for m in chat.conversation(chooser, seed).messages]
    turns = [train.MARKUP % turn for turn in zip(said[0::2], said[1::2])]
    for text in [chooser.story(seed).text()] + turns:
        print(json.dumps({"text": text, "ids": writer.pieces.encode(text)}))
END_OF_PYTHON
    expect 0 sh -c "'$PITH' tokenize '$T/story.pith' --json <'$T/ids'"
    sed 's/[^0-9,]//g' "$T/out" >"$T/pith-ids"
    sed 's/.*"ids": //; s/[^0-9,]//g' "$T/ids" >"$T/train-ids"
    expect 0 cmp "$T/pith-ids" "$T/train-ids"
    is "there are ids to compare" "$(wc -l <"$T/train-ids")" -ge 40
fi
