"""Real templates with a real vocabulary: python3 tests/chat_ids.py TEMPLATES MODEL... [-v]
TEMPLATES holds NAME.jinja and cases.json {"cases": {name: conversation}}; needs python3-jinja2 and NumPy.

For each template and conversation:
- the ids of pith_chat_format are those of Jinja2's text, read with its special tokens, unless the
  conversation spells some;
- with every special token of the vocabulary spelled in every text of the conversation, the prompt has
  the special tokens that it has with the harmless text "x" in place of each, in the same order."""

import collections
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../golden"), os.path.join(HERE, "../examples")]
import jinja  # noqa: E402
import pith  # noqa: E402

LOCAL_TIME = 1772600767  # 2026-03-04 05:06:07, the time of golden/jinja.py


def specials(model):
    """Ids of the tokens that are read only where special ones are, by their spelling."""
    found = {}
    for token in range(model.info.n_vocab):
        text = model.token_text(token)
        if text.startswith(("<", "[")) and len(text) > 2 and model.tokenize(text, special=True) == [token] \
                and model.tokenize(text) != [token]:
            found[token] = text
    return found


def replace_texts(value, text, key=None):
    """The conversation with `text` for each of its texts, but what decides how it is written."""
    if isinstance(value, dict):
        return {k: replace_texts(v, text, k) for k, v in value.items()}
    if isinstance(value, list):
        return [replace_texts(v, text, key) for v in value]
    if isinstance(value, str) and key not in ("role", "type", "id", "tool_call_id"):
        return text
    return value


def format_chat(model, template, conversation):
    variables = {k: v for k, v in conversation.items() if k not in ("messages", "add_generation_prompt")}
    prompt = conversation.get("add_generation_prompt", False)
    try:
        return model.chat_format(conversation["messages"], template_text=template, local_time=LOCAL_TIME,
                                 add_generation_prompt=prompt, **variables)
    except pith.PithError:
        return None


def check_ids(model, template, conversation, marks):
    """The ids are those of Jinja2's text."""
    written = json.dumps(conversation, ensure_ascii=False)
    if any(mark in written for mark in marks.values()):
        return "with marks"
    tokens = {name: model.chat_text([("user", "")], template_text="{{ " + name + " }}")
              for name in ("bos_token", "eos_token", "unk_token")}
    tokens = {name: text for name, text in tokens.items() if text}
    usual = {"tools": None, "documents": None}
    kind, text = jinja.render(template, {**usual, **tokens, **conversation})
    ids = format_chat(model, template, conversation)
    if kind == "error" or ids is None:
        return "both refuse" if kind == "error" and ids is None else "different"
    return "equal" if list(ids) == list(model.tokenize(text, special=True)) else "different"


def check_texts(model, template, conversation, marks):
    """What users spell is never a special token."""
    everything = "".join(marks.values())
    orders = []
    for text in ("x", f"x{everything}x"):
        ids = format_chat(model, template, replace_texts(conversation, text))
        if ids is None:
            return "refused"
        orders.append([token for token in ids if token in marks])
    return "safe" if orders[0] == orders[1] else "unsafe"


def main():
    folder, paths = sys.argv[1], [path for path in sys.argv[2:] if path != "-v"]
    cases = json.load(open(os.path.join(folder, "cases.json"), encoding="utf-8"))["cases"]
    total = collections.Counter()
    for path in paths:
        model, tally = pith.Model(path, n_threads=1), collections.Counter()
        marks = specials(model)
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".jinja"):
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                template = file.read()
            for case, conversation in cases.items():
                if not conversation["messages"]:
                    continue  # pith refuses that whatever the template makes of it
                for verdict in (check_ids(model, template, conversation, marks),
                                check_texts(model, template, conversation, marks)):
                    tally[verdict] += 1
                    if verdict in ("different", "unsafe"):
                        print(f"{os.path.basename(path)}, {name}, {case}: {verdict}")
        print(f"{os.path.basename(path)}, {len(marks)} special tokens: " +
              ", ".join(f"{n} {what}" for what, n in sorted(tally.items())), flush=True)
        total += tally
    sys.exit(total["different"] + total["unsafe"] > 0 or total["equal"] == 0 or total["safe"] == 0)


if __name__ == "__main__":
    main()
