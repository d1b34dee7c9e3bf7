"""Models that say what a script says: real checkpoints, converted and run like any other.
    scripted.make(DIRECTORY) writes one for each form of tool call.

The vocabulary has a token for every piece of the script. Embeddings are one-hot, attention and MLP
add nothing, so the logits depend on the last token alone: the head of the piece that comes next has
a large weight for it. The template ends a prompt with a token that says which script is to begin."""

import json
import os
import struct

HIDDEN = 384
WEIGHT = 5.0  # times sqrt(384), what the norm makes of a one: logits lie 98 apart

SPECIAL = ["<|im_start|>", "<|im_end|>", "<|say_call|>", "<|say_answer|>", "[TOOL_CALLS]", "[ARGS]",
           "[CALL_ID]", "<|python_tag|>", "</s>"]
PLAIN = ["<think>", "</think>", "<tool_call>", "</tool_call>"]  # added tokens that give text

HEAD = ("{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n"
        "{% endif %}{% for m in messages %}{% if m.role == 'tool' %}<|im_start|>tool\n"
        "{{ m.content }}<|im_end|>\n{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}")
TAIL = ("<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{{ '<|say_call|>' if tools and messages[-1].role != 'tool' else '<|say_answer|>' }}{% endif %}")
ANSWER = ["<think>", "\nIt is known.\n", "</think>", "\n\nIt is 21 degrees", " in Paris."]
ARGUMENTS = '{"city": "Paris", "days": [1, 2.50]}'

# Of each form: how the template writes calls, what the model says, and how it goes on behind the
# text that a client's choice of a tool puts in front of its answer.
FORMS = {
    "hermes": {
        "calls": "{% for c in m.tool_calls %}\n<tool_call>\n{\"name\": \"{{ c.function.name }}\", "
                 "\"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}",
        "say": ["I look", " it up.\n", "<tool_call>", "\n", "{\"name\": \"get_wea",
                "ther\", \"arguments\": " + ARGUMENTS + "}", "</tool_call>", " \n"],
        "named": [ARGUMENTS + "} \n", "</tool_call> "],
        "any": ["get_weather\", \"arguments\":" + ARGUMENTS + "}", "</tool_call>\n "],
    },
    "mistral": {
        "calls": "{% if m.tool_calls %}[TOOL_CALLS] [{% for c in m.tool_calls %}{{ c.function | tojson }}"
                 "{{ ', ' if not loop.last }}{% endfor %}]{% endif %}",
        "say": ["[TOOL_CALLS]", "[{\"name\": \"get_weather\", \"argu", "ments\": " + ARGUMENTS + "}]"],
        "named": [ARGUMENTS + "}] "],
        "any": ["get_weather\", \"arguments\":" + ARGUMENTS + "} ]"],
    },
    "mistral-named": {
        "calls": "{% for c in m.tool_calls %}[TOOL_CALLS]{{ c.function.name }}[ARGS]"
                 "{{ c.function.arguments | tojson }}{% endfor %}",
        "say": ["[TOOL_CALLS]", "get_wea", "ther", "[ARGS]", ARGUMENTS[:9], ARGUMENTS[9:]],
    },
    "llama3": {
        "calls": "{% for c in m.tool_calls %}{\"name\": \"{{ c.function.name }}\", \"parameters\": "
                 "{{ c.function.arguments | tojson }}}{% endfor %}",
        "say": ["<|python_tag|>", "{\"name\": \"get_weather\", ", "\"parameters\": " + ARGUMENTS + "}"],
        "named": [ARGUMENTS + "} "],
        "any": ["get_weather\", \"parameters\":" + ARGUMENTS + "}"],
    },
    "bare": {
        "calls": "{% for c in m.tool_calls %}{\"name\": \"{{ c.function.name }}\", \"parameters\": "
                 "{{ c.function.arguments | tojson }}}{% endfor %}",
        "say": ["{\"name\": \"get_weather\", ", "\"parameters\": " + ARGUMENTS + "}"],
    },
    "other": {
        "calls": "{% for c in m.tool_calls %}<function={{ c.function.name }}>{% endfor %}",
        "say": ["<function=get_weather>"],
    },
}

# A model that answers in channels. A piece is followed by one other alone, so the marks of the second
# message are spelled.
CHANNELS = {
    "calls": "",
    "special": ["<|start|>", "<|channel|>", "<|message|>", "<|end|>"],
    "say": ["<|channel|>"],
    "answer": ["<|channel|>", "analysis", "<|message|>", "\nIt is known.\n", "<|end|>", "<|start|>",
               "assistant<|channel|>final<|mess", "age|>It is 21 degrees", " in Paris."],
}


def alphabet():
    """GPT-2's characters for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def spell(text):
    table = alphabet()
    return "".join(table[b] for b in text.encode())


# Tokens that models without a script may write as well: marks in two pieces, the second of which goes
# on behind it, marks with something around them, objects behind something else.
PIECES = [piece for mark in ("<tool_call>", "[TOOL_CALLS]", "<|python_tag|>")
          for piece in (mark[:5], mark[5:], mark[5:] + "\n{\"", "a" + mark + "{", mark + " [")] + \
         [" {", ";{", "; ", "}\n", "\n"]


def vocabulary(form, scripted=True):
    """The vocabulary, and which token each one is followed by."""
    ids = {character: i for i, character in enumerate(alphabet().values())}
    follow = {}
    special = SPECIAL + form.get("special", [])

    def token(text):
        if text in special or text in PLAIN:
            return text
        ids.setdefault(spell(text), len(ids))
        return spell(text)

    def chain(first, pieces):
        for piece in pieces:
            follow[first] = token(piece)
            first = token(piece)
        follow[first] = "<|im_end|>"

    chain("<|say_call|>", form["say"])
    chain("<|say_answer|>", form.get("answer", ANSWER))
    if "named" in form:
        chain(spell(" "), form["named"])  # ... "arguments": _
        chain(spell("\""), form["any"])   # {"name": "_
    for piece in PIECES if not scripted else []:
        token(piece)
    added = {text: len(ids) + i for i, text in enumerate(special + PLAIN)}
    number = {**ids, **added}
    return ids, added, {number[a]: number[b] for a, b in follow.items()}


def write_weights(path, n_vocab, follow):
    ones, nothing = [1.0] * HIDDEN, [0.0] * (HIDDEN * HIDDEN)
    small = [0.0] * (64 * HIDDEN)
    embedding = [0.0] * (n_vocab * HIDDEN)
    head = [0.0] * (n_vocab * HIDDEN)
    for i in range(n_vocab):
        embedding[i * HIDDEN + i] = 1.0
    for before, after in follow.items():
        head[after * HIDDEN + before] = WEIGHT
    layer = "model.layers.0."
    tensors = [("model.embed_tokens.weight", [n_vocab, HIDDEN], embedding),
               ("lm_head.weight", [n_vocab, HIDDEN], head),
               ("model.norm.weight", [HIDDEN], ones),
               (layer + "input_layernorm.weight", [HIDDEN], ones),
               (layer + "post_attention_layernorm.weight", [HIDDEN], ones)]
    tensors += [(f"{layer}self_attn.{x}_proj.weight", [HIDDEN, HIDDEN], nothing) for x in "qkvo"]
    tensors += [(f"{layer}mlp.{x}_proj.weight", [64, HIDDEN], small) for x in ("gate", "up")]
    tensors += [(layer + "mlp.down_proj.weight", [HIDDEN, 64], small)]
    header, at = {}, 0
    for name, shape, values in tensors:
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * len(values)]}
        at += 4 * len(values)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, values in tensors:
            file.write(struct.pack(f"<{len(values)}f", *values))


def write(directory, form, scripted=True):
    ids, added, follow = vocabulary(form, scripted)
    follow = follow if scripted else {}
    n_vocab = len(ids) + len(added)
    assert n_vocab <= HIDDEN, n_vocab
    special = SPECIAL + form.get("special", [])
    tokenizer = {
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": ids, "merges": []},
        "added_tokens": [{"id": number, "content": text, "special": text in special,
                          "normalized": False, "lstrip": False, "rstrip": False,
                          "single_word": False} for text, number in added.items()],
    }
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
              "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 6,
              "num_key_value_heads": 6, "head_dim": 64, "vocab_size": n_vocab,
              "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
              "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "float32",
              "bos_token_id": None, "eos_token_id": added["</s>"]}
    os.makedirs(directory)
    for name, data in (("tokenizer.json", tokenizer), ("config.json", config),
                       ("tokenizer_config.json", {"bos_token": None, "eos_token": "</s>",
                                                  "chat_template": HEAD + form["calls"] + TAIL})):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            json.dump(data, file)
    write_weights(os.path.join(directory, "model.safetensors"), n_vocab, follow)


def make(directory, scripted=True):
    """Directories for pith convert, by the names of their forms. Without a script all tokens are
    equally likely, always."""
    for name, form in FORMS.items():
        write(os.path.join(directory, name), form, scripted)
    return list(FORMS)


def token_ids(name):
    """The ids of a form's marks, and of pieces, in a model without a script."""
    ids, added, _ = vocabulary(FORMS[name], False)
    return {**added, **{piece: ids[spell(piece)] for piece in PIECES}}
